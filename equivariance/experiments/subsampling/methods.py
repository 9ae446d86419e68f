"""The rivals: a 3×3 convolution, a non-linearity, a subsampling; the same weights in all of them."""

from __future__ import annotations

import math

import torch
from torch import nn

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
from equivariance.experiments.subsampling.settings import SubsamplingSettings
from layers import Conv, Pointwise

#: Commute with every real translation, with whole pixels, and with none; all others with multiples of the stride.
REAL = ("alias-free, poly 2", "comoving, linear", "poly 2, comoving", "strongest, then ReLU")
WHOLE = ("no stride", "ideal low-pass", "APS", "LPS", "Xu et al.", "up 2, GELU, ideal")
#: CNO's interpolation doesn't keep to the lattice; the comoving origin is lost where the grid that is left tells all.
NONE = ("CNO", "comoving, then ReLU")


def methods(settings: SubsamplingSettings) -> dict[str, nn.Module]:
    """All layers by name."""
    s, channels = settings.stride, settings.channels
    generator = torch.Generator().manual_seed(settings.seed)
    weights = torch.randn((3, 3, channels, 1), generator=generator, dtype=torch.float64)
    convolution = Conv.from_array(weights * math.sqrt(2 / 9), 1.0)
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
