"""Nodes of the graph, and those that are linear: translates, multiples, mixings, sums, and other dtypes.

Functions and products of values are in `fields.algebra.pointwise`, convolutions and poolings, which look around, in
`fields.algebra.local`, sums of images in `fields.algebra.periodized`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from fields import checks, dtypes
from fields.algebra.field import NODES_OF, Field
from fields.arrays import broadcast, tracked
from fields.evaluation.plan import Frame, Need, Plan, Task
from fields.evaluation.questions import Answer, question
from fields.evaluation.translations import Move
from fields.lattice import Box, PerAxis
from fields.stencils.correlation import mix

Corners = tuple[PerAxis, PerAxis]
#: A number, or one number per channel, or what makes them.
Vector = Tensor | float | Callable[[], Tensor]


class Composed(Field):
    """A node over parents, of the same dimension, on the first one's device, in the dtype in which they meet.

    Parameters
    ----------
    others : sequence
        What else the values depend on that has a dtype.
    """

    def __init__(
        self,
        *parents: Field,
        channels: int,
        batch: Sequence[int] = (),
        others: Sequence[dtypes.Typed] = (),
    ) -> None:
        first = parents[0]
        for other in parents[1:]:
            if other.dim != first.dim:
                raise ValueError(f"fields on R^{first.dim} and R^{other.dim} don't combine")
        self.dtype = dtypes.met(*parents, *others)
        self.weak = dtypes.give_way(*parents, *others)
        self.parents = tuple(cast(p, self.dtype) for p in parents)
        self.dim, self.device = first.dim, first.device
        self.channels = channels
        try:
            self.batch = tuple(broadcast(batch, *(p.batch for p in parents)))
        except ValueError as error:
            shapes = [tuple(batch), *(p.batch for p in parents)]
            raise ValueError(f"batch shapes {shapes} don't broadcast") from error

    @property
    def parent(self) -> Field:
        return self.parents[0]

    @property
    @question
    def bandlimit(self) -> Answer[PerAxis | None]:  # type: ignore[override]
        """Largest frequency per axis, from those of the parents."""
        bands = []
        for parent in self.parents:
            bands.append((yield parent, "bandlimit"))
        return self._band(*bands)

    def _band(self, *bands: PerAxis | None) -> PerAxis | None:
        """What a node makes of its parents' band limits; a node of a single parent keeps it."""
        return bands[0]

    def _finest(self, rtol: float) -> PerAxis | None:
        """Nothing is finer than the parents are, unless a subclass says so."""
        return (0.0,) * self.dim

    def _jumps(self) -> bool | None:
        return False


class Linear(Composed):
    """Abstract: x ↦ Σ_p W_p F_p(x) + b over the parents, or the translate of the only one."""

    @property
    def shift(self) -> Tensor | float:
        """b: a number, or one number per channel."""
        return 0.0

    def _weights(self) -> Sequence[Tensor | float]:
        """W of each parent: a number, one number per channel (c,), or a matrix (c_out, c_in)."""
        return [1.0] * len(self.parents)

    @question
    def bandwidth(self, rtol: float) -> Answer[PerAxis | None]:
        band: PerAxis | None = (0.0,) * self.dim
        for parent in self.parents:
            band = combined(max, band, (yield parent, "bandwidth", rtol))
        return band

    @question
    def support(self, rtol: float) -> Answer[Corners | None]:
        corners: Corners | None = yield self.parent, "support", rtol
        return corners


class Translated(Linear):
    """x ↦ F(x − t).

    `t` is copied, but for a leaf that asks for gradients, which an optimiser changes.
    """

    def __init__(self, parent: Field, t: Any, like: Move | None = None) -> None:
        learnt = isinstance(t, Tensor) and t.requires_grad and t.is_leaf
        vector = checks.translation(t, parent.dim)
        super().__init__(parent, channels=parent.channels, batch=vector.shape[:-1])
        self._t = t if learnt else vector.clone()
        self._given: Any = like._given if like else t  # kept, so that its id stays its own
        self.move: Hashable = like.move if like else _move(t, self._t)

    @property
    def t(self) -> Tensor:
        """The translation, (*batch, d) in float64."""
        return checks.as_translation(self._t, self.dim)

    def moves_like(self, other: Translated) -> bool:
        """Whether another one is known to move by the same translation."""
        return self.move == other.move

    def _needs(self, frame: Frame, box: Box, plan: Plan) -> list[Need]:
        return [Need(self.parent, plan.moved(frame, self), box)]

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        return inputs[0]

    @question
    def support(self, rtol: float) -> Answer[Corners | None]:
        corners: Corners | None = yield self.parent, "support", rtol
        if corners is None:
            return None
        moves = self.t.detach().cpu().reshape(-1, self.dim)
        low, high = moves.amin(0).tolist(), moves.amax(0).tolist()
        return _add(corners[0], low), _add(corners[1], high)


class Cast(Linear):
    """x ↦ F(x), in another dtype."""

    def __init__(self, parent: Field, dtype: torch.dtype) -> None:
        super().__init__(parent, channels=parent.channels)
        self.dtype, self.weak = dtype, False

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        return inputs[0].to(self.dtype)


