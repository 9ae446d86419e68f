"""Which samples an operation reaches: under stencils, and on another part of the same lattice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from discretize.boundary import extend, outside
from discretize.grid import Grid
from fields.aggregation import View
from fields.gathering import gather
from fields.stencil import Stencil


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


def looked_up(
    values: Tensor, grid: Grid, steps: Tensor, target: Grid, strides: Sequence[int]
) -> Tensor:
    """Samples on `grid` at the points of `target`, every s-th from `steps` (*batch, d) spacings on, bit for bit.

    Outside of `grid` its boundary says what they are; with boundary "none", ValueError.
    """
    flat, known = torch.zeros((), dtype=torch.long, device=values.device), None
    for axis, (size, count, s) in enumerate(zip(grid.shape, target.shape, strides, strict=True)):
        index = steps[..., axis, None].to(values.device)
        index = index + s * torch.arange(count, device=values.device)
        source = outside(index, size, grid.boundary)
        lead = (*index.shape[:-1], *(1,) * axis, count, *(1,) * (grid.dim - 1 - axis))
        inside = (source >= 0).reshape(lead)
        known = inside if known is None else known & inside
        flat = flat * size + source.clamp(min=0).reshape(lead)
    assert known is not None
    found = gather(values, flat, grid.dim)
    if bool(known.all()):
        return found
    if grid.boundary == "none":
        raise ValueError(f"{target} has points that {grid} doesn't know: crop it first")
    return found * known.unsqueeze(-grid.dim - 1)
