"""Checks at the boundary of the public interface: what was expected, what came, how to mend it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Set
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._C import _functorch as functorch

from fields.accuracy import LONGEST, MOST_ELEMENTS, SHORTEST
from fields.dtypes import Number

#: Whatever a number or one number per axis can be given as.
VectorLike = float | Iterable[float] | Tensor

#: What amplitudes and Fourier coefficients may be.
COMPLEX = (torch.complex64, torch.complex128)


def said(value: Any) -> str:
    """A value in an error message: its beginning, where it is long."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}…"


def as_tensor(
    value: Any, name: str, like: Tensor | None = None, complex_too: bool = False
) -> Tensor:
    """Return `value` as a finite tensor, real unless `complex_too`.

    A tensor is not copied, so that gradients reach it, and keeps its dtype and device; anything else is copied, and
    takes those of `like`, or float64 (complex128, where it is complex and may be).
    """
    if isinstance(value, Number):
        value = value.value if like is None else value.value.to(like.dtype)
    if not isinstance(value, Tensor):
        value = _converted(value, name, like, complex_too)
    require_plain(value, name)
    if not (value.is_floating_point() or value.is_complex()):
        value = value.to(torch.float64 if like is None else like.dtype)
    if value.is_complex() and not complex_too:
        raise TypeError(
            f"{name} must be real, got {value.dtype}: take its real part, or its modulus"
        )
    return require_finite(value, name)


def _converted(value: Any, name: str, like: Tensor | None, complex_too: bool) -> Tensor:
    dtype = torch.float64 if like is None else like.dtype
    device = None if like is None else like.device
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must be numbers, got a masked array: fill what is masked first")
    if _is_complex(value):
        if not complex_too:
            raise TypeError(
                f"{name} must be real, got complex numbers: take their real part, or their modulus"
            )
        dtype = torch.promote_types(dtype, torch.complex64)
    try:
        if isinstance(value, np.ndarray):
            # A copy: torch takes neither read-only memory nor negative strides, nor the other byte order, and can't
            # tell when an array that it shares is changed.
            value = value.astype(value.dtype.newbyteorder("="))
        return torch.as_tensor(value, dtype=dtype, device=device)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise TypeError(f"{name} must be numbers or a tensor, got {said(value)}") from error


def _is_complex(value: Any) -> bool:
    """Whether numbers that are no tensor have imaginary parts."""
    if isinstance(value, int | float):  # torch.compile doesn't know numpy's numbers
        return False
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind == "c"
    if isinstance(value, list | tuple):
        return any(map(_is_complex, value))
    return isinstance(value, complex)


def require_plain(value: Tensor, name: str) -> Tensor:
    """Raise TypeError where a tensor has no values that can be read and computed with like any other's."""
    if value.layout != torch.strided or value.is_quantized or value.device.type == "meta":
        kind = value.device.type if value.device.type == "meta" else str(value.layout)
        kind = str(value.dtype) if value.is_quantized else kind
        raise TypeError(
            f"{name} must be a plain tensor of numbers, got one of kind {kind}: "
            "tensor.to_dense(), tensor.dequantize(), or one with values, make it so"
        )
    return value


def tracing() -> bool:
    """Whether nothing can depend on values: within torch.compile, torch.export, torch.vmap and the like."""
    return torch.compiler.is_compiling() or functorch.maybe_current_level() is not None


def all_finite(value: Tensor) -> bool:
    """Whether `value` has neither a NaN nor an infinity; taken for granted under torch.vmap and torch.compile."""
    plain = None if torch.compiler.is_compiling() else unwrapped(value.detach())
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


def unwrapped(value: Tensor) -> Tensor | None:
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
    return _numbers(value, dim, name, f"a number or {dim} numbers")


def _numbers(value: Any, dim: int | None, name: str, wanted: str) -> tuple[float, ...]:
    """Finite floats: `dim` of them, a single one repeated; or one to three, where `dim` is None."""
    if isinstance(value, Tensor | np.ndarray):
        value = as_tensor(value, name).detach().cpu().double().tolist()
    if isinstance(value, int | float | Real):
        value = [value] * (dim or 1)
    if isinstance(value, str | bytes | Mapping | Set) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be {wanted}, got {said(value)}")
    few = list(itertools.islice(value, (dim or 3) + 1))
    if any(isinstance(v, str | bytes) for v in few):
        raise TypeError(f"{name} must be {wanted}, got {said(few)}")
    try:
        numbers = [float(v.detach() if isinstance(v, Tensor) else v) for v in few]
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise TypeError(f"{name} must be {wanted}, got {said(few)}") from error
    if len(numbers) != dim and (dim or not 1 <= len(numbers) <= 3):
        more = "or more " if len(numbers) > (dim or 3) else ""
        raise ValueError(
            f"{name} must be {wanted}, got {len(numbers)} {more}of them: {said(numbers)}"
        )
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{name} must be finite, got {numbers}")
    return tuple(numbers)


