"""Matrix-valued kernels K: R^d → R^{c_out × c_in}, as densities of compact support or as atoms.

A kernel acts by (K*F)(x) = ∫ K(y) F(x − y) dy. A density is evaluated at nodes fixed in its own frame, which makes it
atoms: Σ_j w_j F(x − o_j). Atoms are exact as they are; every weight of a discrete convolution is one.
"""

from __future__ import annotations

import copy
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from fields import checks
from fields.lattice import MAX_RATIO, SNAP, common_spacing
from fields.stencil import Stencil, cell_overlap, cosets, nodes, on_nodes, outer

#: A Gaussian kernel is cut off at this many widths; beyond lies less than 3e-12 of its integral per axis.
GAUSSIAN_REACH = 7.0


class MatrixKernel(ABC):
    """What a kernel tells the evaluator: its channels, its support, and its taps on a lattice."""

    out_channels: int
    in_channels: int
    #: Names of the attributes, tensors or modules, that can be learnt.
    learnt: tuple[str, ...] = ()

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype | None:
        """Of the weights; None where they take that of the feature map."""

    @abstractmethod
    def reach(self, dim: int) -> tuple[float, ...]:
        """Half-widths of a centred box that holds the support, in length units."""

    @abstractmethod
    def spacings(
        self, node: tuple[float, ...] | None, count: int, dim: int
    ) -> tuple[float | None, ...]:
        """Spacing of the taps per axis, where they have one."""

    @abstractmethod
    def stencils(self, pitch: tuple[float, ...], node: tuple[float, ...]) -> list[Stencil]:
        """The taps on a lattice of spacing `pitch`, those of a density `node` apart."""

    def bandwidth(self, rtol: float, dim: int) -> tuple[float, ...] | None:
        """Frequency per axis beyond which the kernel's transform is below `rtol` of its maximum; None if unknown."""
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

    @property
    def is_density(self) -> bool:
        """Whether the integral needs a quadrature."""
        return True


def dyadic_nodes(radius: Sequence[float], count: int) -> tuple[float, ...]:
    """The power of two nearest to radius/count, per axis.

    Powers of two are multiples of each other, so layers of any radii share one lattice.
    """
    return tuple(2.0 ** round(math.log2(r / count)) for r in radius)


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
        if not callable(density):
            raise TypeError(f"density must be callable, got {type(density).__name__}")
        self.density = density
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

    def reach(self, dim: int) -> tuple[float, ...]:
        """Half-widths of the support."""
        return checks.positive(self.radius, dim, "radius")

    def spacings(
        self, node: tuple[float, ...] | None, count: int, dim: int
    ) -> tuple[float | None, ...]:
        """Spacing of the nodes."""
        return node or dyadic_nodes(self.reach(dim), count)

    def stencils(self, pitch: tuple[float, ...], node: tuple[float, ...]) -> list[Stencil]:
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
        taps = self.density(points)
        expected = (*points.shape[:-1], self.out_channels, self.in_channels)
        if tuple(taps.shape) != expected:
            raise ValueError(
                f"the density of this kernel must return shape {expected} for points of shape "
                f"{tuple(points.shape)}, got {tuple(taps.shape)}"
            )
        taps = checks.require_finite(
            taps * outer(cells).to(taps)[..., None, None], "the kernel's density"
        )
        return on_nodes(axes, pitch, taps)


class _Separable(MatrixKernel):
    """A scalar profile, the product of one per axis, of unit integral, times a matrix (out, in)."""

    learnt = ("matrix",)

    def __init__(self, size: checks.VectorLike, matrix: Any, name: str) -> None:
        self.matrix = checks.as_tensor(matrix, "matrix")
        if self.matrix.ndim != 2:
            raise ValueError(
                f"matrix must have shape (out_channels, in_channels), got {tuple(self.matrix.shape)}"
            )
        self.out_channels, self.in_channels = self.matrix.shape
        self._size = checks.lengths(size, name)

    @property
    def dtype(self) -> torch.dtype:
        """Of the matrix."""
        return self.matrix.dtype

    @abstractmethod
    def profile(self, nodes: Tensor, spacing: float, size: float) -> Tensor:
        """Weights of the nodes along one axis."""

    def spacings(
        self, node: tuple[float, ...] | None, count: int, dim: int
    ) -> tuple[float | None, ...]:
        """Spacing of the nodes."""
        return node or dyadic_nodes(self.reach(dim), count)

    def stencils(self, pitch: tuple[float, ...], node: tuple[float, ...]) -> list[Stencil]:
        """One row of weights per axis, and the matrix."""
        sizes = checks.positive(self._size, len(pitch), "size")
        axes = nodes(self.reach(len(pitch)), node)
        rows = tuple(
            self.profile(y, q, s).to(self.matrix) for y, q, s in zip(axes, node, sizes, strict=True)
        )
        return on_nodes(axes, pitch, rows, self.matrix)


