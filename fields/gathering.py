"""Looking samples up by their index, batch by batch."""

from __future__ import annotations

import torch
from torch import Tensor


def gather(values: Tensor, index: Tensor, dim: int) -> Tensor:
    """Values (*batch, c, X1, …, Xd) at flat indices (*batch', Y1, …, Yd), as (*batch'', c, Y1, …, Yd).

    Batch shapes broadcast. Where no axis is shared by both, samples are looked up once for all, so that the memory,
    and that of the gradient, is that of values plus result.
    """
    lead, outer = values.shape[: -dim - 1], index.shape[:-dim]
    rank = max(len(lead), len(outer))
    lead, outer = (1,) * (rank - len(lead)) + lead, (1,) * (rank - len(outer)) + outer
    flat = values.flatten(-dim)
    channels = flat.shape[-2]
    if all(a == 1 or b == 1 for a, b in zip(lead, outer, strict=True)):
        out = flat.reshape(*lead, channels, -1)[..., index.reshape(*outer, *index.shape[-dim:])]
        # axes: lead, c, outer, Y → (lead_i, outer_i) pairs, c, Y
        pairs = [axis for i in range(rank) for axis in (i, rank + 1 + i)]
        out = out.permute(*pairs, rank, *range(2 * rank + 1, 2 * rank + 1 + dim))
        batch = [a * b for a, b in zip(lead, outer, strict=True)]
        return out.reshape(*batch, channels, *index.shape[-dim:])
    batch = torch.broadcast_shapes(lead, outer)
    where = index.reshape(*outer, 1, -1).expand(*batch, channels, -1)
    out = flat.reshape(*lead, channels, -1).expand(*batch, channels, -1).gather(-1, where)
    return out.reshape(*batch, channels, *index.shape[-dim:])
