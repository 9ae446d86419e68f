"""Windows that depend on where one is: which of them are one, and what is promised of their accuracy."""

import pytest
import torch

from discretize import Grid, sample
from fields import Ball, Gaussians, Mask, Window
from layers import PoolField
from layers.windowed import by_window

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
