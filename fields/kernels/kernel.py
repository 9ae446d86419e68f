"""Matrix-valued kernels K: R^d → R^{c_out × c_in}: what all have in common, and densities given by a function.

A kernel acts by (K*F)(x) = ∫ K(y) F(x − y) dy. A density is evaluated at nodes fixed in its own frame, which makes it
atoms: Σ_j w_j F(x − o_j). Atoms are exact as they are; every weight of a discrete convolution is one.

MatrixKernel
  ├── Kernel                                   a density K(y), any torch function or module
  ├── GaussianKernel BumpKernel BSplineKernel
  │   BoxKernel BallKernel                      a shape of the table times a matrix  (`fields.kernels.profile_kernels`)
  ├── FieldKernel                              any field that decays times a matrix (`fields.algebra.field_kernel`)
  ├── BasisKernel                              Σ_m C_m φ_m(y), C learnt             (`fields.kernels.learnable_kernels`)
  ├── PeriodicKernel                           on a whole period, no local support  (`fields.kernels.periodic_kernel`)
  └── Atoms                                    weighted points                      (`fields.kernels.atoms`)
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from fields import arguments, checks, dtypes
from fields.lattice import PerAxis
from fields.stencils.stencil import Stencil, cell_overlap, nodes, on_nodes, outer


class MatrixKernel(ABC):
    """What a kernel tells the evaluator: its channels, its support, and its taps on a lattice."""

    out_channels: int
    in_channels: int
    #: Names of the attributes, tensors or modules, that can be learnt.
    learnt: tuple[str, ...] = ()
    #: What the feature map must repeat by, for a kernel that is given on a whole period.
    period: PerAxis | None = None
    #: Whether the weights were given as numbers, which take the dtype of the feature map that they meet.
    weak: bool = False

    @property
    def dtype(self) -> torch.dtype | None:
        """Of the weights; None where they take that of the feature map."""
        for name in self.learnt:
            if isinstance(value := getattr(self, name), Tensor):
                return value.dtype
        return None

    @abstractmethod
    def reach(self, dim: int) -> PerAxis:
        """Half-widths of a centred box that holds the support, in length units."""

    def spacings(self, node: PerAxis | None, count: int, dim: int) -> tuple[float | None, ...]:
        """Spacing of the taps per axis, where they have one: that of a density's nodes, unless a subclass says it."""
        return node or dyadic_nodes(self.reach(dim), count)

    @abstractmethod
    def stencils(self, pitch: PerAxis, node: PerAxis) -> list[Stencil]:
        """The taps on a lattice of spacing `pitch`, those of a density `node` apart."""

    def bandwidth(self, rtol: float, dim: int) -> PerAxis | None:
        """Frequency per axis beyond which the kernel's transform is below `rtol` of its maximum; None if unknown."""
        return None

    def transform(self, frequencies: Tensor) -> Tensor | None:
        """K̂(f) = ∫ K(y) exp(−2πi f·y) dy at frequencies (m, d), shape (m, out, in); None if unknown, or not cheap."""
        return None

    def parameters(self) -> dict[str, Tensor | nn.Module]:
        """What can be learnt."""
        return {name: getattr(self, name) for name in self.learnt}

    def with_parameters(self, parameters: dict[str, Tensor | nn.Module]) -> Self:
        """The same kernel with other values in place of its parameters."""
        new = copy.copy(self)
        for name in self.learnt:
            setattr(new, name, parameters[name])
        return new

    def to(self, dtype: torch.dtype) -> Self:
        """The kernel with weights of a dtype, as far as they are tensors, to which gradients flow back."""
        if self.dtype in (None, dtype) and not self.weak:
            return self
        parts = self.parameters().items()
        new = self.with_parameters(
            {name: dtypes.alike(v, dtype) if isinstance(v, Tensor) else v for name, v in parts}
        )
        new.weak = False
        return new

    @property
    def is_density(self) -> bool:
        """Whether the integral needs a quadrature."""
        return True


