"""The evaluator: arithmetic of boxes, and how often which values are computed."""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fields import Atoms, BoxKernel, Field, Formula, Gaussians, Kernel
from fields.evaluation.evaluation import evaluate, evaluate_points
from fields.evaluation.plan import LatticeTooLarge, Plan, graph
from fields.lattice import Box, Lattice, common_spacing, split
from tests.compare import assert_close
from tests.laws.registry import DIMS, points

axes = st.tuples(st.integers(-20, 20), st.integers(1, 6), st.integers(1, 5))


@st.composite
def boxes(draw: st.DrawFn, dim: int) -> Box:
    start, step, count = zip(*(draw(axes) for _ in range(dim)), strict=True)
    return Box(start, step, count)


def integers(start: Sequence[int], step: Sequence[int], count: Sequence[int]) -> list[set[int]]:
    """The members, axis by axis."""
    return [
        set(range(s, s + p * n, p)) if n > 1 else {s}
        for s, p, n in zip(start, step, count, strict=True)
    ]


def members(box: Box) -> list[set[int]]:
    return integers(box.start, box.step, box.count)


# --- boxes --------------------------------------------------------------------------------------


@given(boxes(2), boxes(2))
def test_union_is_the_smallest_box_with_both(left: Box, right: Box) -> None:
    """A ∪ B ⊆ the box, which begins and ends with A ∪ B and has the largest step that fits."""
    union = left.union(right)
    for both, a, b, step in zip(
        members(union), members(left), members(right), union.step, strict=True
    ):
        assert a | b <= both
        assert (min(both), max(both)) == (min(a | b), max(a | b))
        gaps = [x - min(both) for x in a | b if x != min(both)]
        assert len(both) == 1 or step == math.gcd(*gaps)
    assert left.union(right) == right.union(left)


@given(boxes(2), boxes(2))
def test_widened_holds_all_sums(box: Box, taps: Box) -> None:
    """A + B ⊆ the box, which begins and ends with A + B and has the largest step that fits."""
    wide = box.widened(taps.start, taps.step, taps.count)
    for sums, a, b, step in zip(members(wide), members(box), members(taps), wide.step, strict=True):
        expected = {x + y for x, y in itertools.product(a, b)}
        assert expected <= sums
        assert (min(sums), max(sums)) == (min(expected), max(expected))
        gaps = [x - min(sums) for x in expected if x != min(sums)]
        assert len(sums) == 1 or step == math.gcd(*gaps)


@given(boxes(2), boxes(2))
def test_within_takes_the_box_out_of_a_larger_one(left: Box, right: Box) -> None:
    """Of the list of the union's integers, the slice is the list of the box's."""
    outer = left.union(right)
    for box in (left, right):
        for whole, part, cut in zip(members(outer), members(box), box.within(outer), strict=True):
            assert sorted(whole)[cut] == sorted(part)
        assert box.points == math.prod(map(len, members(box)))


@given(boxes(2), st.tuples(st.integers(-9, 9), st.integers(-9, 9)))
def test_moved(box: Box, by: tuple[int, int]) -> None:
    assert members(box.moved(by)) == [
        {x + m for x in axis} for axis, m in zip(members(box), by, strict=True)
    ]


# --- positions ----------------------------------------------------------------------------------


@given(st.floats(-1e6, 1e6))
def test_split(position: float) -> None:
    """position = whole + fraction, 0 ≤ fraction < 1."""
    whole, fraction = split(position)
    assert 0 <= fraction < 1
    assert whole + fraction == pytest.approx(position, abs=1e-11 * max(1, abs(position)))


@given(st.integers(-1000, 1000), st.floats(-1e-12, 1e-12))
def test_split_forgives_rounding(whole: int, rounding: float) -> None:
    """What is an integer up to rounding error is that integer, from above and from below."""
    assert split(whole + rounding) == (whole, 0.0)


@given(st.integers(1, 64), st.integers(1, 64), st.floats(1e-3, 1e3))
def test_common_spacing(p: int, q: int, unit: float) -> None:
    """gcd(p·u, q·u) = gcd(p, q)·u."""
    expected = math.gcd(p, q) * unit
    assert common_spacing(p * unit, q * unit) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("ratio", [math.sqrt(2), math.pi, 67 / 71, 1 + 1e-6])
def test_incommensurable_spacings(ratio: float) -> None:
    assert common_spacing(1.0, ratio) is None
    assert common_spacing(ratio, 1.0) is None


def test_large_multiples_are_commensurable() -> None:
    """A ratio of 1 : 1000 is a whole number, whichever comes first."""
    assert common_spacing(1.0, 1e-3) == common_spacing(1e-3, 1.0) == pytest.approx(1e-3)
    assert Fraction(1, 1000) == Fraction(1.0 / 1000).limit_denominator(2000)


@pytest.mark.parametrize("dim", DIMS)
def test_points_of_a_lattice(dim: int) -> None:
    """x_i = origin + h·i, first axis first; batches of origins in front."""
    origins, spacing = points(dim, 2), (0.5, 0.25, 2.0)[:dim]
    x = Lattice(origins, spacing, (2, 3, 4)[:dim]).points()
    assert x.shape == (2, *(2, 3, 4)[:dim], dim)
    index = (1, 2, 3)[:dim]
    expected = origins + torch.tensor(spacing) * torch.tensor(index)
    assert_close(x[(slice(None), *index)], expected, 2, 1.0)


# --- every node once ----------------------------------------------------------------------------


