"""Field: a feature map F: R^d → R^c as a function, evaluated anywhere.

Leaves give values on a lattice (`_values`). Everything done to a field makes a new node over its parents
(`fields.composed`); `fields.lattice` evaluates the graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fields import checks
from fields.feature_map import NODES, FeatureMap
from fields.kernel import MatrixKernel
from fields.lattice import (
    Box,
    Frame,
    Lattice,
    Need,
    Plan,
    common_spacing,
    evaluate_points,
    graph,
    split,
)
from fields.window import Window

if TYPE_CHECKING:
    from fields.lattice import Task
    from fields.stencil import Stencil

#: Frequencies or lengths, one per axis.
PerAxis = tuple[float, ...]


class Field(FeatureMap):
    """A continuous feature map F: R^d → R^c.

    A new kind of field implements `_values` and sets `dim`, `channels`, `dtype`, `device`, `batch`; what it knows of
    its period, band limit and support it tells through the methods of these names.

    Attributes
    ----------
    bandlimit : tuple of float or None
        Largest frequency per axis, in cycles per unit length; None where there is none, or none is known.
    parents : tuple of Field
        The fields that this one is composed of.
    """

    parents: tuple[Field, ...] = ()
    bandlimit: PerAxis | None = None
    batch: tuple[int, ...] = ()

    # --- evaluation -------------------------------------------------------------------------------------------

    def __call__(self, x: Any) -> Tensor:
        """Evaluate at points.

        Parameters
        ----------
        x : array-like, shape (*points, d)
            In length units. Gradients flow back to it.

        Returns
        -------
        Tensor, shape (*batch, *points, c)
            In the field's dtype and on its device.
        """
        return self._at(self._points(x))

    def _at(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, *(1,) * len(self.batch), self.dim)
        return evaluate_points(self, flat).reshape(*self.batch, *x.shape[:-1], self.channels)

    def _points(self, x: Any) -> Tensor:
        points = checks.as_tensor(x, "points x").to(torch.float64)
        if points.ndim == 0 or points.shape[-1] != self.dim:
            raise ValueError(
                f"points of a field on R^{self.dim} have shape (*points, {self.dim}), "
                f"got {tuple(points.shape)}"
            )
        return points

    def gradient(self, x: Any) -> Tensor:
        """Derivatives ∂F_c/∂x_i at points (*points, d), shape (*batch, *points, c, d), by forward differentiation."""
        x = self._points(x)
        columns = [
            torch.func.jvp(self._at, (x,), (basis.expand_as(x),))[1]
            for basis in torch.eye(self.dim, dtype=x.dtype, device=x.device)
        ]
        return torch.stack(columns, dim=-1)

    def _values(self, lattice: Lattice) -> Tensor:
        """Values (*batch, c, X1, …, Xd) on a lattice whose origin broadcasts against `batch`."""
        raise NotImplementedError(f"{type(self).__name__} doesn't say its values on a lattice")

    def _needs(self, frame: Frame, box: Box, plan: Plan) -> list[Need]:
        """What this node asks of its parents for its own values on `box`."""
        return [Need(parent, frame, box) for parent in self.parents]

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        """Values on the task's box from the values that `_needs` asked for, in that order."""
        return self._values(task.lattice)

    def _spacings(self, node: PerAxis | None) -> Sequence[float | None]:
        """Spacing of this node's taps per axis, where it has any."""
        return (None,) * self.dim

    def _stencils(self, plan: Plan) -> list[Stencil]:
        """Taps of the node on the plan's lattice."""
        return []

    @property
    def is_quadrature(self) -> bool:
        """Whether this node approximates an integral or a maximum, so that finer nodes change its values."""
        return False

    def _kernel_bandwidth(self, rtol: float) -> PerAxis | None:
        """Bandwidth of the kernel whose nodes this field sums over, where it is known."""
        return None

    def _node_reach(self) -> PerAxis | None:
        """Half-widths of the region that this field's quadrature nodes fill, where it has any."""
        return None

    @property
    def has_quadrature(self) -> bool:
        """Whether this node, or one that it is composed of, is a quadrature."""
        return any(node.is_quadrature for node in graph(self))

    @property
    def _workspace(self) -> int:
        """Temporaries of `_compute`, in multiples of its output."""
        return 1

    @property
    def itemsize(self) -> int:
        """Bytes per value."""
        return self.dtype.itemsize

    @property
    def batch_size(self) -> int:
        """Number of maps in the batch."""
        return math.prod(self.batch)

    # --- what is known of the function ------------------------------------------------------------------------

    @property
    def period(self) -> PerAxis | None:
        """A period per axis, 0 where the field is constant along it; None where none is known."""
        periods = [parent.period for parent in self.parents]
        if not periods or any(p is None for p in periods):
            return None
        common = periods[0]
        for other in periods[1:]:
            common = _common_period(common, other)
        return common

    def is_periodic(self, period: checks.VectorLike) -> bool:
        """Whether F(x + P_i e_i) = F(x) for every axis i is known to hold."""
        wanted = checks.positive(period, self.dim, "period")
        if self.parents:
            return all(parent.is_periodic(wanted) for parent in self.parents)
        own = self.period
        return own is not None and all(
            p == 0 or split(w / p)[1] == 0 for w, p in zip(wanted, own, strict=True)
        )

    def bandwidth(self, rtol: float) -> PerAxis | None:
        """Frequency per axis beyond which the spectrum is below `rtol` of its maximum; None where it isn't known."""
        return self.bandlimit

    def support(self, rtol: float) -> tuple[PerAxis, PerAxis] | None:
        """Corners of a box outside of which |F| < rtol·max|F|; None where it isn't known to decay."""
        return None

    # --- the vocabulary ---------------------------------------------------------------------------------------

    def translate(self, t: checks.VectorLike) -> Field:
        """(t▷F)(x) = F(x − t), t real, shape (d,) or (*batch, d), in length units."""
        return composed.Translated(self, checks.translation(t, self.dim))

    def map(self, fn: Callable[[Tensor], Tensor]) -> Field:
        """X ↦ fn(F(x)): `fn` sees channels last, (…, c), and may change their number."""
        return composed.Mapped(self, fn)

    def convolve(self, kernel: MatrixKernel, nodes: int = NODES) -> Field:
        """(K*F)(x) = ∫ K(y) F(x − y) dy with about `nodes` nodes per radius, or Σ_j w_j F(x − o_j)."""
        return composed.Convolved(self, kernel, nodes)

    def pool(self, window: Window, kind: str = "mean", nodes: int = NODES) -> Field:
        """Mean or maximum over x − y, y in a centred window, with about `nodes` nodes per half-width."""
        return composed.Pooled(self, window, kind, nodes)

    def mix(self, matrix: Any) -> Field:
        """X ↦ M F(x), M of shape (c_out, c_in)."""
        return composed.Mixed(self, matrix)

    def stride(self, s: Any) -> Field:
        """The field itself: a stride belongs to the grid."""
        checks.integers(s, self.dim, "stride")
        return self

    def periodize(self, period: checks.VectorLike) -> Field:
        """Σ_n F(x − nP), the sum of the images of a decaying field, to rounding error."""
        return composed.Periodized(self, checks.positive(period, self.dim, "period"))

    def _plus(self, other: Any, sign: float) -> Any:
        if isinstance(other, Field):
            return composed.Sum(self, other if sign > 0 else other._times(sign))
        if isinstance(other, FeatureMap):
            return NotImplemented  # Samples ⊕ Field is theirs to define
        return composed.Affine(
            self, 1.0, sign * checks.channel_vector(other, self.channels, self._like)
        )

    def _times(self, other: Any) -> Any:
        if isinstance(other, Field):
            return composed.Product(self, other)
        if isinstance(other, FeatureMap):
            return NotImplemented
        return composed.Affine(self, checks.channel_vector(other, self.channels, self._like), 0.0)

    @property
    def _like(self) -> Tensor:
        return torch.empty((), dtype=self.dtype, device=self.device)


def _common_period(a: PerAxis | None, b: PerAxis | None) -> PerAxis | None:
    """The least common multiple of two periods per axis, 0 standing for any."""
    if a is None or b is None:
        return None
    common = []
    for p, q in zip(a, b, strict=True):
        if p and q:
            divisor = common_spacing(p, q)
            if divisor is None:
                return None
            common.append(p * q / divisor)
        else:
            common.append(p or q)
    return tuple(common)


from fields import composed  # noqa: E402  (its nodes are Fields: the two files are one subject, split by length)
