"""Conv from torch's modules and back: the same numbers, gradients, groups, dilations, and bias."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from discretize import Grid, Samples, Stride, Upsampling
from fields import Atoms, BumpKernel, Field, GaussianKernel, PeriodicKernel, PlaneWaves
from layers import Bias, Conv
from tests.compare import assert_close

DIMS = (1, 2, 3)
SHAPE, SPACING = (12, 9, 8), (0.5, 0.25, 1.5)
MODULES = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
BOUNDARY = {
    "circular": "periodic",
    "zeros": "zero",
    "reflect": "reflect",
    "replicate": "nearest",
}

every_dim = pytest.mark.parametrize("dim", DIMS)
both_dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def module(
    dim: int,
    side: int | tuple[int, ...] = 3,
    channels: tuple[int, int] = (4, 6),
    dtype: torch.dtype = torch.float64,
    **options,
) -> nn.Module:
    """A torch convolution with random weights, circular and of the size of its input."""
    options = {"padding": "same", "padding_mode": "circular", **options}
    made = MODULES[dim - 1](*channels, side, **options).to(dtype)
    with torch.no_grad():
        for i, p in enumerate(made.parameters()):
            p.copy_(noise(*p.shape, seed=i, dtype=dtype))
    return made


def samples(dim: int, dtype: torch.dtype = torch.float64, boundary: str = "periodic") -> Samples:
    return Samples(
        noise(2, 4, *SHAPE[:dim], seed=9, dtype=dtype),
        Grid(SHAPE[:dim], SPACING[:dim], 0.25, boundary),
    )


@both_dtypes
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("side", [1, 2, 3, 4])
@every_dim
def test_it_acts_as_the_module(
    dim: int, side: int, dilation: int, groups: int, bias: bool, dtype: torch.dtype
) -> None:
    """Conv.from_torch(m, h) on samples of spacing h = m on their values; even sides move the grid by half a tap."""
    m = module(dim, side, dtype=dtype, dilation=dilation, groups=groups, bias=bias)
    f = samples(dim, dtype)
    found = Conv.from_torch(m, SPACING[:dim])(f)
    assert_close(found.values, m(f.values), 200)
    span = dilation * (side - 1)
    moved = [0.25 + h * (span % 2) / 2 for h in SPACING[:dim]]
    assert found.grid.origin.tolist() == moved


@pytest.mark.parametrize("mode", BOUNDARY)
@pytest.mark.parametrize("side", [(3, 3, 3), (5, 1, 3)], ids=str)
@every_dim
def test_paddings_are_boundaries(dim: int, side: tuple[int, ...], mode: str) -> None:
    """padding_mode is the grid's boundary; no padding at all the boundary "none"; padding=(S − 1)/2 is "same"."""
    side = side[:dim]
    m = module(dim, side, padding_mode=mode, padding=tuple((s - 1) // 2 for s in side))
    f = samples(dim, boundary=BOUNDARY[mode])
    assert_close(Conv.from_torch(m, SPACING[:dim])(f).values, m(f.values), 200)
    bare = module(dim, side, padding=0)
    g = samples(dim, boundary="none")
    assert_close(Conv.from_torch(bare, SPACING[:dim])(g).values, bare(g.values), 200)


def test_the_advice_on_strides_per_axis() -> None:
    strided = module(2, 3, stride=(1, 3), padding=1)
    with pytest.raises(ValueError, match=r"module.stride = \(1, 1\).*Stride\(\(1, 3\)\)"):
        Conv.from_torch(strided, 1.0)
    plain = copy.deepcopy(strided)
    plain.stride = (1, 1)
    f = samples(2)
    found = nn.Sequential(Conv.from_torch(plain, SPACING[:2]), Stride((1, 3)))(f)
    assert_close(found.values, strided(f.values), 200)


@every_dim
def test_the_advice_on_transposed_convolutions(dim: int) -> None:
    """What the error names is torch's module: zeros between the samples, then a true convolution."""
    make = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[dim - 1]
    theirs = make(4, 3, 3, stride=2, padding=1, output_padding=1).double()
    with pytest.raises(TypeError, match=r"Upsampling\(2\), Conv.from_array\(array, spacing\)"):
        Conv.from_torch(theirs, 1.0)
    f = samples(dim, boundary="zero")
    array, fine = theirs.weight.movedim((0, 1), (-1, -2)), [h / 2 for h in f.grid.spacing]
    ours = nn.Sequential(Upsampling(2), Conv.from_array(array, fine, bias=theirs.bias))
    assert_close(ours(f).values, theirs(f.values), 200)


@pytest.mark.parametrize("stride", [2, 3])
@every_dim
def test_a_stride_is_a_layer_behind(dim: int, stride: int) -> None:
    """The error says how: conv of stride 1, then Stride(s); together they are the strided module."""
    strided = module(dim, 3, stride=stride, padding=1)
    with pytest.raises(ValueError, match=rf"module.stride = \(1.*Stride\({stride}\)"):
        Conv.from_torch(strided, 1.0)
    plain = copy.deepcopy(strided)
    plain.stride = (1,) * dim
    f = Samples(noise(2, 4, *(6,) * dim), Grid((6,) * dim, 0.5))
    found = nn.Sequential(Conv.from_torch(plain, 0.5), Stride(stride))(f)
    assert_close(found.values, strided(f.values), 200)


@every_dim
def test_on_a_field_it_is_the_correlation_of_values(dim: int) -> None:
    """Σ_j w[o, i, j] F_i(x + (j − (S − 1)/2)·h) + b, at any point."""
    m = module(dim, 3, bias=True)
    f = [[0.3, -0.2, 0.1][:dim], [0.1, 0.25, -0.3][:dim]]
    field = PlaneWaves(f, torch.complex(noise(2, 4), noise(2, 4, seed=1)))
    x = noise(5, dim, seed=2)
    expected = m.bias.expand(5, 6).clone()
    for j in torch.cartesian_prod(*[torch.arange(3)] * dim).reshape(-1, dim):
        place = (j - 1) * torch.tensor(SPACING[:dim], dtype=torch.float64)
        weights = m.weight[(slice(None), slice(None), *j.tolist())]
        expected = expected + field(x + place) @ weights.mT
    for nodes in (True, False):
        layer = Conv.from_torch(m, SPACING[:dim])
        layer.exact = nodes
        assert_close(layer(field)(x), expected, 500)


@both_dtypes
@pytest.mark.parametrize("groups", [1, 2, 4])
@every_dim
def test_gradients_are_torchs(dim: int, groups: int, dtype: torch.dtype) -> None:
    """∂⟨g, y⟩ in weights, bias and input, for dilated groups too."""
    m = module(dim, 3, (4, 4), dtype=dtype, groups=groups, dilation=2)
    layer, f = Conv.from_torch(m, SPACING[:dim]), samples(dim, dtype)
    f.values.requires_grad_()
    theirs = f.values.detach().clone().requires_grad_()
    g = noise(2, 4, *SHAPE[:dim], seed=5, dtype=dtype)
    (layer(f).values * g).sum().backward()
    (m(theirs) * g).sum().backward()
    axes = tuple(range(dim))
    weights = m.weight.grad.movedim((0, 1), (-2, -1)).flip(axes)
    assert_close(layer.weights.grad, weights.reshape(layer.weights.shape), 500)
    assert_close(layer.bias.grad, m.bias.grad, 500)
    assert_close(f.values.grad, theirs.grad, 500)


def test_weights_are_copies() -> None:
    m = module(2)
    layer = Conv.from_torch(m, 1.0)
    before = layer.weights.detach().clone(), layer.bias.detach().clone()
    with torch.no_grad():
        m.weight.zero_()
        m.bias.zero_()
    assert torch.equal(layer.weights, before[0])
    assert torch.equal(layer.bias, before[1])
    assert sorted(layer.state_dict()) == ["bias", "weights"]
    assert layer.weights.requires_grad
    assert layer.bias.requires_grad


# --- and back -----------------------------------------------------------------------------------


@both_dtypes
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("side", [1, 2, 3, 4])
@every_dim
def test_there_and_back_again(
    dim: int, side: int, dilation: int, groups: int, dtype: torch.dtype
) -> None:
    """to_torch ∘ from_torch is the identity, bit for bit."""
    m = module(dim, side, dtype=dtype, dilation=dilation, groups=groups)
    back = Conv.from_torch(m, SPACING[:dim]).to_torch()
    assert type(back) is type(m)
    assert (back.groups, back.padding, back.padding_mode) == (groups, "same", "circular")
    assert back.dilation == ((dilation if side > 1 else 1,) * dim)
    assert torch.equal(back.weight, m.weight)
    assert torch.equal(back.bias, m.bias)
    assert back.weight.dtype == dtype
    x = samples(dim, dtype).values
    assert_close(back(x), m(x), 100)


@pytest.mark.parametrize(
    ("kernel", "channels"),
    [
        (Atoms([[0.5, 0.25], [1.5, -0.5]], noise(2, 3, 2)), 2),
        (Atoms([[0.25, 0.125], [-0.75, 0.125]], noise(2, 3, 2)), 2),
        (Atoms([[0.5, 0.0]], noise(1, 4, 1), groups=4), 4),
        (BumpKernel((1.3, 0.6), noise(3, 2)), 2),
        (GaussianKernel(0.2, noise(3, 2)), 2),
        (PeriodicKernel(noise(3, 5, 3, 2), (4.0, 2.0)), 2),
        (PeriodicKernel(noise(9, 13, 3, 2), (4.0, 2.0)), 2),
    ],
    ids=["one-sided", "half spacings", "depthwise", "bump", "Gaussian", "periodic", "at Nyquist"],
)
def test_any_kernel_is_a_module_on_a_grid(kernel, channels: int) -> None:
    """to_torch(h) on values = the layer on samples of spacing h, for atoms off the centre and densities, too."""
    layer = Conv(kernel, bias=noise(kernel.out_channels, seed=3))
    f = Samples(noise(2, channels, 8, 8), Grid((8, 8), (0.5, 0.25)))
    found = layer.to_torch((0.5, 0.25))(f.values)
    assert_close(found, layer(f).values, 500)


def test_a_coarser_spacing_is_a_dilation() -> None:
    layer = Conv.from_array(noise(3, 3, 2, 2), 1.0)
    assert layer.to_torch().dilation == (1, 1)
    assert layer.to_torch((0.5, 0.25)).dilation == (2, 4)
    assert layer.to_torch(padding_mode="zeros").padding_mode == "zeros"


# --- groups -------------------------------------------------------------------------------------


def block_diagonal(weights: Tensor, groups: int) -> Tensor:
    """(k, out, in) with zeros between the groups, block by block."""
    k, outs, own = weights.shape
    full = torch.zeros(k, outs, own * groups, dtype=weights.dtype)
    each = outs // groups
    for g in range(groups):
        full[:, g * each : (g + 1) * each, g * own : (g + 1) * own] = weights[
            :, g * each : (g + 1) * each
        ]
    return full


@pytest.mark.parametrize(
    ("outs", "own", "groups"), [(4, 1, 4), (8, 1, 4), (4, 2, 2), (2, 3, 2)], ids=str
)
@every_dim
def test_groups_are_blocks_of_one_matrix(dim: int, outs: int, own: int, groups: int) -> None:
    """On fields by atoms and in closed form, on samples directly and by FFT, dilated or not."""
    small, large = 3, {1: 401, 2: 25, 3: 9}[dim]
    for side, spacing in ((small, 0.25), (small, 0.5), (large, 0.25)):
        array = noise(*(side,) * dim, outs, own) / side**dim
        grouped = Atoms.from_array(array, spacing, groups)
        full = Atoms(grouped.offsets, block_diagonal(grouped.weights, groups))
        assert grouped.in_channels == own * groups
        n = {1: 900, 2: 40, 3: 14}[dim]
        f = Samples(noise(2, own * groups, *(n,) * dim), Grid((n,) * dim, 0.25))
        assert_close(f.convolve(grouped).values, f.convolve(full).values, 1000)
        if side == small:
            waves = PlaneWaves(noise(2, dim) / 4, torch.complex(*noise(2, 2, own * groups)))
            for exact in (True, False):
                found = waves.convolve(grouped, exact=exact)
                expected = waves.convolve(full, exact=exact)
                assert_close(found(noise(3, dim)), expected(noise(3, dim)), 1000)


def test_groups_spend_no_work_on_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """A depthwise layer of 64 channels reaches torch with 64·9 weights in 64 groups."""
    f = Samples(noise(1, 64, 16, 16, dtype=torch.float32), Grid((16, 16), 1.0))
    layer = Conv.from_array(noise(3, 3, 64, 1, dtype=torch.float32), 1.0, groups=64)
    seen, plain = [], torch.conv2d

    def spy(values: Tensor, weights: Tensor, **options) -> Tensor:
        seen.append((weights.numel(), options["groups"]))
        return plain(values, weights, **options)

    monkeypatch.setattr(torch, "conv2d", spy)
    layer(f)
    assert seen == [(64 * 9, 64)]


class Seen(TorchDispatchMode):
    """The names of the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(str(func).split(".")[1])
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("groups", [1, 2])
def test_large_kernels_go_by_fft(groups: int) -> None:
    """A 41×41 kernel in double precision, dense or depthwise, is an FFT and no direct convolution."""
    f = Samples(noise(2, 64, 64), Grid((64, 64), 1.0))
    layer = Conv.from_array(noise(41, 41, 2, 2 // groups), 1.0, groups)
    with Seen() as seen, torch.no_grad():
        layer(f)
    assert "_fft_r2c" in seen.names
    assert "convolution" not in seen.names


# --- bias ---------------------------------------------------------------------------------------


@every_dim
def test_a_bias_is_that_of_a_layer_behind(dim: int) -> None:
    array, b = noise(*(3,) * dim, 3, 4), noise(3)
    both = Conv.from_array(array, SPACING[:dim], bias=b)
    chain = nn.Sequential(Conv.from_array(array, SPACING[:dim]), Bias(b))
    f = samples(dim)
    assert torch.equal(both(f).values, chain(f).values)
    field: Field = PlaneWaves(noise(2, dim), torch.complex(*noise(2, 2, 4)))
    assert torch.equal(both(field)(noise(3, dim)), chain(field)(noise(3, dim)))
    shared = nn.Parameter(noise(3))
    assert Conv(Atoms([[0.0] * dim], noise(1, 3, 4)), bias=shared).bias is shared
    assert both.bias is not b


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (lambda: Conv.from_torch(nn.Linear(2, 2), 1.0), TypeError, "expected nn.Conv1d.*Linear"),
        (lambda: Conv.from_torch(nn.ConvTranspose2d(2, 2, 3), 1.0), TypeError, "ConvTranspose2d"),
        (lambda: Conv.from_torch(noise(3, 3), 1.0), TypeError, "got Tensor"),
        (lambda: Conv.from_torch(nn.LazyConv2d(2, 3), 1.0), ValueError, "no weights yet"),
        (lambda: Conv.from_torch(module(2, 3, padding=2), 1.0), ValueError, r"padding \(2, 2\)"),
        (lambda: Conv.from_torch(module(2, 4, padding=1), 1.0), ValueError, "another size"),
        (lambda: Conv.from_torch(module(2), 0.0), ValueError, "spacing must be positive"),
        (lambda: Conv.from_torch(module(2), (1.0,)), ValueError, "a number or 2 numbers, got 1"),
        (
            lambda: Conv.from_array(noise(3, 4, 2), 1.0, groups=3),
            ValueError,
            "3 groups don't divide 4 output channels",
        ),
        (lambda: Atoms([[0.0]], noise(1, 2, 1), 0), ValueError, "groups must be integers"),
        (
            lambda: Conv.from_array(noise(3, 4, 2), 1.0, bias=noise(3)),
            ValueError,
            r"bias of this kernel has shape \(4,\), got \(3,\)",
        ),
        (
            lambda: Conv.from_array(noise(3, 1, 1), 1.0, bias=[math.nan]),
            ValueError,
            "bias must be finite",
        ),
        (
            lambda: Conv(Atoms([[0.0]], noise(1, 1, 1))).to_torch(),
            ValueError,
            "spacing isn't known",
        ),
        (lambda: Conv(BumpKernel(1.0, [[1.0]])).to_torch(0.5), ValueError, "one spacing per axis"),
        (
            lambda: Conv(Atoms([[0.3]], noise(1, 1, 1))).to_torch(1.0),
            ValueError,
            "whole or half spacings",
        ),
        (
            lambda: Conv(Atoms([[0.3], [0.5]], noise(2, 1, 1))).to_torch(1.0),
            ValueError,
            "no common lattice",
        ),
        (
            lambda: Conv.from_array(noise(3, 4, 1), 1.0, groups=4)(
                Samples(noise(3, 8), Grid(8, 1.0))
            ),
            ValueError,
            "takes 4 channels, the feature map has 3",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()
