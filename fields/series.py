"""Fourier series in closed form, as long as Parseval's equation asks: of fields whose norm and transform are known.

Samples of a field with jumps tell its energy to first order only, and a small shape between them not at all; its norm
is what all coefficients together come to, so that it says how much any of them leave out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from fields import closed
from fields.field import Field
from fields.lattice import PerAxis, check_memory
from fields.magnitude import of_square
from fields.settling import Counts, Settling
from fields.spectral import Spectrum, power

#: Closed energies are known to this part of what they are sums of.
KNOWN = 1e-9
#: Modes per axis to begin with.
FIRST = 16
#: Frequencies that are transformed at once, and bytes at work per byte of coefficients.
AT_ONCE, WORK = 1 << 15, 6


def known_series(
    field: Field, period: PerAxis, rtol: float, memory: int, origin: Tensor
) -> tuple[Spectrum, Tensor] | None:
    """So many coefficients that they leave out at most `rtol` of a field, in L2; None where they aren't known.

    Parameters
    ----------
    field : Field
    period, rtol, memory, origin
        As for `fields.resolved.spectrum`.

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
    if run.energy is None or closed.transform(run.field, zero) is None:
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
        for k in (FIRST << n for n in itertools.count()):
            yield tuple(2 * k * bool(p) + 1 for p in self.period)

    def value(self, step: Counts) -> tuple[Spectrum, Tensor]:
        assert self.energy is not None
        field, period, (total, unit) = self.field, tuple(p or 1.0 for p in self.period), self.energy
        each = 2 * field.itemsize * field.batch_size * field.channels
        check_memory(math.prod(step) * each * WORK, self.memory)
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
    if closed.paired(field, field) is None:
        return None

    def both(g: Field) -> Tensor:
        found = closed.paired(g, g)
        assert found is not None  # a multiple of a field with a closed norm
        return torch.stack([part.detach().double() for part in found], -1)

    found, unit = of_square(both, field)
    total, size = found.unbind(-1)
    rounding = max(KNOWN, torch.finfo(field.dtype).eps)
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
    parts = (closed.transform(field, some) for some in frequencies.split(AT_ONCE))
    found = torch.cat([part for part in parts if part is not None], -2).mT  # it is known of one
    return found.reshape(*found.shape[:-1], *counts)
