"""A layer on a fixed grid as a function of tensors: what torch's own tools work on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from discretize import Grid, Samples


class OnGrid(nn.Module):
    """A layer, or a chain of layers, as a module from tensors (*batch, c, X1, …, Xd) to tensors.

    Parameters
    ----------
    layer : nn.Module
        From Samples to Samples, or to a tensor of invariants.
    grid : Grid
        Where all inputs lie.

    Raises
    ------
    TypeError
        For an input that isn't a tensor.
    ValueError
        For one whose last axes aren't the grid's.

    Notes
    -----
    `torch.compile(fullgraph=True)`, `torch.export` (strict=False), `torch.vmap`, `torch.func.jvp` and
    `torch.func.functional_call` work on it for every layer here, but: BiasField isn't compiled, since its field is
    evaluated by a plan of its own; PoolField is neither compiled nor exported, since it asks its function at every
    point, nor is a convolution with a FieldKernel, whose support is what its field's tensors say; LearnablePolyphase
    draws its noise anew while it is trained. Layers that choose their samples (polyphases, Xu et al.) need strides that
    divide the shape.

    What depends on the grid alone, the taps of windows and kernels, is worked out on the first call and kept: call it
    once, on an input of the same dtype and device, before it is compiled or exported. Values aren't checked for NaN, as
    those of `Samples` are.

    Examples
    --------
    >>> import torch
    >>> from discretize import Grid
    >>> from fields import Box
    >>> from layers import AvgPool, OnGrid
    >>> OnGrid(AvgPool(Box(1.5)), Grid(6, 0.5))(torch.tensor([[0.0, 0.0, 3.0, 0.0, 0.0, 0.0]])).tolist()
    [[0.0, 1.0, 1.0, 1.0, 0.0, 0.0]]
    """

    def __init__(self, layer: nn.Module, grid: Grid) -> None:
        super().__init__()
        if not isinstance(layer, nn.Module):
            raise TypeError(f"expected an nn.Module on Samples, got {type(layer).__name__}")
        if not isinstance(grid, Grid):
            raise TypeError(f"grid must be a Grid, got {type(grid).__name__}")
        self.layer = layer
        self._frame = Samples(torch.zeros(1, *grid.shape), grid)

    @property
    def grid(self) -> Grid:
        """Where inputs lie."""
        return self._frame.grid

    def forward(self, values: Tensor) -> Tensor:
        """Values of the layer's output."""
        out = self.samples(values)
        if isinstance(out, Samples | Tensor) and out.dtype != values.dtype:
            raise RuntimeError(
                f"expected values of {out.dtype}, as the layer's parameters, got {values.dtype}: "
                f"convert one of them, values.to({out.dtype}) or layer.to({values.dtype})"
            )
        if isinstance(out, Samples):
            return out.values
        if not isinstance(out, Tensor):
            raise TypeError(
                f"the layer must return Samples or a tensor on Samples, got {type(out).__name__}"
            )
        return out

    def samples(self, values: Tensor) -> Any:
        """The layer's output with its grid."""
        shape = self.grid.shape
        if not isinstance(values, Tensor):
            raise TypeError(f"expected a tensor, got {type(values).__name__}: OnGrid takes values")
        if values.ndim <= len(shape) or tuple(values.shape[-len(shape) :]) != shape:
            raise ValueError(
                f"values on this grid have shape (*batch, c, {', '.join(map(str, shape))}), "
                f"got {tuple(values.shape)}"
            )
        return self.layer(self._frame._with(values))

    def extra_repr(self) -> str:
        """The grid."""
        return repr(self.grid)
