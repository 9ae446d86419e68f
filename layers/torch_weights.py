"""Between kernels and the weights of torch's convolutions, which are correlations: here they are flipped, both ways.

torch        y[n] = Σ_j w[o, i, j] x[n + j·dilation − before],  weights (out, in/groups, S1, …, Sd)
here         (K*F)(x) = Σ_i K_i F(x − o_i),  o_i = (i − (S − 1)/2)·spacing,  arrays (S1, …, Sd, out, in/groups)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fields import Atoms
from fields.kernels.kernel import MatrixKernel
from fields.stencils.stencil import Stencil, outer

TorchConv = nn.Conv1d | nn.Conv2d | nn.Conv3d
Transposed = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d


def flipped(weights: Tensor) -> Tensor:
    """Array (S1, …, Sd, out, in) of torch's weights (out, in, S1, …, Sd)."""
    dim = weights.ndim - 2
    return weights.movedim((0, 1), (-2, -1)).flip(tuple(range(dim)))


def flipped_back(array: Tensor) -> Tensor:
    """Torch's weights (out, in, S1, …, Sd) of an array (S1, …, Sd, out, in)."""
    return array.flip(tuple(range(array.ndim - 2))).movedim((-2, -1), (0, 1))


def check_module(module: Any) -> TorchConv:
    """Raise where something isn't a torch convolution that keeps the grid, or leaves it to the boundary."""
    if isinstance(module, Transposed):
        raise TypeError(
            f"{type(module).__name__} is a true convolution of samples with zeros between them: "
            f"nn.Sequential(Upsampling({_plainly(module.stride)}), Conv.from_array(array, spacing)), with the spacing "
            "of the finer grid (times the dilation) and, for one group, array = module.weight.movedim((0, 1), (-1, -2))"
        )
    if not isinstance(module, TorchConv):
        raise TypeError(f"expected nn.Conv1d, nn.Conv2d or nn.Conv3d, got {type(module).__name__}")
    if isinstance(module.weight, nn.UninitializedParameter):
        raise ValueError("this lazy convolution has no weights yet: call it on an input first")
    if any(s != 1 for s in module.stride):
        raise ValueError(
            f"a convolution of stride {module.stride} is one of stride 1 and a subsampling: set module.stride = "
            f"{(1,) * len(module.stride)} and take nn.Sequential(Conv.from_torch(module, spacing), "
            f"Stride({_plainly(module.stride)}))"
        )
    spans = [d * (s - 1) for d, s in zip(module.dilation, module.kernel_size, strict=True)]
    padding = module.padding
    if not isinstance(padding, str) and any(padding) and [2 * p for p in padding] != spans:
        raise ValueError(
            f"padding {padding} gives an output of another size than its input: here padding is the boundary of the "
            "grid, take padding='same' or 0"
        )
    return module


def _plainly(stride: tuple[int, ...]) -> int | tuple[int, ...]:
    """One number for all axes, where they agree."""
    return stride[0] if len(set(stride)) == 1 else tuple(stride)


def dense_taps(
    kernel: MatrixKernel, spacing: tuple[float, ...]
) -> tuple[Tensor, tuple[int, ...], int]:
    """Array (S1, …, Sd, out, in/groups) of a kernel's taps on a grid, its dilation, and its groups."""
    kernel.reach(len(spacing))
    stencils = kernel.stencils(spacing, spacing)
    if len(stencils) != 1:
        raise ValueError(
            f"the offsets of this kernel have no common lattice on a grid of spacing {spacing}: torch has no "
            "convolution like it"
        )
    (stencil,) = stencils
    taps = outer(stencil.taps) if isinstance(stencil.taps, tuple) else stencil.taps
    if stencil.matrix is not None:
        taps = taps[..., None, None] * stencil.matrix
    groups = kernel.groups if isinstance(kernel, Atoms) else 1
    return *_centred(taps, stencil), groups


def _centred(taps: Tensor, stencil: Stencil) -> tuple[Tensor, tuple[int, ...]]:
    """The taps with zeros on one side, where they aren't placed symmetrically, and their dilation."""
    pads: list[int] = []
    dilation = []
    places = zip(stencil.first, stencil.last, stencil.step, stencil.remainder, strict=True)
    for axis, (first, last, step, part) in enumerate(places):
        if min(part, abs(part - 0.5)) > 1e-9:
            raise ValueError(
                "the offsets of this kernel aren't whole or half spacings from 0: torch has no such convolution"
            )
        twice = first + last + round(2 * part)  # where the middle lies, in half spacings
        step = step if last > first else 1
        if twice % step:
            taps, step = _spread(taps, axis, step), 1
        pads = [max(0, twice // step), max(0, -twice // step), *pads]
        dilation.append(step)
    return torch.nn.functional.pad(taps, [0, 0, 0, 0, *pads]), tuple(dilation)


def _spread(taps: Tensor, axis: int, step: int) -> Tensor:
    """Taps `step` apart as taps side by side, with zeros between."""
    count = taps.shape[axis]
    shape = [*taps.shape[:axis], step * (count - 1) + 1, *taps.shape[axis + 1 :]]
    index = step * torch.arange(count, device=taps.device)
    return taps.new_zeros(shape).index_copy(axis, index, taps)


def torch_convolution(
    array: Tensor, dilation: Sequence[int], groups: int, bias: Tensor | None, padding_mode: str
) -> TorchConv:
    """Torch's module with these weights, which keeps the size of its input."""
    weights = flipped_back(array)
    make: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(dilation) - 1]
    module: TorchConv
    module = nn.utils.skip_init(
        make,
        weights.shape[1] * groups,
        weights.shape[0],
        tuple(weights.shape[2:]),
        padding="same",
        padding_mode=padding_mode,
        dilation=tuple(dilation),
        groups=groups,
        bias=bias is not None,
        dtype=weights.dtype,
        device=weights.device,
    )
    with torch.no_grad():
        module.weight.copy_(weights)
        if bias is not None:
            assert module.bias is not None
            module.bias.copy_(bias)
    return module
