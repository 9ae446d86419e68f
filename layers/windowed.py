"""Pooling over a window that depends on where one is: x ↦ aggregate of F(x − y) over y in window(x)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from discretize import Samples
from fields import Field, Window
from fields.evaluation import evaluate
from fields.lattice import Lattice
from fields.periods import common_period
from fields.stenciled import check_window
from layers.unshared_fields import PerAxis, lead_first, split_batch, wrapped

#: A window that holds for at least this share of a lattice's points is pooled over the whole lattice.
COMMON = 1 / 16

WindowAt = Callable[[Tensor], Window]


def by_window(window: WindowAt, x: Tensor) -> list[tuple[Window, Tensor]]:
    """Windows that hold at points (*points, d), each with a mask (*points) of where it does.

    Windows that print alike are one.
    """
    flat = x.detach().cpu().reshape(-1, x.shape[-1])
    groups: dict[str, tuple[Window, list[int]]] = {}
    for index, point in enumerate(flat):
        here = window(point)
        check_window(here)
        groups.setdefault(repr(here), (here, []))[1].append(index)
    masks = []
    for here, members in groups.values():
        mask = torch.zeros(len(flat), dtype=torch.bool)
        mask[members] = True
        masks.append((here, mask.reshape(x.shape[:-1])))
    return masks


def pooled_samples(
    f: Samples, window: WindowAt, kind: Any, nodes: int, period: PerAxis | None
) -> Samples:
    """The same on samples, whose grid the windows must agree on.

    Boxes of an even number of samples move it by half a spacing, those of an odd number don't.
    """
    parts = []
    for here, mask in by_window(window, wrapped(f.grid.points(), period)):
        chosen = mask.unsqueeze(-f.dim - 1).to(f.values)
        parts.append(f.pool(here, kind, nodes) * f._with(chosen))
    total: Samples = functools.reduce(lambda a, b: a + b, parts)
    return total


class Windowed(Field):
    """x ↦ aggregate of F over a window that depends on x."""

    source: Field

    def __init__(
        self, source: Field, window: WindowAt, kind: Any, nodes: int, period: PerAxis | None
    ) -> None:
        self.source, self.window, self.kind, self.nodes = source, window, kind, nodes
        self.dim, self.batch, self.channels = source.dim, source.batch, source.channels
        self.dtype, self.device, self._period = source.dtype, source.device, period
        first = window(torch.zeros(self.dim, dtype=torch.float64))
        check_window(first)
        source.pool(first, kind, nodes)  # raises where they don't fit
        self._region = first.is_region

    @property
    def period(self) -> PerAxis | None:
        """Where the windows repeat, that in common with the field's."""
        if self._period is None:
            return None
        return common_period(self.source.period, self._period)

    @property
    def is_quadrature(self) -> bool:
        """Whether the windows are regions, or the field under them is a quadrature."""
        return self._region or self.source.has_quadrature

    def _compute(self, task: Any, inputs: list[Tensor]) -> Tensor:
        lattice, node = task.lattice, task.plan.node_spacing
        x = lattice.points()
        groups = by_window(self.window, wrapped(x, self._period))
        lead, rest = split_batch(x.shape[: -self.dim - 1], self.batch)
        if math.prod(rest) > 1:  # every element has points of its own
            parts = []
            for window, mask in groups:
                chosen = mask.to(self.device).unsqueeze(-self.dim - 1)
                parts.append(torch.where(chosen, self._pooled(window, lattice, node), 0.0))
            return functools.reduce(torch.add, parts)
        points = x.reshape(-1, self.dim)
        flat = points.new_zeros(*self.batch, self.channels, len(points), dtype=self.dtype)
        for window, mask in groups:
            index = mask.flatten().nonzero()[:, 0].to(self.device)
            if lead or len(index) < COMMON * len(points):
                part = self._pooled_at(window, points[index], node)
            else:
                part = self._pooled(window, lattice, node).flatten(-self.dim)[..., index]
            flat = flat.index_copy(-1, index, part.expand(*flat.shape[:-1], -1))
        out = flat.reshape(*self.batch, self.channels, *lead, *lattice.shape)
        out = out.movedim(len(self.batch), len(self.batch) + len(lead))
        return lead_first(out, len(lead), self.dim)

    def _pooled(self, window: Window, lattice: Lattice, node: PerAxis | None) -> Tensor:
        return evaluate(self.source.pool(window, self.kind, self.nodes), lattice, node)

    def _pooled_at(self, window: Window, x: Tensor, node: PerAxis | None) -> Tensor:
        """Values (*batch, c, points) at scattered points."""
        origin = x.reshape(-1, *(1,) * len(self.batch), self.dim)
        lattice = Lattice(origin, (1.0,) * self.dim, (1,) * self.dim)
        values = self._pooled(window, lattice, node)
        values = values.reshape(values.shape[: -self.dim])
        return values.expand(len(x), *self.batch, self.channels).movedim(0, -1)
