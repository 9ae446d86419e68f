"""Pooling windows: means are transforms of balls and boxes, maxima of linear fields are known."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.special
import torch

from fields import Ball, Box, Constant, Field, Formula, Mask, PlaneWaves, Window
from fields.evaluation.evaluation import evaluate
from fields.lattice import Lattice
from tests.compare import assert_close, error, order, relative_error
from tests.laws.registry import DIMS, points

every_dim = pytest.mark.parametrize("dim", DIMS)
FREQUENCY = (0.4, -0.3, 0.25)


def on_nodes(field: Field, spacing: float) -> torch.Tensor:
    lattice = Lattice(torch.full((field.dim,), 0.1).double(), (0.5,) * field.dim, (3,) * field.dim)
    return evaluate(field, lattice, (spacing,) * field.dim)


def mean_over_a_ball(dim: int, radius: float) -> float:
    """Transform of the normalised ball at FREQUENCY: sin z/z, 2J₁(z)/z, 3(sin z − z cos z)/z³."""
    z = 2 * math.pi * radius * math.hypot(*FREQUENCY[:dim])
    return {
        1: math.sin(z) / z,
        2: 2 * scipy.special.j1(z) / z,
        3: 3 * (math.sin(z) - z * math.cos(z)) / z**3,
    }[dim]


def mean_over_a_box(dim: int, sides: list[float]) -> float:
    return float(np.prod(np.sinc(np.array(sides) * FREQUENCY[:dim])))


MEANS: dict[str, Callable[[int], tuple[Window, float]]] = {
    "ball": lambda dim: (Ball(0.83), mean_over_a_ball(dim, 0.83)),
    "box of whole spacings": lambda dim: (Box(1.0), mean_over_a_box(dim, [1.0] * dim)),
}


@every_dim
@pytest.mark.parametrize("case", MEANS.values(), ids=MEANS.keys())
def test_means_are_second_order(dim: int, case: Callable[[int], tuple[Window, float]]) -> None:
    """The mean of a plane wave is the wave times the window's transform."""
    window, factor = case(dim)
    field = PlaneWaves([FREQUENCY[:dim]], [[1.0 + 0.5j]])
    expected = factor * on_nodes(field, 0.5)
    refinements = [2, 4, 8, 16] if dim < 3 else [2, 4, 8]
    found = [relative_error(on_nodes(field.pool(window), 0.5 / m), expected) for m in refinements]
    assert order(found, refinements) >= 1.9
    assert found[-1] < 2e-2


@every_dim
@pytest.mark.parametrize("refinement", [2, 4, 8, 16, 32])
def test_means_over_boxes_are_second_order(dim: int, refinement: int) -> None:
    """Error ≤ h² Σ_i (|∂_i² F|/24 + |∂_i F|/(4 s_i)), where no spacing h divides the sides s.

    Midpoint rule inside; the part δh of a cell at the rim is δ(1 − δ)h²/2 ≤ h²/8 off its middle.
    """
    sides, f, h = [0.83, 1.1, 0.6][:dim], np.abs(FREQUENCY[:dim]), 0.5 / refinement
    field = PlaneWaves([FREQUENCY[:dim]], [[1.0 + 0.5j]])
    slopes = 2 * math.pi * f
    bound = h**2 * abs(1 + 0.5j) * float((slopes**2 / 24 + slopes / (4 * np.array(sides))).sum())
    expected = mean_over_a_box(dim, sides) * on_nodes(field, 0.5)
    assert error(on_nodes(field.pool(Box(sides)), h), expected) <= bound


WINDOWS = [Ball(0.83), Ball(0.01), Box(0.83), Box(1.0), Box(0.01)]


@every_dim
@pytest.mark.parametrize("window", [*WINDOWS, "mask"], ids=str)
@pytest.mark.parametrize("spacing", [1.0, 0.25, 0.1])
@pytest.mark.parametrize("kind", ["mean", "max"])
def test_poolings_keep_constants(dim: int, window: Window, spacing: float, kind: str) -> None:
    """A mean or maximum of a constant is that constant, at every spacing of the nodes."""
    if window == "mask":
        window = Mask(torch.eye(3, dtype=torch.bool) if dim == 2 else torch.ones((2,) * dim), 0.3)
    pooled = Constant([2.0, -3.0], dim).pool(window, kind)
    expected = torch.tensor([2.0, -3.0]).double().reshape(2, *(1,) * dim).expand(2, *(3,) * dim)
    assert_close(on_nodes(pooled, spacing), expected, 500)


