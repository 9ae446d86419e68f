"""What quadratures must not miss: waves between their points, tails beyond a support, small elements of a batch."""

import math

import pytest
import scipy.integrate
import torch

from fields import (
    Balls,
    Bumps,
    Constant,
    Field,
    Formula,
    Gaussians,
    Interpolated,
    PlaneWaves,
    Polynomial,
)
from fields.accuracy import MEMORY_BOUND
from fields.evaluation import integrals
from tests.compare import assert_close

BELL = Gaussians([[0.0]], [[1.0]], [1.0])


def test_waves_of_leaves_are_told_before_a_change_is_trusted() -> None:
    """∫cos²(2π·64x) = ½ over [0, 1], and its coefficients ½ and ¼, though cos² is 1 wherever 8, 16 or 32 points lie."""
    square = PlaneWaves([[64.0]], [[1.0]], period=1.0).map(torch.square)
    assert float(square.integrate()) == pytest.approx(0.5, rel=1e-6)
    found = square.transform([[0.0], [128.0]]).real.flatten()
    assert found.tolist() == pytest.approx([0.5, 0.25], rel=1e-6)


def test_samples_are_seen_before_a_change_is_trusted() -> None:
    """The modulus of 64 samples ±1, joined by lines, is 32 in the mean of 64: its zeros lie between the samples."""
    signs = (-1.0) ** torch.arange(64.0, dtype=torch.float64)
    found = Interpolated(signs[None], 1.0, method="linear").map(torch.abs).integrate(1e-4)
    assert float(found) == pytest.approx(32.0, rel=1e-4)


@pytest.mark.parametrize("boundary", ["periodic", "zero"])
@pytest.mark.parametrize("method", ["nearest", "linear"])
def test_piecewise_interpolants_have_no_band(method: str, boundary: str) -> None:
    """∫F = h Σ samples to the tolerance asked for, whatever their number; no bandwidth is claimed."""
    for seed, count in enumerate((3, 7, 11, 13, 22, 31)):
        generator = torch.Generator().manual_seed(seed)
        values = torch.randn(1, count, generator=generator, dtype=torch.float64)
        field = Interpolated(values, 0.37, [0.11], method, boundary)
        assert field.bandwidth(1e-3) is None
        size = 0.37 * float(values.abs().sum())
        assert abs(float(field.integrate(1e-3)) - 0.37 * float(values.sum())) <= 1e-3 * size


@pytest.mark.parametrize("degree", [2, 30, 60, 100])
def test_a_growing_factor_carries_the_tail_out(degree: int) -> None:
    """∫x^p exp(−x²/2) = √(2π)·(p − 1)!!, most of which lies beyond the Gaussian's own support for large p."""
    found = (Polynomial([[degree]], [[1.0]]) * BELL).integrate()
    expected = math.sqrt(2 * math.pi) * math.prod(range(1, degree, 2))
    assert float(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("power", [0.5, 0.1, 0.03])
def test_a_root_carries_the_tail_out(power: float) -> None:
    """∫exp(−q x²/2) = √(2π/q) of a Gaussian to the power q."""
    found = BELL.map(lambda v: v.abs() ** power).integrate()
    assert float(found) == pytest.approx(math.sqrt(2 * math.pi / power), rel=1e-6)


def test_a_field_that_goes_on_for_ever_is_refused() -> None:
    class Endless(Formula):
        def support(self, rtol: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
            return (-1.0,), (1.0,)

    with pytest.raises(ValueError, match="this Endless doesn't decay"):
        Endless(torch.ones_like, 1, 1).integrate()


def test_every_element_of_a_batch_is_as_accurate_as_alone() -> None:
    """A narrow, faint bump beside a wide, bright one: to rtol of its own ∫|F|."""
    centers, faint = torch.tensor([[[0.0]], [[0.013]]]).double(), 1e-7
    amplitudes = torch.tensor([[[1.0]], [[faint]]]).double()
    radii = torch.tensor([[5.0], [0.77]]).double()
    both = Bumps(centers, amplitudes, radii).map(lambda v: v.abs().sqrt()).integrate(1e-3)
    alone, _ = scipy.integrate.quad(
        lambda x: math.sqrt(faint) * math.exp(0.5 - 0.5 / (1 - x**2)), -1, 1
    )
    assert float(both[1]) == pytest.approx(0.77 * alone, rel=1e-3)


def test_sums_that_agree_on_all_doublings_by_chance() -> None:
    """10 of 64, 20 of 128 points lie in an interval of 0.154 of a region: agreement, 1.5 % off."""
    centers = torch.tensor([[[0.0]], [[0.013]]]).double()
    radii = torch.tensor([[5.0], [0.77]]).double()
    both = Balls(centers, torch.ones(2, 1, 1).double(), radii)
    found = integrals.integral(both, 1e-3, MEMORY_BOUND)
    assert found.flatten().tolist() == pytest.approx([10.0, 1.54], rel=1e-3)


def test_rounding_noise_in_a_batch_is_no_change() -> None:
    """A field that vanishes but for rounding doesn't keep the others from settling."""
    wave = PlaneWaves([[0.3]], [[1.0]])
    turned = wave.translate([0.1]).translate([-0.1])
    difference: Field = turned.map(torch.tanh) - wave.map(torch.tanh)
    scales = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    both = difference + Constant(scales, 1) * wave.map(torch.square)
    found = both.integrate(1e-6)
    assert abs(float(found[0])) <= 1e-14
    assert float(found[1]) == pytest.approx(0.5 / 0.3, rel=1e-6)


@pytest.mark.parametrize("dim", [1, 2])
def test_the_transform_of_bumps(dim: int) -> None:
    """The closed form is what the trapezoidal rule, which converges faster than any power, finds."""
    generator = torch.Generator().manual_seed(dim)
    centers, amplitudes, f = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((2, 2, dim), (2, 2, 1), (2, dim))
    )
    field = Bumps(centers, amplitudes, torch.tensor([0.8, 1.2]).double())
    expected = integrals.transform(field, f, 1e-8, MEMORY_BOUND)
    assert_close(torch.view_as_real(field.transform(f)), torch.view_as_real(expected), 1e5, 1.0)
    at_zero = field.transform(torch.zeros(1, dim))[:, 0].real
    assert_close(at_zero, field.integrate(), 100)
