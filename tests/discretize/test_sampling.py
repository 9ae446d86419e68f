"""Sampling: closed forms within the tolerance asked for, and an accuracy that bounds the error."""

import math
from collections.abc import Callable

import pytest
import torch

from discretize import Grid, NotResolved, Samples, sample
from fields import (
    Atoms,
    Ball,
    Box,
    BoxKernel,
    Constant,
    Field,
    Formula,
    GaussianKernel,
    Gaussians,
    Interpolated,
    Kernel,
    PlaneWaves,
    random_bandlimited,
)
from tests.compare import assert_close, relative_error
from tests.laws.registry import DIMS, Draw, gaussians, points, spiral, waves_on_a_grid

every_dim = pytest.mark.parametrize("dim", DIMS)

#: What is cut off of a Gaussian kernel beyond seven widths, per axis.
CUT_OFF = 3e-12


def exact(field: Field, grid: Grid) -> torch.Tensor:
    return field(grid.points()).movedim(-1, -grid.dim - 1)


# --- closed forms -------------------------------------------------------------------------------


@every_dim
@pytest.mark.parametrize("rtol", [1e-3, 1e-8])
@pytest.mark.parametrize("kernel_width", [0.11, 0.6, 1.7])
def test_gaussians_under_a_gaussian_kernel(dim: int, rtol: float, kernel_width: float) -> None:
    """Peaks times ∏ w_i/√(w_i² + v_i²), widths √(w_i² + v_i²): kernels narrower than the grid too."""
    if dim == 3 and kernel_width > 1 and rtol < 1e-3:
        kernel_width = 0.9
    v = torch.tensor([1.0, 0.8, 1.2], dtype=torch.float64)[:dim] * kernel_width
    w = torch.tensor([[0.5, 0.7, 0.6], [0.9, 0.5, 0.7]], dtype=torch.float64)[:, :dim]
    wide = (v**2 + w**2).sqrt()
    amplitudes = torch.tensor([[1.0, 2.0], [-0.5, 1.0]], dtype=torch.float64)
    matrix = torch.tensor([[1.0, 2.0], [-1.0, 0.5], [0.0, 3.0]], dtype=torch.float64)
    peaks = (w / wide).prod(-1, keepdim=True) * amplitudes @ matrix.mT
    centers = points(dim, 2)
    grid = Grid((5, 4, 3)[:dim], (0.8, 0.6, 0.7)[:dim], -1.0, boundary="none")
    field = Gaussians(centers, amplitudes, w).convolve(
        GaussianKernel(v.tolist(), matrix), exact=False
    )
    f = sample(field, grid, rtol=rtol)
    assert relative_error(f.values, exact(Gaussians(centers, peaks, wide), grid)) <= rtol
    assert f.accuracy <= rtol


@every_dim
@pytest.mark.parametrize("width", [0.2, 0.7])
def test_waves_under_a_gaussian_kernel(dim: int, width: float) -> None:
    """Amplitudes times exp(−2π²v²|f|²), to 1e-8."""
    field = waves_on_a_grid(Draw(dim))
    factor = torch.exp(-2 * (math.pi * width) ** 2 * (field.frequencies**2).sum(-1, keepdim=True))
    expected = PlaneWaves(field.frequencies, field.amplitudes * factor)
    grid = Grid((8, 5, 6)[:dim], (0.5, 1.0, 0.5)[:dim])
    f = sample(
        field.convolve(GaussianKernel(width, torch.eye(2).double()), exact=False), grid, rtol=1e-8
    )
    assert relative_error(f.values, exact(expected, grid)) <= 1e-8


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("frequency", [7.25, 15.5, 16.0, 31.75, 40.0])
@pytest.mark.parametrize("width", [0.02, 0.05, 0.3])
def test_waves_far_above_nyquist_are_not_taken_for_their_aliases(
    dim: int, frequency: float, width: float
) -> None:
    """K*cos(2πf·x) is right, up to rtol of the wave itself, or NotResolved is raised.

    On a grid with Nyquist 1/2, and with coarse nodes, these waves look like slow ones.
    """
    field = PlaneWaves([[frequency, 0.25][:dim]], [[1.0]])
    squares = frequency**2 + (0.25**2 if dim == 2 else 0)
    factor = math.exp(-2 * (math.pi * width) ** 2 * squares)
    expected = factor * exact(field, Grid(4, 1.0) if dim == 1 else Grid((4, 4), 1.0))
    grid = Grid((4,) * dim, 1.0)
    try:
        f = sample(
            field.convolve(GaussianKernel(width, [[1.0]]), exact=False),
            grid,
            rtol=1e-6,
            prefilter="none",
            memory=1 << 20,
        )
    except NotResolved:
        return
    assert float((f.values - expected).abs().max()) <= 1e-6 * max(factor, 1e-6)


