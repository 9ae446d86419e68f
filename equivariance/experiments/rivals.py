"""Networks that differ in how they subsample, and what theory says of each.

The six of the experiment `stride` are one small network,

    convolution 3×3 → ReLU → subsampling → convolution 3×3 → ReLU.

In the last of them the activation is a polynomial without aliases, and the subsampled grid moves along with the input.
The taps of the second convolution lie `stride` pixels apart, so that they fit the coarse grid; on a Field, which has no
grid, a stride does nothing, and the same network is a continuous one.

Those of `subsampling` and `invariance` are a 3×3 convolution, a non-linearity, a subsampling. Weights are the same in
all of a kind.
"""

from __future__ import annotations

import math
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
    EquivariantSubsampling,
    FilteredLeakyReLU,
    IdealLowpass,
    LearnablePolyphase,
    MaxPooling,
    Stride,
)
from discretize.origins import Phase
from equivariance.experiments.layer_settings import StrideSettings, SubsamplingSettings
from fields import Box
from fields.commuting import Commutes, promised
from layers import Conv, MaxPool, Pointwise

#: Channels that the networks of `stride` put out.
OUTPUTS = 3
#: What the parts of a chain don't say: behind an origin that is certain ReLU moves along, too; an origin by the wave of
#: the stride's length is lost where the grid that is left tells all.
BEHIND = {"strongest, then ReLU": Commutes.REAL, "comoving, then ReLU": Commutes.NONE}


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


def predictions(settings: SubsamplingSettings) -> dict[str, Commutes]:
    """What each of the methods commutes with, by what its parts say."""
    said = {name: promised(module) for name, module in methods(settings).items()}
    return {name: kind or Commutes.NONE for name, kind in said.items()} | BEHIND


def methods(settings: SubsamplingSettings) -> dict[str, nn.Module]:
    """All methods of subsampling as layers, by name."""
    s, channels = settings.stride, settings.channels
    generator = torch.Generator().manual_seed(settings.seed)
    convolution = Conv.from_array(_weights((3, 3, channels, 1), generator), 1.0)
    relu = Pointwise(torch.relu)
    gelu = AliasFreeActivation(nn.functional.gelu, 2)
    learnt = LearnablePolyphase(s, channels, hidden=8, seed=settings.seed).eval()
    chains: dict[str, tuple[nn.Module, ...]] = {
        "no stride": (relu,),
        "stride": (relu, Stride(s)),
        "average pooling": (relu, AveragePooling(s)),
        "max pooling": (relu, MaxPooling(s)),
        "max, blur 4": (relu, MaxPooling(1, 2), BlurPool(s, 4)),
        "blur 4": (relu, BlurPool(s, 4)),
        "blur 5": (relu, BlurPool(s, 5)),
        "ideal low-pass": (relu, IdealLowpass(s)),
        "APS": (relu, AdaptivePolyphase(s)),
        "LPS": (relu, learnt),
        "Xu et al.": (relu, EquivariantSubsampling(s)),
        "alias-free, poly 2": (AliasFreeActivation(), IdealLowpass(s)),
        "up 2, GELU, ideal": (gelu, IdealLowpass(s)),
        "StyleGAN3": (FilteredLeakyReLU(2, 2 * s),),
        "StyleGAN3, critical": (FilteredLeakyReLU(2, 2 * s, cutoff=0.5),),
        "CNO": (CNOActivation(s),),
        "comoving, linear": (ComovingSubsampling(s, nyquist="keep", bound=0),),
        "poly 2, comoving": (
            AliasFreeActivation(),
            ComovingSubsampling(s, nyquist="keep", bound=0),
        ),
        "comoving, then ReLU": (ComovingSubsampling(s, nyquist="keep", bound=0), relu),
        "strongest, then ReLU": (ComovingSubsampling(s, Phase("strongest"), "keep", 0), relu),
    }
    return {name: nn.Sequential(convolution, *chain) for name, chain in chains.items()}