def dyadic_nodes(radius: Sequence[float], count: int) -> PerAxis:
    """The power of two nearest to radius/count, per axis.

    Powers of two are multiples of each other, so layers of any radii share one lattice.
    """
    return tuple(2.0 ** round(math.log2(r / count)) for r in radius)


class ScalarKernel(MatrixKernel):
    """Abstract: a scalar density times a matrix (out, in), which can be learnt."""

    learnt = ("matrix",)

    def __init__(self, matrix: Any) -> None:
        self.matrix, self.weak = checks.as_tensor(matrix, "matrix"), dtypes.is_weak(matrix)
        if self.matrix.ndim != 2 or 0 in self.matrix.shape:
            raise ValueError(
                f"matrix must have shape (out_channels, in_channels), got {tuple(self.matrix.shape)}"
            )
        self.out_channels, self.in_channels = self.matrix.shape


class Kernel(MatrixKernel):
    """A density of compact support.

    Parameters
    ----------
    density : callable or nn.Module
        y (*points, d) → K(y) (*points, out_channels, in_channels), a torch function of the offset, which comes in
        float64, or in the dtype of the module's parameters. Its values are cast to the dtype of the feature map.
    out_channels, in_channels : int
    radius : float or sequence of float
        K vanishes outside [−radius, radius] per axis, in length units; a jump there is allowed.

    Notes
    -----
    Nodes lie on a lattice j·h. Each weight is the density times the part of the node's cell inside the support, the
    density taken at the middle of that part: second order in h for a density with a jump at its rim, and as fast as
    the trapezoidal rule for a smooth one.

    Examples
    --------
    >>> import torch
    >>> from fields import Kernel
    >>> tent = Kernel(lambda y: (1 - y.abs()).clamp(min=0)[..., None], 1, 1, radius=1.0)
    """

    def __init__(
        self,
        density: Callable[[Tensor], Tensor],
        out_channels: int,
        in_channels: int,
        radius: checks.VectorLike,
    ) -> None:
        self.density = arguments.function(density, "density", "offsets (*points, d)")
        (self.out_channels,) = checks.integers(out_channels, 1, "out_channels")
        (self.in_channels,) = checks.integers(in_channels, 1, "in_channels")
        self.radius = checks.lengths(radius, "radius")
        self.learnt = ("density",) if isinstance(density, nn.Module) else ()

    @property
    def dtype(self) -> torch.dtype | None:
        """Of the density's parameters, where it is a module that has any."""
        if isinstance(self.density, nn.Module):
            for parameter in self.density.parameters():
                return parameter.dtype
        return None

    def reach(self, dim: int) -> PerAxis:
        """Half-widths of the support."""
        return checks.positive(self.radius, dim, "radius")

    def stencils(self, pitch: PerAxis, node: PerAxis) -> list[Stencil]:
        """Weights K(y_j)·|cell_j ∩ support|."""
        radius = self.reach(len(pitch))
        axes = nodes(radius, node)
        cells = [cell_overlap(y, q, r) for y, q, r in zip(axes, node, radius, strict=True)]
        middles = [
            (torch.clamp(y - q / 2, min=-r) + torch.clamp(y + q / 2, max=r)) / 2
            for y, q, r in zip(axes, node, radius, strict=True)
        ]
        points = torch.stack(torch.meshgrid(*middles, indexing="ij"), dim=-1)
        if isinstance(self.density, nn.Module):
            points = points.to(next(self.density.parameters(), points))
        taps = arguments.result(self.density(points), "the density")
        expected = (*points.shape[:-1], self.out_channels, self.in_channels)
        if tuple(taps.shape) != expected:
            raise ValueError(
                f"the density of this kernel must return shape {expected} for points of shape "
                f"{tuple(points.shape)}, got {tuple(taps.shape)}"
            )
        taps = checks.require_finite(
            taps * outer(cells).to(taps)[..., None, None], "the kernel's density"
        )
        return on_nodes(axes, pitch, taps, spacing=node)
