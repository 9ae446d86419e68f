"""The Fourier coefficients of a periodic field.

A field of period L is F(x) = Σ_k C_k exp(2πi Σ_i k_i (x_i − o_i)/L_i), C_{−k} the conjugate of C_k.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fields.field import PerAxis
from fields.interpolated import Interpolated
from fields.magnitude import unit


@dataclass(frozen=True)
class Spectrum:
    """The coefficients C_k, |k_i| ≤ K_i, of a field of period L.

    Attributes
    ----------
    coefficients : complex Tensor, shape (*batch, c, 2K1+1, …, 2Kd+1)
        C_k at index k + K, in the units of the field.
    origin : Tensor, shape (d,) or (*batch, d)
        The point o that phases count from.
    period : tuple of float
        L, in length units.
    tail : float
        What is left out or folded in, relative to the field in L2; 0 where the coefficients are all.
    """

    coefficients: Tensor
    origin: Tensor
    period: PerAxis
    tail: float = 0.0

    @property
    def dim(self) -> int:
        """Number of axes."""
        return len(self.period)

    @property
    def highest(self) -> tuple[int, ...]:
        """K, the highest mode per axis."""
        return tuple(n // 2 for n in self.coefficients.shape[-self.dim :])

    def frequencies(self) -> list[Tensor]:
        """k/L per axis, shape (2K+1,), in cycles per unit length."""
        return [
            torch.arange(-k, k + 1, dtype=torch.float64, device=self.coefficients.device) / p
            for k, p in zip(self.highest, self.period, strict=True)
        ]

    def energy(self) -> Tensor:
        """Σ_k |C_k|² over modes and channels, shape (*batch,): the mean square over a period."""
        total: Tensor = power(self.coefficients).sum(tuple(range(-self.dim - 1, 0)))
        return total

    def scaled(self) -> tuple[Spectrum, Tensor]:
        """C/u, of which no square over- or underflows, and u, shape (*batch, 1, …, 1): a power of two."""
        size = unit(self.coefficients, range(-self.dim - 1, 0))
        return replace(self, coefficients=self.coefficients / size), size

    def cut(self, highest: Sequence[int]) -> Spectrum:
        """Only the modes |k_i| ≤ highest_i."""
        kept = self.coefficients
        for i, (k, most) in enumerate(zip(self.highest, highest, strict=True)):
            least = min(k, most)
            kept = kept.narrow(i - self.dim, k - least, 2 * least + 1)
        return replace(self, coefficients=kept)

    def filtered(self, factors: Sequence[Tensor]) -> Spectrum:
        """C_k times ∏ factors_i[k_i], one factor (2K_i+1,) per axis."""
        scaled = self.coefficients
        for i, factor in enumerate(factors):
            scaled = scaled * factor.to(scaled).reshape(-1, *(1,) * (self.dim - 1 - i))
        return replace(self, coefficients=scaled)

    def truncated(self, rtol: float) -> Spectrum:
        """The fewest modes per axis beyond which lies at most `rtol` of the field, in L2."""
        budget, energy = rtol**2 / self.dim, power(self.scaled()[0].coefficients)
        tails = [beyond(energy, i, self.dim, True) for i in range(self.dim)]
        kept = [first_below(t, budget) for t in tails]
        left = sum(t[k] for t, k in zip(tails, kept, strict=True))
        return replace(self.cut(kept), tail=math.hypot(self.tail, math.sqrt(left)))

    def values(self, counts: Sequence[int], shift: float = 0.0) -> Tensor:
        """Values (*batch, c, X1, …, Xd) on counts_i > 2K_i points per axis, from `shift` spacings after o on."""
        wide = self.coefficients
        for i, (k, n) in enumerate(zip(self.highest, counts, strict=True)):
            modes = torch.arange(-k, k + 1, device=wide.device)
            if shift:
                cycles = modes.double() * (shift / n)
                phase = torch.exp(2j * math.pi * cycles).to(wide)
                wide = wide * phase.reshape(-1, *(1,) * (self.dim - 1 - i))
            axis = wide.ndim - self.dim + i
            sides = [*wide.shape[:axis], n, *wide.shape[axis + 1 :]]
            wide = wide.new_zeros(sides).index_copy(axis, modes % n, wide)
        axes = tuple(range(-self.dim, 0))
        values: Tensor = torch.fft.ifftn(wide, dim=axes, norm="forward").real
        return values

    def field(self) -> Interpolated:
        """The trigonometric polynomial with these coefficients, through 2K+1 samples per axis."""
        values = self.values([2 * k + 1 for k in self.highest])
        spacing = [p / (2 * k + 1) for p, k in zip(self.period, self.highest, strict=True)]
        return Interpolated(values, spacing, self.origin, "fourier", "periodic")


def highest_modes(band: PerAxis, period: PerAxis) -> tuple[int, ...]:
    """The highest modes k/L that lie within a band limit, rounding allowed for."""
    cycles = [b * p for b, p in zip(band, period, strict=True)]
    return tuple(math.floor(c + 1e-9 * (1 + c)) for c in cycles)


def enough(highest: int) -> int:
    """The least f·2^n > 2·highest, f = 1, 3 or 5: samples that tell all modes, and share nodes with other lattices."""
    if highest == 0:
        return 1
    least = 2 * highest + 1
    return min(f << max(0, math.ceil(math.log2(least / f))) for f in (1, 3, 5))


def power(coefficients: Tensor) -> Tensor:
    """|C|², in double precision and without gradient."""
    detached = coefficients.detach()
    squares: Tensor = detached.real.double() ** 2 + detached.imag.double() ** 2
    return squares


def beyond(energy: Tensor, axis: int, dim: int, centred: bool) -> list[float]:
    """Energy beyond mode k of one axis, k = 0, 1, …, relative, the largest over the batch."""
    others = tuple(a for a in range(-dim - 1, 0) if a != axis - dim)
    marginal = energy.sum(others)
    n = marginal.shape[-1]
    modes = torch.arange(n, device=energy.device)
    modes = (modes - n // 2).abs() if centred else torch.minimum(modes, n - modes)
    folded = marginal.new_zeros(*marginal.shape[:-1], n // 2 + 1).index_add(-1, modes, marginal)
    total = folded.sum(-1, keepdim=True)
    relative = folded / torch.where(total > 0, total, 1.0)
    from_here = relative.flip(-1).cumsum(-1).flip(-1)
    tails: list[float] = from_here.reshape(-1, n // 2 + 1).amax(0).tolist()
    return [*tails[1:], 0.0]


def first_below(tails: list[float], bound: float) -> int:
    """The lowest mode beyond which the energy is at most `bound`."""
    return next(k for k, t in enumerate(tails) if t <= max(bound, 0.0))
