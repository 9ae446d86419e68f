"""The nodes of the graph: what the vocabulary makes of fields."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fields import checks
from fields.correlation import convolve, maximum, mix
from fields.field import Field, PerAxis
from fields.kernel import MatrixKernel
from fields.lattice import Box, Frame, Lattice, Need, Plan, Task, evaluate, graph
from fields.stencil import Stencil
from fields.window import Window, pooling_kind

Corners = tuple[PerAxis, PerAxis]


class _Composed(Field):
    """A node over parents, of the same dimension, with the first one's dtype and device."""

    def __init__(self, *parents: Field, channels: int, batch: Sequence[int] = ()) -> None:
        first = parents[0]
        for other in parents[1:]:
            if other.dim != first.dim:
                raise ValueError(f"fields on R^{first.dim} and R^{other.dim} don't combine")
            if other.dtype != first.dtype:
                raise TypeError(
                    f"fields of {first.dtype} and {other.dtype} don't combine: build them of one dtype"
                )
        self.parents = parents
        self.dim, self.dtype, self.device = first.dim, first.dtype, first.device
        self.channels = channels
        try:
            self.batch = tuple(torch.broadcast_shapes(batch, *(p.batch for p in parents)))
        except RuntimeError as error:
            shapes = [tuple(batch), *(p.batch for p in parents)]
            raise ValueError(f"batch shapes {shapes} don't broadcast") from error

    @property
    def parent(self) -> Field:
        return self.parents[0]


class Translated(_Composed):
    """x ↦ F(x − t)."""

    def __init__(self, parent: Field, t: Tensor) -> None:
        super().__init__(parent, channels=parent.channels, batch=t.shape[:-1])
        self.t = t
        self.bandlimit = parent.bandlimit

    def _needs(self, frame: Frame, box: Box, plan: Plan) -> list[Need]:
        return [Need(self.parent, plan.moved(frame, self.t), box)]

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        return inputs[0]

    def bandwidth(self, rtol: float) -> PerAxis | None:
        return self.parent.bandwidth(rtol)

    def support(self, rtol: float) -> Corners | None:
        corners = self.parent.support(rtol)
        if corners is None:
            return None
        moves = self.t.detach().cpu().reshape(-1, self.dim)
        low, high = moves.amin(0).tolist(), moves.amax(0).tolist()
        return _add(corners[0], low), _add(corners[1], high)

    def _integral(self) -> Tensor | None:
        closed = self.parent._integral()
        return None if closed is None else closed.expand(*self.batch, self.channels)

    def _transform(self, frequencies: Tensor) -> Tensor | None:
        closed = self.parent._transform(frequencies)
        if closed is None:
            return None
        cycles = (self.t.to(frequencies)[..., None, :] * frequencies).sum(-1)
        return closed * torch.exp(-2j * math.pi * cycles)[..., None].to(closed.dtype)

    def _convolved(self, kernel: MatrixKernel) -> Field | None:
        closed = self.parent._convolved(kernel)
        return None if closed is None else Translated(closed, self.t)


class Mapped(_Composed):
    """x ↦ fn(F(x)), fn a function of the channel vector."""

    def __init__(self, parent: Field, fn: Callable[[Tensor], Tensor]) -> None:
        if not callable(fn):
            raise TypeError(f"map needs a callable, got {type(fn).__name__}")
        self.fn = fn
        with torch.no_grad():
            self._zero = fn(
                torch.zeros(1, parent.channels, dtype=parent.dtype, device=parent.device)
            )
        super().__init__(parent, channels=map_channels(self._zero, (1,)))
        self.dtype = self._zero.dtype

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        return map_values(self.fn, inputs[0], self.dim)

    def bandwidth(self, rtol: float) -> PerAxis | None:
        return None

    def support(self, rtol: float) -> Corners | None:
        return self.parent.support(rtol) if not bool(self._zero.any()) else None


def map_channels(values: Tensor, points: Sequence[int]) -> int:
    """Number of channels that a mapped function returned, shape checked."""
    if not isinstance(values, Tensor) or tuple(values.shape[:-1]) != tuple(points):
        got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(
            f"a mapped function takes (*points, c) to (*points, c'): expected {(*points, 'c')}, got {got}"
        )
    return values.shape[-1]


