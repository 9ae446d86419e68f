"""Every rival against its definition, and against what it promises: zeros and orders of equivariance errors."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from discretize import (
    AdaptivePolyphase,
    AliasFreeActivation,
    AveragePooling,
    BlurPool,
    CNOActivation,
    ComovingSubsampling,
    EquivariantSubsampling,
    FilteredLeakyReLU,
    Grid,
    IdealLowpass,
    LearnablePolyphase,
    MaxPooling,
    PolynomialActivation,
    Samples,
    Stride,
    Upsampling,
    sample,
)
from discretize.boundary import extend
from equivariance import equivariance_error
from fields import Interpolated, PlaneWaves, random_bandlimited
from tests.compare import assert_close

SIDE = 64
GRID = Grid((SIDE, SIDE), 1.0)
EXACT = (0.0, 1e-12)
every_dim = pytest.mark.parametrize("dim", [1, 2, 3])


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def near(value: float) -> tuple[float, float]:
    """An order of magnitude: weights differ."""
    return value / 6, 6 * value


def net(*subsampling: nn.Module) -> nn.Module:
    """3×3 convolution to four channels, then what is measured."""
    from layers import Conv

    return nn.Sequential(Conv.from_array(noise(3, 3, 4, 1) / 3, 1.0), *subsampling)


def relu() -> nn.Module:
    from layers import Pointwise

    return Pointwise(torch.relu)


def one_max() -> nn.Module:
    """Maximum over 2×2 samples with stride 1."""
    return MaxPooling(1, 2)


#: Errors at even, odd, half-pixel and random real translations at band 15, and at random real ones at band 31.
TABLE = {
    "stride 1": (net(relu()), EXACT, EXACT, near(0.1), near(0.08), near(0.37)),
    "stride 2": (net(relu(), Stride(2)), EXACT, near(0.39), near(0.29), near(0.3), near(0.95)),
    "max": (net(MaxPooling(2)), EXACT, near(0.35), near(0.28), near(0.29), near(0.54)),
    "average": (net(AveragePooling(2)), EXACT, EXACT, EXACT, EXACT, near(0.73)),
    "max, blur 4": (
        net(one_max(), BlurPool(2, 4)),
        EXACT,
        near(0.04),
        near(0.046),
        near(0.042),
        near(0.18),
    ),
    "blur 4": (net(relu(), BlurPool(2)), EXACT, near(0.074), near(0.059), near(0.057), near(0.17)),
    "ideal": (net(relu(), IdealLowpass(2)), EXACT, EXACT, near(0.035), near(0.028), near(0.21)),
    "APS": (
        net(relu(), AdaptivePolyphase(2)),
        EXACT,
        EXACT,
        near(0.27),
        near(0.27),
        near(0.88),
    ),
    "Xu": (
        net(relu(), EquivariantSubsampling(2)),
        EXACT,
        EXACT,
        near(0.27),
        near(0.27),
        near(0.88),
    ),
    "AFC": (net(AliasFreeActivation(), IdealLowpass(2)), EXACT, EXACT, EXACT, EXACT, EXACT),
    "up 2, GELU": (
        net(AliasFreeActivation(nn.functional.gelu), IdealLowpass(2)),
        EXACT,
        EXACT,
        EXACT,
        near(1.8e-4),
        near(0.012),
    ),
    "up 8, ReLU": (
        net(AliasFreeActivation(torch.relu, 8), IdealLowpass(2)),
        EXACT,
        EXACT,
        EXACT,
        near(1.3e-4),
        near(6e-4),
    ),
    "SG3": (
        net(FilteredLeakyReLU(2, 4)),
        EXACT,
        near(4.5e-4),
        near(3e-4),
        near(1.5e-3),
        near(1.6e-3),
    ),
    "SG3, critical": (
        net(FilteredLeakyReLU(2, 4, cutoff=0.5)),
        EXACT,
        near(0.052),
        near(0.037),
        near(0.037),
        near(0.12),
    ),
    "CNO": (net(CNOActivation(2)), (0.0, 0.1), near(0.099), near(0.07), near(0.071), near(0.16)),
    "comoving": (
        net(ComovingSubsampling(2, nyquist="keep", bound=0)),
        EXACT,
        EXACT,
        EXACT,
        EXACT,
        EXACT,
    ),
}
TRANSLATIONS = [
    [[2.0, 0.0], [-4.0, 6.0]],
    [[1.0, 1.0], [3.0, -5.0]],
    [[0.5, 0.5], [2.5, -0.5]],
    [[0.37, 1.71], [-3.14, 0.83], [2.29, -0.61]],
]


@pytest.mark.parametrize("name", TABLE)
def test_table_of_errors(name: str) -> None:
    """Zeros are zeros, and the rest has the published order."""
    layer, *expected = TABLE[name]
    cases = [(t, 15) for t in TRANSLATIONS] + [(TRANSLATIONS[3], 31)]
    for (t, band), (low, high) in zip(cases, expected, strict=True):
        field = random_bandlimited(2, 1, (band + 0.01) / SIDE, float(SIDE), seed=0)
        with torch.no_grad():
            error = float(equivariance_error(layer, field, t, grid=GRID).mean())
        assert low <= error <= high, (
            f"{t} at band {band}: {error:.2e} not in {low:.1e} … {high:.1e}"
        )


# --- definitions --------------------------------------------------------------------------------


@every_dim
@pytest.mark.parametrize(("s", "size"), [(2, None), (3, None), (2, 3), (1, 2)])
@pytest.mark.parametrize("kind", [AveragePooling, MaxPooling])
def test_poolings_are_those_of_torch(kind, dim: int, s: int, size: int | None) -> None:
    """Windows begin at the first sample, wrap, and the grid says where their centres are."""
    x, k = noise(2, 3, *(12,) * dim), s if size is None else size
    name = ("avg" if kind is AveragePooling else "max") + f"_pool{dim}d"
    around = nn.functional.pad(x, (0, k - 1) * dim, mode="circular")
    expected = getattr(nn.functional, name)(around, k, s)
    result = kind(s, size)(Samples(x, Grid((12,) * dim, 0.5, 1.0)))
    assert_close(result.values, expected, 20)
    assert result.grid.origin.tolist() == [1.0 + 0.5 * (k - 1) / 2] * dim
    assert result.grid.spacing == (0.5 * s,) * dim


@pytest.mark.parametrize("boundary", ["zero", "none", "nearest"])
def test_poolings_without_a_period(boundary: str) -> None:
    x = torch.arange(1.0, 7.0).double()[None]
    f = MaxPooling(2, 3)(Samples(x, Grid(6, 1.0, boundary=boundary)))
    assert f.values.tolist() == [[3.0, 5.0] if boundary == "none" else [3.0, 5.0, 6.0]]
    assert f.grid.origin.tolist() == [1.0]


@every_dim
@pytest.mark.parametrize("s", [2, 3, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_ideal_lowpass(dim: int, s: int, dtype: torch.dtype) -> None:
    """All waves |k| < N/2s are kept, all others dropped: against a mask on the FFT."""
    n = 12
    x = noise(2, *(n,) * dim, dtype=dtype)
    axes = tuple(range(-dim, 0))
    spectrum = torch.fft.fftn(x.double(), dim=axes)
    k = torch.fft.fftfreq(n, 1 / n).double().abs()
    for axis in range(dim):
        spectrum = spectrum * (2 * s * k < n).reshape(-1, *(1,) * (dim - 1 - axis))
    expected = torch.fft.ifftn(spectrum, dim=axes).real[(..., *(slice(None, None, s),) * dim)]
    result = IdealLowpass(s)(Samples(x, Grid((n,) * dim, 1.0)))
    assert_close(result.values, expected.to(dtype), 100)


def test_ideal_lowpass_of_long_axes_and_of_fields() -> None:
    """By FFT the same, and sample ∘ filter = filter ∘ sample on periodic fields below Nyquist."""
    field = random_bandlimited(1, 2, 0.45, 512.0, seed=0)
    layer, grid = IdealLowpass(2, spacing=1.0), Grid(512, 1.0)
    discrete = layer(sample(field, grid))
    continuous = layer(field)
    assert_close(discrete.values, sample(continuous, discrete.grid).values, 1e4)
    assert IdealLowpass(2)(field) is field


@every_dim
def test_ideal_lowpass_of_fields_of_any_kind(dim: int) -> None:
    """A field filters over its own period, whether it is made of waves or not."""
    side, period = (8, 6, 4)[:dim], (8.0, 6.0, 4.0)[:dim]
    waves = random_bandlimited(dim, 1, 0.45, period, seed=0)
    values = sample(waves, Grid(side, 1.0)).values
    layer, x = IdealLowpass(2, spacing=1.0), noise(5, dim)
    through = Interpolated(values, (1.0,) * dim)
    assert_close(layer(through)(x), layer(waves)(x), 1e6, scale=1.0)


@every_dim
@pytest.mark.parametrize("norm", [1.0, 2.0, 3.0, math.inf])
def test_adaptive_polyphase_keeps_the_largest(dim: int, norm: float) -> None:
    """argmax over i of ‖x_i‖_p over channels and space, components written out."""
    shape, s = (12, 6, 4)[:dim], (3, 2, 2)[:dim]
    x = noise(3, 2, *shape)
    f = AdaptivePolyphase(s, norm)(Samples(x, Grid(shape, 1.0)))
    for b in range(3):
        best = max(
            (torch.linalg.vector_norm(part, norm), p)
            for p, part in (
                (p, x[b][(slice(None), *(slice(i, None, q) for i, q in zip(p, s, strict=True)))])
                for p in torch.cartesian_prod(*map(torch.arange, s)).reshape(-1, dim).tolist()
            )
        )
        assert f.grid.origin[b].tolist() == best[1]
        cut = (slice(i, None, q) for i, q in zip(best[1], s, strict=True))
        assert torch.equal(f.values[b], x[b][(slice(None), *cut)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_adaptive_polyphase_breaks_ties_by_the_peak(dtype: torch.dtype) -> None:
    """Below the coarse Nyquist frequency all norms are equal (Parseval): 0 failures among whole translations."""
    field = random_bandlimited(2, 2, 7.01 / 32, 32.0, seed=0, dtype=dtype)
    layer, grid = AdaptivePolyphase(2), Grid((32, 32), 1.0)
    f = sample(field, grid)
    kept, plain = layer(f), EquivariantSubsampling(2)(f)
    assert torch.equal(kept.values, plain.values)
    for t in ([1, 0], [5, 3], [-2, 7], [0, 15]):
        moved = layer(Samples(f.values.roll(t, (-2, -1)), grid))
        assert torch.equal(moved.grid.origin, (kept.grid.origin + torch.tensor(t)) % 2)


def test_adaptive_polyphase_with_a_blur_and_without_a_period() -> None:
    layer, grid = AdaptivePolyphase(2, taps=3), Grid((12, 12), 1.0)
    x = noise(1, 12, 12)
    kept = layer(Samples(x, grid))
    blurred = BlurPool(1, 3)(Samples(x, grid))
    assert torch.equal(kept.values, AdaptivePolyphase(2)(blurred).values)
    for boundary in ("zero", "none"):
        f = AdaptivePolyphase(3)(Samples([[0.0, 1.0, 0.0, 0.0, 3.0]], Grid(5, 1.0, 0.0, boundary)))
        assert (f.values.tolist(), f.grid.origin.tolist()) == ([[1.0, 3.0]], [1.0])


# --- learnable polyphase sampling ---------------------------------------------------------------


@every_dim
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_learnable_polyphase_commutes_with_whole_translations(dim: int, dtype: torch.dtype) -> None:
    shape = (12, 8, 6)[:dim]
    layer = LearnablePolyphase(2, 2, dim, hidden=5, dtype=dtype).eval()
    x, grid, axes = noise(3, 2, *shape, dtype=dtype), Grid(shape, 1.0), tuple(range(-dim, 0))
    kept = layer(Samples(x, grid))
    for t in ([1, 0, 0], [5, -3, 1], [2, 3, 4]):
        t = t[:dim]
        moved = layer(Samples(x.roll(t, axes), grid))
        origin = (kept.grid.origin + torch.tensor(t)) % 2
        assert torch.equal(moved.grid.origin, origin)
        back = moved.resample(kept.grid.translate(torch.tensor(t).double()))
        assert torch.equal(back.values, kept.values)


def test_scores_are_those_of_the_formula() -> None:
    """Mean of conv₃(ReLU(conv₃(x_i))), circular, by torch."""
    layer = LearnablePolyphase(2, 3, hidden=4, seed=1)
    x = noise(1, 3, 8, 8)
    scores = layer.scores(Samples(x, Grid((8, 8), 1.0)))
    for i, (p, q) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        part = nn.functional.pad(x[..., p::2, q::2], (1, 1, 1, 1), mode="circular")
        y = torch.relu(nn.functional.conv2d(part, layer.first, layer.bias))
        y = nn.functional.conv2d(nn.functional.pad(y, (1, 1, 1, 1), mode="circular"), layer.second)
        assert_close(scores[:, i], y.mean((1, 2, 3)), 1e3, 1.0)


def test_training_mixes_the_sublattices() -> None:
    """Σ w_i x_i with Gumbel-softmax weights of a seeded generator; gradients reach all weights."""
    x = noise(2, 3, 8, 8)
    f, layers = Samples(x, Grid((8, 8), 1.0)), [LearnablePolyphase(2, 3, hidden=4) for _ in "ab"]
    outputs = [layer.train()(f) for layer in layers]
    assert torch.equal(outputs[0].values, outputs[1].values)
    assert not torch.equal(layers[0](f).values, outputs[0].values)
    draw = LearnablePolyphase(2, 3, hidden=4)
    uniform = torch.rand(2, 4, generator=draw.generator, dtype=torch.float64)
    weights = torch.softmax(draw.scores(f) - torch.log(-torch.log(uniform)), dim=-1)
    parts = torch.stack([x[..., p::2, q::2] for p in (0, 1) for q in (0, 1)], dim=2)
    expected = torch.einsum("bcikl,bi->bckl", parts, weights)
    assert_close(outputs[0].values, expected, 1e3, 1.0)
    outputs[0].values.square().sum().backward()
    assert all(bool(p.grad.any()) for n, p in layers[0].named_parameters())
    cold = LearnablePolyphase(2, 3, hidden=4, temperature=1e-6).train()(f)
    found = [any(torch.equal(cold.values[b], parts[b, :, i]) for i in range(4)) for b in range(2)]
    assert all(found)


@every_dim
def test_probabilities_are_those_of_the_softmax_and_multiply_the_way_back(dim: int) -> None:
    """p = softmax(scores/T) at the kept phase, whole translations leave it; U(S(f), p) = p·f there and 0 elsewhere."""
    shape, strides = (12, 8, 6)[:dim], (3, 2, 2)[:dim]
    layer = LearnablePolyphase(strides, 2, dim, hidden=3, temperature=0.3).eval()
    f = Samples(noise(3, 2, *shape), Grid(shape, 1.0))
    kept, p = layer.with_probability(f)
    assert torch.equal(kept.values, layer(f).values)
    assert torch.equal(kept.grid.origin, layer(f).grid.origin)
    phases = [int(np.ravel_multi_index(o, strides)) for o in kept.grid.origin.long().numpy()]
    expected = torch.softmax(layer.scores(f) / 0.3, dim=-1)[torch.arange(3), phases]
    assert_close(p, expected, 1e2, 1.0)
    rolled = layer.with_probability(
        Samples(f.values.roll((1, 5, -1)[:dim], list(range(-dim, 0))), f.grid)
    )
    assert_close(rolled[1], p, 1e3, 1.0)
    back = layer.upsampling(kept, f.grid, weight=p).values
    scaled = p[(..., *(None,) * (dim + 1))] * layer.upsampling(kept, f.grid).values
    assert torch.equal(back, scaled)
    back.square().sum().backward()
    assert all(bool(q.grad.any()) for q in layer.parameters())
    mixed, largest = layer.train().with_probability(f)
    assert mixed.values.shape == kept.values.shape
    assert bool(((largest >= 1 / math.prod(strides)) & (largest <= 1)).all())


def test_weights_are_checked() -> None:
    layer = LearnablePolyphase(2, 1, 1).eval()
    f = Samples(noise(2, 1, 8), Grid(8, 1.0))
    g, p = layer.with_probability(f)
    with pytest.raises(ValueError, match=r"one number for each element of the batch \(2,\), got"):
        layer.upsampling(g, f.grid, weight=p[:1])
    with pytest.raises(ValueError, match="got float"):
        layer.upsampling(g, weight=0.5)


# --- the way back -------------------------------------------------------------------------------

BACK = {
    "Stride": (Stride(2), "zeros"),
    "AveragePooling": (AveragePooling(2), "hold"),
    "MaxPooling": (MaxPooling((2, 3)), "hold"),
    "BlurPool": (BlurPool(2, 4), "blur"),
    "IdealLowpass": (IdealLowpass(2), "fourier"),
    "AdaptivePolyphase": (AdaptivePolyphase(3), "zeros"),
    "LearnablePolyphase": (LearnablePolyphase(2, 2).eval(), "zeros"),
    "EquivariantSubsampling": (EquivariantSubsampling(2), "zeros"),
    "ComovingSubsampling": (ComovingSubsampling(2), "fourier"),
    "CNOActivation": (CNOActivation(2), "hold"),
    "FilteredLeakyReLU": (FilteredLeakyReLU(2, 4), "fourier"),
    "FilteredLeakyReLU, per axis": (FilteredLeakyReLU((1, 2), (2, 6)), "fourier"),
}


@pytest.mark.parametrize(("down", "fill"), BACK.values(), ids=BACK.keys())
def test_every_subsampling_has_a_partner(down, fill: str) -> None:
    """It leads back to the input's grid, moves along with it, and leaves Fields alone."""
    up = down.upsampling
    assert up.fill == fill
    field = random_bandlimited(2, 2, 0.3, 12.0, seed=0)
    grid = Grid((12, 12), 1.0)
    f = sample(field, grid)
    back = up(down(f), grid) if fill != "blur" else up(down(f))
    assert back.grid.shape == grid.shape
    assert back.grid.spacing == grid.spacing
    assert up(field) is field
    t = torch.tensor([6.0, 6.0])
    moved = sample(field.translate(t), grid)
    again = up(down(moved), grid) if fill != "blur" else up(down(moved))
    if fill != "hold" or not isinstance(down, CNOActivation):
        assert_close(again.values, back.values.roll((6, 6), (-2, -1)), 1e6)


