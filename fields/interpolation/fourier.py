"""A trigonometric polynomial on lattices: one phase per bin and an inverse FFT, with the spectrum kept."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fields.accuracy import FOURIER_CHUNK
from fields.arrays import broadcast, contract, empty, tracked
from fields.lattice import Lattice, split


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
        Batch shapes broadcast; what is large goes through one reused buffer, some maps at a time.
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
    batch = broadcast(lead, shifts.shape[:-1])
    axes = tuple(range(-dim, 0))
    channels, size = spectrum.shape[-dim - 1], spectrum[(0,) * (len(lead) + 1)].numel()
    at_once = max(1, FOURIER_CHUNK // (size * spectrum.itemsize))
    followed = tracked(spectrum, shifts)
    if followed or batch.numel() * channels <= at_once:
        moved = spectrum * phases[0]
        for p in phases[1:]:
            moved = moved * p if followed else moved.mul_(p)
        out: Tensor = torch.fft.irfftn(moved, sides, axes)
        return out
    factors = [
        p.expand(*batch, *p.shape[-dim - 1 :]).reshape(-1, *p.shape[-dim - 1 :]) for p in phases
    ]
    spectra = spectrum.reshape(-1, *spectrum.shape[-dim - 1 :])
    element = torch.arange(len(spectra)).reshape(lead).expand(batch).flatten().tolist()
    values = empty((len(element), channels, *sides), spectrum.real)
    buffer = torch.empty_like(spectra[0, :at_once])
    for b, e in enumerate(element):
        parts = zip(spectra[e].split(at_once), values[b].split(at_once), strict=True)
        for source, target in parts:
            moved = torch.mul(source, factors[0][b], out=buffer[: len(source)])
            for factor in factors[1:]:
                moved *= factor[b]
            target.copy_(torch.fft.irfftn(moved, sides, axes))
    return values.reshape(*batch, *values.shape[1:])


def commensurate(
    lattice: Lattice, spacing: Sequence[float], sizes: Sequence[int]
) -> tuple[list[int], list[int]] | None:
    """(refinement m, stride k) per axis where a lattice's spacing is k·spacing/m; None where an FFT doesn't pay."""
    refine, stride = [], []
    for own, h, n, size in zip(lattice.spacing, spacing, lattice.shape, sizes, strict=True):
        q = own if n > 1 else h  # the spacing of a single point means nothing
        (m, rest_m), (k, rest_k) = split(h / q), split(q / h)
        m, k = (1, k) if rest_m else (m, 1)
        if (rest_m and rest_k) or 4 * n * k < size * m or m > 8 * size:
            return None
        refine.append(m)
        stride.append(k)
    return refine, stride


def picked(values: Tensor, counts: Sequence[int], stride: Sequence[int]) -> Tensor:
    """Every stride-th value per axis, so many of them, round and round the period."""
    for axis, (n, k) in enumerate(zip(counts, stride, strict=True), start=-len(counts)):
        side = values.shape[axis]
        if n != side or k != 1:
            index = (torch.arange(n, device=values.device) * k) % side
            values = values.index_select(axis, index)
    return values


def sinc_series(values: Tensor, positions: Sequence[Tensor]) -> Tensor:
    """Σ_i values[i] ∏ sinc(p − i) of values (*batch, c, N1, …, Nd) at positions (*batch, X_i) in samples."""
    bases = [
        torch.sinc(p[..., :, None] - torch.arange(n).to(p)).to(values.dtype)
        for p, n in zip(positions, values.shape[-len(positions) :], strict=True)
    ]
    return contract(values, bases)


def summed(values: Tensor, positions: Sequence[Tensor]) -> Tensor:
    """The polynomial through values (*batch, c, N1, …, Nd) at positions (*batch, X_i) in samples, axis by axis."""
    kind = torch.complex64 if values.dtype == torch.float32 else torch.complex128
    dim, bases = len(positions), []
    for position, n in zip(positions, values.shape[-dim:], strict=True):
        k = _frequencies(n, False, position.device)
        cycles = position[..., :, None] * k
        wave = torch.exp(2j * math.pi * (cycles - cycles.detach().round()))
        if n % 2 == 0:  # the cosine of the wave at Nyquist
            wave = torch.where(k == -0.5, wave.real + 0j, wave)
        bases.append(wave.to(kind))
    axes = tuple(range(-dim, 0))
    return contract(torch.fft.fftn(values, dim=axes, norm="forward"), bases)


def turned(coefficients: Tensor, t: Tensor, frequencies: Tensor) -> Tensor:
    """Coefficients (*batch, k, c) at frequencies (k, d) times exp(−2πi f·t): those of the field moved by t."""
    cycles = t.to(frequencies) @ frequencies.mT
    turns = torch.exp(-2j * torch.pi * (cycles - cycles.detach().round()))
    return coefficients * turns[..., None].to(coefficients)


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
    cycles = shift[..., None] * _frequencies(n, half, shift.device)
    angle = 2 * math.pi * (cycles - cycles.detach().round())
    sine = torch.sin(angle)
    if nyquist and n % 2 == 0:
        sine = sine * _below_nyquist(n, half, shift.device)
    return torch.complex(torch.cos(angle), sine)


@functools.lru_cache(64)
def _frequencies(n: int, half: bool, device: torch.device) -> Tensor:
    """Bins of n samples, in cycles per sample."""
    with torch.inference_mode(False):
        freq = torch.fft.rfftfreq if half else torch.fft.fftfreq
        out: Tensor = freq(n, dtype=torch.float64, device=device)
        return out


@functools.lru_cache(64)
def _below_nyquist(n: int, half: bool, device: torch.device) -> Tensor:
    """One for every bin of n samples but that at Nyquist, which gets zero."""
    with torch.inference_mode(False):
        return (_frequencies(n, half, device).abs() != 0.5).double()
