"""The two-pass evaluator: composed fields on a lattice that moves with the query.

    pass 1, backwards     root ── box ──▶ node ── box + halo ──▶ … ──▶ leaves
    pass 2, forwards      leaves ── values ──▶ node ── values ──▶ … ──▶ root

A composed field is a node of a graph. Points are never listed: every node is asked for a `Box`, a set of integers
start + step·i per axis, in units of one common `pitch`; halos widen it on the way to the leaves, and where branches
meet their boxes are united, so that every node is evaluated once. Integers count from the origin of a `Frame`, the
query's origin moved by the real translations met on the way: these are tensors, batched or differentiable, and
never enter the integer arithmetic. Nodes of a quadrature are fixed in their kernel's frame, hence move with the query:
the evaluation commutes with every real translation, however coarse it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from fields.field import Field
    from fields.stencil import Stencil

#: Two positions closer than this many lattice spacings are the same point.
SNAP = 1e-11
#: Spacings a/b = p/q share a pitch up to this q; beyond it one coset of taps is evaluated at a time.
MAX_RATIO = 64
#: More frames than this mean that incommensurable spacings multiply each other.
MAX_FRAMES = 20_000
#: Default bound, in bytes, on the values alive at once.
MEMORY_BOUND = 1 << 30


class LatticeTooLarge(ValueError):
    """An evaluation needs more memory than it may use."""


@dataclass(frozen=True)
class Lattice:
    """The points origin + spacing·i, 0 ≤ i < shape.

    Attributes
    ----------
    origin : Tensor, shape (*batch, d), float64
        First point, in length units.
    spacing, shape : tuple
        One number per axis.
    """

    origin: Tensor
    spacing: tuple[float, ...]
    shape: tuple[int, ...]

    @property
    def dim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def axes(self) -> list[Tensor]:
        """Coordinates per axis, each of shape (*batch, X_i)."""
        return [
            self.origin[..., i, None]
            + h * torch.arange(n, dtype=self.origin.dtype, device=self.origin.device)
            for i, (h, n) in enumerate(zip(self.spacing, self.shape, strict=True))
        ]

    def points(self) -> Tensor:
        """All points, shape (*batch, X1, …, Xd, d)."""
        batch = self.origin.shape[:-1]
        columns = [
            axis.reshape(*batch, *(-1 if j == i else 1 for j in range(self.dim)))
            for i, axis in enumerate(self.axes())
        ]
        return torch.stack(torch.broadcast_tensors(*columns), dim=-1)


@dataclass(frozen=True)
class Box:
    """The integers start + step·i, 0 ≤ i < count, per axis."""

    start: tuple[int, ...]
    step: tuple[int, ...]
    count: tuple[int, ...]

    def moved(self, by: Sequence[int]) -> Box:
        """The box with every integer increased by `by`."""
        return Box(tuple(s + b for s, b in zip(self.start, by, strict=True)), self.step, self.count)

    def widened(self, first: Sequence[int], step: Sequence[int], size: Sequence[int]) -> Box:
        """The smallest box with all sums of an integer of this one and of first + step·j, j < size."""
        axes = []
        for s, p, n, f, q, m in zip(
            self.start, self.step, self.count, first, step, size, strict=True
        ):
            common = math.gcd(p if n > 1 else 0, q if m > 1 else 0) or 1
            axes.append((s + f, common, (p * (n - 1) + q * (m - 1)) // common + 1))
        return _box(axes)

    def union(self, other: Box) -> Box:
        """The smallest box that holds both."""
        axes = []
        for s, p, n, t, q, m in zip(
            self.start, self.step, self.count, other.start, other.step, other.count, strict=True
        ):
            common = math.gcd(p if n > 1 else 0, q if m > 1 else 0, abs(s - t)) or 1
            first, last = min(s, t), max(s + p * (n - 1), t + q * (m - 1))
            axes.append((first, common, (last - first) // common + 1))
        return _box(axes)

    def within(self, outer: Box) -> tuple[slice, ...]:
        """Slices that take this box out of the values on `outer`."""
        slices = []
        for s, p, n, t, q in zip(
            self.start, self.step, self.count, outer.start, outer.step, strict=True
        ):
            first, stride = (s - t) // q, max(p // q, 1)
            slices.append(slice(first, first + stride * (n - 1) + 1, stride))
        return tuple(slices)

    @property
    def points(self) -> int:
        """Number of integers in the box."""
        return math.prod(self.count)


def _box(axes: list[tuple[int, int, int]]) -> Box:
    start, step, count = zip(*axes, strict=True)
    return Box(start, step, count)


@dataclass(frozen=True)
class Frame:
    """Where a box's integers count from: the query's origin, moved.

    `moves` holds (index of a translation tensor, how often it was subtracted), sorted: translations commute, so two
    branches that were moved by the same tensors in another order share a frame. `offset` is a static fraction of the
    pitch, in [0, 1), per axis.
    """

    offset: tuple[float, ...]
    moves: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Need:
    """What a node asks of one parent."""

    parent: Field
    frame: Frame
    box: Box


def take(values: Tensor, slices: Iterable[slice]) -> Tensor:
    """Cut the last axes of `values` by one slice each."""
    index: tuple[Any, ...] = (..., *slices)
    return values[index]


def split(position: float) -> tuple[int, float]:
    """Split a position in units of the pitch into an integer and a fraction in [0, 1)."""
    nearest = round(position)
    if abs(position - nearest) <= SNAP * max(1.0, abs(position)):
        return nearest, 0.0
    whole = math.floor(position)
    return whole, position - whole


def common_spacing(a: float, b: float) -> float | None:
    """The largest spacing of which a and b are integer multiples; None where neither ratio is p/q, q ≤ 64."""
    for over, under in ((a, b), (b, a)):
        ratio = Fraction(over / under).limit_denominator(MAX_RATIO)
        if abs(over / under - ratio) <= SNAP * (over / under):
            return under / ratio.denominator
    return None


@dataclass(frozen=True)
class Task:
    """What one node has to compute: the values on `box`, which are those at the points of `lattice`."""

    box: Box
    needs: list[Need]
    lattice: Lattice
    plan: Plan


class Plan:
    """Pass 1: which box of every node an evaluation on `shape` points of `spacing` needs.

    Parameters
    ----------
    root : Field
    spacing, shape : tuple
        The query's lattice; its origin is only needed to run.
    node_spacing : tuple of float, optional
        Spacing of the quadrature nodes of every density in the graph. Without it each density has its own.
    """

    def __init__(
        self,
        root: Field,
        spacing: tuple[float, ...],
        shape: tuple[int, ...],
        node_spacing: tuple[float, ...] | None = None,
    ) -> None:
        self.root, self.shape, self.node_spacing = root, shape, node_spacing
        self.translations: list[Tensor] = []
        self._fractions: dict[float, float] = {}
        self._stencils: dict[Field, list[Stencil]] = {}
        self.order = graph(root)
        self.pitch = self._pitch(spacing)
        steps = (round(h / p) for h, p in zip(spacing, self.pitch, strict=True))
        step = tuple(s if n > 1 else 1 for s, n in zip(steps, shape, strict=True))
        self.frame = Frame((0.0,) * len(shape))
        self.boxes: dict[Field, dict[Frame, Box]] = {
            root: {self.frame: Box((0,) * len(shape), step, shape)}
        }
        self.needs: dict[tuple[Field, Frame], list[Need]] = {}
        self._collect()

    def _pitch(self, spacing: tuple[float, ...]) -> tuple[float, ...]:
        pitch = []
        for axis, (h, n) in enumerate(zip(spacing, self.shape, strict=True)):
            known = [h] if n > 1 else []
            for node in self.order:
                own = node._spacings(self.node_spacing)[axis]
                known += [] if own is None else [own]
            common = known[0] if known else h
            for own in known[1:]:
                common = common_spacing(common, own) or common
            pitch.append(common)
        return tuple(pitch)

    def _collect(self) -> None:
        for node in reversed(self.order):
            for frame, box in self.boxes.setdefault(node, {}).items():
                needs = node._needs(frame, box, self)
                self.needs[node, frame] = needs
                for need in needs:
                    boxes = self.boxes.setdefault(need.parent, {})
                    old = boxes.get(need.frame)
                    boxes[need.frame] = need.box if old is None else old.union(need.box)
            if sum(map(len, self.boxes.values())) > MAX_FRAMES:
                raise LatticeTooLarge(
                    "the spacings in this composition have no common lattice and multiply each other: "
                    "give atoms offsets that are simple fractions of each other, or sample on a grid"
                )

    def stencils(self, node: Field) -> list[Stencil]:
        """The node's stencils on this plan's lattice, made once."""
        if node not in self._stencils:
            self._stencils[node] = node._stencils(self)
        return self._stencils[node]

    def moved(self, frame: Frame, t: Tensor) -> Frame:
        """The frame of x − t."""
        known = [i for i, other in enumerate(self.translations) if other is t]
        if not known:
            self.translations.append(t)
        index = known[0] if known else len(self.translations) - 1
        moves = dict(frame.moves)
        moves[index] = moves.get(index, 0) + 1
        return Frame(frame.offset, tuple(sorted(moves.items())))

    def shifted(self, frame: Frame, box: Box, by: Sequence[float]) -> tuple[Frame, Box]:
        """Frame and box of x + by, `by` static and in units of the pitch."""
        parts = [split(o + b) for o, b in zip(frame.offset, by, strict=True)]
        # Fractions that differ by rounding only are one frame; the first that came stands for all.
        rest = tuple(self._fractions.setdefault(round(f, 10), f) for _, f in parts)
        return Frame(rest, frame.moves), box.moved([w for w, _ in parts])

    def lattice(self, origin: Tensor, frame: Frame, box: Box) -> Lattice:
        """The points of a box in a frame, for a query at `origin`."""
        pitch = torch.tensor(self.pitch, dtype=origin.dtype, device=origin.device)
        static = [s + o for s, o in zip(box.start, frame.offset, strict=True)]
        if any(static):
            origin = origin + pitch * torch.tensor(static, dtype=origin.dtype, device=origin.device)
        for index, times in frame.moves:
            t = self.translations[index].to(origin.device)
            origin = origin - (t if times == 1 else times * t)
        spacing = tuple(p * s for p, s in zip(self.pitch, box.step, strict=True))
        return Lattice(origin, spacing, box.count)

    def peak(self, batch: int = 1) -> int:
        """Bytes of the values alive at once, for an origin with `batch` elements."""
        uses = self._uses()
        alive = high = 0
        for node in self.order:
            each = node.channels * max(batch, node.batch_size) * node.itemsize
            for frame, box in self.boxes[node].items():
                alive += box.points * each
                inputs = sum(need.box.points for need in self.needs[node, frame])
                high = max(high, alive + (inputs + box.points * node._workspace) * each)
                for need in self.needs[node, frame]:
                    uses[need.parent, need.frame] -= 1
                    if not uses[need.parent, need.frame]:
                        freed = self.boxes[need.parent][need.frame].points * need.parent.channels
                        alive -= freed * max(batch, need.parent.batch_size) * need.parent.itemsize
        return high

    def _uses(self) -> dict[tuple[Field, Frame], int]:
        uses = {(self.root, self.frame): 1}
        for needs in self.needs.values():
            for need in needs:
                uses[need.parent, need.frame] = uses.get((need.parent, need.frame), 0) + 1
        return uses

    def run(self, origin: Tensor) -> Tensor:
        """Pass 2: values (*batch, c, X1, …, Xd) of the root for a query at `origin` (*batch, d)."""
        values: dict[tuple[Field, Frame], Tensor] = {}
        uses = self._uses()
        for node in self.order:
            for frame, box in self.boxes[node].items():
                inputs = []
                needs = self.needs[node, frame]
                for need in needs:
                    key = need.parent, need.frame
                    cut = need.box.within(self.boxes[need.parent][need.frame])
                    inputs.append(take(values[key], cut))
                    uses[key] -= 1
                    if not uses[key]:
                        del values[key]
                task = Task(box, needs, self.lattice(origin, frame, box), self)
                values[node, frame] = node._compute(task, inputs)
        return values[self.root, self.frame]


def graph(root: Field) -> list[Field]:
    """All nodes that the root depends on, parents before children."""
    order: list[Field] = []
    seen: set[int] = set()
    stack = [(root, False)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((parent, False) for parent in node.parents)
    return order


def evaluate(
    root: Field,
    lattice: Lattice,
    node_spacing: tuple[float, ...] | None = None,
    memory: int = MEMORY_BOUND,
) -> Tensor:
    """Values (*batch, c, X1, …, Xd) of a field on a lattice.

    Raises
    ------
    LatticeTooLarge
        Where the values alive at once would exceed `memory` bytes.
    """
    plan = Plan(root, lattice.spacing, lattice.shape, node_spacing)
    origin = lattice.origin.to(root.device)
    needed = plan.peak(math.prod(origin.shape[:-1]))
    if needed > memory:
        raise LatticeTooLarge(
            f"this needs {needed / 2**20:.0f} MiB, the bound is {memory / 2**20:.0f} MiB"
        )
    return plan.run(origin)


def evaluate_points(root: Field, points: Tensor, memory: int = 1 << 28) -> Tensor:
    """Values (*batch, P, c) at scattered points (P, *batch, d), the batch broadcast against the field's.

    Every point is the origin of a one-point lattice, so F(x) never depends on the other points.
    """
    points = points.to(root.device)
    batch = tuple(torch.broadcast_shapes(points.shape[1:-1], root.batch))
    plan = Plan(root, (1.0,) * root.dim, (1,) * root.dim)
    each = plan.peak(math.prod(batch))
    if each > 4 * memory:
        raise LatticeTooLarge(
            f"one point of this composition needs {each / 2**20:.0f} MiB: "
            "build its layers with fewer nodes, or sample it on a grid"
        )
    parts = [plan.run(part) for part in points.split(max(1, memory // each))] if len(points) else []
    parts = [p.reshape(p.shape[: -root.dim]).expand(len(p), *batch, root.channels) for p in parts]
    if not parts:
        parts = [torch.empty(0, *batch, root.channels, dtype=root.dtype, device=root.device)]
    return torch.cat(parts).movedim(0, -2)
