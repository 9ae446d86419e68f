"""Checks at the boundary of the public interface: what was expected, what came, how to mend it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._C import _functorch as functorch

#: Whatever a number or one number per axis can be given as.
VectorLike = float | Iterable[float] | Tensor


def as_tensor(value: Any, name: str, like: Tensor | None = None) -> Tensor:
    """Return `value` as a finite tensor.

    A tensor keeps its dtype and device; anything else takes those of `like`, or float64.
    """
    if not isinstance(value, Tensor):
        dtype = torch.float64 if like is None else like.dtype
        device = None if like is None else like.device
        try:
            value = torch.as_tensor(value, dtype=dtype, device=device)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"{name} must be numbers or a tensor, got {value!r}") from error
    if not (value.is_floating_point() or value.is_complex()):
        value = value.to(torch.float64 if like is None else like.dtype)
    return require_finite(value, name)


def all_finite(value: Tensor) -> bool:
    """Whether `value` has neither a NaN nor an infinity; taken for granted under torch.vmap and torch.compile."""
    plain = None if torch.compiler.is_compiling() else _plain(value.detach())
    if plain is None:
        return True  # there are no values to look at
    inside = (
        functorch.maybe_current_level() is not None
    )  # of a transform, which wraps whatever is done
    if inside or plain.device.type != "cpu" or plain.dtype == torch.bfloat16 or plain.is_conj():
        return bool(torch.isfinite(plain).all())
    # A finite sum has finite terms, and needs no temporaries; one that overflows says nothing. numpy's sum leaves
    # torch's threads asleep, which go on spinning for a while once they are woken.
    with np.errstate(all="ignore"):
        finite = np.isfinite(plain.numpy().sum())
    return bool(finite) or bool(torch.isfinite(plain).all())


def _plain(value: Tensor) -> Tensor | None:
    """The tensor inside of those that torch.func wraps around it; None where torch.vmap is among them."""
    while functorch.is_functorch_wrapped_tensor(value):
        if functorch.is_batchedtensor(value):
            return None
        value = functorch.get_unwrapped(value)
    return value


def require_finite(value: Tensor, name: str) -> Tensor:
    """Raise ValueError where `value` has a NaN or an infinity."""
    if not all_finite(value):
        bad = int((~torch.isfinite(value)).sum())
        raise ValueError(
            f"{name} must be finite, got {bad} NaN or infinite of {value.numel()} values: "
            "replace them first (torch.nan_to_num, say)"
        )
    return value


def per_axis(value: VectorLike, dim: int, name: str) -> tuple[float, ...]:
    """Return one finite float per axis; a single number is repeated."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().double().tolist()
    if isinstance(value, int | float | Real):
        numbers = [float(value)] * dim
    else:
        try:
            numbers = [float(v) for v in value]
        except TypeError as error:
            raise TypeError(f"{name} must be a number or {dim} numbers, got {value!r}") from error
    if len(numbers) != dim:
        raise ValueError(f"{name} must be a number or {dim} numbers, got {len(numbers)}: {numbers}")
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{name} must be finite, got {numbers}")
    return tuple(numbers)


def positive(value: VectorLike, dim: int, name: str) -> tuple[float, ...]:
    """Return one positive float per axis."""
    numbers = per_axis(value, dim, name)
    if min(numbers) <= 0:
        raise ValueError(f"{name} must be positive, got {numbers}")
    return numbers


def lengths(value: VectorLike, name: str) -> float | tuple[float, ...]:
    """Return positive lengths whose number of axes is not known yet: a single number, or one per axis."""
    if isinstance(value, Tensor):
        value = value.tolist()
    if isinstance(value, int | float | Real):
        return positive(float(value), 1, name)[0]
    numbers = tuple(value)
    return positive(numbers, len(numbers), name)


def integers(value: Any, dim: int, name: str, least: int = 1) -> tuple[int, ...]:
    """Return one integer ≥ `least` per axis; a single integer is repeated."""
    numbers = per_axis(value, dim, name)
    whole = tuple(round(n) for n in numbers)
    if any(n != w or w < least for n, w in zip(numbers, whole, strict=True)):
        raise ValueError(f"{name} must be integers of at least {least}, got {value!r}")
    return whole


def translation(t: Any, dim: int) -> Tensor:
    """Return a translation as a finite float64 tensor (*batch, d); its gradient is kept."""
    vector = as_tensor(t, "translation t").to(torch.float64)
    if vector.ndim == 0 and dim == 1:
        vector = vector[None]
    if vector.ndim == 0 or vector.shape[-1] != dim:
        raise ValueError(
            f"a translation in {dim} dimensions has shape ({dim},) or (*batch, {dim}), "
            f"got {tuple(vector.shape)}"
        )
    return vector


def matrix(value: Any, in_channels: int, like: Tensor) -> Tensor:
    """Return a channel matrix (c_out, c_in) that fits `in_channels` and the dtype of `like`."""
    value = as_tensor(value, "matrix", like)
    if value.ndim != 2 or value.shape[1] != in_channels:
        raise ValueError(
            f"a channel matrix on {in_channels} channels has shape (c_out, {in_channels}), "
            f"got {tuple(value.shape)}"
        )
    return same_dtype(value, like.dtype, "matrix")


def channel_vector(value: Any, channels: int, like: Tensor) -> Tensor:
    """Return one number per channel as a tensor (c,); a single number stays a scalar tensor."""
    value = as_tensor(value, "vector of channels", like)
    if value.ndim and tuple(value.shape) != (channels,):
        raise ValueError(
            f"expected a number or a tensor of shape ({channels},), one entry per channel, "
            f"got shape {tuple(value.shape)}"
        )
    return value if value.ndim == 0 else same_dtype(value, like.dtype, "vector of channels")


def same_dtype(value: Tensor, dtype: torch.dtype, name: str) -> Tensor:
    """Raise TypeError where `value` is not of `dtype`."""
    if value.dtype != dtype:
        raise TypeError(
            f"{name} is {value.dtype}, the feature map {dtype}: convert one of them "
            f"(tensor.to({dtype}), layer.to({dtype}))"
        )
    return value


def same_channels(left: int, right: int) -> int:
    """Return the channels of a pointwise combination: equal, or one of the two has a single one."""
    if left != right and 1 not in (left, right):
        raise ValueError(
            f"feature maps with {left} and {right} channels don't combine pointwise: "
            "bring them to the same number with .mix(matrix)"
        )
    return max(left, right)


def dimension(dim: Any) -> int:
    """Check a number of dimensions."""
    (whole,) = integers(dim, 1, "dim")
    if whole > 3:
        raise ValueError(f"fields live on R^1, R^2 or R^3, got dim = {whole}")
    return whole
