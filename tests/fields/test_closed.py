"""Inner products and transforms where a closed form ends: by quadrature what the closed form of the same field says."""

import math

import pytest
import torch

from fields import Constant, Formula, Gaussians, PlaneWaves
from tests.compare import assert_close, eps
from tests.laws.registry import DIMS, PERIOD

every_dim = pytest.mark.parametrize("dim", DIMS)
#: Of the quadratures, asked for and allowed.
RTOL, BOUND = 1e-9, 1e-8 / eps(torch.float64)


def wave(dim: int, channels: int = 1, seed: int = 0) -> PlaneWaves:
    """Three waves of the period that all fields here have."""
    generator = torch.Generator().manual_seed(seed)
    modes = torch.randint(-2, 3, (3, dim), generator=generator)
    parts = torch.randn(2, 3, channels, generator=generator, dtype=torch.float64)
    period = PERIOD[:dim]
    return PlaneWaves(
        modes / torch.tensor(period, dtype=torch.float64), torch.complex(*parts), period
    )


def hidden(field: PlaneWaves) -> Formula:
    """The same function, of which no closed form is known."""
    return Formula(lambda x: field(x), field.dim, field.channels, field.bandlimit, field.period)


@every_dim
def test_one_channel_beside_several(dim: int) -> None:
    """⟨F, g⟩ = Σ_c ⟨F_c, g⟩ for g with a single channel, either way round."""
    blobs = Gaussians([[0.1] * dim, [-0.3] * dim], [[1.0, -2.0, 0.5], [0.3, 1.0, 2.0]], [0.4, 0.5])
    blob = Gaussians([[0.2] * dim], [[1.0]], [0.6])
    for several, one in ((wave(dim, 3), wave(dim, seed=1)), (blobs, blob)):
        expected = sum(several[c].inner(one) for c in range(3))
        for left, right in ((several, one), (one, several)):
            assert_close(left.inner(right, rtol=RTOL), expected, BOUND, float(several.norm()))


@every_dim
def test_a_field_on_a_pedestal(dim: int) -> None:
    """⟨F + a, G⟩ = ⟨F, G⟩ + a∫G, on a period and on all of space."""
    narrow = Gaussians([[0.1] * dim], [[1.0]], [0.4])
    wide = Gaussians([[-0.2] * dim], [[0.5]], [0.6])
    for f, g in ((wave(dim), 1.0 + wave(dim, seed=1)), (narrow, wide)):
        expected = f.inner(g, rtol=RTOL) + 0.7 * g.integrate().sum(-1)
        assert_close((f + 0.7).inner(g, rtol=RTOL), expected, BOUND)


@every_dim
def test_translates_of_what_knows_nothing(dim: int) -> None:
    """⟨t▷F, G⟩ and the coefficients exp(−2πi f·t) F̂(f) of a formula, those of the waves that it is."""
    field, other, t = wave(dim), wave(dim, seed=1) + Constant(0.3, dim), [0.3, -1.7, 0.9][:dim]
    expected = field.translate(t).inner(other)
    assert_close(hidden(field).translate(t).inner(other, rtol=RTOL), expected, BOUND, 1.0)
    f = torch.cat([field.frequencies, -field.frequencies])
    found = hidden(field).translate(t).transform(f, rtol=RTOL)
    turns = (f @ torch.tensor(t, dtype=torch.float64))[:, None]
    moved = field.transform(f) * torch.exp(-2j * math.pi * turns)
    assert_close(torch.view_as_real(found), torch.view_as_real(moved), BOUND, 1.0)
