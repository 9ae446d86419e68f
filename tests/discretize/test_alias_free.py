"""Alias-free activations: exact where they promise it, and everywhere what their formulas say."""

import math

import pytest
import torch
from torch import Tensor, nn

import discretize
from discretize import (
    AliasFreeActivation,
    CNOActivation,
    FilteredLeakyReLU,
    Grid,
    IdealLowpass,
    PolynomialActivation,
    Samples,
    sample,
)
from equivariance import equivariance_error
from fields import random_bandlimited
from tests.compare import assert_close
from tests.laws.registry import points

every_dim = pytest.mark.parametrize("dim", [1, 2, 3])


def noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
@every_dim
def test_polynomials_need_an_oversampling_of_half_the_degree(dim: int, degree: int) -> None:
    """Exact with u = ⌈(p + 1)/2⌉ for every real translation; not with one less."""
    period = (12.0, 8.0, 6.0)[:dim]
    field = random_bandlimited(dim, 2, 0.49, period, seed=1)
    grid, t = Grid([int(p) for p in period], 1.0), [[0.3, 1.7, -2.9][:dim]]
    sigma = PolynomialActivation([0.1, 0.5, 0.3, -0.2, 0.1, 0.4][: degree + 1])
    layer = AliasFreeActivation(sigma)
    least = math.ceil((degree + 1) / 2)
    assert layer.oversampling == least
    with torch.no_grad():
        assert float(equivariance_error(layer, field, t, grid=grid).max()) <= 1e-12
        if least > 1:
            less = AliasFreeActivation(sigma, least - 1)
            assert float(equivariance_error(less, field, t, grid=grid).max()) > 1e-3


def test_alias_free_values() -> None:
    """The waves |k| < N/2 of σ(F), taken from a grid 16 times as fine."""
    field = random_bandlimited(2, 3, 0.4, (16.0, 12.0), seed=0)
    grid = Grid((16, 12), 1.0)
    result = AliasFreeActivation()(sample(field, grid)).values
    fine = sample(field, grid.refine(16)).values
    expected = IdealLowpass(16)(
        Samples(0.01694 + 0.5 * fine + 0.30784 * fine**2, grid.refine(16))
    ).values
    assert_close(result.detach(), expected, 1e3)


def test_alias_free_coefficients_are_learnt_per_channel() -> None:
    x = noise(2, 3, 8).requires_grad_()
    coefficients = noise(3, 3, seed=1)

    def result(c: Tensor, values: Tensor) -> Tensor:
        layer = AliasFreeActivation(PolynomialActivation(coefficients))
        f = Samples(values, Grid(8, 1.0))
        return torch.func.functional_call(layer, {"fn.coefficients": c}, f).values

    torch.autograd.gradcheck(result, (coefficients.requires_grad_(), x))
    constant = PolynomialActivation(torch.tensor([[1.0], [2.0], [3.0]]))(torch.zeros(4, 3))
    assert constant.tolist() == [[1.0, 2.0, 3.0]] * 4
    with pytest.raises(ValueError, match="coefficients for 3 channels, got 2"):
        PolynomialActivation(coefficients.detach())(torch.zeros(4, 2).double())


@pytest.mark.parametrize(
    ("taps", "cutoff", "width"),
    [(12, 0.25, 0.3), (24, 0.1, 0.05), (7, 0.5, 0.9), (64, 0.2, 0.2), (61, 0.5, 0.5)],
)
def test_windowed_sines_are_those_of_scipy(taps: int, cutoff: float, width: float) -> None:
    from scipy.signal import firwin

    from discretize.activations.filtered_relu import windowed_sine

    assert_close(
        windowed_sine(taps, cutoff, width), torch.tensor(firwin(taps, cutoff, width=width)), 200
    )


