"""Required grids, aliasing, the warning, and resolved fields: against Parseval, closed forms and brute force."""

from __future__ import annotations

import itertools
import math
import warnings

import pytest
import torch
from torch import Tensor

from discretize import AliasingWarning, Grid, NotResolved, aliasing, required_grid, sample
from fields import (
    BoxKernel,
    Constant,
    Field,
    Formula,
    Gaussians,
    Interpolated,
    PlaneWaves,
    random_bandlimited,
)
from tests.compare import assert_close

LENGTHS = (3.0, 2.0)


def noise(dim: int, highest: int, seed: int = 1, channels: int = 2) -> PlaneWaves:
    """All modes up to `highest` of the period, mean square 1 per channel."""
    lengths = LENGTHS[:dim]
    return random_bandlimited(dim, channels, [highest / p for p in lengths], lengths, seed)


def coarse(shape: tuple[int, ...]) -> Grid:
    """A grid over the period that begins nowhere in particular."""
    spacing = [p / n for p, n in zip(LENGTHS, shape, strict=False)]
    return Grid(shape, spacing, torch.tensor([0.13, 0.41][: len(shape)], dtype=torch.float64))


def mean_square_defects(field: Field, grid: Grid, translations: Tensor) -> Tensor:
    """Mean square of Φ(t▷F) − t▷Φ(F), Φ = interpolate ∘ sample, one per translation."""
    dim = grid.dim
    fine = Grid([25] * dim, [p / 25 for p in grid.extent])

    def through(f: Field) -> Field:
        return sample(f, grid, prefilter="none").interpolate()

    left = through(field.translate(translations))
    right = through(field).translate(translations)
    difference = sample(left, fine).values - sample(right, fine).values
    return (difference**2).sum(1).flatten(1).mean(-1)


SHAPES = [(5,), (8,), (9,), (10,), (6, 7), (8, 6), (4, 4), (5, 9)]


# --- the equivariance defect ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_defect_is_its_quadrature_over_translations(shape: tuple[int, ...]) -> None:
    """24 equidistant translations per axis integrate e_k(t)·conj(e_l(t)), |k − l| ≤ 10, exactly."""
    dim = len(shape)
    field, grid = noise(dim, 5), coarse(shape)
    axes = [torch.arange(24, dtype=torch.float64) * p / 24 for p in LENGTHS[:dim]]
    every = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, dim)
    quadrature = mean_square_defects(field, grid, every).mean().sqrt()
    assert_close(aliasing(field, grid).defect, quadrature, 100)


@pytest.mark.parametrize("shape", [(8,), (9,), (6, 7)])
def test_defect_is_the_average_over_random_translations(shape: tuple[int, ...]) -> None:
    """2,000 real translations give it within four standard errors of their mean."""
    field, grid = noise(len(shape), 5), coarse(shape)
    draw = torch.Generator().manual_seed(0)
    t = torch.rand(2000, len(shape), generator=draw, dtype=torch.float64)
    squares = mean_square_defects(field, grid, t * torch.tensor(LENGTHS[: len(shape)]).double())
    standard_error = float(squares.std()) / math.sqrt(2000)
    assert abs(float(squares.mean() - aliasing(field, grid).defect ** 2)) <= 4 * standard_error


def test_one_wave_folded_onto_another() -> None:
    """cos(2πx/8) + ε·cos(2π·5x/8) on 8 points: the fold has energy ε²/2, the defect is √(2·ε²/2)."""
    told = aliasing(PlaneWaves([[1 / 8], [5 / 8]], [[1.0], [0.1]]), Grid(8, 1.0))
    assert "spectrum" not in repr(told)  # as many numbers as the grid has points
    assert_close(told.share, torch.tensor(0.01 / 1.01, dtype=torch.float64), 10)
    assert_close(told.defect, torch.tensor(0.1, dtype=torch.float64), 10)
    assert_close(told.norm, torch.tensor(math.sqrt(1.01 / 2), dtype=torch.float64), 10)
    expected = torch.zeros(1, 8, dtype=torch.complex128)
    expected[0, [3, 5]] = 0.05
    assert_close(told.folded, expected, 10, 1.0)
    expected[0, [1, 7]] = 0.5
    assert_close(told.spectrum, expected, 10, 1.0)


