"""Poolings of samples that mean something to a Field too: windows of points, a spacing apart."""

import math

import pytest
import torch

from discretize import AveragePooling, Grid, MaxPooling, Samples, Stride, sample
from fields import Formula, PlaneWaves, random_bandlimited
from tests.compare import assert_close

KINDS = pytest.mark.parametrize("kind", [AveragePooling, MaxPooling])

WINDOWS = pytest.mark.parametrize(
    ("dim", "size", "spacing"),
    [(1, 2, 0.5), (1, 3, 0.25), (2, 3, 0.5), (2, (2, 3), (0.5, 0.25)), (3, (1, 2, 3), 0.25)],
    ids=str,
)


def numbers(value, dim: int) -> torch.Tensor:
    return torch.as_tensor(value).double().expand(dim)


@WINDOWS
def test_average_pooling_scales_waves_by_dirichlet_kernels(dim: int, size, spacing) -> None:
    """The mean over n points h apart takes a wave of frequency f to ∏ sin(πnfh)/(n sin(πfh)) times itself."""
    f = torch.tensor([0.31, 0.17, 0.43], dtype=torch.float64)[:dim]
    n, angle = numbers(size, dim), math.pi * f * numbers(spacing, dim)
    scale = (torch.sin(n * angle) / (n * torch.sin(angle))).prod()
    wave = PlaneWaves(f[None], [[1.0 - 2.0j, 0.5]])
    x = torch.linspace(-2.0, 3.0, 4 * dim, dtype=torch.float64).reshape(4, dim)
    assert_close(AveragePooling(2, size, spacing)(wave)(x), scale * wave(x), 100)


@WINDOWS
def test_max_pooling_adds_the_rise_over_half_a_window(dim: int, size, spacing) -> None:
    """max_y (v·(x − y)) = v·x + Σ |v_i|(n_i − 1)h_i/2 over n points h apart per axis."""
    v = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)[:dim]
    slope = Formula(lambda x: x @ v[:, None], dim, 1)
    rise = (v.abs() * (numbers(size, dim) - 1) * numbers(spacing, dim) / 2).sum()
    x = torch.linspace(-2.0, 3.0, 4 * dim, dtype=torch.float64).reshape(4, dim)
    assert_close(MaxPooling(2, size, spacing)(slope)(x), slope(x) + rise, 100)


@KINDS
def test_pooling_of_samples_is_that_of_their_field(kind) -> None:
    """sample ∘ pool = pool ∘ sample, on the grid that the windows' centres make."""
    field = random_bandlimited(2, 2, 0.3, (12.0, 6.0), seed=0)
    layer = kind((3, 2), (3, 4), (1.0, 0.5))
    pooled = layer(sample(field, Grid((12, 12), (1.0, 0.5), 0.25)))
    expected = sample(layer(field), pooled.grid, prefilter="none").values
    assert_close(pooled.values, expected, 200)


@pytest.mark.parametrize("kind", [Stride, AveragePooling, MaxPooling])
def test_partners_undo_the_stride(kind) -> None:
    """As many points as before, as far apart."""
    f = Samples(torch.ones(1, 6, 12), Grid((6, 12), (1.0, 0.5)))
    layer = kind((3, 2))
    back = layer.upsampling(layer(f))
    assert back.grid.shape == (6, 12)
    assert back.grid.spacing == (1.0, 0.5)


@KINDS
def test_bad_sizes(kind) -> None:
    for size, error, message in [
        (0, ValueError, r"^size must be integers of at least 1"),
        ((2, 1.5), ValueError, r"^size must be integers of at least 1"),
        (object(), TypeError, r"^size must be"),
        (1 << 20, ValueError, r"^size must be integers of at most 1024"),
    ]:
        with pytest.raises(error, match=message):
            kind(2, size)
    three, field = kind(2, (2, 2, 2), 1.0), random_bandlimited(2, 1, 0.3, 8.0, seed=0)
    for f in (field, Samples(torch.ones(1, 4, 4), Grid((4, 4), 1.0))):
        with pytest.raises(ValueError, match=r"^size must be a number or 2 numbers, got 3"):
            three(f)
    with pytest.raises(TypeError, match=r"^stride must be"):
        kind(object())
    with pytest.raises(ValueError, match=r"^spacing must be positive"):
        kind(2, 2, -1.0)