def test_what_leaves_know_is_seen_through_a_sum_of_images() -> None:
    """A needle of width 0.001 between all coarse nodes is not taken for zero."""
    needle = Gaussians([[0.33]], [[1.0]], [0.001])
    width = math.sqrt(0.001**2 / 2 + 2.0**2)
    peak = 0.001 / math.sqrt(2) / width
    expected = Gaussians([[0.33]], [[peak]], [width]).periodize(8.0)
    grid = Grid(8, 1.0)
    for field in (needle * needle, needle.map(torch.square)):
        f = sample(
            field.periodize(8.0).convolve(GaussianKernel(2.0, [[1.0]]), exact=False),
            grid,
            rtol=1e-3,
        )
        assert relative_error(f.values, exact(expected, grid)) <= 1e-3


# --- accuracy -----------------------------------------------------------------------------------

EYE = torch.eye(2, dtype=torch.float64)
MEANS: dict[str, Callable[[Field], Field]] = {
    "Gaussian": lambda f: f.convolve(GaussianKernel(0.4, EYE), exact=False),
    "narrow Gaussian": lambda f: f.convolve(GaussianKernel(0.1, EYE), exact=False),
    "small box": lambda f: f.convolve(BoxKernel(0.3, EYE), exact=False),
    "box": lambda f: f.convolve(BoxKernel(0.83, EYE), exact=False),
    "large box": lambda f: f.convolve(BoxKernel(1.7, EYE), exact=False),
    "density": lambda f: f.convolve(Kernel(spiral, 2, 2, 0.55)),
    "mean over a small ball": lambda f: f.pool(Ball(0.15)),
    "mean over a ball": lambda f: f.pool(Ball(0.6)),
    "mean over a box": lambda f: f.pool(Box(1.1)),
    "relu": lambda f: f.map(torch.relu).convolve(GaussianKernel(0.2, EYE), exact=False),
    "residual": lambda f: (
        f + f.convolve(BoxKernel(0.7, EYE), exact=False).map(torch.relu).pool(Box(0.3))
    ),
}
MAXIMA: dict[str, Callable[[Field], Field]] = {
    "small box": lambda f: f.pool(Box(0.3), "max"),
    "box": lambda f: f.pool(Box(0.83), "max"),
    "ball": lambda f: f.pool(Ball(0.55), "max"),
}
CASES = [(1, 1e-2), (1, 1e-4), (2, 1e-2), (2, 1e-3)]


def assert_honest(layer: Callable[[Field], Field], dim: int, rtol: float) -> None:
    """The error against a much finer reference is at most the accuracy, which is at most rtol."""
    for field, grid in [
        (waves_on_a_grid(Draw(dim)), Grid((8, 10)[:dim], 0.5, 0.13)),
        (gaussians(Draw(dim)), Grid((6, 5)[:dim], 0.5, 0.13, boundary="none")),
    ]:
        f = sample(layer(field), grid, rtol=rtol)
        fine = 1024 if dim == 1 else 48
        reference = sample(layer(field), grid, refinement=fine).values
        assert f.accuracy <= rtol
        assert relative_error(f.values, reference) <= f.accuracy + dim * CUT_OFF


@pytest.mark.parametrize(("dim", "rtol"), CASES)
@pytest.mark.parametrize("layer", MEANS.values(), ids=MEANS.keys())
def test_accuracy_bounds_the_error(layer: Callable[[Field], Field], dim: int, rtol: float) -> None:
    assert_honest(layer, dim, rtol)


