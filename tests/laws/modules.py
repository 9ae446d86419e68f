"""One list of all layers as modules: every law of tests/laws/test_modules.py runs over them.

They take two channels, and fit grids of spacing SPACING and shape SHAPE, which strides by 2 divide.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from discretize import (
    AdaptivePolyphase,
    AliasFreeActivation,
    AveragePooling,
    BlurPool,
    CNOActivation,
    ComovingSubsampling,
    EquivariantChain,
    EquivariantSubsampling,
    FilteredLeakyReLU,
    Grid,
    IdealLowpass,
    LearnablePolyphase,
    MaxPooling,
    PolynomialActivation,
    Stride,
    Upsampling,
)
from discretize.origins import Centroid, Phase
from fields import (
    Atoms,
    Ball,
    BallKernel,
    BasisKernel,
    Box,
    BoxKernel,
    BSplineKernel,
    BumpKernel,
    FeatureMap,
    FieldKernel,
    Gabors,
    GaussianKernel,
    Kernel,
    Mask,
    MatrixKernel,
    PeriodicKernel,
    PlaneWaves,
    mlp_kernel,
)
from fields.commuting import Commutes, promised
from layers import (
    AvgPool,
    Bias,
    BiasField,
    Conv,
    GlobalPool,
    IntegralOperator,
    LpPool,
    MaxPool,
    Pointwise,
    PointwiseField,
    PoolField,
    SoftMaxPool,
    TorchModel,
)
from tests.laws.registry import PERIOD

#: What `OnGrid` is for.
TOOLS = ("compile", "export", "vmap", "jvp")
SPACING = (0.5, 0.25, 0.5)
SHAPE = tuple(round(p / h) for p, h in zip(PERIOD, SPACING, strict=True))


class Weights:
    """Random numbers for the weights of a module in `dim` dimensions."""

    def __init__(self, dim: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> None:
        self.dim, self.dtype = dim, dtype
        self.generator = torch.Generator().manual_seed(100 * dim + seed)
        self.spacing = SPACING[:dim]

    def __call__(self, *shape: int) -> Tensor:
        numbers = torch.randn(*shape, generator=self.generator, dtype=torch.float64)
        return (numbers / len(shape)).to(self.dtype)

    def array(self, *sides: int) -> Tensor:
        """A kernel array with the given sides, repeated over the axes as needed."""
        return self(*(sides * self.dim)[: self.dim], 2, 2)


class Density(nn.Module):
    """y ↦ M exp(a·y), a and M learnt."""

    def __init__(self, slope: Tensor, matrix: Tensor) -> None:
        super().__init__()
        self.slope, self.matrix = nn.Parameter(slope), nn.Parameter(matrix)

    def forward(self, y: Tensor) -> Tensor:
        return torch.exp(y @ self.slope)[..., None, None] * self.matrix


class Residual(nn.Module):
    """F ↦ F + branch(F)."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, f: FeatureMap) -> FeatureMap:
        return f + self.branch(f)


@dataclass(frozen=True)
class Kind:
    """A kind of layer.

    Attributes
    ----------
    exact : bool
        Whether it is one and the same finite sum on a field and on its samples.
    learnt : int
        Number of its parameters.
    refuses : tuple of str
        Which of torch's tools don't work on it on a grid: of "compile", "export", "vmap", "jvp".
    real : bool
        Whether the origin of its output is computed from values, a real number, and so known to rounding.
    """

    name: str
    build: Callable[[Weights], nn.Module]
    exact: bool = True
    learnt: int = 0
    refuses: tuple[str, ...] = ()
    real: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def step(self) -> int:
        """On samples it commutes with translations by multiples of so many spacings; strides are 2 here."""
        return 2 if promised(self.build(Weights(1))) is Commutes.MULTIPLES else 1


def scattered(w: Weights) -> Conv:
    """Atoms on one side only, up to three spacings away."""
    steps = torch.tensor([[0, 0, 0], [1, 2, 1], [3, 1, 0]])[:, : w.dim]
    return Conv(Atoms(steps * torch.tensor(w.spacing), w(3, 2, 2)))


