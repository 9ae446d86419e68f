"""Trigonometric interpolation along single axes of periodic samples: filters, new sampling rates, energies.

A real filter is one complex number per wave of an axis, so that d of them make a separable filter in d dimensions.
Short axes go through a matrix product, which beats the FFT of short rows; long ones through the FFT.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from discretize.accuracy import DENSE, TRIGONOMETRIC_CHUNK
from fields.interpolation.fourier import phase


def filtered(
    values: Tensor, multiplier: Tensor, axis: int, dim: int, up: int = 1, down: int = 1
) -> Tensor:
    """Put up − 1 zeros after every sample of one axis, multiply its waves, keep every down-th sample.

    Parameters
    ----------
    values : Tensor, shape (*batch, c, X1, …, Xd)
    multiplier : Tensor, shape (*batch', n//2 + 1), n = up·X
        For the waves of the axis with its zeros, complex or real; batch shapes broadcast.
    axis, dim : int
        The axis, counted from the end (−d … −1), and d.

    Returns
    -------
    Tensor, shape (*batch'', c, X1, …, up·X/down, …, Xd)
    """
    size = values.shape[axis] * up
    rows = values.movedim(axis, -1)
    if values.shape[axis] <= DENSE * down:
        out = _times(rows, circulant(multiplier, size, up, down).to(values.dtype), dim)
    else:
        if up > 1:
            rows = torch.nn.functional.pad(rows[..., None], (0, up - 1)).flatten(-2)
        spectrum = torch.fft.rfft(rows)
        lead = multiplier.shape[:-1]
        shape = (*lead, *(1,) * dim, multiplier.shape[-1])
        spectrum = spectrum * multiplier.to(spectrum.dtype).reshape(shape)
        out = torch.fft.irfft(spectrum, size)[..., ::down]
    return out.movedim(-1, axis)


def circulant(multiplier: Tensor, size: int, up: int = 1, down: int = 1) -> Tensor:
    """The matrices (*batch, size/down, size/up) of these filters."""
    kernel = torch.fft.irfft(multiplier.to(torch.complex128), size)
    device = multiplier.device
    rows = torch.arange(0, size, down, device=device)[:, None]
    columns = torch.arange(0, size, up, device=device)
    matrices: Tensor = kernel[..., (rows - columns) % size]
    return matrices


def _times(rows: Tensor, matrix: Tensor, dim: int) -> Tensor:
    """Rows (*batch, c, …, n) times matrices (*batch', m, n) transposed."""
    if matrix.ndim == 2:
        return rows @ matrix.mT
    out: Tensor = rows.flatten(-dim - 1, -2) @ matrix.mT
    out = out.unflatten(-2, rows.shape[-dim - 1 : -1])
    return out


def resampled(values: Tensor, multipliers: Sequence[Tensor], downs: Sequence[int]) -> Tensor:
    """Multiply the waves of all axes, keep every down-th sample.

    Parameters
    ----------
    values : Tensor, shape (n, c, X1, …, Xd)
    multipliers : sequence of d Tensors, shape (n, X_i//2 + 1)
        One filter for each element.

    Returns
    -------
    Tensor, shape (n, c, X1/down1, …, Xd/downd)
    """
    dim = len(downs)
    sizes = values.shape[-dim:]
    if any(size > DENSE * s for size, s in zip(sizes, downs, strict=True)):
        for axis in range(-1, -dim - 1, -1):
            values = filtered(values, multipliers[axis], axis, dim, down=downs[axis])
        return values.contiguous()
    out = values
    for waves, size, s in reversed(list(zip(multipliers, sizes, downs, strict=True))):
        matrix = circulant(waves, size, down=s).to(values.dtype)
        rest = out.shape[
            1:-1
        ]  # the new axis comes first, so that the next one is the last, and nothing is copied
        rows = out.reshape(len(out), -1, size)
        out = (matrix @ rows.mT).reshape(len(out), -1, *rest)
    return out.movedim(-1, 1).contiguous()


def upsampled(values: Tensor, factors: tuple[int, ...]) -> Tensor:
    """The trigonometric interpolant on grids that are finer by these factors, shape (…, m1·X1, …, md·Xd)."""
    dim = len(factors)
    for axis, m in zip(range(-1, -dim - 1, -1), reversed(factors), strict=True):
        if m > 1:
            n = values.shape[axis]
            keep = m * below(n * m, n, half=True).to(values.device)
            values = filtered(values, keep, axis, dim, up=m)
    return values


def below(size: int, samples: int, half: bool = False) -> Tensor:
    """1 for the waves of `size` samples below the Nyquist frequency of fewer, ½ or 0 for that itself, 0 above."""
    twice = 2 * torch.arange(size // 2 + 1)
    kept: Tensor = (twice < samples).double() + (0.5 * (twice == samples) if half else 0.0)
    return kept


def energy_coefficients(values: Tensor, axis: int, dim: int, cycles: Sequence[int]) -> Tensor:
    """Fourier coefficients of Σ_c F_c² of the trigonometric interpolant along one axis, up to a common factor.

    C(q) = Σ_k F(k)·conj F(k − q), summed over channels and over the samples of all other axes.

    Parameters
    ----------
    values : Tensor, shape (*batch, c, X1, …, Xd)
    axis : int
        Counted from the end.
    cycles : sequence of m int
        q, waves per period, 0 < q ≤ n.

    Returns
    -------
    Tensor, shape (*batch, 1 + m), complex128
        C(0), then those asked for.
    """
    spectrum: Tensor = torch.fft.rfft(marginal_energy(values, axis, dim).double())
    return spectrum[..., [0, *cycles]]


def marginal_energy(values: Tensor, axis: int, dim: int) -> Tensor:
    """Σ_c F_c² of the trigonometric interpolant along one axis, summed over the samples of all others.

    Parameters
    ----------
    values : Tensor, shape (*batch, c, X1, …, Xd)
    axis : int
        Counted from the end.

    Returns
    -------
    Tensor, shape (*batch, 2n)
        At the n samples of the axis and half-way between: enough for its waves, which reach up to n per period.
    """
    size = values.shape[axis]
    between = phase(torch.tensor(0.5, dtype=torch.float64), size, True, True).to(values.device)
    if size <= DENSE:
        gram, matrix = _gram(values, axis, dim), circulant(between, size).to(values.dtype)
        parts = gram.diagonal(dim1=-2, dim2=-1), ((matrix @ gram) * matrix).sum(-1)
    else:
        others = tuple(a for a in range(-dim - 1, 0) if a != axis)
        halfway = filtered(values, between, axis, dim)
        parts = values.square().sum(others), halfway.square().sum(others)
    return torch.stack(parts, dim=-1).flatten(-2)


def _gram(values: Tensor, axis: int, dim: int) -> Tensor:
    """Inner products (*batch, n, n) of the slices across one axis."""
    lead, size = values.shape[: -dim - 1], values.shape[axis]
    if axis == -1:
        rows = values.reshape(*lead, -1, size)
        return rows.mT @ rows
    slices = values.reshape(*lead, -1, size, math.prod(values.shape[axis + 1 :]))
    return (slices @ slices.mT).sum(-3)


def in_chunks(
    operation: Callable[[Tensor], tuple[Tensor, ...]], values: Tensor, growth: int = 1
) -> list[Tensor]:
    """Apply an operation to values (n, …) a few elements at a time, and join what it gives.

    Temporaries of a few MiB are reused; those of a large batch would cost page faults. They are `growth` times as large
    as the values.
    """
    count = max(
        1, TRIGONOMETRIC_CHUNK // max(1, growth * values[:1].numel() * values.element_size())
    )
    parts = [operation(part) for part in values.split(count)]
    if len(parts) == 1:
        return list(parts[0])
    return [torch.cat(column) for column in zip(*parts, strict=True)]