def map_values(fn: Callable[[Tensor], Tensor], values: Tensor, dim: int) -> Tensor:
    """Apply a function of channels-last values to values (*batch, c, X1, …, Xd)."""
    last = values.movedim(-dim - 1, -1)
    out = fn(last)
    map_channels(out, last.shape[:-1])
    return out.movedim(-1, -dim - 1)


class Affine(_Composed):
    """x ↦ a·F(x) + b, per channel."""

    def __init__(self, parent: Field, scale: Tensor | float, shift: Tensor | float) -> None:
        shapes = (torch.as_tensor(v).shape for v in (scale, shift))
        channels = max(parent.channels, *(math.prod(s) for s in shapes))
        super().__init__(parent, channels=channels)
        self.scale, self.shift = scale, shift
        self.bandlimit = parent.bandlimit

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        return affine_values(inputs[0], self.scale, self.shift, self.dim)

    def bandwidth(self, rtol: float) -> PerAxis | None:
        return self.parent.bandwidth(rtol)

    def support(self, rtol: float) -> Corners | None:
        zero = not bool(torch.as_tensor(self.shift).any())
        return self.parent.support(rtol) if zero else None

    def _convolved(self, kernel: MatrixKernel) -> Field | None:
        number = isinstance(self.scale, float) or self.scale.ndim == 0
        linear = number and isinstance(self.shift, float) and self.shift == 0.0
        closed = self.parent._convolved(kernel) if linear else None
        return None if closed is None else Affine(closed, self.scale, 0.0)


def affine_values(values: Tensor, scale: Tensor | float, shift: Tensor | float, dim: int) -> Tensor:
    """a·values + b per channel, for values (*batch, c, X1, …, Xd)."""

    def spread(v: Tensor | float) -> Tensor | float:
        return v.reshape(-1, *(1,) * dim) if isinstance(v, Tensor) and v.ndim else v

    if not isinstance(scale, float) or scale != 1.0:
        values = values * spread(scale)
    return values if isinstance(shift, float) and shift == 0.0 else values + spread(shift)


class Mixed(_Composed):
    """x ↦ M F(x)."""

    def __init__(self, parent: Field, matrix: Any) -> None:
        self.matrix = checks.matrix(matrix, parent.channels, parent._like)
        super().__init__(parent, channels=self.matrix.shape[0])
        self.bandlimit = parent.bandlimit

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        return mix(inputs[0], self.matrix, self.dim)

    def bandwidth(self, rtol: float) -> PerAxis | None:
        return self.parent.bandwidth(rtol)

    def support(self, rtol: float) -> Corners | None:
        return self.parent.support(rtol)


class Sum(_Composed):
    """x ↦ F(x) + G(x)."""

    def __init__(self, left: Field, right: Field) -> None:
        super().__init__(left, right, channels=checks.same_channels(left.channels, right.channels))
        self.bandlimit = _each(max, left.bandlimit, right.bandlimit)

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        return inputs[0] + inputs[1]

    def bandwidth(self, rtol: float) -> PerAxis | None:
        return _each(max, *(p.bandwidth(rtol) for p in self.parents))

    def support(self, rtol: float) -> Corners | None:
        left, right = (p.support(rtol) for p in self.parents)
        if left is None or right is None:
            return None
        low = tuple(map(min, left[0], right[0]))
        return low, tuple(map(max, left[1], right[1]))

    def _convolved(self, kernel: MatrixKernel) -> Field | None:
        if any(p.channels != self.channels for p in self.parents):
            return None
        left, right = (p._convolved(kernel) for p in self.parents)
        return None if left is None or right is None else Sum(left, right)


class Product(_Composed):
    """x ↦ F(x)·G(x), channel by channel; its band is the sum of the bands."""

    def __init__(self, left: Field, right: Field) -> None:
        super().__init__(left, right, channels=checks.same_channels(left.channels, right.channels))
        self.bandlimit = _each(_plus, left.bandlimit, right.bandlimit)

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        return inputs[0] * inputs[1]

    def bandwidth(self, rtol: float) -> PerAxis | None:
        return _each(_plus, *(p.bandwidth(rtol) for p in self.parents))

    def support(self, rtol: float) -> Corners | None:
        left, right = (p.support(rtol) for p in self.parents)
        return left or right