def gaussian(w: Weights) -> Conv:
    return Conv(GaussianKernel([0.15, 0.1, 0.12][: w.dim], w(2, 2)), nodes=2, exact=False)


def closed_form(w: Weights) -> Conv:
    """Without nodes on waves, whose convolution with a box is known."""
    return Conv(BoxKernel([1.1, 0.7, 0.9][: w.dim], w(2, 2)))


def box(w: Weights) -> Conv:
    return Conv(BoxKernel([1.1, 0.7, 0.9][: w.dim], w(2, 2)), nodes=2, exact=False)


def by_nodes(make: Callable[[Weights], MatrixKernel]) -> Callable[[Weights], Conv]:
    """A density, integrated by a few nodes."""
    return lambda w: Conv(make(w), nodes=2, exact=False)


def off_centre(w: Weights) -> FieldKernel:
    """A Gabor beside the origin."""
    wave = Gabors([[0.3, -0.2, 0.1][: w.dim]], [[1.0]], [0.12], [[1.0, 0.5, -0.5][: w.dim]])
    return FieldKernel(wave, w(2, 2))


def basis(w: Weights) -> BasisKernel:
    parts = [GaussianKernel(0.1, [[1.0]]), BumpKernel(0.6, [[1.0]]), BallKernel(0.5, [[1.0]])]
    return BasisKernel(parts, w(3, 2, 2))


def on_a_period(w: Weights) -> PeriodicKernel:
    return PeriodicKernel(w(*(3, 5, 3)[: w.dim], 2, 2), PERIOD[: w.dim])


def grouped(w: Weights) -> Conv:
    """Depthwise, dilated, with a bias."""
    apart = [2 * h for h in w.spacing]
    return Conv.from_array(w(*(3,) * w.dim, 2, 1), apart, groups=2, bias=w(2))


def network(w: Weights) -> MatrixKernel:
    return mlp_kernel(w.dim, 2, 2, 0.7, hidden=(4,), seed=w.generator, dtype=w.dtype)


def density(w: Weights) -> Conv:
    return Conv(Kernel(Density(w(w.dim), w(2, 2)), 2, 2, radius=0.7), nodes=1)


def linear(w: Weights) -> Pointwise:
    layer = nn.Linear(2, 2)
    layer.weight, layer.bias = nn.Parameter(w(2, 2)), nn.Parameter(w(2))
    return Pointwise(layer)


def corner(w: Weights) -> Mask:
    """A mask that its own mirror image doesn't cover."""
    mask = torch.ones((3,) * w.dim)
    mask[(0,) * w.dim] = 0
    return Mask(mask, w.spacing)


def two_points(w: Weights) -> Box:
    """A box that holds two points of the grid per axis."""
    return Box([2 * h for h in w.spacing])


def conv(w: Weights, *sides: int, coarser: int = 1) -> Conv:
    return Conv.from_array(w.array(*sides), [coarser * h for h in w.spacing])


def relu() -> Pointwise:
    return Pointwise(torch.relu)


def deep(w: Weights) -> nn.Module:
    """Kernels of all sorts, non-linearities, poolings and residual branches."""
    return nn.Sequential(
        conv(w, 3),
        Bias(w(2)),
        relu(),
        Residual(nn.Sequential(density(w), Pointwise(torch.tanh), gaussian(w))),
        MaxPool(Ball(0.5), nodes=1),
        linear(w),
        AvgPool(Box(1.0), nodes=1),
    )


def comoving(_: Weights) -> ComovingSubsampling:
    """With an origin below the coarse Nyquist frequency, too, so that values compare index by index."""
    return ComovingSubsampling(2, Phase("strongest"), nyquist="keep")


def subsampled(layer: type[nn.Module]) -> Callable[[Weights], nn.Module]:
    def build(w: Weights) -> nn.Module:
        return nn.Sequential(conv(w, 3), relu(), layer(2), conv(w, 3, coarser=2), Bias(w(2)))

    return build


