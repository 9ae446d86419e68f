"""Samples: torch's and scipy's operations on arrays are the oracles for the vocabulary."""

import itertools
import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given
from hypothesis import strategies as st

from discretize import Grid, Samples, sample
from fields import (
    Atoms,
    Ball,
    Box,
    BoxKernel,
    Constant,
    Formula,
    GaussianKernel,
    Gaussians,
    Mask,
    random_bandlimited,
)
from tests.compare import assert_close
from tests.laws.registry import DIMS, points

every_dim = pytest.mark.parametrize("dim", DIMS)
SHAPE, SPACING = (8, 7, 6), (0.5, 0.25, 2.0)
SCIPY = {"periodic": "wrap", "zero": "constant", "reflect": "mirror", "nearest": "nearest"}
every_boundary = pytest.mark.parametrize("boundary", SCIPY)


def noise(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def samples(dim: int, boundary: str = "periodic", batch: tuple[int, ...] = ()) -> Samples:
    grid = Grid(SHAPE[:dim], SPACING[:dim], 0.3, boundary)
    return Samples(noise(*batch, 2, *SHAPE[:dim]), grid)


# --- convolution --------------------------------------------------------------------------------


@every_dim
@pytest.mark.parametrize("side", [1, 3, 5])
def test_convolution_against_torch(dim: int, side: int) -> None:
    """torch's conv with circular padding is the correlation: the array is flipped."""
    array = noise(*(side,) * dim, 3, 2)
    f = samples(dim, batch=(4,))
    conv = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)[dim - 1](
        2, 3, side, padding="same", padding_mode="circular", bias=False, dtype=torch.float64
    )
    flipped = array.flip(tuple(range(dim))).movedim((-2, -1), (0, 1))
    with torch.no_grad():
        conv.weight.copy_(flipped)
        expected = conv(f.values)
    out = f.convolve(Atoms.from_array(array, SPACING[:dim]))
    assert_close(out.values, expected, 200)
    assert out.grid.coincides(f.grid)


@every_dim
@every_boundary
@pytest.mark.parametrize("side", [2, 3, 4])
def test_convolution_against_scipy(dim: int, boundary: str, side: int) -> None:
    """ndimage.convolve with each of its modes.

    The centre of an even kernel is between two taps: scipy takes the later one, here the output
    moves by half a spacing.
    """
    array, f = noise(*(side,) * dim), samples(dim, boundary)
    out = f.convolve(
        Atoms.from_array(array[..., None, None] * torch.eye(2).double(), SPACING[:dim])
    )
    expected = [
        scipy.ndimage.convolve(v.numpy(), array.numpy(), mode=SCIPY[boundary]) for v in f.values
    ]
    half = 0.0 if side % 2 else 0.5
    moved = [o + half * h for o, h in zip(f.grid.origin.tolist(), SPACING, strict=False)]
    assert_close(out.values, np.stack(expected), 200)
    assert out.grid.origin.tolist() == pytest.approx(moved)


@every_dim
@pytest.mark.parametrize("side", [1, 2, 3])
def test_convolution_shrinks_to_what_is_known(dim: int, side: int) -> None:
    """Boundary "none": scipy.signal's "valid" part, on the grid where it is known."""
    import scipy.signal

    array, f = noise(*(side,) * dim), samples(dim, "none")
    out = f.convolve(
        Atoms.from_array(array[..., None, None] * torch.eye(2).double(), SPACING[:dim])
    )
    expected = [scipy.signal.convolve(v.numpy(), array.numpy(), mode="valid") for v in f.values]
    first = [o + (side - 1) / 2 * h for o, h in zip([0.3] * dim, SPACING, strict=False)]
    assert_close(out.values, np.stack(expected), 200)
    assert out.grid.shape == tuple(n - side + 1 for n in SHAPE[:dim])
    assert out.grid.origin.tolist() == pytest.approx(first)


