"""Shapes with edges: the indicators of Balls and Boxes."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from fields.field import Field, PerAxis
from fields.lattice import Lattice
from fields.radial import ball_wave
from fields.separable import separable_sum
from fields.terms import Terms

#: Edges closer than this part of the smallest half side count as one.
CLOSE = 64
#: Edges closer than this part of it are the same.
ALIKE = 1e-9
#: Shapes are compared in pairs up to so many.
MOST_PAIRED = 1024


class Balls(Terms):
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

    radii: Tensor

    def __init__(self, centers: Any, amplitudes: Any, radii: Any) -> None:
        super().__init__(centers, amplitudes, radii=radii)
        self._positive("radii", ())

    def _finest(self, rtol: float) -> PerAxis:
        """Two points per radius of the smallest ball; one between two edges on the line."""
        least = 1 / (2 * float(self.radii.detach().amin()))
        return (max(least, _edges(self.centers, self.radii)),) * self.dim

    def _thinnest(self) -> PerAxis:
        """Two points across the thinnest lens, or crescent, of two balls."""
        if self.dim == 1 or not 1 < self.centers.shape[-2] <= MOST_PAIRED:
            return (0.0,) * self.dim
        c, r = self.centers.detach(), self.radii.detach()
        one, other = torch.triu_indices(c.shape[-2], c.shape[-2], 1, device=c.device)
        apart, r, s = (c[..., one, :] - c[..., other, :]).norm(dim=-1), r[..., one], r[..., other]
        widths = torch.stack(torch.broadcast_tensors(r + s - apart, apart + s - r, apart + r - s))
        # Where they don't meet, or one holds the other, there is nothing between them.
        widths = torch.where((widths > 0).all(0), widths, math.inf)
        return (2 * _least(widths, self.radii),) * self.dim

    def _reach(self, rtol: float) -> Tensor:
        return self.radii[..., None]

    def _values(self, lattice: Lattice) -> Tensor:
        def profile(m: int, z: Tensor) -> Tensor:
            return ((z**2).sum(-1) <= self._of_term(self.radii, m) ** 2).to(self.dtype)

        return self._summed(lattice, profile)

    def _integral(self) -> Tensor:
        volume = math.pow(math.pi, self.dim / 2) / math.gamma(self.dim / 2 + 1)
        return ((volume * self.radii**self.dim)[..., None, :] @ self.amplitudes).squeeze(-2)

    def _inner(self, other: Field) -> Tensor | None:
        if not isinstance(other, Balls):
            return None
        apart = (self.centers[..., :, None, :] - other.centers[..., None, :, :]).norm(dim=-1)
        common = _lens(self.radii[..., :, None], other.radii[..., None, :], apart, self.dim)
        return (common * (self.amplitudes @ other.amplitudes.mT)).sum((-2, -1))

    def _transform(self, frequencies: Tensor) -> Tensor:
        turns = 2 * math.pi * frequencies.norm(dim=-1)[:, None] * self.radii.double()[..., None, :]
        volume = math.pow(math.pi, self.dim / 2) / math.gamma(self.dim / 2 + 1)
        size = volume * self.radii.double()[..., None, :] ** self.dim
        return self._weighted(size * ball_wave(turns, self.dim) * self._phases(frequencies))


def _edges(centers: Tensor, half: Tensor) -> float:
    """Frequency that tells all edges on the line from each other, but for those closer than 1/64 of the smallest half.

    What lies between the edges of two shapes is a feature, too, and may hold their sum's maximum. Off the line edges
    meet at angles, and what lies between them has no least width.
    """
    if centers.shape[-1] > 1:
        return 0.0
    places, size = centers.detach()[..., 0], half.detach()
    gaps = torch.cat([places - size, places + size], -1).sort(-1).values.diff(dim=-1)
    return float(1 / (2 * gaps.clamp(min=float(size.amin()) / CLOSE).amin()))


def _least(widths: Tensor, sizes: Tensor) -> float:
    """Frequency that tells the least of some widths, or 1/64 of the least size; none is 0 but for rounding."""
    size = float(sizes.detach().amin())
    widths = torch.where(widths > ALIKE * size, widths, math.inf)
    return float(1 / (2 * widths.clamp(min=size / CLOSE).amin()))


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


class Boxes(Terms):
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

    sides: Tensor

    def __init__(self, centers: Any, amplitudes: Any, sides: Any) -> None:
        super().__init__(centers, amplitudes, sides=sides)
        if self._positive("sides", (), (self.dim,)) == ():
            self.sides = self.sides[..., None].expand(*self.sides.shape, self.dim)

    def _finest(self, rtol: float) -> PerAxis:
        """Two points per side of the narrowest box; one between two edges on the line."""
        least = (1 / self.sides.detach().reshape(-1, self.dim).amin(0)).tolist()
        apart = _edges(self.centers, self.sides[..., 0] / 2)
        return tuple(max(f, apart) for f in least)

    def _thinnest(self) -> PerAxis:
        """One point between two edges of boxes that overlap on the other axes."""
        if self.dim == 1 or not 1 < self.centers.shape[-2] <= MOST_PAIRED:
            return (0.0,) * self.dim
        c, half = self.centers.detach(), self.sides.detach() / 2
        one, other = torch.triu_indices(c.shape[-2], c.shape[-2], 1, device=c.device)
        apart, h, k = (
            (c[..., one, :] - c[..., other, :]).abs(),
            half[..., one, :],
            half[..., other, :],
        )
        meet = apart < h + k
        widths = torch.stack(
            torch.broadcast_tensors((h + k - apart).abs(), ((h - k).abs() - apart).abs())
        )
        found = []
        for axis in range(self.dim):
            others = [i for i in range(self.dim) if i != axis]
            between = torch.where(meet[..., others].all(-1), widths[..., axis], math.inf)
            found.append(_least(between, half[..., axis]))
        return tuple(found)

    def _reach(self, rtol: float) -> Tensor:
        return self.sides / 2

    def _values(self, lattice: Lattice) -> Tensor:
        factors = []
        for i, x in enumerate(lattice.axes()):
            z = x[..., :, None] - self.centers[..., i].double()[..., None, :]
            inside = z.abs() <= self.sides[..., i].double()[..., None, :] / 2
            factors.append(inside.to(self.dtype))
        return separable_sum(self.amplitudes, factors)

    def _integral(self) -> Tensor:
        return (self.sides.prod(-1)[..., None, :] @ self.amplitudes).squeeze(-2)

    def _inner(self, other: Field) -> Tensor | None:
        if not isinstance(other, Boxes):
            return None
        apart = (self.centers[..., :, None, :] - other.centers[..., None, :, :]).abs()
        one, two = self.sides[..., :, None, :], other.sides[..., None, :, :]
        common = torch.minimum(torch.minimum(one, two), (one + two) / 2 - apart).clamp(min=0)
        return (common.prod(-1) * (self.amplitudes @ other.amplitudes.mT)).sum((-2, -1))

    def _transform(self, frequencies: Tensor) -> Tensor:
        sides = self.sides.double()[..., None, :, :]
        waves = (sides * torch.sinc(sides * frequencies[:, None])).prod(-1)
        return self._weighted(waves * self._phases(frequencies))
