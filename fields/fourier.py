"""A trigonometric polynomial on lattices: one phase per bin and an inverse FFT, with the spectrum kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

#: Bytes of spectra that are moved and transformed at once: larger temporaries cost page faults.
CHUNK = 1 << 22


def translated(
    spectrum: Tensor,
    sizes: Sequence[int],
    refine: Sequence[int],
    shifts: Tensor,
) -> Tensor:
    """The polynomial at (shifts + i/m) for 0 ≤ i < m·N per axis.

    Parameters
    ----------
    spectrum : Tensor, shape (*batch, c, N1, …, Nd//2+1)
        Of rfftn.
    sizes, refine : sequence of d int
        N and m.
    shifts : Tensor, shape (*batch, d), float64
        First point, counted in samples.

    Returns
    -------
    Tensor, shape (*batch, c, m1·N1, …, md·Nd)
        Batch shapes broadcast; a large batch goes through reused buffers, a few elements at a time.
    """
    dim = len(sizes)
    sides = [n * m for n, m in zip(sizes, refine, strict=True)]
    for i, (n, side) in enumerate(zip(sizes, sides, strict=True)):
        if side > n:
            spectrum = padded(spectrum, i - dim, n, side, i == dim - 1)
    if max(refine) > 1:
        spectrum = spectrum * math.prod(refine)
    phases = [
        phase(shifts[..., i] * m, side, i == dim - 1, m == 1)
        .to(spectrum.dtype)
        .reshape(*shifts.shape[:-1], 1, *(1,) * i, -1, *(1,) * (dim - 1 - i))
        for i, (m, side) in enumerate(zip(refine, sides, strict=True))
    ]
    lead = spectrum.shape[: -dim - 1]
    batch = torch.broadcast_shapes(lead, shifts.shape[:-1])
    axes = tuple(range(-dim, 0))
    each = spectrum[(0,) * len(lead)]
    count = max(1, CHUNK // (each.numel() * each.itemsize))
    if batch.numel() <= count or _tracked(spectrum, shifts):
        for p in phases:
            spectrum = spectrum * p
        out: Tensor = torch.fft.irfftn(spectrum, sides, axes)
        return out
    values = spectrum.real.new_empty(batch.numel(), spectrum.shape[-dim - 1], *sides)
    factors = [p.expand(*batch, *p.shape[-dim - 1 :]).flatten(0, len(batch) - 1) for p in phases]
    element = torch.arange(lead.numel()).reshape(lead).expand(batch).flatten().tolist()
    buffer = torch.empty_like(each)
    for b, e in enumerate(element):
        source = spectrum if not lead else spectrum.reshape(-1, *each.shape)[e]
        torch.mul(source, factors[0][b], out=buffer)
        for factor in factors[1:]:
            buffer *= factor[b]
        torch.fft.irfftn(buffer, sides, axes, out=values[b])
    return values.reshape(*batch, *values.shape[1:])


def _tracked(*tensors: Tensor) -> bool:
    """Whether derivatives are taken through any of the tensors."""
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        return True
    return any(torch.autograd.forward_ad.unpack_dual(t).tangent is not None for t in tensors)


def padded(spectrum: Tensor, axis: int, n: int, longer: int, half: bool) -> Tensor:
    """The spectrum of n samples as that of more: zeros above Nyquist, the wave at Nyquist split into ±n/2.

    `half` says that the axis holds the non-negative frequencies only.
    """
    middle = (n + 1) // 2
    parts = [spectrum.narrow(axis, 0, middle)]
    if n % 2 == 0:
        parts.append(spectrum.narrow(axis, n // 2, 1) / 2)
    shape = list(spectrum.shape)
    shape[axis] = (longer // 2 + 1 if half else longer - (n - 1) // 2 - (n % 2 == 0)) - (n // 2 + 1)
    parts.append(spectrum.new_zeros(shape))
    if not half:
        if n % 2 == 0:
            parts.append(parts[1])
        parts.append(spectrum.narrow(axis, n // 2 + 1, (n - 1) // 2))
    return torch.cat(parts, dim=axis)


def phase(shift: Tensor, n: int, half: bool, nyquist: bool) -> Tensor:
    """exp(2πi k·shift/n) for the bins of n samples, shape (*batch, bins); at Nyquist its real part, if `nyquist`."""
    freq = torch.fft.rfftfreq if half else torch.fft.fftfreq
    cycles = shift[..., None] * freq(n, dtype=torch.float64, device=shift.device)
    phase = torch.exp(2j * math.pi * (cycles - cycles.detach().round()))
    if nyquist and n % 2 == 0:
        real = torch.arange(cycles.shape[-1], device=shift.device) == n // 2
        phase = torch.where(real, phase.real + 0j, phase)
    return phase
