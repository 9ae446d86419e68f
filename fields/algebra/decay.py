"""How far the tails of a field reach, once a function of its values is taken."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fields.accuracy import DECADES, NOTHING, PER_DECADE, RUNGS

#: Sizes of values, the largest first, and the largest of what a function makes of values up to each.
Tails = tuple[np.ndarray, np.ndarray]


def tails(fn: Callable[[Tensor], Tensor], like: Tensor) -> Tails:
    """What a function, zero at zero, makes of values (…, c) of some sizes, either sign, and channels alike and unlike.

    `like`, shape (c,), has the dtype and device of the values.
    """
    decades = DECADES[1] - math.log10(torch.finfo(like.dtype).tiny)
    powers = DECADES[1] - torch.arange(int(PER_DECADE * decades)) / PER_DECADE
    sizes = 10 ** powers.to(torch.float64)
    channel = torch.arange(len(like), dtype=torch.float64)
    signs = torch.stack([torch.ones_like(channel), 1 - 2 * (channel % 2), torch.cos(channel**2)])
    values = sizes[:, None, None] * torch.cat([signs, -signs])
    with torch.no_grad():
        found = fn(values.to(like)).double().abs().flatten(1).cpu()
    # A root has none of negative ones.
    found = torch.where(found.isfinite(), found, 0.0).amax(-1).flip(0).cummax(0).values.flip(0)
    least = torch.finfo(like.dtype).tiny * torch.finfo(like.dtype).eps  # the next number is 0
    return np.append(sizes.numpy(), least), found.numpy()


def fainter(tails: Tails, rtol: float) -> float:
    """The part of a field's maximum, at most `rtol`, below which fn(F) is less than `rtol` of its own maximum.

    A root makes tails longer: |F|^p is below `rtol` where |F| is below rtol^(1/p). How large the field is isn't known,
    so that the part is the least for maxima between 1e-3 and 1e3.
    """
    sizes, found = tails
    first = np.arange(PER_DECADE * (DECADES[1] - DECADES[0]) + 1)
    below = np.searchsorted(-found, -rtol * (1 + 1e-6) * found[first])
    part = float((sizes[below] / sizes[first]).min()) * (1 + 1e-9)
    return max(min(rtol, part), NOTHING)


def faint(fn: Callable[[Tensor], Tensor], like: Tensor, rtol: float) -> float:
    """The same for a function."""
    return fainter(tails(fn, like), rtol)


def rung(rtol: float) -> float:
    """The largest of a few tolerances 2^−2^(k/4), k ≥ 0, that is no larger; the last is `NOTHING`.

    Functions make tolerances of tolerances, others on every path through a graph. Of these there are 41, and their
    squares and square roots are among them.
    """
    octaves = -math.log2(max(rtol, NOTHING))
    steps = math.ceil(RUNGS * math.log2(max(octaves, 1.0)) - 1e-9)
    return max(math.pow(2.0, -math.pow(2.0, steps / RUNGS)), NOTHING)
