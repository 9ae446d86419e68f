"""One list of all kinds of field, and one of all kinds of layer: every law runs over them.

A field is a recipe that draws its numbers. The same recipe then gives the same field in either
precision, batched or element by element, and from tensors that ask for gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fields import (
    Atoms,
    Ball,
    Balls,
    Box,
    Boxes,
    BoxKernel,
    Bumps,
    Constant,
    Field,
    Formula,
    Gabors,
    GaussianKernel,
    Gaussians,
    Interpolated,
    Kernel,
    Mask,
    PlaneWaves,
    Polynomial,
    Sprites,
    local_translation,
    random_bandlimited,
    random_gaussian,
    stack,
)
from fields.leaves.interpolated import METHODS

DIMS = (1, 2, 3)
BATCH = 2
PERIOD = (4.0, 5.0, 3.0)


class Draw:
    """Numbers for a recipe.

    Parameters
    ----------
    dim : int
    dtype : torch.dtype
        What the numbers are rounded to; they are drawn in double precision.
    element : int or None
        Element of the batch to build; None builds the batch.
    given : sequence of Tensor, optional
        Returned, in turn, in place of what `normal` would draw.
    device : torch.device or str
        Where the numbers go once they are drawn.
    """

    def __init__(
        self,
        dim: int,
        dtype: torch.dtype = torch.float64,
        element: int | None = 0,
        given: Sequence[Tensor] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.dim, self.dtype, self.element, self.device = dim, dtype, element, device
        self.generator = torch.Generator().manual_seed(dim)
        self.given = None if given is None else list(given)
        self.drawn: list[Tensor] = []

    def normal(self, *shape: int) -> Tensor:
        """Normal numbers, (*shape) or (BATCH, *shape): what differs over the batch."""
        if self.given is not None:
            return self.given.pop(0)
        numbers = torch.randn(BATCH, *shape, generator=self.generator, dtype=torch.float64)
        numbers = numbers if self.element is None else numbers[self.element]
        numbers = numbers.to(self.device, self.dtype)
        self.drawn.append(numbers)
        return numbers

    def shared(self, *shape: int) -> Tensor:
        """Uniform numbers in [-1, 1), the same for the whole batch."""
        numbers = torch.rand(shape, generator=self.generator, dtype=torch.float64)
        return (2 * numbers - 1).to(self.device, self.dtype)

    def seed(self) -> int:
        return int(torch.randint(1 << 30, (), generator=self.generator))


@dataclass(frozen=True)
class Kind:
    """A kind of field, and what it is expected to know about itself."""

    name: str
    build: Callable[[Draw], Field]
    bandlimited: bool = False
    periodic: bool = False
    decays: bool = False
    batched: bool = True
    dims: tuple[int, ...] = DIMS

    def __str__(self) -> str:
        return self.name


# --- leaves -------------------------------------------------------------------------------------


def constant(draw: Draw) -> Field:
    return Constant(draw.normal(2), draw.dim)


def gaussians(draw: Draw) -> Field:
    return Gaussians(draw.normal(3, draw.dim), draw.normal(3, 2), 0.7 + 0.2 * draw.shared(3))


def gaussians_per_axis(draw: Draw) -> Field:
    widths = 0.6 + 0.2 * torch.tanh(draw.normal(3, draw.dim))
    return Gaussians(draw.normal(3, draw.dim), draw.normal(3, 2), widths)


def gaussians_covariance(draw: Draw) -> Field:
    root = 0.3 * draw.normal(3, draw.dim, draw.dim)
    covariance = root @ root.mT + 0.4 * torch.eye(draw.dim, dtype=draw.dtype, device=draw.device)
    return Gaussians(draw.normal(3, draw.dim), draw.normal(3, 2), covariance)


def gabors(draw: Draw) -> Field:
    amplitudes = torch.complex(draw.normal(3, 2), draw.normal(3, 2))
    frequencies = 0.4 * torch.tanh(draw.normal(3, draw.dim))
    return Gabors(draw.normal(3, draw.dim), amplitudes, 0.7 + 0.2 * draw.shared(3), frequencies)


def gabors_covariance(draw: Draw) -> Field:
    root = 0.3 * draw.normal(3, draw.dim, draw.dim)
    covariance = root @ root.mT + 0.4 * torch.eye(draw.dim, dtype=draw.dtype, device=draw.device)
    frequencies = 0.4 * draw.shared(3, draw.dim)
    return Gabors(draw.normal(3, draw.dim), draw.normal(3, 2), covariance, frequencies)


def bumps(draw: Draw) -> Field:
    radii = 1.6 + 0.2 * torch.tanh(draw.normal(3))
    return Bumps(draw.normal(3, draw.dim), draw.normal(3, 2), radii)


def balls(draw: Draw) -> Field:
    return Balls(draw.normal(3, draw.dim), draw.normal(3, 2), 1.4 + 0.4 * draw.shared(3))


def boxes(draw: Draw) -> Field:
    return Boxes(draw.normal(3, draw.dim), draw.normal(3, 2), 2.4 + 0.4 * draw.shared(3, draw.dim))


def polynomial(draw: Draw) -> Field:
    exponents = [[0, 0, 0], [1, 0, 2], [2, 1, 0], [0, 3, 1]]
    return Polynomial([k[: draw.dim] for k in exponents], draw.normal(4, 2))


def sprites(shape: str, width: float) -> Callable[[Draw], Field]:
    """Sprites live on R² only."""

    def build(draw: Draw) -> Field:
        scales, angles = 2 + 0.5 * torch.tanh(draw.normal(2)), draw.normal(2)
        return Sprites(shape, draw.normal(2, 2), draw.normal(2, 2), scales, angles, width)

    return build


def random_field(draw: Draw) -> Field:
    field = random_gaussian(
        draw.dim,
        2,
        lambda f: torch.exp(-10 * (f**2).sum(-1)),
        [1.01 / p for p in period(draw)],
        period(draw),
        seed=3,
        dtype=draw.dtype,
    )
    factor = draw.normal(1, 1)
    amplitudes = field.amplitudes.to(draw.device) * factor
    return PlaneWaves(field.frequencies, amplitudes, field.period)


def plane_waves(draw: Draw) -> Field:
    """Frequencies without a common period."""
    amplitudes = torch.complex(draw.normal(4, 2), draw.normal(4, 2))
    return PlaneWaves(0.6 * draw.shared(4, draw.dim).double(), amplitudes)


def waves_on_a_grid(draw: Draw) -> Field:
    """All multiples of the lowest frequencies: the sum factorises."""
    kept = random_bandlimited(draw.dim, 2, [1.01 / p for p in period(draw)], period(draw), 0)
    terms = len(kept.frequencies)
    amplitudes = torch.complex(draw.normal(terms, 2), draw.normal(terms, 2))
    return PlaneWaves(kept.frequencies.to(draw.device), amplitudes, period=period(draw))


def formula(draw: Draw) -> Field:
    axis = torch.tensor(period(draw), dtype=draw.dtype)

    def fn(x: Tensor) -> Tensor:
        turns = 2 * math.pi * x / axis.to(x)
        return torch.stack([torch.sin(turns).sum(-1), torch.cos(turns).prod(-1)], dim=-1)

    bandlimit = [1 / p for p in period(draw)]
    return Formula(fn, draw.dim, 2, bandlimit, period(draw), draw.dtype, draw.device)


def interpolated(method: str, boundary: str, sizes: Sequence[int]) -> Callable[[Draw], Field]:
    def build(draw: Draw) -> Field:
        n = sizes[: draw.dim]
        spacing = [p / k for p, k in zip(PERIOD, n, strict=False)]
        origin = 0.3 * draw.shared(draw.dim).double()
        return Interpolated(draw.normal(2, *n), spacing, origin, method, boundary)

    return build


def period(draw: Draw) -> tuple[float, ...]:
    return PERIOD[: draw.dim]


# --- layers: what the vocabulary makes of a field with two channels ----------------------------


@dataclass(frozen=True)
class Layer:
    """A translation-equivariant map on fields with two channels."""

    name: str
    apply: Callable[[Field, Draw], Field]
    linear: bool = False
    keeps_band: bool = False
    keeps_decay: bool = True

    def __str__(self) -> str:
        return self.name


def atoms(draw: Draw, side: int) -> Atoms:
    array = draw.shared(*(side,) * draw.dim, 2, 2) / math.sqrt(side**draw.dim)
    return Atoms.from_array(array, [0.5, 0.25, 0.75][: draw.dim])


def scattered_atoms(draw: Draw) -> Atoms:
    """Offsets on no lattice."""
    return Atoms(draw.shared(3, draw.dim), draw.shared(3, 2, 2))


def spiral(y: Tensor) -> Tensor:
    """A density without any symmetry, with a jump at its rim."""
    a, b = torch.cos(2 * y.sum(-1)), torch.sin(y.sum(-1) + 0.3)
    return torch.stack([torch.stack([a, b], -1), torch.stack([1 + b, a * b], -1)], dim=-2)


def blur(draw: Draw) -> GaussianKernel:
    return GaussianKernel([0.3, 0.2, 0.25][: draw.dim], draw.shared(2, 2))


def average(draw: Draw) -> BoxKernel:
    return BoxKernel([1.1, 0.7, 0.9][: draw.dim], draw.shared(2, 2))


def corner(draw: Draw) -> Mask:
    """A mask that its own mirror image doesn't cover."""
    mask = torch.ones((3,) * draw.dim, dtype=torch.bool)
    mask[(0,) * draw.dim] = False
    return Mask(mask, 0.25)


