"""Layouts that an output may have, by how it grows with the input, and which of them moves when the input does."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from equivariance.measuring.layouts import Layout

#: Share of what varies that may disagree with a moved map: borders and aliasing leave some, other layouts all.
MOVES = 0.3
#: Share of it from which on an output that grows with the input doesn't move with it at all: a spectrum, say.
UNRELATED = 0.7
#: The best of several layouts has to be better than the next by so much.
BETTER = 0.1
#: Samples a side from which on a vector may be a flattened map: fewer move along by chance.
LEAST = 4
#: Tokens that may stand in front of those of points, at most.
LEADING = 16

#: Score of a layout: ‖Δ(t▷F) − t▷Δ(F)‖² / (‖Δ(t▷F)‖² + ‖Δ(F)‖²), Δ between two inputs; 1 for what is unrelated.
Scores = Mapping[Layout, float]

SEVERAL = "several of its axes grow with each of the input's"
UNCLEAR = "which of its axes are space isn't told by how it grows or moves"
NOT_FOUND = (SEVERAL, UNCLEAR)


def by_growth(
    shape: tuple[int, ...], grown: Sequence[tuple[int, ...] | None], size: Sequence[int]
) -> list[Layout] | None:
    """Layouts that fit how an output grows where one axis of the input is doubled; None where that isn't known.

    Parameters
    ----------
    shape : tuple of int
        Without the axis of the batch.
    grown : sequence of tuple of int or None
        The same for inputs that are doubled on the first, second … axis.
    size : sequence of int
        Of the input.

    Raises
    ------
    ValueError
        Where it grows in ways that no layout explains.
    """
    if any(g is None or len(g) != len(shape) for g in grown):
        return None
    more = [[a - b for a, b in zip(g or (), shape, strict=True)] for g in grown]
    axes = [[i for i, n in enumerate(row) if n] for row in more]
    if not any(axes):
        return []
    if max(map(len, axes)) > 1:
        raise ValueError(SEVERAL)
    firsts = [row[0] if row else -1 for row in axes]
    if len(set(firsts)) == len(size) and -1 not in firsts:
        maps = [Layout(tuple(shape[a] for a in firsts), tuple(firsts))]
        lead = shape[firsts[0]] - more[0][firsts[0]]
        if len(size) == 1 and 0 < lead <= min(LEADING, shape[firsts[0]] // 2):
            maps.append(Layout((shape[firsts[0]] - lead,), (firsts[0],), lead))
        return maps
    if len(set(firsts)) == 1 and len({row[firsts[0]] for row in more}) == 1:
        found = list(_flattened(shape, firsts[0], more[0][firsts[0]], size))
        if not found:
            raise ValueError(UNCLEAR)
        return found
    if -1 in firsts:  # one axis is pooled to a fixed size
        return None
    raise ValueError(SEVERAL)


def _flattened(
    shape: tuple[int, ...], axis: int, points: int, size: Sequence[int]
) -> Iterator[Layout]:
    """All maps in one axis, of which so many samples belong to points."""
    lead = shape[axis] - points
    if not 0 <= lead <= LEADING:
        return
    for sizes in _sizes(size):
        channels, rest = divmod(points, math.prod(sizes))
        if rest == 0 and (channels == 1 or len(shape) == 1):
            yield Layout(sizes, (axis,), lead, channels)


def _sizes(size: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Sizes of maps with one stride on all axes."""
    for stride in range(1, min(size) + 1):
        if all(n % stride == 0 for n in size) and math.prod(size) > stride ** len(size):
            yield tuple(n // stride for n in size)


def by_shape(shape: tuple[int, ...], size: Sequence[int]) -> list[Layout]:
    """Layouts that an output may have as far as its shape tells, the commonest first."""
    dim, found = len(size), []
    places = [len(shape) - dim, 0, len(shape) - dim - 1]
    for first in places:
        sizes = shape[first : first + dim] if first >= 0 else ()
        if len(sizes) == dim and max(sizes) > 1:
            found.append(Layout(sizes, tuple(range(first, first + dim))))
    if len(shape) == 2:
        for axis in (0, 1):
            for sizes in _sizes(size):
                lead = shape[axis] - math.prod(sizes)
                fits = 0 <= lead <= min(LEADING, shape[axis] // 2)
                if fits and (dim > 1 or lead):
                    found.append(Layout(sizes, (axis,), lead))
    if len(shape) == 1:
        for sizes in _sizes(size):
            if shape[0] % math.prod(sizes) == 0 and min(sizes) >= LEAST:
                found.append(Layout(sizes, (0,), channels=shape[0] // math.prod(sizes)))
    return list(dict.fromkeys(found))


def usual(shape: tuple[int, ...], dim: int) -> Layout | None:
    """The layout (batch, c, Y1, …, Yd), where an output has so many axes, and more than one sample."""
    if len(shape) != dim + 1 or max(shape[1:]) == 1:
        return None
    return Layout(shape[1:], tuple(range(1, dim + 1)))


def moving(scores: Scores, stays: float) -> Layout | None:
    """The one layout that moves with the input; None where none or several do, or none better than one that stays."""
    known = sorted((s, i) for i, s in enumerate(scores.values()) if not math.isnan(s))
    if not known or known[0][0] > min(MOVES, stays - BETTER):
        return None
    if len(known) > 1 and known[1][0] - known[0][0] < BETTER:
        return None
    return list(scores)[known[0][1]]
