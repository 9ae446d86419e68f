"""Field itself: what it hands on to evaluation, quadrature and composition, and what it says of bad arguments."""

import math
import re

import pytest
import torch
from torch import Tensor

from discretize import Grid, Samples
from fields import (
    Atoms,
    Ball,
    Constant,
    Field,
    Formula,
    GaussianKernel,
    Gaussians,
    LatticeTooLarge,
    PeriodicKernel,
    PlaneWaves,
    random_bandlimited,
)
from fields.lattice import Lattice
from tests.compare import assert_close
from tests.laws.registry import DIMS, points

every_dim = pytest.mark.parametrize("dim", DIMS)

#: relu(C + cos θ), θ = 2πx/P + PHASE, which vanishes from θ = EDGE on: its kinks make trapezoidal sums converge
#: slowly, so that a tolerance that gets lost shows.
PERIOD, PHASE, C = 3.0, 0.7, 0.3
EDGE = math.acos(-C)
INTEGRAL = PERIOD / math.pi * (C * EDGE + math.sin(EDGE))
SQUARE = PERIOD / math.pi * ((C**2 + 0.5) * EDGE + 2 * C * math.sin(EDGE) + math.sin(2 * EDGE) / 4)
TURN = complex(math.cos(PHASE), math.sin(PHASE))
FIRST = TURN / math.pi * (C * math.sin(EDGE) + EDGE / 2 + math.sin(2 * EDGE) / 4)


def rectified(scale: float = 1.0) -> Field:
    return (PlaneWaves([[1 / PERIOD]], [[scale * TURN]]) + scale * C).map(torch.relu)


class Told(Field):
    """F = 1 with period (2, 0), whose closed forms are made up, so that they can be told from quadrature."""

    dim, channels, dtype, device, batch = 2, 1, torch.float64, torch.device("cpu"), ()
    period = (2.0, 0.0)

    def _values(self, lattice: Lattice) -> Tensor:
        return torch.ones(1, *lattice.shape, dtype=self.dtype)

    def _integral(self) -> Tensor:
        return torch.full((1,), 7.0, dtype=self.dtype)

    def _transform(self, frequencies: Tensor) -> Tensor:
        return torch.full((len(frequencies), 1), 5.0, dtype=torch.complex128)


# --- values and derivatives ---------------------------------------------------------------------


@every_dim
def test_points_are_read_in_double_precision(dim: int) -> None:
    """F(x) of a float64 field at float32 points x is F at these numbers, to float64's rounding."""
    field, x = random_bandlimited(dim, 2, 0.4, 8.0, seed=0), points(dim).float()
    assert torch.equal(field(x), field(x.double()))
    assert torch.equal(field.gradient(x), field.gradient(x.double()))
    single = random_bandlimited(dim, 2, 0.4, 8.0, seed=0, dtype=torch.float32)
    assert single(points(dim)).dtype == torch.float32


@every_dim
@pytest.mark.parametrize("shape", [(), (4,), (2, 3)], ids=str)
@pytest.mark.parametrize("batch", [(), (2,), (3, 2)], ids=str)
def test_gradients_of_waves(dim: int, shape: tuple[int, ...], batch: tuple[int, ...]) -> None:
    """∂/∂x_i Re a exp(2πi f·x) = Re 2πi f_i a exp(2πi f·x), shape (*batch, *points, c, d)."""
    f = torch.tensor([[0.3, -0.2, 0.5][:dim]], dtype=torch.float64)
    a = torch.randn(
        *batch, 1, 2, generator=torch.Generator().manual_seed(0), dtype=torch.complex128
    )
    x = points(dim, math.prod(shape)).reshape(*shape, dim)
    waves = [PlaneWaves(f, 2j * math.pi * f_i * a) for f_i in f[0].tolist()]
    expected = torch.stack([wave(x) for wave in waves], dim=-1)
    assert_close(PlaneWaves(f, a).gradient(x), expected, 200)


