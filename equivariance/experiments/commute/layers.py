"""Every kind of layer, with the squares of the diagram that theory says commute."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from discretize import (
    AdaptivePolyphase,
    AliasFreeActivation,
    BlurPool,
    ComovingSubsampling,
    EquivariantSubsampling,
    IdealLowpass,
    Stride,
)
from discretize.origins import Phase
from equivariance.experiments.commute.settings import CommuteSettings
from fields import Ball, Box, Field, GaussianKernel, PlaneWaves, random_bandlimited
from layers import (
    AvgPool,
    Bias,
    BiasField,
    Conv,
    IntegralOperator,
    LpPool,
    MaxPool,
    Pointwise,
    PointwiseField,
    PoolField,
    SoftMaxPool,
)

#: The squares, in the order of `Kind.commutes`.
SQUARES = {
    "continuous": "L(t▷F) and t▷L(F) at points, real t",
    "moving grid": "L(t▷f) and t▷L(f), f samples that move with their grid, real t",
    "before, whole": "L(sample(t▷F)) and t▷L(sample(F)), t whole spacings, the grid stays",
    "before, real": "the same, real t",
    "after, real": "sample(L(t▷F)) and t▷sample(L(F)), real t, the grid stays",
    "before = after": "L(sample(F)) and sample(L(F))",
}
#: Every how manyth point is kept: the grid that is left tells fewer waves than the field has.
STRIDE = 4


@dataclass(frozen=True)
class Kind:
    """A layer, and which of `SQUARES` commute: "=" to rounding, "≈" below 1e-6, "≠" not."""

    layer: nn.Module
    commutes: str


def noise(settings: CommuteSettings) -> Field:
    """A random field of period `size` whose square the grid can tell, but not the grid that a stride leaves."""
    return random_bandlimited(
        2, 1, (settings.band + 0.01) / settings.size, float(settings.size), settings.seed
    )


def kinds(period: float, seed: int) -> dict[str, Kind]:
    """All layers, for fields of a period on a grid of spacing 1."""
    draw = torch.Generator().manual_seed(seed)
    kernel = torch.randn(3, 3, 2, 1, generator=draw, dtype=torch.float64) / 3
    s, one = STRIDE, torch.ones(1, dtype=torch.float64)
    return {
        "convolution, taps": Kind(Conv.from_array(kernel, 1.0), "======"),
        "convolution, density": Kind(Conv(GaussianKernel(0.6, [[1.0]]), nodes=2), "=====≠"),
        "bias": Kind(Bias(one), "======"),
        "polynomial": Kind(Pointwise(lambda x: x + x * x / 4), "======"),
        "ReLU": Kind(Pointwise(torch.relu), "===≠≠="),
        "GELU": Kind(Pointwise(nn.functional.gelu), "===≠≠="),
        "average pooling": Kind(AvgPool(Box(3.0), nodes=2), "=====≠"),
        "max pooling": Kind(MaxPool(Ball(1.2), nodes=2), "===≠≠≠"),
        "L2 pooling": Kind(LpPool(Box(3.0), 2, nodes=2), "===≠≠≠"),
        "soft max pooling": Kind(SoftMaxPool(Box(3.0), 0.5, nodes=2), "===≠≠≠"),
        "alias-free activation": Kind(AliasFreeActivation(), "======"),
        "stride": Kind(Stride(s), "==≠≠=="),
        "blur pooling": Kind(BlurPool(s, 4, 1.0), "==≠≠=="),
        "ideal low-pass": Kind(IdealLowpass(s, 1.0), "======"),
        "adaptive polyphase": Kind(AdaptivePolyphase(s), "===≠=="),
        "equivariant subsampling": Kind(EquivariantSubsampling(s), "===≠=="),
        # Above the coarse Nyquist it weighs waves by 1/(1 + (ε·E/|Z|)²), ε = 1e-6.
        "comoving subsampling": Kind(ComovingSubsampling(s, Phase("strongest")), "=====≈"),
        "integral operator κ(x, y)": Kind(_operator(period), "≠≠≠≠≠="),
        "bias b(x)": Kind(BiasField(_wave(period)), "≠≠≠≠≠="),
        "nonlinearity σ(x, ·)": Kind(PointwiseField(_positioned(period), period), "≠≠≠≠≠="),
        "pooling window W(x)": Kind(_pool(period), "≠≠≠≠≠≠"),
    }


def _wave(period: float) -> PlaneWaves:
    return PlaneWaves([[1 / period, 1 / period]], [[1.0]], period)


def _phase(x: Tensor, period: float) -> Tensor:
    return 2 * math.pi * x.sum(-1) / period


def _operator(period: float) -> IntegralOperator:
    def kappa(x: Tensor, y: Tensor) -> Tensor:
        p, q = _phase(x, period), _phase(y, period)
        return (torch.cos(p - q) + torch.cos(p + q))[..., None, None]

    return IntegralOperator(kappa, period, nodes=16)


def _positioned(period: float) -> nn.Module:
    class Shifted(nn.Module):
        def forward(self, x: Tensor, value: Tensor) -> Tensor:
            return torch.tanh(value + _phase(x, period).sin()[..., None])

    return Shifted()


def _pool(period: float) -> PoolField:
    return PoolField(lambda x: Ball(1.2 if x[0] < period / 2 else 2.2), "mean", period, nodes=2)
