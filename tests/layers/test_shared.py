"""Shared parts of layers whose average is easily taken wrongly: operators on a box, and ones in single precision."""

import math

import pytest
import torch
from torch import Tensor, nn

from discretize import AliasFreeActivation, AliasingWarning, EquivariantSubsampling, Grid, Samples
from fields import Box, Constant, Gaussians, PlaneWaves
from layers import (
    Bias,
    BiasField,
    Conv,
    IntegralOperator,
    Pointwise,
    PointwiseField,
    PoolField,
    shared,
)
from layers.sharing import TranslationAverage
from tests.compare import assert_close


@pytest.mark.parametrize("dim", [1, 2, 3])
@torch.no_grad()
def test_the_shared_part_of_a_mean_over_a_box(dim: int) -> None:
    """∫_box F averaged over all places of the box: |box|/|torus| of the integral over the torus."""
    wave = 1.0 + PlaneWaves([[0.25] * dim], [[1.0]], period=(4.0,) * dim)
    operator = IntegralOperator(
        lambda x, y: (1 + 0 * x + 0 * y)[..., :1, None], domain=([1.0] * dim, [2.0] * dim), nodes=4
    )
    part = shared(operator, period=[4.0] * dim, nodes=4)
    assert isinstance(part, TranslationAverage)
    assert_close(part(wave)([[0.3] * dim]), wave.integrate()[None] / 4**dim, 100)


class Wave(nn.Module):
    """κ(x, y) = a·cos(2π(x − y)/4), a and all that is computed in single precision."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        assert x.dtype == y.dtype == torch.float32
        return self.a * torch.cos(2 * math.pi * (x - y) / 4)[..., None]


@pytest.mark.parametrize("nodes", [5, None])
@torch.no_grad()
def test_kappa_sees_points_in_the_precision_of_its_parameters(nodes: int | None) -> None:
    part = shared(IntegralOperator(Wave(), period=4.0), nodes=nodes)
    assert isinstance(part, Conv)
    wave, x = PlaneWaves([[0.25]], [[1.0]]), torch.tensor([[0.3], [1.7]]).double()
    assert_close(part(wave)(x), wave(x), 1e10)  # ∫ a·cos²: 4a/2 = 1, to single precision


def ones(x: Tensor, y: Tensor) -> Tensor:
    return torch.ones_like(x - y)[..., :1, None]


PLAIN = 1.0 + 0.0 * PlaneWaves([[0.25]], [[1.0]])
LINE = IntegralOperator(ones, period=4.0)


@pytest.mark.parametrize("period", [None, 4.0, 8.0, 12.0], ids=str)
@torch.no_grad()
def test_a_multiple_of_the_layers_own_period_changes_nothing(period: float | None) -> None:
    """The mean over a multiple of a period is that over the period: ∫₀⁴ 1 = 4, mean of x on 65 nodes 4·32/65, …"""
    x = torch.tensor([[0.3], [1.7]]).double()
    assert_close(shared(LINE, period)(PLAIN)(x), torch.full((2, 1), 4.0, dtype=torch.float64), 100)
    place = PointwiseField(lambda x, v: x * v, period=4.0)
    assert_close(
        shared(place, period)(PLAIN)(x), torch.full((2, 1), 4 * 32 / 65, dtype=torch.float64), 100
    )
    pool = PoolField(lambda x: Box(1.0 if x[0] < 2 else 3.0), period=4.0)
    impulse = Samples(torch.eye(8)[:1].double(), Grid(8, 1.0))
    taps = shared(pool, period, nodes=4)(impulse).values[0]
    expected = torch.tensor([2 / 3, 1 / 6, 0, 0, 0, 0, 0, 1 / 6], dtype=torch.float64)
    assert_close(taps, expected, 100)
    bias = BiasField(2.0 + PlaneWaves([[0.25]], [[1.0]]))
    assert_close(shared(bias, period).bias.detach(), torch.tensor([2.0]).double(), 100)


@pytest.mark.parametrize(
    "layer",
    [
        LINE,
        PointwiseField(lambda x, v: x * v, period=4.0),
        PoolField(lambda x: Box(1.0), period=4.0),
        BiasField(2.0 + PlaneWaves([[0.25]], [[1.0]])),
        nn.Sequential(LINE),
    ],
    ids=["IntegralOperator", "PointwiseField", "PoolField", "BiasField", "Sequential"],
)
@pytest.mark.parametrize("period", [6.0, 2.0])
def test_a_period_that_contradicts_the_layers_own_raises(layer: nn.Module, period: float) -> None:
    with pytest.raises(ValueError, match="isn't a multiple of the"):
        shared(layer, period)


def test_parts_of_several_periods_are_averaged_over_a_common_one() -> None:
    chain = nn.Sequential(*(PointwiseField(lambda x, v: x * v, period=p) for p in (4.0, 6.0)))
    assert shared(chain, nodes=3).period == (12.0,)
    worse = nn.Sequential(*(PointwiseField(lambda x, v: x * v, period=p) for p in (1.0, math.pi)))
    with pytest.raises(ValueError, match="without a common multiple"):
        shared(worse)


def test_bias_fields_in_a_chain_have_their_period_too() -> None:
    """A chain of parts of periods 6 and 4 repeats by 12; what is constant along an axis repeats by anything."""
    bias = BiasField(PlaneWaves([[1 / 6]], [[1.0]]))
    place = PointwiseField(lambda x, v: x * v, period=4.0)
    assert shared(nn.Sequential(bias, place), nodes=3).period == (12.0,)
    still = BiasField(Constant([1.0], 1))  # of any period
    assert shared(nn.Sequential(still, place), nodes=3).period == (4.0,)
    assert shared(nn.Sequential(still), 2.5, nodes=3).period == (2.5,)
    assert shared(nn.Sequential(still), nodes=3).period == (1.0,)
    with pytest.raises(ValueError, match="isn't a multiple of the"):
        shared(nn.Sequential(bias, place), 4.0)
    with pytest.raises(ValueError, match=r"needs one that is periodic: field\.periodize"):
        shared(nn.Sequential(BiasField(Gaussians([[0.0]], [[1.0]], [1.0])), place))
    flat = nn.Sequential(
        BiasField(PlaneWaves([[1 / 6, 0.0]], [[1.0]])), PointwiseField(lambda x, v: v, (2.0,) * 3)
    )
    with pytest.raises(ValueError, match="in different dimensions"):
        shared(flat)


@pytest.mark.parametrize(
    "layer",
    [
        PointwiseField(lambda x, v: x * v, period=4.0),
        PoolField(lambda x: Box(1.0), period=4.0),
    ],
    ids=["PointwiseField", "PoolField"],
)
def test_a_periodic_grid_of_another_extent_raises(layer: nn.Module) -> None:
    """What repeats by 4 has no values on a torus of 6; one of 8, or a grid of another boundary, has."""
    with pytest.raises(ValueError, match="no multiple"):
        layer(Samples(torch.ones(1, 6), Grid(6, 1.0)))
    layer(Samples(torch.ones(1, 8), Grid(8, 1.0)))
    layer(Samples(torch.ones(1, 6), Grid(6, 1.0, boundary="zero")))


@pytest.mark.parametrize(("dim", "width"), [(1, 0.04), (1, 0.01), (2, 0.2), (3, 0.32)])
@torch.no_grad()
def test_a_kernel_of_differences_is_its_own_shared_part(dim: int, width: float) -> None:
    """A narrow Gaussian on a torus of 4, summed over its images, times a wave: its transform, to 1e-9."""

    def kappa(x: Tensor, y: Tensor) -> Tensor:
        z = torch.remainder(x - y + 2, 4) - 2
        images = torch.exp(-((z[..., None] + 4 * torch.arange(-1, 2)) ** 2) / (2 * width**2))
        return images.sum(-1).prod(-1)[..., None, None]

    part = shared(IntegralOperator(kappa, period=[4.0] * dim))
    frequency = [0.5] * dim
    wave = PlaneWaves([frequency], [[1.0]], period=(4.0,) * dim)
    x = torch.tensor([[0.3, 1.1, -0.7][:dim]], dtype=torch.float64)
    scale = (width * math.sqrt(2 * math.pi)) ** dim
    transform = scale * math.exp(-2 * (math.pi * width) ** 2 * sum(f**2 for f in frequency))
    found = part(wave)(x)
    assert float((found - transform * wave(x)).abs().max()) <= 1e-9 * scale


@torch.no_grad()
def test_the_mean_over_places_settles() -> None:
    """κ = (1 + cos 2π·33x/4) cos 2π(x − y)/4: the factor's mean is 1, though it is 2 on 33 nodes."""

    def kappa(x: Tensor, y: Tensor) -> Tensor:
        turns = 2 * math.pi / 4
        return ((1 + torch.cos(33 * turns * x)) * torch.cos(turns * (x - y)))[..., None]

    wave, x = PlaneWaves([[0.25]], [[1.0]], period=4.0), torch.tensor([[0.3], [1.7]]).double()
    part = shared(IntegralOperator(kappa, period=4.0))
    assert_close(part(wave)(x), 2 * wave(x), 1e4)


