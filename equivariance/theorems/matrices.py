"""Matrices: of a linear layer, by its responses to impulses, and the null space of sparse linear constraints.

Nothing but its responses is asked of a layer.

For the null space, two unknowns are linked where one constraint holds both; what is linked makes a block, and blocks
don't know of each other. In a block whose constraints all say x_i = x_j, all unknowns are equal: its null space is one
vector, found by walking the graph, without arithmetic. Any other block is made dense, and goes through a singular value
decomposition.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import sparse
from scipy.sparse import csgraph
from torch import Tensor, nn

from discretize import Grid, Samples
from fields import arguments, checks
from fields.accuracy import MEMORY_BOUND

#: A layer on samples.
Layer = Callable[[Samples], Samples]


def impulse_responses(
    layer: Layer, grid: Grid, channels: int, dtype: torch.dtype | None = None
) -> np.ndarray:
    """The layer's outputs on unit impulses: the matrix of a linear layer, the windows of a pooling layer.

    Parameters
    ----------
    layer : callable
        From Samples to Samples.
    grid : Grid
        Periodic, for the input.
    channels : int
        Of the input.
    dtype : torch.dtype, optional
        That the layer works in: unless given, that of its parameters, float64 without any.

    Returns
    -------
    ndarray, shape (c_out·M1…Md, c_in·N1…Nd)
        A column for each impulse, on flattened `Samples.values`.

    Examples
    --------
    >>> from discretize import Grid, Stride
    >>> from equivariance import impulse_responses
    >>> impulse_responses(Stride(2), Grid(4, 1.0), channels=1).tolist()
    [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    """
    (depth,) = checks.integers(channels, 1, "channels")
    if dtype is not None:
        arguments.real_dtype(dtype)
    count = depth * math.prod(periodic_grid(grid).shape)
    if 8 * count**2 > MEMORY_BOUND:
        raise ValueError(
            f"an impulse for each of {count} inputs takes {8 * count**2 / 2**30:.1f} GiB, of "
            f"{MEMORY_BOUND / 2**30:.1f} allowed: take a smaller grid"
        )
    like = worked_in(layer, grid, dtype)
    impulses = torch.eye(count, dtype=like.dtype, device=like.device)
    out = applied(layer, impulses.reshape(count, depth, *grid.shape), grid)
    return as_numpy(out.values.reshape(count, -1).T)


def worked_in(layer: Layer, grid: Grid, dtype: torch.dtype | None) -> Tensor:
    """A tensor of the dtype and device that a layer works in: its parameters', otherwise float64, the grid's."""
    held = [*layer.parameters(), *layer.buffers()] if isinstance(layer, nn.Module) else []
    own = (tensor.detach() for tensor in held if tensor.is_floating_point())
    like = next(own, grid.origin.detach())
    return like if dtype is None else like.to(dtype)


def applied(layer: Layer, values: Tensor, grid: Grid) -> Samples:
    """The layer on values (n, c, X1, …, Xd), and no gradients."""
    arguments.function(layer, "layer", "Samples")
    with torch.no_grad():
        out = layer(Samples(values, periodic_grid(grid)))
    if not isinstance(out, Samples):
        raise TypeError(f"the layer must give Samples, got {type(out).__name__}")
    return out


def as_numpy(values: Tensor) -> np.ndarray:
    """The values in float64, on the CPU."""
    array: np.ndarray = values.detach().cpu().double().numpy()
    return array


def periodic_grid(grid: Grid) -> Grid:
    """The grid, where translations act on its arrays."""
    if not isinstance(grid, Grid):
        raise TypeError(f"grid must be a Grid, got {type(grid).__name__}")
    if grid.boundary != "periodic":
        raise ValueError(
            f"translations act on arrays of a periodic grid only, got boundary {grid.boundary!r}"
        )
    return grid


def null_space(constraints: Any, memory: int = MEMORY_BOUND) -> sparse.csr_array:
    """Orthonormal basis of the x with constraints @ x = 0.

    Parameters
    ----------
    constraints : sparse array or array-like, shape (m, n)
        Real.
    memory : int
        Bound on a dense block, in bytes.

    Returns
    -------
    scipy.sparse.csr_array, shape (dimension, n)
        One basis vector per row; vectors of different blocks have no common support.

    Raises
    ------
    ValueError
        Where constraints aren't finite, or a block is too large to be made dense.

    Notes
    -----
    Equalities x_i = x_j take O(nonzeros), and the dimension is exact. In other blocks singular values up to
    max(m, n)·eps of the largest count as zero.

    Examples
    --------
    >>> from equivariance.theorems.matrices import null_space
    >>> null_space([[1, -1, 0, 0], [0, 0, 1, 2]]).shape
    (2, 4)
    """
    a = _canonical(constraints)
    count, of_column = _blocks(a)
    filled = np.diff(a.indptr) > 0
    of_row = of_column[a.indices[a.indptr[:-1][filled]]]
    equal = (np.diff(a.indptr)[filled] == 2) & (a.sum(axis=1)[filled] == 0)
    others = np.unique(of_row[~equal])

    columns_of, rows_of = _members(of_column, others), _members(of_row, others)
    kept = np.flatnonzero(filled)
    dense = [
        _dense_null_space(a[kept[rows]][:, columns], memory)
        for rows, columns in zip(rows_of, columns_of, strict=True)
    ]
    dimensions = np.ones(count, dtype=int)
    dimensions[others] = [len(vectors) for vectors in dense]
    first = np.cumsum(dimensions) - dimensions

    (plain,) = np.nonzero(~np.isin(of_column, others))
    sizes = np.bincount(of_column, minlength=count)
    entries = [(first[of_column[plain]], plain, 1 / np.sqrt(sizes[of_column[plain]]))]
    for block, columns, vectors in zip(others, columns_of, dense, strict=True):
        row, column = np.indices(vectors.shape).reshape(2, -1)
        entries.append((first[block] + row, columns[column], vectors.ravel()))
    rows, columns, values = (np.concatenate(part) for part in zip(*entries, strict=True))
    shape = (int(dimensions.sum()), a.shape[1])
    return sparse.coo_array((values, (rows, columns)), shape=shape).tocsr()


def _canonical(constraints: Any) -> sparse.csr_array:
    """A copy in float64, without entries that are zero."""
    a = sparse.csr_array(constraints)
    if np.issubdtype(a.dtype, np.complexfloating):
        raise TypeError("constraints must be real: write complex ones as two real ones")
    a = a.astype(np.float64)  # a copy, of any dtype
    if not bool(np.isfinite(a.data).all()):
        raise ValueError("constraints must be finite, got NaN or infinite entries")
    a.eliminate_zeros()
    return a


def _blocks(a: sparse.csr_array) -> tuple[int, np.ndarray]:
    """How many blocks there are, and the block (n,) of every unknown: a row links each entry with its next."""
    row = np.repeat(np.arange(a.shape[0]), np.diff(a.indptr))
    same = row[1:] == row[:-1]
    ends = (a.indices[:-1][same], a.indices[1:][same])
    links = sparse.coo_array((np.ones(len(ends[0]), dtype=bool), ends), shape=(a.shape[1],) * 2)
    count, of_column = csgraph.connected_components(links.tocsr(), directed=False)
    return int(count), of_column


def _members(labels: np.ndarray, wanted: np.ndarray) -> list[np.ndarray]:
    """Where each of the wanted labels is."""
    order = np.argsort(labels, kind="stable")
    found = labels[order]
    begin, end = (np.searchsorted(found, wanted, side=side) for side in ("left", "right"))
    return [order[i:j] for i, j in zip(begin, end, strict=True)]


def _dense_null_space(block: sparse.csr_array, memory: int) -> np.ndarray:
    """Rows that span the null space of a block: by QR, then the singular values of the small factor."""
    needed = 8 * 3 * (math.prod(block.shape) + block.shape[1] ** 2)
    if needed > memory:
        raise ValueError(
            f"{block.shape[0]} linked constraints on {block.shape[1]} unknowns, not all of the kind x_i = x_j, take "
            f"{needed / 2**30:.1f} GiB as a dense block, of {memory / 2**30:.1f} allowed: "
            "take a smaller grid, or a larger memory=…"
        )
    factor = np.linalg.qr(block.toarray(), mode="r")
    _, singular, rows = np.linalg.svd(factor)
    rank = int((singular > singular[0] * max(block.shape) * np.finfo(float).eps).sum())
    null: np.ndarray = rows[rank:]
    return null