def positive(value: VectorLike, dim: int, name: str) -> tuple[float, ...]:
    """Return one positive float per axis, neither so small nor so large that its square is lost."""
    return _lengths(per_axis(value, dim, name), name)


def lengths(value: VectorLike, name: str) -> float | tuple[float, ...]:
    """Return positive lengths whose number of axes is not known yet: a single number, or one per axis."""
    numbers = _lengths(
        _numbers(value, None, name, "a number, or one for each of 1, 2 or 3 axes"), name
    )
    return numbers[0] if _single(value) else numbers


def _lengths(numbers: tuple[float, ...], name: str) -> tuple[float, ...]:
    if min(numbers) <= 0:
        raise ValueError(f"{name} must be positive, got {numbers}")
    if not SHORTEST <= min(numbers) <= max(numbers) <= LONGEST:
        raise ValueError(
            f"{name} must lie between {SHORTEST:g} and {LONGEST:g}, got {numbers}: choose another unit"
        )
    return numbers


def integers(
    value: Any, dim: int, name: str, least: int = 1, most: int = MOST_ELEMENTS
) -> tuple[int, ...]:
    """Return one integer between `least` and `most` per axis; a single integer is repeated."""
    numbers = per_axis(value, dim, name)
    whole = tuple(round(n) for n in numbers)
    if any(n != w or w < least for n, w in zip(numbers, whole, strict=True)):
        raise ValueError(f"{name} must be integers of at least {least}, got {said(value)}")
    if max(whole) > most:
        raise ValueError(f"{name} must be integers of at most {most}, got {said(value)}")
    return whole


def counts(
    value: Any, name: str, least: int = 1, most: int = MOST_ELEMENTS
) -> int | tuple[int, ...]:
    """Return integers whose number of axes is not known yet: a single one, or one per axis."""
    numbers = _numbers(value, None, name, "an integer, or one for each of 1, 2 or 3 axes")
    whole = integers(value, len(numbers), name, least, most)
    return whole[0] if _single(value) else whole


def _single(value: Any) -> bool:
    if isinstance(value, Tensor | np.ndarray):
        return value.ndim == 0
    return isinstance(value, Real)


def translation(t: Any, dim: int) -> Tensor:
    """Return a translation as a finite float64 tensor (*batch, d); its gradient is kept."""
    vector = as_translation(as_tensor(t, "translation t"), dim)
    if vector.ndim == 0 or vector.shape[-1] != dim:
        raise ValueError(
            f"a translation in {dim} dimensions has shape ({dim},) or (*batch, {dim}), "
            f"got {tuple(vector.shape)}"
        )
    if not vector.numel():
        raise ValueError(f"a batch of translations needs at least one, got {tuple(vector.shape)}")
    known = None if torch.compiler.is_compiling() else unwrapped(vector.detach())
    if known is not None and float(known.abs().amax()) > LONGEST:
        raise ValueError(f"translations must be at most {LONGEST:g}: choose another unit of length")
    return vector


def as_translation(t: Tensor, dim: int) -> Tensor:
    """A translation in float64; a number is one in one dimension."""
    vector = t.to(torch.float64)
    return vector[None] if vector.ndim == 0 and dim == 1 else vector


def owned(value: Tensor) -> Tensor:
    """A copy, with its gradient, which later changes of `value` in place don't reach.

    A leaf that asks for gradients is returned itself: an optimiser changes it in place, and is meant to.
    """
    return value if value.requires_grad and value.is_leaf else value.clone()


def matrix(value: Any, in_channels: int, like: Tensor) -> Tensor:
    """Return a channel matrix (c_out, c_in) that fits `in_channels`."""
    tensor = as_tensor(value, "matrix", like)
    if tensor.ndim != 2 or tensor.shape[1] != in_channels or not len(tensor):
        raise ValueError(
            f"a channel matrix on {in_channels} channels has shape (c_out, {in_channels}), "
            f"got {tuple(tensor.shape)}"
        )
    return tensor


def channel_vector(value: Any, channels: int, like: Tensor) -> Tensor:
    """Return one number per channel as a tensor (c,); a single number stays a scalar tensor."""
    tensor = as_tensor(value, "vector of channels", like)
    if tensor.ndim and tuple(tensor.shape) != (channels,):
        raise ValueError(
            f"expected a number or a tensor of shape ({channels},), one entry per channel, "
            f"got shape {tuple(tensor.shape)}"
        )
    return tensor


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
