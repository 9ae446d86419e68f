"""Windows that depend on where one is: which of them are one, and what is promised of their accuracy."""

import pytest
import torch

from discretize import Grid, sample
from fields import Ball, Gaussians, Mask, PlaneWaves, Window
from layers import PoolField
from layers.windowed import by_window
from tests.compare import assert_close

BLOB = Gaussians([[1.0]], [[1.0]], [0.3])


def points_then_balls(x: torch.Tensor) -> Window:
    return Mask([1.0], 1.0) if x[0] < 0.5 else Ball(0.7)


def test_the_accuracy_is_that_of_the_worst_window() -> None:
    """Whatever the window at the origin is: masks are exact there, the balls elsewhere need their nodes refined."""
    grid = Grid(8, 0.5, boundary="none")
    out = sample(PoolField(points_then_balls)(BLOB), grid, rtol=1e-4)
    near = sample(BLOB, grid.replace(shape=1)).values
    far = sample(BLOB.pool(Ball(0.7)), grid, rtol=1e-7).values[:, 1:]
    truth = torch.cat([near, far], dim=1)
    assert out.accuracy is not None
    assert 0 < out.accuracy <= 1e-4
    assert float((out.values - truth).abs().max() / truth.abs().max()) <= 3 * out.accuracy


def test_masks_are_exact_everywhere() -> None:
    layer = PoolField(lambda x: Mask([1.0, 2.0, 1.0], 0.25 if x[0] < 1 else 0.5))
    assert sample(layer(BLOB), Grid(8, 0.5, boundary="none"), rtol=1e-12).accuracy == 0


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("kind", ["mean", "max"])
def test_elements_have_points_of_their_own(dim: int, kind: str) -> None:
    """A batch of fields on a batch of grids: every element as alone, its windows by its own points."""
    noise = torch.Generator().manual_seed(dim)
    centers = torch.rand(3, 1, 2, dim, generator=noise, dtype=torch.float64)
    origins = torch.rand(4, dim, generator=noise, dtype=torch.float64)
    amplitudes = torch.tensor([[1.0, -2.0], [0.5, 1.0]], dtype=torch.float64)
    layer = PoolField(lambda x: Ball(0.3 if x[0] < 1.2 else 0.6), kind, nodes=3)
    grid = Grid((7, 5)[:dim], 0.3, origins, "none")
    together = sample(layer(Gaussians(centers, amplitudes, [0.3, 0.4])), grid, refinement=2).values
    assert together.shape == (3, 4, 2, *grid.shape)
    for i in range(3):
        for j in range(4):
            field = Gaussians(centers[i, 0], amplitudes, [0.3, 0.4])
            own = sample(layer(field), grid.replace(origin=origins[j]), refinement=2).values
            assert_close(together[i, j], own, 100, 2.0)


def test_it_repeats_where_windows_and_field_do() -> None:
    """By the least common period of the two; without a period of the windows nothing is known."""
    wave = PlaneWaves([[0.5]], [[1.0]], period=2.0)

    def window(x: torch.Tensor) -> Window:
        return Ball(0.3 if x[0] < 1 else 0.6)

    layer = PoolField(window, period=3.0)
    field, x = layer(wave), torch.tensor([[0.7], [1.4], [-8.2]], dtype=torch.float64)
    assert field.period == (6.0,)
    assert field.is_periodic(12.0)
    assert not field.is_periodic(3.0)
    assert_close(field(x + 6.0), field(x), 100, 1.0)
    of_one = PoolField(window, period=1.0)(PlaneWaves([[1.0]], [[1.0]]))
    assert [of_one.is_periodic(p) for p in (1.0, 2.0, 2.5)] == [True, True, False]
    unknown = PoolField(window)(wave)
    assert unknown.period is None
    assert not unknown.is_periodic(6.0)
    with pytest.raises(ValueError, match="the field isn't, as far as is known"):
        sample(unknown, Grid(12, 0.5))


@pytest.mark.parametrize(
    ("window", "count"),
    [
        (lambda x: Mask([1.0, 1.0 + 1e-9 * float(x[0] > 1)], 0.5), 2),
        (lambda x: Mask([1.0, 1.0], 0.5 if x[0] > 1 else 0.25), 2),
        (lambda x: Mask(torch.ones((1, 2) if x[0] > 1 else (2, 1)), 0.5), 2),
        (lambda x: Mask([1.0, 2.0], 0.5), 1),
        (lambda x: Ball(0.5 + 1e-12 * float(x[0] > 1)), 2),
        (lambda x: Ball(0.5), 1),
    ],
)
def test_windows_that_are_equal_are_one(window, count: int) -> None:
    """A new object at every point, told apart by what it holds."""
    x = torch.linspace(0, 2, 20, dtype=torch.float64)[:, None]
    groups = by_window(window, x)
    assert len(groups) == count
    assert torch.equal(sum(mask.long() for _, mask in groups), torch.ones(20, dtype=torch.long))
