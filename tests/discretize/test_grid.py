"""Grids: the affine rule origin + spacing·i, and what striding, refining and moving do to it."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discretize import Grid
from tests.compare import assert_close
from tests.laws.registry import DIMS, points

every_dim = pytest.mark.parametrize("dim", DIMS)
BOUNDARIES = ["periodic", "zero", "reflect", "nearest", "none"]


def grid(dim: int, boundary: str = "periodic") -> Grid:
    shape, spacing, origin = (12, 6, 18)[:dim], (0.5, 0.25, 2.0)[:dim], [0.1, -1.0, 7.0][:dim]
    return Grid(shape, spacing, origin, boundary)


@every_dim
def test_points(dim: int) -> None:
    """x_i = origin + h·i, shape (X1, …, Xd, d)."""
    g = grid(dim)
    index = torch.tensor((3, 5, 2)[:dim])
    expected = g.origin + torch.tensor(g.spacing) * index
    assert g.points().shape == (*g.shape, dim)
    assert_close(g.points()[tuple(index)], expected, 2, 10.0)
    assert g.extent == tuple(n * h for n, h in zip(g.shape, g.spacing, strict=True))
    assert g.nyquist == tuple(1 / (2 * h) for h in g.spacing)


def test_numbers_are_repeated() -> None:
    g = Grid((3, 4), 0.5, 1.0)
    assert (g.spacing, g.origin.tolist(), g.dim) == ((0.5, 0.5), [1.0, 1.0], 2)
    assert Grid(5, 0.5).shape == (5,)
    assert "boundary='periodic'" in repr(g)


@every_dim
def test_batched_origins(dim: int) -> None:
    """One grid per batch element, points with the batch in front."""
    origins = points(dim, 6).reshape(2, 3, dim)
    g = grid(dim).replace(origin=origins)
    assert g.batch == (2, 3)
    for i, j in [(0, 0), (1, 2)]:
        assert torch.equal(g.points()[i, j], grid(dim).replace(origin=origins[i, j]).points())
    assert f"<{(2, 3, dim)}>" in repr(g)


@every_dim
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("phase", [0, 1, 2])
def test_stride_keeps_every_third_point(dim: int, boundary: str, phase: int) -> None:
    """Points phase, phase + s, … of the grid, s times the spacing."""
    g = grid(dim, boundary)
    kept = g.stride(3, phase)
    expected = g.points()[tuple(slice(phase, None, 3) for _ in range(dim))]
    assert_close(kept.points(), expected, 4)
    assert kept.boundary == boundary
    assert kept.extent == pytest.approx(g.extent)


@pytest.mark.parametrize("boundary", ["zero", "reflect", "nearest", "none"])
@given(size=st.integers(1, 12), stride=st.integers(1, 5), phase=st.integers(0, 4))
def test_stride_of_other_sizes(boundary: str, size: int, stride: int, phase: int) -> None:
    """Where nothing wraps, what is left of range(n)[phase::s], if anything."""
    g = Grid(size, 1.0, boundary=boundary)
    kept = list(range(size))[phase::stride]
    if phase < stride and kept:
        assert g.stride(stride, phase).points().flatten().tolist() == kept
        return
    with pytest.raises(ValueError, match=r"the phase of a stride|leaves nothing"):
        g.stride(stride, phase)


@every_dim
def test_phases_of_a_batch(dim: int) -> None:
    """Every element keeps the points from its own phase on."""
    phases = torch.tensor([[0, 1, 2], [2, 0, 1]])[:, :dim]
    kept = grid(dim).stride(3, phases)
    for i, phase in enumerate(phases):
        assert torch.equal(kept.points()[i], grid(dim).stride(3, phase).points())
    known = grid(dim, "none").replace(shape=(10,) * dim).stride(3, phases)
    assert known.shape == tuple(-(-(10 - int(p)) // 3) for p in phases.amax(0))


@every_dim
@given(st.integers(1, 4), st.integers(1, 4))
def test_strides_multiply(dim: int, s: int, t: int) -> None:
    """stride(s).stride(t) = stride(s·t)."""
    g = Grid((s * t * 2,) * dim, 0.5, 0.3)
    once, twice = g.stride(s * t), g.stride(s).stride(t)
    assert once.coincides(twice)
    assert once.shape == twice.shape == (2,) * dim


@every_dim
@given(st.integers(1, 7))
def test_refining_undoes_striding(dim: int, m: int) -> None:
    """refine(m).stride(m) = the grid itself, of the same extent."""
    g = grid(dim)
    fine = g.refine(m)
    assert fine.extent == pytest.approx(g.extent)
    assert fine.stride(m).coincides(g)


@every_dim
def test_dilating(dim: int) -> None:
    """n more points on either side: the old ones are the inner ones."""
    g = grid(dim, "none")
    wide = g.dilate((2, 0, 3)[:dim])
    inner = tuple(slice(n, n + size) for n, size in zip((2, 0, 3)[:dim], g.shape, strict=True))
    assert_close(wide.points()[inner], g.points(), 4)
    assert g.steps_to(wide).tolist() == [-n for n in (2, 0, 3)[:dim]]


# --- where two grids coincide -------------------------------------------------------------------

steps = st.integers(-1000, 1000)
positions = st.floats(-1e6, 1e6).filter(lambda x: abs(x) > 1e-6)


@given(steps, positions, st.floats(1e-3, 1e3))
def test_steps_to_a_grid_moved_by_whole_spacings(k: int, origin: float, spacing: float) -> None:
    """k, however far from zero the grids lie."""
    g = Grid(8, spacing, origin)
    assert g.steps_to(g.translate(k * spacing)).tolist() == [k]


@given(steps, st.floats(1e-6, 1 - 1e-6))
def test_grids_between_are_on_no_common_lattice(k: int, fraction: float) -> None:
    g = Grid(8, 0.5, 3.0)
    moved = g.translate(0.5 * (k + fraction))
    assert g.steps_to(moved) is None
    assert not g.coincides(moved)


def test_steps_of_a_batch() -> None:
    """One step per element; None where one element is off the lattice."""
    g = Grid(8, 0.5)
    assert g.steps_to(g.translate(torch.tensor([[0.5], [-1.0]]))).tolist() == [[1], [-2]]
    assert g.steps_to(g.translate(torch.tensor([[0.5], [-1.1]]))) is None
    assert g.steps_to(Grid(8, 0.25)) is None


def test_coincidence_needs_origin_spacing_and_shape() -> None:
    g = Grid((4, 6), 0.5)
    assert g.coincides(Grid((4, 6), 0.5, boundary="none"))
    others = [Grid((4, 5), 0.5), Grid((4, 6), 0.25), g.translate([0.5, 0.0]), g.translate([0.1, 0])]
    assert not any(g.coincides(other) for other in others)


@every_dim
def test_gradients_flow_to_origins(dim: int) -> None:
    """∂ points/∂ origin = 1."""
    origin = torch.zeros(dim, dtype=torch.float64, requires_grad=True)
    g = grid(dim).replace(origin=origin).translate([1.0] * dim).stride(2, 1).refine(2).dilate(1)
    g.points().sum().backward()
    assert origin.grad.tolist() == [math.prod(g.shape)] * dim


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Grid((), 1.0), "1, 2 or 3 axes, got 0"),
        (lambda: Grid((2, 2, 2, 2), 1.0), "1, 2 or 3 axes, got 4 or more"),
        (lambda: Grid((0, 3), 1.0), "the shape of a grid must be integers of at least 1"),
        (lambda: Grid(-4, 1.0), "the shape of a grid must be integers of at least 1"),
        (lambda: Grid((2.5, 3), 1.0), "the shape of a grid must be integers"),
        (lambda: Grid((4, 4), 0.0), "spacing must be positive"),
        (lambda: Grid((4, 4), (1.0, -1.0)), "spacing must be positive"),
        (lambda: Grid((4, 4), math.nan), "spacing must be finite"),
        (lambda: Grid((4, 4), (1.0,)), "spacing must be a number or 2 numbers, got 1"),
        (lambda: Grid((4, 4), 1.0, [0.0]), r"has shape \(2,\) or \(\*batch, 2\), got \(1,\)"),
        (lambda: Grid(4, 1.0, math.inf), "origin must be finite"),
        (lambda: Grid(4, 1.0, boundary="wrap"), "boundary must be one of periodic, zero"),
        (lambda: Grid(4, 1.0).stride(0), "stride must be integers of at least 1"),
        (lambda: Grid(4, 1.0).stride((2, 2)), "stride must be a number or 1 numbers"),
        (lambda: Grid(4, 1.0).stride(2, 2), r"the phase of a stride \(2,\) lies in \[0, stride\)"),
        (lambda: Grid(4, 1.0).stride(2, -1), r"the phase of a stride \(2,\) lies in"),
        (lambda: Grid(4, 1.0).stride(2, 0.5), "the phase of a stride must be integers"),
        (
            lambda: Grid((4, 4), 1.0).stride(2, torch.zeros(2, 3)),
            r"an integer, or one per axis, \(\*batch, 2\), got shape \(2, 3\)",
        ),
        (lambda: Grid((4, 4), 1.0).stride(2, torch.zeros(0, 2)), r"got shape \(0, 2\)"),
        (lambda: Grid(2, 1.0, boundary="none").stride(4, 3), "leaves nothing of shape"),
        (lambda: Grid(4, 1.0).refine(0), "refinement must be integers"),
        (lambda: Grid(4, 1.0).dilate(-1), "dilation must be integers of at least 0"),
        (lambda: Grid(4, 1.0).translate([1.0, 2.0]), "a translation in 1 dimensions has shape"),
        (lambda: Grid(4, 1.0).steps_to(Grid((4, 4), 1.0)), "grids with 1 and 2 axes"),
    ],
)
def test_bad_input(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("shape", "stride", "sizes"),
    [
        ((10,), 3, "9 or 12"),
        ((10, 9), 3, "9 or 12, 9"),
        ((10, 8), (3, 5), "9 or 12, 5 or 10"),
    ],
)
def test_strides_that_do_not_divide_name_the_nearest_sizes(shape, stride, sizes: str) -> None:
    with pytest.raises(ValueError, match=rf"doesn't divide the periodic .* work are {sizes}$"):
        Grid(shape, 1.0).stride(stride)


def test_spacings_keep_their_ratio_under_refinement() -> None:
    """h/m·m is h up to rounding for every m up to 100: refined grids stay on the lattice."""
    g = Grid(2, float(Fraction(1, 3)))
    assert all(g.refine(m).stride(m).coincides(g) for m in range(1, 101))
