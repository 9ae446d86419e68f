"""The nodes of the graph that look around: convolutions and local poolings, by taps in a frame that moves with x."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fields import checks
from fields.accuracy import BETWEEN, MARGIN, MOST_NODES
from fields.accuracy import DITHER_TEMPORARIES as TEMPORARIES
from fields.algebra.field import NODES_OF, Field
from fields.algebra.linear import Composed, Corners, grown
from fields.evaluation.dither import Dither
from fields.evaluation.plan import Frame, Need, Plan, Task
from fields.evaluation.questions import Answer, opaque, question
from fields.kernels.aggregation import Aggregate, View, aggregate, weighted_sum
from fields.kernels.kernel import MatrixKernel
from fields.kernels.window import Window
from fields.lattice import Box, PerAxis, take
from fields.stencils.overlap_save import fft_bytes, fft_pays
from fields.stencils.stencil import Stencil


class _Stenciled(Composed):
    """A node that asks its parent for a halo: one need per stencil."""

    @abstractmethod
    def _stencils(self, plan: Plan) -> list[Stencil]:
        """Taps of the node on the plan's lattice."""

    def _taps(self, plan: Plan) -> list[Stencil]:
        return plan.stencils(self, self._stencils)

    def _needs(self, frame: Frame, box: Box, plan: Plan) -> list[Need]:
        asked = self._asked(frame, box, plan, (0.0,) * self.dim)
        dither = self._looking(plan)
        if dither is not None and dither.between and opaque(self.parent):
            between = [BETWEEN * p for p in self._taps(plan)[0].step]
            return asked + self._asked(frame, box, plan, between)
        return asked

    def _asked(self, frame: Frame, box: Box, plan: Plan, by: Sequence[float]) -> list[Need]:
        """What the taps, moved by some pitches, reach of the parent."""
        needs, more = [], 0 if self._looking(plan) is None else MARGIN
        for stencil in self._taps(plan):
            moved, centre = plan.shifted(
                frame, box, [b - r for b, r in zip(by, stencil.remainder, strict=True)]
            )
            first = [-n - more * p for n, p in zip(stencil.last, stencil.step, strict=True)]
            halo = centre.widened(first, stencil.step, [n + 2 * more for n in stencil.size])
            needs.append(Need(self.parent, moved, halo))
        return needs

    def _views(self, task: Task, inputs: list[Tensor]) -> list[View]:
        views, taps = [], self._taps(task.plan)
        for k, stencil in enumerate(taps):
            values, steps = inputs[k], task.needs[k].box.step
            dilation = _ratios(stencil.step, steps)
            dither = self._looking(task.plan)
            if dither is not None:
                between = inputs[len(taps) + k] if len(inputs) > len(taps) else None
                values = self._moved_between(values, between, dilation, dither)
            views.append(View(values, stencil, dilation, _ratios(task.box.step, steps)))
        return views

    def _moved_between(
        self, values: Tensor, between: Tensor | None, lags: Sequence[int], dither: Dither
    ) -> Tensor:
        """What the taps meet, moved as it may be between them."""
        if between is not None:
            values = dither.of_opaque(values, between, lags)
        values = self._dithered(values, lags, dither)
        sizes = values.shape[-self.dim :]
        return take(
            values, (slice(MARGIN * k, n - MARGIN * k) for k, n in zip(lags, sizes, strict=True))
        )

    def _looking(self, plan: Plan) -> Dither | None:
        """What looks at the inputs of this node, since they aren't all that its value depends on."""
        return plan.dither if self.is_quadrature else None

    def _dithered(self, values: Tensor, lags: Sequence[int], dither: Dither) -> Tensor:
        return dither.of_sum(values, lags)

    def _temporaries(self, box: Box, needs: Sequence[Need], plan: Plan) -> int:
        most, taps_of = 0, self._taps(plan)
        if self._looking(plan) is not None:
            most = TEMPORARIES * self.itemsize * max(need.box.points for need in needs)
        for stencil, need in zip(taps_of, needs[: len(taps_of)], strict=True):
            taps, (outs, ins) = stencil.taps, (1, 1)
            if isinstance(taps, tuple) or max(_ratios(stencil.step, need.box.step)) > 1:
                continue
            if taps.ndim > self.dim:
                outs, ins = taps.shape[-2:]
            values, kernel = (
                torch.empty(*shape, dtype=self.dtype, device="meta")
                for shape in ((1, ins, *need.box.count), (outs, ins, *stencil.size))
            )
            if fft_pays(values, kernel, _ratios(box.step, need.box.step)):
                most = max(most, fft_bytes(values, kernel))
        return most


