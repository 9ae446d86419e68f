"""Batch shapes that meet."""

from __future__ import annotations

from collections.abc import Sequence

import torch


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
