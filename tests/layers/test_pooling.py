"""AvgPool and MaxPool against torch's poolings, brute force and closed forms."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from discretize import Grid, Samples
from fields import Ball, Box, Mask, PlaneWaves
from layers import AvgPool, MaxPool
from tests.compare import assert_close, order, relative_error

SHAPE = (8, 6, 5)
SPACING = (0.5, 0.25, 1.5)
TORCH = {
    AvgPool: (nn.functional.avg_pool1d, nn.functional.avg_pool2d, nn.functional.avg_pool3d),
    MaxPool: (nn.functional.max_pool1d, nn.functional.max_pool2d, nn.functional.max_pool3d),
}
TORCH_MODES = {
    "periodic": "circular",
    "zero": "constant",
    "reflect": "reflect",
    "nearest": "replicate",
}

every_dim = pytest.mark.parametrize("dim", [1, 2, 3])
both = pytest.mark.parametrize("layer", [AvgPool, MaxPool])


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("boundary", TORCH_MODES)
@pytest.mark.parametrize("sides", [(3, 3, 3), (2, 2, 2), (4, 1, 3), (1, 5, 2)], ids=str)
@every_dim
@both
def test_a_box_of_k_samples_is_torchs_pooling(
    layer, dim: int, sides: tuple[int, ...], boundary: str, dtype: torch.dtype
) -> None:
    """Box(k·h) on samples of spacing h, k odd or even: an even k moves the grid by h/2."""
    sides, spacing = sides[:dim], SPACING[:dim]
    values = noise(2, 3, *SHAPE[:dim], dtype=dtype)
    window = Box([k * h for k, h in zip(sides, spacing, strict=True)])
    result = layer(window)(Samples(values, Grid(SHAPE[:dim], spacing, 0.25, boundary)))
    pads = [p for k in reversed(sides) for p in ((k - 1) // 2, k // 2)]
    padded = nn.functional.pad(values, pads, mode=TORCH_MODES[boundary])
    assert_close(result.values, TORCH[layer][dim - 1](padded, sides, stride=1), 20)
    middle = [0.25 + h * (k % 2 == 0) / 2 for k, h in zip(sides, spacing, strict=True)]
    assert result.grid.origin.tolist() == middle


@every_dim
@both
def test_without_boundary_it_is_torchs_pooling_without_padding(layer, dim: int) -> None:
    values = noise(2, *SHAPE[:dim])
    result = layer(Box(1.5))(Samples(values, Grid(SHAPE[:dim], 0.5, 0.0, "none")))
    assert_close(result.values, TORCH[layer][dim - 1](values, 3, stride=1), 20)
    assert result.grid.origin.tolist() == [0.5] * dim


@every_dim
@pytest.mark.parametrize("radius", [1.0, 1.2])
def test_a_maximum_over_a_ball_of_samples(dim: int, radius: float) -> None:
    """max over |y| ≤ r by going through all offsets; the rim belongs to the ball."""
    values = noise(2, *SHAPE[:dim])
    result = MaxPool(Ball(radius))(Samples(values, Grid(SHAPE[:dim], 0.5))).values
    rolled = [
        values.roll(offset, tuple(range(1, dim + 1)))
        for offset in itertools.product(range(-2, 3), repeat=dim)
        if 0.5 * math.hypot(*offset) <= radius
    ]
    assert torch.equal(result, torch.stack(rolled).amax(0))


@every_dim
@both
def test_a_mask_on_samples(layer, dim: int) -> None:
    """Aggregate of f[x − y] over the mask's points y, reflected as in a convolution."""
    mask = torch.zeros((3,) * dim)
    mask[(0,) * dim], mask[(2,) * dim] = 1.0, 3.0  # y = ∓1 spacing along the diagonal
    values = noise(2, *SHAPE[:dim])
    result = layer(Mask(mask, 0.5))(Samples(values, Grid(SHAPE[:dim], 0.5))).values
    axes = tuple(range(1, dim + 1))
    ahead, behind = values.roll((-1,) * dim, axes), values.roll((1,) * dim, axes)
    expected = torch.maximum(ahead, behind) if layer is MaxPool else 0.25 * ahead + 0.75 * behind
    assert_close(result, expected, 20)


# --- on fields ----------------------------------------------------------------------------------

WAVE = PlaneWaves([[0.2]], [[1.0]])  # cos(2πx/5)
X = torch.linspace(-2.4, 2.4, 25, dtype=torch.float64)[:, None]
COUNTS = [2, 4, 8, 16, 32]


