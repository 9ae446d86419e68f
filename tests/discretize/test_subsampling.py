"""Subsampling: which translations each kind commutes with, bit for bit where it can be."""

import itertools
import math
import re

import pytest
import torch
from torch import Tensor, nn

from discretize import (
    AdaptivePolyphase,
    AveragePooling,
    BlurPool,
    EquivariantSubsampling,
    Grid,
    IdealLowpass,
    LearnablePolyphase,
    MaxPooling,
    Samples,
    Stride,
    sample,
)
from equivariance import equivariance_error
from fields import Field, PlaneWaves, random_bandlimited
from tests.compare import assert_close
from tests.equivariance.photograph import photograph

every_dim = pytest.mark.parametrize("dim", [1, 2, 3])
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
strides = pytest.mark.parametrize(
    ("dim", "s"),
    [(1, 2), (1, 3), (1, 4), (2, 2), (2, 3), (2, 4), (2, (2, 3)), (3, 2), (3, 3), (3, (2, 1, 3))],
    ids=str,
)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def integers(*shape: int, seed: int = 0) -> Tensor:
    """Distinct integers, so that no two points tie and all sums are exact."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(math.prod(shape), generator=generator).reshape(shape).double()


def per_axis(s, dim: int) -> tuple[int, ...]:
    return (s,) * dim if isinstance(s, int) else s


def noisy(dim: int, period: tuple[int, ...], seeds: int = 1) -> Field:
    """A batch of fields with waves up to 0.9 times the Nyquist frequency of spacing 1."""
    fields = [random_bandlimited(dim, 2, 0.45, period, seed) for seed in range(seeds)]
    amplitudes = torch.stack([f.amplitudes for f in fields])
    return PlaneWaves(fields[0].frequencies, amplitudes, period=period)


# --- Stride -------------------------------------------------------------------------------------


@strides
@every_dtype
def test_stride_keeps_every_sth_sample(dim: int, s, dtype: torch.dtype) -> None:
    """f[s·k] at origin + s·h·k, bit for bit."""
    values, steps = noise(2, 3, *(12,) * dim, dtype=dtype), per_axis(s, dim)
    result = Stride(s)(Samples(values, Grid((12,) * dim, 0.5, 0.25)))
    assert torch.equal(result.values, values[(..., *(slice(None, None, q) for q in steps))])
    assert result.grid.spacing == tuple(0.5 * q for q in steps)
    assert result.grid.origin.tolist() == [0.25] * dim


@pytest.mark.parametrize("boundary", ["zero", "reflect", "nearest", "none"])
def test_stride_keeps_the_last_partial_cell_without_a_period(boundary: str) -> None:
    f = Samples(torch.arange(7.0).double()[None], Grid(7, 1.0, boundary=boundary))
    assert Stride(3)(f).values.tolist() == [[0.0, 3.0, 6.0]]


@strides
def test_strides_multiply(dim: int, s) -> None:
    """S_r S_s = S_{rs}."""
    f = Samples(noise(1, *(24,) * dim), Grid((24,) * dim, 1.0))
    twice = nn.Sequential(Stride(s), Stride(2))(f)
    once = Stride([2 * q for q in per_axis(s, dim)])(f)
    assert torch.equal(twice.values, once.values)
    assert twice.grid.coincides(once.grid)


# --- the subgroup -------------------------------------------------------------------------------

FIELDS = {
    "photograph": (photograph, 64),
    "random": (lambda: random_bandlimited(2, 1, 15.01 / 64, 64.0, seed=0), 64),
}


def net(*subsampling: nn.Module) -> nn.Module:
    """A small network: 3×3 convolution to four channels, ReLU, subsampling."""
    from layers import Conv, Pointwise

    first = Conv.from_array(noise(3, 3, 4, 1) / 3, 1.0)
    return nn.Sequential(first, Pointwise(torch.relu), *subsampling)


@pytest.mark.parametrize(("build", "size"), FIELDS.values(), ids=FIELDS.keys())
@pytest.mark.parametrize("s", [2, 4])
@pytest.mark.parametrize("kind", [Stride, BlurPool])
def test_strided_layers_commute_with_multiples_of_the_stride_only(kind, s, build, size) -> None:
    """≤ 1e-13 there, > 1e-3 in between, at whole and fractional translations."""
    grid, layer, field = Grid((size, size), 1.0), net(kind(s)), build()
    inside = torch.tensor([[1, 0], [0, -2], [3, 5], [32, 16]]) * s
    outside = torch.tensor([[1.0, 0.0], [0.0, s / 2], [s + 1.0, s - 1.0], [0.5, 0.5], [s / 3, 2.0]])
    with torch.no_grad():
        assert float(equivariance_error(layer, field, inside, grid=grid).max()) <= 1e-13
        assert float(equivariance_error(layer, field, outside, grid=grid).min()) > 1e-3


@pytest.mark.parametrize(("build", "size"), FIELDS.values(), ids=FIELDS.keys())
@pytest.mark.parametrize("s", [2, 4])
def test_equivariant_subsampling_commutes_with_whole_translations(s: int, build, size) -> None:
    """≤ 1e-13 at every whole translation, of the stride's residues and beyond; not at others."""
    grid, layer, field = Grid((size, size), 1.0), net(EquivariantSubsampling(s)), build()
    whole = [*itertools.product(range(s + 1), repeat=2), (-7, 31), (64, 1)]
    with torch.no_grad():
        assert float(equivariance_error(layer, field, whole, grid=grid).max()) <= 1e-13
        real = torch.tensor([[0.5, 0.5], [1.3, 0.0], [0.0, 2.7]])
        assert float(equivariance_error(layer, field, real, grid=grid).min()) > 1e-3


