"""Radial shapes: the Fourier transforms of balls and smooth bumps, and what balls share with the cells of a lattice.

In the plane the area that a ball shares with a cell is closed: the integral of the circle's ordinate, cut to the cell,
between where the circle enters and leaves it. In space it is integrated over the third coordinate, between the heights
at which the circle of the section meets a corner: there its derivatives jump. Both are taken in one octant and
mirrored, so that the shares have the symmetries of the ball and of the lattice.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fields.accuracy import BUMP_LAST, BUMP_NODES, CELL_NODES, CHEBYSHEV, HANKEL, RADIAL_PART


def ball_wave(k: Tensor, dim: int) -> Tensor:
    """Mean of exp(i k·y) over the unit ball; a series where the closed form cancels."""
    if dim == 2:
        return _disc_wave(k)
    small = k < 1e-2
    safe = torch.where(small, 1.0, k)
    far = torch.sin(safe) / safe
    if dim == 3:
        far = 3 * (far - torch.cos(safe)) / safe**2
    q = k**2
    near = 1 - q / (2 * (dim + 2)) * (1 - q / (4 * (dim + 4)) * (1 - q / (6 * (dim + 6))))
    return torch.where(small, near, far)


def _disc_wave(k: Tensor) -> Tensor:
    """2 J₁(k)/k, to rounding error and differentiable; torch's own J₁ is off by up to 5e-7.

    Below k = 30 by the Gauss–Chebyshev sum for ∫(2/π)√(1 − x²) cos(kx) dx; above by Hankel's asymptotic series (DLMF
    10.17.3), whose terms there fall below rounding error.
    """
    low, high = k.clamp(max=HANKEL), k.clamp(min=HANKEL)
    theta = math.pi / (CHEBYSHEV + 1) * torch.arange(1, CHEBYSHEV + 1, dtype=k.dtype)
    theta = theta.to(k.device)
    near = torch.cos(low[..., None] * torch.cos(theta)) @ (
        2 / (CHEBYSHEV + 1) * torch.sin(theta) ** 2
    )
    series, term = [torch.zeros_like(high), torch.zeros_like(high)], torch.ones_like(high)
    for j in range(20):
        series[j % 2] = series[j % 2] + (-1) ** (j // 2) * term
        term = term * ((4 - (2 * j + 1) ** 2) / (8 * (j + 1))) / high
    turn = high - 0.75 * math.pi
    wave = series[0] * torch.cos(turn) - series[1] * torch.sin(turn)
    return torch.where(k <= HANKEL, near, 2 * (2 / (math.pi * high)).sqrt() * wave / high)


def bump(squares: Tensor) -> Tensor:
    """exp(1 − 1/(1 − |y|²)) inside the unit ball, 0 outside, from |y|²: C^∞, of unit peak."""
    rest = 1 - squares
    inside = rest > 0
    # The outside is kept away from the singularity, whose gradient would be NaN.
    return torch.where(inside, torch.exp(1 - 1 / torch.where(inside, rest, 1.0)), 0.0)


def bump_wave(k: Tensor, dim: int) -> Tensor:
    """Transform of the unit bump at |2πf| = k, of any shape, relative to its integral, to rounding error.

    Integrated over all axes but one the bump is a C^∞ function on [−1, 1], whose trapezoidal sums on n nodes are exact
    but for its transform at 2πn − k. That falls like exp(−√k): from 1400 on it is below rounding.
    """
    largest = float(k.detach().clamp(max=BUMP_LAST).max()) if k.numel() else 0.0
    count = next(n for n in BUMP_NODES if 2 * math.pi * n - 1400 >= largest)
    weights = torch.from_numpy(_marginal(dim, count)).to(k.device)
    x = torch.arange(count, dtype=torch.float64, device=k.device) / count
    parts = k.double().flatten().split(RADIAL_PART)
    waves = torch.cat([torch.cos(part[:, None] * x) @ weights for part in parts]).reshape(k.shape)
    return torch.where(k.abs() <= BUMP_LAST, waves, 0.0)


@functools.cache
def bump_bandwidth(rtol: float, dim: int) -> float:
    """The k from which on |transform| of the unit bump is below `rtol`; at least rounding error."""
    k = torch.arange(0.0, BUMP_LAST, 0.25, dtype=torch.float64)
    above = (bump_wave(k, dim).abs() >= max(rtol, 1e-15)).nonzero()
    return float(k[above[-1, 0]]) + 0.25


@functools.cache
def bump_size(dim: int) -> float:
    """∫exp(1 − 1/(1 − |y|²)) over the unit ball, in shells."""
    r, weights = gauss(400)
    sphere = 2 * math.pow(math.pi, dim / 2) / math.gamma(dim / 2)
    return sphere * float((weights * r ** (dim - 1) * bump(r**2)).sum())


@functools.cache
def _marginal(dim: int, count: int) -> np.ndarray:
    """Weights of cos(k x), x = 0, 1/n, …, 1 − 1/n: the bump integrated over the other axes, scaled to sum to 1."""
    x = torch.arange(count, dtype=torch.float64) / count
    values = bump(x**2)
    if dim > 1:
        nodes, shares = gauss(200)
        rim = (1 - x**2).sqrt()[:, None]
        rho = rim * nodes
        values = (rim * shares * rho ** (dim - 2) * bump(x[:, None] ** 2 + rho**2)).sum(-1)
    values[1:] *= 2  # both signs of x
    return (values / values.sum()).numpy()


def gauss(count: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of Gauss and Legendre on [0, 1]."""
    x, w = (torch.from_numpy(v) for v in np.polynomial.legendre.leggauss(count))
    return (x + 1) / 2, w / 2