def test_the_wave_at_nyquist() -> None:
    """a·cos(πx/h) becomes a·cos(πt/h)cos(πx/h), not a·cos(π(x − t)/h): mean square a²/4."""
    told = aliasing(PlaneWaves([[0.5]], [[3.0]]), Grid(8, 1.0))
    assert_close(told.defect, torch.tensor(1.5, dtype=torch.float64), 10)
    assert_close(told.norm, torch.tensor(3 / math.sqrt(2), dtype=torch.float64), 10)
    assert float(told.share) == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize("shape", [(9,), (12,), (9, 11)])
def test_a_grid_that_suffices_has_no_defect(shape: tuple[int, ...]) -> None:
    """K = 4 on 2K + 1 points or more: the defect is 0, exactly."""
    told = aliasing(noise(len(shape), 4), coarse(shape))
    assert float(told.defect) == 0.0 == float(told.share)
    assert told.tail == 0.0


@pytest.mark.parametrize("shape", [(5,), (8,), (6, 7)])
def test_spectrum_is_the_transform_of_the_samples(shape: tuple[int, ...]) -> None:
    field, grid = noise(len(shape), 5), coarse(shape)
    values = sample(field, grid, prefilter="none").values
    dims = tuple(range(1, 1 + len(shape)))
    expected = torch.fft.fftn(values, dim=dims, norm="forward")
    assert_close(aliasing(field, grid).spectrum, expected, 100)


def test_batches_are_told_element_by_element() -> None:
    field, grid = noise(1, 5), coarse((8,))
    t = torch.tensor([[0.0], [0.7], [1.9]]).double()
    told = aliasing(field.translate(t), grid)
    assert told.defect.shape == (3,)
    assert_close(told.defect, aliasing(field, grid).defect.expand(3), 100)
    assert_close(told.share, aliasing(field, grid).share.expand(3), 100)


def test_without_a_band_limit_the_tail_is_told() -> None:
    """Σ_n g(x − nL), g of width w, has C_k = √(2π)w/L·exp(−2π²w²k²/L²): Parseval tells the share."""
    width, period, n = 0.1, 2.0, 7
    field = Gaussians([[0.3]], [[1.0]], [width]).periodize(period)
    told = aliasing(field, Grid(n, period / n), rtol=1e-9)
    k = torch.arange(-60, 61).double()
    energy = torch.exp(-4 * (math.pi * width * k / period) ** 2)
    share = energy[k.abs() > n / 2].sum() / energy.sum()
    assert 0 < told.tail <= 1e-9
    assert abs(float(told.share - share)) <= 1e-9


# --- the grid that a field needs --------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2])
def test_band_limits_need_one_point_more_than_two_per_wave(dim: int) -> None:
    grid = required_grid(noise(dim, 5))
    assert grid.shape == (11,) * dim
    assert grid.boundary == "periodic"
    assert_close(torch.tensor(grid.extent), torch.tensor(LENGTHS[:dim]), 10)
    square = noise(dim, 5) * noise(dim, 3)
    assert required_grid(square).shape == (17,) * dim


def test_rounding_loses_no_mode() -> None:
    """(1/49)·49 is less than 1 in double precision."""
    assert required_grid(PlaneWaves([[1 / 49]], [[1.0]], period=49.0)).shape == (3,)


def test_constant_axes_need_one_point() -> None:
    grid = required_grid(PlaneWaves([[0.5, 0.0]], [[1.0]]))
    assert (grid.shape, grid.extent) == ((3, 1), (2.0, 1.0))