@pytest.mark.parametrize(("up", "down"), [(2, 2), (2, 4), (4, 2)])
def test_filtered_leaky_relu(up: int, down: int) -> None:
    """Zeros, FIR, leaky ReLU, clamp, FIR, stride, written out with numpy on one axis."""
    import numpy as np
    from scipy.signal import firwin

    n, cutoff = 16, 0.3
    half = max(2**0.3 * cutoff, 0.5) - cutoff
    x = noise(n)
    y = np.zeros(n * up)
    y[::up] = x.numpy()

    def circular(values: np.ndarray, taps: int, m: int) -> np.ndarray:
        row = firwin(taps, cutoff / m, width=2 * half / m, fs=1.0)
        spots = np.arange(len(values))[:, None] + np.arange(taps) - (taps - 1) // 2
        return values[spots % len(values)] @ row

    y = circular(y, 6 * up, up) * up
    y = np.clip(np.where(y > 0, y, 0.2 * y) * 2**0.5, -1, 1)
    y = circular(y, 6 * down, down)[::down]
    layer = FilteredLeakyReLU(up, down, cutoff, clamp=1.0)
    result = layer(Samples(x[None], Grid(n, 1.0)))
    assert_close(result.values[0], torch.tensor(y), 200)
    assert result.grid.origin.tolist() == [1 / up]  # half a fine spacing, twice
    assert result.grid.spacing == (down / up,)


@every_dim
def test_filtered_leaky_relu_is_separable_and_keeps_constants(dim: int) -> None:
    for boundary in ("periodic", "nearest"):
        x = torch.ones(1, *(12,) * dim).double()
        f = FilteredLeakyReLU()(Samples(x, Grid((12,) * dim, 1.0, boundary=boundary)))
        middle = f.values[(0, *(6,) * dim)]
        # zeros inserted leave a ripple of the first filter's stop band
        assert abs(float(middle) - math.sqrt(2)) < 0.05
    along, across = (
        FilteredLeakyReLU()(Samples(v, Grid((12, 12), 1.0))).values
        for v in (noise(1, 12, 12), noise(1, 12, 12).mT)
    )
    assert_close(along, across.mT, 100)


@every_dim
def test_fields_need_no_filters(dim: int) -> None:
    """On a Field both layers are their function alone: gain·leaky ReLU and clamp, or σ."""
    field, x = random_bandlimited(dim, 2, 0.4, 8.0, seed=2), points(dim, 20)
    values = field(x)
    leaky = torch.where(values > 0, values, 0.2 * values) * math.sqrt(2)
    assert float(leaky.max()) > 0.7  # so that the clamp does something
    layer = FilteredLeakyReLU(2, 4, clamp=0.7)
    assert_close(layer(field)(x), leaky.clamp(-0.7, 0.7), 10)
    assert_close(CNOActivation(2)(field)(x), torch.where(values > 0, values, 0.01 * values), 10)
    assert torch.equal(CNOActivation(2, torch.tanh)(field)(x), torch.tanh(values))


