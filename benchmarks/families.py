"""Families of fields that mislead estimates of errors: jumps, small shapes, maxima, slivers, hidden features.

A case is a leaf under one operation, at random places and sizes, sampled to a tolerance; its true error is that against
the same field at a refinement several times as fine, whose nodes lie elsewhere. Errors below 1e-11 of what the leaf
is are rounding. Hidden features are integrated, against the exact sum over the cells between all edges.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from discretize import Grid, NotResolved, Prefilter
from discretize.refinement import at_refinement, refined, relative_change
from fields import (
    Ball,
    BallKernel,
    Balls,
    Box,
    Boxes,
    BoxKernel,
    BumpKernel,
    Field,
    GaussianKernel,
    Gaussians,
    Interpolated,
    Mask,
    Sprites,
    random_bandlimited,
)

#: Errors below this part of the largest value summed are rounding.
FLOOR = 1e-11
#: Bound on memory by the number of dimensions: what needs more is refused.
MEMORY = {1: 1 << 28, 2: 1 << 24}
#: The reference has so many times the accepted refinement, plus one, and at least and at most so many nodes.
FINER, LEAST, MOST = {1: 6, 2: 3}, {1: 2000, 2: 60}, {1: 1_500_000, 2: 800}
#: The period of the waves, and how far shapes lie from 0.
EXTENT = 8.0


@dataclass(frozen=True)
class Outcome:
    """What was reported for a case, its tolerance, and the true error."""

    reported: float
    true: float
    rtol: float

    @property
    def bounds(self) -> bool:
        """Whether the true error is at most 3 times the reported one."""
        return self.true <= 3 * self.reported + FLOOR

    @property
    def gross(self) -> bool:
        """Whether it is more than 30 times the reported one, and 10 times the tolerance."""
        return self.true > 30 * self.reported + FLOOR and self.true > 10 * self.rtol

    @property
    def tight(self) -> bool:
        """Whether the reported error is at most 30 times the true one."""
        return self.reported <= 30 * (self.true + FLOOR)


# --- leaves -------------------------------------------------------------------------------------


def _terms(draw: Random, dim: int) -> tuple[Tensor, Tensor, Callable[..., Tensor]]:
    noise = torch.Generator().manual_seed(draw.randrange(2**31))

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=noise, dtype=torch.float64)

    terms = draw.randint(1, 3)
    return 6 * uniform(terms, dim) + 1, 2 * uniform(terms, 1) - 0.7, uniform


def _small(draw: Random, dim: int) -> float:
    """A length, in spacings of the grid: down to a thousandth, in two dimensions to a fortieth."""
    least = {1: -3.0, 2: -1.6}[dim]
    return float(10 ** draw.uniform(least, -0.5))


def balls(draw: Random, dim: int) -> Field:
    centers, amplitudes, uniform = _terms(draw, dim)
    return Balls(centers, amplitudes, 0.3 + 2 * uniform(len(centers)))


def boxes(draw: Random, dim: int) -> Field:
    centers, amplitudes, uniform = _terms(draw, dim)
    return Boxes(centers, amplitudes, 0.5 + 3 * uniform(*centers.shape))


def sprites(draw: Random, dim: int) -> Field:
    centers, amplitudes, uniform = _terms(draw, dim)
    shape = draw.choice(["square", "ellipse", "heart"])
    sizes, angles = 1 + 2 * uniform(len(centers)), 6 * uniform(len(centers))
    return Sprites(shape, centers, amplitudes, sizes, angles)


def thresholds(draw: Random, dim: int) -> Field:
    waves, level = (
        random_bandlimited(dim, 1, 0.3, EXTENT, draw.randrange(2**31)),
        draw.gauss(0, 0.5),
    )
    return waves.map(lambda v: (v > level).to(v))


def nearest(draw: Random, dim: int) -> Field:
    _, _, uniform = _terms(draw, dim)
    spacing, origin = draw.uniform(0.4, 1.2), draw.uniform(0, 1)
    return Interpolated(
        2 * uniform(1, *(10,) * dim) - 1, (spacing,) * dim, [origin] * dim, method="nearest"
    )


def small_balls(draw: Random, dim: int) -> Field:
    centers, amplitudes, uniform = _terms(draw, dim)
    return Balls(
        centers, amplitudes.abs() + 0.1, _small(draw, dim) * (0.7 + 0.6 * uniform(len(centers)))
    )


def narrow_gaussians(draw: Random, dim: int) -> Field:
    centers, amplitudes, uniform = _terms(draw, dim)
    return Gaussians(
        centers, amplitudes.abs() + 0.1, _small(draw, dim) * (0.7 + 0.6 * uniform(len(centers)))
    )


def slivers(draw: Random, dim: int) -> Field:
    """Boxes that end within 1e-4 to 0.05 of the rim of a window of side 2 around some point of the grid."""
    gap, point = 10 ** draw.uniform(-4, -1.3), draw.randint(2, 5)
    centre = [point + 1.5 - gap, *(4.0,) * (dim - 1)]
    return Boxes([centre], [[1.0]], [[1.0, *(3.3,) * (dim - 1)]])


LEAVES = {
    "balls": balls,
    "boxes": boxes,
    "sprites": sprites,
    "thresholds of waves": thresholds,
    "nearest neighbours": nearest,
    "small balls": small_balls,
    "narrow Gaussians": narrow_gaussians,
    "slivers": slivers,
}


# --- operations ---------------------------------------------------------------------------------


def box(draw: Random, dim: int) -> Box:
    return Box([draw.choice([1.0, 2.0, 3.0, draw.uniform(0.5, 3)]) for _ in range(dim)])


def mean_box(draw: Random, field: Field) -> Field:
    return field.pool(box(draw, field.dim))


def mean_ball(draw: Random, field: Field) -> Field:
    return field.pool(Ball(draw.choice([0.5, 1.0, draw.uniform(0.3, 1.7)])))


def mean_mask(draw: Random, field: Field) -> Field:
    """A mask is made of points, and exact; behind a mean it passes on what that errs by."""
    return mean_box(draw, field).pool(Mask(torch.ones((3,) * field.dim), 0.5))


def maximum(draw: Random, field: Field) -> Field:
    return field.pool(box(draw, field.dim), "max")


def kernel(draw: Random, field: Field) -> Field:
    size, one = draw.uniform(0.2, 1.5), [[1.0]]
    sides = [size * draw.uniform(0.5, 2) for _ in range(field.dim)]
    kernels = [
        BoxKernel(sides, one),
        BallKernel(size, one),
        BumpKernel(size, one),
        GaussianKernel(size / 2, one),
    ]
    return field.convolve(draw.choice(kernels), exact=False)


def prefilter(draw: Random, field: Field) -> Field:
    chosen = draw.choice(
        [
            Prefilter("box"),
            Prefilter("bspline"),
            Prefilter("bspline", order=1),
            Prefilter("gaussian"),
        ]
    )
    return field.convolve(chosen.kernel((1.0,) * field.dim, 1, field._like), exact=False)


def touched(draw: Random, field: Field) -> Field:
    """The mean over a window whose rim the slivers touch."""
    return field.pool(Box(2.0))


OPERATIONS = {
    "mean over boxes": mean_box,
    "mean over balls": mean_ball,
    "mean over masks": mean_mask,
    "maximum over boxes": maximum,
    "kernels": kernel,
    "prefilters": prefilter,
}


def families(dim: int) -> dict[str, Callable[[Random], Field]]:
    """What a case of every family is sampled from."""
    found = {}
    for leaf, make in LEAVES.items():
        if leaf == "sprites" and dim != 2:
            continue
        operations = {"mean": touched} if leaf == "slivers" else OPERATIONS
        for name, operation in operations.items():
            found[f"{leaf}, {name}"] = functools.partial(_made, make, operation, dim)
    return found


def _made(
    make: Callable[..., Field], operation: Callable[..., Field], dim: int, draw: Random
) -> Field:
    return operation(draw, make(draw, dim))


def sampled(field: Field, draw: Random, rtol: float) -> Outcome:
    """Reported and true error of one case."""
    dim = field.dim
    origin = [draw.choice([0.0, draw.uniform(0, 1)]) for _ in range(dim)]
    lattice = Grid((9, 8)[:dim], 1.0, origin, boundary="none").lattice
    values, reported, m = refined(field, lattice, rtol, MEMORY[dim])
    fine = max(m, min(max(FINER[dim] * m + 1, LEAST[dim]), MOST[dim]))
    reference = at_refinement(field, lattice, fine, 1 << 32)
    return Outcome(reported, relative_change(reference, values, dim, FLOOR), rtol)


def hidden(draw: Random, rtol: float) -> Outcome:
    """∫F² of a wide interval and one of a thousandth of it, taller: what is missed may be all."""
    centers = torch.tensor([[0.0], [draw.uniform(6, 15)]]).double()
    sides = torch.tensor([draw.uniform(2, 10), 10 ** draw.uniform(-3, -1)]).double()
    heights = torch.tensor([[1.0], [draw.uniform(10, 40)]]).double()
    found = Boxes(centers, heights, sides).map(torch.square).integrate(rtol)
    exact = (heights[:, 0] ** 2 * sides).sum()  # they don't meet
    return Outcome(rtol, float((found - exact).abs() / exact), rtol)


def outcomes(
    make: Callable[[Random], Field], name: str, count: int, first: int, rtol: float
) -> tuple[list[Outcome], int]:
    """Outcomes of so many cases, and how many of them were refused."""
    found, refused = [], 0
    for seed in range(first, first + count):
        draw = Random(f"{name} {seed}")
        try:
            found.append(sampled(make(draw), draw, rtol))
        except NotResolved:
            refused += 1
    return found, refused