def step(f: Field, draw: Draw) -> Field:
    return f.convolve(atoms(draw, 3)).map(torch.relu).mix(draw.shared(2, 2))


def residual(f: Field, draw: Draw) -> Field:
    for _ in range(2):
        f = f + step(f, draw)
    return f


def deep(f: Field, draw: Draw) -> Field:
    """Kernels of all sorts, a non-linearity, poolings and a residual branch."""
    f = f.convolve(Kernel(spiral, 2, 2, 0.5), nodes=1).map(torch.relu)
    f = f + f.convolve(scattered_atoms(draw)).map(torch.tanh)
    f = f.pool(Box(0.6), "max", nodes=1).convolve(average(draw), nodes=1) - 0.2
    return f.pool(Ball(0.5), nodes=2)


def _mixed(f: Field, draw: Draw) -> Field:
    return f.mix(draw.shared(3, 2))


LAYERS = [
    Layer("scaled", lambda f, _: -2.5 * f, linear=True, keeps_band=True),
    Layer("biased", lambda f, d: f + d.shared(2), keeps_band=True, keeps_decay=False),
    Layer("mixed", _mixed, linear=True, keeps_band=True),
    Layer("relu", lambda f, _: f.map(torch.relu)),
    Layer(
        "atoms, odd",
        lambda f, d: f.convolve(atoms(d, 3), exact=False),
        linear=True,
        keeps_band=True,
    ),
    Layer(
        "atoms, even",
        lambda f, d: f.convolve(atoms(d, 2), exact=False),
        linear=True,
        keeps_band=True,
    ),
    Layer(
        "atoms, scattered",
        lambda f, d: f.convolve(scattered_atoms(d), exact=False),
        linear=True,
        keeps_band=True,
    ),
    Layer(
        "Gaussian",
        lambda f, d: f.convolve(blur(d), nodes=3, exact=False),
        linear=True,
        keeps_band=True,
    ),
    Layer(
        "box",
        lambda f, d: f.convolve(average(d), nodes=2, exact=False),
        linear=True,
        keeps_band=True,
    ),
    Layer(
        "Gaussian, closed",
        lambda f, d: f.convolve(blur(d), nodes=3),
        linear=True,
        keeps_band=True,
    ),
    Layer(
        "density",
        lambda f, d: f.convolve(Kernel(spiral, 2, 2, 0.7), nodes=2),
        linear=True,
        keeps_band=True,
    ),
    Layer("mean, box", lambda f, _: f.pool(Box(0.9), nodes=2), linear=True, keeps_band=True),
    Layer("mean, ball", lambda f, _: f.pool(Ball(0.6), nodes=2), linear=True, keeps_band=True),
    Layer("mean, mask", lambda f, d: f.pool(corner(d)), linear=True, keeps_band=True),
    Layer("max, box", lambda f, _: f.pool(Box(0.9), "max", nodes=2)),
    Layer("max, ball", lambda f, _: f.pool(Ball(0.6), "max", nodes=2)),
    Layer("max, mask", lambda f, d: f.pool(corner(d), "max")),
    Layer("residual", residual),
    Layer("deep", deep, keeps_decay=False),
]


