"""What a stride does to the cosets, and which translations a linear layer commutes with, strides included.

A stride s keeps the samples of one of the s^d cosets p + sZ^d. A translation by t carries the coset p − t into p: it
permutes the components, and rolls each. So a stride commutes with t exactly where the permutation leaves its coset in
place, t ∈ sZ^d.  `commutation` finds it for any linear layer, of all translations of a grid, one by one.

Vaidyanathan, "Multirate Systems and Filter Banks", 1993, §4.3; Chaman & Dokmanić, "Truly Shift-Invariant Convolutional
Neural Networks", CVPR 2021, choose among the components.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from discretize import Grid, Samples
from discretize.grid import divides
from discretize.subsampling.polyphase import kept
from equivariance.theorems.matrices import Layer, applied, as_numpy, impulse_responses, worked_in
from fields import checks

#: Phase of a coset: one integer per axis, 0 ≤ phase < stride.
Phase = tuple[int, ...]


def polyphase(f: Samples, s: Any) -> dict[Phase, Samples]:
    """The polyphase components x_p[k] = f[p + s·k], each on its own grid.

    Parameters
    ----------
    f : Samples
    s : int or sequence of int
        It divides the shape of a periodic grid.

    Returns
    -------
    dict
        Phase p, a tuple of d integers 0 ≤ p < s, in row-major order, to Samples on `f.grid.stride(s, p)`.

    Examples
    --------
    >>> import torch
    >>> from discretize import Grid, Samples
    >>> from equivariance import polyphase
    >>> parts = polyphase(Samples(torch.arange(6.0)[None], Grid(6, 1.0)), 2)
    >>> {p: part.values.tolist() for p, part in parts.items()}
    {(0,): [[0.0, 2.0, 4.0]], (1,): [[1.0, 3.0, 5.0]]}
    """
    if not isinstance(f, Samples):
        raise TypeError(
            f"expected Samples, got {type(f).__name__}: a Field has no phases, sample it first"
        )
    strides = checks.integers(s, f.dim, "stride")
    divides(strides, f.grid.shape, f.grid.boundary)
    phases = itertools.product(*map(range, strides))
    return {phase: kept(f, strides, torch.tensor(phase)) for phase in phases}


def polyphase_action(s: Any, t: Any) -> dict[Phase, tuple[Phase, tuple[int, ...]]]:
    """How a translation of a periodic array by t samples acts on its polyphase components.

    x_p(t▷f) = roll(x_q(f), r) with q = (p − t) mod s and r = (t + q − p)/s.

    Parameters
    ----------
    s : int or sequence of int
        One integer per axis where `t` has several.
    t : int or sequence of int

    Returns
    -------
    dict
        Phase p to (q, r): the component that becomes x_p, and how many coarse samples it is rolled by per axis.

    Examples
    --------
    >>> from equivariance import polyphase_action
    >>> polyphase_action(2, 3)
    {(0,): ((1,), (2,)), (1,): ((0,), (1,))}
    """
    dim = max(1, len(t)) if hasattr(t, "__len__") else 1
    strides = checks.integers(s, dim, "stride")
    steps = checks.per_axis(t, dim, "translation t")
    if any(step != round(step) for step in steps):
        raise ValueError(
            f"only whole samples permute polyphase components, got a translation by {t!r}"
        )
    moves = [round(step) for step in steps]
    action = {}
    for phase in itertools.product(*map(range, strides)):
        source = tuple((p - m) % q for p, m, q in zip(phase, moves, strides, strict=True))
        rolls = tuple(
            (m + a - p) // q for m, a, p, q in zip(moves, source, phase, strides, strict=True)
        )
        action[phase] = source, rolls
    return action


def commutation(
    layer: Layer, grid: Grid, channels: int, dtype: torch.dtype | None = None
) -> xr.Dataset:
    """How far a linear layer with matrix L is from commuting with each translation T of the grid.

    Parameters
    ----------
    layer, grid, channels, dtype
        As for `impulse_responses`; the output lies on the input's grid, or on every s-th point of it.

    Returns
    -------
    Dataset
        For each translation, with its number of samples per axis in `t` (translation, axis):

        ``moved``  ‖L T − Q L‖/‖L‖, Frobenius, Q the translation of the output; NaN where T moves the output's points
        off themselves.
        ``any_action``  the least ‖L T − Q L‖/‖L‖ over *all* matrices Q. Where it isn't 0, no linear action on the
        output, however odd, makes the layer equivariant to T: T doesn't map the kernel of L into itself.

    Raises
    ------
    ValueError
        Where the layer isn't linear, or its output on no sublattice of the grid.

    Notes
    -----
    A strided layer whose output has s^d times the channels of its input may lose nothing; then ``any_action``
    vanishes for every T, which acts by a permutation of channels that are polyphase components. Singular values of L up
    to eps times its larger side, relative to the largest, count as zero.

    Examples
    --------
    >>> from discretize import Grid, Stride
    >>> from equivariance import commutation
    >>> commutation(Stride(2), Grid(4, 1.0), channels=1).any_action.values.round(6).tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    matrix = impulse_responses(layer, grid, channels, dtype)
    like = worked_in(layer, grid, dtype)
    outs = _sublattice(layer, grid, channels, like, matrix)
    every = [n // m for n, m in zip(grid.shape, outs, strict=True)]
    size = np.linalg.norm(matrix)
    if size == 0:
        raise ValueError("the layer vanishes identically, so no relative residue is defined")
    _, singular, rows = np.linalg.svd(matrix, full_matrices=False)
    eps = torch.finfo(like.dtype).eps
    rows = rows[singular > singular[0] * max(matrix.shape) * eps]
    steps = np.indices(grid.shape).reshape(grid.dim, -1).T
    moved, least = np.full((2, len(steps)), np.nan)
    for index, t in enumerate(steps):
        before = _rolled(matrix.T, grid.shape, -t).T
        least[index] = np.linalg.norm(before - before @ rows.T @ rows) / size
        if not (t % every).any():
            moved[index] = np.linalg.norm(before - _rolled(matrix, outs, t // every)) / size
    variables = {"moved": ("translation", moved), "any_action": ("translation", least)}
    return xr.Dataset({**variables, "t": (("translation", "axis"), steps)})


def _sublattice(
    layer: Layer, grid: Grid, channels: int, like: Tensor, matrix: np.ndarray
) -> tuple[int, ...]:
    """The shape of the output, after a check on a random map that its matrix is the layer."""
    draw = torch.Generator().manual_seed(0)
    probe = torch.randn(1, channels, *grid.shape, generator=draw, dtype=like.dtype)
    out = applied(layer, probe.to(like), grid)
    expected = matrix @ as_numpy(probe).ravel()
    bound = len(expected) * 64 * torch.finfo(like.dtype).eps * (1 + np.abs(expected).max())
    if np.abs(as_numpy(out.values).ravel() - expected).max() > bound:
        raise ValueError(
            "the layer isn't linear, and has no matrix: equivariance_error measures any layer, "
            "shared_nonlinearity and shared_window pointwise and pooling ones"
        )
    shape = out.grid.shape
    spacings = zip(shape, out.grid.spacing, grid.shape, grid.spacing, strict=True)
    if any(n % m or not math.isclose(m * h, n * g) for m, h, n, g in spacings):
        raise ValueError(f"the output's grid {out.grid} is no sublattice of {grid}")
    return shape


def _rolled(matrix: np.ndarray, shape: tuple[int, ...], t: np.ndarray) -> np.ndarray:
    """Each column, values (c, X1, …, Xd) flattened, translated by t."""
    maps = matrix.reshape(-1, *shape, matrix.shape[1])
    axes = tuple(range(1, len(shape) + 1))
    return np.roll(maps, tuple(int(n) for n in t), axes).reshape(matrix.shape)