@pytest.mark.parametrize("layer", MAXIMA.values(), ids=MAXIMA.keys())
def test_accuracy_bounds_the_error_of_maxima(layer: Callable[[Field], Field]) -> None:
    """The same for maxima, whose rims may stay as far from the nodes as they are when these are doubled."""
    for dim, rtol in [(1, 1e-2), (1, 1e-4), (2, 3e-2), (2, 3e-3)]:
        assert_honest(layer, dim, rtol)


@every_dim
def test_without_quadrature_there_is_no_error(dim: int) -> None:
    """Leaves, maps and atoms are exact: accuracy 0, and the values are F at the points."""
    atoms = Atoms(points(dim, 2), torch.ones(2, 2, 2).double())
    field = gaussians(Draw(dim)).map(torch.relu).convolve(atoms)
    grid = Grid((4, 3, 2)[:dim], 0.4, 0.1, boundary="zero")
    f = sample(field, grid)
    assert f.accuracy == 0.0
    assert_close(f.values, exact(field, grid), 500)
    assert sample(field, grid, refinement=3).accuracy == 0.0


@every_dim
def test_a_given_refinement_promises_nothing(dim: int) -> None:
    """refinement=m puts all nodes h/m apart, once."""
    field = waves_on_a_grid(Draw(dim)).pool(Box(1.5))
    grid = Grid((8, 10, 6)[:dim], 0.5)
    f = sample(field, grid, refinement=1)
    assert f.accuracy is None
    # three nodes a spacing apart are three samples
    assert_close(f.values, sample(waves_on_a_grid(Draw(dim)), grid).pool(Box(1.5)).values, 200)


def test_not_resolved_says_what_was_reached() -> None:
    """A tolerance out of reach within the memory: what was reached, where, and what would help."""
    field = Formula(lambda x: (x % 1.0 > 0.5).to(x), 1, 1, period=1.0)
    field, grid = (
        field.convolve(BoxKernel(0.7, [[1.0]]), exact=False),
        Grid(10, 0.3, 0.13, boundary="none"),
    )
    message = r"rtol = 1e-10 can't be reached: at refinement \d+ the error is estimated as \d"
    with pytest.raises(NotResolved, match=message) as caught:
        sample(field, grid, rtol=1e-10, memory=1 << 18)
    for help_ in ("a larger rtol", "a larger memory=", "refinement=m"):
        assert help_ in str(caught.value)
    assert f"{caught.value.tail:.1e}" in str(caught.value)
    with pytest.raises(NotResolved, match="refinement 100000: this needs"):
        sample(field, grid, refinement=100000, memory=1 << 18)
    fast = PlaneWaves([[1000.0]], [[1.0]]).convolve(GaussianKernel(1.0, [[1.0]]), exact=False)
    with pytest.raises(NotResolved, match="no error is known"):
        sample(fast, grid, prefilter="none", memory=1 << 14)
    assert issubclass(NotResolved, ValueError)


# --- batches, precision, gradients --------------------------------------------------------------


@every_dim
def test_batches_of_fields_and_origins(dim: int) -> None:
    """Fields (2, 1) on grids (3,) make samples (2, 3), each as if alone."""
    origins = points(dim, 3)
    grid = Grid((4, 3, 2)[:dim], 0.5, origins, boundary="none")
    batch = gaussians(Draw(dim, element=None))
    amplitudes = batch.amplitudes[:, None]
    field = Gaussians(batch.centers[:, None], amplitudes, batch.widths)
    layered = field.convolve(BoxKernel(0.8, EYE), exact=False).map(torch.tanh)
    f = sample(layered, grid, refinement=2)
    assert f.batch == (2, 3)
    for i in range(2):
        single = (
            gaussians(Draw(dim, element=i))
            .convolve(BoxKernel(0.8, EYE), exact=False)
            .map(torch.tanh)
        )
        for j, origin in enumerate(origins):
            alone = sample(single, grid.replace(origin=origin), refinement=2)
            assert_close(f.values[i, j], alone.values, 200)


