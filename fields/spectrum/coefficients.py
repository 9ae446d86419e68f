"""The Fourier coefficients of a periodic field: from samples, or in closed form.

A field of period L is F(x) = Σ_k C_k exp(2πi Σ_i k_i (x_i − o_i)/L_i), C_{−k} the conjugate of C_k. Samples of a field
with jumps tell its energy to first order only, and a small shape between them not at all; where norm and transform are
known in closed form, the norm is what all coefficients together come to, so that it says how much any leave out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fields.accuracy import FIRST_MODES, MODES_AT_ONCE, SERIES_KNOWN, SPECTRUM_WORK
from fields.algebra import closed_forms
from fields.algebra.field import Field
from fields.evaluation.settling import Counts, Settling
from fields.lattice import PerAxis, check_memory
from fields.leaves.interpolated import Interpolated
from fields.magnitude import of_square, unit


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
        """The smallest box of modes beyond which lies at most `rtol` of the field, in L2, together with the tail."""
        kept, left = coarsest(
            power(self.scaled()[0].coefficients), self.dim, True, rtol**2 - self.tail**2
        )
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
    folded = _folded(energy.sum(others), -1, centred)
    total = folded.sum(-1, keepdim=True)
    relative = folded / torch.where(total > 0, total, 1.0)
    from_here = relative.flip(-1).cumsum(-1).flip(-1)
    tails: list[float] = from_here.reshape(-1, from_here.shape[-1]).amax(0).tolist()
    return [*tails[1:], 0.0]


def _folded(energy: Tensor, axis: int, centred: bool) -> Tensor:
    """Energy of the modes k and −k of one axis together, for k = 0, 1, … up to half their number."""
    n = energy.shape[axis]
    modes = torch.arange(n, device=energy.device)
    modes = (modes - n // 2).abs() if centred else torch.minimum(modes, n - modes)
    shape = [*energy.shape]
    shape[axis] = n // 2 + 1
    return energy.new_zeros(shape).index_add(axis, modes, energy)


def coarsest(
    energy: Tensor, dim: int, centred: bool, budget: float
) -> tuple[tuple[int, ...], float]:
    """The box |k_i| ≤ K_i of the fewest modes with at most `budget` of the energy outside, and how much that is.

    Of several as small it is the one with the least outside. This is summed over disjoint parts, axis by axis: beyond
    K_i, within K_j for j < i, anywhere for j > i: no difference of sums loses what is small.
    """
    folded = energy.sum(-dim - 1)
    for axis in range(-dim, 0):
        folded = _folded(folded, axis, centred)
    total = folded.flatten(-dim).sum(-1)[(..., *(None,) * dim)]
    within = folded / torch.where(total > 0, total, 1.0)
    outside = torch.zeros((), dtype=within.dtype, device=within.device)
    for axis in range(-dim, 0):
        later = tuple(range(axis + 1, 0))
        here = within.sum(later, keepdim=True) if later else within
        tail = here.flip(axis).cumsum(axis).flip(axis).narrow(axis, 1, here.shape[axis] - 1)
        outside = outside + torch.cat([tail, torch.zeros_like(here.narrow(axis, 0, 1))], axis)
        within = within.cumsum(axis)
    outside = outside.reshape(-1, *outside.shape[-dim:]).amax(0)
    points = torch.ones((), dtype=outside.dtype, device=outside.device)
    for n in outside.shape:
        points = points[..., None] * (2 * torch.arange(n).to(outside) + 1)
    points = torch.where(outside <= max(budget, 0.0), points, math.inf)
    least = torch.where(points == points.amin(), outside, math.inf)
    index = least.flatten().argmin()
    highest = tuple(int(k) for k in torch.unravel_index(index, least.shape))
    return highest, float(least.flatten()[index])


def known_series(
    field: Field, period: PerAxis, rtol: float, memory: int, origin: Tensor
) -> tuple[Spectrum, Tensor] | None:
    """So many coefficients that they leave out at most `rtol` of a field, in L2; None where they aren't known.

    Parameters
    ----------
    field : Field
    period, rtol, memory, origin
        As for `fields.spectrum.resolving.spectrum`.

    Returns
    -------
    Spectrum
    left : Tensor, shape (*batch,)
        Energy that is left out, as a part of that of the coefficients.

    Raises
    ------
    NotResolved
        Where they don't fit into `memory`.
    """
    run = _Series(field, origin, tuple(period), rtol, memory)
    zero = torch.zeros(1, field.dim).double()
    if run.energy is None or closed_forms.transform(run.field, zero) is None:
        return None
    return run.settle().value


class _Series(Settling[Counts, tuple[Spectrum, Tensor]]):
    """So many coefficients per axis, and what they leave of an energy that is known."""

    enough = most = 1
    points, cures = "coefficients", "a smoother field, "

    def __init__(
        self, field: Field, origin: Tensor, period: PerAxis, rtol: float, memory: int
    ) -> None:
        super().__init__(rtol, field.dtype)
        self.field, self.origin = field.translate(-origin), origin
        self.period, self.memory = period, memory
        self.energy = _energy(self.field, rtol)

    def steps(self) -> Iterator[Counts]:
        for k in (FIRST_MODES << n for n in itertools.count()):
            yield tuple(2 * k * bool(p) + 1 for p in self.period)

    def value(self, step: Counts) -> tuple[Spectrum, Tensor]:
        assert self.energy is not None
        field, period, (total, unit) = self.field, tuple(p or 1.0 for p in self.period), self.energy
        each = 2 * field.itemsize * field.batch_size * field.channels
        check_memory(math.prod(step) * each * SPECTRUM_WORK, self.memory)
        found = _coefficients(field, period, step)
        inside = power(found.flatten(-field.dim) * unit[..., None]).sum((-2, -1))
        inside = inside * math.prod(period)
        left = (total - inside).clamp(min=0)
        tail = float((left / torch.where(total > 0, total, 1.0)).amax().sqrt())
        left = left / torch.where(inside > 0, inside, 1.0)
        return Spectrum(found, self.origin, period, tail), left

    def error(self, known: Sequence[tuple[Counts, tuple[Spectrum, Tensor]]]) -> float:
        return known[-1][1][0].tail

    def told(self, step: Counts, error: float) -> str:
        modes = " × ".join(map(str, step))
        return f"more than {modes} Fourier coefficients are needed, which leave a tail of {error:.1e} (relative, L2)"


def _energy(field: Field, rtol: float) -> tuple[Tensor, Tensor] | None:
    """‖u·F‖², shape (*batch,), and u, shape (*batch, 1); None where it isn't known to `rtol`²."""
    if closed_forms.paired(field, field) is None:
        return None

    def both(g: Field) -> Tensor:
        found = closed_forms.paired(g, g)
        assert found is not None  # a multiple of a field with a closed norm
        return torch.stack([part.detach().double() for part in found], -1)

    found, unit = of_square(both, field)
    total, size = found.unbind(-1)
    rounding = max(SERIES_KNOWN, torch.finfo(field.dtype).eps)
    if not bool((rtol**2 * total >= 8 * rounding * size).all()):
        return None
    return total.expand(field.batch), unit.expand(*field.batch, 1)


def _coefficients(field: Field, period: PerAxis, counts: Counts) -> Tensor:
    """C_k, |k_i| ≤ K_i, shape (*batch, c, 2K1+1, …, 2Kd+1), the given numbers."""
    axes = [
        torch.arange(-(n // 2), n // 2 + 1, dtype=torch.float64, device=field.device) / p
        for n, p in zip(counts, period, strict=True)
    ]
    frequencies = torch.cartesian_prod(*axes).reshape(-1, field.dim)
    parts = (closed_forms.transform(field, some) for some in frequencies.split(MODES_AT_ONCE))
    found = torch.cat([part for part in parts if part is not None], -2).mT  # it is known of one
    return found.reshape(*found.shape[:-1], *counts)
