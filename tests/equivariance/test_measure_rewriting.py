"""Rewritten paddings and strides against torch's own circular padding, and against discretize's BlurPool."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from discretize import BlurPool, Grid, Samples
from equivariance.measuring.rewriting import Rewriting, blurred
from equivariance.measuring.translations import derivative, moved

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def noise(*shape):
    return torch.randn(
        *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape))
    )


def circular(x, *pads):
    return functional.pad(x, pads, mode="circular")


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
def test_convolutions_become_those_with_circular_padding(dim, stride, dilation):
    options = {"stride": stride, "dilation": dilation, "padding": dilation, "dtype": torch.float64}
    zero = CONVS[dim](2, 3, 3, **options)
    ring = CONVS[dim](2, 3, 3, padding_mode="circular", **options)
    ring.load_state_dict(zero.state_dict())
    x = noise(2, 2, *(8, 6, 4)[:dim])
    with torch.no_grad(), Rewriting(dim, "circular"):
        assert torch.equal(zero(x), ring(x))
    assert not torch.equal(zero(x), ring(x))


@pytest.mark.parametrize("size", [2, 3, 4])
def test_padding_same(size):
    conv = nn.Conv2d(1, 1, size, padding="same", bias=False, dtype=torch.float64)
    x = noise(1, 1, 8, 8)
    low, high = (size - 1) // 2, size // 2
    with torch.no_grad():
        expected = functional.conv2d(circular(x, low, high, low, high), conv.weight)
        with Rewriting(2, "circular"):
            assert torch.equal(conv(x), expected)


def test_poolings_and_functional_paddings():
    x = noise(2, 3, 8, 8)
    with Rewriting(2, "circular"):
        assert torch.equal(
            functional.max_pool2d(x, 3, 2, 1), nn.MaxPool2d(3, 2)(circular(x, 1, 1, 1, 1))
        )
        assert torch.equal(nn.AvgPool2d(3, 2, 1)(x), nn.AvgPool2d(3, 2)(circular(x, 1, 1, 1, 1)))
        assert torch.equal(functional.pad(x, (1, 2, 0, 3)), circular(x, 1, 2, 0, 3))
        assert torch.equal(functional.pad(x, (1, 2), mode="reflect"), circular(x, 1, 2, 0, 0))
        channels = functional.pad(x, (0, 0, 0, 0, 1, 1))
        assert torch.equal(channels[:, 1:-1], x)
        assert channels[:, 0].abs().max() == 0
        assert functional.pad(x, (-1, -1)).shape[-1] == 6
        values, indices = functional.max_pool2d(x, 2, return_indices=True)
        assert indices.shape == values.shape == (2, 3, 4, 4)


def test_a_pad_wider_than_the_map_goes_around_more_than_once():
    conv = nn.Conv1d(1, 1, 7, padding=3, bias=False, dtype=torch.float64)
    conv.weight.data.fill_(1)
    x = torch.tensor([[[1.0, 2.0]]], dtype=torch.float64)
    with torch.no_grad(), Rewriting(1, "circular"):
        assert conv(x).tolist() == [
            [[1 + 2 + 1 + 2 + 2 + 2 + 1.0 - 0, 1 + 2 + 1 + 2 + 1 + 2 + 1.0]]
        ]


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(4, 2, 1), (3, 1, 1), (3, 2, 1), (2, 2, 0)]
)
def test_transposed_convolutions_become_the_adjoint_of_circular_ones(kernel, stride, padding):
    up = nn.ConvTranspose2d(2, 3, kernel, stride, padding, bias=False, dtype=torch.float64)
    x, y = noise(1, 2, 4, 6), noise(1, 3, 4 * stride, 6 * stride)
    with torch.no_grad(), Rewriting(2, "circular"):
        raised = up(x)
    pads = (padding, kernel - stride - padding + (kernel - stride) % 2) * 2
    pads = tuple(max(0, p) for p in pads)
    with torch.no_grad():
        lowered = functional.conv2d(circular(y, *pads), up.weight, stride=stride)
        lowered = lowered[..., :4, :6]
        assert raised.shape == y.shape
        torch.testing.assert_close((raised * y).sum(), (x * lowered).sum())
        biased = nn.ConvTranspose2d(2, 3, kernel, stride, padding, dtype=torch.float64)
        biased.weight = up.weight
        with Rewriting(2, "circular"):
            torch.testing.assert_close(biased(x), raised + biased.bias[:, None, None])


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_what_depends_on_padding_is_no_number(layers):
    net = nn.Sequential(*(nn.Conv2d(1, 1, 5, padding=2) for _ in range(layers)))
    with torch.no_grad(), Rewriting(2, "nan"):
        bad = net(torch.zeros(1, 1, 16, 16)).isnan()[0, 0]
    rim = 2 * layers
    assert not bad[rim:-rim, rim:-rim].any()
    assert bad.sum() == 16**2 - (16 - 2 * rim) ** 2


@pytest.mark.parametrize("taps", [1, 3, 5])
@pytest.mark.parametrize("s", [(2, 2), (4, 4), (2, 1), (1, 4), (1, 1)])
def test_blurred_strides_are_blur_pools(taps, s):
    x = noise(2, 3, 8, 16)
    expected = x
    for axis, step in enumerate(s):  # a filter of one axis, where that one is strided
        if step > 1:
            rows = expected.movedim(2 + axis, -1)
            line = rows.reshape(-1, 1, rows.shape[-1])
            pooled = BlurPool(step, taps)(Samples(line, Grid(line.shape[-1], 1.0))).values
            expected = pooled.reshape(*rows.shape[:-1], -1).movedim(-1, 2 + axis)
    torch.testing.assert_close(blurred(x, s, taps, "circular"), expected)


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(2, 3, 3, 2, 1), nn.Conv2d(2, 3, 4, 4), nn.Conv2d(2, 3, 1, 2), nn.MaxPool2d(3, 2, 1)],
    ids=lambda layer: f"{type(layer).__name__}",
)
def test_blurred_layers_keep_their_shapes_and_commute_with_their_strides(layer):
    layer, x = layer.double(), noise(1, 2, 16, 16)
    s = 4 if layer.stride == (4, 4) else 2
    with torch.no_grad():
        plain = layer(x)
        for fill in (None, "circular"):
            with Rewriting(2, fill, blur=4):
                assert layer(x).shape == plain.shape
        with Rewriting(2, "circular", blur=4):
            left, right = layer(x.roll(s, -1)), layer(x).roll(1, -1)
            torch.testing.assert_close(left, right)
            odd = (layer(x.roll(1, -1)) - layer(x)).norm() / layer(x).norm()
        assert odd < 1.0


def test_a_constant_stays_constant_under_blurring():
    pool = nn.MaxPool2d(2)
    with Rewriting(2, None, blur=4):
        assert (pool(torch.ones(1, 1, 8, 8, dtype=torch.float64)) - 1).abs().max() < 1e-15


# --- moving --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(7,), (8, 5), (4, 3, 6), (120, 6)])
def test_moved_is_the_translated_trigonometric_interpolant(sizes):
    x, dim = noise(2, 3, *sizes), len(sizes)
    t = torch.tensor([[0.3, -2.5, 1.25][:dim], [1.0, 2.0, -3.0][:dim], [0.5, 0.0, 0.0][:dim]])
    out = moved(x, t.double())
    grid = Grid(sizes, 1.0)
    for k in range(3):
        expected = Samples(x, grid).translate(t[k].double()).resample(grid).values
        torch.testing.assert_close(out[k], expected, rtol=0, atol=1e-13)
    assert torch.equal(out[1], x.roll([int(s) for s in t[1]], tuple(range(-dim, 0))))


@pytest.mark.parametrize("n", [12, 13])
def test_derivatives_of_waves(n):
    i = torch.arange(n, dtype=torch.float64)
    wave = torch.cos(2 * torch.pi * 3 * i / n + 0.4)[None, None]
    slope = -2 * torch.pi * 3 / n * torch.sin(2 * torch.pi * 3 * i / n + 0.4)
    torch.testing.assert_close(derivative(wave, -1, 1)[0, 0], slope)
    if n == 12:
        assert derivative((-1.0) ** i[None, None], -1, 1).abs().max() < 1e-13
