"""Batch shapes that meet."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor


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
