"""Kernels made of a scalar profile of unit integral and a matrix; here those with one profile per axis."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from fields import checks, dtypes
from fields.kernel import MatrixKernel, dyadic_nodes
from fields.stencil import Stencil, cell_overlap, nodes, on_nodes

#: A Gaussian kernel is cut off at this many widths; beyond lies less than 3e-12 of its integral per axis.
GAUSSIAN_REACH = 7.0
#: B-splines of higher order cost more than they gain, and lose digits to cancellation.
MAX_ORDER = 9


class ProfileKernel(MatrixKernel):
    """Abstract: a scalar profile of unit integral times a matrix (out, in), which can be learnt."""

    learnt = ("matrix",)

    def __init__(self, matrix: Any) -> None:
        self.matrix, self.weak = checks.as_tensor(matrix, "matrix"), dtypes.is_weak(matrix)
        if self.matrix.ndim != 2 or 0 in self.matrix.shape:
            raise ValueError(
                f"matrix must have shape (out_channels, in_channels), got {tuple(self.matrix.shape)}"
            )
        self.out_channels, self.in_channels = self.matrix.shape

    @property
    def dtype(self) -> torch.dtype:
        """Of the matrix."""
        return self.matrix.dtype

    def spacings(
        self, node: tuple[float, ...] | None, count: int, dim: int
    ) -> tuple[float | None, ...]:
        """Spacing of the nodes."""
        return node or dyadic_nodes(self.reach(dim), count)

    def transform(self, frequencies: Tensor) -> Tensor:
        """The profile's transform times the matrix."""
        factor = self.profile_transform(frequencies.double())
        return factor.to(self.matrix.dtype)[:, None, None] * self.matrix

    @abstractmethod
    def profile_transform(self, frequencies: Tensor) -> Tensor:
        """Transform of the profile at frequencies (m, d), shape (m,)."""


class _Separable(ProfileKernel):
    """A profile per axis."""

    def __init__(self, size: checks.VectorLike, matrix: Any, name: str) -> None:
        super().__init__(matrix)
        self._size, self._name = checks.lengths(size, name), name

    def _sizes(self, dim: int) -> tuple[float, ...]:
        return checks.positive(self._size, dim, self._name)

    @abstractmethod
    def profile(self, nodes: Tensor, spacing: float, size: float) -> Tensor:
        """Weights of the nodes along one axis."""

    def stencils(self, pitch: tuple[float, ...], node: tuple[float, ...]) -> list[Stencil]:
        """One row of weights per axis, and the matrix."""
        axes = nodes(self.reach(len(pitch)), node, separable=True)
        rows = tuple(
            self.profile(y, q, s).to(self.matrix)
            for y, q, s in zip(axes, node, self._sizes(len(pitch)), strict=True)
        )
        return on_nodes(axes, pitch, rows, self.matrix, spacing=node)


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
    Its transform is M · exp(−2π² Σ w_i²f_i²). Cut off at 7 widths, outside of which lies less than 3e-12 of the
    integral. With nodes h apart the transform at frequency f is off by about exp(−2π²w²(1/h − f)²): 5e-9 at h = w,
    1e-34 at h = w/2, for f = 0.

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
        return tuple(GAUSSIAN_REACH * w for w in self._sizes(dim))

    def bandwidth(self, rtol: float, dim: int) -> tuple[float, ...]:
        """Where the transform exp(−2π²w²f²) has fallen to `rtol`."""
        fall = math.sqrt(-math.log(rtol) / 2) / math.pi
        return tuple(fall / w for w in self._sizes(dim))

    def profile(self, nodes: Tensor, spacing: float, size: float) -> Tensor:
        """Normal density times the spacing: the trapezoidal rule, which converges spectrally here."""
        return torch.exp(-0.5 * (nodes / size) ** 2) * (spacing / (size * math.sqrt(2 * math.pi)))

    def profile_transform(self, frequencies: Tensor) -> Tensor:
        """exp(−2π² Σ w_i²f_i²)."""
        widths = frequencies.new_tensor(self._sizes(frequencies.shape[-1]))
        return torch.exp(-2 * math.pi**2 * ((widths * frequencies) ** 2).sum(-1))


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
    Its transform is M ∏ sinc(s_i f_i). Weights are exact cell overlaps: second order in the spacing of the nodes in
    spite of the jump.

    Examples
    --------
    >>> from fields import BoxKernel
    >>> BoxKernel((1.0, 2.0), [[1.0]]).reach(2)
    (0.5, 1.0)
    """

    def __init__(self, sides: checks.VectorLike, matrix: Any) -> None:
        super().__init__(sides, matrix, "sides")

    def reach(self, dim: int) -> tuple[float, ...]:
        """Half the sides."""
        return tuple(s / 2 for s in self._sizes(dim))

    def profile(self, nodes: Tensor, spacing: float, size: float) -> Tensor:
        """Share of the box in each node's cell."""
        return cell_overlap(nodes, spacing, size / 2) / size

    def profile_transform(self, frequencies: Tensor) -> Tensor:
        """∏ sinc(s_i f_i)."""
        return torch.sinc(
            frequencies.new_tensor(self._sizes(frequencies.shape[-1])) * frequencies
        ).prod(-1)