@every_dim
@pytest.mark.parametrize("shape", ["ball", "box"])
@pytest.mark.parametrize("spacing", [0.5, 0.2, 0.07])
def test_maxima_of_linear_fields(dim: int, shape: str, spacing: float) -> None:
    """max of a·x is a·x + r|a| over a ball, a·x + Σ|a_i| s_i/2 over a box.

    Linear interpolation reaches a box's corners exactly. Between points where the lattice meets a sphere, at most √d
    spacings h apart, the sphere bulges by d·h²/8r.
    """
    slope = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)[:dim]
    field = Formula(lambda x: (x @ slope)[..., None], dim, 1)
    window, gain = {
        "ball": (Ball(0.83), 0.83 * float(slope.norm())),
        "box": (Box(1.66), 0.83 * float(slope.abs().sum())),
    }[shape]
    if dim == 3 and spacing < 0.1:
        spacing = 0.125
    lack = on_nodes(field, 0.5) + gain - on_nodes(field.pool(window, "max"), spacing)
    assert float(lack.min()) >= -1e-12
    bulge = dim * spacing**2 / (8 * 0.83) * float(slope.norm())
    assert float(lack.max()) <= 1e-12 + (bulge if shape == "ball" and dim > 1 else 0)


def test_maxima_over_masks() -> None:
    """Maximum over x − y, y in the mask: its points are reflected."""
    mask = torch.tensor([[True, False, True], [False, False, True]])
    field = Formula(lambda x: torch.sin(3 * x[..., :1]) * torch.cos(2 * x[..., 1:]), 2, 1)
    pooled, x = field.pool(Mask(mask, (0.3, 0.2)), "max"), points(2)
    offsets = [(-0.15, -0.2), (-0.15, 0.2), (0.15, 0.2)]
    each = torch.stack([field(x - x.new_tensor(o)) for o in offsets])
    assert_close(pooled(x), each.amax(0), 100)
    assert_close(field.pool(Mask(mask, (0.3, 0.2)))(x), each.mean(0), 100)


def test_masks_are_told_by_their_shape() -> None:
    assert repr(Mask([[1, 2], [0, 1]], 0.5)) == "Mask(<2 × 2 shares>, spacing=(0.5, 0.5))"


@pytest.mark.parametrize(("sides", "count"), [(3.0, 3), (2.0, 2), (1.0, 1)])
def test_a_box_of_n_spacings_has_n_nodes(sides: float, count: int) -> None:
    """At (i − (n − 1)/2) spacings, with equal weights: the usual pooling of n samples."""
    (stencil,) = Box(sides).stencils((1.0,), (1.0,), "mean")
    first = stencil.first[0] + stencil.remainder[0]
    assert stencil.size == (count,)
    assert first == -(count - 1) / 2
    assert stencil.taps[0].tolist() == pytest.approx([1 / count] * count)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_shares_of_a_ball(dim: int) -> None:
    """Cells inside have the share h^d/volume, cells outside none; shares are even in y."""
    (stencil,) = Ball(1.0).stencils((0.25,) * dim, (0.25,) * dim, "mean")
    share = stencil.taps
    axes = [torch.arange(f, f + n) * 0.25 for f, n in zip(stencil.first, share.shape, strict=True)]
    y = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).abs()
    far = (y + 0.125).square().sum(-1).sqrt()
    near = (y - 0.125).clamp(min=0).square().sum(-1).sqrt()
    volume = math.pi ** (dim / 2) / math.gamma(dim / 2 + 1)
    inside = share[far < 1]
    assert inside.numel() > 0
    assert inside.tolist() == pytest.approx([0.25**dim / volume] * len(inside), rel=1e-12)
    assert float(share[near > 1].abs().sum()) == 0
    assert_close(share, share.flip(tuple(range(dim))), 100)
    assert float(share.min()) >= 0


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (lambda f: f.pool(Ball(0.0)), ValueError, "radius must be positive"),
        (lambda f: f.pool(Ball((1.0, 1.0))), ValueError, "radius must be a number or 1 numbers"),
        (lambda f: f.pool(Box(-1.0)), ValueError, "sides must be positive"),
        (lambda f: f.pool(Box((1.0, 1.0, 1.0))), ValueError, "a number or 2 numbers, got 3"),
        (lambda f: f.pool(Mask(torch.zeros(2, 2), 1.0)), ValueError, "a mask needs"),
        (lambda f: f.pool(Mask(torch.ones(2, 2), 0.0)), ValueError, "spacing must be positive"),
        (
            lambda f: f.pool(Mask(torch.ones(2), 1.0)),
            ValueError,
            "this mask has 1 axes, the feature map 2 dimensions",
        ),
        (lambda f: f.pool(2), TypeError, r"expected a pooling window .*, got int"),
        (lambda f: f.pool(Ball(1.0), "median"), ValueError, "a pooling is 'mean' or 'max'"),
        (lambda f: f.pool(Ball(1.0), nodes=0), ValueError, "nodes must be integers"),
    ],
)
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build(Constant(1.0, 2))