def _ratios(coarse: Sequence[int], fine: Sequence[int]) -> list[int]:
    return [max(1, a // b) for a, b in zip(coarse, fine, strict=True)]


class Convolved(_Stenciled):
    """x ↦ ∫ K(y) F(x − y) dy by nodes in the kernel's frame."""

    def __init__(self, parent: Field, kernel: MatrixKernel, nodes: int) -> None:
        check_kernel(kernel, parent.channels)
        kernel.reach(parent.dim)
        (self.nodes,) = checks.integers(nodes, 1, "nodes", most=MOST_NODES)
        self.kernel = kernel
        super().__init__(parent, channels=kernel.out_channels, others=[kernel])

    def _spacings(self, node: PerAxis | None) -> Sequence[float | None]:
        return self.kernel.spacings(node, self.nodes, self.dim)

    def _stencils(self, plan: Plan) -> list[Stencil]:
        own = self._spacings(plan.node_spacing)
        node = tuple(p if h is None else h for h, p in zip(own, plan.pitch, strict=True))
        kernel = self.kernel.to(self.dtype)
        return [s.to(self._like) for s in kernel.stencils(plan.pitch, node)]

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        return weighted_sum(self._views(task, inputs))

    @property
    def is_quadrature(self) -> bool:
        return self.kernel.is_density

    def _kernel_bandwidth(self, rtol: float) -> PerAxis | None:
        return self.kernel.bandwidth(rtol, self.dim) if self.kernel.is_density else None

    def _width(self) -> PerAxis | None:
        return self.kernel.reach(self.dim)

    @property
    def _workspace(self) -> int:
        return 2

    @question
    def bandwidth(self, rtol: float) -> Answer[PerAxis | None]:
        band: PerAxis | None = yield self.parent, "bandwidth", rtol
        return band

    @question
    def support(self, rtol: float) -> Answer[Corners | None]:
        return grown((yield self.parent, "support", rtol), self.kernel.reach(self.dim))


def check_kernel(kernel: Any, channels: int) -> None:
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


class Pooled(_Stenciled):
    """x ↦ aggregate of F(x − y) over y in a window."""

    def __init__(
        self, parent: Field, window: Window, kind: str | float | Aggregate, nodes: int
    ) -> None:
        check_window(window)
        window.reach(parent.dim)
        (self.nodes,) = checks.integers(nodes, 1, "nodes", most=MOST_NODES)
        self.window, self.aggregate = window, aggregate(kind).continuous
        super().__init__(parent, channels=parent.channels, others=[self.aggregate])

    def _band(self, *bands: PerAxis | None) -> PerAxis | None:
        return bands[0] if self.aggregate.linear else None

    def _spacings(self, node: PerAxis | None) -> Sequence[float | None]:
        return self.window.spacings(node, self.nodes, self.dim)

    def _stencils(self, plan: Plan) -> list[Stencil]:
        own = self._spacings(plan.node_spacing)
        node = tuple(p if h is None else h for h, p in zip(own, plan.pitch, strict=True))
        return self.window.taps(plan.pitch, node, self.aggregate.taps, self._like)

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        return self.aggregate.combine(self._views(task, inputs))

    def _dithered(self, values: Tensor, lags: Sequence[int], dither: Dither) -> Tensor:
        return dither.of_maximum(values, lags) if self.is_maximum else dither.of_sum(values, lags)

    @property
    def is_maximum(self) -> bool:
        return self.aggregate.taps != "mean"

    def _jumps(self) -> bool | None:
        return False if self.aggregate.linear else None

    @property
    def is_quadrature(self) -> bool:
        return self.window.is_region

    def _width(self) -> PerAxis | None:
        return self.window.reach(self.dim)

    @property
    def _workspace(self) -> int:
        return self.aggregate.workspace

    @question
    def bandwidth(self, rtol: float) -> Answer[PerAxis | None]:
        linear = self.aggregate.linear
        band: PerAxis | None = (yield self.parent, "bandwidth", rtol) if linear else None
        return band

    @question
    def support(self, rtol: float) -> Answer[Corners | None]:
        return grown((yield self.parent, "support", rtol), self.window.reach(self.dim))


def check_window(window: Any) -> None:
    """Raise where something isn't a pooling window."""
    if not isinstance(window, Window):
        raise TypeError(
            f"expected a pooling window (Ball, Box, Mask), got {type(window).__name__}: "
            "a number of samples k on spacing h is Box(k*h)"
        )


NODES_OF |= {"convolve": Convolved, "pool": Pooled}