def test_averages_of_a_wave_are_second_order_in_nodes() -> None:
    """A box of side s multiplies a wave of frequency f by sinc(fs)."""
    z = math.pi * 0.2 * 1.3
    expected = WAVE(X) * math.sin(z) / z
    errors = [relative_error(AvgPool(Box(1.3), nodes=n)(WAVE)(X), expected) for n in COUNTS]
    assert 1.7 <= order(errors, COUNTS) <= 2.3


def test_maxima_of_a_wave_are_second_order_in_nodes() -> None:
    """1 where the crest is in the window, the nearer end otherwise, to q²·max|F″|/4 with nodes q apart.

    An eighth for a crest between two nodes, and as much for the rim, whose value is interpolated.
    """
    distance = X.abs().clamp(max=5 - X.abs())  # to the crests at multiples of 5
    expected = torch.cos(2 * math.pi / 5 * (distance - 0.65).clamp(min=0))
    for nodes in COUNTS:
        spacing = 2.0 ** round(math.log2(0.65 / nodes))
        missed = (MaxPool(Box(1.3), nodes=nodes)(WAVE)(X) - expected).abs()
        assert float(missed.max()) <= (spacing * 2 * math.pi / 5) ** 2 / 4


@every_dim
def test_maxima_of_samples_are_first_order_from_below(dim: int) -> None:
    """Of a slope a·x over a ball, true maximum a·x + |a|r: less by at most |a|·h√d, and never more."""
    slope = torch.tensor([0.3, -0.7, 0.5][:dim], dtype=torch.float64)
    for spacing in (0.5, 0.25, 0.125):
        n = round(3 / spacing) + 1
        grid = Grid((n,) * dim, spacing, boundary="none")
        f = Samples((grid.points() @ slope)[None], grid)
        pooled = MaxPool(Ball(1.1))(f)
        short = pooled.grid.points() @ slope + slope.norm() * 1.1 - pooled.values[0]
        assert float(short.min()) >= -1e-14
        assert float(short.max()) <= float(slope.norm()) * spacing * math.sqrt(dim)


@every_dim
def test_maxima_commute_with_increasing_functions(dim: int) -> None:
    """max σ(F) = σ(max F) bit for bit."""
    f = Samples(noise(2, *SHAPE[:dim]), Grid(SHAPE[:dim], 0.5))
    layer = MaxPool(Ball(0.8))
    assert torch.equal(layer(f.map(torch.exp)).values, layer(f).map(torch.exp).values)


@pytest.mark.parametrize(
    ("layer", "inner"), [(MaxPool, MaxPool), (AvgPool, AvgPool), (AvgPool, MaxPool)]
)
def test_order_of_averages_and_maxima(layer, inner) -> None:
    """Poolings of one kind commute; the mean of maxima is no smaller than the maximum of means."""
    f = Samples(noise(1, 12, 12), Grid((12, 12), 1.0))
    one, two = layer(Box(3.0)), inner(Box((5.0, 1.0)))
    first, last = two(one(f)).values, one(two(f)).values
    if layer is inner:
        assert_close(first, last, 20)
    else:
        assert float((last - first).min()) >= 0
        assert float((last - first).max()) > 0.1


def test_gradient_of_a_maximum_goes_to_the_largest_sample() -> None:
    values = torch.tensor([[0.0, 3.0, 1.0, 2.0, 0.5]]).double().requires_grad_()
    MaxPool(Box(3.0))(Samples(values, Grid(5, 1.0))).values.sum().backward()
    assert values.grad.tolist() == [[0.0, 3.0, 0.0, 2.0, 0.0]]


MAP = Samples(noise(1, 4, 4), Grid((4, 4), 1.0))
BAD = {
    "a number": (lambda layer: layer(3), TypeError, r"k on spacing h is Box\(k\*h\)"),
    "nodes": (lambda layer: layer(Box(1.0), nodes=0), ValueError, "nodes must be integers"),
    "sides": (lambda layer: layer(Box(-1.0)), ValueError, "sides must be positive"),
    "axes": (lambda layer: layer(Box([1.0] * 3))(MAP), ValueError, "sides must be a number or 2"),
    "mask": (lambda layer: layer(Mask([1, 1], 1.0))(MAP), ValueError, "mask has 1 axes"),
    "input": (lambda layer: layer(Box(1.0))(MAP.values), TypeError, "Samples, got Tensor"),
}


@both
@pytest.mark.parametrize(("build", "kind", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input(build, kind: type[Exception], message: str, layer) -> None:
    with pytest.raises(kind, match=message):
        build(layer)