def test_what_is_not_resolved_is_said() -> None:
    """A kernel with jumps has no finite band."""
    box = IntegralOperator(
        lambda x, y: (torch.remainder(x - y, 4) < 1.1).double()[..., None], period=4.0
    )
    with pytest.warns(AliasingWarning, match="off by .* of the mean") as told:
        shared(box)
    assert told[0].filename == __file__
    shared(box, nodes=5)


@torch.no_grad()
def test_an_operator_without_a_shared_part() -> None:
    """The mean of cos 2π(x + y)/4 over x at a fixed x − y is 0; that is no failure to settle."""
    turns = 2 * math.pi / 4
    operator = IntegralOperator(lambda x, y: torch.cos(turns * (x + y))[..., None], period=4.0)
    wave = PlaneWaves([[0.25]], [[1.0]], period=4.0)
    assert float(shared(operator)(wave)([[0.3], [1.7]]).abs().max()) <= 1e-14


@pytest.mark.parametrize(
    "layer",
    [
        nn.Sequential(Pointwise(torch.relu), nn.Identity(), Bias([1.0])),
        AliasFreeActivation(),
        EquivariantSubsampling(2),
        shared(PoolField(lambda x: Box(2.0 if x[0] < 1 else 1.0), period=4.0), nodes=4),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_what_says_that_it_commutes_is_its_own_shared_part(layer: nn.Module) -> None:
    assert shared(layer) is layer


def test_one_unshared_part_makes_a_chain_unshared() -> None:
    chain = nn.Sequential(Pointwise(torch.relu), BiasField(PLAIN))
    assert isinstance(shared(chain), TranslationAverage)
