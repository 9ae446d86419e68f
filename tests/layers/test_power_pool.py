"""LpPool and SoftMaxPool: between the mean and the maximum, by closed forms and brute force."""

import itertools
import math

import pytest
import torch
from scipy.special import i0e
from torch import Tensor, nn

from discretize import Grid, Samples, sample
from fields import Ball, Box, Mask, PlaneWaves, Polynomial, power_mean, soft_maximum
from layers import AvgPool, LpPool, MaxPool, SoftMaxPool
from tests.compare import assert_close, order, relative_error

SHAPE = (8, 6, 5)
WAVE = PlaneWaves([[0.25]], [[1.0]])  # cos(πx/2)
X = torch.linspace(-1.9, 1.9, 9, dtype=torch.float64)[:, None]
COUNTS = [4, 8, 16, 32, 64]

every_dim = pytest.mark.parametrize("dim", [1, 2, 3])
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def samples(dim: int, dtype: torch.dtype = torch.float64) -> Samples:
    return Samples(noise(2, 3, *SHAPE[:dim], dtype=dtype), Grid(SHAPE[:dim], 0.5))


def windows(dim: int) -> dict[str, Box | Ball | Mask]:
    """Three by three samples, with sharp and with shared rims, and points of unequal shares."""
    return {
        "box": Box(1.5),
        "ball": Ball(0.7),
        "mask": Mask(torch.arange(3.0**dim).reshape((3,) * dim), 0.5),
    }


def under(window: Box | Ball | Mask, f: Samples) -> tuple[Tensor, Tensor]:
    """Shares (k,), and all samples under them (k, *values), by rolls."""
    h = f.grid.spacing
    (stencil,) = window.stencils(h, h, "mean")
    taps = stencil.taps
    if isinstance(taps, tuple):
        dense = taps[0]
        for row in taps[1:]:
            dense = dense[..., None] * row
        taps = dense
    offsets = itertools.product(
        *(range(a, b + 1) for a, b in zip(stencil.first, stencil.last, strict=True))
    )
    axes = tuple(range(-f.dim, 0))
    return taps.flatten().to(f.values), torch.stack([f.values.roll(o, axes) for o in offsets])


@every_dim
@every_dtype
@pytest.mark.parametrize("shape", ["box", "ball", "mask"])
@pytest.mark.parametrize("p", [1, 2, 3.5])
def test_power_means_by_brute_force(p: float, shape: str, dtype: torch.dtype, dim: int) -> None:
    f, window = samples(dim, dtype), windows(dim)[shape]
    shares, values = under(window, f)
    expected = torch.tensordot(shares, values.abs() ** p, 1) ** (1 / p)
    assert_close(LpPool(window, p)(f).values, expected, 20)


@every_dim
@every_dtype
@pytest.mark.parametrize("shape", ["box", "ball", "mask"])
@pytest.mark.parametrize("t", [0.3, 2.0])
def test_soft_maxima_by_brute_force(t: float, shape: str, dtype: torch.dtype, dim: int) -> None:
    f, window = samples(dim, dtype), windows(dim)[shape]
    shares, values = under(window, f)
    logs = torch.log(shares).reshape(-1, *(1,) * (values.ndim - 1))
    expected = t * torch.logsumexp(values / t + logs, 0)
    assert_close(SoftMaxPool(window, t)(f).values, expected, 20)


def test_even_powers_are_torchs_pooling() -> None:
    """Torch sums where this layer averages: a factor 9^{1/4}."""
    f = Samples(noise(2, 3, 8, 8), Grid((8, 8), 0.5, boundary="none"))
    expected = nn.functional.lp_pool2d(f.values, 4, 3, stride=1) / 9**0.25
    assert_close(LpPool(Box(1.5), 4)(f).values, expected, 20)


@every_dim
@pytest.mark.parametrize("shape", ["box", "ball", "mask"])
def test_limits(shape: str, dim: int) -> None:
    """T → ∞ is the mean, T → 0 the maximum; p = 1 the mean of |F|, p → ∞ the maximum of |F|."""
    f, window = samples(dim), windows(dim)[shape]
    f = Samples(f.values, f.grid)
    hot, cold = (SoftMaxPool(window, t)(f).values for t in (1e9, 1e-9))
    shares, values = under(window, f)
    inside = values[shares > 0]
    assert_close(hot, AvgPool(window)(f).values, 1, 1e-8 / 2.2e-16)  # variance/2T, no digits lost
    assert_close(cold, inside.amax(0), 1, 1e-7 / 2.2e-16)
    magnitude = f.map(torch.abs)
    assert_close(LpPool(window, 1)(f).values, AvgPool(window)(magnitude).values, 20)
    many = LpPool(window, 1e9)(f).values
    assert_close(many, inside.abs().amax(0), 1, 1e-6 / 2.2e-16)


