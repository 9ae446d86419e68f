"""Kernels that are a field times a matrix."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from fields import arguments, profiles
from fields.accuracy import CELL_POINTS
from fields.algebra import closed_forms
from fields.algebra.field import Field
from fields.evaluation.evaluation import evaluate
from fields.evaluation.questions import jumps
from fields.kernels.kernel import ScalarKernel, dyadic_nodes
from fields.kernels.window import Box
from fields.lattice import Lattice, PerAxis
from fields.stencils.stencil import Stencil, nodes_between, on_nodes

#: A field is cut off where it has fallen to this part of its peak: a Gaussian at seven widths.
CUT = math.exp(-(profiles.GAUSSIAN_REACH**2) / 2)


class FieldKernel(ScalarKernel):
    """K(y) = F(y)·M: any field that decays, as a kernel.

    Parameters
    ----------
    field : Field
        On R^d, with one channel and without a batch, of compact support or one that decays. It is kept, so that
        gradients flow to its tensors; what `Conv` learns is the matrix.
    matrix : Tensor, shape (out_channels, in_channels)
        Its dtype counts; values of the field are cast to it.

    Raises
    ------
    ValueError
        For fields with several channels or a batch, and such that aren't known to decay.

    Notes
    -----
    Its integral is ∫F times M: profiles keep the peak that the field has. The transform is closed where the field's is,
    and so are convolutions with waves and Fourier interpolants; those of Gaussians and Gabors with kernels of Gaussians
    and Gabors are Gaussians and Gabors.

    Nodes lie on a lattice j·h, where the field is not below 2e-11 of its peak. A field that is known not to jump is
    weighed by its values, the trapezoidal rule; others by their means over the nodes' cells: those of Boxes and Balls
    are exact, and second order in h, others are means over 8^d points.

    Examples
    --------
    >>> from fields import FieldKernel, Gabors, PlaneWaves
    >>> edges = FieldKernel(Gabors([[0.0]], [[1j]], [0.5], [[0.5]]), [[1.0], [2.0]])
    >>> [round(v, 6) for v in PlaneWaves([[0.5]], [[1.0]]).convolve(edges)([0.5]).tolist()]
    [-0.62215, -1.2443]
    """

    def __init__(self, field: Field, matrix: Any) -> None:
        super().__init__(matrix)
        if not isinstance(field, Field):
            raise TypeError(
                f"this kernel is made of a Field, got {type(field).__name__}: functions are for Kernel(density, …)"
            )
        if field.channels > 1 or field.batch:
            raise ValueError(
                f"the field of a kernel has one channel and no batch, got {field.channels} channels and batch "
                f"{tuple(field.batch)}: take its channels one by one, field[[0]], as a BasisKernel does"
            )
        if field.support(CUT) is None:
            raise ValueError(
                "the field of a kernel must be known to decay, and this one isn't: multiply it by one that is, as "
                "Bumps, or take PeriodicKernel.from_density for one that repeats"
            )
        self.field = field

    def __repr__(self) -> str:
        return f"FieldKernel({self.field}, {self.in_channels} → {self.out_channels} channels)"

    def _corners(self, dim: int) -> tuple[PerAxis, PerAxis]:
        """Those of the support."""
        arguments.own_dimension("this kernel lives in", self.field.dim, dim)
        corners = self.field.support(CUT)
        assert corners is not None  # as when it was made
        return corners

    def reach(self, dim: int) -> PerAxis:
        """Half-widths of a centred box around the support."""
        return tuple(max(abs(a), abs(b)) for a, b in zip(*self._corners(dim), strict=True))

    def spacings(self, node: PerAxis | None, count: int, dim: int) -> PerAxis:
        """Spacing of the nodes, `count` per half-width of the support, wherever it lies."""
        low, high = self._corners(dim)
        return node or dyadic_nodes([(b - a) / 2 for a, b in zip(low, high, strict=True)], count)

    def bandwidth(self, rtol: float, dim: int) -> PerAxis | None:
        """That of the field."""
        self._corners(dim)
        return self.field.bandwidth(rtol)

    def transform(self, frequencies: Tensor) -> Tensor | None:
        """The field's transform times the matrix, where it is closed."""
        found = closed_forms.transform(self.field, frequencies.to(self.field.device, torch.float64))
        if found is None:
            return None
        kind = torch.promote_types(self.matrix.dtype, torch.complex64)
        return found.to(self.matrix.device, kind)[..., None] * self.matrix

    def stencils(self, pitch: PerAxis, node: PerAxis) -> list[Stencil]:
        """The field at the nodes, or its means over their cells, times the cells' volume, and the matrix."""
        axes = nodes_between(*self._corners(len(pitch)), node)
        origin = torch.stack([y[0] for y in axes]).to(self.field.device)
        lattice = Lattice(origin, node, tuple(map(len, axes)))
        weights = self._means(lattice)[0].to(self.matrix) * math.prod(node)
        return on_nodes(axes, pitch, weights, self.matrix)

    def _means(self, lattice: Lattice) -> Tensor:
        """Values of the field where it is smooth, means over the cells of a lattice otherwise."""
        if jumps(self.field) is False:
            return evaluate(self.field, lattice)
        known = closed_forms.averaged(self.field, lattice)
        if known is not None:
            return known
        within = tuple(h / CELL_POINTS for h in lattice.spacing)
        return evaluate(self.field.pool(Box(lattice.spacing)), lattice, within)