# --- the fields ---------------------------------------------------------------------------------


def after(layer: Layer, leaf: Callable[[Draw], Field]) -> Callable[[Draw], Field]:
    return lambda draw: layer.apply(leaf(draw), draw)


def translated(draw: Draw) -> Field:
    return gaussians(draw).translate(draw.shared(draw.dim))


def translated_each(draw: Draw) -> Field:
    """Every element of the batch by a translation of its own."""
    return plane_waves(draw).translate(draw.normal(draw.dim))


def total(draw: Draw) -> Field:
    return waves_on_a_grid(draw) - formula(draw)


def product(draw: Draw) -> Field:
    return waves_on_a_grid(draw) * formula(draw)


def product_that_decays(draw: Draw) -> Field:
    return formula(draw) * gaussians(draw)


def periodized(draw: Draw) -> Field:
    root = 0.1 * draw.normal(2, draw.dim, draw.dim)
    covariance = root @ root.mT + 0.1 * torch.eye(draw.dim, dtype=draw.dtype, device=draw.device)
    field = Gaussians(draw.normal(2, draw.dim) / 2, draw.normal(2, 2), covariance)
    return field.convolve(atoms(draw, 2)).periodize(period(draw))


def periodic_gaussians(draw: Draw) -> Field:
    widths = 0.8 + 0.2 * torch.tanh(draw.normal(3, draw.dim))
    return Gaussians(draw.normal(3, draw.dim), draw.normal(3, 2), widths).periodize(period(draw))


