"""Sums of leaves in closed form: what nearly cancels, images, interpolants by Parseval, gradients through all."""

import math

import numpy as np
import pytest
import torch

from fields import Balls, Boxes, Gaussians, Interpolated, PlaneWaves
from tests.compare import assert_close
from tests.laws.registry import DIMS, points

every_dim = pytest.mark.parametrize("dim", DIMS)


@pytest.mark.parametrize("t", [1e-3, 1e-6, 1e-9, 1e-12])
def test_norms_of_what_nearly_cancels(t: float) -> None:
    """‖F − t▷F‖ ≈ t‖F'‖ for what is smooth; for an interval twice a strip of width t: √(2t)."""
    slopes = {
        Gaussians([[0.0]], [[1.0]], [1.0]): math.sqrt(math.sqrt(math.pi) / 2),
        PlaneWaves([[1.0]], [[1.0]]): 2 * math.pi / math.sqrt(2),
    }
    for field, slope in slopes.items():
        # Of values that cancel, eps/t is left, of which quadratures average many.
        assert float((field - field.translate([t])).norm()) == pytest.approx(t * slope, rel=1e-3)
    interval = Balls([[0.0]], [[1.0]], [1.0])
    found = float((interval - interval.translate([t])).norm()) ** 2
    assert abs(found - 2 * t) <= 100 * np.finfo(float).eps


def test_nothing_left_has_norm_and_gradient_zero() -> None:
    amplitudes = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
    field = Gaussians([[0.0]], amplitudes, [1.0])
    norm = (field - field).norm()
    norm.backward()
    assert norm.item() == 0.0
    assert amplitudes.grad.tolist() == [[0.0]]


def test_images_of_a_small_interval() -> None:
    """One of length ℓ on a period P: ‖F‖² = ℓ, F̂(1/P) = ℓ/P sinc(ℓ/P) exp(−2πi c/P), which no point may meet."""
    field = Balls([[3.37]], [[1.0]], [0.01]).periodize(8.0)
    assert float(field.norm()) == pytest.approx(math.sqrt(0.02), rel=1e-12)
    turned = np.exp(-2j * math.pi * 3.37 / 8) * 0.02 / 8 * np.sinc(0.02 / 8)
    assert complex(field.transform([[1 / 8]])) == pytest.approx(turned, rel=1e-12)
    wide = Boxes([[1.0]], [[1.0]], [12.0]).periodize(8.0)  # 2 on half of the period, 1 on the other
    assert float(wide.norm()) ** 2 == pytest.approx(4 * 4 + 4, rel=1e-12)


@every_dim
def test_interpolants_of_one_period_by_points(dim: int) -> None:
    """⟨F, t▷G⟩ of trigonometric polynomials, of even and odd sizes, as a mean over enough points."""
    draw = torch.Generator().manual_seed(dim)
    period, sizes = (4.0, 5.0, 3.0)[:dim], ((4, 6, 2)[:dim], (6, 5, 4)[:dim])
    f, g = (
        Interpolated(
            torch.randn(2, *n, generator=draw, dtype=torch.float64),
            [p / k for p, k in zip(period, n, strict=True)],
            origin,
        )
        for n, origin in zip(sizes, (0.3, -0.2), strict=True)
    )
    moved = g.translate(points(dim, 3))
    axes = [torch.arange(12, dtype=torch.float64) * p / 12 for p in period]
    x = torch.cartesian_prod(*axes).reshape(-1, dim)
    expected = (f(x) * moved(x)).sum(-1).mean(-1) * math.prod(period)
    assert_close(f.inner(moved), expected, 1000, float(f.norm() * g.norm()))
    frequencies = (
        torch.stack([torch.ones(dim), -2 * torch.ones(dim)]) / torch.tensor(period).double()
    )
    waves = torch.exp(-2j * math.pi * (x @ frequencies.double().mT))
    means = torch.einsum("npc,pk->nkc", moved(x).to(waves), waves) / len(x)
    assert_close(
        torch.view_as_real(moved.transform(frequencies.double())), torch.view_as_real(means), 1000
    )


def test_gradients_through_terms() -> None:
    """∂/∂(amplitudes, centres, widths, translation, matrix) of a norm, an integral, a transform."""
    numbers = [
        torch.tensor(v, dtype=torch.float64, requires_grad=True)
        for v in ([[1.0, -0.5]], [[0.2]], [0.7], [0.3], [[1.0, 0.5], [-0.3, 2.0]])
    ]

    def found(a, c, w, t, m):
        field = Gaussians(c, a, w)
        field = (2 * field + field.translate(t).mix(m))[[1, 0]] * torch.tensor([1.0, 2.0]).double()
        images = field.periodize(4.0)
        spectrum = torch.view_as_real(field.transform([[0.3]]))
        return field.norm(), field.integrate(), spectrum, images.norm(), images.integrate()

    assert torch.autograd.gradcheck(found, numbers)