class GaussianKernel(_Separable):
    """M · exp(−|y|²/2w²) / (2πw²)^{d/2}: a normal density times a matrix.

    Parameters
    ----------
    width : float or sequence of float
        Standard deviation w, per axis or the same on all, in length units.
    matrix : Tensor, shape (out_channels, in_channels)
        The kernel's integral.

    Notes
    -----
    Cut off at 7 widths, outside of which lies less than 3e-12 of the integral. With nodes h apart the transform at
    frequency f is off by about exp(−2π²w²(1/h − f)²): 5e-9 at h = w, 1e-34 at h = w/2, for f = 0.

    Examples
    --------
    >>> from fields import GaussianKernel
    >>> GaussianKernel(0.5, [[1.0, -1.0]]).in_channels
    2
    """

    def __init__(self, width: checks.VectorLike, matrix: Any) -> None:
        super().__init__(width, matrix, "width")

    @property
    def width(self) -> float | tuple[float, ...]:
        """Standard deviation."""
        return self._size

    def reach(self, dim: int) -> tuple[float, ...]:
        """Seven widths."""
        return tuple(GAUSSIAN_REACH * w for w in checks.positive(self._size, dim, "width"))

    def bandwidth(self, rtol: float, dim: int) -> tuple[float, ...]:
        """Where the transform exp(−2π²w²f²) has fallen to `rtol`."""
        fall = math.sqrt(-math.log(rtol) / 2) / math.pi
        return tuple(fall / w for w in checks.positive(self._size, dim, "width"))

    def profile(self, nodes: Tensor, spacing: float, size: float) -> Tensor:
        """Normal density times the spacing: the trapezoidal rule, which converges spectrally here."""
        return torch.exp(-0.5 * (nodes / size) ** 2) * (spacing / (size * math.sqrt(2 * math.pi)))


class BoxKernel(_Separable):
    """M / ∏ sides on the centred box of the given sides: a shared average times a matrix.

    Parameters
    ----------
    sides : float or sequence of float
        In length units.
    matrix : Tensor, shape (out_channels, in_channels)
        The kernel's integral.

    Notes
    -----
    Weights are exact cell overlaps: second order in the spacing of the nodes in spite of the jump.
    """

    def __init__(self, sides: checks.VectorLike, matrix: Any) -> None:
        super().__init__(sides, matrix, "sides")

    def reach(self, dim: int) -> tuple[float, ...]:
        """Half the sides."""
        return tuple(s / 2 for s in checks.positive(self._size, dim, "sides"))

    def profile(self, nodes: Tensor, spacing: float, size: float) -> Tensor:
        """Share of the box in each node's cell."""
        return cell_overlap(nodes, spacing, size / 2) / size


class Atoms(MatrixKernel):
    """Weighted points: (K*F)(x) = Σ_j w_j F(x − o_j), exact on every field.

    Parameters
    ----------
    offsets : array-like, shape (k, d)
        In length units; static.
    weights : Tensor, shape (k, out_channels, in_channels)

    Examples
    --------
    >>> import torch
    >>> from fields import Atoms
    >>> Atoms([[0.0], [0.5]], torch.ones(2, 1, 1)).reach(1)
    (0.5,)
    """

    learnt = ("weights",)

    def __init__(self, offsets: Any, weights: Any) -> None:
        self.offsets = checks.as_tensor(offsets, "offsets").detach().cpu().double()
        self.weights = checks.as_tensor(weights, "weights")
        if self.offsets.ndim != 2 or 0 in self.offsets.shape:
            raise ValueError(
                f"offsets must have shape (k, d), k ≥ 1, got {tuple(self.offsets.shape)}"
            )
        if self.weights.ndim != 3 or len(self.weights) != len(self.offsets):
            raise ValueError(
                f"weights must have shape (k, out, in) = ({len(self.offsets)}, …), "
                f"got {tuple(self.weights.shape)}"
            )
        self.out_channels, self.in_channels = self.weights.shape[1:]

    @classmethod
    def from_array(cls, array: Any, spacing: checks.VectorLike) -> Atoms:
        """Atoms of an array (S1, …, Sd, out, in), tap i at (i − (S − 1)/2)·spacing.

        This is the true convolution: against torch's `conv`, a correlation, the array is flipped. An even S puts its
        taps at odd multiples of half a spacing.
        """
        array = checks.as_tensor(array, "kernel array")
        dim = array.ndim - 2
        if dim < 1 or 0 in array.shape:
            raise ValueError(
                f"a kernel array has shape (S1, …, Sd, out, in), all sizes ≥ 1, got {tuple(array.shape)}"
            )
        spacing = checks.positive(spacing, dim, "spacing")
        axes = [
            (torch.arange(n, dtype=torch.float64) - (n - 1) / 2) * h
            for n, h in zip(array.shape[:dim], spacing, strict=True)
        ]
        offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, dim)
        return cls(offsets, array.reshape(-1, *array.shape[dim:]))

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.weights.dtype

    @property
    def is_density(self) -> bool:
        """Atoms need no quadrature."""
        return False

    def reach(self, dim: int) -> tuple[float, ...]:
        """Largest offset per axis."""
        if self.offsets.shape[1] != dim:
            raise ValueError(
                f"these atoms have offsets in {self.offsets.shape[1]} dimensions, the feature map has {dim}"
            )
        return tuple(self.offsets.abs().amax(0).tolist())

    def spacings(
        self, node: tuple[float, ...] | None, count: int, dim: int
    ) -> tuple[float | None, ...]:
        """Largest common divisor of the offsets' differences, per axis, where there is one."""
        self.reach(dim)
        return tuple(_divisor(axis.tolist()) for axis in self.offsets.T)

    def stencils(self, pitch: tuple[float, ...], node: tuple[float, ...]) -> list[Stencil]:
        """One stencil per coset of the pitch."""
        return cosets(self.offsets, self.weights, pitch)


def _divisor(positions: list[float]) -> float | None:
    ordered = sorted(set(positions))
    gaps = [b - a for a, b in itertools.pairwise(ordered)]
    scale = max(map(abs, ordered))
    gaps = sorted(g for g in gaps if g > SNAP * scale)
    if not gaps:
        return None
    divisor = gaps[0]
    for gap in gaps[1:]:
        common = common_spacing(divisor, gap)
        if common is None or common < gaps[0] / MAX_RATIO:
            return None
        divisor = common
    return divisor