@every_dim
def test_a_coarser_output_goes_back_by_its_waves(dim: int) -> None:
    """The partner of u = 2, d = 4 has a factor of 2: the same values, waves between; d must be a multiple of u."""
    sides = ((4, 8, 4) if dim == 3 else (4, 8))[:dim] if dim > 1 else 4
    layer = FilteredLeakyReLU(2, sides)
    grid = Grid((24, 32, 16)[:dim], 1.0)
    out = layer(Samples(noise(1, *grid.shape), grid))
    back = layer.upsampling(out)
    ratios = [d // 2 for d in (sides if dim > 1 else (sides,))]
    assert back.grid.shape == grid.shape
    assert back.grid.spacing == grid.spacing
    kept = back.values[(0, *(slice(None, None, r) for r in ratios))]
    assert_close(kept, out.values[0], 200)
    assert_close(back.values, sample(out.interpolate(), back.grid).values, 200)
    with pytest.raises(ValueError, match=r"2/4 times as coarse.*`down` .* a multiple of `up`"):
        _ = FilteredLeakyReLU(4, 2).upsampling


def test_filters_need_their_taps() -> None:
    """On a grid of which nothing is known outside, what is left is what all taps were known for."""
    layer, x = FilteredLeakyReLU(2, 2, taps=4), noise(1, 20)
    assert repr(layer) == "FilteredLeakyReLU(up=2, down=2, cutoff=0.25)"
    inner = layer(Samples(x, Grid(20, 1.0, boundary="none")))
    whole = layer(Samples(x, Grid(20, 1.0, boundary="zero")))
    first = round(float((inner.grid.origin - whole.grid.origin) / whole.grid.spacing[0]))
    assert 0 < first < first + inner.grid.shape[0] < 20
    assert_close(inner.values, whole.values[:, first : first + inner.grid.shape[0]], 100)
    with pytest.raises(ValueError, match=r"8 taps .* shape \(\d+,\) .* another boundary"):
        layer(Samples(x[:, :3], Grid(3, 1.0, boundary="none")))


@pytest.mark.parametrize(("n", "s"), [(16, 1), (16, 2), (12, 3)])
def test_cno_activation_is_that_of_torch(n: int, s: int) -> None:
    """torch's anti-aliased bicubic interpolation, twice."""
    x = noise(2, 3, n, n)
    resize = nn.functional.interpolate
    fine = resize(x, (2 * n, 2 * n), mode="bicubic", antialias=True)
    expected = resize(
        nn.functional.leaky_relu(fine), (n // s, n // s), mode="bicubic", antialias=True
    )
    result = CNOActivation(s)(Samples(x, Grid((n, n), 1.0)))
    assert_close(result.values, expected, 1e3)
    assert result.grid.origin.tolist() == [(s - 1) / 2] * 2


@pytest.mark.parametrize("taps", [12, 13])
def test_radial_filters_keep_a_disk(taps: int) -> None:
    """Their transfer function is nearly 1 inside, 0 outside, and the same in all directions but for the window."""
    from discretize.activations.filtered_relu import radial_sine

    weights = radial_sine(taps, 0.5, 0.4)
    transfer = torch.fft.fft2(weights, s=(128, 128)).abs()
    k = torch.fft.fftfreq(128, 0.5).double()  # in parts of Nyquist
    r = torch.hypot(k[:, None], k)
    assert abs(float(weights.sum()) - 1) < 1e-14
    assert float((transfer[r < 0.25] - 1).abs().max()) < 0.02
    assert float(transfer[(r > 0.8)].max()) < 0.02
    assert abs(float(transfer[32, 0] - transfer[23, 23])) < 0.1  # (0.5, 0) and (0.36, 0.36)
    assert_close(weights, weights.mT, 10)


def test_radial_leaky_relu() -> None:
    """Even translations commute, others nearly do; the grid is that of the separable layer."""
    field, grid = random_bandlimited(2, 1, 0.23, 32.0, seed=0), Grid((32, 32), 1.0)
    layer, separable = FilteredLeakyReLU(2, 4, radial=True), FilteredLeakyReLU(2, 4)
    assert layer(sample(field, grid)).grid.coincides(separable(sample(field, grid)).grid)
    assert float(equivariance_error(layer, field, [4.0, -2.0], grid=grid)) < 1e-13
    assert 1e-6 < float(equivariance_error(layer, field, [0.3, 1.6], grid=grid)) < 0.05
    for bad in (FilteredLeakyReLU(2, (2, 4), radial=True),):
        with pytest.raises(ValueError, match="needs two axes with one `down`"):
            bad(sample(field, grid))
    with pytest.raises(ValueError, match="in 1 dimensions"):
        FilteredLeakyReLU(radial=True)(Samples(noise(1, 8), Grid(8, 1.0)))


def test_the_old_name_is_reachable_and_says_the_new_one():
    """It leaves `import *` alone, where it hid the field of that name."""
    with pytest.warns(DeprecationWarning, match="PolynomialActivation"):
        old = discretize.Polynomial
    assert old is PolynomialActivation
    assert "Polynomial" not in vars(discretize)
    assert "PolynomialActivation" in vars(discretize)
    with pytest.raises(AttributeError, match="no attribute 'Polynom'"):
        _ = discretize.Polynom
