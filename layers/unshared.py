"""Unshared layers: what acts on a feature map by where it is, and so breaks translation equivariance.

    shared                                        unshared
    Conv       ∫ K(x − y) F(y) dy                 IntegralOperator   ∫ κ(x, y) F(y) dy, the general linear map
    Bias       F(x) + b                           BiasField          F(x) + B(x)
    Pointwise  σ(F(x))                            PointwiseField     σ(x, F(x))
    AvgPool …  mean over x − W                    PoolField          mean over x − W(x), in windowed.py

Each acts on Field and on Samples; translating samples moves their grid, and with it what these layers see. Their parts
that do commute with translations are what `layers.sharing.shared` projects them on.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from discretize import Samples
from fields import FeatureMap, Field
from fields.accuracy import MOST_NODES, NODES
from fields.algebra.pointwise import map_channels
from fields.arguments import sequence
from fields.checks import VectorLike, integers, lengths, per_axis, positive
from fields.lattice import PerAxis, split
from layers.inputs import check_feature_map
from layers.unshared_fields import (
    Integrated,
    Positioned,
    each_element,
    integrated,
    operator_matrix,
    positioned,
)


class Unshared(nn.Module, ABC):
    """A layer that acts by position."""

    period: float | PerAxis | None

    def torus(self, f: FeatureMap) -> PerAxis | None:
        """The period per axis, where there is one, which a periodic grid has to repeat by."""
        if self.period is None:
            return None
        period = positive(self.period, f.dim, "period")
        if isinstance(f, Samples) and f.grid.boundary == "periodic":
            each = zip(f.grid.extent, period, strict=True)
            if any(split(extent / p)[1] for extent, p in each):
                raise ValueError(
                    f"this layer repeats by {period}, and the grid by {f.grid.extent}, which is no multiple of it: "
                    "take a grid of that extent, or of another boundary"
                )
        return period

    @abstractmethod
    def forward(self, f: Any) -> Any:
        """Act on a Field or Samples."""


class IntegralOperator(Unshared):
    """x ↦ ∫ κ(x, y) F(y) dy over a torus, or over a box: the general linear map.

    Parameters
    ----------
    kappa : callable or nn.Module
        κ of x (…, d) and y (…, d), which broadcast, with values (…, out, in); points come in float64, or in the
        dtype of the module's parameters.
    period : float or sequence of float, optional
        Of the torus; unless given that of the feature map. κ sees points in [0, period), and takes it from there.
    domain : (low, high), optional
        Corners of a box to integrate over instead, numbers or one per axis.
    nodes : int
        Quadrature nodes per axis on a Field. `sample` replaces them by those that its tolerance needs; Samples take
        their own points.

    Raises
    ------
    ValueError
        For a feature map that doesn't repeat by the period, where no domain is given.

    Notes
    -----
    Equal weights at nodes fixed in space: on a torus j·period/nodes, the trapezoidal rule, as accurate as F and κ are
    smooth; on a box the midpoints of cells, second order. It is linear, and commutes with translations only where κ
    depends on x − y alone; nodes that don't move with x would break even that between multiples of their spacing.

    Examples
    --------
    >>> import torch
    >>> from fields import Constant
    >>> from layers import IntegralOperator
    >>> ramp = IntegralOperator(lambda x, y: (x + 0 * y)[..., None], period=4.0)
    >>> ramp(Constant(1.0, dim=1))([[0.5], [3.0]]).tolist()
    [[2.0], [12.0]]
    """

    def __init__(
        self,
        kappa: Callable[[Tensor, Tensor], Tensor],
        period: VectorLike | None = None,
        domain: tuple[VectorLike, VectorLike] | None = None,
        nodes: int = 2 * NODES,
    ) -> None:
        super().__init__()
        if not callable(kappa):
            raise TypeError(f"kappa must be callable, got {type(kappa).__name__}")
        if period is not None and domain is not None:
            raise ValueError("give a period, for a torus, or a domain, for a box; not both")
        self.kappa = kappa
        self.period = None if period is None else lengths(period, "period")
        self.domain = None if domain is None else _corners(domain)
        (self.nodes,) = integers(nodes, 1, "nodes", most=MOST_NODES)

    def forward(self, f: Any) -> Any:
        """Integrate a Field or Samples."""
        check_feature_map(f)
        channels = self.channels(f.dim, f.device)
        if channels[1] != f.channels:
            raise ValueError(
                f"kappa takes {channels[1]} channels, the feature map has {f.channels}"
            )
        if isinstance(f, Samples):
            return self._summed(f)
        corner, extent = self._box(f)
        torus = self.domain is None
        return Integrated(f, self.kappa, channels[0], (corner, extent), torus, self.nodes)

    def channels(self, dim: int, device: torch.device | None = None) -> tuple[int, int]:
        """Of output and input, as κ has them at the origin."""
        origin = torch.zeros(1, dim, dtype=torch.float64, device=device)
        with torch.no_grad():
            matrix = operator_matrix(self.kappa, origin.repeat(2, 1), origin, torch.float64)
        return matrix.shape[-2], matrix.shape[-1]

    def _box(self, f: FeatureMap) -> tuple[PerAxis, PerAxis]:
        if self.domain is not None:
            low, high = (per_axis(c, f.dim, "domain") for c in self.domain)
            extent = tuple(b - a for a, b in zip(low, high, strict=True))
            return low, positive(extent, f.dim, "the sides high − low of the domain")
        known = None
        period = None if self.period is None else positive(self.period, f.dim, "period")
        if isinstance(f, Samples):
            known = f.grid.extent if f.grid.boundary == "periodic" else None
            fits = period is None or (
                known is not None
                and all(
                    math.isclose(a, b, rel_tol=1e-9) for a, b in zip(known, period, strict=True)
                )
            )
        else:
            assert isinstance(f, Field)
            known = f.period
            fits = period is None or f.is_periodic(period)
        if known is not None:
            period = period or tuple(p or 1.0 for p in known)
        if period is None or not fits:
            raise ValueError(
                f"an integral over a torus needs a map that repeats by its period {period}, and this one "
                f"is known to by {known}: take field.periodize(period), a grid of that extent, or domain=(low, high)"
            )
        return (0.0,) * f.dim, period

    def _summed(self, f: Samples) -> Samples:
        (corner, extent), spacing = self._box(f), f.grid.spacing
        period = extent if self.domain is None else None
        values = f.values.expand(*f.batch, *f.values.shape[-f.dim - 1 :]).flatten(-f.dim)

        def element(at: Tensor, v: Tensor) -> Tensor:
            y = at.reshape(-1, f.dim)
            weights = torch.full_like(y[:, 0], math.prod(spacing))
            if period is None:  # the part of each sample's cell that lies in the box
                half, low = y.new_tensor(spacing) / 2, y.new_tensor(corner)
                high = low + y.new_tensor(extent)
                cells = torch.minimum(y + half, high) - torch.maximum(y - half, low)
                weights = cells.clamp(min=0).prod(-1)
            out = integrated(self.kappa, at, y, v * weights.to(v), period)
            return out.movedim(-1, -f.dim - 1)

        return f._with(each_element(f.grid.points().to(f.device), values, f.batch, element))

    def extra_repr(self) -> str:
        """Where it integrates."""
        return f"period={self.period}" if self.domain is None else f"domain={self.domain}"


def _corners(domain: Any) -> tuple[Any, Any]:
    """The two corners of a box, each a number or one per axis."""
    corners = sequence(domain, "domain", "two corners, low and high")
    if len(corners) != 2:
        raise ValueError(f"domain must be two corners, low and high, got {len(corners)} of them")
    low, high = (
        corner if isinstance(corner, Real) else tuple(sequence(corner, "a corner", "numbers"))
        for corner in corners
    )
    return low, high


class BiasField(Unshared):
    """x ↦ F(x) + B(x).

    Parameters
    ----------
    field : Field
        B. Samples add it at their points.

    Examples
    --------
    >>> from fields import Constant, PlaneWaves
    >>> from layers import BiasField
    >>> BiasField(PlaneWaves([[0.25]], [[1.0]]))(Constant(1.0, dim=1))([[0.0], [2.0]]).tolist()
    [[2.0], [0.0]]
    """

    def __init__(self, field: Field) -> None:
        super().__init__()
        if not isinstance(field, Field):
            raise TypeError(
                f"a bias field is a Field, got {type(field).__name__}: one vector for all points is a Bias"
            )
        self.field, self.period = field, None

    def forward(self, f: Any) -> Any:
        """Add the field to a Field or Samples."""
        check_feature_map(f)
        if f.channels != self.field.channels:
            raise ValueError(
                f"the bias field has {self.field.channels} channels, the feature map {f.channels}"
            )
        return f + self.field


class PointwiseField(Unshared):
    """x ↦ σ(x, F(x)).

    Parameters
    ----------
    fn : callable or nn.Module
        Of points x (…, d) and values (…, c), which broadcast, in the dtype of the feature map; (…, c').
    period : float or sequence of float, optional
        Of a torus: `fn` sees points in [0, period). Without it nothing is known of how the result repeats.

    Examples
    --------
    >>> from fields import Constant
    >>> from layers import PointwiseField
    >>> PointwiseField(lambda x, v: x * v)(Constant(2.0, dim=1))([[0.5], [3.0]]).tolist()
    [[1.0], [6.0]]
    """

    def __init__(
        self, fn: Callable[[Tensor, Tensor], Tensor], period: VectorLike | None = None
    ) -> None:
        super().__init__()
        if not callable(fn):
            raise TypeError(f"fn must be callable, got {type(fn).__name__}")
        self.fn, self.period = fn, None if period is None else lengths(period, "period")

    def forward(self, f: Any) -> Any:
        """Apply the function to a Field or Samples."""
        check_feature_map(f)
        period = self.torus(f)
        if isinstance(f, Samples):
            return f._with(positioned(self.fn, f.grid.points().to(f.device), f.values, period))
        with torch.no_grad():
            zero = torch.zeros(1, f.dim + f.channels, dtype=f.dtype, device=f.device)
            out = self.fn(zero[:, : f.dim], zero[:, f.dim :])
        return Positioned(f, self.fn, map_channels(out, (1,)), period)
