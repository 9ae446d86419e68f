"""Integrals, inner products and transforms: closed forms against quadrature, and quadrature against equations."""

import math

import pytest
import scipy.integrate
import torch

from fields import (
    Balls,
    Boxes,
    Bumps,
    Constant,
    Field,
    Formula,
    Gaussians,
    LatticeTooLarge,
    PlaneWaves,
    Polynomial,
    Sprites,
    random_bandlimited,
)
from fields.accuracy import MEMORY_BOUND
from fields.evaluation import integrals
from fields.evaluation.evaluation import evaluate
from fields.lattice import Lattice
from tests.compare import assert_close
from tests.laws.registry import (
    BATCH,
    PERIOD,
    Draw,
    balls,
    boxes,
    bumps,
    gabors,
    gabors_covariance,
    gaussians,
    gaussians_covariance,
    gaussians_per_axis,
    periodic_gaussians,
    waves_on_a_grid,
)

SMOOTH = {
    "Gaussians": gaussians,
    "Gaussians, widths per axis": gaussians_per_axis,
    "Gaussians, covariances": gaussians_covariance,
    "Gabors": gabors,
    "Gabors, covariances": gabors_covariance,
    "PlaneWaves": waves_on_a_grid,
    "periodized": periodic_gaussians,
}
smooth = pytest.mark.parametrize("build", SMOOTH.values(), ids=SMOOTH.keys())
low_dim = pytest.mark.parametrize("dim", [1, 2])

#: Closed forms and quadratures differ by sums of some thousand terms: a constant for eps times their sizes.
SUMS = 1e5


def scale(field: Field) -> float:
    """∫|F|, roughly, which errors of sums are compared with."""
    found = field.map(torch.abs) if field.channels else field
    return float(integrals.integral(found, 1e-2, MEMORY_BOUND).max())


@low_dim
@smooth
def test_closed_integrals(build, dim: int) -> None:
    """∫F by its closed form is what the trapezoidal rule, spectrally accurate here, finds; batches too."""
    field = build(Draw(dim, element=None))
    expected = integrals.integral(field, 1e-10, MEMORY_BOUND)
    assert field.integrate().shape == (BATCH, 2)
    assert_close(field.integrate(), expected, SUMS, scale(field))
    moved = field.translate([0.3] * dim)
    assert_close(moved.integrate(), field.integrate(), SUMS, scale(field))


def test_integral_against_scipy() -> None:
    """∫F by scipy's adaptive cubature."""
    field = gaussians_covariance(Draw(2))
    found = scipy.integrate.cubature(
        lambda x: field(torch.from_numpy(x)).numpy(), [-9, -9], [9, 9], rtol=1e-8, atol=1e-8
    )
    assert_close(field.integrate(), found.estimate, 1e8)


@low_dim
@smooth
def test_closed_inner_products(build, dim: int) -> None:
    """⟨F, G⟩ by the closed form and by quadrature of the product; ‖F‖² = ⟨F, F⟩."""
    f, g = build(Draw(dim, element=None)), build(Draw(dim, element=1))
    expected = integrals.integral(f * g, 1e-10, MEMORY_BOUND).sum(-1)
    size = float(f.norm().max() * g.norm())
    assert_close(f.inner(g), expected, SUMS, size)
    assert_close(g.inner(f), expected, SUMS, size)
    assert_close(f.norm() ** 2, f.inner(f), SUMS)


@low_dim
def test_inner_products_of_different_envelopes(dim: int) -> None:
    """⟨F, G⟩ for Gaussians with Gabors, of full covariance with widths per axis."""
    for f, g in [
        (gaussians(Draw(dim)), gabors(Draw(dim, element=1))),
        (gabors_covariance(Draw(dim)), gaussians_per_axis(Draw(dim, element=1))),
        (gaussians_covariance(Draw(dim)), gabors(Draw(dim, element=None))),
    ]:
        expected = integrals.integral(f * g, 1e-10, MEMORY_BOUND).sum(-1)
        assert_close(f.inner(g), expected, SUMS, float((f.norm() * g.norm()).max()))