# --- periods ------------------------------------------------------------------------------------


def test_a_field_is_periodic_by_multiples_of_its_period() -> None:
    """Axis by axis; along one where it is constant, every length is a period."""
    wave = PlaneWaves([[0.5, 0.0]], [[1.0]])
    assert wave.period == (2.0, 0.0)
    for field in (wave, Told()):
        assert field.is_periodic((4.0, 0.711))
        assert field.is_periodic(6.0)
        assert not field.is_periodic((3.0, 0.711))
        assert not field.is_periodic((1.0, 1.0))
    assert not Formula(torch.cos, 1, 1).is_periodic(2 * math.pi)


def test_a_sum_is_periodic_where_all_its_terms_are() -> None:
    both = PlaneWaves([[1.0]], [[1.0]]) + PlaneWaves([[0.5]], [[1.0]])
    assert both.period == (2.0,)
    assert both.is_periodic(2.0)
    assert not both.is_periodic(1.0)
    assert not (both + Gaussians([[0.0]], [[1.0]], [1.0])).is_periodic(2.0)


# --- integrals ----------------------------------------------------------------------------------


def test_known_closed_forms_are_taken() -> None:
    """Where a field knows its integral and its transform, no quadrature is made."""
    assert Told().integrate().tolist() == [7.0]
    assert Told().transform([[0.5, 0.0], [1.0, 0.0]]).tolist() == [[5.0], [5.0]]
    assert Told().norm().item() == pytest.approx(math.sqrt(2.0), rel=1e-12)


@pytest.mark.parametrize("rtol", [None, 1e-3, 1e-7])
def test_quadratures_keep_to_their_tolerance(rtol: float | None) -> None:
    """∫F, ⟨F, F⟩ and F̂ in closed form, to rtol, which is 1e-6 where none is given."""
    options, bound = ({}, 1e-6) if rtol is None else ({"rtol": rtol}, rtol)
    field = rectified()
    assert abs(float(field.integrate(**options)) - INTEGRAL) <= bound * INTEGRAL
    assert abs(float(field.inner(field, **options)) - SQUARE) <= bound * SQUARE
    assert abs(float(field.norm(**options)) - math.sqrt(SQUARE)) <= bound * math.sqrt(SQUARE)
    mean, first = field.transform([[0.0], [1 / PERIOD]], **options)[:, 0].tolist()
    assert abs(mean - INTEGRAL / PERIOD) <= bound * INTEGRAL / PERIOD
    assert abs(first - FIRST) <= bound * INTEGRAL / PERIOD


def test_loose_tolerances_are_handed_on() -> None:
    """Half of it is all that is asked for at rtol = 0.5: nodes are few, and the error shows it."""
    field = rectified()
    errors = [
        float(field.integrate(0.5)) - INTEGRAL,
        float(field.inner(field, 0.5)) - SQUARE,
        float(field.norm(0.5)) - math.sqrt(SQUARE),
        abs(complex(field.transform([[0.0]], 0.5))) - INTEGRAL / PERIOD,
    ]
    assert all(abs(error) > 3e-6 for error in errors), errors


@pytest.mark.parametrize(
    "measured",
    [
        lambda f, **o: f.integrate(**o),
        lambda f, **o: f.inner(f, **o),
        lambda f, **o: f.norm(**o),
        lambda f, **o: f.transform([[0.0]], **o),
    ],
    ids=["integrate", "inner", "norm", "transform"],
)
def test_quadratures_keep_to_their_memory(measured) -> None:
    """An accuracy that takes more values than fit raises, and is met where they fit."""
    measured(rectified(), rtol=1e-7)
    with pytest.raises(LatticeTooLarge, match="the bound is"):
        measured(rectified(), rtol=1e-7, memory=1 << 10)