@given(st.integers(1, 6), st.integers(1, 15))
def test_kernels_wider_than_the_period_fold(size: int, side: int) -> None:
    """On a periodic grid, the array's taps add up modulo the size."""
    values, array = torch.arange(1.0, size + 1).double(), noise(side)
    f = Samples(values[None], Grid(size, 1.0))
    out = f.convolve(Atoms.from_array(array[:, None, None], 1.0))
    shift = math.floor(-(side - 1) / 2)  # position of tap 0, in whole spacings
    expected = [
        sum(float(array[j] * values[(i - j - shift) % size]) for j in range(side))
        for i in range(size)
    ]
    assert_close(out.values[0], np.array(expected), 200, 10.0 * size)


def test_atoms_share_a_remainder() -> None:
    """Offsets 0.3 and 1.3 on spacing 1 move the origin by 0.3; 0.3 and 1.0 don't fit on samples."""
    f = Samples(noise(1, 8), Grid(8, 1.0))
    weights = torch.tensor([1.0, 2.0]).double()[:, None, None]
    out = f.convolve(Atoms([[0.3], [1.3]], weights))
    assert out.grid.origin.tolist() == pytest.approx([0.3])
    assert_close(out.values, f.values + 2 * f.values.roll(1, -1), 10)
    with pytest.raises(ValueError, match="they must agree modulo the spacing"):
        f.convolve(Atoms([[0.3], [1.0]], weights))


@every_dim
def test_densities_take_the_nodes_of_the_grid(dim: int) -> None:
    """A box of 3 spacings is the mean of 3 samples; a wide Gaussian keeps constants."""
    f = samples(dim)
    sides = [3 * h for h in SPACING[:dim]]
    by_box = f.convolve(BoxKernel(sides, torch.eye(2).double()))
    assert_close(by_box.values, f.pool(Box(sides)).values, 100)
    ones = Samples(torch.ones(1, *SHAPE[:dim]).double(), f.grid)
    smooth = ones.convolve(GaussianKernel(2.0, [[1.0]]))
    torch.testing.assert_close(smooth.values, ones.values, rtol=0, atol=1e-7)


# --- pooling ------------------------------------------------------------------------------------


@every_dim
@pytest.mark.parametrize("side", [2, 3])
@pytest.mark.parametrize("kind", ["mean", "max"])
def test_pooling_against_torch(dim: int, side: int, kind: str) -> None:
    """A box of n spacings with boundary "none" is torch's pooling of n samples, stride 1."""
    f = samples(dim, "none", batch=(3,))
    out = f.pool(Box([side * h for h in SPACING[:dim]]), kind)
    names = {"mean": "avg_pool", "max": "max_pool"}
    pool = getattr(torch.nn.functional, f"{names[kind]}{dim}d")
    assert_close(out.values, pool(f.values, side, stride=1), 100)
    first = [0.3 + (side - 1) / 2 * h for h in SPACING[:dim]]
    assert out.grid.origin.tolist() == pytest.approx(first)


@every_dim
@every_boundary
def test_masks_against_scipy(dim: int, boundary: str) -> None:
    """maximum_filter and correlate with the mirrored mask, shares that sum to one."""
    f = samples(dim, boundary)
    mask = noise(*(3,) * dim) > -0.5
    window = Mask(mask, SPACING[:dim])
    mirrored = mask.flip(tuple(range(dim))).numpy()
    options = {"mode": SCIPY[boundary]}
    highest = [
        scipy.ndimage.maximum_filter(v.numpy(), footprint=mirrored, **options) for v in f.values
    ]
    mean = [scipy.ndimage.correlate(v.numpy(), mirrored * 1.0, **options) for v in f.values]
    assert_close(f.pool(window, "max").values, np.stack(highest), 0)
    assert_close(f.pool(window).values, np.stack(mean) / int(mask.sum()), 100)


def test_maximum_over_a_ball() -> None:
    """On spacing 1 the ball of radius 1 is the cross of five samples, of radius 1.5 the square."""
    f = Samples(noise(1, 8, 7), Grid((8, 7), 1.0))
    cross = scipy.ndimage.generate_binary_structure(2, 1)
    for radius, footprint in [(1.0, cross), (1.5, np.ones((3, 3)))]:
        expected = scipy.ndimage.maximum_filter(
            f.values[0].numpy(), footprint=footprint, mode="wrap"
        )
        assert_close(f.pool(Ball(radius), "max").values[0], expected, 0)


