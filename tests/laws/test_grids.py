"""The commuting square of atomic layers: sample ∘ layer = layer ∘ sample, on every grid.

A layer made of atoms (and of masks) is the same sum on a field and on its samples, as long as the
atoms lie on the grid's lattice; atoms at half spacings move the grid, and the grid says so.
"""

from collections.abc import Callable

import pytest
import torch

from discretize import Grid, Samples, sample
from fields import Atoms, FeatureMap, Mask
from tests.compare import relative_error
from tests.laws.registry import DIMS, PERIOD, Draw, gaussians, waves_on_a_grid

SPACING = (0.5, 0.25, 0.5)
SHAPE = tuple(round(p / h) for p, h in zip(PERIOD, SPACING, strict=True))


def numbers(dim: int, *shape: int) -> torch.Tensor:
    return torch.randn(
        *shape, generator=torch.Generator().manual_seed(dim), dtype=torch.float64
    ) / len(shape)


def convolution(side: int) -> Callable[[FeatureMap], FeatureMap]:
    def layer(f: FeatureMap) -> FeatureMap:
        weights = numbers(f.dim, *(side,) * f.dim, 2, 2)
        return f.convolve(Atoms.from_array(weights, SPACING[: f.dim]))

    return layer


def one_sided(f: FeatureMap) -> FeatureMap:
    """Atoms on one side only, and two spacings apart."""
    offsets = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.5, 1.0], [2.0, 1.0, 0.0]])[:, : f.dim]
    return f.convolve(Atoms(offsets, numbers(f.dim, 3, 2, 2)))


def pooled(kind: str) -> Callable[[FeatureMap], FeatureMap]:
    def layer(f: FeatureMap) -> FeatureMap:
        mask = torch.ones((3,) * f.dim, dtype=torch.bool)
        mask[(0,) * f.dim] = False
        return f.pool(Mask(mask, SPACING[: f.dim]), kind)

    return layer


def affine(f: FeatureMap) -> FeatureMap:
    return 1 - f.mix(numbers(f.dim, 2, 2)) * numbers(f.dim, 2)


def residual(f: FeatureMap) -> FeatureMap:
    return f + convolution(3)(f.map(torch.relu)) * f


LAYERS: dict[str, list[Callable[[FeatureMap], FeatureMap]]] = {
    "odd": [convolution(3)],
    "even": [convolution(2)],
    "even twice": [convolution(2), affine, convolution(4)],
    "one side": [one_sided],
    "mean": [pooled("mean")],
    "max": [pooled("max")],
    "residual": [residual, residual],
    "net": [convolution(3), affine, lambda f: f.map(torch.relu), one_sided, pooled("max")],
    "even net": [convolution(2), lambda f: f.map(torch.tanh)],
}

every_dim = pytest.mark.parametrize("dim", DIMS)
every_net = pytest.mark.parametrize("net", LAYERS.values(), ids=LAYERS.keys())


def applied(net: list[Callable[[FeatureMap], FeatureMap]], f: FeatureMap) -> FeatureMap:
    for layer in net:
        f = layer(f)
    return f


@every_dim
@every_net
def test_square_commutes_on_a_periodic_grid(net: list, dim: int) -> None:
    """sample(L(F), grid of L(f)) = L(f), f = sample(F, grid), to 1e-13."""
    field = waves_on_a_grid(Draw(dim, element=None))
    grid = Grid(SHAPE[:dim], SPACING[:dim], origin=[0.1, -0.3, 2.0][:dim])
    discrete = applied(net, sample(field, grid))
    continuous = sample(applied(net, field), discrete.grid)
    assert isinstance(discrete, Samples)
    assert discrete.grid.shape == grid.shape
    assert continuous.accuracy == 0.0
    assert relative_error(discrete.values, continuous.values) <= 1e-13


@every_dim
@every_net
def test_square_commutes_where_samples_are_known(net: list, dim: int) -> None:
    """With boundary "none" the map shrinks to what is known, and is right there."""
    field = gaussians(Draw(dim, element=None))
    grid = Grid((12, 11, 10)[:dim], SPACING[:dim], origin=[-3.1, -1.3, -2.0][:dim], boundary="none")
    discrete = applied(net, sample(field, grid))
    continuous = sample(applied(net, field), discrete.grid)
    assert relative_error(discrete.values, continuous.values) <= 1e-13


@every_dim
@every_net
@pytest.mark.parametrize("boundary", ["zero", "reflect", "nearest"])
def test_square_commutes_in_the_interior(net: list, dim: int, boundary: str) -> None:
    """Far from the rim no boundary matters."""
    field = gaussians(Draw(dim))
    grid = Grid((17, 16, 15)[:dim], SPACING[:dim], origin=-2.0, boundary=boundary)
    discrete = applied(net, sample(field, grid)).crop(6, 4)
    continuous = sample(applied(net, field), discrete.grid)
    assert relative_error(discrete.values, continuous.values) <= 1e-13


@every_dim
@every_net
def test_samples_commute_with_every_translation(net: list, dim: int) -> None:
    """L(t▷f) = t▷L(f) bit for bit: the values stay, the origin moves."""
    grid = Grid(SHAPE[:dim], SPACING[:dim])
    f = sample(waves_on_a_grid(Draw(dim)), grid)
    t = torch.tensor([[0.3, -1.7, 0.01], [5.0, 0.5, -0.25]], dtype=torch.float64)[:, :dim]
    moved_first, moved_last = applied(net, f.translate(t)), applied(net, f).translate(t)
    assert moved_first.batch == (2,)
    assert torch.equal(moved_first.values, moved_last.values)
    origins = moved_first.grid.origin, moved_last.grid.origin
    torch.testing.assert_close(*origins, rtol=0, atol=1e-14)


@every_dim
@every_net
def test_samples_commute_with_rolls(net: list, dim: int) -> None:
    """On a periodic grid, L(roll f) = roll L(f) to rounding error."""
    f = sample(waves_on_a_grid(Draw(dim)), Grid(SHAPE[:dim], SPACING[:dim]))
    steps, axes = (3, -2, 1)[:dim], tuple(range(-dim, 0))
    rolled = Samples(f.values.roll(steps, axes), f.grid)
    expected = applied(net, f).values.roll(steps, axes)
    assert relative_error(applied(net, rolled).values, expected) <= 1e-13
