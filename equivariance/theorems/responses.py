"""What a layer answers on a periodic grid: nothing else is asked of it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
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
