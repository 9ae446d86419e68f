"""The equivariance error against its definition, step by step, and against known layers."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from discretize import (
    BlurPool,
    EquivariantSubsampling,
    Grid,
    IdealLowpass,
    Samples,
    Stride,
    sample,
)
from equivariance import equivariance_error
from equivariance.error import compare
from fields import (
    Box,
    Constant,
    Field,
    GaussianKernel,
    Gaussians,
    Interpolated,
    PlaneWaves,
    random_bandlimited,
)
from layers import AvgPool, Bias, Conv, GlobalPool, MaxPool, Pointwise
from tests.compare import assert_close

NORMS = {"l1": 1, "l2": 2, "max": np.inf}

every_norm = pytest.mark.parametrize("norm", NORMS)
every_dim = pytest.mark.parametrize("dim", [1, 2, 3])


def noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def waves(dim: int, batch: int | None = None, dtype: torch.dtype = torch.float64) -> PlaneWaves:
    """Two channels of waves of periods (8, 6, 4), nearly up to the Nyquist frequency of spacing 1."""
    period = (8.0, 6.0, 4.0)[:dim]
    fields = [random_bandlimited(dim, 2, 0.4, period, seed, dtype) for seed in range(batch or 1)]
    amplitudes = torch.stack([f.amplitudes for f in fields])
    return PlaneWaves(fields[0].frequencies, amplitudes if batch else amplitudes[0], period=period)


def grid(dim: int) -> Grid:
    return Grid((8, 6, 4)[:dim], 1.0)


def net(dim: int, *last: nn.Module) -> nn.Module:
    """Convolution and ReLU: equivariant, but on a grid only under whole translations."""
    first = Conv.from_array(noise(*(3,) * dim, 2, 2), 1.0)
    first.weights.requires_grad_(False)
    return nn.Sequential(first, Pointwise(torch.relu), *last)


class Unshared(nn.Module):
    """F ↦ F·G with a fixed field G: not equivariant."""

    def __init__(self, factor: Field) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, f: Field | Samples) -> Field | Samples:
        return f * self.factor


def norm_of(values: np.ndarray, norm: str, axes: int) -> np.ndarray:
    flat = np.abs(values.reshape(*values.shape[: values.ndim - axes], -1))
    return flat.max(-1) if norm == "max" else (flat ** NORMS[norm]).sum(-1) ** (1 / NORMS[norm])


# --- on a grid ----------------------------------------------------------------------------------


@every_dim
@every_norm
def test_whole_translations_are_rolls(norm: str, dim: int) -> None:
    """‖Φ(t▷F) − roll(Φ(F), t)‖/‖Φ(F)‖, by numpy, Φ = layer ∘ sample."""
    layer, field = net(dim, Unshared(waves(dim) + 2.0)), waves(dim)
    t = torch.tensor([[1, 0, 0], [3, -2, 1], [-9, 5, 2]])[:, :dim]
    error = equivariance_error(layer, field, t, grid=grid(dim), norm=norm)
    still = layer(sample(field, grid(dim))).values.numpy()
    for step, measured in zip(t.tolist(), error.tolist(), strict=True):
        moved = layer(sample(field.translate(step), grid(dim))).values.numpy()
        rolled = np.roll(still, step, tuple(range(1, dim + 1)))
        expected = norm_of(moved - rolled, norm, dim + 1) / norm_of(rolled, norm, dim + 1)
        assert expected > 0.01
        assert measured == pytest.approx(float(expected), rel=1e-12)


@every_dim
@every_norm
def test_real_translations_are_phases(norm: str, dim: int) -> None:
    """The same with t▷Φ(F) by numpy's Fourier transform; waves at Nyquist keep their cosine."""
    layer, field = net(dim), waves(dim)
    t = [0.5, -1.3, 2.71][:dim]
    error = equivariance_error(layer, field, t, grid=grid(dim), norm=norm)
    axes = tuple(range(1, dim + 1))
    spectrum = np.fft.fftn(layer(sample(field, grid(dim))).values.numpy(), axes=axes)
    for axis, shift in zip(axes, t, strict=True):
        n = spectrum.shape[axis]
        phase = np.exp(-2j * np.pi * np.fft.fftfreq(n) * shift)
        phase[n // 2] = phase[n // 2].real
        spectrum = spectrum * phase.reshape(-1, *(1,) * (dim - axis))
    still = np.fft.ifftn(spectrum, axes=axes).real
    moved = layer(sample(field.translate(t), grid(dim))).values.numpy()
    expected = norm_of(moved - still, norm, dim + 1) / norm_of(still, norm, dim + 1)
    assert expected > 0.01
    assert float(error) == pytest.approx(float(expected), rel=1e-12)


def test_a_shift_of_the_output_grid_counts() -> None:
    """A layer that puts values at wrong points is found out; the same values at right ones are not."""

    def forgets(f: Samples) -> Samples:
        kept = EquivariantSubsampling(2)(f)
        return Samples(kept.values, f.grid.stride(2))

    t = [[1.0], [2.0], [3.0]]
    wrong = equivariance_error(forgets, waves(1), t, grid=grid(1))
    right = equivariance_error(EquivariantSubsampling(2), waves(1), t, grid=grid(1))
    assert float(right.max()) <= 1e-13
    assert float(wrong.max()) > 0.1


def test_the_grid_stays() -> None:
    """Φ samples t▷F on the grid given, not on one that moved along."""
    seen = []

    def spy(f: Samples) -> Samples:
        seen.append(f.grid.origin.tolist())
        return f

    equivariance_error(spy, waves(1), [0.3], grid=Grid(8, 1.0, origin=0.25))
    assert seen == [[0.25], [0.25]]


def test_each_side_is_computed_as_it_stands() -> None:
    """The layer is applied to t▷F and to F: once each, and to nothing else."""
    calls = []

    def layer(f: Field) -> Field:
        calls.append(f)
        return f * 2

    field = waves(1)
    equivariance_error(layer, field, [0.3], points=[[0.0], [1.0]])
    assert len(calls) == 2
    assert calls[1] is field
    assert torch.equal(calls[0]([[1.0]]), field.translate([0.3])([[1.0]]))


# --- at points ----------------------------------------------------------------------------------


@every_dim
@every_norm
def test_at_points_it_is_the_functions_difference(norm: str, dim: int) -> None:
    """L(F) = F·G: ‖(F(x−t)(G(x) − G(x−t))‖ / ‖F(x−t) G(x−t)‖, channels and points together."""
    field, factor = waves(dim), Gaussians([[0.5] * dim], [[1.0, -2.0]], [1.5])
    x, t = noise(7, dim), noise(3, dim, seed=1)
    error = equivariance_error(Unshared(factor), field, t, points=x, norm=norm)
    for i in range(3):
        f, g, h = (p.numpy() for p in (field(x - t[i]), factor(x), factor(x - t[i])))
        expected = norm_of(f * g - f * h, norm, 2) / norm_of(f * h, norm, 2)
        assert float(error[i]) == pytest.approx(float(expected), rel=1e-12)


@every_dim
def test_points_of_any_shape(dim: int) -> None:
    x = noise(2, 3, dim)
    layer = Unshared(Gaussians([[0.5] * dim], [[1.0, -2.0]], [1.5]))
    errors = [
        equivariance_error(layer, waves(dim), [0.3] * dim, points=p)
        for p in (x, x.flatten(0, 1), x.tolist())
    ]
    assert float(errors[0]) == float(errors[1]) == float(errors[2]) > 0.01


def test_a_quadrature_is_no_source_of_error() -> None:
    """With one node per radius K*F is far from the integral, and equivariant all the same."""
    kernel = GaussianKernel(1.0, torch.eye(2).double())
    coarse, fine = (Conv(kernel, nodes=n, exact=False) for n in (1, 16))
    x, t = noise(5, 1), noise(20, 1, seed=1)
    with torch.no_grad():
        assert float((coarse(waves(1))(x) - fine(waves(1))(x)).abs().max()) > 0.1
        assert float(equivariance_error(coarse, waves(1), t, points=x).max()) <= 1e-12


# --- batches ------------------------------------------------------------------------------------

HOW = {
    "grid": lambda dim: {"grid": grid(dim)},
    "points": lambda dim: {"points": noise(3, dim, seed=2)},
}
how = pytest.mark.parametrize("options", HOW.values(), ids=HOW.keys())
LAYERS = {
    "net": lambda dim: net(dim, Unshared(waves(dim) + 2.0)),
    "pooled": lambda dim: nn.Sequential(Unshared(waves(dim) + 2.0), GlobalPool(2)),
}


@how
@pytest.mark.parametrize("build", LAYERS.values(), ids=LAYERS.keys())
@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize(
    ("batch", "shape"),
    [(None, (4,)), (None, (2, 2)), (3, ()), (3, (3,)), (3, (1,)), (3, (2, 3)), (3, (2, 1))],
    ids=str,
)
def test_batches_are_loops(build, options, dim: int, batch: int | None, shape) -> None:
    """Shapes of fields and translations broadcast; every pair has the error that it has alone."""
    layer, field = build(dim), waves(dim, batch)
    t = torch.randint(-5, 5, (*shape, dim), generator=torch.Generator().manual_seed(1)).double()
    error = equivariance_error(layer, field, t, **options(dim))
    full = torch.broadcast_shapes(shape, field.batch)
    assert error.shape == full
    for index in np.ndindex(*full):
        amplitudes = field.amplitudes.expand(*full, *field.amplitudes.shape[-2:])[index]
        single = PlaneWaves(field.frequencies, amplitudes, period=field.period)
        move = t.expand(*full, dim)[index]
        alone = equivariance_error(layer, single, move, **options(dim))
        assert alone.shape == ()
        assert float(error[index]) == pytest.approx(float(alone), rel=1e-9, abs=1e-14)


def test_shapes_that_do_not_broadcast() -> None:
    with pytest.raises(ValueError, match=r"batch shapes .* don't broadcast"):
        equivariance_error(net(1), waves(1, 3), noise(2, 1), grid=grid(1))


@how
def test_single_precision(options) -> None:
    """Round-off is that of float32, errors those of float64."""
    t, field = [2.0], waves(1, dtype=torch.float32)
    layer = net(1).to(torch.float32)
    error = equivariance_error(layer, field, t, **options(1))
    assert error.dtype == torch.float32
    assert float(error) <= 100 * torch.finfo(torch.float32).eps
    broken = [
        equivariance_error(
            Unshared(
                Gaussians(
                    torch.zeros(1, 1, dtype=d), torch.ones(1, 2, dtype=d), torch.ones(1, dtype=d)
                )
            ),
            waves(1, dtype=d),
            [0.3],
            points=noise(4, 1),
        )
        for d in (torch.float32, torch.float64)
    ]
    assert float(broken[0]) == pytest.approx(float(broken[1]), rel=1e-4)


# --- other boundaries ---------------------------------------------------------------------------


@every_norm
def test_without_a_period_the_common_points_count(norm: str) -> None:
    """Both outputs where both are known: x from 3 on, after the other moved by 2."""
    field = Gaussians([[4.0]], [[1.0, 2.0]], [1.0])
    factor = Gaussians([[5.0]], [[1.0, 2.0]], [2.0])
    layer = nn.Sequential(Conv.from_array(noise(3, 2, 2), 1.0), Unshared(factor))
    layer.requires_grad_(False)
    g = Grid(10, 1.0, boundary="none")
    error = equivariance_error(layer, field, [2.0], grid=g, norm=norm)
    moved = layer(sample(field.translate([2.0]), g)).values[:, 2:].numpy()
    still = layer(sample(field, g)).values[:, :-2].numpy()
    expected = norm_of(moved - still, norm, 2) / norm_of(still, norm, 2)
    assert expected > 0.01
    assert float(error) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("boundary", ["zero", "reflect", "nearest", "none"])
def test_equivariance_away_from_the_rim(boundary: str) -> None:
    """A field that vanishes at the rim sees no boundary: whole translations are exact."""
    field = Gaussians([[7.5, 7.5]], [[1.0, -1.0]], [0.5])
    g = Grid((16, 16), 1.0, boundary=boundary)
    with torch.no_grad():
        error = equivariance_error(net(2), field, [[1.0, 0.0], [-1.0, 2.0]], grid=g)
    assert error.shape == (2,)
    assert float(error.max()) <= 1e-13


def test_padding_is_seen_where_the_field_reaches_the_rim() -> None:
    """Zeros outside, a reflection, … are not part of the field: no equivariance near the rim."""
    for boundary in ("zero", "reflect", "nearest"):
        g = Grid((8, 8), 1.0, boundary=boundary)
        error = equivariance_error(net(2), waves(2), [1.0, 2.0], grid=g)
        assert float(error) > 1e-3


@pytest.mark.parametrize("boundary", ["zero", "none"])
def test_strided_outputs_without_a_period(boundary: str) -> None:
    """Multiples of the stride compare; what falls between the output's points can't be."""
    field = Gaussians([[8.0]], [[1.0, -1.0]], [1.0])
    layer, g = net(1, Stride(2)), Grid(16, 1.0, boundary=boundary)
    assert float(equivariance_error(layer, field, [2.0], grid=g)) <= 1e-13
    for t in ([1.0], [0.5]):
        message = (
            rf"^outputs on a grid with boundary '{boundary}' and spacing \(2.0,\) can only be compared exactly for "
            r"translations by multiples of that spacing: take a periodic grid, such translations, or points=…$"
        )
        with pytest.raises(ValueError, match=message):
            equivariance_error(layer, field, t, grid=g)


def test_maps_are_compared_where_both_are_known() -> None:
    """‖a − b‖/‖b‖ on the common points 1 … 4, in the l2 norm unless said otherwise; a batch on either side."""
    left, right = (Grid(5, 1.0, origin, boundary="none") for origin in (0.0, 1.0))
    a, b = noise(3, 2, 5), noise(2, 5, seed=1)
    both = a[..., 1:], b[:, :-1]
    expected = (both[0] - both[1]).flatten(1).norm(dim=1) / both[1].norm()
    found = compare(Samples(a, left), Samples(b, right))
    assert_close(found, expected, 10)
    swapped = (both[0] - both[1]).flatten(1).norm(dim=1) / both[0].flatten(1).norm(dim=1)
    assert_close(compare(Samples(b, right), Samples(a, left)), swapped, 10)
    largest = (both[0] - both[1]).abs().amax((1, 2)) / both[1].abs().max()
    assert_close(compare(Samples(a, left), Samples(b, right), "max"), largest, 10)


def test_fields_are_sampled_to_the_tolerance() -> None:
    """A quadrature is refined, for t▷F as for F, until its change is below rtol: 1e-4 unless said otherwise."""
    field = waves(1).convolve(GaussianKernel(1.0, torch.eye(2).double()), 1, exact=False)
    for options, rtol in [({}, 1e-4), ({"rtol": 0.5}, 0.5), ({"rtol": 1e-9}, 1e-9)]:
        seen: list[Samples] = []
        with torch.no_grad():
            equivariance_error(lambda f: seen.append(f) or f, field, [0.3], grid=grid(1), **options)  # noqa: B023
        for found, asked in zip(seen, (field.translate([0.3]), field), strict=True):
            assert torch.equal(found.values, sample(asked, grid(1), rtol=rtol).values)
    rough = sample(field, grid(1), rtol=0.5).values
    assert not torch.equal(rough, sample(field, grid(1), rtol=1e-4).values)
    assert not torch.equal(rough, sample(field, grid(1), rtol=1e-9).values)


def test_equivariant_subsampling_without_a_period() -> None:
    """Away from the rim the index follows the maximum, and outputs of different phases compare."""
    field = Gaussians([[8.0]], [[1.0, -1.0]], [0.6])
    g = Grid(16, 1.0, boundary="none")
    layer = EquivariantSubsampling(2)
    assert float(equivariance_error(layer, field, [[1.0], [2.0], [-3.0]], grid=g).max()) <= 1e-13


def test_nothing_in_common() -> None:
    g = Grid(8, 1.0, boundary="none")
    with pytest.raises(ValueError, match="no point in common"):
        equivariance_error(net(1), waves(1), [8.0], grid=g)


# --- invariants ---------------------------------------------------------------------------------


@every_norm
def test_invariants_are_compared_as_vectors(norm: str) -> None:
    """‖P(t▷F) − P(F)‖/‖P(F)‖ over channels; nothing is moved."""
    layer, field = nn.Sequential(net(1, Stride(2)), GlobalPool("max")), waves(1)
    error = equivariance_error(layer, field, [1.0], grid=grid(1), norm=norm)
    moved, still = (layer(sample(f, grid(1))).numpy() for f in (field.translate([1.0]), field))
    expected = norm_of(moved - still, norm, 1) / norm_of(still, norm, 1)
    assert expected > 1e-3
    assert float(error) == pytest.approx(float(expected), rel=1e-12)


def test_invariants_of_equivariant_layers() -> None:
    """Pooled over the grid, Xu's subsampling is invariant to whole translations, a stride to even ones."""
    t = torch.arange(4.0)[:, None]
    for layer, exact in [(EquivariantSubsampling(2), [0, 1, 2, 3]), (Stride(2), [0, 2])]:
        whole = nn.Sequential(net(1, layer), GlobalPool(3))
        error = equivariance_error(whole, waves(1), t, grid=grid(1))
        assert [i for i, e in enumerate(error.tolist()) if e <= 1e-13] == exact


def test_invariants_of_functions_need_neither_grid_nor_points() -> None:
    layer = nn.Sequential(net(1), GlobalPool(2, rtol=1e-6))
    assert float(equivariance_error(layer, waves(1), [0.3])) <= 4e-6


# --- known layers, 64², in orders of magnitude ---------------------------------------------------

SUBSAMPLED = {
    "stride 1": ([], "conv", (0.0, 0.10, 0.081)),
    "stride 2": ([Stride(2)], "conv", (0.39, 0.29, 0.30)),
    "max pool 2": ([MaxPool(Box(2.0)), Stride(2)], None, (0.35, 0.28, 0.29)),
    "average pool 2": ([AvgPool(Box(2.0)), Stride(2)], None, (0.0, 0.0, 0.0)),
    "max pool 1, blur 4": ([MaxPool(Box(2.0)), BlurPool(2, 4)], None, (0.040, 0.046, 0.042)),
    "blur 4": ([BlurPool(2, 4)], "conv", (0.074, 0.057, 0.057)),
    "blur 5": ([BlurPool(2, 5)], "conv", (0.047, 0.040, 0.039)),
    "Xu": ([EquivariantSubsampling(2)], "conv", (0.0, None, 0.27)),
}


@pytest.mark.parametrize(("last", "first", "expected"), SUBSAMPLED.values(), ids=SUBSAMPLED.keys())
def test_known_errors(last: list[nn.Module], first: str | None, expected) -> None:
    """White noise up to |k| = 15, at even, odd, half and other real translations: within a factor 3.

    A linear layer of a field below the coarse Nyquist frequency has none at all.
    """
    field = random_bandlimited(2, 1, 15.01 / 64, 64.0, seed=0)
    conv = [Conv.from_array(noise(3, 3, 4, 1) / 3, 1.0), Pointwise(torch.relu)] if first else []
    t = torch.tensor([[2, 4], [1, 3], [0.5, 0.5], [0.3137, 0.7721]])
    with torch.no_grad():
        layer = nn.Sequential(*conv, *last)
        error = equivariance_error(layer, field, t, grid=Grid((64, 64), 1.0)).tolist()
    for measured, known in zip(error, (0.0, *expected), strict=True):
        if known == 0:
            assert measured <= 1e-13
        elif known is not None:
            assert known / 3 <= measured <= 3 * known


# --- bad input ----------------------------------------------------------------------------------

POINTS = [[0.0], [1.0]]
BAD = {
    "norm": (
        lambda: equivariance_error(net(1), waves(1), [0.1], grid=grid(1), norm="l3"),
        ValueError,
        "norm must be one of l1, l2, max, got 'l3'",
    ),
    "layer": (
        lambda: equivariance_error(3.0, waves(1), [0.1], grid=grid(1)),
        TypeError,
        "^layer must be callable, got float: expected a function of feature maps$",
    ),
    "samples": (
        lambda: equivariance_error(net(1), sample(waves(1), grid(1)), [0.1], grid=grid(1)),
        TypeError,
        r"expected a Field, got Samples: samples\.interpolate\(\) makes one",
    ),
    "both": (
        lambda: equivariance_error(net(1), waves(1), [0.1], grid=grid(1), points=POINTS),
        ValueError,
        "^give a grid, to measure the discretization, or points, to measure the function; not both$",
    ),
    "neither": (
        lambda: equivariance_error(net(1), waves(1), [0.1]),
        ValueError,
        r"^the layer's output is a \w+: give grid=… to measure its discretization, or points=… to measure it as a "
        "function$",
    ),
    "translation": (
        lambda: equivariance_error(net(1), waves(1), [0.1, 0.2], grid=grid(1)),
        ValueError,
        r"translation in 1 dimensions has shape \(1,\)",
    ),
    "translation, not finite": (
        lambda: equivariance_error(net(1), waves(1), [math.nan], grid=grid(1)),
        ValueError,
        "translation t must be finite",
    ),
    "points": (
        lambda: equivariance_error(net(2), waves(2), [0.1, 0.2], points=noise(4, 3)),
        ValueError,
        r"^points of a field on R\^2 have shape \(\*points, 2\), got \(4, 3\)$",
    ),
    "points, a number": (
        lambda: equivariance_error(net(1), waves(1), [0.1], points=0.5),
        ValueError,
        r"^points of a field on R\^1 have shape \(\*points, 1\), got \(\)$",
    ),
    "points, not finite": (
        lambda: equivariance_error(net(1), waves(1), [0.1], points=[[math.nan]]),
        ValueError,
        "^points must be finite",
    ),
    "grid of another dimension": (
        lambda: equivariance_error(net(1), waves(1), [0.1], grid=grid(2)),
        ValueError,
        r"field on R\^1 can't be sampled on a grid with 2 axes",
    ),
    "grid of another period": (
        lambda: equivariance_error(net(1), waves(1), [0.1], grid=Grid(7, 1.0)),
        ValueError,
        "the grid is periodic",
    ),
    "no grid": (
        lambda: equivariance_error(net(1), waves(1), [0.1], grid=8),
        TypeError,
        "grid must be a Grid",
    ),
    "zero": (
        lambda: equivariance_error(net(1), Constant([0.0, 0.0], 1), [0.1], grid=grid(1)),
        ValueError,
        "^the output vanishes identically, so no relative error is defined: take another field, or other points$",
    ),
    "zero at points": (
        lambda: equivariance_error(Bias([0.0]), Constant([0.0], 1), [0.1], points=POINTS),
        ValueError,
        "vanishes identically",
    ),
    "zero invariant": (
        lambda: equivariance_error(GlobalPool(2), Constant([0.0], 1), [0.1]),
        ValueError,
        "vanishes identically",
    ),
    "one zero in a batch": (
        lambda: equivariance_error(Bias([0.0]), Constant([[0.0], [1.0]], 1), [0.1], points=POINTS),
        ValueError,
        "vanishes identically",
    ),
    "a wave that is filtered away": (
        lambda: equivariance_error(
            IdealLowpass(2), PlaneWaves([[3 / 8]], torch.ones(2, 1, 1)), [0.3], grid=Grid(8, 1.0)
        ),
        ValueError,
        r"^the output vanishes up to rounding, \d\.\de-\d\d for samples up to 1\.0e\+00, so no relative error",
    ),
    "the mean of waves": (
        lambda: equivariance_error(
            GlobalPool("mean"), waves(2), [[0.3, 0.0], [1.0, 0.0]], grid=grid(2)
        ),
        ValueError,
        "vanishes",
    ),
    "output on a grid": (
        lambda: equivariance_error(lambda f: 3.0, waves(1), [0.1], grid=grid(1)),
        ValueError,
        "output is a float",
    ),
    "output": (
        lambda: equivariance_error(lambda f: 3.0, waves(1), [0.1], points=POINTS),
        ValueError,
        "output is a float",
    ),
}


@pytest.mark.parametrize(("call", "kind", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input(call, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_small_outputs_are_compared() -> None:
    """Of small weights, far below the rounding of the samples: the output has its own rounding, in each element."""
    wave = PlaneWaves([[3 / 8]], torch.tensor([[[1.0]], [[1e18]]]).double())
    layer = nn.Sequential(Conv.from_array(torch.full((1, 1, 1), 1e-20).double(), 1.0), Stride(2))
    error = equivariance_error(layer, wave, [1.0], grid=Grid(8, 1.0))
    assert_close(error, torch.tensor([2.0, 2.0]).double(), 1000)


@pytest.mark.parametrize("amplitude", [1e-3, 1.0, 1e3])
def test_rounding_is_seen_beside_elements_that_are_more(amplitude: float) -> None:
    """A wave that is filtered away, and one that isn't, of the same size; no generator but its own is drawn from."""
    coarse = amplitude * PlaneWaves([[1 / 8]], [[1.0]])
    fine = amplitude * PlaneWaves([[3 / 8]], [[1.0]])
    state = torch.random.get_rng_state()
    with pytest.raises(ValueError, match="the output vanishes up to rounding"):
        equivariance_error(IdealLowpass(2), batched(fine, coarse), [0.3], grid=Grid(8, 1.0))
    with pytest.raises(ValueError, match="the output vanishes up to rounding"):
        equivariance_error(GlobalPool("mean"), batched(fine, coarse + 1.0), [1.0], Grid(8, 1.0))
    assert torch.equal(torch.random.get_rng_state(), state)
    error = equivariance_error(IdealLowpass(2), coarse, [2.0], grid=Grid(8, 1.0))
    assert float(error) <= 1e-14


def test_rounding_may_be_zero() -> None:
    """A difference of neighbours of a constant is 0 bit for bit, and no more so than one that isn't."""
    layer = Conv.from_array(torch.tensor([1.0, -1.0]).double().reshape(2, 1, 1), 1.0)
    for value in (0.1, 3.0):
        with pytest.raises(ValueError, match="vanishes up to rounding"):
            equivariance_error(layer, Constant([value], 1), [1.0], grid=Grid(8, 1.0))
    with pytest.raises(ValueError, match="vanishes identically"):  # no change of the input is seen
        equivariance_error(Pointwise(torch.relu), Constant([-1.0], 1), [1.0], grid=Grid(8, 1.0))


def batched(*fields: Field) -> Field:
    """Fields as the elements of a batch."""
    amplitudes = torch.eye(len(fields)).double()
    return sum(
        (f * Constant(a[:, None], f.dim) for f, a in zip(fields[1:], amplitudes[1:], strict=True)),
        start=fields[0] * Constant(amplitudes[0][:, None], fields[0].dim),
    )


def test_zero_error_is_zero() -> None:
    """Equal outputs have error 0, bit for bit: t = 0, and a constant field."""
    assert float(equivariance_error(net(2), waves(2), [0.0, 0.0], grid=grid(2))) == 0.0
    flat = Constant([1.0, 2.0], 2)
    assert float(equivariance_error(Pointwise(torch.exp), flat, [3.0, 1.0], grid=grid(2))) == 0.0


def test_an_image_is_a_field() -> None:
    """An Interpolated field on its own grid: whole translations are rolls of its samples."""
    field = Interpolated(noise(2, 8, 6), 1.0)
    error = equivariance_error(net(2), field, [[3.0, -1.0], [0.5, 0.0]], grid=grid(2))
    assert float(error[0]) <= 1e-13
    assert_close(error[1:], error[1:].clamp(min=1e-2), 1)
