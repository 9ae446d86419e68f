"""What fields are composed of: images, periods, supports, and what doesn't fit together."""

import math

import pytest
import torch

from fields import (
    Ball,
    BoxKernel,
    Constant,
    Field,
    Formula,
    GaussianKernel,
    Gaussians,
    Interpolated,
    PlaneWaves,
    random_bandlimited,
)
from fields.evaluation.evaluation import evaluate
from fields.lattice import Lattice
from tests.compare import assert_close
from tests.laws.registry import DIMS, points

every_dim = pytest.mark.parametrize("dim", DIMS)


def gaussian(dim: int, width: float = 0.5, center: float = 0.3) -> Gaussians:
    return Gaussians([[center] * dim], [[1.0]], [width])


# --- images -------------------------------------------------------------------------------------


@every_dim
@pytest.mark.parametrize("width", [0.1, 0.5, 1.5])
def test_periodized_gaussians_are_theta_functions(dim: int, width: float) -> None:
    """Poisson: Σ_n exp(−(x − nP)²/2w²) = (w√2π/P) Σ_k exp(−2π²w²k²/P²) cos(2πkx/P), per axis."""
    period, x = (2.0, 1.5, 3.0)[:dim], points(dim)
    lengths = torch.tensor(period).double()
    k = torch.arange(-60, 61, dtype=torch.float64)
    decay = torch.exp(-2 * (math.pi * width * k / lengths[:, None]) ** 2)
    turns = 2 * math.pi * (x - 0.3)[..., None] * k / lengths[:, None]
    theta = (decay * torch.cos(turns)).sum(-1) * width * math.sqrt(2 * math.pi) / lengths
    field = gaussian(dim, width).periodize(period)
    assert_close(field(x), theta.prod(-1, keepdim=True), 500, 1 + float(theta.prod(-1).max()))
    assert field.period == period


@pytest.mark.parametrize("tail", [1e-10, 1e-13, 1e-14])
def test_tails_of_images_are_kept(tail: float) -> None:
    """Half a period from the middle two images are as small as each other: neither is left out."""
    width, leaf = 1 / math.sqrt(-2 * math.log(tail)), torch.ones(1, 1, dtype=torch.float64)
    covariance = torch.full((1, 1, 1), width**2, dtype=torch.float64)
    for size in (torch.tensor([width]).double(), covariance):
        field = Gaussians(0 * leaf, leaf, size).periodize(2.0)
        assert_close(field(leaf), 2 * tail * leaf, 4, 1.0)


@every_dim
def test_images_on_long_lattices_and_far_away(dim: int) -> None:
    """A lattice longer than the period, and origins many periods off, one per batch element."""
    field = gaussian(dim).translate([10.0] * dim).periodize(2.0)
    base = points(dim, 1)[0]
    origins = torch.stack([base, base + 2000.0, base - 2e6])
    values = evaluate(field, Lattice(origins, (0.7,) * dim, (6, 1, 1)[:dim]))
    x = base + base.new_tensor([0.7] + [0.0] * (dim - 1)) * torch.arange(6)[:, None]
    images = torch.cartesian_prod(*(torch.arange(-2, 5),) * dim).reshape(-1, dim) * 2.0
    expected = sum(gaussian(dim)(x - n) for n in images).flatten()
    for row in values:
        assert_close(row.flatten(), expected, 1e7, 1.0)  # 2e6 is only known to 2e6·eps
    assert_close(values[0].flatten(), expected, 500)


def test_periodizing_commutes_with_layers() -> None:
    """K * Σ_n (nP▷F) = Σ_n nP▷(K * F)."""
    field, kernel, x = gaussian(2), GaussianKernel(0.2, [[2.0]]), points(2)
    first, last = field.periodize(2.0).convolve(kernel, 3), field.convolve(kernel, 3).periodize(2.0)
    assert_close(first(x), last(x), 200)


def test_periodized_samples() -> None:
    """Linear interpolation continued by zeros, then periodized, is that continued periodically."""
    values = torch.arange(1.0, 6.0).double()[None]
    by_zeros = Interpolated(values, 0.5, 0.1, "linear", "zero").periodize(2.5)
    periodic = Interpolated(values, 0.5, 0.1, "linear", "periodic")
    x = points(1, 20)
    assert_close(by_zeros(x), periodic(x), 200)


@pytest.mark.parametrize(
    "field",
    [
        PlaneWaves([[0.5]], [[1.0]]),
        Constant(1.0, 1),
        Formula(lambda x: x, 1, 1),
        gaussian(1) + 1.0,
        gaussian(1).map(torch.cos),
        gaussian(1) + Constant(1.0, 1),
        Interpolated(torch.ones(1, 4).double(), 1.0),
    ],
)
def test_only_what_decays_is_periodized(field: Field) -> None:
    with pytest.raises(ValueError, match="only a field that is known to decay can be periodized"):
        field.periodize(2.0)


