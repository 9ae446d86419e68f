"""Points of a region that a maximum is taken over where no lattice holds its nodes: each is looked at by itself.

The same nodes and crossings of the rim as in `fields.maxima`, with the values there instead of those interpolated from
the nodes around: the two differ by q²|F″|/8 at most, q being the spacing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fields.lattice import PerAxis, split
from fields.stencil import Stencil, centred, cosets, points_of


def to_the_rim(reach: float, spacing: float) -> Tensor:
    """Nodes j·spacing within a reach, and both its ends."""
    whole, rest = split(reach / spacing)
    inside = centred(2 * whole + 1, spacing)
    ends = inside.new_tensor([-reach, reach])
    return torch.cat([inside, ends]) if rest else inside


def in_a_ball(axes: list[Tensor], node: PerAxis, inside: Tensor, chords: list[Tensor]) -> Tensor:
    """Nodes inside of a ball, and the points (k, d) where the lines that they lie on cross its rim."""
    found = [points_of(axes)[inside.flatten()]]
    for axis, half in enumerate(chords):
        line = points_of(axes[:axis] + axes[axis + 1 :])
        ends = half.reshape(-1, 1) * node[axis]
        for side in (-ends, ends):
            crossing = torch.cat([line[:, :axis], side, line[:, axis:]], dim=-1)
            found.append(crossing[half.flatten() >= 0])
    return torch.cat(found)


def as_points(offsets: Tensor, pitch: PerAxis) -> list[Stencil]:
    """Stencils of points (k, d) that a maximum is taken over, wherever they lie."""
    return cosets(offsets, offsets.new_ones(len(offsets)), pitch)