def test_narrow_peaks_are_not_missed() -> None:
    """∫ exp(−x²/w²) = w√π by quadrature of a periodic field, whose nodes resolve what it is made of: w = P/1000."""
    peaks = Gaussians([[0.3]], [[1.0]], [0.01]).periodize(10.0).map(torch.square)
    assert float(peaks.integrate()) == pytest.approx(0.01 * math.sqrt(math.pi), rel=1e-6)


def test_norms_of_small_fields_and_of_zero() -> None:
    """‖aF‖ = |a|‖F‖, down to ‖0‖ = 0: round-off below zero is no NaN."""
    assert float(rectified(1e-3).norm()) == pytest.approx(1e-3 * math.sqrt(SQUARE), rel=1e-6)
    field = Gaussians([[0.0], [0.0]], [[1.0], [-1.0]], [0.3, 0.3])
    assert float(field.norm()) == 0.0
    rest = Gaussians(
        [[0.0]] * 3, [[0.1], [0.2], [-0.3]], [0.3] * 3
    )  # 0.1 + 0.2 − 0.3 > 0, in floating point
    assert 0.0 <= float(rest.norm()) <= 1e-8


def test_frequencies_are_read_in_double_precision() -> None:
    """exp(−2π²w²f²)·w√2π of a unit Gaussian, at float32 frequencies to float64's rounding."""
    w, f = 0.3, torch.tensor([[0.1], [1 / 3], [2.7]], dtype=torch.float32)
    found = Gaussians([[0.0]], [[1.0]], [w]).transform(f)
    expected = w * math.sqrt(2 * math.pi) * torch.exp(-2 * (math.pi * w * f.double()) ** 2)
    assert found.dtype == torch.complex128
    assert_close(found.real, expected, 20)


# --- composition --------------------------------------------------------------------------------


def test_terms_of_a_sum_are_the_fields_themselves() -> None:
    """F + G has the parents F and G, F − G the parents F and −G: what both share is evaluated once."""
    f, g = PlaneWaves([[1.0]], [[1.0]]), PlaneWaves([[0.5]], [[1.0]])
    assert (f + g).parents == (f, g)
    assert (f - g).parents[0] is f
    assert (f - g).parents[1].parents == (g,)


def test_beside_samples_a_field_is_sampled() -> None:
    """F + f, F − f and F·f at the points of f, whichever comes first."""
    field, grid = PlaneWaves([[0.25]], [[1.0 - 0.5j]]), Grid(8, 1.0)
    f, there = Samples(torch.arange(8.0).double()[None], grid), field(grid.points()).mT
    for made, expected in [
        (field + f, there + f.values),
        (field - f, there - f.values),
        (f - field, f.values - there),
        (field * f, there * f.values),
    ]:
        assert isinstance(made, Samples)
        assert_close(made.values, expected, 100)


def test_numbers_beside_a_field_are_of_its_dtype() -> None:
    """Plain numbers and lists of them leave a float32 field float32."""
    field = PlaneWaves(torch.tensor([[0.5]]), torch.ones(1, 2, dtype=torch.complex64))
    assert field.dtype == torch.float32
    for made in (2 * field, field + 1, field * [1.0, 2.0], [1.0, 2.0] - field, field.mix([[1, 2]])):
        assert made.dtype == made([[0.0]]).dtype == torch.float32


def test_quadratures_are_told_from_exact_fields() -> None:
    """A field has one where any node that it is made of sums over nodes; atoms and closed forms are exact."""
    wave, kernel = PlaneWaves([[0.5]], [[1.0]]), GaussianKernel(0.5, [[1.0]])
    quadrature = wave.convolve(kernel, exact=False)
    for field in (quadrature, quadrature + 1, wave * quadrature, quadrature.map(torch.relu)):
        assert field.has_quadrature
    taps = Atoms([[0.0], [0.5]], torch.ones(2, 1, 1).double())
    for field in (wave, wave.convolve(kernel), wave.convolve(taps), wave.map(torch.relu) + wave):
        assert not field.has_quadrature


