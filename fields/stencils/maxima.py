"""Maxima over regions, of what is interpolated linearly between nodes.

The largest of a region's nodes misses the true maximum by the field's slope times the way from the outermost nodes to
the rim: first order, with a factor that jumps whenever a node enters, and no sign of it where doubling the nodes
brings none closer. So the points where the lattice's lines cross the rim count, too, with the value interpolated
linearly between the two nodes around them. What is left is of second order in the spacing q for a smooth field:
q²|F″|/8 for a crest between nodes or a rim between two crossings, and as much for the interpolation. Weights stay in
[0, 1]: constants are kept, and a larger field has the larger maximum. Where the nodes' spacing and that of the points
that are asked for have no common lattice, the crossings are looked at themselves, see `fields.kernels.window`.

    o───o───o───o─x─o      x: the rim, a part θ of the way from the last node inside to the first one outside
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from fields.accuracy import MAXIMUM_BLOCK
from fields.lattice import split, take
from fields.stencils.correlation import maximum
from fields.stencils.stencil import Stencil


def highest(
    values: Tensor, stencil: Stencil, dilation: Sequence[int], stride: Sequence[int]
) -> Tensor:
    """Largest value over the region of a stencil, with the arguments of `fields.stencils.correlation.convolve`.

    Rows of taps, one per axis, end with the fractions θ of `stencils.stencil.chord`. Dense taps are 1 at the nodes
    inside, and `stencil.chords` says how far the region reaches on the lattice's lines; without it they are points.
    """
    if not stencil.chords and not isinstance(stencil.taps, tuple):
        return maximum(values, stencil, dilation, stride)
    dim, step = len(stencil.first), stride[0]
    span = dilation[0] * (stencil.size[0] - 1) + 1
    count = (values.shape[-dim] - span) // step + 1
    width = values.shape[-dim + 1 :].numel() if dim > 1 else 1
    rows = max(2 * span, MAXIMUM_BLOCK // max(1, width))
    flat = values.reshape(-1, *values.shape[-dim:])
    maps = []
    for some in flat.split(max(1, MAXIMUM_BLOCK // (width * values.shape[-dim]))):
        starts = range(0, count, rows)
        ends = (step * (min(a + rows, count) - 1) + span for a in starts)
        blocks = (some[:, step * a : b] for a, b in zip(starts, ends, strict=True))
        maps.append(torch.cat([_of_block(b, stencil, dilation, stride) for b in blocks], dim=1))
    found = maps[0] if len(maps) == 1 else torch.cat(maps)
    return found.reshape(*values.shape[:-dim], *found.shape[1:])


def _of_block(
    values: Tensor, stencil: Stencil, dilation: Sequence[int], stride: Sequence[int]
) -> Tensor:
    if isinstance(stencil.taps, tuple):
        return _over_a_box(values, list(stencil.taps), dilation, stride)
    return _over_chords(values, stencil, dilation, stride)


def _over_chords(
    values: Tensor, stencil: Stencil, dilation: Sequence[int], stride: Sequence[int]
) -> Tensor:
    """Maximum of maps (n, X1, …, Xd) over the nodes inside and the points where the lattice's lines cross the rim."""
    best = maximum(values, stencil, dilation, stride)
    outputs, size = best.shape[1:], stencil.size

    def at(tap: Sequence[int]) -> Tensor:
        places = zip(tap, dilation, stride, outputs, strict=True)
        return take(values, (slice(i * d, i * d + p * (n - 1) + 1, p) for i, d, p, n in places))

    for axis, chords in enumerate(stencil.chords):
        lines = itertools.product(*(range(n) for i, n in enumerate(size) if i != axis))
        for line, half in zip(lines, chords.flatten().tolist(), strict=True):
            whole, rest = split(half)
            if half < 0 or not rest:
                continue
            for side in (-1, 1):
                inner, outer = (
                    (*line[:axis], size[axis] // 2 + side * n, *line[axis:])
                    for n in (whole, whole + 1)
                )
                best = torch.maximum(best, torch.lerp(at(inner), at(outer), rest))
    return best


def _over_a_box(
    values: Tensor, rows: list[Tensor], dilation: Sequence[int], stride: Sequence[int]
) -> Tensor:
    """Maximum over a product of chords, the last axis first: each is cut into the nodes inside and the two rims."""
    if not rows:
        return values
    last = len(rows) - 1
    row, d, p, axis = rows[last], dilation[last], stride[last], last - len(dilation)
    rest = (rows[:last], dilation, stride)
    moved = values.movedim(axis, -1)
    count = (moved.shape[-1] - d * (len(row) - 1) - 1) // p + 1
    theta = float(row[0])
    rims = []
    if theta < 1:
        for outer, inner in ((0, 1), (len(row) - 1, len(row) - 2)):
            near, far = (
                moved[..., i * d : i * d + p * (count - 1) + 1 : p] for i in (inner, outer)
            )
            rims.append(torch.lerp(near, far, theta).movedim(-1, axis))
        moved, row = moved[..., d : moved.shape[-1] - d], row[1:-1]
    run = Stencil((0,), (1,), (0.0,), (row,))
    inside = _over_a_box(maximum(moved, run, [d], [p]).movedim(-1, axis), *rest)
    for rim in rims:
        inside = torch.maximum(inside, _over_a_box(rim, *rest))
    return inside