class BSplineKernel(_Separable):
    """M ∏ β_n(y_i/h_i)/h_i: the box of side h, n + 1 times convolved with itself, times a matrix.

    Parameters
    ----------
    spacing : float or sequence of float
        Distance h of the knots, per axis or the same on all, in length units.
    matrix : Tensor, shape (out_channels, in_channels)
        The kernel's integral.
    order : int
        The degree n of the pieces, 0 to 9: 0 is a box, 1 a tent, 3 the cubic B-spline. The support is
        |y_i| ≤ (n + 1)h_i/2.

    Notes
    -----
    Its transform is M ∏ sinc(h_i f_i)^{n+1}. With nodes q apart the error is of order q^{n+1}, and q² for n = 0, whose
    weights are cell overlaps. The weights are scaled to sum to 1 per axis, so constants are met at any spacing.

    References
    ----------
    Unser, Splines: a perfect fit for signal and image processing, IEEE Signal Processing Magazine 16 (1999).

    Examples
    --------
    >>> from fields import BSplineKernel
    >>> BSplineKernel(0.5, [[1.0]], order=3).reach(2)
    (1.0, 1.0)
    """

    def __init__(self, spacing: checks.VectorLike, matrix: Any, order: int = 3) -> None:
        super().__init__(spacing, matrix, "spacing")
        (self.order,) = checks.integers(order, 1, "order", least=0)
        if self.order > MAX_ORDER:
            raise ValueError(f"B-splines go up to order {MAX_ORDER}, got {checks.said(order)}")

    @property
    def spacing(self) -> float | tuple[float, ...]:
        """Distance of the knots."""
        return self._size

    def reach(self, dim: int) -> tuple[float, ...]:
        """Half the support."""
        return tuple((self.order + 1) * h / 2 for h in self._sizes(dim))

    def profile(self, nodes: Tensor, spacing: float, size: float) -> Tensor:
        """β_n at the nodes, the trapezoidal rule; cell overlaps for n = 0."""
        if self.order == 0:
            return cell_overlap(nodes, spacing, size / 2) / size
        weights = bspline(nodes / size, self.order)
        return weights / weights.sum()

    def profile_transform(self, frequencies: Tensor) -> Tensor:
        """∏ sinc(h_i f_i)^{n+1}."""
        turns = frequencies.new_tensor(self._sizes(frequencies.shape[-1])) * frequencies
        power: Tensor = torch.sinc(turns).prod(-1) ** (self.order + 1)
        return power


def bspline(x: Tensor, order: int) -> Tensor:
    """The centred cardinal B-spline β_n(x) = Σ_k (−1)^k C(n+1, k) ((n+1)/2 − k − |x|)₊^n / n!, n ≥ 1."""
    x = x.abs()
    total = torch.zeros_like(x)
    for k in range((order + 1) // 2 + 1):
        part = ((order + 1) / 2 - k - x).clamp(min=0) ** order
        total = total + (-1) ** k * math.comb(order + 1, k) * part
    return total / math.factorial(order)
