"""Fields that unshared layers make: what happens at x depends on x itself.

Their nodes are fixed in space, not in a kernel's frame, so that they don't move with the query: each of them takes its
source's values at places of its own, as a leaf of the graph, and doesn't pass on halos.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fields import Field
from fields.algebra.pointwise import map_channels
from fields.arrays import broadcast
from fields.checks import positive
from fields.evaluation.evaluation import evaluate_nodes
from fields.evaluation.questions import Answer, question
from fields.lattice import Lattice, PerAxis, common_period, split
from layers.accuracy import PAIRS_AT_ONCE


def wrapped(x: Tensor, period: PerAxis | None) -> Tensor:
    """Points brought into [0, period) per axis."""
    return x if period is None else torch.remainder(x, x.new_tensor(period))


def as_parameters(x: Tensor, fn: Callable[..., Any]) -> Tensor:
    """Positions in the dtype of a module's parameters, where `fn` is one that has any."""
    return x.to(next(fn.parameters(), x)) if isinstance(fn, nn.Module) else x


def operator_matrix(
    kappa: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, dtype: torch.dtype
) -> Tensor:
    """κ(x, y) for all pairs of points x (q, d) and nodes y (m, d), shape (q, m, out, in)."""
    x, y = as_parameters(x, kappa), as_parameters(y, kappa)
    matrix = kappa(x[:, None], y[None])
    fits = isinstance(matrix, Tensor) and matrix.ndim == 4
    if not fits or any(
        n not in (1, m) for n, m in zip(matrix.shape, (len(x), len(y)), strict=False)
    ):
        got = tuple(matrix.shape) if isinstance(matrix, Tensor) else type(matrix).__name__
        raise ValueError(
            f"kappa(x, y) of points {(len(x), 1, x.shape[1])} and {(1, len(y), y.shape[1])} must return a tensor "
            f"({len(x)}, {len(y)}, out, in), got {got}"
        )
    return matrix.expand(len(x), len(y), -1, -1).to(dtype)


