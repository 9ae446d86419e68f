"""How far the tails of a field reach, once a function of its values is taken."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

#: A field is nowhere where it is below this part of its maximum.
NOTHING = 1e-300
#: Sizes of values, as powers of ten, that a field's largest ones may have.
LARGEST = (-3, 3)
#: Values that a function is looked at per decade.
PER_DECADE = 4


def faint(fn: Callable[[Tensor], Tensor], like: Tensor, rtol: float) -> float:
    """The part of a field's maximum, at most `rtol`, below which fn(F) is less than `rtol` of its own maximum.

    A root makes tails longer: |F|^p is below `rtol` where |F| is below rtol^(1/p). What a function makes of small
    values is seen by giving it some, of either sign and of channels alike and unlike; how large the field is isn't
    known, so that the part is the least for maxima between 1e-3 and 1e3.

    Parameters
    ----------
    fn : callable
        Of values (…, c), zero at zero.
    like : Tensor, shape (c,)
        Whose dtype and device the values have.
    rtol : float
    """
    least = torch.finfo(like.dtype).tiny * torch.finfo(like.dtype).eps  # the next number is 0
    decades = LARGEST[1] - math.log10(torch.finfo(like.dtype).tiny)
    powers = LARGEST[1] - torch.arange(int(PER_DECADE * decades)) / PER_DECADE
    sizes = 10 ** powers.to(torch.float64)
    channel = torch.arange(len(like), dtype=torch.float64)
    signs = torch.stack([torch.ones_like(channel), 1 - 2 * (channel % 2), torch.cos(channel**2)])
    values = sizes[:, None, None] * torch.cat([signs, -signs])
    with torch.no_grad():
        found = fn(values.to(like)).double().abs().flatten(1).cpu()
    # The largest of what it makes of values up to each size; a root has none of negative ones.
    found = torch.where(found.isfinite(), found, 0.0).amax(-1).flip(0).cummax(0).values.flip(0)
    part = rtol
    for first in range(PER_DECADE * (LARGEST[1] - LARGEST[0]) + 1):
        below = (found <= rtol * (1 + 1e-6) * found[first]).nonzero()
        smallest = float(sizes[below[0, 0]]) if len(below) else least
        part = min(part, smallest / float(sizes[first]) * (1 + 1e-9))
    return max(part, NOTHING)
