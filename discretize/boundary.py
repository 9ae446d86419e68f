"""How samples continue outside of their grid."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from discretize.accuracy import MOST_CONTINUED
from fields.arguments import affordable

_TORCH_MODES = {
    "periodic": "circular",
    "reflect": "reflect",
    "nearest": "replicate",
    "zero": "constant",
}


def outside(index: Tensor, size: int, boundary: str) -> Tensor:
    """Index of the sample that continues at `index`; −1 where there is none, and zero stands for it."""
    if boundary == "periodic":
        return index % size
    if boundary == "nearest":
        return index.clamp(0, size - 1)
    if boundary == "reflect":
        period = max(1, 2 * (size - 1))
        folded = index % period
        return torch.where(folded < size, folded, period - folded)
    return torch.where((index >= 0) & (index < size), index, torch.full_like(index, -1))


def extend(values: Tensor, first: Sequence[int], last: Sequence[int], boundary: str) -> Tensor:
    """Samples (…, N1, …, Nd) at the indices first ≤ i ≤ last per axis, continued where these lie outside."""
    dim = len(first)
    sizes = values.shape[-dim:]
    before = [-a for a in first]
    after = [b - n + 1 for b, n in zip(last, sizes, strict=True)]
    if not any(before) and not any(after):
        return values
    if not torch.compiler.is_compiling():  # which knows no generators
        _check_size(values, before, after)
    shortest = {"periodic": 0, "reflect": 1}.get(boundary, -max(*before, *after))
    if min(*before, *after) >= 0 and all(
        max(b, a) <= n - shortest for b, a, n in zip(before, after, sizes, strict=True)
    ):
        pads = [p for pair in zip(reversed(before), reversed(after), strict=True) for p in pair]
        flat = values.reshape(1, -1, *sizes) if boundary != "zero" else values
        padded = torch.nn.functional.pad(flat, pads, mode=_TORCH_MODES[boundary])
        return padded.reshape(*values.shape[:-dim], *padded.shape[-dim:])
    for axis, (a, b) in enumerate(zip(first, last, strict=True), start=-dim):
        index = torch.arange(a, b + 1, device=values.device)
        source = outside(index, values.shape[axis], boundary)
        values = values.index_select(axis, source.clamp(min=0))
        if boundary == "zero":
            values = values * (source >= 0).reshape(-1, *(1,) * (-1 - axis))
    return values


def _check_size(values: Tensor, before: Sequence[int], after: Sequence[int]) -> None:
    """Raise ValueError where the samples and what continues them take too much memory."""
    sizes = values.shape[-len(before) :]
    wider = [n + a + b for n, a, b in zip(sizes, before, after, strict=True)]
    count = math.prod(wider) * math.prod(values.shape[: -len(before)])
    what = f"samples of shape {tuple(sizes)} continued by {before} and {after} points"
    affordable(count, what, values.itemsize, MOST_CONTINUED)