LAYERS = [
    Kind("Conv, odd", lambda w: conv(w, 3, 1), learnt=1),
    Kind("Conv, even", lambda w: conv(w, 2, 4), learnt=1),
    Kind("Conv, one-sided", scattered, learnt=1),
    Kind("Conv, Gaussian", gaussian, exact=False, learnt=1),
    Kind("Conv, box", box, exact=False, learnt=1),
    Kind("Conv, closed form", closed_form, exact=False, learnt=1),
    Kind("Conv, density", density, exact=False, learnt=2),
    Kind("Conv, grouped", grouped, learnt=2),
    Kind("Conv, bump", by_nodes(lambda w: BumpKernel(0.6, w(2, 2))), exact=False, learnt=1),
    Kind("Conv, ball", by_nodes(lambda w: BallKernel(0.6, w(2, 2))), exact=False, learnt=1),
    Kind("Conv, spline", by_nodes(lambda w: BSplineKernel(0.3, w(2, 2))), exact=False, learnt=1),
    Kind(
        "Conv, field",
        by_nodes(off_centre),
        exact=False,
        learnt=1,
        refuses=("compile", "export"),
    ),
    Kind("Conv, basis", by_nodes(basis), exact=False, learnt=1),
    Kind("Conv, network", by_nodes(network), exact=False, learnt=4),
    Kind("Conv, on a period", by_nodes(on_a_period), exact=False, learnt=1),
    Kind("Conv, on a period, closed", lambda w: Conv(on_a_period(w)), exact=False, learnt=1),
    Kind("Bias", lambda w: Bias(w(2)), learnt=1),
    Kind("Pointwise, relu", lambda _: relu()),
    Kind("Pointwise, linear", linear, learnt=2),
    Kind("AvgPool, box", lambda w: AvgPool(two_points(w), nodes=2), exact=False),
    Kind("AvgPool, ball", lambda _: AvgPool(Ball(0.6), nodes=2), exact=False),
    Kind("AvgPool, mask", lambda w: AvgPool(corner(w))),
    Kind("MaxPool, box", lambda w: MaxPool(two_points(w), nodes=2), exact=False),
    Kind("MaxPool, ball", lambda _: MaxPool(Ball(0.6), nodes=2), exact=False),
    Kind("MaxPool, mask", lambda w: MaxPool(corner(w))),
    Kind("LpPool, box", lambda w: LpPool(two_points(w), 2, nodes=2), exact=False),
    Kind("LpPool, ball", lambda _: LpPool(Ball(0.6), 3.5, nodes=2), exact=False),
    Kind("LpPool, mask", lambda w: LpPool(corner(w), 3)),
    Kind("SoftMaxPool, ball", lambda _: SoftMaxPool(Ball(0.6), 0.5, nodes=2), exact=False),
    Kind("SoftMaxPool, mask", lambda w: SoftMaxPool(corner(w), 1 + w(2) ** 2), learnt=1),
    Kind("Stride", lambda _: Stride(2)),
    Kind("BlurPool, odd", lambda w: BlurPool(2, 3, w.spacing)),
    Kind("BlurPool, even", lambda w: BlurPool(2, 4, w.spacing)),
    Kind("EquivariantSubsampling", lambda _: EquivariantSubsampling(2)),
    Kind("AveragePooling", lambda w: AveragePooling(2, 3, w.spacing)),
    Kind("MaxPooling", lambda w: MaxPooling(2, 3, w.spacing)),
    Kind("IdealLowpass", lambda w: IdealLowpass(2, w.spacing)),
    Kind("AdaptivePolyphase", lambda _: AdaptivePolyphase(2)),
    Kind("ComovingSubsampling", comoving, exact=False, real=True),
    Kind("deep", deep, exact=False, learnt=7),
    Kind("residual", lambda w: Residual(nn.Sequential(conv(w, 3), relu())), learnt=1),
    Kind("strided net", subsampled(Stride), learnt=3),
    Kind("equivariant net", subsampled(EquivariantSubsampling), learnt=3),
]


