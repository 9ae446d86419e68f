"""Which samples an operation reaches: under stencils, and on another part of the same lattice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from discretize.boundary import extend, outside
from discretize.grid import Grid
from fields.interpolation.lookup import flat_index, gather
from fields.kernels.aggregation import View
from fields.stencils.stencil import Stencil


def seen_by(stencils: Sequence[Stencil], values: Tensor, grid: Grid) -> tuple[list[View], Grid]:
    """Samples (*batch, c, X1, …, Xd) on `grid` as stencils see them, and the grid of what they make of them.

    Their common remainder, a part of the spacing, moves the origin; with boundary "none" the grid shrinks to the points
    all of whose taps are known.

    Raises
    ------
    ValueError
        Where the offsets of the taps don't agree modulo the spacing, or don't fit into a grid with boundary "none".
    """
    remainders = {tuple(round(r, 10) for r in s.remainder) for s in stencils}
    if len(remainders) > 1:
        raise ValueError(
            f"the offsets of these taps differ by fractions {sorted(remainders)} of the grid's spacing "
            f"{grid.spacing}: on samples they must agree modulo the spacing"
        )
    views = []
    ones = (1,) * grid.dim
    lasts = [max(c) for c in zip(*(s.last for s in stencils), strict=True)]
    firsts = [min(c) for c in zip(*(s.first for s in stencils), strict=True)]
    start, count = [0] * grid.dim, list(grid.shape)
    if grid.boundary == "none":
        start = lasts
        count = [n - b + a for n, a, b in zip(count, firsts, lasts, strict=True)]
        if min(count) < 1:
            raise ValueError(
                f"taps from {firsts} to {lasts} don't fit into a grid of shape {grid.shape}"
            )
    for stencil in stencils:
        low = [i - b for i, b in zip(start, stencil.last, strict=True)]
        high = [i + n - 1 - a for i, n, a in zip(start, count, stencil.first, strict=True)]
        around = extend(values, low, high, grid.boundary)
        views.append(View(around, stencil, stencil.step, ones))
    move = [(i + r) * h for i, r, h in zip(start, stencils[0].remainder, grid.spacing, strict=True)]
    if any(move) or tuple(count) != grid.shape:
        grid = grid.replace(shape=count, origin=grid.origin + grid.origin.new_tensor(move))
    return views, grid


def every(first: Tensor, strides: Sequence[int], shape: Sequence[int]) -> list[Tensor]:
    """Per axis the indices first + s·k, 0 ≤ k < shape, (*batch, Y_i) for first (*batch, d)."""
    return [
        first[..., axis, None] + s * torch.arange(count, device=first.device)
        for axis, (s, count) in enumerate(zip(strides, shape, strict=True))
    ]


def looked_up(
    values: Tensor, grid: Grid, steps: Tensor, target: Grid, strides: Sequence[int]
) -> Tensor:
    """Samples on `grid` at the points of `target`, every s-th from `steps` (*batch, d) spacings on, bit for bit.

    Outside of `grid` its boundary says what they are; with boundary "none", ValueError.
    """
    indices = every(steps.to(values.device), strides, target.shape)
    sources = [
        outside(index, n, grid.boundary) for index, n in zip(indices, grid.shape, strict=True)
    ]
    flat = flat_index([source.clamp(min=0) for source in sources], grid.shape)
    found = gather(values, flat, grid.dim)
    if all(bool((source >= 0).all()) for source in sources):
        return found
    if grid.boundary == "none":
        raise ValueError(f"{target} has points that {grid} doesn't know: crop it first")
    unknown = flat_index([(source < 0).long() for source in sources], (2,) * grid.dim)
    return found * (unknown == 0).unsqueeze(-grid.dim - 1)