@strides
def test_equivariant_subsampling_of_a_batch(dim: int, s) -> None:
    """Every element has its own phase, and all commute with all whole translations, exactly."""
    size = (12, 12, 6)[:dim]
    field, grid, layer = noisy(dim, size, seeds=3), Grid(size, 1.0), EquivariantSubsampling(s)
    origins = layer(sample(field, grid)).grid.origin
    assert len(origins.unique(dim=0)) > 1
    t = torch.tensor([[0, 0, 0], [1, 0, 0], [2, 1, -1], [-5, 7, 3], [11, 2, 4]])[:, None, :dim]
    error = equivariance_error(layer, field, t, grid=grid)
    assert error.shape == (5, 3)
    assert float(error.max()) <= 1e-13


# --- Xu et al., as the paper writes it -----------------------------------------------------------


@strides
@every_dtype
@pytest.mark.parametrize("scale", [1.0, 1e-3, -1e3])
def test_law_of_the_paper(dim: int, s, scale: float, dtype: torch.dtype) -> None:
    """S(T_t f) = (roll(f_b, q), p_t), p_t = (p + t) mod s, q = (t + p − p_t)/s: bit for bit."""
    size, steps = (12, 24, 6)[:dim], torch.tensor(per_axis(s, dim))
    axes = tuple(range(-dim, 0))
    layer, grid = EquivariantSubsampling(s), Grid(size, 1.0)
    for seed in range(3):
        values = (scale * (1 + integers(2, *size, seed=seed))).to(dtype)
        kept = layer(Samples(values, grid))
        p = kept.grid.origin.long()
        for t in torch.randint(-20, 20, (6, dim), generator=torch.Generator().manual_seed(seed)):
            moved = layer(Samples(values.roll(t.tolist(), axes), grid))
            expected = (p + t) % steps
            q = (t + p - expected) // steps
            assert torch.equal(moved.grid.origin, expected.double())
            assert torch.equal(moved.values, kept.values.roll(q.tolist(), axes))


@strides
@every_dtype
def test_what_is_kept(dim: int, s, dtype: torch.dtype) -> None:
    """Samples p + s·k, p the position of the largest ‖f(x)‖₁ modulo s, element by element."""
    size, steps = (12, 24, 6)[:dim], per_axis(s, dim)
    values = noise(2, 3, *size, dtype=dtype)
    result = EquivariantSubsampling(s)(Samples(values, Grid(size, 0.5, 1.0)))
    assert result.dtype == dtype
    for b, element in enumerate(values):
        top = int(element.abs().sum(0).argmax())
        place = [int(i) for i in torch.unravel_index(torch.tensor(top), size)]
        phase = [i % q for i, q in zip(place, steps, strict=True)]
        cut = (slice(None), *(slice(p, None, q) for p, q in zip(phase, steps, strict=True)))
        assert torch.equal(result.values[b], element[cut])
        assert result.grid.origin[b].tolist() == [1.0 + 0.5 * p for p in phase]


def test_the_origin_says_where_values_lie() -> None:
    """Putting values back at their points gives the input there: U(S(f)) = f on the kept points."""
    grid = Grid((6, 8), 0.5, [1.0, -2.0])
    f = Samples(noise(4, 2, 6, 8), grid)
    kept = EquivariantSubsampling(2)(f)
    index = ((kept.grid.points() - grid.origin) / 0.5).round().long()
    for b in range(4):
        i, j = index[b].unbind(-1)
        assert torch.equal(kept.values[b], f.values[b][:, i % 6, j % 8])


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_of_a_constant_the_first_sample_is_kept(value: float) -> None:
    """What ties after all is a symmetry of the input: any choice is as good."""
    f = Samples(torch.full((1, 4, 6), value), Grid((4, 6), 1.0))
    assert EquivariantSubsampling(2)(f).grid.origin.tolist() == [0.0, 0.0]


