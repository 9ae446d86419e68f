"""Stencils: weighted taps on a lattice, and how weighted points become such; `stencils.correlation` applies them."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from fields.accuracy import MOST_STEPS, MOST_TAPS, SNAP
from fields.lattice import Each, LatticeTooLarge, split


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
    chords : tuple of Tensor
        Of a maximum over a region with dense taps, per axis i: half-lengths, in steps, of the chords along this axis
        through the middle, negative where there is none, of shape (S1, …, Sd) without S_i; see `stencils.maxima`.
    """

    first: tuple[int, ...]
    step: tuple[int, ...]
    remainder: tuple[float, ...]
    taps: Tensor | tuple[Tensor, ...]
    matrix: Tensor | None = None
    chords: tuple[Tensor, ...] = ()

    @property
    def size(self) -> tuple[int, ...]:
        """Number of taps per axis."""
        if isinstance(self.taps, tuple):
            return tuple(len(t) for t in self.taps)
        return tuple(self.taps.shape[: len(self.first)])

    def to(self, like: Tensor) -> Stencil:
        """The stencil with the dtype and device of `like`."""
        taps = self.taps
        first = taps[0] if isinstance(taps, tuple) else taps
        if (first.dtype, first.device) == (like.dtype, like.device):
            return self
        moved = tuple(t.to(like) for t in taps) if isinstance(taps, tuple) else taps.to(like)
        return replace(
            self, taps=moved, matrix=None if self.matrix is None else self.matrix.to(like)
        )

    @functools.cached_property
    def by_axes(self) -> tuple[Stencil, ...]:
        """The stencils, dense and one after the other, of taps given as rows."""
        rows = self.taps if isinstance(self.taps, tuple) else ()
        shapes = ([-1 if i == axis else 1 for i in range(len(rows))] for axis in range(len(rows)))
        return tuple(
            replace(self, taps=row.reshape(shape)) for row, shape in zip(rows, shapes, strict=True)
        )

    @functools.cached_property
    def runs(self) -> tuple[tuple[tuple[int, ...], int], ...]:
        """Runs of taps, the same for every channel, that aren't zero, along the last axis: the samples under them.

        Index of the first and number, for taps mirrored as in a convolution: the last tap meets the first sample.
        """
        dense = outer(self.taps) if isinstance(self.taps, tuple) else self.taps
        inside = dense.detach().flip(tuple(range(dense.ndim))).cpu() != 0
        before = torch.nn.functional.pad(inside, (1, 0))[..., :-1]
        after = torch.nn.functional.pad(inside, (0, 1))[..., 1:]
        first, last = (inside & ~before).nonzero(), (inside & ~after).nonzero()
        counts = (last[:, -1] - first[:, -1] + 1).tolist()
        return tuple((tuple(f), n) for f, n in zip(first.tolist(), counts, strict=True))

    @property
    def last(self) -> tuple[int, ...]:
        """Offset of the last tap, in pitches."""
        return tuple(
            f + p * (n - 1) for f, p, n in zip(self.first, self.step, self.size, strict=True)
        )


def place(
    first: Each, step: Sequence[int], pitch: Each
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[float, ...]]:
    """`first`, `step` and `remainder` of a stencil whose first tap lies at `first`, in length units."""
    parts = [split(f / p) for f, p in zip(first, pitch, strict=True)]
    return tuple(w for w, _ in parts), tuple(step), tuple(r for _, r in parts)


def nodes(radius: Each, spacing: Each, separable: bool = False) -> list[Tensor]:
    """Quadrature nodes j·spacing, per axis, of all cells that meet [−radius, radius].

    LatticeTooLarge where they are too many: in all, or per axis for taps that are `separable`.
    """
    return nodes_between([-r for r in radius], radius, spacing, separable)


def nodes_between(low: Each, high: Each, spacing: Each, separable: bool = False) -> list[Tensor]:
    """The same of all cells that meet a box with corners `low` and `high`."""
    ends = [
        (a / q + 0.5 + SNAP, b / q - 0.5 - SNAP) for a, b, q in zip(low, high, spacing, strict=True)
    ]
    counts = [max(1, b - a + 1) for a, b in ends]
    radius = tuple((b - a) / 2 for a, b in zip(low, high, strict=True))
    few(max(counts) if separable else math.prod(counts), radius)
    pairs = zip(((math.floor(a), math.ceil(b)) for a, b in ends), spacing, strict=True)
    return [q * torch.arange(a, max(a, b) + 1, dtype=torch.float64) for (a, b), q in pairs]


def few(count: float, radius: Any) -> None:
    """Raise LatticeTooLarge for more than `MOST_TAPS` taps."""
    if count > MOST_TAPS:
        raise LatticeTooLarge(
            f"a kernel or window of half-widths {radius} has {count:.3g} taps at this spacing, more than {MOST_TAPS}: "
            "take a smaller one, a coarser grid or fewer nodes, or PeriodicKernel for one as wide as the period"
        )


def cell_overlap(nodes: Tensor, spacing: float, radius: float | Tensor) -> Tensor:
    """Length of each node's cell [y − h/2, y + h/2] inside [−radius, radius]."""
    low = torch.clamp(nodes - spacing / 2, min=-radius)
    high = torch.clamp(nodes + spacing / 2, max=radius)
    return torch.clamp(high - low, min=0.0)


