"""The plan of the two-pass evaluator: composed fields on a lattice that moves with the query.

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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fields.accuracy import MAX_FRAMES, MEMORY_BOUND
from fields.evaluation.questions import graph as graph
from fields.evaluation.translations import Move, Moves
from fields.lattice import Box, Lattice, LatticeTooLarge, common_spacing, split, take

if TYPE_CHECKING:
    from fields.evaluation.dither import Dither
    from fields.evaluation.node import Node
    from fields.stencils.stencil import Stencil


@dataclass(frozen=True)
class Frame:
    """Where a box's integers count from: the query's origin, moved.

    `moves` is the sum of the translations that were subtracted, see `translations`: they commute, so two branches that
    were moved by the same tensors in another order share a frame. `offset` is a static fraction of the pitch, in
    [0, 1), per axis.
    """

    offset: tuple[float, ...]
    moves: int = 0


@dataclass(frozen=True)
class Need:
    """What a node asks of one parent."""

    parent: Node
    frame: Frame
    box: Box


@dataclass(frozen=True)
class Task:
    """What one node has to compute: the values on `box` in a frame, for a query at `origin`."""

    box: Box
    needs: list[Need]
    plan: Plan
    origin: Tensor
    frame: Frame
    part: Sequence[slice]

    @property
    def lattice(self) -> Lattice:
        """The points of the box, which few nodes ask for."""
        return self.plan.lattice(self.origin, self.frame, self.box, self.part)


class Plan:
    """Pass 1: which box of every node an evaluation on `shape` points of `spacing` needs.

    Parameters
    ----------
    root : Node
    spacing, shape : tuple
        The query's lattice; its origin is only needed to run.
    node_spacing : tuple of float, optional
        Spacing of the quadrature nodes of every density in the graph. Without it each density has its own.
    memory : int
        Bound on the values alive at once, in bytes, that leaves keep to which evaluate graphs of their own.
    dither : Dither, optional
        Looks at what quadratures get, a little beyond their nodes, and may move it.
    """

    def __init__(
        self,
        root: Node,
        spacing: tuple[float, ...],
        shape: tuple[int, ...],
        node_spacing: tuple[float, ...] | None = None,
        memory: int = MEMORY_BOUND,
        dither: Dither | None = None,
    ) -> None:
        self.root, self.shape, self.node_spacing, self.memory = root, shape, node_spacing, memory
        self.dither, self.moves = dither, Moves()
        self._fractions: dict[float, float] = {}
        self._stencils: dict[Node, list[Stencil]] = {}
        self.order = graph(root)
        self.pitch = self._pitch(spacing)
        steps = (round(h / p) for h, p in zip(spacing, self.pitch, strict=True))
        step = tuple(s if n > 1 else 1 for s, n in zip(steps, shape, strict=True))
        self.frame = Frame((0.0,) * len(shape))
        self.boxes: dict[Node, dict[Frame, Box]] = {
            root: {self.frame: Box((0,) * len(shape), step, shape)}
        }
        self.needs: dict[tuple[Node, Frame], list[Need]] = {}
        self._collect()

    def _pitch(self, spacing: tuple[float, ...]) -> tuple[float, ...]:
        pitch = []
        for axis, (h, n) in enumerate(zip(spacing, self.shape, strict=True)):
            known = [h] if n > 1 else []
            for node in self.order:
                own = node._spacings(self.node_spacing)[axis]
                known += [] if own is None else [own]
            common = known[0] if known else self._unit(axis) or h
            for own in known[1:]:
                common = common_spacing(common, own) or common
            pitch.append(common)
        return tuple(pitch)

    def _unit(self, axis: int) -> float:
        """A power of two, no less than what any node reaches: offsets on no lattice are told apart as parts of it."""
        reaches = (node._width() for node in self.order)
        longest = max((reach[axis] for reach in reaches if reach is not None), default=0.0)
        return 2.0 ** math.ceil(math.log2(longest)) if longest > 0 else 0.0

    def _collect(self) -> None:
        frames = 1
        for node in reversed(self.order):
            for frame, box in self.boxes.setdefault(node, {}).items():
                needs = node._needs(frame, box, self)
                self.needs[node, frame] = needs
                for need in needs:
                    boxes = self.boxes.setdefault(need.parent, {})
                    old = boxes.get(need.frame)
                    frames += old is None
                    boxes[need.frame] = need.box if old is None else old.union(need.box)
            if frames > MAX_FRAMES:
                raise LatticeTooLarge(
                    "the spacings in this composition have no common lattice and multiply each other: "
                    "give atoms offsets that are simple fractions of each other, or sample on a grid"
                )

    def stencils(self, node: Node, made: Callable[[Plan], list[Stencil]]) -> list[Stencil]:
        """The node's stencils on this plan's lattice, made once."""
        if node not in self._stencils:
            self._stencils[node] = made(self)
        return self._stencils[node]

    def moved(self, frame: Frame, by: Move) -> Frame:
        """The frame of x − t."""
        return Frame(frame.offset, frame.moves + self.moves.of(by))

    def shifted(self, frame: Frame, box: Box, by: Sequence[float]) -> tuple[Frame, Box]:
        """Frame and box of x + by, `by` static and in units of the pitch."""
        parts = [split(o + b) for o, b in zip(frame.offset, by, strict=True)]
        # Fractions that differ by rounding only are one frame; the first that came stands for all.
        rest = tuple(self._fractions.setdefault(round(f, 10), f) for _, f in parts)
        return Frame(rest, frame.moves), box.moved([w for w, _ in parts])

    def lattice(
        self, origin: Tensor, frame: Frame, box: Box, part: Sequence[slice] = ()
    ) -> Lattice:
        """The points of a box in a frame, for a query at `origin`, of some elements of the batch."""
        pitch = torch.tensor(self.pitch, dtype=origin.dtype, device=origin.device)
        static = [s + o for s, o in zip(box.start, frame.offset, strict=True)]
        origin = cut_batch(origin, part, 1)
        if any(static):
            origin = origin + pitch * torch.tensor(static, dtype=origin.dtype, device=origin.device)
        for times, by in self.moves.parts(frame.moves):
            t = cut_batch(by.t.to(origin.device), part, 1)
            origin = origin - (t if times == 1 else times * t)
        spacing = tuple(p * s for p, s in zip(self.pitch, box.step, strict=True))
        return Lattice(origin, spacing, box.count)

    def peak(self, batch: int = 1, partial: bool = False) -> int:
        """Bytes of the values alive at once, for an origin with `batch` elements.

        `partial` says that these are some of the field's batch, which only leaves evaluate as a whole.
        """
        uses = self._uses()
        alive = high = 0

        def elements(node: Node) -> int:
            return batch if partial and node.parents else max(batch, node.batch_size)

        for node in self.order:
            each = node.channels * elements(node) * node.itemsize
            for frame, box in self.boxes[node].items():
                alive += box.points * each
                needs = self.needs[node, frame]
                inputs = sum(need.box.points for need in needs)
                besides = (inputs + box.points * node._workspace) * each
                high = max(high, alive + besides + node._temporaries(box, needs, self))
                for need in needs:
                    uses[need.parent, need.frame] -= 1
                    if not uses[need.parent, need.frame]:
                        freed = self.boxes[need.parent][need.frame].points * need.parent.channels
                        alive -= freed * elements(need.parent) * need.parent.itemsize
        return high

    def work(self, batch: int = 1) -> int:
        """Bytes of all values that are computed, for an origin with `batch` elements."""
        return sum(
            box.points * node.channels * max(batch, node.batch_size) * node.itemsize
            for node in self.order
            for box in self.boxes[node].values()
        )

    def _uses(self) -> dict[tuple[Node, Frame], int]:
        uses = {(self.root, self.frame): 1}
        for needs in self.needs.values():
            for need in needs:
                uses[need.parent, need.frame] = uses.get((need.parent, need.frame), 0) + 1
        return uses

    def run(self, origin: Tensor, part: Sequence[slice] = ()) -> Tensor:
        """Pass 2: values (*batch, c, X1, …, Xd) of the root for a query at `origin` (*batch, d).

        `part` takes some elements of the batch, a slice per axis. A leaf evaluates its own batch as a whole.
        """
        values: dict[tuple[Node, Frame], Tensor] = {}
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
                before, after = _by_leaf(node, part)
                computed = node._compute(Task(box, needs, self, origin, frame, before), inputs)
                values[node, frame] = cut_batch(computed, after, len(self.shape) + 1)
        return values[self.root, self.frame]


def cut_batch(values: Tensor, part: Sequence[slice], trailing: int) -> Tensor:
    """Some elements of a batch, whose axes come before the last `trailing` ones and broadcast."""
    index: list[Any] = []
    for axis, cut in enumerate(reversed(part), start=1 + trailing):
        if values.ndim < axis:
            break
        index.insert(0, cut if values.shape[-axis] > 1 else slice(None))
    place: tuple[Any, ...] = (..., *index, *(slice(None),) * trailing)
    return values[place] if index else values


def _by_leaf(node: Node, part: Sequence[slice]) -> tuple[list[slice], list[slice]]:
    """What is cut before a node is evaluated, and what after it: the batch axes that a leaf brings itself."""
    sizes = (*(1,) * (len(part) - len(node.batch)), *node.batch)
    own = [not node.parents and n > 1 for n in sizes[len(sizes) - len(part) :]]
    before = [slice(None) if mine else cut for mine, cut in zip(own, part, strict=True)]
    after = [cut if mine else slice(None) for mine, cut in zip(own, part, strict=True)]
    return before, after if any(own) else []
