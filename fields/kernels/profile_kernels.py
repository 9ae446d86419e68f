"""Kernels that are a shape of the table (`fields.profiles`), of unit integral, times a matrix."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor

from fields import checks
from fields.accuracy import MAX_ORDER
from fields.kernels.kernel import ScalarKernel
from fields.kernels.window import Ball
from fields.lattice import PerAxis
from fields.profiles import BALL, BOX, BUMP, GAUSSIAN, Profile, Separable, Spline
from fields.stencils.stencil import Stencil, nodes, on_nodes


class ProfileKernel(ScalarKernel):
    """Abstract: a profile of unit integral times a matrix (out, in), which can be learnt.

    Attributes
    ----------
    profile : Profile
    lengths : str
        The attribute that has the sizes.
    """

    profile: ClassVar[Profile]
    lengths: ClassVar[str] = "radius"

    def __init__(self, sizes: checks.VectorLike, matrix: Any) -> None:
        super().__init__(matrix)
        setattr(self, self.lengths, checks.lengths(sizes, self.lengths))

    def __repr__(self) -> str:
        sizes = f"{self.lengths}={getattr(self, self.lengths)}"
        return f"{type(self).__name__}({sizes}, {self.in_channels} → {self.out_channels} channels)"

    def sizes(self, dim: int) -> PerAxis:
        """Of the profile, per axis."""
        return checks.positive(getattr(self, self.lengths), dim, self.lengths)

    def reach(self, dim: int) -> PerAxis:
        """That of the profile, per axis."""
        return tuple(self.profile.reach * s for s in self.sizes(dim))

    def bandwidth(self, rtol: float, dim: int) -> PerAxis | None:
        """Where the profile's transform has fallen to `rtol` for good; None where it jumps."""
        band = self.profile.band(rtol, dim)
        return None if band is None else tuple(band / s for s in self.sizes(dim))

    def stencils(self, pitch: PerAxis, node: PerAxis) -> list[Stencil]:
        """The profile's weights, one row per axis where it is separable, and the matrix."""
        separable = isinstance(self.profile, Separable)
        axes = nodes(self.reach(len(pitch)), node, separable)
        found = self.profile.weights(axes, node, self.sizes(len(pitch)))
        rows = tuple(weights.to(self.matrix) for weights in found)
        return on_nodes(axes, pitch, rows if separable else rows[0], self.matrix, spacing=node)

    def transform(self, frequencies: Tensor) -> Tensor:
        """The profile's transform times the matrix."""
        factor = self.profile_transform(frequencies.double())
        return factor.to(self.matrix.dtype)[:, None, None] * self.matrix

    def profile_transform(self, frequencies: Tensor) -> Tensor:
        """Transform of the profile at frequencies (m, d), shape (m,)."""
        sizes = frequencies.new_tensor(self.sizes(frequencies.shape[-1]))
        return self.profile.transform(sizes, frequencies)


class GaussianKernel(ProfileKernel):
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
    >>> GaussianKernel(0.5, [[1.0, -1.0]])
    GaussianKernel(width=0.5, 2 → 1 channels)
    """

    profile, lengths = GAUSSIAN, "width"
    width: float | PerAxis

    def __init__(self, width: checks.VectorLike, matrix: Any) -> None:
        super().__init__(width, matrix)


class BoxKernel(ProfileKernel):
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

    profile, lengths = BOX, "sides"
    sides: float | PerAxis

    def __init__(self, sides: checks.VectorLike, matrix: Any) -> None:
        super().__init__(sides, matrix)


class BSplineKernel(ProfileKernel):
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

    lengths = "spacing"
    spacing: float | PerAxis

    def __init__(self, spacing: checks.VectorLike, matrix: Any, order: int = 3) -> None:
        super().__init__(spacing, matrix)
        (self.order,) = checks.integers(order, 1, "order", least=0)
        if self.order > MAX_ORDER:
            raise ValueError(f"B-splines go up to order {MAX_ORDER}, got {checks.said(order)}")

    @property
    def profile(self) -> Spline:  # type: ignore[override]
        """The B-spline of this order."""
        return Spline(self.order)


class BumpKernel(ProfileKernel):
    """M · exp(−1/(1 − |y/r|²)) / Z inside the ellipsoid |y/r| < 1, 0 outside: C^∞, of compact support.

    Parameters
    ----------
    radius : float or sequence of float
        Half-axes r, in length units; |y/r|² = Σ_i (y_i/r_i)².
    matrix : Tensor, shape (out_channels, in_channels)
        The kernel's integral: Z makes that of the profile 1.

    Notes
    -----
    Nodes converge faster than any power of their spacing h: the error at frequency f is the transform at 1/h − f, and
    that falls like exp(−√(2πr|f|)): 7e-3, 2e-4, 4e-6, 2e-7 with 4, 8, 16, 32 nodes per radius for low f. Weights are
    scaled to sum to 1, so constants are met at any spacing. The transform, for closed convolutions, is integrated to
    rounding error.

    Examples
    --------
    >>> from fields import BumpKernel, Constant
    >>> round(float(Constant(3.0, dim=2).convolve(BumpKernel(0.5, [[2.0]]))([0.0, 0.0])), 9)
    6.0
    """

    profile = BUMP
    radius: float | PerAxis

    def __init__(self, radius: checks.VectorLike, matrix: Any) -> None:
        super().__init__(radius, matrix)


class BallKernel(ProfileKernel):
    """M / volume on the ball |y| ≤ radius, 0 outside: a shared average over a ball times a matrix.

    Parameters
    ----------
    radius : float
        In length units.
    matrix : Tensor, shape (out_channels, in_channels)
        The kernel's integral.

    Notes
    -----
    Weights are the shares of the ball in each node's cell, those of the pooling window `Ball`: second order in the
    spacing of the nodes in spite of the jump. The transform, Γ(d/2 + 1)(2/k)^{d/2} J_{d/2}(k), k = 2πr|f|, is closed.

    Examples
    --------
    >>> from fields import BallKernel, Constant
    >>> Constant(3.0, dim=2).convolve(BallKernel(0.5, [[2.0]]))([0.0, 0.0]).tolist()
    [6.0]
    """

    profile = BALL
    radius: float

    def __init__(self, radius: float, matrix: Any) -> None:
        super().__init__(checks.positive(radius, 1, "radius")[0], matrix)
        self._window = Ball(self.radius)

    def stencils(self, pitch: PerAxis, node: PerAxis) -> list[Stencil]:
        """The shares of the cells, and the matrix."""
        shares = self._window.taps(pitch, node, "mean", self.matrix)  # kept: they take time
        return [replace(s, matrix=self.matrix) for s in shares]
