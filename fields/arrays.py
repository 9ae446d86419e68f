"""Arrays: batch shapes that meet, fresh memory for large results, and sums of products of factors on a lattice.

A wave or an axis-aligned Gaussian factorises over the axes. On n^d points, m terms then cost m·n·d evaluations of the
factors and one matrix product, instead of m·n^d evaluations, and the points are never formed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor

from fields.accuracy import LARGE_ARRAY, SEPARABLE_WORKSPACE


def broadcast(*shapes: Sequence[int]) -> torch.Size:
    """The shape that all of them broadcast to, as torch.broadcast_shapes, which imports sympy for half a second.

    Raises
    ------
    ValueError
        Where they don't broadcast.
    """
    rank = max([0, *[len(shape) for shape in shapes]])  # in words that torch.compile knows
    sizes = [1] * rank
    for shape in shapes:
        for axis, n in enumerate(shape, start=rank - len(shape)):
            if n != 1 and sizes[axis] not in (1, n):
                raise ValueError(
                    f"shapes {', '.join(str(tuple(s)) for s in shapes)} don't broadcast"
                )
            sizes[axis] = n if n != 1 else sizes[axis]
    return torch.Size(sizes)


def tracked(*tensors: Tensor) -> bool:
    """Whether derivatives are taken through any of the tensors, or torch.func transforms them."""
    if any(is_functorch_wrapped_tensor(t) for t in tensors):
        return True
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        return True
    return any(torch.autograd.forward_ad.unpack_dual(t).tangent is not None for t in tensors)


def empty(shape: Sequence[int], like: Tensor) -> Tensor:
    """An uninitialised tensor of the dtype and on the device of `like`.

    On the processor, large ones come from numpy, whose large pages take a quarter of the time to be given out.
    """
    if like.device.type != "cpu" or math.prod(shape) * like.itemsize < LARGE_ARRAY:
        return like.new_empty(tuple(shape))
    array = np.empty(tuple(shape), dtype=np.dtype(str(like.dtype).removeprefix("torch.")))
    return torch.from_numpy(array)


def contract(coefficients: Tensor, bases: Sequence[Tensor]) -> Tensor:
    """Real part of Σ_u coefficients[c, u1, …, ud] ∏_i bases_i[x_i, u_i].

    Parameters
    ----------
    coefficients : Tensor, shape (*batch, c, U1, …, Ud)
    bases : sequence of d Tensors, shape (*batch, X_i, U_i)
        Batch shapes broadcast.

    Returns
    -------
    Tensor, shape (*batch, c, X1, …, Xd)
    """
    out = coefficients
    letters = "uvw"[: len(bases)]
    for i, basis in enumerate(bases):
        done = "xyz"[: len(bases)]
        now = done[:i] + letters[i:]
        then = done[: i + 1] + letters[i + 1 :]
        spec = f"...c{now},...{done[i]}{letters[i]}->...c{then}"
        if i == len(bases) - 1 and out.is_complex():
            return _real_part(spec, out, basis)
        out = torch.einsum(spec, out, basis)
    return out


def separable_sum(coefficients: Tensor, factors: Sequence[Tensor]) -> Tensor:
    """Real part of Σ_m coefficients[m, c] ∏_i factors_i[x_i, m].

    Parameters
    ----------
    coefficients : Tensor, shape (*batch, m, c)
    factors : sequence of d Tensors, shape (*batch, X_i, m)
        Batch shapes broadcast.

    Returns
    -------
    Tensor, shape (*batch, c, X1, …, Xd)
    """
    rows = [f.shape[-2] for f in factors]
    batch = broadcast(*(t.shape[:-2] for t in (coefficients, *factors)))
    columns = coefficients.shape[-1] * batch.numel()
    for n in rows[:-1]:
        columns *= n
    terms = max(1, SEPARABLE_WORKSPACE // max(1, columns * coefficients.dtype.itemsize))
    total = None
    for first in range(0, coefficients.shape[-2], terms):
        part = slice(first, first + terms)
        left = coefficients[..., part, :].transpose(-1, -2)  # (*batch, c, m)
        for i, factor in enumerate(factors[:-1]):
            cut = factor[..., part].reshape(
                *factor.shape[:-2], 1, *(1,) * i, rows[i], factor[..., part].shape[-1]
            )
            left = left.unsqueeze(-2) * cut  # (*batch, c, X1, …, Xi, m)
        spec = "...{0}m,...xm->...{0}x".format("cuv"[: len(factors)])
        last = factors[-1][..., part]
        value = (
            _real_part(spec, left, last) if left.is_complex() else torch.einsum(spec, left, last)
        )
        total = value if total is None else total + value
    assert total is not None
    return total


def _real_part(spec: str, a: Tensor, b: Tensor) -> Tensor:
    """Real part of a complex product; contiguous parts, since products of strided ones are several times slower."""
    real = torch.einsum(spec, a.real.contiguous(), b.real.contiguous())
    return real - torch.einsum(spec, a.imag.contiguous(), b.imag.contiguous())
