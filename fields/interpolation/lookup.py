"""Batches of sample arrays met by batches of points: which map is asked where."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fields.arrays import broadcast
from fields.lattice import Lattice


@dataclass(frozen=True)
class Maps:
    """A batch of arrays of samples, listed as n = prod(lead)·channels maps.

    Attributes
    ----------
    lead : tuple of int
        Batch shape of the values.
    channels : int
    origin : Tensor, shape (d,) or (*batch, d), float64
        Position of the first sample; its batch broadcasts against `lead`.
    spacing : tuple of float
    """

    lead: torch.Size
    channels: int
    origin: Tensor
    spacing: tuple[float, ...]

    def positions(self, lattice: Lattice) -> list[Tensor]:
        """Coordinates of a lattice per axis, counted in samples from the first one, (*batch, X_i)."""
        return [
            (x - self.origin[..., i, None]) / h
            for i, (x, h) in enumerate(zip(lattice.axes(), self.spacing, strict=True))
        ]


def by_points(lattice: Lattice, maps: Maps, at: Callable[..., Tensor]) -> Tensor:
    """Values at all points of the lattices, listed: (*batch, c, X1, …, Xd).

    `at` takes the first sample's position, the spacing, points (Q, d), and a range of the n maps, and returns
    (Q, maps).
    """
    shape, dim, origin, lead = lattice.shape, lattice.dim, maps.origin, maps.lead
    points = lattice.points()
    if origin.ndim > 1:
        points = points - origin.reshape(*origin.shape[:-1], *(1,) * dim, dim)
        origin = torch.zeros_like(points[(0,) * (points.ndim - 1)])
    at = functools.partial(at, origin, points.new_tensor(maps.spacing))
    batch = points.shape[: -dim - 1]
    full = broadcast(batch, lead)
    if lead.numel() == 1:
        out = at(points.reshape(-1, dim), 0, maps.channels).reshape(*batch, *shape, -1)
        return out.movedim(-1, -dim - 1).reshape(*full, maps.channels, *shape)
    outer, inner = full[: len(full) - len(lead)], full[len(full) - len(lead) :]
    points = points.expand(*full, *points.shape[len(batch) :])
    if all(n == 1 for n in batch[-len(lead) :]):  # all at the same
        each = points[(slice(None),) * len(outer) + (0,) * len(lead)]
        out = at(each.reshape(-1, dim), 0, lead.numel() * maps.channels)
        out = out.reshape(*outer, *shape, *lead, maps.channels)
        middle = range(len(outer), len(outer) + dim)
        return out.permute(*range(len(outer)), *range(len(outer) + dim, out.ndim), *middle)
    parts = []
    element = torch.arange(lead.numel()).reshape(lead).expand(inner)
    for index in itertools.product(*map(range, inner)):
        each = points[(slice(None),) * len(outer) + index]
        first = int(element[index]) * maps.channels
        out = at(each.reshape(-1, dim), first, first + maps.channels)
        parts.append(out.reshape(*outer, *shape, -1).movedim(-1, len(outer)))
    return torch.stack(parts, dim=len(outer)).reshape(*full, maps.channels, *shape)


def by_element(
    lattice: Lattice, maps: Maps, on_axes: Callable[[Sequence[Tensor], int, int], Tensor]
) -> Tensor:
    """Values lattice by lattice: `on_axes` takes positions along the axes, in samples, and a range of the n maps."""
    positions = maps.positions(lattice)
    batch, channels = positions[0].shape[:-1], maps.channels
    full = broadcast(batch, maps.lead)
    if batch.numel() == 1:
        out = on_axes([p.reshape(-1) for p in positions], 0, maps.lead.numel() * channels)
        return out.reshape(*full, channels, *lattice.shape)
    element = torch.arange(maps.lead.numel()).reshape(maps.lead).expand(full).flatten().tolist()
    rows = [p.expand(*full, p.shape[-1]).reshape(-1, p.shape[-1]) for p in positions]
    parts = [
        on_axes([row[b] for row in rows], m * channels, (m + 1) * channels)
        for b, m in enumerate(element)
    ]
    return torch.stack(parts).reshape(*full, channels, *lattice.shape)


def flat_index(indices: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    """Flat indices (*batch, Y1, …, Yd) into an array of these sizes, of one index (*batch, Y_i) per axis."""
    dim = len(indices)
    flat = torch.zeros((), dtype=torch.long, device=indices[0].device)
    for axis, (index, size) in enumerate(zip(indices, sizes, strict=True)):
        lead, count = index.shape[:-1], index.shape[-1]
        flat = flat * size + index.reshape(*lead, *(1,) * axis, count, *(1,) * (dim - 1 - axis))
    return flat


def gather(values: Tensor, index: Tensor, dim: int) -> Tensor:
    """Values (*batch, c, X1, …, Xd) at flat indices (*batch', Y1, …, Yd), as (*batch'', c, Y1, …, Yd).

    Batch shapes broadcast. Where no axis is shared by both, samples are looked up once for all, so that the memory,
    and that of the gradient, is that of values plus result.
    """
    lead, outer = values.shape[: -dim - 1], index.shape[:-dim]
    rank = max(len(lead), len(outer))
    lead, outer = (1,) * (rank - len(lead)) + lead, (1,) * (rank - len(outer)) + outer
    flat = values.flatten(-dim)
    channels = flat.shape[-2]
    if all(a == 1 or b == 1 for a, b in zip(lead, outer, strict=True)):
        out = flat.reshape(*lead, channels, -1)[..., index.reshape(*outer, *index.shape[-dim:])]
        # axes: lead, c, outer, Y → (lead_i, outer_i) pairs, c, Y
        pairs = [axis for i in range(rank) for axis in (i, rank + 1 + i)]
        out = out.permute(*pairs, rank, *range(2 * rank + 1, 2 * rank + 1 + dim))
        batch = torch.Size(a * b for a, b in zip(lead, outer, strict=True))
        return out.reshape(*batch, channels, *index.shape[-dim:])
    batch = broadcast(lead, outer)
    where = index.reshape(*outer, 1, -1).expand(*batch, channels, -1)
    out = flat.reshape(*lead, channels, -1).expand(*batch, channels, -1).gather(-1, where)
    return out.reshape(*batch, channels, *index.shape[-dim:])