class Counted:
    """A formula that counts the points it is asked for."""

    def __init__(self, dim: int) -> None:
        self.calls: list[int] = []
        self.field = Formula(self, dim, 1)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append(x.shape[:-1].numel())
        return torch.sin(x.sum(-1, keepdim=True))


def three_taps(dim: int) -> Atoms:
    return Atoms.from_array(torch.ones(*(3,) * dim, 1, 1).double(), 1.0)


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("layers", [1, 3, 6])
def test_a_chain_asks_its_input_once_on_a_widened_grid(dim: int, layers: int) -> None:
    """r layers of radius 1 on n points a side cost (n + 2r)^d values of the input."""
    counted = Counted(dim)
    field = counted.field
    for _ in range(layers):
        field = field.convolve(three_taps(dim))
    evaluate(field, Lattice(torch.zeros(dim).double(), (1.0,) * dim, (4,) * dim))
    assert counted.calls == [(4 + 2 * layers) ** dim]


@pytest.mark.parametrize("blocks", [1, 4, 8])
def test_residual_branches_do_not_multiply(blocks: int) -> None:
    """x + K*x, eight times, asks for every node once: halos are united where branches meet."""
    counted = Counted(1)
    field = counted.field
    for _ in range(blocks):
        field = field + field.convolve(three_taps(1)).map(torch.relu)
    lattice = Lattice(torch.zeros(1).double(), (1.0,), (4,))
    evaluate(field, lattice)
    assert counted.calls == [4 + 2 * blocks]
    plan = Plan(field, lattice.spacing, lattice.shape)
    assert len(graph(field)) == 1 + 3 * blocks
    assert all(len(frames) == 1 for frames in plan.boxes.values())


def test_branches_moved_by_the_same_translations_meet() -> None:
    """s▷t▷F + t▷s▷F asks F once."""
    counted, s, t = Counted(1), torch.tensor([0.3]).double(), torch.tensor([0.1]).double()
    field = counted.field.translate(s).translate(t) + counted.field.translate(t).translate(s)
    evaluate(field, Lattice(torch.zeros(1).double(), (1.0,), (5,)))
    assert counted.calls == [5]


@pytest.mark.parametrize("dim", DIMS)
def test_a_density_costs_its_nodes(dim: int) -> None:
    """One point of a box of half-width 1 with nodes 1/4 apart: 9 nodes a side, the rim's included."""
    counted = Counted(dim)
    evaluate(
        counted.field.convolve(BoxKernel(2.0, [[1.0]]), nodes=4),
        Lattice(torch.zeros(dim).double(), (1.0,) * dim, (1,) * dim),
    )
    assert counted.calls == [9**dim]


def test_a_coarse_grid_skips_points_between() -> None:
    """Taps a whole grid spacing apart ask for no point of the finer lattice of another layer."""
    counted = Counted(1)
    field = counted.field.convolve(Atoms([[0.0], [4.0]], torch.ones(2, 1, 1).double()))
    evaluate(field, Lattice(torch.zeros(1).double(), (2.0,), (5,)))
    assert counted.calls == [7]  # 0 − 4, …, 8 in steps of 2


# --- limits -------------------------------------------------------------------------------------


def test_memory_bound() -> None:
    """What would need more than it may is refused before any value is computed."""
    counted = Counted(2)
    field = counted.field.convolve(three_taps(2))
    lattice = Lattice(torch.zeros(2).double(), (1.0, 1.0), (1000, 1000))
    with pytest.raises(LatticeTooLarge, match=r"this needs \d+ MiB, the bound is 1 MiB"):
        evaluate(field, lattice, memory=1 << 20)
    assert counted.calls == []


def test_points_are_taken_in_parts() -> None:
    """Scattered points use bounded memory, and the parts are joined in order."""
    counted, x = Counted(1), points(1, 20)
    field = counted.field.convolve(BoxKernel(2.0, [[1.0]]), nodes=64)
    needed = Plan(field, (1.0,), (1,)).peak()
    values = evaluate_points(field, x, memory=3 * needed)
    assert max(counted.calls) == 3 * 129
    assert sum(counted.calls) == 20 * 129
    assert_close(values, field(x), 10)
    with pytest.raises(LatticeTooLarge, match="one point of this composition needs"):
        evaluate_points(field, x, memory=needed // 8)


def test_spacings_that_multiply_each_other_are_refused() -> None:
    """Ten layers of incommensurable atoms would need 3¹⁰ lattices."""
    field: Field = Gaussians([[0.0]], [[1.0]], [1.0])
    for offsets in points(3, 10):
        field = field.convolve(Atoms(offsets[:, None], torch.ones(3, 1, 1).double()))
    with pytest.raises(LatticeTooLarge, match="have no common lattice and multiply each other"):
        field([0.0])


def test_densities_off_the_lattice_of_atoms_are_still_exact() -> None:
    """Nodes at multiples of 1/4, atoms at multiples of √2: one coset of nodes at a time."""
    density = Kernel(lambda y: torch.exp(y)[..., None], 1, 1, 0.6)
    atoms = Atoms([[0.0], [math.sqrt(2)], [3 * math.sqrt(2)]], torch.ones(3, 1, 1).double())
    field, x = Gaussians([[0.3]], [[1.0]], [0.8]), points(1)
    inner = field.convolve(density, nodes=2)
    expected = sum(inner(x - o) for o in atoms.offsets)
    assert_close(inner.convolve(atoms)(x), expected, 100)
    assert_close(field.convolve(atoms).convolve(density, nodes=2)(x), expected, 100)
