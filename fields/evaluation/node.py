"""Node: what the two passes of an evaluation ask of a field, what is known of it, and its closed forms."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fields import checks, dtypes
from fields.accuracy import SMOOTH
from fields.evaluation.plan import Frame, Need, Plan
from fields.evaluation.questions import Answer, graph, question, reduced
from fields.feature_map import FeatureMap
from fields.lattice import Box, Lattice, PerAxis, common_period, split

if TYPE_CHECKING:
    from fields.evaluation.plan import Task
    from fields.kernels.kernel import MatrixKernel


class Node(FeatureMap):
    """Abstract: a feature map that is evaluated on lattices, from the values of its parents on theirs.

    Leaves implement `_values`; nodes with parents say what they need of them and compute their own values from it.
    """

    parents: tuple[Any, ...] = ()
    #: The field whose images a leaf sums, where it does.
    source: Any = None
    #: The field that it is a convolution of, where a leaf is that in closed form.
    original: Any = None
    batch: tuple[int, ...] = ()
    #: Whether the field was given as numbers, which take the dtype of what they meet.
    weak: bool = False
    bandlimit: PerAxis | None = None

    def __repr__(self) -> str:
        kind, batch = type(self).__name__, self.batch
        return (
            f"{kind}(dim={self.dim}, channels={self.channels}, batch={batch}, dtype={self.dtype})"
        )

    def __reduce_ex__(self, protocol: Any) -> Any:
        """How deep graphs are copied and pickled, which share what they share."""
        return reduced(self, super().__reduce_ex__(max(2, int(protocol))))

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

    @property
    def is_quadrature(self) -> bool:
        """Whether this node approximates an integral or a maximum, so that finer nodes change its values."""
        return False

    @property
    def is_maximum(self) -> bool:
        """Whether this node takes a maximum over a region, which a thin feature changes as much as a wide one."""
        return False

    def _kernel_bandwidth(self, rtol: float) -> PerAxis | None:
        """Bandwidth of the kernel whose nodes this field sums over, where it is known."""
        return None

    def _width(self) -> PerAxis | None:
        """How far around x this node's own sum or maximum goes, where it takes one."""
        return None

    def _node_reach(self) -> PerAxis | None:
        """Half-widths of the region that this field's quadrature nodes fill, where it has any."""
        return self._width() if self.is_quadrature else None

    # --- what is known of the function ------------------------------------------------------------------------

    @property
    def has_quadrature(self) -> bool:
        """Whether this node, or one that it is composed of, is a quadrature."""
        return any(node.is_quadrature for node in graph(self))

    @property
    @question
    def period(self) -> Answer[PerAxis | None]:
        """A period per axis, 0 where the field is constant along it; None where none is known."""
        periods = []
        for parent in self.parents:
            periods.append((yield parent, "period"))
        return functools.reduce(common_period, periods) if periods else None

    @question
    def is_periodic(self, period: checks.VectorLike) -> Answer[bool]:
        """Whether F(x + P_i e_i) = F(x) for every axis i is known to hold."""
        wanted = checks.positive(period, self.dim, "period")
        for parent in self.parents:
            if not (yield parent, "is_periodic", wanted):
                return False
        own = None if self.parents else (yield self, "period")
        return bool(self.parents) or (
            own is not None
            and all(p == 0 or split(w / p)[1] == 0 for w, p in zip(wanted, own, strict=True))
        )

    def bandwidth(self, rtol: float) -> PerAxis | None:
        """Frequency per axis beyond which the spectrum is below `rtol` of its maximum; None where it isn't known."""
        return self.bandlimit

    def _finest(self, rtol: float) -> PerAxis | None:
        """Frequency per axis that points have to tell before they say anything of this node's own function.

        None where it isn't known: then it is asked between the points, too.
        """
        return self.bandwidth(rtol)

    def _thinnest(self) -> PerAxis:
        """Frequency per axis that tells what lies between shapes that overlap, and may hold a maximum."""
        return (0.0,) * self.dim

    def _jumps(self) -> bool | None:
        """Whether this node's own function jumps, or bends; None where it isn't known: then steps are looked for."""
        return None if self.bandwidth(SMOOTH) is None else False

    def support(self, rtol: float) -> tuple[PerAxis, PerAxis] | None:
        """Corners of a box outside of which |F| < rtol·max|F|; None where it isn't known to decay."""
        return None

    # --- closed forms of leaves, of which `fields.algebra.closed_forms` makes those of their sums -----------------

    def _integral(self) -> Tensor | None:
        """`integrate` in closed form, if there is one."""
        return None

    def _inner(self, other: Any) -> Tensor | None:
        """`inner` in closed form, if there is one, with a field of as many channels."""
        return None

    def _transform(self, frequencies: Tensor) -> Tensor | None:
        """`transform` in closed form, if there is one."""
        return None

    def _averaged(self, lattice: Lattice) -> Tensor | None:
        """Means (*batch, c, X1, …, Xd) over the cells around the points of a lattice, if there is a closed form."""
        return None

    def _moved(self, t: Tensor) -> Any:
        """The translate as another leaf of this kind, if it can be one."""
        return None

    def _mixed(self, matrix: Tensor) -> Any:
        """M F, for a matrix (c_out, c) in the field's dtype, as another leaf of this kind, if it can be one."""
        return None

    def _in(self, dtype: torch.dtype) -> Any:
        """The same leaf in a wider dtype."""
        new = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor) and value.dtype.to_real() == self.dtype:
                setattr(new, name, dtypes.alike(value, dtype))
        new.dtype = dtype
        return new

    def _convolved(self, kernel: MatrixKernel) -> Any:
        """K*F in closed form, if there is one, with a kernel that fits."""
        return None

    # --- sizes ------------------------------------------------------------------------------------------------

    @property
    def _workspace(self) -> int:
        """Temporaries of `_compute`, in multiples of its output."""
        return 1

    def _temporaries(self, box: Box, needs: Sequence[Need], plan: Plan) -> int:
        """Temporaries of `_compute` besides, in bytes, that don't grow with its output."""
        return 0

    @property
    def itemsize(self) -> int:
        """Bytes per value."""
        return self.dtype.itemsize

    @property
    def batch_size(self) -> int:
        """Number of maps in the batch."""
        return math.prod(self.batch)

    @property
    def _like(self) -> Tensor:
        return torch.empty((), dtype=self.dtype, device=self.device)
