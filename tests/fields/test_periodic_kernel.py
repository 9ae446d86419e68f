"""Kernels on a whole period: spectra are multiplied, on every carrier, in one to three dimensions."""

import math

import numpy as np
import pytest
import scipy.special
import torch
from torch import Tensor

from discretize import Grid, Samples, sample
from equivariance import equivariance_error
from fields import (
    Atoms,
    Constant,
    Formula,
    Gaussians,
    Interpolated,
    PeriodicKernel,
    PlaneWaves,
    random_bandlimited,
)
from layers import Conv
from tests.compare import assert_close, error
from tests.laws.registry import DIMS, PERIOD, points

every_dim = pytest.mark.parametrize("dim", DIMS)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kernel(dim: int, side: int = 5, seed: int = 0) -> PeriodicKernel:
    """From two channels to three."""
    return PeriodicKernel(noise(*(side,) * dim, 3, 2, seed=seed), PERIOD[:dim])


def coefficients(k: PeriodicKernel) -> dict[tuple[int, ...], np.ndarray]:
    """K̂(k) = volume · mean of K(y_i) exp(−2πi k·y_i/P), y_i = (i − ⌊N/2⌋)P/N, summed one by one."""
    dim, values = len(k.shape), k.values.detach().numpy()
    half = [n // 2 for n in k.shape]
    found = {}
    for mode in np.ndindex(*k.shape):
        m = tuple(a - b for a, b in zip(mode, half, strict=True))
        total = 0.0
        for i in np.ndindex(*k.shape):
            turn = sum(q * (j - h) / n for q, j, h, n in zip(m, i, half, k.shape, strict=True))
            total = total + values[i] * np.exp(-2j * math.pi * turn)
        found[m] = total * math.prod(PERIOD[:dim]) / math.prod(k.shape)
    return found


def direct(k: PeriodicKernel, waves: PlaneWaves, x: Tensor) -> Tensor:
    """Σ_m Re(K̂(f_m) a_m exp(2πi f_m·x))."""
    table, total = coefficients(k), torch.zeros(len(x), 3, dtype=torch.float64)
    for f, a in zip(waves.frequencies, waves.amplitudes, strict=True):
        m = tuple(round(float(v * p)) for v, p in zip(f, PERIOD, strict=False))
        if m in table:
            phase = torch.exp(2j * math.pi * (x @ f))[:, None]
            total += (phase * (torch.from_numpy(table[m]) @ a)).real
    return total


def waves(dim: int, highest: int) -> PlaneWaves:
    band = [(highest + 0.1) / p for p in PERIOD[:dim]]
    return random_bandlimited(dim, 2, band, PERIOD[:dim], seed=3)


def hidden(field: PlaneWaves) -> Formula:
    """The same function without its closed form."""
    assert field.bandlimit is not None
    return Formula(lambda x: field(x), field.dim, field.channels, field.bandlimit, field.period)


@every_dim
@pytest.mark.parametrize("side", [1, 3, 7])
def test_waves_are_multiplied_by_the_coefficients(dim: int, side: int) -> None:
    """K * Σ a_m e_m = Σ K̂(m) a_m e_m; modes beyond the kernel's vanish."""
    if dim == 3 and side == 7:
        side = 5
    k, field, x = kernel(dim, side), waves(dim, 2), points(dim)
    assert_close(field.convolve(k)(x), direct(k, field, x), 1000)


@every_dim
def test_nodes_on_a_period_are_exact_for_low_modes(dim: int) -> None:
    """The sum over n nodes equals the integral for modes of F below n − K, on any periodic field."""
    k, field, x = kernel(dim), waves(dim, 2), points(dim, 3)
    expected = direct(k, field, x)
    for nodes in (1, 4):
        assert_close(field.convolve(k, nodes=nodes, exact=False)(x), expected, 5000)
    assert_close(hidden(field).convolve(k)(x), expected, 5000)


@every_dim
@pytest.mark.parametrize("sizes", [(8, 6, 4), (7, 9, 5), (6, 5, 8)], ids=str)
@pytest.mark.parametrize("side", [3, 9])
def test_samples_are_those_of_the_convolved_interpolant(
    dim: int, sizes: tuple[int, ...], side: int
) -> None:
    """sample(K * interpolant(f)) = K * f, kernels with more modes than the grid and waves at Nyquist included."""
    n = sizes[:dim]
    grid = Grid(n, [p / m for p, m in zip(PERIOD, n, strict=False)], 0.3)
    f, k = Samples(noise(2, 2, *n), grid), kernel(dim, side if dim < 3 else min(side, 5))
    found = f.convolve(k)
    field = f.interpolate().convolve(k)
    assert isinstance(field, Interpolated)
    assert found.grid.coincides(grid)
    assert_close(found.values, sample(field, grid, prefilter="none").values, 1000)
    by_nodes = f.interpolate().convolve(k, exact=False)
    x = points(dim, 3)
    assert_close(field(x), by_nodes(x), 5000)


@every_dim
def test_a_kernel_of_any_size_acts_on_samples(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound on what a transform may take is for others: here it is no larger than the kernel."""
    n = (7, 9, 5)[:dim]
    f = Samples(noise(2, *n), Grid(n, [p / m for p, m in zip(PERIOD, n, strict=False)]))
    k, field, x = kernel(dim), f.interpolate(), points(dim, 3)
    before = f.convolve(k).values, field.convolve(k)(x)
    monkeypatch.setattr("fields.kernels.multipliers.MOST_MULTIPLIERS", 1)
    for found, expected in zip((f.convolve(k).values, field.convolve(k)(x)), before, strict=True):
        assert torch.equal(found, expected)


@every_dim
def test_a_band_limited_field_loses_nothing_by_sampling(dim: int) -> None:
    """K * sample(F) = sample(K * F), where the grid tells all modes of F."""
    k, field = kernel(dim, 7 if dim < 3 else 5), waves(dim, 2)
    grid = Grid((8, 6, 5)[:dim], [p / m for p, m in zip(PERIOD, (8, 6, 5), strict=False)][:dim])
    assert_close(
        sample(field, grid).convolve(k).values, sample(field.convolve(k), grid).values, 1000
    )


@every_dim
def test_atoms_on_a_period_are_such_a_kernel(dim: int) -> None:
    """Σ_j w_j δ(y − o_j) on a grid of odd sides is the polynomial kernel with values w_j/(cell)."""
    n = (5, 7, 3)[:dim]
    spacing = [p / m for p, m in zip(PERIOD, n, strict=False)]
    array = noise(*n, 3, 2)
    f = Samples(noise(2, *n, seed=1), Grid(n, spacing))
    atoms = f.convolve(Atoms.from_array(array, spacing))
    whole = f.convolve(PeriodicKernel(array / math.prod(spacing), PERIOD[:dim]))
    assert_close(whole.values, atoms.values, 1000)


@every_dim
def test_coefficients_go_in_and_come_out(dim: int) -> None:
    """from_transfer is the inverse of the transform."""
    k = kernel(dim, 3)
    table = torch.zeros(*(3,) * dim, 3, 2, dtype=torch.complex128)
    for m, matrix in coefficients(k).items():
        table[tuple(v + 1 for v in m)] = torch.from_numpy(matrix)
    assert_close(PeriodicKernel.from_transfer(table, PERIOD[:dim]).values, k.values, 1000)


def test_a_density_on_a_period_is_interpolated() -> None:
    """exp(cos) through 2K + 1 samples: K̂(k) = P·I_k(1) for the modified Bessel functions, to rounding for K = 15."""
    period = 3.0
    k = PeriodicKernel.from_density(
        lambda y: torch.exp(torch.cos(2 * math.pi * y / period))[..., None], period, 31, dim=1
    )
    f = torch.arange(-4, 5, dtype=torch.float64)[:, None] / period
    expected = period * torch.from_numpy(scipy.special.iv(np.abs(np.arange(-4, 5)), 1.0))
    found = k.transform(f)[:, 0, 0]
    assert_close(found.real, expected, 100)
    assert float(found.imag.abs().max()) < 1e-14


@every_dim
def test_it_commutes_with_translations_though_it_is_not_local(dim: int) -> None:
    """Real translations on fields, whole ones on samples; a change anywhere is felt everywhere."""
    layer = Conv(kernel(dim, 3))
    t = noise(20, dim)
    with torch.no_grad():
        found = equivariance_error(layer, waves(dim, 2), t, points=points(dim, 4))
    assert float(found.max()) <= 1e-12
    n = (7, 5, 5)[:dim]
    impulse = torch.zeros(2, *n, dtype=torch.float64)
    impulse[(0, *(0,) * dim)] = 1
    spacing = [p / m for p, m in zip(PERIOD, n, strict=False)]
    with torch.no_grad():
        out = layer(Samples(impulse, Grid(n, spacing))).values
    assert float(out.abs().min()) > 0


def test_sample_needs_no_refinement_beyond_the_modes() -> None:
    """sample(K * relu(F)) is within its tolerance of a fine reference."""
    k = kernel(1, 5)
    field = waves(1, 2).map(torch.relu).convolve(k)
    grid = Grid(8, PERIOD[0] / 8)
    fine = sample(field, grid, refinement=512).values
    found = sample(field, grid, rtol=1e-5)
    assert error(found.values, fine) <= 3e-5 * float(fine.abs().max())


@every_dim
def test_values_are_learnt(dim: int) -> None:
    layer = Conv(kernel(dim, 3))
    assert list(layer.state_dict()) == ["values"]
    n = (4, 5, 3)[:dim]
    f = Samples(noise(2, *n), Grid(n, [p / m for p, m in zip(PERIOD, n, strict=False)]))
    field, x = waves(dim, 1), points(dim, 2)

    def value(values: Tensor) -> tuple[Tensor, ...]:
        k = layer.kernel.with_parameters({"values": values})
        nodes = field.convolve(k, nodes=2, exact=False)(x)
        return f.convolve(k).values, field.convolve(k)(x), nodes

    torch.autograd.gradcheck(value, layer.values, fast_mode=True)


@every_dim
def test_single_precision(dim: int) -> None:
    k = kernel(dim, 3)
    light = PeriodicKernel(k.values.float(), k.period)
    n = (4, 5, 3)[:dim]
    f = Samples(noise(2, *n), Grid(n, [p / m for p, m in zip(PERIOD, n, strict=False)]))
    g = Samples(f.values.float(), f.grid)
    found = g.convolve(light).values
    assert found.dtype == torch.float32
    assert_close(found, f.convolve(k).values.float(), 200)


def test_constants_and_periodized_fields() -> None:
    """On a constant it is K̂(0); sums of images repeat, and so may be convolved."""
    k = kernel(2, 3)
    total = torch.from_numpy(coefficients(k)[0, 0].real)
    value = torch.tensor([1.0, -2.0], dtype=torch.float64)
    assert_close(Constant(value, 2).convolve(k)([0.1, 0.2]), total @ value, 1000)
    images = Gaussians([[0.0, 0.0]], [[1.0, 2.0]], [0.6]).periodize(PERIOD[:2])
    grid = Grid((40, 50), 0.1)
    f = sample(images, grid)
    expected = f.convolve(k).values
    assert_close(sample(images.convolve(k, nodes=16), grid, rtol=1e-10).values, expected, 1e6)


K = kernel(2, 3)


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (lambda: PeriodicKernel(noise(4, 1, 1), 1.0), ValueError, r"must be odd, got \(4,\)"),
        (lambda: PeriodicKernel(noise(3, 1), 1.0), ValueError, "have shape"),
        (lambda: PeriodicKernel(noise(3, 1, 1), 0.0), ValueError, "period must be positive"),
        (lambda: PeriodicKernel(noise(3, 1, 1), (1.0, 2.0)), ValueError, "period must be"),
        (lambda: PeriodicKernel(noise(3, 1, 1) / 0, 1.0), ValueError, "values must be finite"),
        (lambda: PeriodicKernel(1j * noise(3, 1, 1), 1.0), TypeError, "from_transfer"),
        (
            lambda: PeriodicKernel.from_density(lambda y: y, 1.0, 5, dim=2),
            ValueError,
            r"must return shape \(5, 5, 'out', 'in'\) for points of shape \(5, 5, 2\), got \(5, 5, 2\)",
        ),
        (
            lambda: PeriodicKernel.from_density(lambda y: y + 0j, 1.0, 5, dim=1),
            TypeError,
            "the density must return real numbers, got torch.complex128",
        ),
        (
            lambda: PeriodicKernel.from_density(lambda y: 1.0, 1.0, 5, dim=1),
            TypeError,
            "the density must return a tensor, got float",
        ),
        (
            lambda: PeriodicKernel.from_transfer([[[1.0]], [[0.0]], [[2.0]]], 1.0),
            ValueError,
            "must be the conjugate",
        ),
        (
            lambda: PeriodicKernel.from_transfer([[[1.0]], [[0.0]]], 1.0),
            ValueError,
            r"transfer must have shape \(2K1 \+ 1",
        ),
        (
            lambda: Gaussians([[0.0, 0.0]], [[1.0, 2.0]], [1.0]).convolve(K),
            ValueError,
            r"acts on feature maps that repeat by it.*periodize",
        ),
        (
            lambda: PlaneWaves([[0.3, 0.0]], [[1.0, 2.0]]).convolve(K),
            ValueError,
            "repeat by it",
        ),
        (
            lambda: Samples(noise(2, 8, 10), Grid((8, 10), 0.25)).convolve(K),
            ValueError,
            r"extent \(2.0, 2.5\)",
        ),
        (
            lambda: Samples(noise(2, 8, 10), Grid((8, 10), 0.5, 0, "zero")).convolve(K),
            ValueError,
            "boundary 'zero'",
        ),
        (
            lambda: waves(1, 1).convolve(K),
            ValueError,
            "lives in 2 dimensions, the feature map has 1",
        ),
        (lambda: K.transform(torch.tensor([[0.1, 0.0]])), ValueError, "multiples of 1/period"),
    ],
)
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()
