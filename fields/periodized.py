"""Sums of the images of a decaying field: a leaf that evaluates a graph of its own."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fields.evaluation import evaluate
from fields.field import Field, PerAxis
from fields.lattice import Lattice
from fields.plan import Task
from fields.questions import Answer, graph, question

#: No more images of a field may overlap.
MOST_IMAGES = 100_000


class Periodized(Field):
    """x ↦ Σ_n F(x − nP) over the images that reach the query."""

    #: What is left out of the sum, relative to the field's maximum.
    TAIL = 1e-17
    source: Field

    def __init__(self, source: Field, period: PerAxis) -> None:
        corners = source.support(self.TAIL)
        if corners is None:
            raise ValueError(
                "only a field that is known to decay can be periodized: Gaussians, and what layers without bias "
                "make of them; others know their period already, or have none"
            )
        check_images([b - a for a, b in zip(*corners, strict=True)], period)
        self.source, self._period = source, period
        self.dim, self.channels, self.batch = source.dim, source.channels, source.batch
        self.dtype, self.device = source.dtype, source.device

    @property
    @question
    def bandlimit(self) -> Answer[PerAxis | None]:  # type: ignore[override]
        band: PerAxis | None = yield self.source, "bandlimit"
        return band

    @property
    def corners(self) -> tuple[PerAxis, PerAxis]:
        """Of a box that holds all but a negligible tail of the field whose images are summed."""
        corners = self.source.support(self.TAIL)
        if corners is None:
            raise ValueError(
                "this field is no longer known to decay, so that its images have no sum: a bias, or a function that "
                "isn't 0 at 0, was changed"
            )
        return corners

    @property
    def period(self) -> PerAxis:
        return self._period

    @property
    def is_quadrature(self) -> bool:
        return self.source.has_quadrature

    def _kernel_bandwidth(self, rtol: float) -> PerAxis | None:
        known = (node._kernel_bandwidth(rtol) for node in graph(self.source))
        return functools.reduce(_widest, known, None)

    def _node_reach(self) -> PerAxis | None:
        known = (node._node_reach() for node in graph(self.source))
        return functools.reduce(_narrowest, known, None)

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        lattice, origin = task.lattice, task.lattice.origin
        low, high = (origin.new_tensor(c) for c in self.corners)
        period = origin.new_tensor(self._period)
        # With the first point brought into [low, low + P), x − nP is in the support for these n at most.
        origin = origin - period * torch.floor((origin.detach() - low) / period)
        extent = origin.new_tensor(lattice.spacing) * (origin.new_tensor(lattice.shape) - 1)
        first, last = torch.ceil((low - high) / period), torch.floor(1 + extent / period)
        images = [range(int(a), int(b) + 1) for a, b in zip(first, last, strict=True)]
        parts = (
            evaluate(
                self.source,
                Lattice(origin - period * origin.new_tensor(n), lattice.spacing, lattice.shape),
                task.plan.node_spacing,
                task.plan.memory,
                task.plan.dither,
            )
            for n in itertools.product(*images)
        )
        return functools.reduce(torch.add, parts)

    @property
    def _workspace(self) -> int:
        return 3  # the sum so far, an image and their sum, of which one is the output; an image in tiles takes it twice

    @question
    def bandwidth(self, rtol: float) -> Answer[PerAxis | None]:
        band: PerAxis | None = yield self.source, "bandwidth", rtol
        return band


def check_images(lengths: Sequence[float], period: PerAxis) -> None:
    """Raise where too many images of a support of some lengths overlap."""
    images = math.prod(length / p + 1 for length, p in zip(lengths, period, strict=True))
    if images > MOST_IMAGES:
        raise ValueError(
            f"{images:.3g} images of this field overlap at period {period}, more than {MOST_IMAGES}: "
            "take a longer period"
        )


def _widest(left: PerAxis | None, right: PerAxis | None) -> PerAxis | None:
    return tuple(map(max, left, right)) if left and right else left or right


def _narrowest(left: PerAxis | None, right: PerAxis | None) -> PerAxis | None:
    return tuple(map(min, left, right)) if left and right else left or right
