"""Stencils: weighted taps on a lattice, and how weighted points become such. `fields.correlation` applies them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fields.lattice import SNAP, split


@dataclass(frozen=True)
class Stencil:
    """Taps at (remainder + first + step·j) pitches, 0 ≤ j < size, per axis.

    Attributes
    ----------
    first, step : tuple of int
        Offset of the first tap and distance of the taps, in pitches.
    remainder : tuple of float
        Common fraction of a pitch, in [0, 1), of all offsets.
    taps : Tensor or tuple of Tensor
        (S1, …, Sd, out, in) matrix-valued; or (S1, …, Sd), the same for every channel; or d tensors (S_i,), their
        outer product, the same for every channel.
    matrix : Tensor (out, in), optional
        Mixes the channels of taps that are the same for every channel.
    """

    first: tuple[int, ...]
    step: tuple[int, ...]
    remainder: tuple[float, ...]
    taps: Tensor | tuple[Tensor, ...]
    matrix: Tensor | None = None

    @property
    def size(self) -> tuple[int, ...]:
        """Number of taps per axis."""
        if isinstance(self.taps, tuple):
            return tuple(len(t) for t in self.taps)
        return tuple(self.taps.shape[: len(self.first)])

    def to(self, like: Tensor) -> Stencil:
        """The stencil with the dtype and device of `like`."""
        taps = self.taps
        moved = tuple(t.to(like) for t in taps) if isinstance(taps, tuple) else taps.to(like)
        return replace(
            self, taps=moved, matrix=None if self.matrix is None else self.matrix.to(like)
        )

    @property
    def last(self) -> tuple[int, ...]:
        """Offset of the last tap, in pitches."""
        return tuple(
            f + p * (n - 1) for f, p, n in zip(self.first, self.step, self.size, strict=True)
        )


def place(
    first: Sequence[float], step: Sequence[int], pitch: Sequence[float]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[float, ...]]:
    """`first`, `step` and `remainder` of a stencil whose first tap lies at `first`, in length units."""
    parts = [split(f / p) for f, p in zip(first, pitch, strict=True)]
    return tuple(w for w, _ in parts), tuple(step), tuple(r for _, r in parts)


def nodes(radius: Sequence[float], spacing: Sequence[float]) -> list[Tensor]:
    """Quadrature nodes j·spacing, per axis, of all cells that meet [−radius, radius]."""
    axes = []
    for r, q in zip(radius, spacing, strict=True):
        reach = max(0, math.ceil(r / q - 0.5 - SNAP))
        axes.append(q * torch.arange(-reach, reach + 1, dtype=torch.float64))
    return axes


def cell_overlap(nodes: Tensor, spacing: float, radius: float | Tensor) -> Tensor:
    """Length of each node's cell [y − h/2, y + h/2] inside [−radius, radius]."""
    low = torch.clamp(nodes - spacing / 2, min=-radius)
    high = torch.clamp(nodes + spacing / 2, max=radius)
    return torch.clamp(high - low, min=0.0)


def outer(rows: Sequence[Tensor]) -> Tensor:
    """Outer product of d vectors."""
    product = rows[0]
    for row in rows[1:]:
        product = product[..., None] * row
    return product


def on_nodes(
    axes: Sequence[Tensor],
    pitch: Sequence[float],
    taps: Tensor | tuple[Tensor, ...],
    matrix: Tensor | None = None,
) -> list[Stencil]:
    """Stencils of taps on the product of `axes`, evenly spaced positions in length units."""
    spacing = [float(y[1] - y[0]) if len(y) > 1 else p for y, p in zip(axes, pitch, strict=True)]
    steps = [split(q / p) for q, p in zip(spacing, pitch, strict=True)]
    if all(rest == 0 and step > 0 for step, rest in steps):
        place_at = place([float(y[0]) for y in axes], [step for step, _ in steps], pitch)
        return [Stencil(*place_at, taps, matrix)]
    dense = outer(taps) if isinstance(taps, tuple) else taps
    if matrix is not None:
        dense = dense[..., None, None] * matrix
    offsets = torch.cartesian_prod(*axes).reshape(-1, len(axes))
    return cosets(offsets, dense.flatten(0, len(axes) - 1), pitch)


def cosets(offsets: Tensor, weights: Tensor, pitch: Sequence[float]) -> list[Stencil]:
    """Stencils of weighted points (k, d), weights (k, …), one for the points that agree modulo the pitch."""
    groups: dict[tuple[float, ...], list[int]] = {}
    places = [place(o, (1,) * len(pitch), pitch) for o in offsets.tolist()]
    for index, (_, _, remainder) in enumerate(places):
        groups.setdefault(tuple(round(r, 10) for r in remainder), []).append(index)
    stencils = []
    for members in groups.values():
        whole = torch.tensor([places[i][0] for i in members])
        remainder = places[members[0]][2]
        stencils += _gathered(
            whole, remainder, weights[torch.tensor(members, device=weights.device)]
        )
    return stencils


def _gathered(whole: Tensor, remainder: tuple[float, ...], weights: Tensor) -> list[Stencil]:
    first = whole.amin(0)
    distance = whole - first
    step = tuple(max(1, math.gcd(*column)) for column in distance.T.tolist())
    index = distance // torch.tensor(step)
    size = tuple((index.amax(0) + 1).tolist())
    if math.prod(size) > 64 * len(whole):  # a few taps far apart: one stencil each
        return [
            Stencil(
                tuple(w.tolist()),
                (1,) * len(size),
                remainder,
                v.reshape(*(1,) * len(size), *v.shape),
            )
            for w, v in zip(whole, weights, strict=True)
        ]
    taps = weights.new_zeros(*size, *weights.shape[1:])
    place_at = tuple(i.to(weights.device) for i in index.T)
    taps = taps.index_put(place_at, weights, accumulate=True)
    return [Stencil(tuple(first.tolist()), step, remainder, taps)]