def test_overlaps_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum over pairs of terms is the same a few at a time."""
    f, g = gabors(Draw(2)), gaussians_covariance(Draw(2))
    whole = f.inner(g)
    monkeypatch.setattr("fields.leaves.gaussian_envelopes.ENVELOPE_PAIRS", 3)
    assert_close(f.inner(g), whole, 100)


@low_dim
@smooth
def test_closed_transforms(build, dim: int) -> None:
    """F̂(f) = ∫F exp(−2πi f·x) dx, or the mean over the period, by quadrature."""
    field = build(Draw(dim, element=None))
    steps = torch.cartesian_prod(*[torch.arange(-1.0, 3.0, dtype=torch.float64)] * dim)
    f = steps.reshape(-1, dim) / torch.tensor(PERIOD[:dim], dtype=torch.float64)
    for shape in (field, field.translate([0.3, -0.2][:dim])):
        expected = integrals.transform(shape, f, 1e-10, MEMORY_BOUND)
        assert shape.transform(f).shape == (BATCH, len(f), 2)
        assert_close(
            torch.view_as_real(shape.transform(f)), torch.view_as_real(expected), SUMS, scale(field)
        )


@low_dim
def test_coefficients_are_those_of_the_fft(dim: int) -> None:
    """Coefficients of a field of period P from an FFT of a sampling that resolves it."""
    field, n = random_bandlimited(dim, 2, 0.6, 5.0, seed=1), 8
    axes = [torch.arange(n, dtype=torch.float64) * 5 / n] * dim
    values = field(torch.cartesian_prod(*axes).reshape(*(n,) * dim, dim)).movedim(-1, 0)
    expected = torch.fft.fftn(values, dim=tuple(range(1, dim + 1)), norm="forward")
    f = torch.cartesian_prod(*[torch.fft.fftfreq(n, 5 / n, dtype=torch.float64)] * dim)
    found = field.transform(f.reshape(-1, dim)).mT.reshape(2, *(n,) * dim)
    assert_close(torch.view_as_real(found), torch.view_as_real(expected), 1000)


@low_dim
def test_parseval(dim: int) -> None:
    """‖F‖² = volume·Σ|F̂|² on a torus; = ∫|F̂|² df on R^d."""
    waves = waves_on_a_grid(Draw(dim))
    f = torch.cat([waves.frequencies, -waves.frequencies]).unique(dim=0)
    energy = (waves.transform(f).abs() ** 2).sum() * math.prod(PERIOD[:dim])
    assert_close(waves.norm() ** 2, energy, 1000)
    gabor, step = gabors(Draw(dim)), 0.04
    axis = torch.arange(-60, 61, dtype=torch.float64) * step
    f = torch.cartesian_prod(*[axis] * dim).reshape(-1, dim)
    energy = (gabor.transform(f).abs() ** 2).sum() * step**dim
    assert_close(gabor.norm() ** 2, energy, 1e5)


@low_dim
def test_the_norm_on_the_torus_is_invariant(dim: int) -> None:
    """‖t▷F‖ = ‖F‖ for every real t, by quadrature and in closed form; ⟨t▷F, t▷G⟩ = ⟨F, G⟩."""
    t = torch.tensor([0.123, 1.77], dtype=torch.float64)[:dim]
    for field in (waves_on_a_grid(Draw(dim)), periodic_gaussians(Draw(dim))):
        assert_close(field.translate(t).norm(1e-9), field.norm(1e-9), SUMS)
    f, g = waves_on_a_grid(Draw(dim)), periodic_gaussians(Draw(dim))
    size = float(f.norm() * g.norm())
    assert_close(f.translate(t).inner(g.translate(t), 1e-9), f.inner(g, 1e-9), SUMS, size)


def test_constants_are_means() -> None:
    """∫c = c and ‖c‖ = |c| over a box of volume 1; F̂(0) = c."""
    field = Constant([3.0, 4.0], 2)
    assert field.integrate().tolist() == [3.0, 4.0]
    assert float(field.norm()) == 5.0
    assert field.transform([[0.0, 0.0], [1.0, 0.0]]).real.tolist() == [[3.0, 4.0], [0.0, 0.0]]
    blob = Gaussians([[0.0, 0.0]], [[1.0, 2.0]], [1.5])
    assert float(field.inner(blob, 1e-9)) == pytest.approx(11 * 2 * math.pi * 1.5**2, rel=1e-8)


def riemann(field: Field, count: int, frequency: torch.Tensor | None = None) -> torch.Tensor:
    """Mean of F·cos(2πf·x) at count^d points of its support, times the volume."""
    low, high = (torch.tensor(c, dtype=torch.float64) for c in field.support(1e-17))
    spacing = (high - low) / count
    lattice = Lattice(low + spacing / 2, tuple(spacing.tolist()), (count,) * field.dim)
    values = evaluate(field, lattice)
    if frequency is not None:
        values = values * torch.cos(2 * math.pi * lattice.points() @ frequency)
    return values.flatten(1).sum(1) * spacing.prod()


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("build", [balls, boxes, bumps], ids=["Balls", "Boxes", "Bumps"])
def test_shapes_by_sums(build, dim: int) -> None:
    """Integrals, inner products and transforms of shapes as far as sums over points of them go."""
    f, g = build(Draw(dim)), build(Draw(dim, element=1))
    count, tolerance = {1: (100_000, 1e-4), 2: (1000, 2e-3), 3: (120, 1e-2)}[dim]
    size = float(riemann(f.map(torch.abs), count).max())
    assert float((f.integrate() - riemann(f, count)).abs().max()) <= tolerance * size
    product = float(f.norm(1e-3) * g.norm(1e-3))
    assert abs(float(f.inner(g, 1e-3) - riemann(f * g, count).sum())) <= tolerance * product
    for frequency in torch.tensor([[0.0] * 3, [0.3, 0.1, -0.2], [1e-4, 0, 0]]).double()[:, :dim]:
        found = f.transform(frequency[None], 1e-3)[0].real
        assert float((found - riemann(f, count, frequency)).abs().max()) <= tolerance * size


@low_dim
def test_rough_fields_are_as_accurate_as_promised(dim: int) -> None:
    """Quadratures of indicators, whose sums change erratically, keep to rtol·∫|F|."""
    for build in (balls, boxes):
        for element in range(BATCH):
            field = build(Draw(dim, element=element))
            found = integrals.integral(field, 1e-3, MEMORY_BOUND)
            assert float((found - field.integrate()).abs().max()) <= 1e-3 * scale(field)


def test_lenses() -> None:
    """Balls of radius 1 at distance 1: 2π/3 − √3/2 and 5π/12; balls inside each other, apart, and equal."""
    for dim, expected in [(1, 1.0), (2, 2 * math.pi / 3 - math.sqrt(3) / 2), (3, 5 * math.pi / 12)]:
        one = Balls([[0.0] * dim], [[1.0]], [1.0])
        moved = Balls([[1.0] + [0.0] * (dim - 1)], [[1.0]], [1.0])
        assert float(one.inner(moved)) == pytest.approx(expected, rel=1e-14)
        small = Balls([[0.2] * dim], [[1.0]], [0.1])
        assert float(one.inner(small)) == pytest.approx(float(small.integrate()), rel=1e-14)
        assert float(one.inner(one)) == pytest.approx(float(one.integrate()), rel=1e-14)
        assert float(one.inner(Balls([[2.5] * dim], [[1.0]], [1.0]))) == 0.0


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_integral_of_a_bump_against_scipy(dim: int) -> None:
    """∫ in shells: |S^{d−1}| ∫ r^{d−1} exp(1 − 1/(1 − r²)) dr."""
    sphere = 2 * math.pi ** (dim / 2) / math.gamma(dim / 2)
    shells, _ = scipy.integrate.quad(
        lambda r: r ** (dim - 1) * math.exp(1 - 1 / (1 - r**2)) if r < 1 else 0.0,
        0,
        1,
        epsabs=1e-14,
    )
    field = Bumps([[0.3] * dim], [[2.0]], [1.5])
    assert float(field.integrate()) == pytest.approx(2 * sphere * shells * 1.5**dim, rel=1e-12)


def test_gradients_flow_through_integrals() -> None:
    """∂‖F‖/∂(centres, amplitudes, widths) is the limit of differences."""
    draw = Draw(2)
    gabors(draw)
    drawn = [v.requires_grad_() for v in draw.drawn]
    torch.autograd.gradcheck(lambda *v: gabors(Draw(2, given=v)).norm(), drawn, fast_mode=True)
    torch.autograd.gradcheck(lambda *v: gabors(Draw(2, given=v)).integrate(), drawn, fast_mode=True)


@pytest.mark.parametrize(
    ("run", "kind", "message"),
    [
        (lambda: Polynomial([[2]], [[1.0]]).integrate(), ValueError, "this Polynomial is neither"),
        (
            lambda: PlaneWaves([[1.0], [math.sqrt(2)]], [[1.0]] * 2).integrate(),
            ValueError,
            "none in common",
        ),
        (
            lambda: PlaneWaves([[1.0]], [[1.0]]).inner(PlaneWaves([[math.pi]], [[1.0]])),
            ValueError,
            "needs a common period",
        ),
        (
            lambda: Balls([[0.0] * 3], [[1.0]], [1.0]).map(torch.square).integrate(1e-6, 1 << 20),
            LatticeTooLarge,
            "rtol = 1e-06 can't be reached",
        ),
        (lambda: Constant(1.0, 1).map(torch.exp).integrate(0.0), ValueError, "rtol must lie"),
        (lambda: Constant(1.0, 1).inner(2.0), TypeError, "needs two fields, got float"),
        (lambda: Constant(1.0, 1).transform([0.0]), ValueError, r"shape \(k, 1\)"),
        (
            lambda: Formula(torch.sin, 1, 1, period=2 * math.pi).transform([[0.2]]),
            ValueError,
            "multiples of 1/period only",
        ),
        (
            lambda: Sprites("heart", [[0.0] * 2], [[1.0]], [1.0], [0.0]).inner(
                Boxes([[0.0]], [[1.0]], [1.0])
            ),
            ValueError,
            "R\\^2 and R\\^1",
        ),
    ],
)
def test_bad_input(run, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        run()