@every_dim
def test_single_precision(dim: int) -> None:
    grid = Grid((8, 5, 6)[:dim], (0.5, 1.0, 0.5)[:dim])
    single, double = (
        sample(
            waves_on_a_grid(Draw(dim, dtype)).convolve(
                GaussianKernel(0.4, EYE.to(dtype)), exact=False
            ),
            grid,
            rtol=1e-4,
        )
        for dtype in (torch.float32, torch.float64)
    )
    assert single.dtype == torch.float32
    assert_close(single.values, double.values.float(), 200)


@every_dim
def test_gradients_flow_through_sampling(dim: int) -> None:
    """∂ sample(K*(t▷F)) / ∂(matrix, centers, widths, t, origin) is the limit of differences."""
    centers, amplitudes = points(dim, 2), torch.ones(2, 1).double()
    grid = Grid((3, 2, 2)[:dim], 0.5, boundary="none")

    def through(matrix, centers, widths, t, origin):
        field = Gaussians(centers, amplitudes, widths).translate(t)
        field = field.convolve(GaussianKernel(0.4, matrix), exact=False).map(torch.tanh)
        return sample(field, grid.replace(origin=origin), refinement=2).values

    inputs = [torch.ones(1, 1), centers, torch.ones(2) * 0.7, torch.zeros(dim), torch.zeros(dim)]
    inputs = [v.double().requires_grad_() for v in inputs]
    torch.autograd.gradcheck(through, inputs, fast_mode=True)


@every_dim
@pytest.mark.parametrize("method", ["fourier", "linear"])
def test_sampling_an_interpolant_gives_its_samples(dim: int, method: str) -> None:
    """sample(interpolate(f)) = f, and moved samples are those of the moved field."""
    grid = Grid((6, 5, 4)[:dim], (0.5, 0.25, 2.0)[:dim], 0.3)
    f = sample(waves_on_a_grid(Draw(dim)), grid.replace(boundary="none"), prefilter="none")
    f = Samples(f.values, grid)
    field = f.interpolate(method)
    assert isinstance(field, Interpolated)
    assert_close(sample(field, grid).values, f.values, 100)
    t = points(dim, 1)[0]
    assert_close(sample(field.translate(t), grid.translate(t)).values, f.values, 200)


# --- bad input ----------------------------------------------------------------------------------

WAVE = random_bandlimited(2, 1, 0.3, 8.0, 0)


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (
            lambda: sample(Gaussians([[0.0, 0.0]], [[1.0]], [1.0]), Grid((8, 8), 1.0)),
            ValueError,
            r"periodic with period \(8.0, 8.0\), the field isn't.*field.periodize\(\(8.0, 8.0\)\)",
        ),
        (lambda: sample(WAVE, Grid((8, 7), 1.0)), ValueError, r"period \(8.0, 7.0\)"),
        (
            lambda: sample(Formula(lambda x: x[..., :1], 2, 1), Grid((8, 8), 1.0)),
            ValueError,
            "the field isn't, as far as is known",
        ),
        (lambda: sample(WAVE, Grid(8, 1.0)), ValueError, r"a field on R\^2 can't be sampled on"),
        (lambda: sample(lambda x: x, Grid(8, 1.0)), TypeError, "only a Field can be sampled"),
        (lambda: sample(WAVE, (8, 8)), TypeError, "grid must be a Grid, got tuple"),
        (lambda: sample(WAVE, Grid((8, 8), 1.0), rtol=0.0), ValueError, "rtol must lie between"),
        (lambda: sample(WAVE, Grid((8, 8), 1.0), rtol=1.0), ValueError, "rtol must lie between"),
        (lambda: sample(WAVE, Grid((8, 8), 1.0), refinement=0), ValueError, "refinement must be"),
        (
            lambda: sample(Constant(1.0, 1).map(lambda v: v / 0), Grid(4, 1.0)),
            ValueError,
            "the field isn't finite on this grid",
        ),
        (
            lambda: sample(
                Constant(1.0, 1).map(torch.log).map(lambda v: v - math.inf).pool(Ball(0.5)),
                Grid(4, 1.0),
            ),
            ValueError,
            "the field isn't finite on this grid",
        ),
    ],
)
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()
