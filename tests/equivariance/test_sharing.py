"""Site-dependent nonlinearities and windows: what commutes is shared, in numbers known beforehand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discretize import Grid, Samples
from equivariance import shared_nonlinearity, shared_window
from equivariance.theorems.sharing import commutator
from fields import Ball, Box, Mask
from layers import AvgPool, MaxPool, Pointwise

EPS = np.finfo(float).eps
#: Rounding of a residue: means over up to 120 points.
ROUND_OFF = 64 * EPS
VALUES = torch.linspace(-2, 3, 7, dtype=torch.float64)[:, None]


def gains(grid: Grid, sites: torch.Tensor, fn=torch.tanh):
    """σ(x, u) = a(x)·fn(u)."""
    return lambda f: f._with(sites * fn(f.values), grid)


def at_sites(pools, grid: Grid, choice: torch.Tensor):
    """The pooling layer pools[choice(x)] at the point x."""

    def layer(f: Samples) -> Samples:
        outs = torch.stack([pool(f).values for pool in pools])
        return f._with(torch.gather(outs, 0, choice.expand(1, *outs.shape[1:]))[0])

    return layer


# --- nonlinearities ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(8,), (4, 6), (3, 4, 2)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("fn", [torch.relu, torch.tanh, lambda v: v**2 - 1])
def test_a_shared_nonlinearity_is_its_own_part(shape, dtype, fn):
    shared = shared_nonlinearity(Pointwise(fn), Grid(shape, 0.5), VALUES.to(dtype))
    expected = fn(VALUES.to(dtype)).numpy()
    np.testing.assert_allclose(shared.part, expected, atol=64 * EPS * abs(expected).max())
    assert shared.residue <= ROUND_OFF
    assert shared.commutator == 0


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=12))
def test_gains_in_closed_form(sites):
    """‖a − ā‖/‖a‖, the gains' spread, whatever the function; and the layer itself commutes where it vanishes."""
    a = np.array(sites)
    if abs(a).max() < 1e-3:
        return
    grid = Grid(len(a), 1.0)
    shared = shared_nonlinearity(gains(grid, torch.tensor(a)), grid, VALUES)
    expected = np.linalg.norm(a - a.mean()) / np.linalg.norm(a)
    assert shared.residue == pytest.approx(expected, abs=1e3 * EPS)
    part = a.mean() * torch.tanh(VALUES).numpy()
    np.testing.assert_allclose(shared.part, part, atol=64 * EPS)
    assert (shared.commutator == 0) == (np.ptp(a) == 0)
    assert (shared.residue <= 1e3 * EPS) == (np.ptp(a) <= 1e3 * EPS * abs(a).max())


def test_one_site_of_many_is_noticed():
    grid = Grid((5, 4), 1.0)
    sites = torch.ones(5, 4, dtype=torch.float64)
    sites[2, 3] += 1e-6
    shared = shared_nonlinearity(gains(grid, sites), grid, VALUES)
    assert 1e-8 < shared.residue < 1e-6
    assert 1e-8 < shared.commutator < 1e-5


def test_functions_that_agree_at_some_values_only():
    """σ(x, ·) is ReLU or the identity: alike for positive values, and told apart by negative ones."""
    grid = Grid(6, 1.0)
    odd = torch.tensor([False, True] * 3)

    def layer(f):
        return f._with(torch.where(odd, torch.relu(f.values), f.values))

    positive = shared_nonlinearity(layer, grid, [[0.5], [2.0]])
    both = shared_nonlinearity(layer, grid, [[0.5], [2.0], [-1.0]])
    assert (positive.residue <= ROUND_OFF, positive.commutator) == (True, 0)
    assert both.residue == pytest.approx(np.sqrt(6 / 4) / np.sqrt(6 * 4.25 + 3), rel=1e-12)
    assert both.commutator > 0.1
    assert both.part[:, 0].tolist() == pytest.approx([0.5, 2.0, -0.5])


def test_functions_of_the_channel_vector():
    """Norm-gated vectors, 2 → 3 channels; the gate's threshold differs between two halves of the plane."""
    grid = Grid((4, 4), 1.0)
    matrix = torch.tensor([[1.0, 0.0], [0.5, -1.0], [0.0, 2.0]], dtype=torch.float64)
    probes = torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def gate(u, threshold):
        return (torch.linalg.vector_norm(u, dim=-1, keepdim=True) > threshold) * (u @ matrix.T)

    shared = shared_nonlinearity(Pointwise(lambda u: gate(u, 1.0)), grid, probes)
    np.testing.assert_allclose(shared.part, gate(probes, 1.0).numpy(), atol=16 * EPS)
    assert (shared.residue <= ROUND_OFF, shared.commutator) == (True, 0)

    thresholds = torch.tensor([0.5, 0.5, 1.5, 1.5], dtype=torch.float64)[:, None, None]

    def layer(f):
        return f._with(gate(f.values.movedim(-3, -1), thresholds).movedim(-1, -3))

    parted = shared_nonlinearity(layer, grid, probes)
    halves = [gate(probes, t).numpy() for t in (0.5, 1.5)]
    np.testing.assert_allclose(parted.part, sum(halves) / 2, atol=16 * EPS)
    norms = [np.linalg.norm(h) for h in (halves[0] - halves[1], *halves)]
    assert parted.residue == pytest.approx(norms[0] / 2 / np.hypot(*norms[1:]) * np.sqrt(2))
    assert parted.commutator > 0.1


