"""Laws of strides: one for each axis, for every class that takes any; and S(t▷f) = t▷S(f) where symmetries tempt."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import skimage.data
import torch
from torch import Tensor, nn

import discretize
from discretize import (
    CNOActivation,
    EquivariantChain,
    EquivariantSubsampling,
    FilteredLeakyReLU,
    Grid,
    Samples,
    Subsampling,
    Upsampling,
)
from discretize.subsampling.registry import SUBSAMPLINGS, subsampling
from equivariance import equivariance_error
from fields import random_bandlimited
from fields.commuting import Commutes, promised
from tests.compare import assert_close

SPACING = (0.5, 0.25)


def named(name: str, s: Any) -> nn.Module:
    return subsampling(name, s, channels=2, hidden=3, nyquist="drop", bound=0).eval()


CLASSES: dict[str, Callable[[Any], nn.Module]] = {
    **{kind.__name__: partial(named, name) for name, kind in SUBSAMPLINGS.items()},
    "EquivariantChain": lambda s: EquivariantChain([nn.Identity()], [s]),
    "FilteredLeakyReLU": lambda s: FilteredLeakyReLU(1, s),
    "CNOActivation": CNOActivation,
}


def noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_every_subsampling_is_here() -> None:
    public = {n for n, c in vars(discretize).items() if isinstance(c, type)}
    strided = {n for n in public if issubclass(getattr(discretize, n), Subsampling)}
    assert strided - {"Subsampling", "PolyphaseSubsampling"} <= set(CLASSES)


@pytest.mark.parametrize("s", [(1, 2), (2, 1), (2, 3)], ids=str)
@pytest.mark.parametrize("name", CLASSES)
def test_strides_per_axis(name: str, s: tuple[int, int]) -> None:
    """Shape and spacing of the grid; and S(t▷f) = t▷S(f) for t by multiples of each axis's own stride."""
    layer, shape = CLASSES[name](s), (12, 18)
    x, grid = noise(2, 2, *shape), Grid(shape, SPACING)
    out = layer(Samples(x, grid))
    assert out.grid.shape == tuple(n // q for n, q in zip(shape, s, strict=True))
    assert out.grid.spacing == tuple(h * q for h, q in zip(SPACING, s, strict=True))
    kept = (
        promised(layer) is not Commutes.NONE
    )  # cut off at the edge of the array, CNO's promises nothing
    for steps in ((1, 0), (0, 1), (-3, 2)) if kept else ():
        roll = [k * q for k, q in zip(steps, s, strict=True)]
        moved = layer(Samples(x.roll(roll, (-2, -1)), grid))
        back = out.translate([k * h for k, h in zip(roll, SPACING, strict=True)])
        assert_close(back.resample(moved.grid).values, moved.values, 1000)


#: Translations of each set, on a grid of spacing 1 and strides of 2, that aren't in the one before.
TRANSLATIONS = {
    Commutes.MULTIPLES: [[2.0, 0.0], [-4.0, 6.0]],
    Commutes.WHOLE: [[1.0, 0.0], [3.0, -5.0]],
    Commutes.REAL: [[0.37, 1.71], [-3.14, 0.5]],
}


@pytest.mark.parametrize("name", CLASSES)
@torch.no_grad()
def test_what_commutes_is_what_is_said(name: str) -> None:
    """Errors are rounding for the translations of `commutes_with`, and seen for all others."""
    layer, said = CLASSES[name](2), promised(CLASSES[name](2))
    field, grid = random_bandlimited(2, 2, 0.45, 24.0, seed=1), Grid((24, 24), 1.0)
    assert said is not None
    for kind, translations in TRANSLATIONS.items():
        error = equivariance_error(layer, field, torch.tensor(translations), grid)
        assert bool((error <= 1e-12).all() if kind <= said else (error > 1e-3).any())


@pytest.mark.parametrize("fill", ["zeros", "hold", "fourier", "blur"])
def test_upsampling_by_factors_per_axis(fill: str) -> None:
    """Axes exchanged: U_(1,2)(fᵀ) = (U_(2,1) f)ᵀ."""
    x, grid = noise(2, 6, 8), Grid((6, 8), SPACING)
    out = Upsampling((1, 2), fill)(Samples(x, grid))
    other = Upsampling((2, 1), fill)(Samples(x.mT, Grid((8, 6), SPACING[::-1])))
    assert (out.grid.shape, out.grid.spacing) == ((6, 16), (0.5, 0.125))
    assert_close(out.values, other.values.mT, 100)


def commutes(x: Tensor, steps: list[int]) -> bool:
    """Whether S(t▷f) = t▷S(f), values and origins, bit for bit."""
    dim = len(steps)
    layer, grid = EquivariantSubsampling(2), Grid(tuple(x.shape[-dim:]), 1.0)
    still = layer(Samples(x, grid)).translate([float(k) for k in steps])
    moved = layer(Samples(x.roll(steps, tuple(range(-dim, 0))), grid))
    apart = (still.grid.origin - moved.grid.origin) % 2
    return not bool(apart.any()) and torch.equal(still.resample(moved.grid).values, moved.values)


def test_equal_maxima_move_along() -> None:
    """Three maxima that tie, on both sublattices: what lies around them decides, wherever the signal is rolled to."""
    x = torch.tensor([[0.0, 9.0, 0.0, 0.0, 9.0, 1.0, 0.0, 0.0]]).double()
    assert all(commutes(x, [t]) for t in range(-8, 9))


def test_a_photograph_moves_along() -> None:
    """8-bit grey levels tie often."""
    x = torch.from_numpy(skimage.data.astronaut()[::8, ::8].copy()).double().movedim(-1, 0) / 255
    draw = torch.Generator().manual_seed(0)
    for steps in torch.randint(-64, 64, (40, 2), generator=draw).tolist():
        assert commutes(x, steps)
