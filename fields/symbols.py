"""Fourier transforms of kernels: what a convolution multiplies a wave by."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fields import checks
from fields.kernel import Atoms, BoxKernel, GaussianKernel, MatrixKernel

#: Atoms times waves up to which their transform is cheaper than the taps.
CHEAP = 1 << 14


def symbol(kernel: MatrixKernel, frequencies: Tensor) -> Tensor | None:
    """K̂(f) = ∫K(y) exp(−2πi f·y) dy at frequencies (m, d), shape (m, out, in); None where it isn't known or cheap."""
    dim = frequencies.shape[-1]
    f = frequencies.double()
    if type(kernel) is GaussianKernel:
        widths = f.new_tensor(checks.positive(kernel.width, dim, "width"))
        factor = torch.exp(-2 * math.pi**2 * ((widths * f) ** 2).sum(-1))
    elif type(kernel) is BoxKernel:
        sides = f.new_tensor([2 * r for r in kernel.reach(dim)])
        factor = torch.sinc(sides * f).prod(-1)
    elif type(kernel) is Atoms and len(kernel.offsets) * len(f) <= CHEAP:
        cycles = f @ kernel.offsets.to(f).mT
        waves = torch.exp(-2j * math.pi * (cycles - cycles.detach().round()))
        kind = torch.complex64 if kernel.dtype == torch.float32 else torch.complex128
        return torch.einsum("mk,koi->moi", waves.to(kind), kernel.weights.to(kind))
    else:
        return None
    return factor.to(kernel.matrix.dtype)[:, None, None] * kernel.matrix