def test_tolerances_ask_for_what_the_spectrum_holds() -> None:
    """|C_k|² ∝ exp(−4π²w²k²/L²), summed beyond K."""
    width, period, rtol = 0.1, 2.0, 1e-5
    field = Gaussians([[0.3]], [[1.0]], [width]).periodize(period)
    energy = [math.exp(-4 * (math.pi * width * k / period) ** 2) for k in range(80)]
    total = energy[0] + 2 * sum(energy[1:])
    beyond = [math.sqrt(2 * sum(energy[k + 1 :]) / total) for k in range(40)]
    least = next(k for k, tail in enumerate(beyond) if tail <= rtol)
    (n,) = required_grid(field, rtol=rtol).shape
    assert n // 2 in (least, least + 1), "a tenth of the tolerance is kept in reserve"


def test_decaying_fields_need_their_support() -> None:
    """exp(−x²/2w²) falls to ε at w√(2 ln 1/ε), its spectrum at √(ln(1/ε)/2)/πw."""
    grid = required_grid(Gaussians([[1.0]], [[1.0]], [0.5]), rtol=1e-6)
    reach = 0.5 * math.sqrt(2 * math.log(1e6))
    assert grid.boundary == "none"
    assert float(grid.origin) == pytest.approx(1.0 - reach, rel=1e-12)
    assert grid.spacing[0] == pytest.approx(0.5 * math.pi * 0.5 / math.sqrt(math.log(1e6) / 2))
    assert (grid.shape[0] - 1) * grid.spacing[0] >= 2 * reach * (1 - 1e-8)


# --- resolved fields --------------------------------------------------------------------------------------------

