"""PoolField: x ↦ aggregate of F(x − y) over y in window(x), the pooling that depends on where one is."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from discretize import Samples
from fields import Aggregate, Field, Mask, Window
from fields.accuracy import MOST_NODES, NODES
from fields.algebra.local import check_window
from fields.checks import VectorLike, integers, lengths
from fields.evaluation.evaluation import evaluate
from fields.evaluation.plan import Plan
from fields.evaluation.questions import Answer, question
from fields.lattice import Lattice, PerAxis, common_period
from layers.accuracy import COMMON
from layers.inputs import check_feature_map
from layers.unshared import Unshared
from layers.unshared_fields import lead_first, split_batch, wrapped

WindowAt = Callable[[Tensor], Window]


def by_window(window: WindowAt, x: Tensor) -> list[tuple[Window, Tensor]]:
    """Windows that hold at points (*points, d), each with a mask (*points) of where it does.

    Masks with the same entries are one, and other windows that print alike.
    """
    flat = x.detach().cpu().reshape(-1, x.shape[-1])
    groups: dict[Any, tuple[Window, list[int]]] = {}
    for index, point in enumerate(flat):
        here = window(point)
        check_window(here)
        groups.setdefault(_identity(here), (here, []))[1].append(index)
    masks = []
    for here, members in groups.values():
        mask = torch.zeros(len(flat), dtype=torch.bool)
        mask[members] = True
        masks.append((here, mask.reshape(x.shape[:-1])))
    return masks


def _identity(window: Window) -> Any:
    if isinstance(window, Mask):
        return window.spacing, window.mask.shape, window.mask.cpu().numpy().tobytes()
    return repr(window)


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

    @property
    @question
    def period(self) -> Answer[PerAxis | None]:
        """Where the windows repeat, that in common with the field's."""
        own = self._period
        return None if own is None else common_period((yield self.source, "period"), own)

    @property
    def is_quadrature(self) -> bool:
        """It is: nothing is known of the windows elsewhere, and where all are masks, finer nodes change nothing."""
        return True

    def _compute(self, task: Any, inputs: list[Tensor]) -> Tensor:
        lattice, plan = task.lattice, task.plan
        x = lattice.points()
        groups = by_window(self.window, wrapped(x, self._period))
        lead, rest = split_batch(x.shape[: -self.dim - 1], self.batch)
        if math.prod(rest) > 1:  # every element has points of its own
            chosen = ((w, mask.to(self.device).unsqueeze(-self.dim - 1)) for w, mask in groups)
            parts = (torch.where(m, self._pooled(w, lattice, plan), 0.0) for w, m in chosen)
            return functools.reduce(torch.add, parts)
        points = x.reshape(-1, self.dim)
        flat = points.new_zeros(*self.batch, self.channels, len(points), dtype=self.dtype)
        for window, mask in groups:
            index = mask.flatten().nonzero()[:, 0].to(self.device)
            if lead or len(index) < COMMON * len(points):
                part = self._pooled_at(window, points[index], plan)
            else:
                part = self._pooled(window, lattice, plan).flatten(-self.dim)[..., index]
            flat = flat.index_copy(-1, index, part.expand(*flat.shape[:-1], -1))
        out = flat.reshape(*self.batch, self.channels, *lead, *lattice.shape)
        out = out.movedim(len(self.batch), len(self.batch) + len(lead))
        return lead_first(out, len(lead), self.dim)

    @property
    def _workspace(self) -> int:
        return 4  # a pooling, in tiles twice, the part of it that is chosen, and the result in another order

    def _pooled(self, window: Window, lattice: Lattice, plan: Plan) -> Tensor:
        pooled = self.source.pool(window, self.kind, self.nodes)
        return evaluate(pooled, lattice, plan.node_spacing, plan.memory, plan.dither)

    def _pooled_at(self, window: Window, x: Tensor, plan: Plan) -> Tensor:
        """Values (*batch, c, points) at scattered points."""
        origin = x.reshape(-1, *(1,) * len(self.batch), self.dim)
        lattice = Lattice(origin, (1.0,) * self.dim, (1,) * self.dim)
        values = self._pooled(window, lattice, plan)
        values = values.reshape(values.shape[: -self.dim])
        return values.expand(len(x), *self.batch, self.channels).movedim(0, -1)


class PoolField(Unshared):
    """x ↦ aggregate of F(x − y) over y in a window that depends on x.

    Parameters
    ----------
    window : callable
        Of a point x (d,), on the CPU; a Ball, Box or Mask.
    kind : {"mean", "max"}, float or Aggregate
        As for `FeatureMap.pool`.
    period : float or sequence of float, optional
        Of a torus: `window` sees points in [0, period). Without it nothing is known of how the result repeats.
    nodes : int
        Nodes per half-width on a Field.

    Notes
    -----
    As many poolings as there are different windows; the cost of a window that only few points have is small on a Field.
    On Samples all windows must leave the grid where it is: boxes of an odd number of samples, balls, odd masks.

    Examples
    --------
    >>> from fields import Ball, PlaneWaves
    >>> from layers import PoolField
    >>> layer = PoolField(lambda x: Ball(1e-3 if x[0] < 1 else 2.0), nodes=64)
    >>> [round(v, 4) for v in layer(PlaneWaves([[0.25]], [[1.0]]))([[0.0], [2.0]])[:, 0].tolist()]
    [1.0, 0.0]
    """

    def __init__(
        self,
        window: Callable[[Tensor], Window],
        kind: str | float | Aggregate = "mean",
        period: VectorLike | None = None,
        nodes: int = NODES,
    ) -> None:
        super().__init__()
        if not callable(window):
            raise TypeError(
                f"window must be a function of the point, got {type(window).__name__}: "
                "one window for all points is AvgPool or MaxPool"
            )
        self.window, self.kind = window, kind
        self.period = None if period is None else lengths(period, "period")
        (self.nodes,) = integers(nodes, 1, "nodes", most=MOST_NODES)

    def forward(self, f: Any) -> Any:
        """Pool a Field or Samples."""
        check_feature_map(f)
        period = self.torus(f)
        if isinstance(f, Samples):
            return pooled_samples(f, self.window, self.kind, self.nodes, period)
        return Windowed(f, self.window, self.kind, self.nodes, period)
