"""Correlation by FFT on overlapping tiles (overlap–save), for kernels of many taps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fields.accuracy import FFT_ELEMENTS
from fields.arrays import empty, tracked
from fields.lattice import take

#: Time of a direct convolution per tap and output, and per multiplication, and of one sample's share of the FFTs that
#: replace it, in ns: measured on two cores; only their ratios matter.
DIRECT_COST = {torch.float64: (0.3, 0.03), torch.float32: (0.2, 0.008)}
FFT_COST = {torch.float64: 20.0, torch.float32: 10.0}


def fft_pays(values: Tensor, kernel: Tensor, stride: Sequence[int]) -> bool:
    """Whether an FFT is faster than the direct sum, from the sizes alone."""
    if values.dtype not in FFT_COST:
        return False
    sizes = zip(values.shape[2:], kernel.shape[2:], stride, strict=True)
    outputs = math.prod([(n - s) // p + 1 for n, s, p in sizes])
    per_tap, per_product = DIRECT_COST[values.dtype]
    each = kernel.shape[0] * (per_tap + kernel.shape[1] * per_product)
    direct = outputs * kernel[0, 0].numel() * each
    return direct > values[0, 0].numel() * (values.shape[1] + len(kernel)) * FFT_COST[values.dtype]


def by_fft(values: Tensor, kernel: Tensor, stride: Sequence[int]) -> Tensor:
    """The same correlation as torch's conv, by FFT, on overlapping tiles (overlap–save).

    A tile's circular wrap only reaches what is cut away. Tiles of some eight kernel lengths, a few maps at a time, keep
    every temporary small: on large arrays it is fresh memory that takes the time, not the transforms.
    """
    dim = values.ndim - 2
    sizes = list(zip(values.shape[2:], kernel.shape[2:], strict=True))
    length = _lengths(sizes)
    # The flipped kernel's convolution is the correlation, S − 1 samples late. Padding it one axis at a time spares the
    # transforms of rows that are zero.
    transfer = torch.fft.rfft(kernel.flip(tuple(range(-dim, 0))), length[-1])
    for axis in range(-dim, -1):
        transfer = torch.fft.fft(transfer, length[axis], axis)
    maps = max(1, FFT_ELEMENTS // (math.prod(length) * max(values.shape[1], len(kernel))))
    if tracked(values, kernel):
        parts = [_joined(part, transfer, sizes, length) for part in values.split(maps)]
        out = parts[0] if len(parts) == 1 else torch.cat(parts)
    else:
        counts = [n - s + 1 for n, s in sizes]
        out = empty((len(values), len(kernel), *counts), values)
        for source, target in zip(values.split(maps), out.split(maps), strict=True):
            for corner in itertools.product(*_corners(sizes, length)):
                tile = _tile(source, transfer, sizes, length, corner)
                ends = zip(corner, tile.shape[2:], strict=True)
                take(target, (slice(c.start, c.start + n) for c, n in ends)).copy_(tile)
    return take(out, (slice(None, None, p) for p in stride))


def _lengths(sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Sides of a tile for values and kernels of some sizes."""
    return [_fast_length(n if n <= 12 * s else max(8 * s, 64)) for n, s in sizes]


def fft_bytes(values: Tensor, kernel: Tensor) -> int:
    """Bytes at work in one tile, which no bound on its size keeps small where kernels are large: four arrays at once.

    They are the kernel's transform (out·in), a map's (in), their product (out) and the tile made of it (out), half as
    many complex numbers as a tile has samples. Tensors without data (device "meta") do.
    """
    outs, ins = kernel.shape[:2]
    tile = math.prod(_lengths(list(zip(values.shape[2:], kernel.shape[2:], strict=True))))
    return tile * (outs * ins + values.shape[1] + 2 * outs) * values.itemsize


def _corners(sizes: Sequence[tuple[int, int]], length: Sequence[int]) -> list[list[slice]]:
    """Where the tiles lie along each axis."""
    return [
        [slice(a, min(n, a + side)) for a in range(0, n - s + 1, side - s + 1)]
        for (n, s), side in zip(sizes, length, strict=True)
    ]


def _tile(
    values: Tensor,
    transfer: Tensor,
    sizes: Sequence[tuple[int, int]],
    length: Sequence[int],
    corner: Sequence[slice],
) -> Tensor:
    """Correlation of a few maps on one tile."""
    axes = tuple(range(-len(sizes), 0))
    product = _mixed_spectra(transfer, torch.fft.rfftn(take(values, corner), length, axes))
    valid = (slice(s - 1, c.stop - c.start) for (_, s), c in zip(sizes, corner, strict=True))
    return take(torch.fft.irfftn(product, length, axes), valid)


def _joined(
    values: Tensor,
    transfer: Tensor,
    sizes: Sequence[tuple[int, int]],
    length: Sequence[int],
    corner: Sequence[slice] = (),
) -> Tensor:
    """All tiles, joined along one axis after the other, so that gradients flow back in few steps."""
    axis = len(corner)
    if axis == len(sizes):
        return _tile(values, transfer, sizes, length, corner)
    rows = [
        _joined(values, transfer, sizes, length, (*corner, part))
        for part in _corners(sizes, length)[axis]
    ]
    return rows[0] if len(rows) == 1 else torch.cat(rows, dim=axis - len(sizes))


def _mixed_spectra(transfer: Tensor, spectrum: Tensor) -> Tensor:
    """Σ_i transfer[o, i]·spectrum[n, i] at every frequency; i runs over the output's own group of inputs."""
    outs, ins = transfer.shape[:2]
    groups = spectrum.shape[1] // ins
    if groups > 1 and outs == groups:
        product: Tensor = (transfer * spectrum.unflatten(1, (groups, ins))).sum(2)
        return product
    if groups > 1:
        pairs = zip(transfer.chunk(groups), spectrum.chunk(groups, 1), strict=True)
        return torch.cat([_mixed_spectra(t, s) for t, s in pairs], dim=1)
    # From here on a matrix product per frequency pays for its transposed copies.
    if outs * ins > 64:
        return torch.einsum("oi...,ni...->no...", transfer, spectrum)
    rows = []
    for o in range(outs):
        row = transfer[o, 0] * spectrum[:, 0]
        for i in range(1, ins):
            row = torch.addcmul(row, transfer[o, i], spectrum[:, i])
        rows.append(row)
    return torch.stack(rows, dim=1)


def _fast_length(n: int) -> int:
    """The least integer ≥ n whose prime factors are 2, 3 and 5."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1