def stacked(draw: Draw) -> Field:
    """Channels of two fields, in another order."""
    return stack([gaussians(draw), gabors(draw) / 2])[[3, 0]]


def scene(draw: Draw) -> Field:
    """A disc and a patch that move on their own, the disc in front of a background."""
    mask = Bumps(draw.normal(1, draw.dim), draw.shared(1, 1) + 1.2, 1.5 + 0.1 * draw.shared(1))
    t = draw.shared(3, draw.dim).double()
    return local_translation([gaussians(draw), (formula(draw), mask), gabors(draw)], list(t))


LEAVES = [
    Kind("Constant", constant, bandlimited=True, periodic=True),
    Kind("Gaussians", gaussians, decays=True),
    Kind("Gaussians, widths per axis", gaussians_per_axis, decays=True),
    Kind("Gaussians, covariances", gaussians_covariance, decays=True),
    Kind("Gabors", gabors, decays=True),
    Kind("Gabors, covariances", gabors_covariance, decays=True),
    Kind("Bumps", bumps, decays=True),
    Kind("Balls", balls, decays=True),
    Kind("Boxes", boxes, decays=True),
    Kind("Polynomial", polynomial),
    *(
        Kind(
            f"Sprites, {shape}, {'smoothed' if w else 'sharp'}",
            sprites(shape, w),
            decays=True,
            dims=(2,),
        )
        for shape, w in (("square", 0.0), ("square", 0.3), ("ellipse", 0.3), ("heart", 0.3))
    ),
    Kind("random_gaussian", random_field, bandlimited=True, periodic=True),
    Kind("PlaneWaves", plane_waves, bandlimited=True),
    Kind("PlaneWaves, all of a period", waves_on_a_grid, bandlimited=True, periodic=True),
    Kind("Formula", formula, bandlimited=True, periodic=True, batched=False),
    Kind(
        "Interpolated, Fourier",
        interpolated("fourier", "periodic", (5, 4, 3)),
        bandlimited=True,
        periodic=True,
    ),
    Kind(
        "Interpolated, Fourier, even",
        interpolated("fourier", "periodic", (4, 6, 2)),
        bandlimited=True,
        periodic=True,
    ),
    Kind("Interpolated, sinc", interpolated("fourier", "zero", (3, 4, 2)), bandlimited=True),
    Kind("Interpolated, linear", interpolated("linear", "periodic", (5, 4, 3)), periodic=True),
    Kind("Interpolated, linear, zero", interpolated("linear", "zero", (3, 4, 2)), decays=True),
]

#: Every method of interpolation with every boundary that it is defined for.
INTERPOLANTS = [
    Kind(
        f"Interpolated, {method} × {boundary}",
        interpolated(method, boundary, (5, 4, 3)),
        bandlimited=method == "fourier",
        periodic=boundary == "periodic",
        decays=boundary == "zero" and method != "fourier",
    )
    for method, boundaries in METHODS.items()
    for boundary in boundaries
]

COMPOSED = [
    Kind("translated", translated, decays=True),
    Kind("translated, batched", translated_each, bandlimited=True),
    Kind("sum", total, bandlimited=True, periodic=True),
    Kind("product", product, bandlimited=True, periodic=True),
    Kind("product that decays", product_that_decays, decays=True),
    Kind("periodized", periodized, periodic=True),
    Kind("periodized, per axis", periodic_gaussians, periodic=True),
    Kind("stacked", stacked, decays=True),
    Kind("local translation", scene, decays=True),
    *(
        Kind(f"{layer.name} of waves", after(layer, waves_on_a_grid), layer.keeps_band, True)
        for layer in LAYERS
    ),
    *(
        Kind(f"{layer.name} of Gaussians", after(layer, gaussians), decays=layer.keeps_decay)
        for layer in LAYERS
        if layer.name in ("biased", "relu", "atoms, even", "box", "max, ball", "residual")
    ),
]

FIELDS = [*LEAVES, *COMPOSED]


def points(dim: int, count: int = 5, seed: int = 1) -> Tensor:
    """Points in the middle of things, (count, d)."""
    generator = torch.Generator().manual_seed(seed)
    return 4 * torch.rand(count, dim, generator=generator, dtype=torch.float64) - 1.5