# --- periods ------------------------------------------------------------------------------------


def wave(period: float) -> PlaneWaves:
    return PlaneWaves([[1 / period]], [[1.0]])


def test_common_periods() -> None:
    """The period of a sum is the least common multiple: 4 and 6 give 12, 1 and √2 none."""
    both = wave(4.0) + wave(6.0)
    assert both.period == pytest.approx((12.0,))
    assert [both.is_periodic(p) for p in (4.0, 6.0, 12.0, 24.0)] == [False, False, True, True]
    assert (wave(1.0) + wave(math.sqrt(2))).period is None
    assert (wave(4.0) * Constant(2.0, 1)).period == (4.0,)
    assert (wave(4.0) + gaussian(1)).period is None


@every_dim
def test_layers_keep_the_period(dim: int) -> None:
    field = random_bandlimited(dim, 1, 0.5, 4.0, 0)
    layered = (
        field.convolve(BoxKernel(0.7, [[1.0]]), exact=False).map(torch.relu).pool(Ball(0.3), "max")
    )
    assert (layered * field - 1).translate([0.3] * dim).period == field.period == (4.0,) * dim
    with pytest.raises(ValueError, match="period must be positive"):
        layered.is_periodic(0.0)


# --- shapes -------------------------------------------------------------------------------------


@every_dim
def test_one_channel_goes_with_any(dim: int) -> None:
    """F(x)·G(x) with one channel on one side."""
    one, three = Constant(2.0, dim), Constant([1.0, 2.0, 3.0], dim)
    assert (one * three)([0.0] * dim).tolist() == [2.0, 4.0, 6.0]
    assert (three - one)([0.0] * dim).tolist() == [-1.0, 0.0, 1.0]


def test_batches_broadcast() -> None:
    """(3, 1) and (2,) make (3, 2)."""
    left, right = Constant(torch.ones(3, 1, 1), 1), Constant(torch.ones(2, 1), 1)
    both = (left + right).translate(torch.zeros(1, 2, 1))
    assert both.batch == (3, 2)
    assert both(torch.zeros(4, 1)).shape == (3, 2, 4, 1)


def test_a_mapped_dtype() -> None:
    """`map` may change the precision; what follows is of the new one."""
    field = gaussian(1).map(lambda v: v.float())
    assert field.dtype == (field + 1)([0.0]).dtype == torch.float32


F = Constant([1.0, 2.0], 2)


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (lambda: F + Constant([1.0, 2.0], 3), ValueError, r"fields on R\^2 and R\^3"),
        (lambda: F * Constant([1.0] * 3, 2), ValueError, "with 2 and 3 channels don't combine"),
        (
            lambda: Constant(torch.ones(2, 1), 1) + Constant(torch.ones(3, 1), 1),
            ValueError,
            r"batch shapes .* don't broadcast",
        ),
        (lambda: F + torch.ones(3), ValueError, r"a number or a tensor of shape \(2,\)"),
        (lambda: F * math.nan, ValueError, "must be finite"),
        (lambda: F + "a", TypeError, "must be numbers or a tensor"),
        (lambda: F.mix(torch.ones(2, 3)), ValueError, r"has shape \(c_out, 2\), got \(2, 3\)"),
        (lambda: F.mix([1.0, 2.0]), ValueError, r"got \(2,\)"),
        (lambda: F.map(2.0), TypeError, "fn must be callable, got float"),
        (lambda: F.map(lambda v: v.sum(-1)), ValueError, r"takes \(\*points, c\) to"),
        (lambda: F.map(lambda v: 1.0), ValueError, "got float"),
        (lambda: F.translate([1.0]), ValueError, r"has shape \(2,\) or \(\*batch, 2\), got \(1,\)"),
        (lambda: F.translate(1.0), ValueError, r"got \(\)"),
        (lambda: F.translate([math.inf, 0.0]), ValueError, "translation t must be finite"),
        (lambda: F.stride(0), ValueError, "stride must be integers of at least 1"),
        (lambda: F.stride(1.5), ValueError, "stride must be integers"),
        (lambda: gaussian(2).periodize(0.0), ValueError, "period must be positive"),
        (lambda: gaussian(2).periodize((1.0,)), ValueError, "period must be a number or 2"),
        (lambda: F.gradient([0.0]), ValueError, r"points of a field on R\^2"),
    ],
)
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()