FUNCTIONS = {
    "square": torch.square,
    "softplus": torch.nn.functional.softplus,
    "GELU": torch.nn.functional.gelu,
    "tanh": torch.tanh,
    "ReLU": torch.relu,
}
#: Band for a relative L2 tail of 1e-2, 1e-3 and 1e-6, in multiples of K = 8, at mean square 1.
BANDS = {
    "square": (2, 2, 2),
    "softplus": (1.8, 2.9, 6.5),
    "GELU": (3, 4.6, 9.3),
    "tanh": (3.6, 5.9, 13.5),
    "ReLU": (6.8, 31, math.inf),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_bands_of_pointwise_nonlinearities(name: str) -> None:
    """The band that a tolerance needs, to a third, since it varies with the field; the error is met on a fine grid."""
    field = noise(1, 8, seed=3, channels=1).map(FUNCTIONS[name])
    fine = Grid(4096, 3 / 4096, 0.01)
    truth = sample(field, fine).values
    for rtol, multiple in zip((1e-2, 1e-3, 1e-6), BANDS[name], strict=True):
        if multiple < math.inf:
            found = field.resolve(rtol)
            assert found.shape[0] // 2 / 8 == pytest.approx(multiple, rel=1 / 3)
            error = sample(found, fine).values - truth
            assert float(error.norm() / truth.norm()) <= 1.1 * rtol
    if name == "square":
        assert found.shape == (33,)
        assert_close(sample(found, fine).values, truth, 1000)  # eps of Fourier evaluation: 1e-13


def test_kinks_are_unresolved_and_said_to_be() -> None:
    field = noise(2, 5, channels=1).map(torch.relu)
    with pytest.raises(
        NotResolved, match=r"rtol = 1e-06 can't be reached.*falls off by the power"
    ) as caught:
        field.resolve(1e-6)
    assert caught.value.tail is not None
    assert 1e-6 < caught.value.tail < 1
    assert issubclass(NotResolved, ValueError)
    with pytest.raises(NotResolved, match="the bound is 1 MiB") as caught:
        noise(1, 5).map(torch.sign).resolve(1e-3, memory=1 << 20)
    assert caught.value.tail is not None
    assert caught.value.tail > 1e-3


def test_bands_below_the_limit_are_found() -> None:
    """A wave of amplitude 1e-4 is left out at 1e-3 and kept at 1e-5."""
    field = PlaneWaves([[1.0], [7.0]], [[1.0], [1e-4]])
    assert field.resolve(1e-3).shape == (3,)
    assert field.resolve(1e-5).shape == (15,)


def test_fast_waves_are_not_taken_for_slow_ones() -> None:
    """A wave with 1,024 periods looks constant on any 2^n ≤ 1,024 points."""
    fast = PlaneWaves([[0.0], [1024.0]], [[1.0], [1.0]], period=1.0)
    hidden = Formula(lambda x: fast(x), 1, 1, period=1.0)
    for field in (fast.map(torch.exp), hidden):
        (n,) = field.resolve(1e-3).shape
        assert n >= 2 * 1024 + 1
    # 19,520 periods look constant on 32 points, and (a Fibonacci number times 32) between them as well.
    fast = PlaneWaves([[0.0], [19520.0]], [[1.0], [1.0]], period=1.0)
    assert fast.map(torch.exp).resolve(1e-3).shape[0] >= 2 * 19520 + 1


def test_resolved_fields_keep_batch_dtype_and_gradients() -> None:
    amplitudes = torch.tensor([[[1.0]], [[0.5]]], requires_grad=True)
    field = PlaneWaves([[1.0]], torch.complex(amplitudes, torch.zeros_like(amplitudes)))
    found = field.map(torch.square).resolve(1e-4)
    assert (found.batch, found.dtype, found.shape) == ((2,), torch.float32, (5,))
    (gradient,) = torch.autograd.grad(found([[0.0]]).sum(), amplitudes)
    assert_close(gradient, 2 * amplitudes.detach(), 100)


# --- the warning ------------------------------------------------------------------------------------------------


def test_too_coarse_grids_are_warned_of_with_the_share() -> None:
    field = PlaneWaves([[1 / 8], [5 / 8]], [[1.0], [0.1]])
    with pytest.warns(
        AliasingWarning, match=r"up to 0.625.*below 0.5.*0.99 % of its energy"
    ) as seen:
        sample(field, Grid(8, 1.0))
    assert seen[0].filename == __file__
    with pytest.warns(AliasingWarning, match=r"0.99 % of its energy"):
        sample(field, Grid(8, 1.0), rtol=0.05)  # its amplitude is twice the tolerance
    with pytest.warns(AliasingWarning, match=r"0.99 % of its energy"):
        sample(
            field.translate(torch.rand(5, 1, generator=torch.Generator().manual_seed(0))),
            Grid(6, 1.0, boundary="none"),
        )
    with pytest.warns(AliasingWarning, match=r"an unknown share"):
        sample(PlaneWaves([[1.0], [math.sqrt(2)]], [[1.0], [1.0]]), Grid(4, 1.0, boundary="zero"))
    fast = PlaneWaves([[1001 / 8]], [[1.0]], period=8.0)  # more waves than fit
    with pytest.warns(AliasingWarning, match=r"up to 125.1, .* an unknown share"):
        sample(fast, Grid(8, 1.0), memory=10_000)


def test_what_is_known_or_harmless_is_not_warned_of() -> None:
    field = PlaneWaves([[1 / 8], [5 / 8]], [[1.0], [0.1]])
    nyquist = Interpolated(torch.randn(1, 8, generator=torch.Generator().manual_seed(0)), 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for prefilter in ("none", "ideal", "gaussian", "bspline", "box"):
            sample(field, Grid(8, 1.0), prefilter=prefilter)
        sample(field, Grid(8, 1.0), rtol=0.2)  # the amplitude that aliases is below the tolerance
        sample(field.map(torch.relu), Grid(8, 1.0))  # no band limit is known
        sample(nyquist, Grid(8, 1.0))
        sample(field, Grid(1, 1.0, boundary="none"))
        sample(field.translate([0.3]), Grid(16, 0.5))


# --- bad input --------------------------------------------------------------------------------------------------

WAVE = PlaneWaves([[0.25]], [[1.0]])


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (lambda: aliasing(WAVE, Grid(6, 1.0, boundary="none")), ValueError, "must be periodic"),
        (lambda: aliasing(WAVE, Grid(6, 1.0)), ValueError, r"the field isn't"),
        (lambda: aliasing(torch.relu, Grid(6, 1.0)), TypeError, "only a Field"),
        (
            lambda: aliasing(Constant(0.0, 1), Grid(4, 1.0)).relative_defect,
            ValueError,
            "isn't defined",
        ),
        (lambda: required_grid(torch.relu), TypeError, "only a Field needs"),
        (lambda: required_grid(WAVE.map(torch.relu)), ValueError, "say rtol="),
        (lambda: required_grid(Gaussians([[0.0]], [[1.0]], [1.0])), ValueError, "say rtol="),
        (lambda: required_grid(Gaussians([[0.0]], [[1.0]], [1.0]), 2.0), ValueError, "rtol must"),
        (
            lambda: required_grid(Gaussians([[0.0]], [[1.0]], [1.0]).map(torch.exp), 0.1),
            ValueError,
            "knows no support nor bandwidth",
        ),
        (lambda: WAVE.resolve(1e-16), ValueError, "64 times the rounding"),
        (lambda: WAVE.resolve(1.0), ValueError, "rtol must lie between"),
        (
            lambda: Gaussians([[0.0]], [[1.0]], [1.0]).resolve(),
            ValueError,
            "only a periodic field can be resolved",
        ),
        (
            lambda: WAVE.map(lambda v: 1 / (v - v)).resolve(),
            ValueError,
            "isn't finite everywhere",
        ),
        (lambda: WAVE.resolve(memory=16), NotResolved, "the bound is 0 MiB"),
        (
            lambda: WAVE.convolve(BoxKernel(8.0, [[1.0]]), 4096, exact=False).resolve(
                memory=60_000
            ),
            NotResolved,
            "can't be reached: .* this needs .* layers with fewer nodes, a larger memory",
        ),
    ],
)
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()


