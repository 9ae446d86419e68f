"""Spaces of maps that commute with translations, and layers with the part that theory says isn't shared."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from discretize import Grid, Samples
from equivariance.theorems.circulant import convolution_kernel, coset_kernels, is_convolution
from equivariance.theorems.intertwining import (
    Intertwiners,
    biases,
    intertwiners,
    translation_matrix,
)
from equivariance.theorems.matrices import impulse_responses
from equivariance.theorems.sharing import shared_nonlinearity, shared_window
from fields import Box
from layers import Bias, Conv, MaxPool, Pointwise

#: Points a side of the grid that layers act on.
SIDE = 8

POWERS = {1: "", 2: "²", 3: "³"}

Map = Callable[[Samples], Samples]


class Case(NamedTuple):
    """Feature maps on a periodic grid, and the translations: the multiples of a stride."""

    shape: tuple[int, ...]
    c_in: int
    c_out: int
    stride: int

    def __str__(self) -> str:
        group = "Z" if self.stride == 1 else f"{self.stride}Z"
        sides = "×".join(map(str, self.shape))
        return f"{sides}, {self.c_in} → {self.c_out}, {group}{POWERS[len(self.shape)]}"


def convolutions(space: Intertwiners, case: Case) -> int:
    """How many basis elements are convolutions, with one kernel for a coset and none for the others."""
    if case.stride == 1:
        return sum(is_convolution(m, case.shape) for m in space)
    d = len(case.shape)
    within = tuple(range(d, 2 * d + 2))
    kernels = (np.abs(coset_kernels(m, case.shape, case.stride)).sum(within) for m in space)
    return sum(int((each > 0).sum() == 1) for each in kernels)


def projected(space: Intertwiners, case: Case, seed: int) -> tuple[float, ...]:
    """Residue of a random matrix, and how far its projection is from what theory says, relative."""
    matrix = np.random.default_rng(seed).normal(size=space.matrix_shape)
    part = space.project(matrix)
    size = np.linalg.norm(part)
    moves = [tuple(row) for row in (case.stride * np.eye(len(case.shape), dtype=int)).tolist()]
    pairs = [[translation_matrix(case.shape, c, t) for c in (case.c_out, case.c_in)] for t in moves]
    commuting = max(np.linalg.norm(p @ part - (q.T @ part.T).T) for p, q in pairs)
    mean = matrix
    for (p, q), n in zip(pairs, case.shape, strict=True):
        mean = _mean_over(mean, p, q, n // case.stride)
    return (
        space.residue(matrix),
        float(np.linalg.norm(space.project(part) - part) / size),
        float(commuting / size),
        float(np.linalg.norm(mean - part) / size),
        _as_layer(part, case, seed) if case.stride == 1 else 0.0,
    )


def _mean_over(matrix: np.ndarray, out: Any, into: Any, count: int) -> np.ndarray:
    """Mean of P^k M Q^{−k} over k < count, P and Q the same translation of output and input."""
    total, moved = np.zeros_like(matrix), matrix
    for _ in range(count):
        total += moved
        moved = out @ (into @ moved.T).T
    return total / count


def _as_layer(matrix: np.ndarray, case: Case, seed: int) -> float:
    """Relative difference of a commuting matrix and the layer Conv with its kernel, on a random input."""
    draw = torch.Generator().manual_seed(seed)
    f = torch.randn(case.c_in, *case.shape, generator=draw, dtype=torch.float64)
    layer = Conv.from_array(convolution_kernel(matrix, case.shape), 1.0)
    found = layer(Samples(f, Grid(case.shape, 1.0))).values.numpy().ravel()
    expected = matrix @ f.numpy().ravel()
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


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
