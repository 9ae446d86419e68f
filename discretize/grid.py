"""Grid: a regular grid as a rule, not as a list of points."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from fields import arguments, checks
from fields.lattice import Lattice

#: How samples continue outside of their grid.
BOUNDARIES = ("periodic", "zero", "reflect", "nearest", "none")


class Grid:
    """The points origin + spacing·i, 0 ≤ i < shape, and how samples on them continue outside.

    Parameters
    ----------
    shape : int or sequence of int
        Number of points per axis; it tells d.
    spacing : float or sequence of float
        Distance of neighbouring points, in length units; a number is repeated.
    origin : float or Tensor, shape (d,) or (*batch, d)
        The first point, one for all elements of a batch or one for each.
    boundary : {"periodic", "zero", "reflect", "nearest", "none"}
        "none" means unknown: operations that look outside shrink the map to what is known.

    Attributes
    ----------
    extent : tuple of float
        shape·spacing, which is the period of a periodic grid.
    nyquist : tuple of float
        1/(2·spacing), in cycles per unit length.

    Examples
    --------
    >>> from discretize import Grid
    >>> Grid((4, 6), spacing=0.5).stride(2)
    Grid(shape=(2, 3), spacing=(1.0, 1.0), origin=[0.0, 0.0], boundary='periodic')
    """

    def __init__(
        self, shape: Any, spacing: checks.VectorLike, origin: Any = 0.0, boundary: str = "periodic"
    ) -> None:
        several = checks.counts(shape, "the shape of a grid")
        self.shape = several if isinstance(several, tuple) else (several,)
        dim = len(self.shape)
        self.spacing = checks.positive(spacing, dim, "spacing")
        self._origin = checks.owned(checks.as_tensor(origin, "origin"))
        origin = self.origin
        if origin.shape[-1] != dim:
            raise ValueError(
                f"the origin of a grid with {dim} axes has shape ({dim},) or (*batch, {dim}), "
                f"got {tuple(origin.shape)}"
            )
        if not origin.numel():
            raise ValueError(f"origins of a batch must be at least one, got {tuple(origin.shape)}")
        self.boundary = arguments.choice(boundary, "boundary", BOUNDARIES)

    def __repr__(self) -> str:
        origin = self.origin.detach()
        where = str(origin.tolist()) if origin.ndim == 1 else f"<{tuple(origin.shape)}>"
        return (
            f"Grid(shape={self.shape}, spacing={self.spacing}, origin={where}, "
            f"boundary={self.boundary!r})"
        )

    @property
    def origin(self) -> Tensor:
        """The first point, shape (d,) or (*batch, d), in float64."""
        origin = self._origin.to(torch.float64)
        return origin if origin.ndim else origin.repeat(self.dim)

    @property
    def dim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def batch(self) -> tuple[int, ...]:
        """Batch shape of the origin."""
        return tuple(self.origin.shape[:-1])

    @property
    def extent(self) -> tuple[float, ...]:
        """Length of each axis, shape·spacing."""
        return tuple(n * h for n, h in zip(self.shape, self.spacing, strict=True))

    @property
    def nyquist(self) -> tuple[float, ...]:
        """Highest frequency per axis that the grid tells from lower ones."""
        return tuple(0.5 / h for h in self.spacing)

    @property
    def lattice(self) -> Lattice:
        """The same points, for the evaluator."""
        return Lattice(self.origin, self.spacing, self.shape)

    def points(self) -> Tensor:
        """All points, shape (*batch, X1, …, Xd, d), in length units."""
        return self.lattice.points()

    def replace(self, **changes: Any) -> Grid:
        """The same grid but for some of its arguments."""
        own = {"shape": self.shape, "spacing": self.spacing, "origin": self.origin}
        return Grid(**{**own, "boundary": self.boundary, **changes})

    def translate(self, t: Any) -> Grid:
        """The grid moved by t, shape (d,) or (*batch, d)."""
        t = checks.translation(t, self.dim).to(self.origin.device)
        return self.replace(origin=self.origin + t)

    def stride(self, s: Any, phase: Any = 0) -> Grid:
        """Every s-th point, from the point with index `phase` on.

        Parameters
        ----------
        s : int or sequence of int
        phase : int, sequence of int, or integer Tensor (*batch, d)
            0 ≤ phase < s.

        Raises
        ------
        ValueError
            Where s doesn't divide the shape of a periodic grid. On other grids the last partial cell is kept while
            its first point is on the grid; phases that differ over a batch then keep what all of them have.
        """
        strides = checks.integers(s, self.dim, "stride")
        divides(strides, self.shape, self.boundary)
        index, bounds = _phase(phase, self.dim)
        divided = all(n % q == 0 for n, q in zip(self.shape, strides, strict=True))
        if bounds is None and divided and checks.tracing():
            bounds = [(0, 0)] * self.dim  # they aren't known, and the shape doesn't depend on them
        if bounds is None:
            each = index.reshape(-1, self.dim)
            bounds = list(zip(each.amin(0).tolist(), each.amax(0).tolist(), strict=True))
        if any(p < 0 or top >= q for (p, top), q in zip(bounds, strides, strict=True)):
            raise ValueError(f"the phase of a stride {strides} lies in [0, stride), got {phase}")
        shape = [
            n // q if self.boundary == "periodic" else -(-(n - top) // q)
            for n, q, (_, top) in zip(self.shape, strides, bounds, strict=True)
        ]
        if min(shape) < 1:
            raise ValueError(
                f"a stride of {strides} from {phase} leaves nothing of shape {self.shape}"
            )
        spacing = tuple(h * q for h, q in zip(self.spacing, strides, strict=True))
        origin = self.origin + index.to(self.origin.device) * self.origin.new_tensor(self.spacing)
        return self.replace(shape=shape, spacing=spacing, origin=origin)

    def refine(self, m: Any) -> Grid:
        """M times as many points per axis: the grid of which this one is every m-th point."""
        factors = checks.integers(m, self.dim, "refinement")
        shape = [n * q for n, q in zip(self.shape, factors, strict=True)]
        return self.replace(
            shape=shape, spacing=[h / q for h, q in zip(self.spacing, factors, strict=True)]
        )

    def dilate(self, n: Any) -> Grid:
        """The grid with n more points on either side of each axis."""
        widths = checks.integers(n, self.dim, "dilation", least=0)
        origin = self.origin - self.origin.new_tensor(
            [w * h for w, h in zip(widths, self.spacing, strict=True)]
        )
        return self.replace(
            shape=[a + 2 * w for a, w in zip(self.shape, widths, strict=True)], origin=origin
        )

    def offset(self, other: Grid) -> Tensor:
        """Origin of `other` minus this one's, in spacings, shape (*batch, d)."""
        self._check(other)
        spacing = self.origin.new_tensor(self.spacing)
        offset: Tensor = (other.origin.to(self.origin.device) - self.origin) / spacing
        return offset

    def offset_tolerance(self, other: Grid) -> Tensor:
        """Rounding error to expect in `offset`: 64 eps of the coordinates, in spacings."""
        self._check(other)
        size = torch.maximum(
            self.origin.detach().abs(), other.origin.detach().abs().to(self.origin.device)
        )
        spacing = self.origin.new_tensor(self.spacing)
        tolerance: Tensor = 64 * torch.finfo(torch.float64).eps * (1 + size / spacing)
        return tolerance

    def _check(self, other: Any) -> None:
        if not isinstance(other, Grid):
            raise TypeError(f"expected a Grid, got {type(other).__name__}")
        if self.dim != other.dim:
            raise ValueError(f"grids with {self.dim} and {other.dim} axes have no common points")

    def nearest_steps(self, other: Grid) -> tuple[Tensor, Tensor]:
        """The offset as the nearest integers (*batch, d), and whether (*batch) these are exact up to rounding."""
        self._check(other)
        spacings = zip(self.spacing, other.spacing, strict=True)
        alike = all(math.isclose(a, b, rel_tol=1e-12) for a, b in spacings)
        steps, close = self._nearest(other)
        return steps, close & alike

    def _nearest(self, other: Grid) -> tuple[Tensor, Tensor]:
        """The same whatever the spacing of `other`."""
        offset = self.offset(other).detach()
        whole = offset.round()
        close = ((offset - whole).abs() <= self.offset_tolerance(other)).all(-1)
        return whole.long(), close

    def _sublattice(self, other: Grid) -> tuple[tuple[int, ...], Tensor, Tensor]:
        """The strides of `other` on this lattice, its first point, and whether (*batch) it lies there.

        An axis with one point has stride 1, whatever its spacing.
        """
        self._check(other)
        each = zip(other.spacing, self.spacing, other.shape, strict=True)
        ratios = [a / b if n > 1 else 1.0 for a, b, n in each]
        strides = tuple(max(1, round(r)) for r in ratios)
        whole = all(math.isclose(r, s, rel_tol=1e-12) for r, s in zip(ratios, strides, strict=True))
        steps, close = self._nearest(other)
        return strides, steps, close & whole

    def steps_to(self, other: Grid) -> Tensor | None:
        """The offset as integers (*batch, d), where both are parts of one lattice; None otherwise."""
        steps, close = self.nearest_steps(other)
        return steps if bool(close.all()) else None

    def coincides(self, other: Grid) -> bool:
        """Whether both have the same points."""
        if other is self:  # no number need be read, which torch.compile can't do
            return True
        self._check(other)
        if self.shape != other.shape:
            return False
        steps = self.steps_to(other)
        return steps is not None and not bool(steps.any())


