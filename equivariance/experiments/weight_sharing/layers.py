"""Layers that share what they do between points, and layers that don't, with the part that theory says isn't shared."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from discretize import Grid, Samples
from equivariance.theorems.intertwiners import biases, intertwiners
from equivariance.theorems.responses import impulse_responses
from equivariance.theorems.sharing import shared_nonlinearity, shared_window
from fields import Box
from layers import Bias, Conv, MaxPool, Pointwise

#: Points a side of the grid that layers act on.
SIDE = 8

Map = Callable[[Samples], Samples]


@dataclass(frozen=True)
class Probe:
    """A layer, the part of it that points don't share as theory has it, and a way to measure that.

    Attributes
    ----------
    layer : callable
    theory : float
        ‖layer − its mean over all points‖ / ‖layer‖, in closed form.
    residue : callable
        The same, found by projecting on what commutes.
    """

    layer: Map
    theory: float
    residue: Callable[[Map, Grid], float]


def probes(seed: int) -> dict[str, Probe]:
    """Layers by name; one after the other shared and unshared."""
    draw = torch.Generator().manual_seed(seed)
    shape = (SIDE, SIDE)
    taps = torch.randn(9, *shape, generator=draw, dtype=torch.float64)
    constant = torch.randn(shape, generator=draw, dtype=torch.float64)
    gain = 1 + 0.5 * torch.rand(shape, generator=draw, dtype=torch.float64)
    wide = torch.rand(shape, generator=draw) < 0.5
    part = float(wide.double().mean())
    kernel = torch.randn(3, 3, 1, 1, generator=draw, dtype=torch.float64)
    return {
        "convolution": Probe(Conv.from_array(kernel, 1.0), 0.0, _linear),
        "locally connected": Probe(_local(taps), _spread(taps), _linear),
        "bias b": Probe(Bias(torch.ones(1, dtype=torch.float64)), 0.0, _bias),
        "bias b(x)": Probe(
            lambda f: Samples(f.values + constant, f.grid), _spread(constant[None]), _bias
        ),
        "ReLU": Probe(Pointwise(torch.relu), 0.0, _pointwise),
        "ReLU times a(x)": Probe(
            lambda f: Samples(gain * torch.relu(f.values), f.grid), _spread(gain[None]), _pointwise
        ),
        "max over a window": Probe(MaxPool(Box(3.0)), 0.0, _window),
        # One sample of the wide window is in the narrow one, the other 8 are shared by part of the points.
        "max over two windows": Probe(
            _parted(wide), math.sqrt(8 * part * (1 - part) / (1 + 8 * part)), _window
        ),
    }


def _local(taps: Tensor) -> Map:
    """3 × 3 weights of its own for every point."""
    offsets = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]

    def layer(f: Samples) -> Samples:
        seen = [w * f.values.roll(o, (-2, -1)) for w, o in zip(taps, offsets, strict=True)]
        return Samples(torch.stack(seen).sum(0), f.grid)

    return layer


def _parted(wide: Tensor) -> Map:
    """A maximum over 3 × 3 samples at some points, over one at the others."""

    def layer(f: Samples) -> Samples:
        return Samples(torch.where(wide, MaxPool(Box(3.0))(f).values, f.values), f.grid)

    return layer


def _spread(weights: Tensor) -> float:
    """‖w − w̄‖ / ‖w‖, the mean over points."""
    mean = weights.mean((-2, -1), keepdim=True)
    return float((weights - mean).norm() / weights.norm())


def _linear(layer: Map, grid: Grid) -> float:
    return intertwiners(grid.shape, 1, 1).residue(impulse_responses(layer, grid, 1))


def _bias(layer: Map, grid: Grid) -> float:
    zero = torch.zeros(1, *grid.shape, dtype=torch.float64)
    out = layer(Samples(zero, grid)).values
    return biases(grid.shape, 1).residue(out.reshape(-1, 1).numpy())


def _pointwise(layer: Map, grid: Grid) -> float:
    values = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    return shared_nonlinearity(layer, grid, values).residue


def _window(layer: Map, grid: Grid) -> float:
    return shared_window(layer, grid).residue
