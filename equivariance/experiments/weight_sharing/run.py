"""The experiment `weight-sharing`: all maps that commute with translations, found without assuming convolution."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr

from discretize import Grid, Samples
from equivariance.experiments.weight_sharing.layers import SIDE, probes
from equivariance.experiments.weight_sharing.settings import WeightSharingSettings
from equivariance.theorems.circulant import convolution_kernel, coset_kernels, is_convolution
from equivariance.theorems.counts import parameter_counts
from equivariance.theorems.intertwiners import (
    Intertwiners,
    biases,
    intertwiners,
    translation_matrix,
)
from equivariance.theorems.sharing import commutator
from layers import Conv

#: Points of the grid whose matrices are drawn.
DRAWN = 12
POWERS = {1: "", 2: "²", 3: "³"}


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


def cases(settings: WeightSharingSettings) -> list[Case]:
    """Feature maps in 1, 2 and 3 dimensions."""
    return [
        Case((12,), 2, 3, 1),
        Case((12,), 2, 1, 3),
        Case((6, 4), 1, 2, 1),
        Case((8, 8), 1, 2, 2),
        Case((4, 4, 4), 2, 1, 1),
        Case((4, 4, 4), 1, 1, 2),
        Case((settings.size,) * 2, settings.c_in, settings.c_out, 1),
    ]


@torch.no_grad()
def measure(settings: WeightSharingSettings) -> xr.Dataset:
    """Dimensions, projections, counterexamples and parameter counts."""
    tried = cases(settings)
    spaces = [intertwiners(c.shape, c.c_in, c.c_out, c.stride) for c in tried]
    own = [math.prod(c.shape) * c.c_in * c.c_out * c.stride ** len(c.shape) for c in tried]
    constants = [biases(c.shape, c.c_out, c.stride).dimension for c in tried]
    checks = [_projected(s, c, settings.seed) for s, c in zip(spaces, tried, strict=True)]
    chosen, grid = probes(settings.seed), Grid((SIDE, SIDE), 1.0)
    draw = torch.Generator().manual_seed(settings.seed)
    random = torch.randn(1, 1, SIDE, SIDE, generator=draw, dtype=torch.float64)
    counts = parameter_counts((settings.size,) * 2, settings.c_in, settings.c_out, settings.kernel)
    return xr.Dataset(
        {
            "dimension": ("case", [s.dimension for s in spaces]),
            "theory": ("case", own),
            "convolutions": (
                "case",
                [_convolutions(s, c) for s, c in zip(spaces, tried, strict=True)],
            ),
            "biases": ("case", constants),
            "biases_theory": ("case", [c.c_out * c.stride ** len(c.shape) for c in tried]),
            "share": ("case", [1 - c[0] ** 2 for c in checks]),
            "projection": (("case", "check"), [c[1:] for c in checks]),
            "residue": ("layer", [p.residue(p.layer, grid) for p in chosen.values()]),
            "residue_theory": ("layer", [p.theory for p in chosen.values()]),
            "commutator": (
                "layer",
                [commutator(p.layer, random, grid) for p in chosen.values()],
            ),
            "parameters": ("kind", counts["parameters"].to_numpy()),
            "matrix": (("part", "row", "column"), _parts(settings.seed)),
        },
        {
            "case": [str(c) for c in tried],
            "entries": ("case", [math.prod(s.matrix_shape) for s in spaces]),
            "check": ["idempotent", "commutes", "mean over translations", "layer"],
            "layer": list(chosen),
            "kind": counts["layer"].to_numpy().astype(str),
            "part": ["any linear map", "the part that commutes", "the rest"],
        },
    )


def _convolutions(space: Intertwiners, case: Case) -> int:
    """How many basis elements are convolutions, with one kernel for a coset and none for the others."""
    if case.stride == 1:
        return sum(is_convolution(m, case.shape) for m in space)
    d = len(case.shape)
    return sum(
        int(
            (
                np.abs(coset_kernels(m, case.shape, case.stride)).sum(tuple(range(d, 2 * d + 2)))
                > 0
            ).sum()
            == 1
        )
        for m in space
    )


def _projected(space: Intertwiners, case: Case, seed: int) -> tuple[float, ...]:
    """Residue of a random matrix, and how far its projection is from what theory says, relative."""
    matrix = np.random.default_rng(seed).normal(size=space.matrix_shape)
    part = space.project(matrix)
    size = np.linalg.norm(part)
    moves = [
        tuple(case.stride * (i == axis) for i in range(len(case.shape)))
        for axis in range(len(case.shape))
    ]
    pairs = [
        (
            translation_matrix(case.shape, case.c_out, t),
            translation_matrix(case.shape, case.c_in, t),
        )
        for t in moves
    ]
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


def _parts(seed: int) -> np.ndarray:
    """A random matrix on a line of points, its projection, and the remainder."""
    matrix = np.random.default_rng(seed).normal(size=(DRAWN, DRAWN))
    part = intertwiners(DRAWN, 1, 1).project(matrix)
    return np.stack([matrix, part, matrix - part])
