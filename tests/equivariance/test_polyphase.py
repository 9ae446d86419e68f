"""Polyphase components under translations: bit for bit what the formula says."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discretize import Grid, Samples, Stride
from equivariance import polyphase, polyphase_action
from fields import Constant


def samples(shape, batch=(), dtype=torch.float64, spacing=0.5, origin=0.25):
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(*batch, 2, *shape, generator=draw, dtype=dtype)
    return Samples(values, Grid(shape, spacing, origin * torch.ones(len(shape))))


def rolled(values, steps):
    return values.roll(tuple(steps), tuple(range(-len(steps), 0)))


@pytest.mark.parametrize(
    ("shape", "s"), [((6,), 2), ((9,), 3), ((4, 6), 2), ((4, 6), (2, 3)), ((4, 2, 6), (2, 1, 3))]
)
def test_components_and_their_grids(shape, s):
    f = samples(shape, batch=(3,))
    parts = polyphase(f, s)
    strides = (s,) * len(shape) if isinstance(s, int) else s
    assert list(parts) == list(itertools.product(*map(range, strides)))
    seen = torch.zeros_like(f.values)
    points = f.grid.points()
    for phase, part in parts.items():
        coset = tuple(slice(p, None, q) for p, q in zip(phase, strides, strict=True))
        assert torch.equal(part.values, f.values[..., *coset])
        torch.testing.assert_close(part.grid.points(), points[coset], rtol=0, atol=1e-15)
        seen[..., *coset] += 1
    assert bool((seen == 1).all()), "cosets are a partition"
    kept = Stride(s)(f)
    first = parts[(0,) * len(shape)]
    assert torch.equal(kept.values, first.values)
    assert kept.grid.coincides(first.grid)


@given(
    st.integers(1, 3).flatmap(
        lambda d: st.tuples(
            st.lists(st.integers(1, 3), min_size=d, max_size=d),
            st.lists(st.integers(1, 3), min_size=d, max_size=d),
            st.lists(st.integers(-20, 20), min_size=d, max_size=d),
        )
    )
)
def test_a_translation_permutes_and_rolls(case):
    strides, counts, t = case
    shape = [s * n for s, n in zip(strides, counts, strict=True)]
    f = samples(shape)
    before, after = polyphase(f, strides), polyphase(f._with(rolled(f.values, t)), strides)
    action = polyphase_action(strides, t)
    assert sorted(source for source, _ in action.values()) == sorted(before)
    for phase, (source, steps) in action.items():
        assert torch.equal(after[phase].values, rolled(before[source].values, steps))
    stays = all(n % s == 0 for n, s in zip(t, strides, strict=True))
    assert all(source == phase for phase, (source, _) in action.items()) == stays


@pytest.mark.parametrize("t", [(1, 0), (3, -2), (2, 3), (-5, 7)])
def test_as_functions_the_components_only_move(t):
    """x_q moved by t samples has the points and the values of the x_p that it becomes."""
    f = samples((4, 6), spacing=0.5)
    moved = f._with(rolled(f.values, t))
    parts, after = polyphase(f, (2, 3)), polyphase(moved, (2, 3))
    for phase, (source, _) in polyphase_action((2, 3), t).items():
        there = parts[source].translate([0.5 * n for n in t])
        assert torch.equal(there.resample(after[phase].grid).values, after[phase].values)


@pytest.mark.parametrize(("t", "u"), [((1, 2), (3, -4)), ((-1, 5), (1, -5)), ((2, 3), (0, 1))])
def test_one_translation_after_the_other(t, u):
    s = (2, 3)
    first, second = polyphase_action(s, t), polyphase_action(s, u)
    both = polyphase_action(s, [a + b for a, b in zip(t, u, strict=True)])
    for phase, (source, steps) in both.items():
        middle, last = second[phase]
        begin, before = first[middle]
        assert (begin, tuple(a + b for a, b in zip(before, last, strict=True))) == (source, steps)


def test_batches_of_origins_and_single_precision():
    values = torch.randn(3, 1, 6, generator=torch.Generator().manual_seed(0))
    f = Samples(values, Grid(6, 1.0, torch.tensor([[0.0], [0.5], [7.0]])))
    part = polyphase(f, 3)[(2,)]
    assert part.dtype == torch.float32
    assert part.grid.origin.tolist() == [[2.0], [2.5], [9.0]]
    assert torch.equal(part.values, values[..., 2::3])


def test_a_grid_that_ends_in_a_part_of_a_cell():
    f = samples((5,))
    parts = polyphase(Samples(f.values, f.grid.replace(boundary="none")), 3)
    assert [part.grid.shape for part in parts.values()] == [(2,), (2,), (1,)]
    assert torch.equal(
        torch.cat([part.values for part in parts.values()], -1), f.values[..., [0, 3, 1, 4, 2]]
    )


def test_gradients_flow_back_to_their_samples():
    f = samples((6,))
    f.values.requires_grad_(True)
    polyphase(f, 2)[(1,)].values.sum().backward()
    assert f.values.grad[0].tolist() == [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]


def test_bad_input():
    f = samples((6,))
    with pytest.raises(TypeError, match="expected Samples, got Constant: a Field has no phases"):
        polyphase(Constant(1.0, dim=1), 2)
    with pytest.raises(ValueError, match="sizes that work are 4 or 8"):
        polyphase(f, 4)
    with pytest.raises(ValueError, match="stride must be integers of at least 1"):
        polyphase(f, 0)
    with pytest.raises(ValueError, match="only whole samples permute"):
        polyphase_action(2, 0.5)
    with pytest.raises(ValueError, match="translation t must be finite"):
        polyphase_action(2, float("nan"))
    with pytest.raises(ValueError, match="stride must be a number or 1 numbers"):
        polyphase_action((2, 2), 1)
    with pytest.raises(ValueError, match="translation t must be a number or 1 numbers, got 0"):
        polyphase_action(2, [])