@every_dtype
def test_nothing_overflows_or_is_lost(dtype: torch.dtype) -> None:
    """F = 1e30 and 1e-30 side by side: an exponential or a power of either would be infinite or zero."""
    values = torch.tensor([[1e30, 1e30, 0.0, 0.0, 0.0, 1e-30, 1e-30, 1e-30]], dtype=dtype)
    f = Samples(values, Grid(8, 1.0))
    for p in (2, 8):
        result = LpPool(Box(3.0), p)(f).values
        assert bool(torch.isfinite(result).all())
        assert_close(result[0, 6], values[0, 6], 20)
        assert result[0, 3].item() == 0
    soft = SoftMaxPool(Box(3.0), 1e-3)(f).values
    assert bool(torch.isfinite(soft).all())
    assert_close(soft[0, 6], values[0, 6], 20, 1e-3)


@every_dtype
def test_a_high_temperature_keeps_its_digits(dtype: torch.dtype) -> None:
    """T log mean exp(F/T) = mean F + variance/2T + …, to rounding error of F and not of T."""
    f = samples(1, dtype)
    assert_close(SoftMaxPool(Box(1.5), 1e20)(f).values, AvgPool(Box(1.5))(f).values, 10, 1.0)


def test_soft_maxima_increase_with_falling_temperature() -> None:
    f = samples(2)
    results = [SoftMaxPool(Ball(0.7), t)(f).values for t in (100.0, 10.0, 1.0, 0.1, 0.01)]
    assert all(bool((b >= a - 1e-14).all()) for a, b in itertools.pairwise(results))


# --- on fields ----------------------------------------------------------------------------------


def test_over_a_period_of_a_wave() -> None:
    """(mean cos^p)^{1/p} = (1/2)^{1/2}, (3/8)^{1/4}; T log mean exp(cos/T) = T log I₀(1/T), spectrally."""
    window = Box(4.0)
    for p, mean in ((2, 1 / 2), (4, 3 / 8), (6, 5 / 16)):
        result = LpPool(window, p)(WAVE)(X)
        assert_close(result, torch.full_like(result, mean ** (1 / p)), 20)
    for t in (10.0, 1.0, 0.2):
        result = SoftMaxPool(window, t)(WAVE)(X)
        exact = t * math.log(float(i0e(1 / t))) + 1
        assert_close(result, torch.full_like(result, exact), 20, 1.0)


@pytest.mark.parametrize("kind", ["power", "soft"])
def test_second_order_in_the_nodes(kind: str) -> None:
    """Over half a window of x²-like growth: means of F² = x² and exp(F) = exp(x), in closed form."""
    side, line = 1.3, Polynomial([[1]], [[1.0]])
    if kind == "power":
        expected = torch.sqrt(X**2 + side**2 / 12)
        errors = [relative_error(LpPool(Box(side), 2, n)(line)(X), expected) for n in COUNTS]
    else:
        expected = X + math.log(math.sinh(side / 2) / (side / 2))
        errors = [relative_error(SoftMaxPool(Box(side), 1.0, n)(line)(X), expected) for n in COUNTS]
    assert 1.6 <= order(errors, COUNTS) <= 2.4


@every_dim
@pytest.mark.parametrize("kind", [power_mean(3), soft_maximum(0.5)], ids=str)
def test_samples_are_the_field_with_its_nodes_on_the_grid(kind, dim: int) -> None:
    """Sample(pool(F), refinement 1) = pool(sample(F)), for balls and boxes."""
    wave = PlaneWaves([[0.25, 0.25, 0.5][:dim]], [[1.0, 0.5 + 1j]], period=4.0)
    grid = Grid((8,) * dim, 0.5, 0.1)
    for window in (Box(1.5), Ball(0.8)):
        expected = sample(wave.pool(window, kind), grid, refinement=1).values
        assert_close(sample(wave, grid).pool(window, kind).values, expected, 100)


def test_values_do_not_depend_on_the_other_points() -> None:
    f = SoftMaxPool(Ball(0.7), 0.1)(PlaneWaves([[0.25, 0.5]], [[1.0]]))
    x = noise(40, 2)
    assert_close(f(x)[3], f(x[3]), 10)