def test_fills() -> None:
    f = Samples([[1.0, 3.0]], Grid(2, 2.0, 0.5))
    zeros, hold = Upsampling(2)(f), Upsampling(2, "hold")(f)
    assert (zeros.values.tolist(), zeros.grid.origin.tolist()) == ([[1.0, 0.0, 3.0, 0.0]], [0.5])
    assert (hold.values.tolist(), hold.grid.origin.tolist()) == ([[1.0, 1.0, 3.0, 3.0]], [0.0])
    fourier = Upsampling(2, "fourier")(f)
    assert_close(fourier.values, torch.tensor([[1.0, 2.0, 3.0, 2.0]]).double(), 10)
    blur = Upsampling(2, "blur", taps=3)(f)
    assert_close(blur.values, torch.tensor([[1.0, 2.0, 3.0, 2.0]]).double(), 10)
    wave = sample(PlaneWaves([[3 / 16]], [[1.0 + 0.5j]]), Grid(8, 2.0))
    finer = Upsampling(3, "fourier")(wave)
    exact = sample(PlaneWaves([[3 / 16]], [[1.0 + 0.5j]]), finer.grid)
    assert_close(finer.values, exact.values, 100)


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize(("s", "taps"), [(2, 3), (2, 4), (3, 5)])
@pytest.mark.parametrize("boundary", ["zero", "reflect", "nearest", "periodic"])
def test_zeros_lie_between_the_samples_outside_too(
    boundary: str, s: int, taps: int, dim: int
) -> None:
    """A blur near the rim is that of a larger map, which holds what continues the samples."""
    values, grid = noise(2, *(6,) * dim), Grid((6,) * dim, 1.0, boundary=boundary)
    around = extend(values, [-5] * dim, [10] * dim, boundary)
    up = Upsampling(s, "blur", taps)
    out, large = (
        up(Samples(values, grid)),
        up(Samples(around, grid.dilate(5).replace(boundary="none"))),
    )
    inside = large.resample(out.grid.replace(boundary="none"))
    assert out.grid.boundary == boundary
    assert_close(out.values, inside.values, 10)


