"""Sums of the images of a decaying field: a leaf that evaluates a graph of its own."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fields.accuracy import IMAGES_AT_ONCE, MOST_IMAGES, MOST_PAIRED_IMAGES, TAIL
from fields.algebra import closed_forms, linear
from fields.algebra.field import NODES_OF, Field
from fields.arrays import broadcast
from fields.evaluation.evaluation import evaluate
from fields.evaluation.integrals import check_multiples
from fields.evaluation.plan import Task
from fields.evaluation.questions import Answer, graph, question
from fields.kernels.kernel import MatrixKernel
from fields.lattice import Lattice, PerAxis


class Images(Field):
    """Abstract: x ↦ Σ_n F(x − nP), whose closed forms are those of F."""

    source: Field

    def __init__(self, source: Field, period: PerAxis) -> None:
        corners = source.support(TAIL)
        if corners is None:
            raise ValueError(
                "only a field that is known to decay can be periodized: Gaussians, and what layers without bias "
                "make of them; others know their period already, or have none"
            )
        check_images([b - a for a, b in zip(*corners, strict=True)], period)
        self.source, self._period = source, period
        self.dim, self.channels, self.batch = source.dim, source.channels, source.batch
        self.dtype, self.device, self.weak = source.dtype, source.device, source.weak

    @property
    @question
    def bandlimit(self) -> Answer[PerAxis | None]:  # type: ignore[override]
        band: PerAxis | None = yield self.source, "bandlimit"
        return band

    @property
    def corners(self) -> tuple[PerAxis, PerAxis]:
        """Of a box that holds all but a negligible tail of the field whose images are summed."""
        corners = self.source.support(TAIL)
        if corners is None:
            raise ValueError(
                "this field is no longer known to decay, so that its images have no sum: a bias, or a function that "
                "isn't 0 at 0, was changed"
            )
        return corners

    @property
    def period(self) -> PerAxis:
        """As given."""
        return self._period

    @question
    def bandwidth(self, rtol: float) -> Answer[PerAxis | None]:
        """That of the field whose images are summed."""
        band: PerAxis | None = yield self.source, "bandwidth", rtol
        return band

    def _finest(self, rtol: float) -> PerAxis:
        """Nothing is finer than what is summed."""
        return (0.0,) * self.dim

    def _jumps(self) -> bool:
        return False

    def _integral(self) -> Tensor | None:
        return closed_forms.integral(self.source)

    def _transform(self, frequencies: Tensor) -> Tensor | None:
        check_multiples(frequencies, self._period)
        found = closed_forms.transform(self.source, frequencies)
        return None if found is None else found / math.prod(self._period)

    def _inner(self, other: Field) -> Tensor | None:
        """⟨Σ_n F(x − nP), G⟩ = Σ_n ⟨F(x − nP), G⟩ over R^d, G a decaying field or that whose images are summed."""
        if isinstance(other, Images) and other._period == self._period:
            other = other.source
        corners = other.support(TAIL)
        if corners is None:
            return None
        moves = self._to_reach(corners)
        if moves is None:
            return None
        batch = broadcast(self.batch, other.batch)
        total = self._like.new_zeros(batch)
        for t in moves.split(IMAGES_AT_ONCE):
            moved = self.source.translate(t.reshape(-1, *(1,) * len(batch), self.dim))
            found = closed_forms.paired(moved, other)
            if found is None:
                return None
            total = total + found[0].expand(len(t), *batch).sum(0)
        return total

    def _to_reach(self, corners: tuple[PerAxis, PerAxis]) -> Tensor | None:
        """Translations nP, shape (n, d), by which F may reach some corners; None where they are many."""
        sides = zip(*self.corners, *corners, self._period, strict=True)
        several = [
            range(math.ceil((c - b) / p), math.floor((d - a) / p) + 1) for a, b, c, d, p in sides
        ]
        if math.prod(map(len, several)) > MOST_PAIRED_IMAGES:
            return None
        images = torch.tensor([*itertools.product(*several)], dtype=torch.float64)
        return images.reshape(-1, self.dim) * torch.tensor(self._period, dtype=torch.float64)

    def _moved(self, t: Tensor) -> Field:
        period = t.new_tensor(self._period)
        t = t - period * (t.detach() / period).round()
        moved = self.source._moved(t)
        return (moved or self.source.translate(t)).periodize(self._period)

    def _mixed(self, matrix: Tensor) -> Field:
        mixed = self.source._mixed(matrix)
        return (mixed or self.source.mix(matrix)).periodize(self._period)

    def _in(self, dtype: torch.dtype) -> Field:
        return linear.cast(self.source, dtype).periodize(self._period)

    def _convolution(self, kernel: MatrixKernel) -> Field | None:
        found = self.source._convolution(kernel)
        return None if found is None else found.periodize(self._period)

    def _convolved(self, kernel: MatrixKernel) -> Field | None:
        found = closed_forms.convolution(self.source, kernel, {})
        return None if found is None else found.periodize(self._period)


class Periodized(Images):
    """The images that reach the query, one after the other."""

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


NODES_OF["periodize"] = Periodized
