"""Stencils applied to arrays that know the values all around: convolution and running maximum.

(K*F)(x) = Σ_j w_j F(x − o_j). The flip between this true convolution and torch's correlation happens in `convolve`
and below it, nowhere else. Everything here is about speed: which of five ways computes the same sum.

    rows of taps, one per axis        banded matrix products
    few taps                          torch's direct convolution; in float64 one matrix product per tap
    many taps                         FFT on overlapping tiles
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor

from fields.accuracy import BAND_ROWS, BAND_TAPS, SINGLE_TAPS
from fields.lattice import take
from fields.stencils.overlap_save import by_fft, fft_pays
from fields.stencils.stencil import Stencil


def convolve(
    values: Tensor, stencil: Stencil, dilation: Sequence[int], stride: Sequence[int]
) -> Tensor:
    """Apply a stencil where all its taps are known.

    Parameters
    ----------
    values : Tensor, shape (*batch, c_in, N1, …, Nd)
    stencil : Stencil
    dilation, stride : sequence of int
        Distance of the taps, and of the outputs, in samples of `values`.

    Returns
    -------
    Tensor, shape (*batch, c_out, M1, …, Md), with M = (N − dilation·(S − 1) − 1)//stride + 1
    """
    taps, matrix = stencil.taps, stencil.matrix
    if matrix is not None and matrix.shape[0] <= matrix.shape[1]:
        values, matrix = mix(values, matrix, len(stencil.first)), None
    if isinstance(taps, tuple):
        for axis, profile in enumerate(taps):
            values = along(values, profile, axis - len(taps), dilation[axis], stride[axis])
    else:
        values = _dense(values, taps, dilation, stride)
    return values if matrix is None else mix(values, matrix, len(stencil.first))


def mix(values: Tensor, matrix: Tensor, dim: int) -> Tensor:
    """Apply a channel matrix (out, in) to values (*batch, in, X1, …, Xd)."""
    flat = torch.matmul(matrix, values.flatten(-dim))
    return flat.reshape(*flat.shape[:-1], *values.shape[-dim:])


def along(values: Tensor, profile: Tensor, axis: int, dilation: int = 1, stride: int = 1) -> Tensor:
    """Convolve every channel along one axis, counted from the end, with the same scalar taps, where all are known.

    Banded matrix products, block by block.

    A product with a band of 64 rows does at most twice the necessary work, and matrix products are several times
    faster than torch's depthwise convolution, above all in float64.
    """
    if len(profile) > BAND_TAPS and dilation == 1:
        lines = values.movedim(axis, -1)
        flat = lines.reshape(-1, 1, lines.shape[-1])
        out = by_fft(flat, profile.flip(0)[None, None], [stride])
        return out.reshape(*lines.shape[:-1], -1).movedim(-1, axis)
    size, length = values.shape[axis], dilation * (len(profile) - 1) + 1
    count = (size - length) // stride + 1
    block = min(count, max(BAND_ROWS, 2 * length // stride))
    band = _band(profile, block, dilation, stride)
    last = axis == -1
    lead, tail = values.shape[: values.ndim + axis], values.shape[values.ndim + axis + 1 :]
    rows = values.reshape(-1, size) if last else values.reshape(lead.numel(), size, tail.numel())
    parts = []
    for first in range(0, count, block):
        outputs = min(block, count - first)
        inputs = (outputs - 1) * stride + length
        part, cut = rows.narrow(1, first * stride, inputs), band[:outputs, :inputs]
        parts.append(part @ cut.T if last else cut @ part)
    return torch.cat(parts, dim=1).reshape(*lead, count, *tail)


def _band(profile: Tensor, rows: int, dilation: int, stride: int) -> Tensor:
    """Matrix whose row i holds the flipped taps from column i·stride on."""
    length = dilation * (len(profile) - 1) + 1
    band = profile.new_zeros(rows, (rows - 1) * stride + length)
    row = torch.arange(rows, device=profile.device)[:, None]
    column = row * stride + dilation * torch.arange(len(profile), device=profile.device)
    return band.index_put((row, column), profile.flip(0).expand(rows, -1))


def _dense(values: Tensor, taps: Tensor, dilation: Sequence[int], stride: Sequence[int]) -> Tensor:
    dim = len(dilation)
    shape = values.shape
    kernel = taps.flip(tuple(range(dim)))
    if taps.ndim == dim:
        flat, kernel = values.reshape(-1, 1, *shape[-dim:]), kernel[None, None]
    else:
        flat, kernel = values.reshape(-1, *shape[-dim - 1 :]), kernel.movedim((-2, -1), (0, 1))
    groups = flat.shape[1] // kernel.shape[1]
    if all(d == 1 for d in dilation) and fft_pays(flat, kernel, stride):
        out = by_fft(flat, kernel, stride)
    elif flat.dtype == torch.float64 and kernel.numel() > SINGLE_TAPS and groups == 1:
        out = _tap_by_tap(flat, kernel, dilation, stride)
    else:
        conv: Callable[..., Tensor] = (torch.conv1d, torch.conv2d, torch.conv3d)[dim - 1]
        out = conv(flat, kernel, stride=tuple(stride), dilation=tuple(dilation), groups=groups)
    batch = shape[:-dim] if taps.ndim == dim else (*shape[: -dim - 1], kernel.shape[0])
    return out.reshape(*batch, *out.shape[-dim:])


def _tap_by_tap(
    values: Tensor, kernel: Tensor, dilation: Sequence[int], stride: Sequence[int]
) -> Tensor:
    """The same correlation as torch's conv as a sum of matrix products, one per tap: 5 times as fast in float64.

    In the flattened array a tap's inputs are one contiguous run, as long as what lies between rows is computed, too,
    and left out in the end.
    """
    dim, maps, outs = len(dilation), len(values), len(kernel)
    counts = [
        (n - d * (s - 1) - 1) // p + 1
        for n, s, d, p in zip(values.shape[2:], kernel.shape[2:], dilation, stride, strict=True)
    ]
    steps = [math.prod(values.shape[i:]) for i in range(3, dim + 3)]
    run = sum((n - 1) * step for n, step in zip(counts, steps, strict=True)) + 1
    whole = max(stride) == 1 and run <= 2 * math.prod(counts)
    flat, total = values.flatten(2), None
    # In place the sum takes no fresh memory; torch.vmap can't do it.
    wrapped = is_functorch_wrapped_tensor
    traced = torch.compiler.is_compiling() or wrapped(flat) or wrapped(kernel)
    add = torch.baddbmm if traced else Tensor.baddbmm_
    taps = itertools.product(*map(range, kernel.shape[2:]))
    for tap, weights in zip(taps, kernel.flatten(2).permute(2, 0, 1).contiguous(), strict=True):
        first = [i * d for i, d in zip(tap, dilation, strict=True)]
        if whole:
            begin = sum(i * step for i, step in zip(first, steps, strict=True))
            part = flat.narrow(-1, begin, run)
        else:
            rows = (
                slice(i, i + p * (n - 1) + 1, p)
                for i, p, n in zip(first, stride, counts, strict=True)
            )
            part = take(values, rows).flatten(2)
        each = weights.expand(maps, -1, -1)
        total = torch.bmm(each, part) if total is None else add(total, each, part)
    assert total is not None
    if not whole:
        return total.reshape(maps, outs, *counts)
    return total.as_strided((maps, outs, *counts), (outs * run, run, *steps))


def maximum(
    values: Tensor, stencil: Stencil, dilation: Sequence[int], stride: Sequence[int]
) -> Tensor:
    """The largest value under the taps that aren't zero, with the arguments of `convolve`.

    Maxima over 2^k neighbours come by doubling, and any run of taps is the union of two such: the cost grows with
    the logarithm of the window's length along the last axis, and with the number of its rows.
    """
    taps = stencil.taps
    if isinstance(taps, tuple):
        for axis, row in enumerate(taps, start=-len(taps)):
            runs = [((0,), len(row))]
            values = _maximum(
                values.movedim(axis, -1), runs, [dilation[axis]], [stride[axis]], (len(row),)
            )
            values = values.movedim(-1, axis)
        return values
    return _maximum(values, stencil.runs, dilation, stride, taps.shape)


def _maximum(
    values: Tensor,
    runs: Sequence[tuple[tuple[int, ...], int]],
    dilation: Sequence[int],
    stride: Sequence[int],
    size: Sequence[int],
) -> Tensor:
    """Maximum over runs of taps, each given by the index of its first tap and its length along the last axis."""
    if not runs:
        raise ValueError("a pooling window needs at least one tap: make it larger than the spacing")
    counts = [
        (n - d * (s - 1) - 1) // p + 1
        for n, d, s, p in zip(values.shape[-len(size) :], dilation, size, stride, strict=True)
    ]
    best, length = None, 1
    for begin, run in sorted(runs, key=lambda item: item[1]):
        while 2 * length <= run:
            step = length * dilation[-1]
            values = torch.maximum(values[..., :-step], values[..., step:])
            length *= 2
        for last in {0, run - length}:
            corner = (*begin[:-1], begin[-1] + last)
            cut = (
                slice(b * d, b * d + p * (n - 1) + 1, p)
                for b, d, p, n in zip(corner, dilation, stride, counts, strict=True)
            )
            part = take(values, cut)
            best = part if best is None else torch.maximum(best, part)
    assert best is not None
    return best