def test_no_choice_commutes_where_the_input_has_a_symmetry() -> None:
    """Teeth: f of period 1 has f(· − 1) = f, so that p + 1 can't be its phase."""
    constant = random_bandlimited(1, 1, 0.125, 8.0, seed=0).map(torch.zeros_like) + 1.0
    origins = [
        EquivariantSubsampling(2)(sample(constant.translate([t]), Grid(8, 1.0))).grid.origin
        for t in (0.0, 1.0)
    ]
    assert torch.equal(*origins)


def test_chained_strides_split_the_index() -> None:
    """Two equivariant strides of 2 commute with whole translations as one of 4 does."""
    layer = nn.Sequential(EquivariantSubsampling(2), EquivariantSubsampling(2))
    t = torch.arange(9)[:, None]
    error = equivariance_error(layer, noisy(1, (16,)), t[:, None], grid=Grid(16, 1.0))
    assert float(error.max()) <= 1e-13


def test_gradients_reach_kept_samples_only() -> None:
    values = noise(2, 1, 6, 6).requires_grad_()
    result = EquivariantSubsampling(3)(Samples(values, Grid((6, 6), 1.0)))
    result.values.sum().backward()
    assert sorted(values.grad.unique().tolist()) == [0.0, 1.0]
    assert values.grad.sum().item() == 2 * 4
    assert not result.grid.origin.requires_grad


def test_without_a_period_phases_of_a_batch_keep_what_all_have() -> None:
    values = torch.zeros(2, 1, 5).double()
    values[0, 0, 0] = values[1, 0, 1] = 1.0
    result = EquivariantSubsampling(2)(Samples(values, Grid(5, 1.0, boundary="none")))
    assert result.grid.shape == (2,)
    assert result.grid.origin.tolist() == [[0.0], [1.0]]
    assert result.values.tolist() == [[[1.0, 0.0]], [[1.0, 0.0]]]


