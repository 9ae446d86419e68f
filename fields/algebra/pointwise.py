"""Nodes of the graph that are functions of values: what `map` makes of a field, and products."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fields import arguments, checks
from fields.accuracy import NOTHING
from fields.accuracy import SAME_VALUE as SAME
from fields.algebra.decay import Tails, fainter, rung, tails
from fields.algebra.field import NODES_OF, Field
from fields.algebra.linear import Composed, Corners, combined, common
from fields.evaluation.plan import Task
from fields.evaluation.questions import Answer, question
from fields.lattice import PerAxis


class Mapped(Composed):
    """x ↦ fn(F(x)), fn a function of the channel vector."""

    def __init__(
        self,
        parent: Field,
        fn: Callable[[Tensor], Tensor],
        jumps: bool | None = None,
        finest: checks.VectorLike | None = None,
    ) -> None:
        self.fn = arguments.function(fn, "fn", "values (…, c)")
        self.jumps, self.finest = arguments.known_of_function(jumps, finest, parent.dim)
        zero = self._at_zero(parent)
        super().__init__(parent, channels=map_channels(zero, (1,)))
        self.dtype = zero.dtype

    def _at_zero(self, parent: Field) -> Tensor:
        """What the function makes of 0, as it is now: a module may have learnt in the meantime."""
        zero = torch.zeros(1, parent.channels, dtype=parent.dtype, device=parent.device)
        with torch.no_grad():
            return self.fn(zero)  # type: ignore[no-any-return]

    def _finest(self, rtol: float) -> PerAxis | None:
        return self.finest

    def _jumps(self) -> bool | None:
        return self.jumps

    def _band(self, *bands: PerAxis | None) -> PerAxis | None:
        return None

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        return map_values(self.fn, inputs[0], self.dim)

    def bandwidth(self, rtol: float) -> PerAxis | None:
        return None

    @question
    def support(self, rtol: float) -> Answer[Corners | None]:
        if bool(self._at_zero(self.parent).any()):
            return None
        own = yield self, "_tails"
        part = fainter(own, rtol)
        part = rung(part) if part < rtol * (1 - SAME) else rtol
        corners: Corners | None = yield self.parent, "support", part
        return corners

    def _tails(self) -> Tails:
        like = torch.empty(self.parent.channels, dtype=self.parent.dtype, device=self.device)
        return tails(self.fn, like)


def map_channels(values: Tensor, points: Sequence[int]) -> int:
    """Number of channels that a mapped function returned, shape checked."""
    if not isinstance(values, Tensor) or tuple(values.shape[:-1]) != tuple(points):
        got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(
            f"a mapped function takes (*points, c) to (*points, c'): expected {(*points, 'c')}, got {got}"
        )
    if not values.is_floating_point():
        raise TypeError(
            f"a mapped function must return floating point numbers, got {values.dtype}: end it with .to(x)"
        )
    return values.shape[-1]


def map_values(fn: Callable[[Tensor], Tensor], values: Tensor, dim: int) -> Tensor:
    """Apply a function of channels-last values to values (*batch, c, X1, …, Xd)."""
    last = values.movedim(-dim - 1, -1)
    out: Tensor = arguments.function(fn, "fn", "values (…, c)")(last)
    map_channels(out, last.shape[:-1])
    return out.movedim(-1, -dim - 1)


class Product(Composed):
    """x ↦ F(x)·G(x), channel by channel; its band is the sum of the bands."""

    def __init__(self, left: Field, right: Field) -> None:
        super().__init__(left, right, channels=checks.same_channels(left.channels, right.channels))

    def _band(self, *bands: PerAxis | None) -> PerAxis | None:
        return combined(operator.add, *bands)

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        return inputs[0] * inputs[1]

    @question
    def bandwidth(self, rtol: float) -> Answer[PerAxis | None]:
        left, right = self.parents
        return combined(
            operator.add, (yield left, "bandwidth", rtol), (yield right, "bandwidth", rtol)
        )

    @question
    def support(self, rtol: float) -> Answer[Corners | None]:
        left, right = self.parents
        one = yield left, "support", rtol
        other = yield right, "support", rtol
        if one is None or other is None:
            corners: Corners | None = one or other
            return corners
        both = common(one, other)
        if both is not None and _half(both, one, other):
            return both
        # They meet far from where they are large: what there is of the product may reach as far as both together.
        level = rung(math.sqrt(rtol))
        while level > NOTHING:
            if common((yield left, "support", level), (yield right, "support", level)) is not None:
                level = rung(level**2)
                return common((yield left, "support", level), (yield right, "support", level))
            level = rung(level**2)
        return one[0], one[0]


def _half(part: Corners, *boxes: Corners) -> bool:
    """Whether a box is at least half as long, on every axis, as the shortest of others."""
    lengths = [[b - a for a, b in zip(*box, strict=True)] for box in (part, *boxes)]
    return all(2 * own >= min(others) for own, *others in zip(*lengths, strict=True))


NODES_OF |= {"map": Mapped, "multiply": Product}