@pytest.mark.parametrize("boundary", ["reflect", "nearest"])
@pytest.mark.parametrize("radial", [False, True])
@pytest.mark.parametrize("up", [2, 3])
def test_a_filtered_relu_keeps_constants_at_the_rim(boundary: str, radial: bool, up: int) -> None:
    layer, ones = FilteredLeakyReLU(up, up, radial=radial), torch.ones(1, 8, 8).double()
    inside = layer(Samples(ones, Grid((8, 8), 1.0))).values
    rim = layer(Samples(ones, Grid((8, 8), 1.0, boundary=boundary))).values
    assert float((rim - inside).abs().max()) <= 0.02


def test_bad_input() -> None:
    f = Samples(noise(1, 12), Grid(12, 1.0))
    walled = Samples(f.values, f.grid.replace(boundary="zero"))
    for layer in (IdealLowpass(2), AliasFreeActivation(), Upsampling(2, "fourier")):
        with pytest.raises(ValueError, match="periodic samples, got boundary 'zero'"):
            layer(walled)
    for layer in (IdealLowpass(5), AdaptivePolyphase(5), FilteredLeakyReLU(1, 5)):
        with pytest.raises(ValueError, match="sizes that work are 10 or 15"):
            layer(f)
    for layer in (IdealLowpass(2), AdaptivePolyphase(2), AliasFreeActivation(), Upsampling(2)):
        with pytest.raises(TypeError, match="expected a Field or Samples, got Tensor"):
            layer(f.values)
    empty = f.map(lambda v: v[..., :0])
    for layer in (Stride(2), ComovingSubsampling(2), AdaptivePolyphase(2), AliasFreeActivation()):
        with pytest.raises(ValueError, match=r"without empty axes, got shape \(0, 12\)"):
            layer(empty)
    with pytest.raises(ValueError, match="norm must be a number p ≥ 1"):
        AdaptivePolyphase(2, 0.5)
    with pytest.raises(ValueError, match="fill must be one of"):
        Upsampling(2, "linear")
    with pytest.raises(ValueError, match="takes 3 channels in 2 dimensions, got 1 in 1"):
        LearnablePolyphase(2, 3)(f)
    with pytest.raises(ValueError, match="a number or 3 numbers, got 2"):
        LearnablePolyphase((2, 2), 3, dim=3)
    with pytest.raises(ValueError, match="must divide the shape"):
        LearnablePolyphase(5, 1, 1)(walled)
    with pytest.raises(ValueError, match=r"cutoff lies in \(0, 0\.5\]"):
        FilteredLeakyReLU(cutoff=0.7)
    with pytest.raises(ValueError, match="stopband must be above the cutoff"):
        FilteredLeakyReLU(cutoff=0.5, stopband=0.4)
    with pytest.raises(ValueError, match=r"doesn't divide the shape .*: f\.crop\(first"):
        CNOActivation(5)(f)
    with pytest.raises(TypeError, match="fn must be callable"):
        AliasFreeActivation(3)
    with pytest.raises(ValueError, match=r"shape \(p \+ 1,\) or \(c, p \+ 1\)"):
        PolynomialActivation(1.0)
