"""Precision where things meet: tensors by torch.promote_types, numbers by what they meet.

What was given as numbers (Python's, numpy's, integers) is weak: float64 alone, and the dtype of whatever it meets that
isn't weak. So a kernel of typed-in numbers works on float32 maps and on float64 ones, and neither changes its dtype.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor


class Typed(Protocol):
    """Whatever has a dtype of its own, or one that gives way."""

    @property
    def dtype(self) -> torch.dtype | None:
        """None where it takes that of what it meets."""

    @property
    def weak(self) -> bool:
        """Whether it gives way."""


def is_weak(value: Any) -> bool:
    """Whether a value that was given for a tensor has no precision of its own."""
    return not isinstance(value, Tensor) or not (value.is_floating_point() or value.is_complex())


def given(values: Iterable[Any]) -> torch.dtype | None:
    """The real dtype in which values that were given meet; None where all are weak."""
    kinds = [v.dtype.to_real() for v in values if not is_weak(v)]
    return functools.reduce(torch.promote_types, kinds) if kinds else None


class Number(NamedTuple):
    """A tensor that gives way, as the numbers do that it was made of."""

    value: Tensor


class Strong(NamedTuple):
    """A dtype that doesn't give way."""

    dtype: torch.dtype
    weak: bool = False


def strong(value: Any) -> list[Strong]:
    """What a value that was given for a tensor brings to where it meets others: nothing, where it is a number."""
    number = is_weak(value) or not value.ndim  # a tensor without axes gives way in torch, too
    return [] if number else [Strong(value.dtype)]


def met(*things: Typed) -> torch.dtype:
    """The dtype in which things meet, at least one of which has one."""
    known = [(thing.dtype, thing.weak) for thing in things]
    strong = [dtype for dtype, weak in known if dtype is not None and not weak]
    return functools.reduce(
        torch.promote_types, strong or [dtype for dtype, _ in known if dtype is not None]
    )


def give_way(*things: Typed) -> bool:
    """Whether nothing of all this has a dtype that counts."""
    return all(thing.weak or thing.dtype is None for thing in things)


def complex_of(dtype: torch.dtype) -> torch.dtype:
    """The complex dtype that sums of waves in a real one are computed in."""
    return torch.complex64 if dtype == torch.float32 else torch.complex128


def alike(value: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor in a real dtype, or in the complex one of its precision."""
    return value.to(dtype.to_complex() if value.is_complex() else dtype)
