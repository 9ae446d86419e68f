"""Fourier series in closed form, as long as Parseval's equation asks: of fields whose norm and transform are known.

Samples of a field with jumps tell its energy to first order only, and a small shape between them not at all; its norm
is what all coefficients together come to, so that it says how much any of them leave out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fields import closed
from fields.field import Field, PerAxis
from fields.magnitude import of_square
from fields.settling import NotResolved
from fields.spectral import Spectrum, power

#: Closed energies are known to this part of what they are sums of.
KNOWN = 1e-9
#: Modes per axis to begin with.
FIRST = 16
#: Frequencies that are transformed at once, and bytes at work per byte of coefficients.
AT_ONCE, WORK = 1 << 15, 6


def known_series(
    field: Field,
    period: PerAxis,
    rtol: float,
    memory: int,
    origin: Tensor,
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
    moved = field.translate(-origin)
    energy = _energy(moved, rtol)
    if energy is None or closed.transform(moved, torch.zeros(1, field.dim).double()) is None:
        return None
    total, unit = energy
    volume = math.prod(p or 1.0 for p in period)
    highest, tail = [FIRST if p else 0 for p in period], math.inf
    while True:
        _check_memory(moved, highest, tail, rtol, memory)
        found = _coefficients(moved, period, highest)
        scaled = found * unit.reshape(*unit.shape, *(1,) * field.dim)
        inside = power(scaled).sum(tuple(range(-field.dim - 1, 0)))
        left = (total / volume - inside).clamp(min=0)
        tail = float((left / torch.where(total > 0, total / volume, 1.0)).amax().sqrt())
        if tail <= rtol:
            left = left / torch.where(inside > 0, inside, 1.0)
            return Spectrum(found, origin, tuple(p or 1.0 for p in period), tail), left
        highest = [2 * k for k in highest]


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


def _coefficients(field: Field, period: PerAxis, highest: Sequence[int]) -> Tensor:
    """C_k, |k_i| ≤ K_i, shape (*batch, c, 2K1+1, …, 2Kd+1)."""
    axes = [
        torch.arange(-k, k + 1, dtype=torch.float64, device=field.device) / (p or 1.0)
        for k, p in zip(highest, period, strict=True)
    ]
    frequencies = torch.cartesian_prod(*axes).reshape(-1, field.dim)
    parts = []
    for some in frequencies.split(AT_ONCE):
        part = closed.transform(field, some)
        assert part is not None  # it is known of one frequency
        parts.append(part)
    found = torch.cat(parts, -2).mT
    return found.reshape(*found.shape[:-1], *(2 * k + 1 for k in highest))


def _check_memory(
    field: Field, highest: Sequence[int], tail: float, rtol: float, memory: int
) -> None:
    modes = [2 * k + 1 for k in highest]
    needed = math.prod(modes) * field.batch_size * field.channels * 2 * field.itemsize * WORK
    if needed > memory:
        said = f": half as many per axis leave a tail of {tail:.1e} (relative, L2)"
        raise NotResolved(
            f"rtol = {rtol:g} can't be reached: this field needs more than {' × '.join(map(str, modes))} Fourier "
            f"coefficients, {needed / 2**20:.0f} MiB{said if tail < math.inf else ''}; the bound is "
            f"{memory / 2**20:.0f} MiB. What helps: a larger rtol, a smoother field, a larger memory=…",
            tail if tail < math.inf else None,
        )