# --- windows -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (MaxPool(Box(1.5)), [0, 0, 1, 1, 1, 0, 0]),
        (MaxPool(Box(0.5)), [0, 0, 0, 1, 0, 0, 0]),
        (AvgPool(Box(2.5)), [0, 0.2, 0.2, 0.2, 0.2, 0.2, 0]),
        (
            AvgPool(Mask(torch.tensor([1.0, 2.0, 0.0, 0.0, 5.0]), 0.5)),
            [0, 0.125, 0.25, 0, 0, 0.625, 0],
        ),
    ],
)
def test_shared_windows(layer, expected):
    shared = shared_window(layer, Grid(7, 0.5))
    np.testing.assert_allclose(shared.part, expected, atol=8 * EPS)
    assert shared.residue <= ROUND_OFF
    assert shared.commutator <= ROUND_OFF


@pytest.mark.parametrize(("shape", "taps"), [((5, 6), 5), ((5, 4, 6), 7)])
def test_balls(shape, taps):
    shared = shared_window(MaxPool(Ball(1.2)), Grid(shape, 1.0))
    assert shared.part.shape == tuple(n | 1 for n in shape)
    assert shared.part.sum() == pytest.approx(taps)
    assert shared.part[tuple(n // 2 for n in shared.part.shape)] == pytest.approx(1)
    assert (shared.residue <= ROUND_OFF, shared.commutator) == (True, 0)


@pytest.mark.parametrize("wide", [1, 3, 6])
def test_windows_of_two_widths_in_closed_form(wide):
    """Three samples at some of 8 sites, one at the others: the shared part has p = wide/8 beside the centre."""
    grid = Grid(8, 1.0)
    choice = (torch.arange(8) < wide).long()
    layer = at_sites([MaxPool(Box(1.0)), MaxPool(Box(3.0))], grid, choice)
    shared = shared_window(layer, grid)
    p = wide / 8
    np.testing.assert_allclose(shared.part, [0, 0, 0, p, 1, p, 0, 0, 0], atol=8 * EPS)
    assert shared.residue == pytest.approx(np.sqrt(2 * p * (1 - p) / (1 + 2 * p)), rel=1e-12)
    assert shared.commutator > 0.05


def test_one_site_of_many_with_another_window():
    grid = Grid((6, 6), 1.0)
    choice = torch.zeros(6, 6, dtype=torch.long)
    pools = [MaxPool(Ball(1.0)), MaxPool(Box(3.0))]
    same = shared_window(at_sites(pools, grid, choice), grid)
    choice[3, 1] = 1
    other = shared_window(at_sites(pools, grid, choice), grid)
    assert (same.residue <= ROUND_OFF, same.commutator) == (True, 0)
    assert (other.residue > 0.05, other.commutator > 1e-3) == (True, True)


def test_windows_in_single_precision():
    shared = shared_window(AvgPool(Box(3.0)), Grid(6, 1.0), dtype=torch.float32)
    assert max(shared.residue, shared.commutator) <= 8 * torch.finfo(torch.float32).eps


# --- bad input ------------------------------------------------------------------------------------------------------


def test_bad_input():
    grid = Grid(6, 1.0)
    for values in ([1.0, 2.0], np.ones((0, 1))):
        with pytest.raises(ValueError, match=r"values must have shape \(K, c\)"):
            shared_nonlinearity(Pointwise(torch.relu), grid, values)
    with pytest.raises(ValueError, match="values must be finite"):
        shared_nonlinearity(Pointwise(torch.relu), grid, [[float("nan")]])
    with pytest.raises(ValueError, match=r"keeps the grid's shape \(6,\), this one gives \(3,\)"):
        shared_nonlinearity(lambda f: f.stride(2), grid, [[1.0]])
    with pytest.raises(ValueError, match="expected 6 outputs, got 3"):
        shared_window(lambda f: f.stride(2), grid)
    with pytest.raises(ValueError, match="got boundary 'reflect'"):
        shared_window(MaxPool(Box(3.0)), Grid(6, 1.0, boundary="reflect"))


def test_a_commutator_that_is_no_number_is_not_zero():
    grid, values = Grid(4, 1.0), torch.tensor([[[1.0, 0.0, 0.0, 0.0]]], dtype=torch.float64)

    def layer(f):
        return f if float(f.values[0, 0, 0]) == 1 else f.map(lambda x: x / 0 * 0)

    assert math.isnan(commutator(layer, values, grid))
