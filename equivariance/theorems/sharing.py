"""Nonlinearities and pooling windows that may differ from point to point: what they share, and what sharing saves.

A layer is probed on a periodic grid, and only its outputs are looked at. The table of what they are has to commute with
translations wherever the layer does, so the theorems on linear maps and biases apply to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from discretize import Grid
from discretize.grid import divides
from equivariance.theorems.circulant import convolution_kernel
from equivariance.theorems.intertwining import Intertwiners, biases, intertwiners, periodic
from equivariance.theorems.matrices import (
    Layer,
    applied,
    as_numpy,
    impulse_responses,
    periodic_grid,
    worked_in,
)
from fields import arguments, checks


@dataclass(frozen=True, eq=False)
class Shared:
    """What all points of a layer share.

    Attributes
    ----------
    part : ndarray
        The mean over all points.
    residue : float
        ‖layer − shared‖/‖layer‖ over points and probes.
    commutator : float
        The largest ‖Φ(t▷f) − t▷Φ(f)‖/‖Φ(f)‖, t one sample along each axis, over random f: measured on the layer
        itself, independent of the residue.
    """

    part: np.ndarray
    residue: float
    commutator: float


def shared_nonlinearity(layer: Layer, grid: Grid, values: Any, seed: int = 0) -> Shared:
    """The shared part of a site-dependent nonlinearity Φ(f)(x) = σ(x, f(x)).

    At each of K values u the function x ↦ σ(x, u) is a bias field. Where Φ commutes with all translations these are
    constant, by the theorem on `biases`: one σ for all points.

    Parameters
    ----------
    layer : callable
        From Samples to Samples, pointwise.
    grid : Grid
        Periodic.
    values : Tensor, shape (K, c)
        Where σ is sampled; in the dtype that the layer works in.
    seed : int
        Of the random maps that measure the commutator, whose values are drawn from `values`.

    Returns
    -------
    Shared
        Its part is σ̄(u), shape (K, c_out).

    Examples
    --------
    >>> import torch
    >>> from discretize import Grid
    >>> from equivariance import shared_nonlinearity
    >>> from layers import Pointwise
    >>> shared_nonlinearity(Pointwise(torch.relu), Grid(4, 1.0), [[-1.0], [2.0]]).part.tolist()
    [[0.0], [2.0]]
    """
    probes = checks.as_tensor(values, "values")
    if probes.ndim != 2 or 0 in probes.shape:
        raise ValueError(f"values must have shape (K, c), K ≥ 1, got {tuple(probes.shape)}")
    where = probes.reshape(*probes.shape, *(1,) * periodic_grid(grid).dim)
    out = applied(layer, where.expand(*probes.shape, *grid.shape), grid)
    if out.grid.shape != grid.shape:
        raise ValueError(
            f"a pointwise layer keeps the grid's shape {grid.shape}, this one gives {out.grid.shape}"
        )
    table = as_numpy(out.values)
    constant = biases(grid.shape, len(probes) * out.channels)
    part, residue = _nearest(constant, table.reshape(-1, 1))
    draw = arguments.generator(seed)
    picked = torch.randint(len(probes), (16, *grid.shape), generator=draw).to(probes.device)
    random = probes[picked].movedim(-1, 1)
    mean = part.reshape(table.shape).reshape(len(probes), out.channels, -1)[..., 0]
    return Shared(mean, residue, commutator(layer, random, grid))


def shared_window(
    layer: Layer, grid: Grid, seed: int = 0, dtype: torch.dtype | None = None
) -> Shared:
    """The shared part of a pooling with a site-dependent window, Φ(f)(x) = pool of f(x − y) over y in W(x).

    Unit impulses show the window of every point: a maximum or mean over W(x) is positive where the impulse lies in it.
    Where Φ commutes with all translations this matrix does so, and is a circulant: one window for all points.

    Parameters
    ----------
    layer : callable
        From Samples to Samples on the same grid; it pools channel by channel.
    grid : Grid
        Periodic.
    seed : int
        Of the random maps that measure the commutator.
    dtype : torch.dtype, optional
        That the layer works in: unless given, that of its parameters, float64 without any.

    Returns
    -------
    Shared
        Its part is the mean response by offset y, shape (S1, …, Sd), centred as `convolution_kernel` has it: for a
        shared window its indicator for a maximum, its weights for a mean.

    Examples
    --------
    >>> from discretize import Grid
    >>> from equivariance import shared_window
    >>> from fields import Box
    >>> from layers import MaxPool
    >>> shared_window(MaxPool(Box(3.0)), Grid(5, 1.0)).part.tolist()
    [0.0, 1.0, 1.0, 1.0, 0.0]
    """
    matrix = impulse_responses(layer, grid, 1, dtype)
    count = math.prod(grid.shape)
    if matrix.shape != (count, count):
        raise ValueError(
            f"windows are compared point by point: expected {count} outputs, got {len(matrix)}"
        )
    part, residue = _nearest(intertwiners(grid.shape, 1, 1), matrix)
    like, draw = worked_in(layer, grid, dtype), arguments.generator(seed)
    random = torch.randn(16, 1, *grid.shape, generator=draw, dtype=like.dtype).to(like)
    window = convolution_kernel(part, grid.shape)[..., 0, 0]
    return Shared(window, residue, commutator(layer, random, grid))


def _nearest(space: Intertwiners, matrix: np.ndarray) -> tuple[np.ndarray, float]:
    """The projection and its relative residue; a map that vanishes is shared."""
    part: np.ndarray = space.project(matrix)
    return part, space.residue(matrix) if matrix.any() else 0.0


def commutator(layer: Layer, values: Tensor, grid: Grid) -> float:
    """The largest ‖Φ(t▷f) − t▷Φ(f)‖ / ‖Φ(f)‖, t one sample along each axis, for values of f, (n, c, X1, …, Xd)."""
    out = as_numpy(applied(layer, values, grid).values)
    worst, size = 0.0, np.linalg.norm(out)
    for axis in range(-grid.dim, 0):
        moved = as_numpy(applied(layer, values.roll(1, axis), grid).values)
        worst = float(np.maximum(worst, np.linalg.norm(moved - np.roll(out, 1, axis))))
    return worst / float(size) if size else worst


def parameter_counts(
    shape: Any, c_in: int, c_out: int, kernel: Any, stride: Any = 1, bias: bool = True
) -> xr.Dataset:
    """How many parameters layers between the same feature maps have on a periodic grid.

    Parameters
    ----------
    shape : int or sequence of int
        N1, …, Nd of the input.
    c_in, c_out : int
        Channels.
    kernel : int or sequence of int
        Sides k1, …, kd of the window that an output sees, at most the shape.
    stride : int or sequence of int
        Every how manyth output is kept; it divides the shape.
    bias : bool
        Whether the layers have one.

    Returns
    -------
    Dataset
        `weights`, `biases` and `parameters` of the layers "dense", "locally connected", "convolution". With M = ∏N/s
        outputs: M·c_out·∏N·c_in, M·c_out·∏k·c_in and c_out·∏k·c_in weights; M·c_out, M·c_out and c_out biases.

    Examples
    --------
    >>> from equivariance import parameter_counts
    >>> parameter_counts((32, 32), 3, 16, kernel=3).parameters.values.tolist()
    [50348032, 458752, 448]
    """
    sizes, steps = periodic(shape, stride)
    sides = checks.integers(kernel, len(sizes), "kernel")
    (ins,), (outs,) = checks.integers(c_in, 1, "c_in"), checks.integers(c_out, 1, "c_out")
    divides(steps, sizes, "periodic")
    if any(k > n for k, n in zip(sides, sizes, strict=True)):
        raise ValueError(
            f"a kernel of {sides} folds on a periodic grid of shape {sizes}: take sides up to those"
        )
    places = math.prod(n // s for n, s in zip(sizes, steps, strict=True))
    window = math.prod(sides) * ins * outs
    weights = np.array([places * outs * math.prod(sizes) * ins, places * window, window])
    constants = np.array([places * outs, places * outs, outs]) * bool(bias)
    return xr.Dataset(
        {
            "weights": ("layer", weights),
            "biases": ("layer", constants),
            "parameters": ("layer", weights + constants),
        },
        coords={"layer": ["dense", "locally connected", "convolution"]},
    )