# --- pointwise ----------------------------------------------------------------------------------


@every_dim
def test_pointwise_vocabulary(dim: int) -> None:
    """Sums, products and maps of samples are those of arrays."""
    f, g = samples(dim, batch=(3,)), samples(dim)
    vector = torch.tensor([2.0, -1.0]).double()
    spread = vector.reshape(2, *(1,) * dim)
    matrix = noise(3, 2)
    for composed, expected in [
        (f + g, f.values + g.values),
        (g - f, g.values - f.values),
        (f * g, f.values * g.values),
        (1 - f, 1 - f.values),
        (-f, -f.values),
        (vector * f + vector, spread * f.values + spread),
        (vector.numpy() - f, spread - f.values),
        (f.map(torch.relu), f.values.clamp(min=0)),
        (f.map(lambda v: v.sum(-1, keepdim=True)), f.values.sum(-dim - 1, keepdim=True)),
        (f.mix(matrix), torch.einsum("oi,bi...->bo...", matrix, f.values)),
    ]:
        assert_close(composed.values, expected, 20)
        assert composed.grid is f.grid or composed.grid.coincides(f.grid)
        assert composed.batch == expected.shape[: -dim - 1]


@every_dim
@pytest.mark.parametrize("boundary", ["periodic", "none"])
def test_adding_a_field_samples_it(dim: int, boundary: str) -> None:
    """f ⊕ G = f + sample(G), from either side."""
    f, g = samples(dim, boundary), Gaussians(points(dim, 3), noise(3, 2), [0.5, 1.0, 0.7])
    g = g.periodize(f.grid.extent) if boundary == "periodic" else g
    there = g(f.grid.points()).movedim(-1, 0)
    for composed, expected in [
        (f + g, f.values + there),
        (g - f, there - f.values),
        (f * g, f.values * there),
    ]:
        assert_close(composed.values, expected, 100)


def test_a_field_is_added_to_the_tolerance_of_sample() -> None:
    """Quadratures are resolved to 1e-4, as `sample` does."""
    f = samples(1, "none")
    pooled = Gaussians([[1.0]], noise(1, 2), [0.5]).pool(Box(0.83), "max")
    added = f + pooled
    assert torch.equal(added.values - f.values, (f + sample(pooled, f.grid)).values - f.values)
    fine = sample(pooled, f.grid, refinement=500).values
    assert float((added.values - f.values - fine).abs().max()) <= 1e-4 * float(fine.abs().max())


@every_dim
def test_periodic_samples_whole_rolls_apart_are_added_by_rolling(dim: int) -> None:
    """(values, origin) and (values rolled by k, origin − k·h) are the same samples: f + f′ = 2f on f's grid."""
    f = samples(dim, batch=(3,))
    for k in ((1, -2, 3)[:dim], (9, 15, -20)[:dim], SHAPE[:dim]):
        move = [-n * h for n, h in zip(k, SPACING, strict=False)]
        moved = Samples(f.values.roll(k, tuple(range(-dim, 0))), f.grid.translate(move))
        for both in (f + moved, moved + f):
            assert both.grid.shape == f.grid.shape
            assert_close(both.resample(f.grid).values, 2 * f.values, 0)
        assert (f * moved).grid is f.grid
        assert torch.equal((f - moved).values, torch.zeros_like(f.values))
    each = Samples(
        torch.stack([v.roll(k, -1) for k, v in enumerate(f.values)]),
        f.grid.translate(
            torch.tensor([[0.0] * (dim - 1) + [-k * SPACING[dim - 1]] for k in range(3)])
        ),
    )
    assert_close((f + each).values, 2 * f.values, 0)
    assert_close((each + f).resample(f.grid).values, 2 * f.values, 0)


@every_dim
def test_stride(dim: int) -> None:
    """Every s-th sample, on the grid that says so."""
    f = samples(dim, "none")
    out = f.stride((2, 3, 1)[:dim])
    cut = tuple(slice(None, None, s) for s in (2, 3, 1)[:dim])
    assert torch.equal(out.values, f.values[(..., *cut)])
    assert_close(out.grid.points(), f.grid.points()[cut], 4)