def phase(x: Tensor) -> Tensor:
    """Σ 2π x_i/P_i, (…, 1)."""
    turns = 2 * math.pi * x / torch.tensor(PERIOD[: x.shape[-1]]).to(x)
    return turns.sum(-1, keepdim=True)


def operator(w: Weights) -> IntegralOperator:
    """κ(x, y) = A cos(θ(x) − θ(y)) + B cos(θ(x) + θ(y))."""
    a, b = w(2, 2), w(2, 2)

    def kappa(x: Tensor, y: Tensor) -> Tensor:
        p, q = phase(x)[..., None], phase(y)[..., None]
        return a * torch.cos(p - q) + b * torch.cos(p + q)

    return IntegralOperator(kappa, PERIOD[: w.dim], nodes=5)


def bias_field(w: Weights) -> BiasField:
    frequency = [[1 / p for p in PERIOD[: w.dim]]]
    return BiasField(PlaneWaves(frequency, torch.complex(w(1, 2), w(1, 2)), PERIOD[: w.dim]))


def pool_field(w: Weights) -> PoolField:
    return PoolField(lambda x: Ball(0.6 if x[0] < 2 else 1.1), "mean", PERIOD[: w.dim], nodes=2)


#: Layers that depend on where they are: they break every law of equivariance.
UNSHARED = [
    Kind("IntegralOperator", operator),
    Kind("BiasField", bias_field, refuses=("compile",)),
    Kind(
        "PointwiseField",
        lambda w: PointwiseField(lambda x, v: torch.tanh(v + phase(x).sin()), PERIOD[: w.dim]),
    ),
    Kind("PoolField", pool_field, refuses=("compile", "export")),
    Kind(
        "relu after BiasField",
        lambda w: nn.Sequential(conv(w, 3), bias_field(w), relu()),
        refuses=("compile",),
    ),
]


def learnable(w: Weights) -> LearnablePolyphase:
    return LearnablePolyphase(2, 2, w.dim, hidden=3, dtype=w.dtype).eval()


def there_and_back(w: Weights) -> nn.Module:
    return nn.Sequential(conv(w, 3), Stride(2), Upsampling(2, "fourier"))


#: Layers that other laws don't run over.
MORE = [
    Kind("LearnablePolyphase", learnable),
    Kind("LearnablePolyphase, training", lambda w: learnable(w).train(), refuses=TOOLS),
    Kind(
        "EquivariantChain",
        lambda w: EquivariantChain([conv(w, 3), relu()], [2, (2, 2, 1)[: w.dim]]),
    ),
    Kind("AdaptivePolyphase, filtered", lambda _: AdaptivePolyphase(2, 1, taps=3)),
    Kind("ComovingSubsampling, centroid", lambda _: ComovingSubsampling(2, Centroid(), bound=0)),
    Kind("AliasFreeActivation", lambda _: AliasFreeActivation(torch.tanh)),
    Kind("PolynomialActivation", lambda _: Pointwise(PolynomialActivation([0.0, 1.0, 0.5]))),
    Kind("FilteredLeakyReLU", lambda _: FilteredLeakyReLU(2, 4)),
    Kind("CNOActivation", lambda _: CNOActivation()),
    Kind("Upsampling, zeros", lambda _: Upsampling(2)),
    Kind("Upsampling, hold", lambda _: Upsampling(2, "hold")),
    Kind("Upsampling, blur", lambda _: Upsampling(2, "blur")),
    Kind("Upsampling, Fourier", there_and_back),
    Kind("GlobalPool, mean", lambda _: GlobalPool("mean")),
    Kind("GlobalPool, power", lambda _: GlobalPool(2)),
    Kind("GlobalPool, max", lambda _: GlobalPool("max")),
    Kind("TorchModel", lambda w: TorchModel(conv(w, 3).to_torch(w.spacing))),
]


def grid(dim: int, boundary: str = "periodic") -> Grid:
    return Grid(SHAPE[:dim], SPACING[:dim], [0.1, -0.3, 2.0][:dim], boundary)