@pytest.mark.parametrize("dim", [1, 2])
def test_sampled_to_a_tolerance(dim: int) -> None:
    """The true error is no more than the tolerance, against a finer reference."""
    wave = PlaneWaves([[0.25] * dim], [[1.0]])
    for layer in (LpPool(Box(1.1), 2), SoftMaxPool(Ball(0.9), 0.3)):
        grid = Grid((4,) * dim, 1.0)
        result = sample(layer(wave), grid, rtol=1e-2)
        reference = sample(layer(wave), grid, refinement=16)
        assert result.accuracy is not None
        assert result.accuracy <= 1e-2
        assert relative_error(result.values, reference.values) <= 1e-2


# --- gradients ----------------------------------------------------------------------------------


@every_dim
@pytest.mark.parametrize("shape", ["box", "ball", "mask"])
def test_gradients(shape: str, dim: int) -> None:
    window, grid = windows(dim)[shape], Grid((3,) * dim, 0.5)
    values = noise(1, *(3,) * dim).requires_grad_()
    t = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)

    def power(v: Tensor) -> Tensor:
        return Samples(v, grid).pool(window, power_mean(3)).values

    def soft(v: Tensor, temperature: Tensor) -> Tensor:
        return Samples(v, grid).pool(window, soft_maximum(temperature)).values

    torch.autograd.gradcheck(power, (values,), fast_mode=True)
    torch.autograd.gradcheck(soft, (values, t), fast_mode=True)
    torch.autograd.gradgradcheck(soft, (values, t), fast_mode=True)


def test_the_gradient_of_a_soft_maximum_is_a_softmax() -> None:
    values = noise(1, 3).requires_grad_()
    SoftMaxPool(Mask([1, 1, 1], 1.0), 0.5)(
        Samples(values, Grid(3, 1.0, boundary="none"))
    ).values.sum().backward()
    assert values.grad is not None
    assert_close(values.grad, torch.softmax(values.detach() / 0.5, -1), 20)


def test_where_all_is_zero_the_gradient_is_zero() -> None:
    values = torch.zeros(1, 6, dtype=torch.float64, requires_grad=True)
    LpPool(Box(3.0), 2)(Samples(values, Grid(6, 1.0))).values.sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [[0.0] * 6]


def test_a_temperature_is_learnt() -> None:
    """One for each channel, found again from the layer's output."""
    f = Samples(noise(2, 3, 12), Grid(12, 0.5))
    goal = SoftMaxPool(Box(1.5), torch.tensor([0.3, 1.0, 3.0]).double())(f).values.detach()
    layer = SoftMaxPool(Box(1.5), torch.ones(3, dtype=torch.float64))
    assert list(layer.state_dict()) == ["temperature"]
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = ((layer(f).values - goal) ** 2).sum()
        value.backward()
        return value

    optimizer.step(loss)
    expected = torch.tensor([0.3, 1.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(layer.temperature.detach(), expected, rtol=1e-3, atol=0)


def test_a_number_is_the_power_mean() -> None:
    """As for GlobalPool."""
    f = samples(2)
    assert torch.equal(f.pool(Box(1.5), 2).values, LpPool(Box(1.5), 2)(f).values)


def test_maxima_are_bounded_by_soft_ones() -> None:
    """Max − T log(1/smallest share) ≤ soft ≤ max."""
    f, t = samples(2), 0.2
    top, soft = MaxPool(Box(1.5))(f).values, SoftMaxPool(Box(1.5), t)(f).values
    assert bool((soft <= top + 1e-15).all())
    assert bool((soft >= top - t * math.log(9) - 1e-15).all())


def test_names_in_a_printed_network() -> None:
    net = nn.Sequential(LpPool(Ball(1.0), 3), SoftMaxPool(Box(2.0), 0.5))
    assert "Ball(1.0), p=3" in repr(net)
    assert "T=0.5" in repr(net)
    assert repr(power_mean(3)) == "power_mean(3)"


BAD = {
    "p < 1": (lambda: LpPool(Box(1.0), 0.5), "finite number p ≥ 1, got 0.5"),
    "p infinite": (lambda: LpPool(Box(1.0), math.inf), "finite number p ≥ 1, got inf"),
    "temperature 0": (lambda: SoftMaxPool(Box(1.0), 0.0), "temperature is a positive number"),
    "temperature NaN": (lambda: SoftMaxPool(Box(1.0), math.nan), "temperature must be finite"),
    "temperature, a matrix": (lambda: SoftMaxPool(Box(1.0), torch.ones(2, 2)), "one per channel"),
    "kind": (lambda: samples(1).pool(Box(1.0), "median"), "'mean' or 'max', a number p"),
}


@pytest.mark.parametrize(("build", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
