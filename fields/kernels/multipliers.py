"""Convolution of trigonometric polynomials: their spectra times the kernel's transform.

Samples on a whole period stand for the trigonometric polynomial F through them, with the cosine of the wave at the
Nyquist frequency of an even number of samples. K*F has the same frequencies, so it is known exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fields.accuracy import MOST_MULTIPLIERS, NEGLIGIBLE
from fields.kernels.kernel import MatrixKernel
from fields.kernels.profile_kernels import ProfileKernel
from fields.lattice import split
from fields.stencils.correlation import mix


def check_period(kernel: MatrixKernel, repeats: bool, found: str) -> None:
    """Raise where a kernel on a whole period is given a feature map that isn't known to repeat by it."""
    if not repeats:
        raise ValueError(
            f"a kernel on the whole period {kernel.period} acts on feature maps that repeat by it, got {found}: "
            "F.periodize(period) sums the images of a decaying field"
        )


def is_extent(period: Sequence[float], sizes: Sequence[int], spacing: Sequence[float]) -> bool:
    """Whether samples fill one period."""
    each = zip(period, sizes, spacing, strict=True)
    return all(split(n * h / p) == (1, 0.0) for p, n, h in each)


def convolved(values: Tensor, spacing: Sequence[float], kernel: MatrixKernel) -> Tensor | None:
    """Samples of K*F from the samples (*batch, c, X1, …, Xd) of F on a period; None where K̂ isn't known, or large."""
    dim = len(spacing)
    sizes, axes = values.shape[-dim:], tuple(range(-dim, 0))
    like = {"dtype": torch.float64, "device": values.device}
    frequencies = [torch.fft.fftfreq(n, h, **like) for n, h in zip(sizes, spacing, strict=True)]
    frequencies[-1] = torch.fft.rfftfreq(sizes[-1], spacing[-1], **like)
    kept = _kept(kernel, sizes, spacing, values.device)
    frequencies = [f[k] for f, k in zip(frequencies, kept, strict=True)]
    spectrum = torch.fft.rfftn(values, dim=axes)
    for axis, index in zip(axes, kept, strict=True):
        if len(index) < spectrum.shape[axis]:
            spectrum = spectrum.index_select(axis, index)
    product = _product(spectrum, frequencies, sizes, kernel)
    if product is None:
        return None
    full = [*sizes[:-1], sizes[-1] // 2 + 1]
    for axis, index, n in zip(axes, kept, full, strict=True):
        if len(index) < n:
            shape = list(product.shape)
            shape[axis] = n
            product = product.new_zeros(shape).index_copy(axis, index, product)
    out = torch.fft.irfftn(product, sizes, axes)
    return mix(out, kernel.matrix, dim) if isinstance(kernel, ProfileKernel) else out


def _kept(
    kernel: MatrixKernel, sizes: Sequence[int], spacing: Sequence[float], device: torch.device
) -> list[Tensor]:
    """Indices of the bins at which the kernel's transform isn't negligible, the last axis's in half a spectrum."""
    dim = len(sizes)
    band = kernel.bandwidth(NEGLIGIBLE, dim) or (math.inf,) * dim
    kept = []
    for axis, (n, h, b) in enumerate(zip(sizes, spacing, band, strict=True)):
        highest = math.floor(min(b * n * h * (1 + 1e-9), n // 2))
        below = torch.arange(highest + 1, device=device)
        above = torch.arange(max(n - highest, highest + 1), n, device=device)
        kept.append(below if axis == dim - 1 else torch.cat([below, above]))
    return kept


def _product(
    spectrum: Tensor,
    frequencies: Sequence[Tensor],
    sizes: Sequence[int],
    kernel: MatrixKernel,
) -> Tensor | None:
    """K̂(f) times the spectrum; for a profile times a matrix without the matrix."""
    if isinstance(kernel, ProfileKernel):
        factor = kernel.profile_transform(_points(frequencies))
        return spectrum * factor.reshape([len(f) for f in frequencies]).to(spectrum.real)
    count = math.prod([len(f) for f in frequencies]) * kernel.out_channels * kernel.in_channels
    if kernel.period is None and count > MOST_MULTIPLIERS:
        return None
    transfer = _transfer(kernel, frequencies, sizes)
    if transfer is None:
        return None
    x = "xyz"[: len(sizes)]
    return torch.einsum(f"{x}oi,...i{x}->...o{x}", transfer.to(spectrum), spectrum)


def _points(frequencies: Sequence[Tensor]) -> Tensor:
    """All combinations, shape (m, d)."""
    mesh = torch.meshgrid(*frequencies, indexing="ij")
    return torch.stack(mesh, dim=-1).reshape(-1, len(frequencies))


def _transfer(
    kernel: MatrixKernel, frequencies: Sequence[Tensor], sizes: Sequence[int]
) -> Tensor | None:
    """K̂ on the product of frequencies, (m1, …, md, out, in); at Nyquist the mean of both signs, as a cosine has it."""
    full = [*sizes[:-1], sizes[-1] // 2 + 1]
    edges = [
        [n // 2] if n % 2 == 0 and len(f) == m else []
        for f, n, m in zip(frequencies, sizes, full, strict=True)
    ]
    wide = [torch.cat([f, -f[edge]]) for f, edge in zip(frequencies, edges, strict=True)]
    found = kernel.transform(_points(wide))
    if found is None:
        return None
    found = found.unflatten(0, [len(f) for f in wide])
    for axis, (f, edge) in enumerate(zip(frequencies, edges, strict=True)):
        for i in edge:
            mean = (found.narrow(axis, i, 1) + found.narrow(axis, len(f), 1)) / 2
            above = found.narrow(axis, i + 1, len(f) - i - 1)
            found = torch.cat([found.narrow(axis, 0, i), mean, above], dim=axis)
    return found
