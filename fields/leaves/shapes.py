"""Shapes of compact support: the indicators of Balls and Boxes, which have edges, and Bumps, which are smooth."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from fields.accuracy import (
    ALIKE_SHAPES,
    BUMP_ACROSS,
    BUMP_ALONG,
    BUMP_PAIRS,
    CLOSE_SHAPES,
    MOST_SHAPE_PAIRS,
)
from fields.lattice import Lattice, PerAxis
from fields.leaves.localized import Shapes
from fields.profiles import BALL, BOX, BUMP
from fields.radial import ball_in_cells, gauss
from fields.stencils.stencil import cell_overlap


class Edged(Shapes):
    """Abstract: shapes that jump at their edges."""

    def _finest(self, rtol: float) -> PerAxis:
        """What tells the smallest of the shapes, and two edges on the line."""
        assert self.profile.finest is not None
        apart = _edges(self.centers, self.profile.reach * self._sizes[..., 0])
        least = self._along_axes(self.profile.finest / self._sizes.detach().double())
        return tuple(max(f, apart) for f in least)

    def _pairs(self) -> tuple[Tensor, Tensor, Tensor] | None:
        """Offsets (…, p, d) of the centers in all pairs, and the half-widths of both; None on the line, or for many."""
        if self.dim == 1 or not 1 < self.centers.shape[-2] <= MOST_SHAPE_PAIRS:
            return None
        c, half = self.centers.detach(), self._reach(0.5).detach()
        one, other = torch.triu_indices(c.shape[-2], c.shape[-2], 1, device=c.device)
        apart = c[..., one, :] - c[..., other, :]
        return apart, half[..., one, :], half[..., other, :]


class Round(Shapes):
    """Abstract: shapes that have a radius each."""

    radii: Tensor

    def __init__(self, centers: Any, amplitudes: Any, radii: Any) -> None:
        super().__init__(centers, amplitudes, radii=radii)
        self._positive("radii", ())

    @property
    def _sizes(self) -> Tensor:
        return self.radii[..., None]


class Balls(Round, Edged):
    """F(x) = Σ_m a_m [|x − c_m| ≤ r_m]: indicators of balls.

    Parameters
    ----------
    centers : Tensor, shape (m, d) or (*batch, m, d)
        In length units.
    amplitudes : Tensor, shape (m, c) or (*batch, m, c)
    radii : Tensor, shape (m,), batch in front or not
        In length units.

    Raises
    ------
    ValueError
        For radii that aren't positive.

    Notes
    -----
    Integral, norm, inner products with Balls (the volumes of lenses) and transform (Bessel functions) are closed.
    Gradients in x and in the centres are those almost everywhere: 0.

    Examples
    --------
    >>> from fields import Balls
    >>> F = Balls([[0.0, 0.0]], [[1.0, 3.0]], [2.0])
    >>> F([1.0, 1.0]).tolist(), round(float(F.integrate()[0]), 6)
    ([1.0, 3.0], 12.566371)
    """

    profile = BALL

    def _thinnest(self) -> PerAxis:
        """Two points across the thinnest lens, or crescent, of two balls."""
        pairs = self._pairs()
        if pairs is None:
            return (0.0,) * self.dim
        apart, r, s = pairs[0].norm(dim=-1), pairs[1][..., 0], pairs[2][..., 0]
        widths = torch.stack(torch.broadcast_tensors(r + s - apart, apart + s - r, apart + r - s))
        # Where they don't meet, or one holds the other, there is nothing between them.
        widths = torch.where((widths > 0).all(0), widths, math.inf)
        return (2 * _least(widths, self.radii),) * self.dim

    def _averaged(self, lattice: Lattice) -> Tensor | None:
        if self.batch:
            return None
        shares = []
        for center, radius in zip(self.centers.detach().double(), self.radii.tolist(), strict=True):
            offsets = [x - c for x, c in zip(lattice.axes(), center, strict=True)]
            shares.append(ball_in_cells(radius, offsets, lattice.spacing))
        means = torch.stack(shares).to(self.dtype) / math.prod(lattice.spacing)
        return torch.einsum("mc,m...->c...", self.amplitudes, means)

    def _common(self, other: Shapes) -> Tensor:
        r, s = self._sizes[..., :, None, 0], other._sizes[..., None, :, 0]
        return _lens(r, s, self._apart(other).norm(dim=-1), self.dim)


def _edges(centers: Tensor, half: Tensor) -> float:
    """Frequency that tells all edges on the line from each other, but for those closer than 1/64 of the smallest half.

    What lies between the edges of two shapes is a feature, too, and may hold their sum's maximum. Off the line edges
    meet at angles, and what lies between them has no least width.
    """
    if centers.shape[-1] > 1:
        return 0.0
    places, size = centers.detach()[..., 0], half.detach()
    gaps = torch.cat([places - size, places + size], -1).sort(-1).values.diff(dim=-1)
    return float(1 / (2 * gaps.clamp(min=float(size.amin()) / CLOSE_SHAPES).amin()))


def _least(widths: Tensor, sizes: Tensor) -> float:
    """Frequency that tells the least of some widths, or 1/64 of the least size; none is 0 but for rounding."""
    size = float(sizes.detach().amin())
    widths = torch.where(widths > ALIKE_SHAPES * size, widths, math.inf)
    return float(1 / (2 * widths.clamp(min=size / CLOSE_SHAPES).amin()))


def _lens(r: Tensor, s: Tensor, apart: Tensor, dim: int) -> Tensor:
    """Volume that balls of radii r and s, at a distance, have in common."""
    least = torch.minimum(r, s)
    if dim == 1:
        return torch.minimum(2 * least, r + s - apart).clamp(min=0)
    ball = math.pi * least**2 if dim == 2 else 4 / 3 * math.pi * least**3
    # Within rounding of where they touch, what is left of the lens is rounding, and so are the signs of its terms.
    slack = 8 * torch.finfo(apart.dtype).eps * (r + s)
    inside, outside = apart <= (r - s).abs() + slack, apart >= r + s - slack
    # Where one ball holds the other, or they don't meet, the lens is evaluated at a harmless distance.
    d = torch.where(inside | outside, torch.maximum(r, s), apart)
    if dim == 3:
        cut = r + s - d
        lens = math.pi * cut**2 * (d**2 + 2 * d * (r + s) - 3 * (r - s) ** 2) / (12 * d)
    else:
        first = (d**2 + r**2 - s**2) / (2 * d * r)
        second = (d**2 + s**2 - r**2) / (2 * d * s)
        kite = (-d + r + s) * (d + r - s) * (d - r + s) * (d + r + s)
        lens = r**2 * torch.acos(first) + s**2 * torch.acos(second) - 0.5 * kite.sqrt()
    return torch.where(inside, ball, torch.where(outside, 0.0, lens))


class Boxes(Edged):
    """F(x) = Σ_m a_m [|x_i − c_mi| ≤ s_mi/2 for all i]: indicators of axis-aligned boxes.

    Parameters
    ----------
    centers : Tensor, shape (m, d) or (*batch, m, d)
        In length units.
    amplitudes : Tensor, shape (m, c) or (*batch, m, c)
    sides : Tensor, shape (m,) or (m, d), batch in front or not
        Whole sides, in length units.

    Raises
    ------
    ValueError
        For sides that aren't positive.

    Notes
    -----
    Integral, norm, inner products with Boxes and transform are closed. On lattices boxes are separable. Gradients in
    x and in the centres are those almost everywhere: 0.

    Examples
    --------
    >>> from fields import Boxes
    >>> F = Boxes([[0.0, 0.0]], [[1.0]], [[2.0, 4.0]])
    >>> F([[0.9, 1.9], [1.1, 0.0]]).flatten().tolist(), F.integrate().tolist()
    ([1.0, 0.0], [8.0])
    """

    profile = BOX
    sides: Tensor

    def __init__(self, centers: Any, amplitudes: Any, sides: Any) -> None:
        super().__init__(centers, amplitudes, sides=sides)
        if self._positive("sides", (), (self.dim,)) == ():
            self.sides = self.sides[..., None].expand(*self.sides.shape, self.dim)

    @property
    def _sizes(self) -> Tensor:
        return self.sides

    def _thinnest(self) -> PerAxis:
        """One point between two edges of boxes that overlap on the other axes."""
        pairs = self._pairs()
        if pairs is None:
            return (0.0,) * self.dim
        apart, (h, k) = pairs[0].abs(), pairs[1:]
        meet = apart < h + k
        widths = torch.stack(
            torch.broadcast_tensors((h + k - apart).abs(), ((h - k).abs() - apart).abs())
        )
        found = []
        for axis in range(self.dim):
            others = [i for i in range(self.dim) if i != axis]
            between = torch.where(meet[..., others].all(-1), widths[..., axis], math.inf)
            found.append(_least(between, self.sides[..., axis] / 2))
        return tuple(found)

    def _averaged(self, lattice: Lattice) -> Tensor:
        factors = []
        for axis, h in enumerate(lattice.spacing):
            z, sides = self._offsets(lattice, axis)
            factors.append(cell_overlap(z, h, sides / 2) / h)
        return self._product(factors)

    def _common(self, other: Shapes) -> Tensor:
        one, two = self._sizes[..., :, None, :], other._sizes[..., None, :, :]
        apart = self._apart(other).abs()
        common = torch.minimum(torch.minimum(one, two), (one + two) / 2 - apart).clamp(min=0)
        return common.prod(-1)


class Bumps(Round):
    """F(x) = Σ_m a_m exp(1 − 1/(1 − |x − c_m|²/r_m²)) inside the balls |x − c_m| < r_m, 0 outside: C^∞, of unit peak.

    Parameters
    ----------
    centers : Tensor, shape (m, d) or (*batch, m, d)
        In length units.
    amplitudes : Tensor, shape (m, c) or (*batch, m, c)
    radii : Tensor, shape (m,), batch in front or not
        In length units.

    Raises
    ------
    ValueError
        For radii that aren't positive.

    Notes
    -----
    The integral is Σ_m a_m r_m^d B_d, B_d that of the unit bump, to rounding error. Norms and inner products with Bumps
    are sums over the pairs that meet, of Gauss quadratures over what they have in common: to 1e-9 of the product of
    the norms of a pair, in double precision. The transform, Σ_m a_m r_m^d B̂_d(r_m|f|) exp(−2πi f·c_m), is integrated
    to rounding error of its peak.

    Examples
    --------
    >>> from fields import Bumps
    >>> F = Bumps([[0.0, 0.0]], [[2.0]], [1.0])
    >>> F([[0.0, 0.0], [1.0, 0.0]]).flatten().tolist()
    [2.0, 0.0]
    """

    profile = BUMP

    def _common(self, other: Shapes) -> Tensor:
        r, s, apart = torch.broadcast_tensors(
            self._sizes[..., :, None, 0],
            other._sizes[..., None, :, 0],
            self._apart(other).norm(dim=-1),
        )
        meet = (apart < r + s).detach()
        pairs = torch.stack([v[meet] for v in (r, s, apart)], dim=-1).double()
        parts = [_overlap(part, self.dim) for part in pairs.split(BUMP_PAIRS)]
        common = torch.zeros(apart.shape, dtype=self.dtype, device=self.device)
        return common.masked_scatter(meet, torch.cat(parts).to(common))


def _overlap(pairs: Tensor, dim: int) -> Tensor:
    """∫ of the product of two bumps, for pairs (q, 3) of two radii and the distance of the centres, shape (q,).

    Around the axis through the centres the product is symmetric: nodes along it, z, and across it, ρ.
    """
    r, s, apart = pairs.unsqueeze(-1).unbind(1)
    with torch.no_grad():
        z, across, weights = _nodes(r, s, apart, dim)
    r, s, apart = r[..., None], s[..., None], apart[..., None]
    near, far = BUMP.of(z**2 + across, r), BUMP.of((z - apart) ** 2 + across, s)
    return (near * far * weights).sum((-2, -1))


def _nodes(r: Tensor, s: Tensor, apart: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gauss nodes z (q, Z, 1), ρ² (q, Z, R) and weights (q, Z, R) over what two balls have in common.

    They are constants: since the product fades to all orders at the rim of the region, its integral changes with the
    radii and the distance by what happens inside only.
    """
    u, wide = (v.to(r) for v in gauss(BUMP_ALONG))
    low, high = torch.maximum(-r, apart - s), torch.minimum(r, apart + s)
    z = low + (high - low) * u
    weights = (high - low) * wide
    if dim == 1:
        return z[..., None], torch.zeros_like(z)[..., None], weights[..., None]
    v, wide = (v.to(r) for v in gauss(BUMP_ACROSS))
    top = torch.minimum(r**2 - z**2, s**2 - (z - apart) ** 2).clamp(min=0)[..., None]
    if dim == 2:  # dρ on both sides of the axis
        return z[..., None], top * v**2, weights[..., None] * 2 * top.sqrt() * wide
    return z[..., None], top * v, weights[..., None] * math.pi * top * wide  # 2πρ dρ = π d(ρ²)