def test_quadratures_are_resolved_with_the_field() -> None:
    """A box of side s multiplies a wave by sin(πsf)/πsf; its quadrature is of second order only."""
    wave = PlaneWaves([[1 / 8], [5 / 8]], [[1.0], [1.0]])
    field = Formula(lambda x: wave(x), 1, 1, bandlimit=5 / 8, period=8.0)
    told = aliasing(field.convolve(BoxKernel(0.7, [[1.0]])), Grid(8, 1.0), rtol=1e-4)
    low, high = (math.sin(math.pi * 0.7 * f) / f for f in (1 / 8, 5 / 8))
    assert float(told.share) == pytest.approx(high**2 / (low**2 + high**2), rel=1e-4)


@pytest.mark.parametrize("rtol", [1e-6, 0.01, 0.1, 0.3])
@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_smaller_grid_suffices(dim: int, rtol: float, seed: int) -> None:
    """All boxes of modes tried: the fewest points outside of which lies at most rtol, in L2."""
    draw = torch.Generator().manual_seed(10 * dim + seed)
    modes = torch.cartesian_prod(*(torch.arange(-3, 4),) * dim).reshape(-1, dim)
    modes = modes[[m > [0] * dim for m in modes.tolist()]]  # one of each pair ±k
    falls = torch.tensor([1.0, 2.0, 0.5])[:dim].double()
    size = torch.exp(-(modes.double().abs() * falls).sum(-1))
    noise = torch.randn(len(modes), generator=draw, dtype=torch.float64)
    amplitudes = (size * noise)[:, None].to(torch.complex128)
    field = PlaneWaves(modes.double() / 4, amplitudes, period=(4.0,) * dim)
    energy = amplitudes[:, 0].abs() ** 2
    small = math.inf
    for box in itertools.product(range(4), repeat=dim):
        outside = energy[(modes.abs() > torch.tensor(box)).any(-1)].sum() / energy.sum()
        if outside <= rtol**2:
            small = min(small, math.prod(2 * k + 1 for k in box))
    assert math.prod(required_grid(field, rtol).shape) == small
    resolved = field.resolve(rtol)
    assert math.prod(resolved.shape) == small
