"""Which translations a linear layer commutes with, strides included: all of a grid's, one by one."""

from __future__ import annotations

import math

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from discretize import Grid
from equivariance.theorems.responses import Layer, applied, as_numpy, impulse_responses, worked_in


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
    kept = [n // m for n, m in zip(grid.shape, outs, strict=True)]
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
        if not (t % kept).any():
            moved[index] = np.linalg.norm(before - _rolled(matrix, outs, t // kept)) / size
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
