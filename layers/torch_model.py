"""Any torch model as a layer on samples."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from discretize import Grid, Samples
from fields import Field
from fields.checks import VectorLike, per_axis, positive
from fields.lattice import split


class TorchModel(nn.Module):
    """A module on tensors (batch, c, X1, …, Xd) as a layer on Samples.

    Parameters
    ----------
    module : nn.Module
        Returns one tensor, (batch, c', Y1, …, Yd) or anything else.
    stride : float or sequence of float, optional
        Spacing of the output in spacings of the input; X/Y per axis unless given, so that the output covers the same
        extent.
    offset : float or sequence of float
        Where the first sample of the output lies, in spacings of the input after its first one. A convolution of odd
        size S with padding (S − 1)/2 has 0, whatever its stride; without padding (S − 1)/2, and stride=1 says that it
        cuts the rim off; a pooling of k samples that don't overlap has (k − 1)/2.

    Returns
    -------
    Samples or Tensor
        An output without the d axes of space is returned as a tensor, (*batch, …).

    Raises
    ------
    TypeError
        For a Field, which has to be sampled first, and for a module that returns something else than a tensor.
    ValueError
        Where no stride is given and the output of a grid that isn't periodic has sizes that don't divide the input's.

    Notes
    -----
    The output continues outside as the input does where it covers the same extent; otherwise its boundary is "none".
    Nothing is assumed of the module: how far it is from commuting with translations is for `equivariance_error` to say.

    Examples
    --------
    >>> import torch
    >>> from discretize import Grid, Samples
    >>> from layers import TorchModel
    >>> f = Samples(torch.zeros(1, 8, 8), Grid((8, 8), 0.5))
    >>> TorchModel(torch.nn.MaxPool2d(2), offset=0.5)(f).grid
    Grid(shape=(4, 4), spacing=(1.0, 1.0), origin=[0.25, 0.25], boundary='periodic')
    """

    def __init__(
        self, module: nn.Module, stride: VectorLike | None = None, offset: VectorLike = 0.0
    ) -> None:
        super().__init__()
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"expected an nn.Module on tensors (batch, c, X1, …, Xd), got {type(module).__name__}"
            )
        self.module, self.stride, self.offset = module, stride, offset

    def forward(self, f: Any) -> Samples | Tensor:
        """Apply the module to Samples."""
        if isinstance(f, Field):
            raise TypeError(
                "a torch model needs samples, got a Field: sample(field, grid) gives them"
            )
        if not isinstance(f, Samples):
            raise TypeError(
                f"expected Samples, got {type(f).__name__}: "
                "a tensor (*batch, c, X1, …, Xd) becomes one by Samples(tensor, Grid(shape, spacing))"
            )
        values, lead = f.values, tuple(f.values.shape[: -f.dim - 1])
        out = self._applied(values.reshape(math.prod(lead), *values.shape[len(lead) :]))
        if not isinstance(out, Tensor):
            raise TypeError(
                f"the module must return one tensor, got {type(out).__name__}: wrap it in one that picks it"
            )
        if out.ndim == 0 or len(out) != math.prod(lead):
            raise ValueError(
                f"the module must keep the batch of {math.prod(lead)}, got an output of shape {tuple(out.shape)}"
            )
        out = out.reshape(*lead, *out.shape[1:])
        if out.ndim != values.ndim:
            return out
        return f._with(out, self._grid(f.grid, tuple(out.shape[-f.dim :])))

    def _applied(self, values: Tensor) -> Any:
        try:
            return self.module(values)
        except RuntimeError as error:
            own = {p.dtype for p in self.module.parameters() if p.is_floating_point()}
            if own - {values.dtype}:
                listed = ", ".join(sorted(map(str, own)))
                error.add_note(
                    f"the samples are {values.dtype}, the module's parameters {listed}; convert one of them, "
                    f"model.to({values.dtype}), or samples.to(dtype), or the field before it is sampled"
                )
            raise

    def _grid(self, grid: Grid, shape: tuple[int, ...]) -> Grid:
        """Where an output of some shape lies."""
        ratios = [n / m for n, m in zip(grid.shape, shape, strict=True)]
        offset = per_axis(self.offset, grid.dim, "offset")
        if self.stride is not None:
            steps = positive(self.stride, grid.dim, "stride")
        else:
            steps = tuple(ratios)
            if grid.boundary != "periodic" and any(split(max(r, 1 / r))[1] for r in ratios):
                raise ValueError(
                    f"an output of shape {shape} from a grid of shape {grid.shape} doesn't tell its spacing: "
                    "give stride=…, and offset=… where its first sample isn't at the input's first one"
                )
        if steps == (1.0,) * grid.dim and not any(offset) and shape == grid.shape:
            return grid
        covers = all(math.isclose(s, r) for s, r in zip(steps, ratios, strict=True))
        move = [o * h for o, h in zip(offset, grid.spacing, strict=True)]
        return grid.replace(
            shape=shape,
            spacing=[s * h for s, h in zip(steps, grid.spacing, strict=True)],
            origin=grid.origin + grid.origin.new_tensor(move),
            boundary=grid.boundary if covers else "none",
        )
