"""Gabors and periodized Gaussians, straight from their formulas."""

import math

import pytest
import torch

from fields import Gabors, Gaussians
from fields.algebra.periodized import Periodized
from fields.leaves.gaussians import PeriodicGaussians
from tests.compare import assert_close
from tests.laws.registry import DIMS, Draw, gabors, gaussians_covariance, gaussians_per_axis, points

every_dim = pytest.mark.parametrize("dim", DIMS)


def noise(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(math.prod(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@every_dim
@pytest.mark.parametrize("full", [False, True], ids=["per axis", "covariances"])
def test_gabors(dim: int, full: bool) -> None:
    """F(x) = Σ |a| exp(−½ zᵀ Σ⁻¹ z) cos(2πf·z + arg a), z = x − c."""
    centers, frequencies, x = noise(3, dim), noise(3, dim), points(dim)
    amplitudes = torch.complex(noise(3, 2), noise(3, 2).flip(0))
    widths = 0.5 + noise(3, dim) ** 2
    covariance = torch.diag_embed(widths**2)
    if full:
        root = noise(3, dim, dim)
        widths = covariance = root @ root.mT + 0.3 * torch.eye(dim)
    z = x[:, None] - centers
    envelope = torch.exp(-0.5 * torch.einsum("xmi,mij,xmj->xm", z, covariance.inverse(), z))
    phase = 2 * math.pi * (z * frequencies).sum(-1)[..., None] + amplitudes.angle()
    expected = (envelope[..., None] * torch.cos(phase) * amplitudes.abs()).sum(1)
    assert_close(Gabors(centers, amplitudes, widths, frequencies)(x), expected, 1000, 1.0)


@every_dim
def test_gabors_of_frequency_zero_are_gaussians(dim: int) -> None:
    """cos 0 = 1."""
    field = gaussians_per_axis(Draw(dim))
    still = Gabors(field.centers, field.amplitudes, field.widths, 0 * field.centers)
    assert_close(still(points(dim)), field(points(dim)), 10)


@every_dim
@pytest.mark.parametrize("width", [0.1, 0.7])
def test_sums_of_images_per_axis(dim: int, width: float) -> None:
    """Σ_n F(x − nP) per axis = the same sum image by image, in all directions; far centres too."""
    widths = torch.full((3, dim), width, dtype=torch.float64)
    field = Gaussians(3 * noise(3, dim), noise(3, 2), widths)
    period, x = (2.0, 2.5, 3.0)[:dim], points(dim, 2)
    found = field.periodize(period)
    assert isinstance(found, PeriodicGaussians)
    assert_close(found(x), Periodized(field, period)(x), 5000, 1.0)


def test_wide_gaussians_sum_to_a_constant() -> None:
    """Widths of three periods: √(2π) w/P everywhere, to 1e-77."""
    field = Gaussians([[0.3]], [[1.0]], [6.0]).periodize(2.0)
    expected = torch.full((5, 1), math.sqrt(2 * math.pi) * 3, dtype=torch.float64)
    assert_close(field(points(1)), expected, 100)


def test_poisson_summation() -> None:
    """Σ_n F(x − nP) = Σ_k F̂(k/P)/P exp(2πikx/P)."""
    field, x = gaussians_per_axis(Draw(1)), points(1)
    f = torch.arange(-40, 41, dtype=torch.float64)[:, None] / 4.0
    waves = torch.exp(2j * math.pi * (x @ f.mT))
    expected = (waves @ (field.transform(f) / 4.0)).real
    assert_close(field.periodize(4.0)(x), expected, 1000)


def test_covariances_are_periodized_image_by_image() -> None:
    assert isinstance(gaussians_covariance(Draw(2)).periodize(4.0), Periodized)


ONE = [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (lambda: Gabors(ONE, [[1.0]], [-1.0], ONE), ValueError, "widths must be positive"),
        (lambda: Gabors(ONE, [[1.0]], [1.0], [[1.0]]), ValueError, r"frequencies must have shape"),
        (
            lambda: Gabors(ONE, [[1.0]], [[[1.0, 1.0], [1.0, 1.0]]], ONE),
            ValueError,
            "positive definite",
        ),
        (lambda: Gaussians(ONE, [[1.0]], [[[1.0, 1.0], [1.0, 1.0]]]), ValueError, "least eigen"),
        (lambda: Gaussians(ONE, torch.ones(1, 1).cdouble(), [1.0]), TypeError, "must be real"),
        (lambda: gabors(Draw(1)).periodize(0.0), ValueError, "period must be positive"),
        (lambda: gaussians_per_axis(Draw(1)).periodize(-1.0), ValueError, "must be positive"),
    ],
)
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()