# --- BlurPool -----------------------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize("taps", [1, 2, 3, 4, 5, 6, 7])
@strides
def test_blur_pool_is_a_depthwise_correlation(dim: int, s, taps: int, dtype: torch.dtype) -> None:
    """torch's conv with binomial weights, padded ⌊(f−1)/2⌋ before and ⌈(f−1)/2⌉ after; even f moves by h/2."""
    values, steps = noise(2, 3, *(12,) * dim, dtype=dtype), per_axis(s, dim)
    row = torch.tensor([math.comb(taps - 1, k) for k in range(taps)], dtype=torch.float64)
    weights = row
    for _ in range(dim - 1):
        weights = weights[..., None] * row
    weights = (weights / weights.sum()).to(dtype).expand(3, 1, *weights.shape)
    pads = ((taps - 1) // 2, -(-(taps - 1) // 2)) * dim
    conv = (nn.functional.conv1d, nn.functional.conv2d, nn.functional.conv3d)[dim - 1]
    padded = nn.functional.pad(values, pads, mode="circular")
    result = BlurPool(s, taps)(Samples(values, Grid((12,) * dim, 0.5, 0.25)))
    assert_close(result.values, conv(padded, weights, stride=steps, groups=3), 20)
    assert result.grid.origin.tolist() == [0.25 + (0.25 if taps % 2 == 0 else 0.0)] * dim
    assert result.grid.spacing == tuple(0.5 * q for q in steps)


@pytest.mark.parametrize("taps", [2, 3, 4, 5])
@every_dim
def test_blur_pool_filters_a_field_where_it_has_a_spacing(dim: int, taps: int) -> None:
    """A wave of frequency k falls by ∏ cos(πk_i h)^{f−1}; without a spacing the Field is left alone."""
    frequency = torch.tensor([[0.3, 0.2, 0.7][:dim]], dtype=torch.float64)
    wave, x = PlaneWaves(frequency, [[1.0 - 2.0j]]), noise(5, dim)
    assert BlurPool(2, taps)(wave) is wave
    fall = torch.cos(math.pi * 0.5 * frequency).prod() ** (taps - 1)
    assert_close(BlurPool(2, taps, spacing=0.5)(wave)(x), fall * wave(x), 100)


@pytest.mark.parametrize("taps", [3, 4])
def test_blur_pool_of_samples_is_that_of_their_field(taps: int) -> None:
    """sample ∘ blur = blur ∘ sample, on the grid that an even number of taps moves."""
    field, grid = random_bandlimited(2, 2, 0.15, (12, 8), seed=0), Grid((12, 8), 1.0)
    layer = BlurPool((3, 2), taps, spacing=1.0)
    discrete = layer(sample(field, grid))
    assert_close(discrete.values, sample(layer(field), discrete.grid).values, 200)


def test_more_taps_alias_less() -> None:
    """Between multiples of the stride the error falls with every tap, but doesn't vanish."""
    field = random_bandlimited(2, 1, 15.01 / 64, 64.0, seed=0)
    t = [[1.0, 1.0], [0.5, 0.5], [0.3, 0.8]]
    with torch.no_grad():
        errors = torch.stack(
            [
                equivariance_error(net(BlurPool(2, taps)), field, t, grid=Grid((64, 64), 1.0))
                for taps in (1, 3, 5, 7)
            ]
        )
    assert bool((errors.diff(dim=0) < 0).all())
    assert float(errors.min()) > 1e-3


# --- all of them --------------------------------------------------------------------------------

KINDS = [
    Stride,
    BlurPool,
    AveragePooling,
    MaxPooling,
    IdealLowpass,
    AdaptivePolyphase,
    EquivariantSubsampling,
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)


@every_kind
def test_stride_1_keeps_everything(kind) -> None:
    f = Samples(noise(2, 6, 4), Grid((6, 4), 1.0))
    options = {"taps": 1} if kind is BlurPool else {}
    result = kind(1, **options)(f)
    assert torch.equal(result.values, f.values)
    assert result.grid.coincides(f.grid)


@every_kind
def test_a_field_is_not_sampled(kind) -> None:
    field = noisy(2, (8, 8))
    assert kind(2)(field) is field
    assert kind((3, 5))(field) is field


@every_kind
def test_strides_of_many_types(kind) -> None:
    """int, tuple, list, tensor, numpy number."""
    f = Samples(noise(1, 6, 6), Grid((6, 6), 1.0))
    import numpy as np

    for s in (2, (2, 2), [2, 2], torch.tensor([2, 2]), np.int64(2), np.array([2, 2])):
        assert torch.equal(kind(s)(f).values, kind(2)(f).values)
    single = (2, 2.0, np.int64(2), np.array(2), torch.tensor(2), torch.tensor(2.0))
    assert [kind(s).s for s in single] == [2] * len(single)


@every_kind
def test_bad_input(kind) -> None:
    f = Samples(noise(1, 12, 10), Grid((12, 10), 1.0))
    field = noisy(2, (8, 8))
    hint = (
        "expected a Field or Samples, got Tensor: a tensor (*batch, c, X1, …, Xd) becomes one by "
        "Samples(tensor, Grid(shape, spacing))"
    )
    for s, message in [(0, "at least 1"), (-2, "at least 1"), (1.5, "must be integers")]:
        with pytest.raises(ValueError, match=message):
            kind(s)
    with pytest.raises(TypeError, match=r"^stride must be .*, got None$"):
        kind(None)
    for g in (f, field):
        with pytest.raises(ValueError, match="stride must be a number or 2 numbers, got 3"):
            kind((1, 2, 3))(g)
        with pytest.raises(TypeError, match="^" + re.escape(hint) + "$"):
            kind(2)(noise(1, 4, 4))
    message = (
        r"stride of \(3, 3\) doesn't divide .* shape \(12, 10\).*sizes that work are 12, 9 or 12"
    )
    with pytest.raises(ValueError, match=message):
        kind(3)(f)


def test_bad_taps() -> None:
    with pytest.raises(ValueError, match="taps must be integers of at least 1"):
        BlurPool(2, 0)
    with pytest.raises(ValueError, match="spacing must be positive"):
        BlurPool(2, 3, spacing=-1.0)(noisy(2, (8, 8)))


def test_strides_are_printed() -> None:
    assert repr(Stride((2, 3))) == "Stride((2, 3))"
    assert repr(BlurPool(2, 5)) == "BlurPool(2, taps=5)"
    assert repr(MaxPooling(2, (3, 2))) == "MaxPooling(2, size=(3, 2))"
    assert repr(LearnablePolyphase(2, 3, hidden=4)).startswith(
        "LearnablePolyphase(2, channels=3, hidden=4"
    )


@pytest.mark.parametrize("kind", [BlurPool, AveragePooling, MaxPooling, IdealLowpass])
def test_a_spacing_is_held_against_the_grids(kind) -> None:
    """A field is filtered by the spacing given, samples by their own: two spacings are two layers."""
    f = Samples(noise(1, 12), Grid(12, 0.5))
    assert torch.equal(kind(2, spacing=0.5)(f).values, kind(2)(f).values)
    with pytest.raises(
        ValueError, match=r"by a spacing of \(1.0,\), and these samples lie \(0.5,\)"
    ):
        kind(2, spacing=1.0)(f)