def cast(field: Field, dtype: torch.dtype) -> Field:
    """A field in a dtype: itself, where it has it."""
    return field if field.dtype == dtype else Cast(field, dtype)


def _move(given: Any, t: Tensor) -> Hashable:
    """What translations have in common that are known to be the same, so that branches which meet share their points.

    Their values, which for copies stay; one tensor, where derivatives are taken through them.
    """
    if torch.compiler.is_compiling() or given is t:
        return id(t)
    plain = checks.unwrapped(t.detach())
    values = None if plain is None else (tuple(plain.shape), plain.cpu().numpy().tobytes())
    if values is not None and not tracked(t):
        return values
    return id(given), None if given.is_inference() else given._version, values


class Affine(Linear):
    """x ↦ a·F(x) + b, per channel; a or b may be given by a function that makes it of a tensor as it is then."""

    def __init__(
        self, parent: Field, scale: Vector, shift: Vector, others: Sequence[dtypes.Typed] = ()
    ) -> None:
        super().__init__(parent, channels=parent.channels, others=others)
        self._scale, self._shift = scale, shift

    @property
    def scale(self) -> Tensor | float:
        """What the values are multiplied by."""
        return self._scale() if callable(self._scale) else self._scale

    @property
    def shift(self) -> Tensor | float:
        """What is added to them."""
        return self._shift() if callable(self._shift) else self._shift

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        scale, shift = self._in_dtype(self.scale), self._in_dtype(self.shift)
        return affine_values(inputs[0], scale, shift, self.dim)

    def _in_dtype(self, value: Tensor | float) -> Tensor | float:
        return value.to(self.dtype) if isinstance(value, Tensor) else value

    def _weights(self) -> Sequence[Tensor | float]:
        return [self.scale]

    @question
    def support(self, rtol: float) -> Answer[Corners | None]:
        zero = not bool(torch.as_tensor(self.shift).any())
        corners: Corners | None = (yield self.parent, "support", rtol) if zero else None
        return corners


def affine_values(values: Tensor, scale: Tensor | float, shift: Tensor | float, dim: int) -> Tensor:
    """a·values + b per channel, for values (*batch, c, X1, …, Xd)."""

    def spread(v: Tensor | float) -> Tensor | float:
        return v.reshape(-1, *(1,) * dim) if isinstance(v, Tensor) and v.ndim else v

    if not isinstance(scale, float) or scale != 1.0:
        values = values * spread(scale)
    return values if isinstance(shift, float) and shift == 0.0 else values + spread(shift)


class Mixed(Linear):
    """x ↦ M F(x)."""

    def __init__(self, parent: Field, matrix: Any) -> None:
        self.matrix = checks.matrix(matrix, parent.channels, parent._like)
        super().__init__(parent, channels=self.matrix.shape[0], others=dtypes.strong(matrix))

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        return mix(inputs[0], self.matrix.to(self.dtype), self.dim)

    def _weights(self) -> Sequence[Tensor | float]:
        return [self.matrix]


class Sum(Linear):
    """x ↦ F(x) + G(x)."""

    def __init__(self, left: Field, right: Field) -> None:
        super().__init__(left, right, channels=checks.same_channels(left.channels, right.channels))

    def _band(self, *bands: PerAxis | None) -> PerAxis | None:
        return combined(max, *bands)

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        return inputs[0] + inputs[1]

    def _weights(self) -> Sequence[Tensor | float]:
        each = torch.ones(self.channels, 1, dtype=self.dtype, device=self.device)
        return [1.0 if p.channels == self.channels else each for p in self.parents]

    @question
    def support(self, rtol: float) -> Answer[Corners | None]:
        left = yield self.parents[0], "support", rtol
        right = yield self.parents[1], "support", rtol
        if left is None or right is None:
            return None
        low = tuple(map(min, left[0], right[0]))
        return low, tuple(map(max, left[1], right[1]))


def combined(fn: Callable[[float, float], float], *bands: PerAxis | None) -> PerAxis | None:
    """A function of two bands, axis by axis; None where one isn't known."""
    left, right = bands
    return None if left is None or right is None else tuple(map(fn, left, right))


def _add(a: Sequence[float], b: Sequence[float]) -> PerAxis:
    return tuple(map(operator.add, a, b))


def common(left: Corners | None, right: Corners | None) -> Corners | None:
    """What two boxes have in common; None where it is empty."""
    if left is None or right is None:
        return None
    low, high = tuple(map(max, left[0], right[0])), tuple(map(min, left[1], right[1]))
    return (low, high) if all(a < b for a, b in zip(low, high, strict=True)) else None


def grown(corners: Corners | None, reach: PerAxis) -> Corners | None:
    """The box widened by a reach to both sides."""
    if corners is None:
        return None
    return _add(corners[0], [-r for r in reach]), _add(corners[1], reach)


NODES_OF |= {
    "translate": Translated,
    "mix": Mixed,
    "to": Cast,
    "add": Sum,
    "affine": Affine,
}
