"""The networks of the explorer: random weights, fixed by the seed, one channel in, one channel out."""

from __future__ import annotations

import functools
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from discretize import AliasFreeActivation, Grid, Samples, sample
from equivariance.explorer.choices import METHODS
from equivariance.explorer.state import State
from fields import FeatureMap, Field, Mask, PlaneWaves, random_bandlimited
from layers import BiasField, Conv, MaxPool, Pointwise

Map = TypeVar("Map", bound=FeatureMap)

HIDDEN = 4
FUNCTIONS = {"relu": torch.relu, "gelu": nn.functional.gelu, "tanh": torch.tanh}


class Chain(nn.Module):
    """A network with a subsampling behind it or in front of it; on a Field the network alone."""

    def __init__(self, network: nn.Module, subsampling: nn.Module, in_front: bool) -> None:
        super().__init__()
        self.network, self.subsampling, self.in_front = network, subsampling, in_front

    def forward(self, f: Map) -> Map:
        """Apply both, in their order."""
        if self.in_front:
            return self.network(self.subsampling(f))  # type: ignore[no-any-return]
        return self.subsampling(self.network(f))  # type: ignore[no-any-return]


class Residual(nn.Module):
    """f ↦ f + layer(f)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, f: Map) -> Map:
        """Add what the layer makes of the input to it."""
        return f + self.layer(f)  # type: ignore[no-any-return]


def chain(state: State) -> Chain:
    """The network and the subsampling of a state.

    In front of the network, the subsampling leaves a grid of spacing s: the kernels' taps then lie s apart.
    """
    s, in_front = state.stride, state.place == "front"
    network = _network(
        state.network,
        state.nonlinearity,
        state.kernel,
        state.depth,
        state.seed,
        float(s if in_front else 1),
        float(state.size),
    )
    return Chain(network, METHODS[state.method].make(s), in_front)


@functools.lru_cache(32)
def _network(
    kind: str,
    nonlinearity: str,
    kernel: int,
    depth: int,
    seed: int,
    spacing: float,
    period: float,
) -> nn.Module:
    with torch.inference_mode(False):  # it is kept, and serves outside of it as well
        generator = torch.Generator().manual_seed(seed)
        if kind == "identity":
            return nn.Identity()
        layers: list[nn.Module] = []
        channels = 1
        for _ in range(depth):
            layers += _block(kind, channels, nonlinearity, kernel, generator, spacing)
            channels = HIDDEN
        if kind == "unshared":
            layers.append(BiasField(_varying(period)))
        layers.append(_convolution(1, channels, 1, generator, spacing))
        network = nn.Sequential(*layers)
        return _calibrated(network, layers[-1], spacing, period)


def _block(
    kind: str, channels: int, nonlinearity: str, kernel: int, generator: Any, spacing: float
) -> list[nn.Module]:
    bias = kind != "convolution"
    first = _convolution(HIDDEN, channels, kernel, generator, spacing, bias)
    if kind == "convolution":
        return [first]
    if kind == "residual":
        widen = _convolution(HIDDEN, channels, 1, generator, spacing)
        inner = _convolution(HIDDEN, HIDDEN, kernel, generator, spacing, bias)
        return [widen, Residual(nn.Sequential(inner, _activation(nonlinearity)))]
    if kind == "maxpool":
        window = Mask(torch.ones(3, 3), spacing)
        return [first, MaxPool(window)]
    return [first, _activation(nonlinearity)]


def _activation(name: str) -> nn.Module:
    return AliasFreeActivation() if name == "polynomial" else Pointwise(FUNCTIONS[name])


def _convolution(
    out: int, channels: int, kernel: int, generator: Any, spacing: float, bias: bool = False
) -> Conv:
    scale = (2 / (channels * kernel**2)) ** 0.5
    shape = (kernel, kernel, out, channels)
    taps = scale * torch.randn(shape, generator=generator, dtype=torch.float64)
    shift = 0.3 * torch.randn(out, generator=generator, dtype=torch.float64) if bias else None
    return Conv.from_array(taps, spacing, bias=shift)


def _varying(period: float) -> Field:
    """One wave across the window in every channel: a bias that isn't shared."""
    frequencies = torch.tensor([[1 / period, 1 / period]], dtype=torch.float64)
    return PlaneWaves(frequencies, torch.full((1, HIDDEN), 0.5 + 0.5j, dtype=torch.complex128))


def _calibrated(network: nn.Module, last: nn.Module, spacing: float, period: float) -> nn.Module:
    """The network with its last weights scaled, so that noise of size 1 gives an output of size 1."""
    count = round(period / spacing)
    noise = random_bandlimited(2, 1, 4 / period, period, seed=0)
    with torch.no_grad():
        out = network(sample(noise, Grid((count, count), spacing)))
        assert isinstance(out, Samples)
        assert isinstance(last, Conv)
        weights: Tensor = last.weights  # type: ignore[assignment]
        weights.div_(out.values.square().mean().sqrt())
    return network.requires_grad_(False)
