"""Sizes whose squares are no numbers of their dtype: what is homogeneous doesn't depend on the unit of a field.

Values are divided by a power of two before they are squared or summed, which changes no digit of them. Where that would
cost time that counts, only if the sum of squares shows that it went wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fields.checks import tracing

if TYPE_CHECKING:
    from fields.field import Field

#: Powers of two that bring sums of squares which over- or underflow back, as a part of the exponents that there are.
PART = 0.6


class NotFinite(ValueError):
    """Values that were to be integrated are infinite, or no numbers."""


def unit(values: Tensor, axes: Sequence[int]) -> Tensor:
    """A power of two, at most the largest modulus over some axes, which are kept; 1 where it is 0. No gradient."""
    sizes = values.detach().abs()
    top = sizes.amax(tuple(axes), keepdim=True) if axes else sizes  # amax takes no axes for all
    power = torch.exp2(top.log2().floor())
    return torch.where((power > 0) & power.isfinite(), power, 1.0)


def norm(values: Tensor, order: float, axes: Sequence[int]) -> Tensor:
    """The norm of an order over some axes, whatever the size of the values."""
    size = unit(values, axes)
    found: Tensor = torch.linalg.vector_norm(values / size, order, tuple(axes))
    return found * size.squeeze(tuple(axes))


def fits(squares: Tensor) -> Tensor:
    """Where sums of squares are so far from 0 and from infinity that nothing of weight was lost."""
    kind = torch.finfo(squares.dtype)
    return (squares > kind.tiny / kind.eps) & (squares < kind.max * kind.eps)


def factors(dtype: torch.dtype) -> tuple[float, float, float]:
    """1, and numbers to multiply a field by where its square overflows, and where it underflows."""
    least = torch.finfo(dtype).tiny
    power = 2.0 ** round(PART * torch.tensor(least, dtype=torch.float64).log2().item())
    return 1.0, power, 1 / power


def of_square(form: Callable[[Field], Tensor], field: Field) -> tuple[Tensor, Tensor]:
    """A quadratic form of u·F, and for each element u, a power of two with which it neither over- nor underflows.

    Parameters
    ----------
    form : callable
        F ↦ (*batch, m), the first of m numbers the positive one that tells the size of all.

    Returns
    -------
    form(u·F) : Tensor, shape (*batch, m)
    u : Tensor, shape (*batch, 1)
    """
    found = u = torch.ones(())
    for factor in factors(field.dtype):
        try:
            now = form(field if factor == 1 else field * factor)
        except NotFinite:
            if factor < 1:  # its values aren't, either
                raise
            continue
        known = fits(found[..., :1].detach().abs()) if found.ndim else torch.tensor(False)
        found = torch.where(known, found, now) if found.ndim else now
        u = torch.where(known, u, torch.full_like(now[..., :1].detach().abs(), factor))
        if tracing() or bool(fits(found[..., :1].detach().abs()).all()):
            break
    return found, u
