"""Refinement: the estimate of the error, the nodes that are tried, and how honest it is on random networks."""

import itertools
import math

import pytest
import torch

from benchmarks.honesty import outcomes, shares
from discretize import Grid, NotResolved, sample
from discretize.refinement import refined, refinements, relative_change
from fields import (
    Atoms,
    Ball,
    Box,
    Field,
    GaussianKernel,
    Gaussians,
    Mask,
    random_bandlimited,
)
from fields.evaluation.settling import estimated_error
from tests.compare import relative_error

# --- the estimate -------------------------------------------------------------------------------


@pytest.mark.parametrize("ms", [(1, 2, 3), (2, 3, 4), (3, 4, 6), (8, 12, 16), (30, 40, 60)])
@pytest.mark.parametrize(("order", "least", "most"), [(1, 1.0, 1.0), (2, 2.3, 5.0)])
def test_estimate_of_a_power_law(
    ms: tuple[int, int, int], order: int, least: float, most: float
) -> None:
    """Of values C/m^p the error is exact for p = 1; for p = 2 it is pessimistic by a factor that doesn't grow."""
    errors = [7.0 / m**order for m in ms]
    estimate = estimated_error(ms, [e - errors[-1] for e in errors[:-1]])
    assert least * (1 - 1e-12) <= estimate / errors[-1] <= most * (1 + 1e-12)


def test_one_change_that_is_small_by_chance_does_not_mislead() -> None:
    """The other one counts."""
    assert estimated_error((4, 6, 8), (1e-3, 1e-9)) == pytest.approx(1e-3)
    assert estimated_error((4, 6, 8), (1e-9, 1e-3)) == pytest.approx(3e-3)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_changes_are_those_of_the_worst_element(dim: int) -> None:
    """Each element of a batch by its own size, in the maximum norm and in L2; from or to zero by 1."""
    old = torch.zeros(3, 2, *(4,) * dim, dtype=torch.float64)
    old[0], old[1] = 1000.0, 1e-3
    new = old.clone()
    new[0] += 1.0
    assert relative_change(new, old, dim) == pytest.approx(1 / 1001)
    new[(1, 0, *(0,) * dim)] += 1e-4
    assert relative_change(new, old, dim) == pytest.approx(1e-4 / 1.1e-3)
    new[(2, 0, *(0,) * dim)] = 0.25
    assert relative_change(new, new * 0, dim) == pytest.approx(1.0)
    assert relative_change(new * 0, new * 0 + 0.25, dim) == 1
    assert relative_change(1e-200 * new, new * 0, dim) == 1  # whatever the unit
    assert relative_change(new, new + 1e-9, dim, rounding=torch.tensor(2e-9)) == 0
    assert math.isnan(relative_change(new / 0, old, dim))


def test_accuracy_of_a_batch_is_that_of_its_worst_element() -> None:
    """A faint element that needs finer nodes is resolved as if it were alone."""
    amplitudes = torch.tensor([1e6, 1.0]).double()[:, None, None]
    widths = torch.tensor([[2.0], [0.1]]).double()
    field = Gaussians(torch.zeros(2, 1, 1).double(), amplitudes, widths).pool(Box(0.83), "max")
    grid = Grid(9, 0.5, -1.9, boundary="none")
    f = sample(field, grid, rtol=1e-3)
    fine = sample(field, grid, refinement=200).values
    for found, expected in zip(f.values, fine, strict=True):
        assert relative_error(found, expected) <= f.accuracy <= 1e-3


# --- the nodes ----------------------------------------------------------------------------------


def test_nodes_grow_by_half_and_by_a_third_in_turns() -> None:
    wave = random_bandlimited(1, 1, 0.4, 8.0, seed=0)
    lattice = Grid(8, 1.0).lattice
    seen = list(itertools.islice(refinements(wave.pool(Ball(1.0)), lattice, 1), 9))
    assert seen == [1, 2, 3, 4, 6, 8, 12, 16, 24]
    assert next(refinements(wave, lattice, 7)) == 8


