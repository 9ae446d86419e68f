"""Balls on lattices: the volume that a ball has in common with each cell.

In the plane the area is closed: the integral of the circle's ordinate, cut to the cell, between where the circle
enters and leaves it. In space it is integrated over the third coordinate, between the heights at which the circle of
the section meets a corner: there its derivatives jump. Both are taken in one octant and mirrored, so that the shares
have the symmetries of the ball and of the lattice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

#: Nodes of a Gauss rule between two corners: cells come out to 1e-13 of a whole one.
NODES = 24
#: Cells that are integrated at once.


def ball_in_cells(radius: float, axes: Sequence[Tensor], spacing: Sequence[float]) -> Tensor:
    """Volume (N1, …, Nd) of the centred ball in the cells around nodes.

    Parameters
    ----------
    radius : float
    axes : sequence of Tensor, shapes (Ni,)
        The nodes, evenly spaced; where they are j·spacing, |j| ≤ (Ni − 1)/2, one octant is computed, and mirrored.
    spacing : sequence of float
    """
    edges = [torch.cat([y - h / 2, y[-1:] + h / 2]) for y, h in zip(axes, spacing, strict=True)]
    sides = [((e[:-1], e[1:]), (-e[1:], -e[:-1])) for e in edges]
    if not all(len(y) % 2 and y[0] == -y[-1] for y in axes):
        return torch.stack([_in_octant(radius, side) for side in itertools.product(*sides)]).sum(0)
    octant = _in_octant(radius, [[end[len(end) // 2 :] for end in ahead] for ahead, _ in sides])
    for axis, y in enumerate(axes):
        octant.narrow(axis, 0, 1).mul_(2)  # halves of cells, at the plane of the axis
        whole = torch.arange(len(y), device=y.device).sub(len(y) // 2).abs()
        octant = octant.index_select(axis, whole)
    return octant


def _in_octant(radius: float, ends: Sequence[Sequence[Tensor]]) -> Tensor:
    """Volumes in what one octant has of cells, given by their lower and upper ends along each axis."""
    dim = len(ends)
    low, high = (
        torch.stack(torch.meshgrid(*(e.clamp(0, radius) for e in corner), indexing="ij"), -1)
        for corner in zip(*ends, strict=True)
    )
    volume = (high - low).prod(-1)
    volume = torch.where((low**2).sum(-1) < radius**2, volume, 0.0)
    cut = (volume > 0) & ((high**2).sum(-1) > radius**2)
    if dim > 1:
        share = _disc if dim == 2 else _section
        parts = zip(low[cut].split(PART), high[cut].split(PART), strict=True)
        volume[cut] = torch.cat([share(radius, a, b) for a, b in parts])
    return volume


def _disc(radius: float | Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Area of a disc in cells (…, 2) of the quadrant: a rectangle, a trapezium and the segment above its chord.

    The circle enters a cell at its top or on its left, and leaves it at its bottom or on its right.
    """
    (x, y), (far, top) = low.unbind(-1), high.unbind(-1)
    enters = torch.minimum(torch.maximum(_ordinate(radius, top), x), far)
    leaves = torch.minimum(torch.maximum(_ordinate(radius, y), x), far)
    first, last = _ordinate(radius, enters), _ordinate(radius, leaves)
    chord = torch.hypot(leaves - enters, first - last)
    angle = 2 * torch.atan2(chord, _ordinate(2 * radius, chord))
    segment = radius**2 / 2 * (angle - torch.sin(angle))
    return (enters - x) * (top - y) + (leaves - enters) * ((first + last) / 2 - y) + segment


def _ordinate(radius: float | Tensor, x: Tensor) -> Tensor:
    """√(r² − x²), 0 beyond the circle."""
    return ((radius - x) * (radius + x)).clamp(min=0).sqrt()


def _section(radius: float, low: Tensor, high: Tensor) -> Tensor:
    """Volume of a ball in cells (n, 3) of the octant: Gauss rules between the heights where a corner is met.

    At the ends the area may behave like a power 3/2 of the distance: x = sin(πs/2) makes it a whole power.
    """
    gauss, weight = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(NODES))
    turns, weight = math.pi / 2 * gauss.to(low), math.pi / 2 * weight.to(low)
    z, top = low[:, 2:], high[:, 2:]
    squares = [
        radius**2 - x[:, 0] ** 2 - y[:, 1] ** 2
        for x, y in itertools.product((low, high), (low, high))
    ]
    met = torch.stack(squares, -1).clamp(min=0).sqrt()
    ends = torch.cat([z, torch.minimum(torch.maximum(met, z), top), top], -1).sort(-1).values
    middle, half = (ends[:, 1:] + ends[:, :-1])[..., None] / 2, ends.diff(dim=-1)[..., None] / 2
    heights = middle + half * torch.sin(turns)
    areas = _disc(_ordinate(radius, heights), low[:, None, None, :2], high[:, None, None, :2])
    return (areas * half * torch.cos(turns) * weight).sum((-2, -1))
