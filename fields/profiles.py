"""The table of shapes: what leaves, kernels and windows know of a box, a ball, a bump, a B-spline and a Gaussian.

A shape of sizes s, one per axis, is ρ(y/s). What is said of the unit shape ρ says all of the others: the integral is
∏ s times as large, lengths are multiples of s, frequencies of 1/s, and the transform is that of ρ at t = s·f.

    shape       ρ(u)                     ∫ρ                    transform / ∫ρ                 reach       jumps
    BOX         1 where |u_i| ≤ ½        1                     ∏ sinc t_i                     ½           yes
    Spline(n)   ∏ β_n(u_i)               1                     ∏ sinc(t_i)^{n+1}              (n + 1)/2   n = 0
    GAUSSIAN    exp(−|u|²/2)             (2π)^{d/2}            exp(−2π²|t|²)                  7, cut off  no
    BALL        1 where |u| ≤ 1          π^{d/2}/Γ(d/2 + 1)    `radial.ball_wave` of 2π|t|    1           yes
    BUMP        exp(1 − 1/(1 − |u|²))    `radial.bump_size`    `radial.bump_wave` of 2π|t|    1           no

Sizes are floats or tensors that broadcast, of any dtype, to which gradients flow.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from fields.lattice import Each
from fields.radial import ball_in_cells, ball_wave, bump, bump_bandwidth, bump_size, bump_wave
from fields.stencils.stencil import cell_overlap

#: A Gaussian is cut off at this many widths; beyond lies less than 3e-12 of its integral per axis.
GAUSSIAN_REACH = 7.0


class Profile(ABC):
    """A shape of unit size.

    Attributes
    ----------
    reach : float
        Half-width of what holds it, in sizes.
    finest : float or None
        Frequency that tells its smallest feature, in 1/size, where it jumps and so has no band.
    """

    reach: float = 1.0
    finest: float | None = None

    def integral(self, dim: int) -> float:
        """∫ρ."""
        return 1.0

    def band(self, rtol: float, dim: int) -> float | None:
        """Frequency from which on the transform is below `rtol` of its peak, in 1/size; None where it isn't known."""
        return None

    @abstractmethod
    def transform(self, sizes: Tensor, frequencies: Tensor) -> Tensor:
        """Transform relative to the integral, (…), at frequencies (…, d), of sizes (…, d), or (…, 1) all the same."""

    @abstractmethod
    def weights(self, axes: Sequence[Tensor], spacing: Each, sizes: Each) -> Sequence[Tensor]:
        """Weights of unit sum of nodes that lie symmetrically around 0: a row per axis, or one array."""


class Separable(Profile):
    """A product of values along the axes."""

    @abstractmethod
    def along(self, z: Tensor, size: Tensor | float) -> Tensor:
        """Values along one axis, at offsets z from the centre."""

    @abstractmethod
    def row(self, y: Tensor, spacing: float, size: float) -> Tensor:
        """Weights along one axis."""

    def weights(self, axes: Sequence[Tensor], spacing: Each, sizes: Each) -> Sequence[Tensor]:
        """One row per axis."""
        return tuple(map(self.row, axes, spacing, sizes))