@every_dim
def test_nodes_of_a_convolution(dim: int) -> None:
    """K*F of a wave is K̂(f)F in closed form; by nodes it converges to that, and one per radius is far off."""
    f = torch.tensor([[0.4, 0.1, 0.2][:dim]], dtype=torch.float64)
    wave, kernel, x = PlaneWaves(f, [[1.0 - 0.5j]]), GaussianKernel(0.5, [[2.0]]), points(dim, 3)
    exact = 2 * math.exp(-2 * (math.pi * 0.5) ** 2 * float((f**2).sum())) * wave(x)
    assert_close(wave.convolve(kernel)(x), exact, 100)
    assert_close(wave.convolve(kernel, 1)(x), exact, 100)
    by_nodes = [wave.convolve(kernel, n, exact=False)(x) for n in (1, 16)]
    errors = [float((v - exact).abs().max()) for v in by_nodes]
    assert errors[0] > 1e-2
    assert 0.0 < errors[1] <= 1e-9
    assert torch.equal(wave.convolve(kernel, exact=False)(x), by_nodes[1])


def test_kernels_on_a_period_act_on_what_repeats_by_it() -> None:
    """K̂(±1) = ±i moves a wave of the kernel's period by −1/4 of it, in closed form and by nodes."""
    wave, x = PlaneWaves([[0.25]], [[1.0 + 0.5j]]), points(1)
    assert_close(wave.convolve(QUARTER)(x), wave(x + 1.0), 100)
    assert_close(wave.convolve(QUARTER, exact=False)(x), wave(x + 1.0), 100)
    assert_close(PlaneWaves([[0.5]], [[1.0]]).convolve(QUARTER)(x), 0 * x, 100, 1.0)


def test_resolved_fields_keep_to_their_tolerance() -> None:
    """‖F − R‖ ≤ rtol·‖F‖ over a period, rtol = 1e-6 unless said otherwise; a looser one needs fewer waves."""
    field = PlaneWaves([[0.25]], [[2.0]]).map(torch.tanh)
    found, loose = field.resolve(), field.resolve(1e-2)
    x = torch.arange(0.0, 4.0, 1 / 64, dtype=torch.float64)[:, None]
    assert float((found(x) - field(x)).norm()) <= 1e-6 * float(field(x).norm())
    assert 1e-5 < float((loose(x) - field(x)).norm() / field(x).norm()) <= 1e-2
    assert loose.bandlimit[0] < found.bandlimit[0]


@pytest.mark.parametrize("dim", [1, 2])
def test_pooling_takes_means_by_nodes(dim: int) -> None:
    """The mean over a ball, unless said otherwise: that of |x|² about 0 is r²·d/(d + 2), by enough nodes."""
    square, zero = Formula(lambda x: (x**2).sum(-1, keepdim=True), dim, 1), torch.zeros(1, dim)
    expected = dim / (dim + 2)
    errors = [abs(float(square.pool(Ball(1.0), nodes=n)(zero)) - expected) for n in (1, 8)]
    assert errors[1] < errors[0] / 4
    assert float(square.pool(Ball(1.0), "max", 8)(zero)) == pytest.approx(1.0, abs=0.2)
    assert torch.equal(square.pool(Ball(1.0), "mean")(zero), square.pool(Ball(1.0))(zero))


# --- bad input ----------------------------------------------------------------------------------