@pytest.mark.parametrize(
    ("spacing", "base"), [(0.5, 2), (2.0, 1), (0.75, 4), (1 / 3, 3), (1 / 6, 6), (math.pi, 1)]
)
def test_nodes_lie_on_the_lattice_of_atoms(spacing: float, base: int) -> None:
    """So that halving the nodes' distance doesn't make the common lattice finer than it need be."""
    wave = random_bandlimited(1, 1, 0.4, 8.0, seed=0)
    atoms = Atoms.from_array(torch.ones(3, 1, 1).double(), spacing)
    for field in (wave.convolve(atoms, exact=False), wave.pool(Mask(torch.ones(3), spacing))):
        found = refinements(field.pool(Ball(1.0)), Grid(8, 1.0).lattice, 1)
        assert [m / base for m in itertools.islice(found, 5)] == [1, 2, 3, 4, 6]


# --- giving up ----------------------------------------------------------------------------------


def test_a_tolerance_out_of_reach_is_given_up_early() -> None:
    """A kink is second order: what even fourth order couldn't reach isn't tried; the error reached is told."""
    field = random_bandlimited(2, 1, 0.4, 8.0, seed=0).map(torch.relu).pool(Ball(0.7), "max")
    grid = Grid((8, 8), 1.0)
    with pytest.raises(
        NotResolved, match=r"even at fourth order refinement \d+ is needed"
    ) as caught:
        sample(field, grid, rtol=1e-9, memory=1 << 20)
    assert caught.value.tail is not None
    reached = caught.value.tail
    assert 1e-9 < reached < 1
    assert f"estimated as {reached:.1e}" in str(caught.value)


# --- honesty ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dim", "count"), [(1, 30), (2, 8)])
def test_the_reported_error_is_honest(dim: int, count: int) -> None:
    """True ≤ 3 × reported in 95 % of random networks, reported ≤ 30 × true in 90 %; see benchmarks/honesty.py."""
    with torch.no_grad():
        found, refused = outcomes(count, dim, seed=5000)
    bounds, tight = shares(found)
    assert bounds >= 0.95
    assert tight >= 0.85  # of 8, one may be out
    assert refused <= count // 4


# --- deep networks ------------------------------------------------------------------------------


def deep(leaf: Field, kind: str, depth: int = 10) -> Field:
    """Convolutions with a residual branch around each but the first, a nonlinearity or pooling behind each."""
    draw = torch.Generator().manual_seed(7)
    field = leaf
    fn = {"relu": torch.relu, "gelu": torch.nn.functional.gelu, "tanh": torch.tanh}.get(kind)
    for layer in range(depth):
        matrix = torch.randn(2, 2, generator=draw, dtype=torch.float64)
        inner = field.convolve(GaussianKernel(0.3, matrix / 2), exact=False)
        if fn is not None:
            inner = inner.map(fn)
        elif layer % 2:
            inner = inner.pool(Box((1.6, 1.2)), kind)
        field = field + 0.5 * inner if layer else inner
    return field


@pytest.mark.parametrize("kind", ["relu", "gelu", "tanh", "mean", "max"])
def test_deep_networks_with_residual_branches(kind: str) -> None:
    """Ten layers on 64×64 to 1e-3, and honest about it."""
    leaf = random_bandlimited(2, 2, 0.1, 64.0, seed=3)
    grid = Grid((64, 64), 1.0)
    with torch.no_grad():
        found = refined(deep(leaf, kind), grid.lattice, 1e-3)
        assert found.error <= 1e-3
        part = Grid((5, 4), 1.0, [5.0, 20.0], boundary="none")
        reference = sample(deep(leaf, kind), part, refinement=2 * found.refinement).values
        here = found.values[..., 5:10, 20:24]
    assert relative_change(reference, here, 2) <= 1e-3