class Spline(Separable):
    """The B-spline of an order n: the unit box, n + 1 times convolved with itself."""

    def __init__(self, order: int) -> None:
        self.order, self.reach = order, (order + 1) / 2
        self.finest = None if order else 1.0

    def transform(self, sizes: Tensor, frequencies: Tensor) -> Tensor:
        """∏ sinc(s_i f_i)^{n+1}."""
        power: Tensor = torch.sinc(sizes * frequencies).prod(-1) ** (self.order + 1)
        return power

    def along(self, z: Tensor, size: Tensor | float) -> Tensor:
        """β_n(x) = Σ_k (−1)^k C(n+1, k) ((n+1)/2 − k − |x|)₊^n / n!, x = z/s; the closed box for n = 0."""
        n = self.order
        if n == 0:
            return (z.abs() <= size / 2).to(z)
        x, total = (z / size).abs(), torch.zeros_like(z)
        for k in range((n + 1) // 2 + 1):
            part = ((n + 1) / 2 - k - x).clamp(min=0) ** n
            total = total + (-1) ** k * math.comb(n + 1, k) * part
        return total / math.factorial(n)

    def row(self, y: Tensor, spacing: float, size: float) -> Tensor:
        """The trapezoidal rule, scaled to sum to 1; the share of the box in each node's cell."""
        if self.order == 0:
            return cell_overlap(y, spacing, size / 2) / size
        values = self.along(y, size)
        return values / values.sum()


class _Gaussian(Separable):
    reach = GAUSSIAN_REACH

    def integral(self, dim: int) -> float:
        return math.pow(2 * math.pi, dim / 2)

    def of(self, square: Tensor) -> Tensor:
        """Values at |u|²."""
        return torch.exp(-0.5 * square)

    def wave(self, square: Tensor) -> Tensor:
        """Transform relative to the integral at |t|²."""
        return torch.exp(-2 * math.pi**2 * square)

    def along(self, z: Tensor, size: Tensor | float) -> Tensor:
        return self.of((z / size) ** 2)

    def transform(self, sizes: Tensor, frequencies: Tensor) -> Tensor:
        return self.wave(((sizes * frequencies) ** 2).sum(-1))

    def band(self, rtol: float, dim: int) -> float:
        return math.sqrt(-math.log(rtol) / 2) / math.pi

    def row(self, y: Tensor, spacing: float, size: float) -> Tensor:
        """Normal density times the spacing: the trapezoidal rule, which converges spectrally here."""
        return self.along(y, size) * (spacing / (size * math.sqrt(2 * math.pi)))


class Radial(Profile):
    """A function of |u|."""

    @abstractmethod
    def of(self, square: Tensor, radius: Tensor | float = 1.0) -> Tensor:
        """Values at a squared distance from the centre."""

    @abstractmethod
    def wave(self, turns: Tensor, dim: int) -> Tensor:
        """Transform relative to the integral where 2π|t| is `turns`, of any shape."""

    def transform(self, sizes: Tensor, frequencies: Tensor) -> Tensor:
        """Of |s f|, or s|f|."""
        if sizes.shape[-1] == 1:
            lengths = frequencies.norm(dim=-1) * sizes[..., 0]
        else:
            lengths = (sizes * frequencies).norm(dim=-1)
        return self.wave(2 * math.pi * lengths, frequencies.shape[-1])


class _Ball(Radial):
    finest = 0.5

    def integral(self, dim: int) -> float:
        return math.pow(math.pi, dim / 2) / math.gamma(dim / 2 + 1)

    def of(self, square: Tensor, radius: Tensor | float = 1.0) -> Tensor:
        return (square <= radius**2).to(square)

    def wave(self, turns: Tensor, dim: int) -> Tensor:
        return ball_wave(turns, dim)

    def weights(self, axes: Sequence[Tensor], spacing: Each, sizes: Each) -> Sequence[Tensor]:
        """The share of the ball in each node's cell."""
        share = ball_in_cells(sizes[0], axes, spacing)
        return [share / share.sum()]


class _Bump(Radial):
    def integral(self, dim: int) -> float:
        return bump_size(dim)

    def of(self, square: Tensor, radius: Tensor | float = 1.0) -> Tensor:
        return bump(square / radius**2)

    def wave(self, turns: Tensor, dim: int) -> Tensor:
        return bump_wave(turns, dim)

    def band(self, rtol: float, dim: int) -> float:
        return bump_bandwidth(rtol, dim) / (2 * math.pi)

    def weights(self, axes: Sequence[Tensor], spacing: Each, sizes: Each) -> Sequence[Tensor]:
        values = bump(summed_squares([y / s for y, s in zip(axes, sizes, strict=True)]))
        return [values / values.sum()]


BOX, GAUSSIAN, BALL, BUMP = Spline(0), _Gaussian(), _Ball(), _Bump()


def summed_squares(axes: Sequence[Tensor]) -> Tensor:
    """|y|² on the product of axes."""
    total = torch.zeros((), dtype=torch.float64)
    for y in axes:
        total = total[..., None] + y**2
    return total