def integrated(
    kappa: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, values: Tensor, period: Any
) -> Tensor:
    """Σ_j κ(x, y_j) v_j at points x (*points, d), of weighted values (*batch, in, m): (*batch, *points, out)."""
    flat, lead = wrapped(x.reshape(-1, x.shape[-1]), period), x.shape[:-1]
    y = wrapped(y, period)
    parts = []
    for part in flat.split(max(1, PAIRS_AT_ONCE // len(y))):
        matrix = operator_matrix(kappa, part, y, values.dtype)
        parts.append(torch.einsum("qmoi,...im->...qo", matrix, values))
    out = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-2)
    return out.reshape(*values.shape[:-2], *lead, out.shape[-1])


class Integrated(Field):
    """x ↦ ∫ κ(x, y) F(y) dy over a box, by the midpoint rule, which on a torus is the trapezoidal one.

    The box is [corner, corner + extent]; on a torus it is one period, and points are brought into it.
    """

    source: Field

    def __init__(
        self,
        source: Field,
        kappa: Callable[[Tensor, Tensor], Tensor],
        channels: int,
        box: tuple[PerAxis, PerAxis],
        torus: bool,
        nodes: int,
    ) -> None:
        self.source, self.kappa, self.channels = source, kappa, channels
        self.dim, self.batch = source.dim, source.batch
        self.dtype, self.device = source.dtype, source.device
        (self.corner, self.extent), self.torus, self.nodes = box, torus, nodes

    @property
    def period(self) -> PerAxis | None:
        """That of the torus."""
        return self.extent if self.torus else None

    @property
    def is_quadrature(self) -> bool:
        """It is."""
        return True

    def _node_reach(self) -> PerAxis:
        return tuple(e / 2 for e in self.extent)

    def node_lattice(self, spacing: PerAxis | None) -> Lattice:
        """Midpoints of cells no larger than `spacing`, or `nodes` cells per axis; on a torus from its corner on."""
        counts = (self.nodes,) * self.dim
        if spacing is not None:
            cells = zip(self.extent, spacing, strict=True)
            counts = tuple(max(1, math.ceil(e / h * (1 - 1e-12))) for e, h in cells)
        step = tuple(e / n for e, n in zip(self.extent, counts, strict=True))
        shift = 0.0 if self.torus else 0.5
        first = [c + shift * h for c, h in zip(self.corner, step, strict=True)]
        return Lattice(torch.tensor(first, dtype=torch.float64), step, counts)

    def _temporaries(self, box: Any, needs: Any, plan: Any) -> int:
        nodes = self.node_lattice(plan.node_spacing).shape
        return 2 * math.prod(nodes) * self.source.channels * self.batch_size * self.itemsize

    def _compute(self, task: Any, inputs: list[Tensor]) -> Tensor:
        lattice = self.node_lattice(task.plan.node_spacing)
        plan = task.plan
        values = evaluate_nodes(self.source, lattice, plan.node_spacing, plan.memory, plan.dither)
        values = values.flatten(-self.dim) * math.prod(lattice.spacing)
        y = lattice.points().reshape(-1, self.dim).to(self.device)
        period = self.extent if self.torus else None
        x = task.lattice.points()
        return each_element(
            x,
            values,
            self.batch,
            lambda at, v: integrated(self.kappa, at, y, v, period).movedim(-1, -self.dim - 1),
        )


def each_element(
    x: Tensor,
    values: Tensor,
    batch: Sequence[int],
    fn: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Apply `fn` to points (*lead, *batch, X1, …, Xd, d) and values (*batch, c, m): (*lead, *batch, c', X1, …, Xd).

    `fn` puts the batch before the points. Where all elements share them, it is called once, otherwise for each element.
    """
    dim = x.shape[-1]
    lead, rest = split_batch(x.shape[: -dim - 1], batch)
    if math.prod(rest) == 1:
        return lead_first(fn(x.reshape(*lead, *x.shape[-dim - 1 :]), values), len(lead), dim)
    rest = tuple(broadcast(rest, tuple(batch)))
    x = x.expand(*lead, *rest, *x.shape[-dim - 1 :])
    x = x.reshape(*lead, -1, *x.shape[-dim - 1 :]).movedim(len(lead), 0)
    flat = values.expand(*rest, *values.shape[-2:]).flatten(0, len(rest) - 1)
    out = torch.stack([fn(a, v) for a, v in zip(x, flat, strict=True)], dim=len(lead))
    return out.reshape(*lead, *rest, *out.shape[len(lead) + 1 :])


def split_batch(
    own: Sequence[int], batch: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Axes that points have before those of the batch, and those that they share with it."""
    first = max(0, len(own) - len(batch))
    return tuple(own[:first]), tuple(own[first:])


def lead_first(values: Tensor, lead: int, dim: int) -> Tensor:
    """(*batch, *lead, c, X1, …, Xd) → (*lead, *batch, c, X1, …, Xd)."""
    first = values.ndim - dim - 1 - lead
    return values.movedim(tuple(range(first, first + lead)), tuple(range(lead)))


class Positioned(Field):
    """x ↦ fn(x, F(x))."""

    def __init__(
        self,
        parent: Field,
        fn: Callable[[Tensor, Tensor], Tensor],
        channels: int,
        period: PerAxis | None,
    ) -> None:
        self.parents, self.fn, self._period = (parent,), fn, period
        self.dim, self.batch, self.channels = parent.dim, parent.batch, channels
        self.dtype, self.device = parent.dtype, parent.device

    @property
    @question
    def period(self) -> Answer[PerAxis | None]:
        """Where the function repeats with its argument, that in common with the field's."""
        own = self._period
        return None if own is None else common_period((yield self.parents[0], "period"), own)

    @question
    def is_periodic(self, period: Any) -> Answer[bool]:
        """Whether function and field are known to repeat."""
        own = yield self, "period"
        return own is not None and all(
            p == 0 or split(w / p)[1] == 0
            for w, p in zip(positive(period, self.dim, "period"), own, strict=True)
        )

    def _compute(self, task: Any, inputs: list[Tensor]) -> Tensor:
        return positioned(self.fn, task.lattice.points(), inputs[0], self._period)


def positioned(
    fn: Callable[[Tensor, Tensor], Tensor], x: Tensor, values: Tensor, period: PerAxis | None
) -> Tensor:
    """fn(x, v) at points (*batch, X1, …, Xd, d) of values (*batch, c, X1, …, Xd), channels back in their place."""
    dim = x.shape[-1]
    last = values.movedim(-dim - 1, -1)
    points = tuple(broadcast(x.shape[:-1], last.shape[:-1]))
    out = fn(wrapped(x, period).to(last), last)
    map_channels(out, points)
    return out.to(values.dtype).movedim(-1, -dim - 1)