#: Cells that are integrated at once.


def ball_in_cells(radius: float, axes: Sequence[Tensor], spacing: Sequence[float]) -> Tensor:
    """Volume (N1, …, Nd) of the centred ball in the cells around nodes.

    Parameters
    ----------
    radius : float
    axes : sequence of Tensor, shapes (Ni,)
        The nodes, evenly spaced; where they are j·spacing, |j| ≤ (Ni − 1)/2, one octant is computed, and mirrored.
    spacing : sequence of float
    """
    edges = [torch.cat([y - h / 2, y[-1:] + h / 2]) for y, h in zip(axes, spacing, strict=True)]
    sides = [((e[:-1], e[1:]), (-e[1:], -e[:-1])) for e in edges]
    if not all(len(y) % 2 and y[0] == -y[-1] for y in axes):
        return torch.stack([_in_octant(radius, side) for side in itertools.product(*sides)]).sum(0)
    octant = _in_octant(radius, [[end[len(end) // 2 :] for end in ahead] for ahead, _ in sides])
    for axis, y in enumerate(axes):
        octant.narrow(axis, 0, 1).mul_(2)  # halves of cells, at the plane of the axis
        whole = torch.arange(len(y), device=y.device).sub(len(y) // 2).abs()
        octant = octant.index_select(axis, whole)
    return octant


def _in_octant(radius: float, ends: Sequence[Sequence[Tensor]]) -> Tensor:
    """Volumes in what one octant has of cells, given by their lower and upper ends along each axis."""
    dim = len(ends)
    low, high = (
        torch.stack(torch.meshgrid(*(e.clamp(0, radius) for e in corner), indexing="ij"), -1)
        for corner in zip(*ends, strict=True)
    )
    volume = (high - low).prod(-1)
    volume = torch.where((low**2).sum(-1) < radius**2, volume, 0.0)
    cut = (volume > 0) & ((high**2).sum(-1) > radius**2)
    if dim > 1:
        share = _disc if dim == 2 else _section
        parts = zip(low[cut].split(RADIAL_PART), high[cut].split(RADIAL_PART), strict=True)
        volume[cut] = torch.cat([share(radius, a, b) for a, b in parts])
    return volume


def _disc(radius: float | Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Area of a disc in cells (…, 2) of the quadrant: a rectangle, a trapezium and the segment above its chord.

    The circle enters a cell at its top or on its left, and leaves it at its bottom or on its right.
    """
    (x, y), (far, top) = low.unbind(-1), high.unbind(-1)
    enters = torch.minimum(torch.maximum(_ordinate(radius, top), x), far)
    leaves = torch.minimum(torch.maximum(_ordinate(radius, y), x), far)
    first, last = _ordinate(radius, enters), _ordinate(radius, leaves)
    chord = torch.hypot(leaves - enters, first - last)
    angle = 2 * torch.atan2(chord, _ordinate(2 * radius, chord))
    segment = radius**2 / 2 * (angle - torch.sin(angle))
    return (enters - x) * (top - y) + (leaves - enters) * ((first + last) / 2 - y) + segment


def _ordinate(radius: float | Tensor, x: Tensor) -> Tensor:
    """√(r² − x²), 0 beyond the circle."""
    return ((radius - x) * (radius + x)).clamp(min=0).sqrt()


def _section(radius: float, low: Tensor, high: Tensor) -> Tensor:
    """Volume of a ball in cells (n, 3) of the octant: Gauss rules between the heights where a corner is met.

    At the ends the area may behave like a power 3/2 of the distance: x = sin(πs/2) makes it a whole power.
    """
    gauss, weight = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(CELL_NODES))
    turns, weight = math.pi / 2 * gauss.to(low), math.pi / 2 * weight.to(low)
    z, top = low[:, 2:], high[:, 2:]
    squares = [
        radius**2 - x[:, 0] ** 2 - y[:, 1] ** 2
        for x, y in itertools.product((low, high), (low, high))
    ]
    met = torch.stack(squares, -1).clamp(min=0).sqrt()
    ends = torch.cat([z, torch.minimum(torch.maximum(met, z), top), top], -1).sort(-1).values
    middle, half = (ends[:, 1:] + ends[:, :-1])[..., None] / 2, ends.diff(dim=-1)[..., None] / 2
    heights = middle + half * torch.sin(turns)
    areas = _disc(_ordinate(radius, heights), low[:, None, None, :2], high[:, None, None, :2])
    return (areas * half * torch.cos(turns) * weight).sum((-2, -1))