def chord(half: float) -> Tensor:
    """Taps of a maximum over a chord of `half` steps to both sides: 1 inside, θ for the first node outside.

    θ is the rim's place between the last node inside, 0, and the first one outside, 1.
    """
    few(2 * half, half)
    whole, rest = split(half)
    inside = torch.ones(2 * whole + 1, dtype=torch.float64)
    return torch.nn.functional.pad(inside, (1, 1), value=rest) if rest else inside


def centred(count: int, spacing: float) -> Tensor:
    """Evenly spaced positions around 0."""
    return (torch.arange(count, dtype=torch.float64) - (count - 1) / 2) * spacing


def on_lattice(spacing: Each, pitch: Each) -> bool:
    """Whether spacings are whole multiples of the pitch."""
    return all(split(q / p)[1] == 0 and q > 0.5 * p for q, p in zip(spacing, pitch, strict=True))


def outer(rows: Sequence[Tensor]) -> Tensor:
    """Outer product of d vectors."""
    product = rows[0]
    for row in rows[1:]:
        product = product[..., None] * row
    return product


def on_nodes(
    axes: Sequence[Tensor],
    pitch: Each,
    taps: Tensor | tuple[Tensor, ...],
    matrix: Tensor | None = None,
    spacing: Each | None = None,
) -> list[Stencil]:
    """Stencils of taps on the product of `axes`, evenly spaced positions in length units.

    `spacing` says that they are centred, and how far apart: then no number is read from a tensor.
    """
    counts = [len(y) for y in axes]
    if spacing is None:
        spacing = [
            float(y[1] - y[0]) if len(y) > 1 else p for y, p in zip(axes, pitch, strict=True)
        ]
        first = [float(y[0]) for y in axes]
    else:
        spacing = [q if n > 1 else p for q, n, p in zip(spacing, counts, pitch, strict=True)]
        first = [-(n - 1) / 2 * q for n, q in zip(counts, spacing, strict=True)]
    steps = [split(q / p) for q, p in zip(spacing, pitch, strict=True)]
    if all(rest == 0 and step > 0 for step, rest in steps):
        place_at = place(first, [step for step, _ in steps], pitch)
        return [Stencil(*place_at, taps, matrix)]
    dense = outer(taps) if isinstance(taps, tuple) else taps
    if matrix is not None:
        dense = dense[..., None, None] * matrix
    return cosets(points_of(axes), dense.flatten(0, len(axes) - 1), pitch)


def points_of(axes: Sequence[Tensor]) -> Tensor:
    """The points (k, d) on the product of axes; one where there are none."""
    if not axes:
        return torch.zeros(1, 0, dtype=torch.float64)
    return torch.cartesian_prod(*axes).reshape(-1, len(axes))


def cosets(offsets: Tensor, weights: Tensor, pitch: Each) -> list[Stencil]:
    """Stencils of weighted points (k, d), weights (k, …), one for the points that agree modulo the pitch."""
    return [layout.stencil(weights) for layout in layouts(offsets, pitch)]


@dataclass(frozen=True)
class Layout:
    """Where the taps of one stencil go: what doesn't depend on their weights.

    Attributes
    ----------
    first, step, size : tuple of int
    remainder : tuple of float
        As for the stencil.
    members : Tensor (m,)
        Which of all points these are.
    index : tuple of d Tensor (m,)
        Their places among the taps.
    """

    first: tuple[int, ...]
    step: tuple[int, ...]
    remainder: tuple[float, ...]
    size: tuple[int, ...]
    members: Tensor
    index: tuple[Tensor, ...]

    def stencil(self, weights: Tensor) -> Stencil:
        """The stencil for the weights (k, …) of all points."""
        own = weights[self.members.to(weights.device)]
        taps = weights.new_zeros(*self.size, *own.shape[1:])
        place_at = tuple(i.to(weights.device) for i in self.index)
        taps = taps.index_put(place_at, own, accumulate=True)
        return Stencil(self.first, self.step, self.remainder, taps)


def layouts(offsets: Tensor, pitch: Each) -> list[Layout]:
    """Layouts of points (k, d), one for those that agree modulo the pitch."""
    groups: dict[tuple[float, ...], list[int]] = {}
    places = [place(o, (1,) * len(pitch), pitch) for o in offsets.tolist()]
    far = max((abs(w) for whole, _, _ in places for w in whole), default=0)
    if far > MOST_STEPS:
        raise ValueError(
            f"points lie up to {far:.3g} spacings of {tuple(pitch)} away, more than {MOST_STEPS}: check the units"
        )
    for index, (_, _, remainder) in enumerate(places):
        groups.setdefault(tuple(round(r, 10) for r in remainder), []).append(index)
    found = []
    for members in groups.values():
        whole = torch.tensor([places[i][0] for i in members])
        found += _laid_out(whole, places[members[0]][2], torch.tensor(members))
    return found


def _laid_out(whole: Tensor, remainder: tuple[float, ...], members: Tensor) -> list[Layout]:
    first = whole.amin(0)
    distance = whole - first
    step = tuple(max(1, math.gcd(*column)) for column in distance.T.tolist())
    index = distance // torch.tensor(step)
    size = tuple((index.amax(0) + 1).tolist())
    if math.prod(size) <= 64 * len(whole):
        place_at = tuple(index.T.unbind())
        return [Layout(tuple(first.tolist()), step, remainder, size, members, place_at)]
    ones, corner = (1,) * len(size), (torch.zeros(1, dtype=torch.long),) * len(size)
    return [  # a few taps far apart: one stencil each
        Layout(tuple(w.tolist()), ones, remainder, ones, member[None], corner)
        for w, member in zip(whole, members, strict=True)
    ]