def _phase(phase: Any, dim: int) -> tuple[Tensor, list[tuple[int, int]] | None]:
    """The phase of a stride as integers (*batch, d), and what they lie between, where no tensor need be read."""
    if isinstance(phase, int):
        return torch.full((dim,), phase), [(phase, phase)] * dim
    known = checks.as_tensor(phase, "phase")
    if not checks.tracing() and not bool((known == known.round()).all()):
        raise ValueError(f"the phase of a stride must be integers, got {checks.said(phase)}")
    if (known.ndim and known.shape[-1] not in (1, dim)) or not known.numel():
        raise ValueError(
            f"the phase of a stride is an integer, or one per axis, (*batch, {dim}), "
            f"got shape {tuple(known.shape)}"
        )
    index = known.long()
    return index.expand(*index.shape[:-1], dim) if index.ndim else index.repeat(dim), None


def divides(strides: tuple[int, ...], shape: tuple[int, ...], boundary: str) -> None:
    """Raise where a stride doesn't divide the shape of a periodic grid, naming the nearest sizes that work."""
    if boundary != "periodic" or all(n % s == 0 for n, s in zip(shape, strides, strict=True)):
        return
    near = [
        f"{n // s * s or s} or {-(-n // s) * s}" if n % s else str(n)
        for n, s in zip(shape, strides, strict=True)
    ]
    raise ValueError(
        f"a stride of {strides} doesn't divide the periodic grid of shape {shape}: "
        f"sizes that work are {', '.join(near)}"
    )
