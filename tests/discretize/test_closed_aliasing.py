"""Aliasing of fields whose norm and transform are closed: Parseval tells what no samples do."""

import math

import pytest
import torch

from discretize import Grid, NotResolved, aliasing, required_grid
from fields import Balls, Boxes, Constant, Gaussians
from fields.spectrum.coefficients import known_series
from tests.compare import assert_close

SMALL = Balls([[3.37]], [[1.0]], [0.01]).periodize(8.0)


def modes(k: torch.Tensor, width: float, period: float) -> torch.Tensor:
    """|C_k| of an interval: sin(πkw/L)/πk."""
    return width / period * torch.sinc(k * width / period)


def test_a_small_interval_is_nearly_all_aliased() -> None:
    """Seven modes below Nyquist of an energy w/L: .0175 of it. No 2^24 samples per period had told the rest."""
    inside = modes(torch.arange(-3, 4).double(), 0.02, 8.0).square().sum() / (0.02 / 8)
    told = aliasing(SMALL, Grid(8, 1.0), rtol=0.1)
    assert float(1 - inside) == pytest.approx(0.9825, abs=1e-4)
    assert abs(float(told.share - (1 - inside))) <= 1e-9
    assert 0 < told.tail <= 0.1
    assert float(SMALL.norm(1e-2)) == pytest.approx(math.sqrt(0.02), rel=1e-9)
    assert float(SMALL.transform([[1 / 8]]).abs()) == pytest.approx(0.0025, rel=1e-4)


def test_the_defect_is_that_of_the_coefficients() -> None:
    """On 8 points: Σ_j Σ_k |C_k|² + |Σ_k C_k|² over k ≡ j modulo 8, k ≠ j; the wave at Nyquist is left with half."""
    told = aliasing(SMALL, Grid(8, 1.0, [0.4]), rtol=0.03)
    k = torch.arange(-20_000, 20_001)
    turns = k.double() * (3.37 - 0.4) / 8
    c = modes(k.double(), 0.02, 8.0) * torch.exp(-2j * math.pi * turns)
    square = torch.zeros((), dtype=torch.float64)
    for j in range(-4, 5):
        weight = 0.5 if abs(j) == 4 else 1.0
        others = weight * c[((k - j) % 8 == 0) & (k != j)]
        square = square + others.abs().square().sum() + others.sum().abs() ** 2
    assert abs(float(told.defect - square.sqrt())) <= 0.06 * float(square.sqrt())
    shown = c[(k.abs() < 4).nonzero()[:, 0]]
    true = told.spectrum - told.folded
    assert_close(true[0, [5, 6, 7, 0, 1, 2, 3]], shown, 100, 1.0)


def test_shares_in_two_dimensions_and_of_every_element() -> None:
    """Products of intervals: the energy below Nyquist is a product of sums. Elements differ, channels add up."""
    sides = torch.tensor([[[0.7, 0.05]], [[1.3, 0.4]]]).double()
    centers = torch.tensor([[[1.0, 1.3]], [[0.2, 0.7]]]).double()
    field = Boxes(centers, [[1.0, -2.0]], sides).periodize((4.0, 2.0))
    told = aliasing(field, Grid((8, 5), (0.5, 0.4)), rtol=0.2)
    k = torch.arange(-3, 4).double()
    for share, (a, b) in zip(told.share, sides[:, 0].tolist(), strict=True):
        inside = modes(k, a, 4.0).square().sum() * modes(k[1:-1], b, 2.0).square().sum()
        assert abs(float(share - (1 - inside / (a / 4 * b / 2)))) <= 1e-9


def test_units_and_constants_change_no_share() -> None:
    expected = aliasing(SMALL, Grid(8, 1.0), rtol=0.1)
    for unit in (1e-200, 1e200):
        told = aliasing(SMALL * unit, Grid(8, 1.0), rtol=0.1)
        assert_close(told.share, expected.share, 1e4)
        assert_close(told.defect / unit, expected.defect, 100)
    zero = aliasing(0.0 * SMALL, Grid(8, 1.0), rtol=0.1)
    assert float(zero.share) == 0.0 == zero.tail
    raised = aliasing(SMALL + Constant(3.0, 1), Grid(8, 1.0), rtol=0.01)
    k = torch.arange(-3, 4).double()
    lost = 0.02 / 8 - float(modes(k, 0.02, 8.0).square().sum())
    assert float(raised.share) == pytest.approx(lost / (9 + 6 * 0.02 / 8 + 0.02 / 8), rel=1e-6)


def test_required_grids_are_the_coarsest() -> None:
    """One mode less per axis leaves out more than is allowed."""
    (n,) = required_grid(SMALL, 0.1).shape
    k = torch.arange(-(n // 2), n // 2 + 1).double()
    energy = modes(k, 0.02, 8.0).square() / (0.02 / 8)
    assert 1 - float(energy.sum()) <= 0.1**2 * 1.02
    assert 1 - float(energy[1:-1].sum()) > 0.1**2 * 0.97


def test_what_takes_too_many_coefficients_is_refused() -> None:
    with pytest.raises(
        NotResolved, match=r"more than \d+ Fourier coefficients.*leave a tail of"
    ) as e:
        aliasing(SMALL, Grid(8, 1.0), memory=1 << 22)
    k = torch.arange(-(1 << 14), (1 << 14) + 1).double()
    left = 1 - float(modes(k, 0.02, 8.0).square().sum()) / (0.02 / 8)
    assert e.value.tail == pytest.approx(math.sqrt(left), rel=1e-6)
    assert str(e.value) == (
        "rtol = 0.001 can't be reached: more than 32769 Fourier coefficients are needed, which leave a tail of "
        f"{math.sqrt(left):.1e} (relative, L2), and with 65537 coefficients this needs 6 MiB, the bound is 4 MiB. "
        "What helps: a larger rtol, a smoother field, a larger memory=…"
    )
    with pytest.raises(NotResolved):
        SMALL.resolve(0.1, memory=1 << 24)


def test_only_what_is_known_well_enough_is_summed() -> None:
    """Energies of terms that cancel, or tolerances below what rounding leaves of a difference, are for samples."""
    origin = torch.zeros(1).double()

    def known(field: object, rtol: float) -> bool:
        return known_series(field, (8.0,), rtol, 1 << 26, origin) is not None  # type: ignore[arg-type]

    bell = Gaussians([[3.0]], [[1.0]], [0.8]).periodize(8.0)
    assert known(bell, 1e-3)
    assert not known(bell, 1e-6)
    assert not known(bell - bell.translate([1e-9]), 1e-3)
    assert not known(bell * bell, 1e-3)
