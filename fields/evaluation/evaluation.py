"""Values of composed fields on lattices and at scattered points, within bounded memory.

What needs more memory than it may use is done in parts: a lattice in tiles, each with its own halo, a list of points in
runs of some, a batch in runs of some elements. A plan doesn't know its origin, so that all parts share one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fields.accuracy import EFFORT, MARGIN, MEMORY_BOUND, POINTS_BOUND
from fields.arrays import broadcast
from fields.evaluation.dither import Dither
from fields.evaluation.plan import Plan
from fields.lattice import Lattice, LatticeTooLarge, take

if TYPE_CHECKING:
    from fields.evaluation.node import Node


def evaluate(
    root: Node,
    lattice: Lattice,
    node_spacing: tuple[float, ...] | None = None,
    memory: int = MEMORY_BOUND,
    dither: Dither | None = None,
) -> Tensor:
    """Values (*batch, c, X1, …, Xd) of a field on a lattice.

    In tiles, where the values alive at once would exceed `memory` bytes: the same to rounding error. Of lattices that
    the field's own batch doesn't count, some at a time.

    Raises
    ------
    LatticeTooLarge
        Where the result and one point's halo don't fit into `memory` together, or the tiles with their halos come to
        more than 64 times `memory`. Both are found before any value is computed.
    """
    origin = lattice.origin.to(root.device)
    elements = math.prod(broadcast(origin.shape[:-1], root.batch))
    planned = functools.cache(
        lambda shape: Plan(root, lattice.spacing, shape, node_spacing, memory, dither)
    )
    needed = planned(lattice.shape).peak(elements)
    if needed <= memory:
        return planned(lattice.shape).run(origin)
    # Joining the tiles takes the result twice.
    left = memory - 2 * elements * root.channels * root.itemsize * math.prod(lattice.shape)
    tile = _largest(lattice.shape, lambda shape: planned(shape).peak(elements) <= left)
    bound = f"the bound is {memory / 2**20:.0f} MiB"
    if tile is None:
        if left > 0 and len(origin) > 1 and origin.ndim - 1 > len(root.batch):
            parts = (Lattice(o, lattice.spacing, lattice.shape) for o in origin.chunk(2))
            return torch.cat([evaluate(root, part, node_spacing, memory, dither) for part in parts])
        raise LatticeTooLarge(f"this needs {needed / 2**20:.0f} MiB, {bound}")
    plan = planned(tile)
    work = plan.work(elements) * math.prod(map(_parts, lattice.shape, tile))
    if work > EFFORT * memory:
        raise LatticeTooLarge(
            f"this needs {needed / 2**20:.0f} MiB, {bound}, and in tiles of {'×'.join(map(str, tile))} points it would "
            f"compute {work / 2**30:.0f} GiB of values, more than {EFFORT} times the bound"
        )
    spacing = origin.new_tensor(lattice.spacing)

    def run(part: Sequence[slice]) -> Tensor:
        # All tiles have one shape: the last one begins earlier, and what it repeats is cut off.
        first = [min(s.start, n - t) for s, n, t in zip(part, lattice.shape, tile, strict=True)]
        values = plan.run(origin + spacing * origin.new_tensor(first))
        return take(
            values, (slice(s.start - a, s.stop - a) for s, a in zip(part, first, strict=True))
        )

    return _assembled(lattice.shape, tile, run, -root.dim)


def evaluate_nodes(
    root: Node,
    lattice: Lattice,
    node_spacing: tuple[float, ...] | None,
    memory: int,
    dither: Dither | None,
) -> Tensor:
    """Values of a field on a lattice that a sum is taken over, looked at and moved by `dither` as taps of a kernel."""
    if dither is None:
        return evaluate(root, lattice, node_spacing, memory)
    shift = MARGIN * lattice.origin.new_tensor(lattice.spacing)
    wide = Lattice(
        lattice.origin - shift, lattice.spacing, tuple(n + 2 * MARGIN for n in lattice.shape)
    )
    values = dither.of_sum(evaluate(root, wide, node_spacing, memory, dither), (1,) * lattice.dim)
    return take(values, (slice(MARGIN, MARGIN + n) for n in lattice.shape))


def evaluate_points(root: Node, points: Tensor, memory: int = POINTS_BOUND) -> Tensor:
    """Values (*batch, P, c) at scattered points (P, *batch, d), the batch broadcast against the field's.

    Every point is the origin of a one-point lattice, so F(x) never depends on the other points. As many points are
    evaluated at once as `memory` allows; where it doesn't allow one, some elements of the batch.

    Raises
    ------
    LatticeTooLarge
        Where one element at one point needs more than four times `memory`.
    """
    points = points.to(root.device)
    batch = tuple(broadcast(points.shape[1:-1], root.batch))
    if not len(points):
        return torch.empty(*batch, 0, root.channels, dtype=root.dtype, device=root.device)
    if root.batch_size == 1:  # a batch of points only: they are points like others
        flat = points.expand(-1, *batch, root.dim).reshape(-1, *(1,) * len(root.batch), root.dim)
        sizes: tuple[int, ...] = (len(flat), *root.batch)
    else:
        flat, sizes = points, (len(points), *batch)
    plan = Plan(root, (1.0,) * root.dim, (1,) * root.dim, memory=memory)
    elements = _largest(sizes[1:], lambda part: _each(plan, part, sizes[1:]) <= 4 * memory)
    if elements is None:
        needed = _each(plan, (1,) * len(batch), sizes[1:])
        raise LatticeTooLarge(
            f"one point of this composition needs {needed / 2**20:.0f} MiB: "
            "build its layers with fewer nodes, or sample it on a grid"
        )
    count = max(1, memory // _each(plan, elements, sizes[1:]))

    def run(part: Sequence[slice]) -> Tensor:
        values = plan.run(flat[part[0]], () if elements == sizes[1:] else part[1:])
        lengths = (s.stop - s.start for s in part)
        return values.reshape(values.shape[: -root.dim]).expand(*lengths, root.channels)

    values = _assembled(sizes, (min(count, sizes[0]), *elements), run, -1 - len(sizes))
    return values.reshape(len(points), *batch, root.channels).movedim(0, -2)


def _each(plan: Plan, elements: Sequence[int], batch: Sequence[int]) -> int:
    """Bytes that one point of some elements of the batch needs."""
    return plan.peak(math.prod(elements), partial=tuple(elements) != tuple(batch))


def _largest(
    sizes: Sequence[int], fits: Callable[[tuple[int, ...]], bool]
) -> tuple[int, ...] | None:
    """Sizes of a part that fits, found by halving the longest side; None where not even a single one does."""
    part = tuple(sizes)
    while not fits(part):
        if math.prod(part) == 1:
            return None
        axis = max(range(len(part)), key=part.__getitem__)
        part = (*part[:axis], -(-part[axis] // 2), *part[axis + 1 :])
    return part


def _parts(size: int, part: int) -> int:
    return -(-size // part)


def _assembled(
    sizes: Sequence[int],
    part: Sequence[int],
    run: Callable[[Sequence[slice]], Tensor],
    first: int,
    corner: tuple[slice, ...] = (),
) -> Tensor:
    """What `run` gives for all parts of an array of some sizes, joined; its first axis is `first`, from the end."""
    axis = len(corner)
    if axis == len(sizes):
        return run(corner)
    starts = range(0, sizes[axis], part[axis])
    rows = [
        _assembled(sizes, part, run, first, (*corner, slice(a, min(a + part[axis], sizes[axis]))))
        for a in starts
    ]
    return rows[0] if len(rows) == 1 else torch.cat(rows, dim=first + axis)