WAVE = PlaneWaves([[0.5, 0.25]], [[1.0]])
QUARTER = PeriodicKernel.from_transfer([[[-1j]], [[0.0]], [[1j]]], period=4.0)
MAP = Samples(torch.ones(1, 4, 4), Grid((4, 4), 1.0))
BAD = {
    "points": (lambda: WAVE([math.nan, 0.0]), ValueError, r"^points x must be finite"),
    "point, dimension": (
        lambda: WAVE([[0.0, 0.0, 0.0]]),
        ValueError,
        r"^points of a field on R\^2 have shape \(\*points, 2\), got \(1, 3\)$",
    ),
    "point, a number": (lambda: WAVE(0.0), ValueError, r"^points of a field .* got \(\)$"),
    "period": (lambda: WAVE.is_periodic(0.0), ValueError, r"^period must be positive"),
    "period of a sum": (
        lambda: (WAVE + WAVE).is_periodic(-1.0),
        ValueError,
        r"^period must be positive",
    ),
    "images": (lambda: WAVE.periodize(-1.0), ValueError, r"^period must be positive"),
    "stride": (lambda: WAVE.stride(0), ValueError, r"^stride must be integers of at least 1"),
    "stride, axes": (
        lambda: WAVE.stride((1, 2, 3)),
        ValueError,
        r"^stride must be a number or 2 numbers, got 3",
    ),
    "inner": (
        lambda: WAVE.inner(MAP),
        TypeError,
        r"^an inner product needs two fields, got Samples$",
    ),
    "frequencies": (
        lambda: WAVE.transform([[math.inf, 0.0]]),
        ValueError,
        r"^frequencies must be finite",
    ),
    **{
        f"frequencies {list(shape)}": (
            lambda shape=shape: WAVE.transform(torch.zeros(shape)),
            ValueError,
            "^" + re.escape(f"frequencies must have shape (k, 2), k ≥ 1, got {shape}") + "$",
        )
        for shape in [(2,), (3, 1), (3, 3), (0, 2), (1, 2, 2)]
    },
    "exact": (
        lambda: PlaneWaves([[0.25]], [[1.0]]).convolve(QUARTER, exact="no"),
        TypeError,
        r"^exact must be True or False",
    ),
    "kernel on another period": (
        lambda: PlaneWaves([[1 / 3]], [[1.0]]).convolve(QUARTER),
        ValueError,
        r"^a kernel on the whole period \(4.0,\) .* got a field of period \(3.0,\): ",
    ),
    "kernel on no period": (
        lambda: Gaussians([[0.0]], [[1.0]], [1.0]).convolve(QUARTER),
        ValueError,
        "got a field of period None: ",
    ),
    "long translation": (
        lambda: WAVE.translate([0.0, -1e76]),
        ValueError,
        r"^translations must be at most 1e\+75: choose another unit of length$",
    ),
    "translation": (
        lambda: WAVE.translate([1.0]),
        ValueError,
        r"^a translation in 2 dimensions has shape \(2,\)",
    ),
    "constant": (lambda: Constant(1.0, 2) + "a", TypeError, "must be numbers"),
}


@pytest.mark.parametrize(("call", "kind", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input(call, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_the_norm_of_nothing_has_a_gradient() -> None:
    """The subgradient 0 at F = 0, F/‖F‖ elsewhere: ‖a·cos‖ = |a|·√2 over a period of 4."""
    a = torch.tensor([[[0.0]], [[-3.0]]], dtype=torch.float64, requires_grad=True)
    norms = PlaneWaves([[0.25]], a).norm()
    assert_close(norms, torch.tensor([0.0, 3 * 2**0.5], dtype=torch.float64), 10)
    (found,) = torch.autograd.grad(norms.sum(), a)
    assert_close(found.flatten(), torch.tensor([0.0, -(2**0.5)], dtype=torch.float64), 10)


def test_an_abstract_field_says_what_it_lacks() -> None:
    class Nothing(Field):
        dim, channels, dtype, device, batch = 1, 1, torch.float64, torch.device("cpu"), ()

    with pytest.raises(NotImplementedError, match="Nothing doesn't say its values on a lattice"):
        Nothing()([0.0])


def test_it_says_what_it_is() -> None:
    F = PlaneWaves([[0.25, 0.0]], torch.ones(1, 3))
    assert repr(F) == "PlaneWaves(dim=2, channels=3, batch=(), dtype=torch.float32)"
    assert repr(F + F.map(torch.relu)).endswith(
        "(dim=2, channels=3, batch=(), dtype=torch.float32)"
    )
