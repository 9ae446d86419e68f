"""Sizes whose squares are no numbers of their dtype: what is homogeneous doesn't depend on the unit of a field.

Values are divided by a power of two before they are squared or summed, which changes no digit of them. Where that would
cost time that counts, only if the sum of squares shows that it went wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from fields.accuracy import EXPONENT_PART
from fields.checks import tracing


class Scaled(Protocol):
    """What can be multiplied by a number."""

    dtype: torch.dtype

    def __mul__(self, factor: float, /) -> Any:
        """The multiple, of the same kind."""


Result = TypeVar("Result")
F = TypeVar("F", bound=Scaled)


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
    over = tuple(axes)
    if math.isinf(order) and over:  # several times as fast as torch's norm of that order
        return values.abs().amax(over) if order > 0 else values.abs().amin(over)

    def plain(values: Tensor) -> Tensor:
        found: Tensor = torch.linalg.vector_norm(values, order, over)
        return found

    if not tracing() and order >= 1:
        found = plain(values)
        if bool(fits(found.detach() ** order).all()):
            return found
    size = unit(values, axes)
    return plain(values / size) * size.squeeze(over)


def fits(squares: Tensor) -> Tensor:
    """Where sums of squares are so far from 0 and from infinity that nothing of weight was lost."""
    kind = torch.finfo(squares.dtype)
    return (squares > kind.tiny / kind.eps) & (squares < kind.max * kind.eps)


def rescaled(
    form: Callable[[Tensor], Result],
    values: Tensor,
    axes: Sequence[int],
    squares: Callable[[Result], Tensor],
) -> Result:
    """A homogeneous form of values, up to a factor for each element: of multiples in their units where it must be.

    Parameters
    ----------
    form : callable
    values : Tensor
    axes : sequence of int
        Of one element, as for `unit`.
    squares : callable
        What `form` gave ↦ the sums of squares, or of other powers, within it, which must fit.
    """
    if not tracing():
        found = form(values)
        if bool(fits(squares(found)).all()):
            return found
    return form(values / unit(values, axes))


def factors(dtype: torch.dtype) -> tuple[float, float, float]:
    """1, and numbers to multiply a field by where its square overflows, and where it underflows."""
    least = torch.finfo(dtype).tiny
    power = 2.0 ** round(EXPONENT_PART * torch.tensor(least, dtype=torch.float64).log2().item())
    return 1.0, power, 1 / power


def of_square(form: Callable[[F], Tensor], field: F) -> tuple[Tensor, Tensor]:
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
    found: tuple[Tensor, Tensor] | None = None
    known = torch.tensor(False)  # where what was found fits
    for factor in factors(field.dtype):
        try:
            square = form(field if factor == 1 else field * factor)
        except NotFinite:
            if factor < 1:  # its values aren't, either
                raise
            continue
        new = square, torch.full_like(square[..., :1].detach().abs(), factor)
        found = new if found is None else _chosen(known, found, new)
        known = fits(found[0][..., :1].detach().abs())
        if tracing() or bool(known.all()):
            break
    assert found is not None  # the second factor gives it, or raises
    return found


def _chosen(
    where: Tensor, one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    return torch.where(where, one[0], other[0]), torch.where(where, one[1], other[1])