@every_dim
def test_maps_combine_where_both_are_known(dim: int) -> None:
    """With boundary "none" the sum lives on the intersection of the grids."""
    field = Formula(lambda x: x.sum(-1, keepdim=True), dim, 1)
    grid = Grid(SHAPE[:dim], SPACING[:dim], boundary="none")
    steps = (2, -1, 3)[:dim]
    moved = grid.translate([k * h for k, h in zip(steps, SPACING, strict=False)])
    both = sample(field, grid) + sample(field, moved)
    assert both.grid.shape == tuple(n - abs(k) for n, k in zip(SHAPE, steps, strict=False))
    assert_close(both.values, 2 * sample(field, both.grid).values, 10)
    assert both.grid.boundary == "none"


def test_crop() -> None:
    f = samples(2)
    part = f.crop((1, 2), (3, 4))
    assert torch.equal(part.values, f.values[:, 1:4, 2:6])
    assert_close(part.grid.points(), f.grid.points()[1:4, 2:6], 4)
    assert part.grid.boundary == "none"


# --- resampling ---------------------------------------------------------------------------------


@every_dim
@given(st.data())
def test_resampling_by_whole_spacings_is_a_roll(dim: int, data: st.DataObject) -> None:
    """Bit for bit, however far; one roll per element where the origins differ."""
    f = samples(dim)
    steps = [[data.draw(st.integers(-20, 20)) for _ in range(dim)] for _ in range(2)]
    move = torch.tensor(steps, dtype=torch.float64) * torch.tensor(SPACING[:dim])
    out = f.resample(f.grid.translate(move))
    for row, k in zip(out.values, steps, strict=True):
        expected = f.values.roll([-n for n in k], tuple(range(-dim, 0)))
        assert torch.equal(row, expected)


