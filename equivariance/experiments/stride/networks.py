"""One small network with six ways of subsampling.

    convolution 3×3 → ReLU → subsampling → convolution 3×3 → ReLU

In the last of them the activation is a polynomial without aliases, and the subsampled grid moves along with the input.
Weights are the same in all of them. The taps of the second convolution lie `stride` pixels apart, so that they fit the
coarse grid; on a Field, which has no grid, a stride does nothing, and the same network is a continuous one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from discretize import (
    AliasFreeActivation,
    BlurPool,
    ComovingSubsampling,
    EquivariantSubsampling,
    Stride,
)
from equivariance.experiments.stride.settings import StrideSettings
from fields import Box
from layers import Conv, MaxPool, Pointwise

#: Channels that the networks put out.
OUTPUTS = 3


@dataclass(frozen=True)
class Network:
    """A network, with what theory says of it.

    Attributes
    ----------
    module : nn.Module
    about : str
        What subsamples.
    predicted : int
        Its discretization is equivariant under translations by multiples of so many pixels; 0: by any real vector.
    """

    module: nn.Module
    about: str
    predicted: int


def networks(settings: StrideSettings) -> dict[str, Network]:
    """The six networks, by name."""
    s = settings.stride
    first, second = _convolutions(settings)
    relu = Pointwise(torch.relu)

    def network(*subsampling: nn.Module, activation: nn.Module = relu) -> nn.Module:
        return nn.Sequential(first, activation, *subsampling, second, activation)

    return {
        "no stride": Network(network(), "nothing: the grid stays as fine as it was", 1),
        "strided convolution": Network(network(Stride(s)), f"every {ordinal(s)} point is kept", s),
        "max pooling": Network(
            network(MaxPool(Box(float(s)), nodes=2), Stride(s)),
            f"maximum over {s} × {s} pixels, then every {ordinal(s)} point is kept",
            s,
        ),
        "blur pooling": Network(
            network(BlurPool(s, 4)),
            f"binomial filter of 4 × 4 taps, then every {ordinal(s)} point is kept (Zhang 2019)",
            s,
        ),
        "equivariant subsampling": Network(
            network(EquivariantSubsampling(s)),
            f"every {ordinal(s)} point is kept, from the residue of the strongest point on (Xu et al. 2021)",
            1,
        ),
        "comoving subsampling": Network(
            network(ComovingSubsampling(s), activation=AliasFreeActivation()),
            f"every {ordinal(s)} point of a grid that begins at any real place, which the phases of the features' "
            "waves predict; polynomials without aliases (Michaeli et al. 2023) in place of ReLU",
            0,
        ),
    }


def _convolutions(settings: StrideSettings) -> tuple[Conv, Conv]:
    generator = torch.Generator().manual_seed(settings.seed)
    shapes = [(3, 3, settings.channels, 1), (3, 3, OUTPUTS, settings.channels)]
    first, second = (_weights(shape, generator) for shape in shapes)
    return Conv.from_array(first, 1.0), Conv.from_array(second, float(settings.stride))


def _weights(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Normal weights, scaled to keep the size of features."""
    weights = torch.randn(shape, generator=generator, dtype=torch.float64)
    return weights.mul_(math.sqrt(2 / (shape[0] * shape[1] * shape[3])))


def ordinal(s: int) -> str:
    """A stride in words: every second, third, 4th point."""
    return {2: "second", 3: "third"}.get(s, f"{s}th")