class _Stenciled(_Composed):
    """A node that asks its parent for a halo: one need per stencil."""

    def _needs(self, frame: Frame, box: Box, plan: Plan) -> list[Need]:
        needs = []
        for stencil in plan.stencils(self):
            moved, centre = plan.shifted(frame, box, [-r for r in stencil.remainder])
            halo = centre.widened([-n for n in stencil.last], stencil.step, stencil.size)
            needs.append(Need(self.parent, moved, halo))
        return needs

    def _applied(
        self, task: Task, inputs: list[Tensor], operation: Callable[..., Tensor]
    ) -> list[Tensor]:
        parts = []
        for stencil, need, values in zip(task.plan.stencils(self), task.needs, inputs, strict=True):
            dilation = [max(1, s // b) for s, b in zip(stencil.step, need.box.step, strict=True)]
            stride = [max(1, s // b) for s, b in zip(task.box.step, need.box.step, strict=True)]
            parts.append(operation(values, stencil, dilation, stride))
        return parts


class Convolved(_Stenciled):
    """x ↦ ∫ K(y) F(x − y) dy by nodes in the kernel's frame."""

    def __init__(self, parent: Field, kernel: MatrixKernel, nodes: int) -> None:
        check_kernel(kernel, parent.channels, parent.dtype)
        kernel.reach(parent.dim)
        (self.nodes,) = checks.integers(nodes, 1, "nodes")
        self.kernel = kernel
        super().__init__(parent, channels=kernel.out_channels)
        self.bandlimit = parent.bandlimit

    def _spacings(self, node: PerAxis | None) -> Sequence[float | None]:
        return self.kernel.spacings(node, self.nodes, self.dim)

    def _stencils(self, plan: Plan) -> list[Stencil]:
        own = self._spacings(plan.node_spacing)
        node = tuple(p if h is None else h for h, p in zip(own, plan.pitch, strict=True))
        return fitted(self.kernel.stencils(plan.pitch, node), self.kernel, self._like)

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        parts = self._applied(task, inputs, convolve)
        return sum(parts[1:], start=parts[0])

    @property
    def is_quadrature(self) -> bool:
        return self.kernel.is_density

    def _kernel_bandwidth(self, rtol: float) -> PerAxis | None:
        return self.kernel.bandwidth(rtol, self.dim) if self.kernel.is_density else None

    def _node_reach(self) -> PerAxis | None:
        return self.kernel.reach(self.dim) if self.kernel.is_density else None

    @property
    def _workspace(self) -> int:
        return 2

    def bandwidth(self, rtol: float) -> PerAxis | None:
        return self.parent.bandwidth(rtol)

    def support(self, rtol: float) -> Corners | None:
        return _grown(self.parent.support(rtol), self.kernel.reach(self.dim))


def check_kernel(kernel: Any, channels: int, dtype: torch.dtype) -> None:
    """Raise where a kernel doesn't fit a feature map."""
    if not isinstance(kernel, MatrixKernel):
        raise TypeError(
            f"expected a kernel (Kernel, GaussianKernel, Atoms, …), got {type(kernel).__name__}: "
            "an array becomes one by Atoms.from_array(array, spacing)"
        )
    if kernel.in_channels != channels:
        raise ValueError(
            f"the kernel takes {kernel.in_channels} channels, the feature map has {channels}"
        )
    if kernel.dtype not in (None, dtype):
        raise TypeError(
            f"the kernel is {kernel.dtype}, the feature map {dtype}: convert one of them, "
            f"layer.to({dtype}) for instance"
        )


def fitted(stencils: list[Stencil], kernel: MatrixKernel, like: Tensor) -> list[Stencil]:
    """The stencils of a kernel that takes the dtype of the feature map, in that dtype."""
    return stencils if kernel.dtype is not None else [s.to(like) for s in stencils]


class Pooled(_Stenciled):
    """x ↦ mean or maximum of F(x − y) over y in a window."""

    def __init__(self, parent: Field, window: Window, kind: str, nodes: int) -> None:
        check_window(window)
        window.reach(parent.dim)
        (self.nodes,) = checks.integers(nodes, 1, "nodes")
        self.window, self.kind = window, pooling_kind(kind)
        super().__init__(parent, channels=parent.channels)
        self.bandlimit = parent.bandlimit if kind == "mean" else None

    def _spacings(self, node: PerAxis | None) -> Sequence[float | None]:
        return self.window.spacings(node, self.nodes, self.dim)

    def _stencils(self, plan: Plan) -> list[Stencil]:
        own = self._spacings(plan.node_spacing)
        node = tuple(p if h is None else h for h, p in zip(own, plan.pitch, strict=True))
        stencils = self.window.stencils(plan.pitch, node, self.kind)
        return [s.to(self._like) for s in stencils]

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        if self.kind == "mean":
            parts = self._applied(task, inputs, convolve)
            return sum(parts[1:], start=parts[0])
        parts = self._applied(task, inputs, maximum)
        best = parts[0]
        for part in parts[1:]:
            best = torch.maximum(best, part)
        return best

    @property
    def is_quadrature(self) -> bool:
        return self.window.is_region

    def _node_reach(self) -> PerAxis | None:
        return self.window.reach(self.dim) if self.window.is_region else None

    @property
    def _workspace(self) -> int:
        return 2

    def bandwidth(self, rtol: float) -> PerAxis | None:
        return self.parent.bandwidth(rtol) if self.kind == "mean" else None

    def support(self, rtol: float) -> Corners | None:
        return _grown(self.parent.support(rtol), self.window.reach(self.dim))


def check_window(window: Any) -> None:
    """Raise where something isn't a pooling window."""
    if not isinstance(window, Window):
        raise TypeError(
            f"expected a pooling window (Ball, Box, Mask), got {type(window).__name__}: "
            "a number of samples k on spacing h is Box(k*h)"
        )


class Periodized(Field):
    """x ↦ Σ_n F(x − nP) over the images that reach the query."""

    #: What is left out of the sum, relative to the field's maximum.
    TAIL = 1e-17

    def __init__(self, source: Field, period: PerAxis) -> None:
        corners = source.support(self.TAIL)
        if corners is None:
            raise ValueError(
                "only a field that is known to decay can be periodized: Gaussians, and what layers without bias "
                "make of them; others know their period already, or have none"
            )
        self.source, self.corners, self._period = source, corners, period
        self.dim, self.channels, self.batch = source.dim, source.channels, source.batch
        self.dtype, self.device = source.dtype, source.device
        self.bandlimit = source.bandlimit

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
        images = (range(int(a), int(b) + 1) for a, b in zip(first, last, strict=True))
        parts = (
            evaluate(
                self.source,
                Lattice(origin - period * origin.new_tensor(n), lattice.spacing, lattice.shape),
                task.plan.node_spacing,
            )
            for n in itertools.product(*images)
        )
        return functools.reduce(torch.add, parts)

    def bandwidth(self, rtol: float) -> PerAxis | None:
        return self.source.bandwidth(rtol)


def _each(fn: Callable[[float, float], float], *bands: PerAxis | None) -> PerAxis | None:
    left, right = bands
    return None if left is None or right is None else tuple(map(fn, left, right))


def _widest(left: PerAxis | None, right: PerAxis | None) -> PerAxis | None:
    return tuple(map(max, left, right)) if left and right else left or right


def _narrowest(left: PerAxis | None, right: PerAxis | None) -> PerAxis | None:
    return tuple(map(min, left, right)) if left and right else left or right


def _plus(a: float, b: float) -> float:
    return a + b


def _add(a: Sequence[float], b: Sequence[float]) -> PerAxis:
    return tuple(map(_plus, a, b))


def _grown(corners: Corners | None, reach: PerAxis) -> Corners | None:
    if corners is None:
        return None
    return _add(corners[0], [-r for r in reach]), _add(corners[1], reach)