@every_dim
@pytest.mark.parametrize("sizes", [(8, 6, 4), (7, 5, 3), (8, 5, 4)])
def test_resampling_a_bandlimited_field_is_exact(dim: int, sizes: tuple[int, ...]) -> None:
    """Onto any grid: moved, refined, coarser, batched; odd and even sizes."""
    grid = Grid(sizes[:dim], SPACING[:dim], 0.3)
    limit = [((n - 1) // 2 + 0.1) / p for n, p in zip(grid.shape, grid.extent, strict=True)]
    field = random_bandlimited(dim, 2, limit, grid.extent, seed=1)
    f = sample(field, grid)
    for target in (
        grid.translate(points(dim, 1)[0]),
        grid.translate(points(dim, 3)),
        grid.refine(3),
        grid.refine((1, 2, 3)[:dim]).translate([0.1] * dim),
        grid.dilate(2).translate([0.05] * dim).replace(boundary="none"),
        Grid((3, 2, 2)[:dim], 0.37, 5.0, boundary="none"),
    ):
        out = f.resample(target)
        assert_close(out.values, field(target.points()).movedim(-1, -dim - 1), 1000)
        assert out.grid is target


@every_dim
def test_resampling_forth_and_back(dim: int) -> None:
    """Odd sizes have no wave at Nyquist: a shift by t, then by −t, is the identity."""
    grid = Grid((7, 5, 3)[:dim], SPACING[:dim])
    f = Samples(noise(2, *grid.shape), grid)
    t = points(dim, 1)[0]
    assert_close(f.resample(grid.translate(t)).resample(grid).values, f.values, 200)


def test_the_wave_at_nyquist_is_shifted_as_a_cosine() -> None:
    """(−1)^i at x = h·i is cos(πx/h): moved by t it is cos(πt/h)(−1)^i."""
    grid = Grid(8, 0.5)
    values = (-1.0) ** torch.arange(8, dtype=torch.float64)[None]
    for t in (0.1, 0.25, 0.4):
        out = Samples(values, grid).resample(grid.translate([t]))
        assert_close(out.values, math.cos(math.pi * t / 0.5) * values, 100, 1.0)


@every_boundary
def test_resampling_beyond_the_rim_continues(boundary: str) -> None:
    """Outside of the grid, samples follow the boundary: numpy.pad."""
    f = Samples(noise(1, 6), Grid(6, 0.5, boundary=boundary))
    mode = {"zero": "constant", "periodic": "wrap", "nearest": "edge"}.get(boundary, boundary)
    wide = np.pad(f.values[0].numpy(), (4, 5), mode=mode)
    assert torch.equal(f.resample(f.grid.dilate(5)).values[0, 1:], torch.from_numpy(wide))


@every_dim
@every_boundary
def test_resampling_onto_every_second_point_is_a_look_up(boundary: str, dim: int) -> None:
    """f.resample(f.grid.stride(s)) = f.stride(s), bit for bit; and any other sublattice, out of order, too."""
    f = Samples(noise(2, *(8, 6, 4)[:dim]), Grid((8, 6, 4)[:dim], SPACING[:dim], 0.3, boundary))
    for s in (2, (2, 1, 2)[:dim], (4, 3, 2)[:dim]):
        assert torch.equal(f.resample(f.grid.stride(s)).values, f.stride(s).values)
    phase = torch.tensor([[1, 0, 1], [0, 1, 0]])[:, :dim]
    out = f.resample(f.grid.stride(2, phase))
    for row, p in zip(out.values, phase.tolist(), strict=True):
        cut = (..., *(slice(a, a + 2 * n - 1, 2) for a, n in zip(p, out.grid.shape, strict=True)))
        assert torch.equal(row, f.values[cut])


@every_boundary
def test_resampling_onto_one_point_is_a_look_up(boundary: str) -> None:
    """The spacing of one point says nothing."""
    f = Samples(noise(1, 6), Grid(6, 0.5, boundary=boundary))
    assert torch.equal(f.resample(Grid(1, 0.3, 1.5)).values, f.values[:, 3:4])


def test_some_elements_of_a_batch_need_no_interpolation() -> None:
    """Where only some origins are off the lattice, the others still move bit for bit."""
    f = samples(1)
    moves = torch.tensor([[0.5], [0.2], [-1.0]]).double()
    out = f.resample(f.grid.translate(moves))
    for row, t in zip(out.values, moves, strict=True):
        assert torch.equal(row, f.resample(f.grid.translate(t)).values)
    assert torch.equal(out.values[0], f.values.roll(-1, -1))


@every_dim
def test_linear_resampling(dim: int) -> None:
    """Half way between two samples is their mean."""
    f = samples(dim)
    move = [0.5 * SPACING[0]] + [0.0] * (dim - 1)
    out = f.resample(f.grid.translate(move), method="linear")
    assert_close(out.values, (f.values + f.values.roll(-1, -dim)) / 2, 20)


@every_dim
def test_interpolation_goes_through_the_samples(dim: int) -> None:
    """interpolate() then sample() is the identity; moved samples make a moved field."""
    f, x, t = samples(dim), points(dim), points(dim, 2)
    for method in ("fourier", "linear"):
        field = f.interpolate(method)
        assert_close(sample(field, f.grid).values, f.values, 100)
        assert_close(f.translate(t).interpolate(method)(x), field.translate(t)(x), 500)
    assert f.interpolate().method == "fourier"
    assert samples(dim, "zero").interpolate().method == "linear"


# --- gradients ----------------------------------------------------------------------------------


@every_dim
def test_gradients_flow_to_values_and_origins(dim: int) -> None:
    grid = Grid((4, 3, 3)[:dim], SPACING[:dim])
    array = noise(*(2,) * dim, 2, 2)
    t = points(dim, 1)[0]

    def through(values: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        f = Samples(values, grid).translate(shift)
        f = f.convolve(Atoms.from_array(array, SPACING[:dim])).map(torch.tanh)
        return f.pool(Box([2 * h for h in grid.spacing]), "max").resample(grid.translate(t)).values

    values = noise(2, *grid.shape).requires_grad_()
    torch.autograd.gradcheck(through, (values, (0.3 * t).requires_grad_()), fast_mode=True)


# --- bad input ----------------------------------------------------------------------------------

F = Samples(noise(2, 4, 4), Grid((4, 4), 1.0))
ONE = Grid((4, 4), 1.0)


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (lambda: Samples(noise(2, 4), ONE), ValueError, r"have shape \(\*batch, c, 4, 4\)"),
        (lambda: Samples(noise(4, 4), ONE), ValueError, r"got \(4, 4\)"),
        (lambda: Samples(noise(2, 4, 5), ONE), ValueError, r"got \(2, 4, 5\)"),
        (lambda: Samples(noise(2, 4, 4) / 0, ONE), ValueError, "values must be finite"),
        (lambda: Samples(noise(2, 4, 4), (4, 4)), TypeError, "grid must be a Grid, got tuple"),
        (
            lambda: Samples(noise(3, 2, 4, 4), ONE.translate(noise(2, 2))),
            ValueError,
            r"values of batch \(3,\) don't fit a grid of batch \(2,\)",
        ),
        (lambda: F + noise(3), ValueError, r"a tensor of shape \(2,\)"),
        (lambda: F + Samples(noise(3, 4, 4), ONE), ValueError, "with 2 and 3 channels"),
        (lambda: F + Samples(noise(2, 4), Grid(4, 1.0)), ValueError, "maps in 2 and 1 dimensions"),
        (lambda: F + F.translate([0.5, 0.0]), ValueError, "on different lattices don't combine"),
        (
            lambda: F + Samples(F.values[..., :2], Grid((4, 2), 1.0, [0.0, 1.0])),
            ValueError,
            "on different lattices don't combine",
        ),
        (
            lambda: F + Gaussians([[0.0, 0.0]], noise(1, 2), [1.0]),
            ValueError,
            r"periodic with period \(4.0, 4.0\), the field isn't.*field.periodize\(\(4.0, 4.0\)\)",
        ),
        (lambda: F + F.known(), ValueError, "boundary 'periodic' and 'none' don't combine"),
        (lambda: F + F.stride(2), ValueError, "on different lattices don't combine"),
        (
            lambda: F.known() + F.known().translate([9.0, 0.0]),
            ValueError,
            "have no point in common",
        ),
        (lambda: F + Constant([1.0, 1.0], 3), ValueError, "maps in 2 and 3 dimensions"),
        (lambda: F.mix(noise(2, 3)), ValueError, r"has shape \(c_out, 2\)"),
        (lambda: F.map(lambda v: v.sum()), ValueError, r"takes \(\*points, c\)"),
        (lambda: F.convolve(noise(3, 3)), TypeError, "expected a kernel"),
        (lambda: F.convolve(Atoms([[0.0, 0.0]], [[[1.0]]])), ValueError, "takes 1 channels"),
        (lambda: F.convolve(Atoms([[0.0]], noise(1, 2, 2))), ValueError, "in 1 dimensions"),
        (lambda: F.known().pool(Box(5.0)), ValueError, "don't fit into a grid of shape"),
        (lambda: F.pool(3), TypeError, "expected a pooling window"),
        (lambda: F.pool(Ball(1.0), "sum"), ValueError, "a pooling is 'mean' or 'max'"),
        (lambda: F.stride(3), ValueError, "sizes that work are 3 or 6, 3 or 6"),
        (lambda: F.crop(2, 3), ValueError, "leaves the grid"),
        (lambda: F.translate([1.0]), ValueError, "a translation in 2 dimensions"),
        (lambda: F.known().resample(ONE.translate([1.0, 0.0])), ValueError, "crop it first"),
        (lambda: F.known().resample(ONE.translate([0.5, 0.0])), ValueError, "got 'none'"),
        (lambda: F.resample(ONE.stride(2), "magic"), ValueError, "method must be one of"),
        (lambda: F.pool(Mask([1.0, 1.0], 1.0)), ValueError, "this mask has 1 axes"),
        (lambda: F.resample(Grid(4, 1.0)), ValueError, "grids with 2 and 1 axes"),
    ],
)
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()


def test_repr_names_the_grid() -> None:
    assert "shape=(4, 4)" in repr(F)
    assert list(itertools.islice(F.values.shape, 3)) == [2, 4, 4]
