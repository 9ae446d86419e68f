"""Checks of arguments that are neither tensors nor lengths: fractions, sizes, words, sequences, functions, devices."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fields.accuracy import MOST_THINGS
from fields.checks import per_axis, positive, said


def fraction(value: Any, name: str) -> float:
    """Return a number between 0 and 1, neither included."""
    (number,) = per_axis(value, 1, name)
    if not 0 < number < 1:
        raise ValueError(f"{name} must lie between 0 and 1, got {said(value)}")
    return number


def size(value: Any, name: str = "memory") -> int:
    """Return a bound on memory: a number of bytes, at least 1."""
    (number,) = per_axis(value, 1, name)
    if number < 1:
        raise ValueError(f"{name} must be a number of bytes, at least 1, got {said(value)}")
    return int(number)


def affordable(count: float, what: str, itemsize: int = 8, memory: int = 1 << 30) -> None:
    """Raise ValueError where `count` numbers of some bytes each don't fit into `memory`."""
    if count * itemsize > memory:
        raise ValueError(
            f"{what} would need {count * itemsize / 2**20:.3g} MiB, the bound is {memory / 2**20:.0f} MiB: take fewer"
        )


def flag(value: Any, name: str) -> bool:
    """Return True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {said(value)}")
    return bool(value)


def choice(value: Any, name: str, choices: Iterable[str]) -> str:
    """Return one of some words."""
    words = tuple(choices)
    if not isinstance(value, str) or value not in words:
        raise ValueError(f"{name} must be one of {', '.join(words)}, got {said(value)}")
    return value


def sequence(value: Any, name: str, of: str) -> list[Any]:
    """Return a list of the things in `value`, up to 10,000 of them."""
    if (
        isinstance(value, str | bytes | Mapping)
        or not isinstance(value, Iterable)
        or _scalar(value)
    ):
        raise TypeError(f"{name} must be a sequence of {of}, got {said(value)}")
    found = list(itertools.islice(value, MOST_THINGS + 1))
    if len(found) > MOST_THINGS:
        raise ValueError(f"{name} must be a sequence of {of}, got more than {MOST_THINGS}")
    return found


def _scalar(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray | np.generic) and value.ndim == 0


def function(value: Any, name: str, of: str) -> Any:
    """Return something that can be called."""
    if not callable(value):
        raise TypeError(
            f"{name} must be callable, got {type(value).__name__}: expected a function of {of}"
        )
    return value


def known_of_function(
    jumps: Any, finest: Any, dim: int
) -> tuple[bool | None, tuple[float, ...] | None]:
    """Return what is said of an opaque function: whether it jumps, and the frequency of its finest features."""
    return (
        None if jumps is None else flag(jumps, "jumps"),
        None if finest is None else positive(finest, dim, "finest"),
    )


def result(value: Any, name: str) -> Tensor:
    """Return what a function of tensors returned, a tensor of real numbers."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must return a tensor, got {type(value).__name__}")
    if value.is_complex():
        raise TypeError(f"{name} must return real numbers, got {value.dtype}")
    return value


def real_dtype(value: Any, name: str = "dtype") -> torch.dtype:
    """Return torch.float32 or torch.float64."""
    if not isinstance(value, torch.dtype) or value not in (torch.float32, torch.float64):
        raise TypeError(f"{name} must be torch.float32 or torch.float64, got {said(value)}")
    return value


def on_device(value: Any) -> torch.device:
    """Return a device that torch knows and has."""
    if not isinstance(value, str | torch.device):
        raise TypeError(f"device must be a torch.device or its name, got {said(value)}")
    try:
        device = torch.empty(0, device=value).device
    except (RuntimeError, ValueError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"there is no device {value!r} for tensors here: {str(error).splitlines()[0]}"
        ) from error
    if device.type == "meta":
        raise ValueError("device 'meta' holds no values: take another one, 'cpu' say")
    return device


def generator(seed: Any) -> torch.Generator:
    """Return torch's generator of random numbers: given, or made from an integer seed."""
    if isinstance(seed, torch.Generator):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise TypeError(f"seed must be an integer or a torch.Generator, got {said(seed)}")
    if not -(2**63) <= int(seed) < 2**63:
        raise ValueError(f"seed must be an integer of at most 63 bits, got {said(seed)}")
    return torch.Generator().manual_seed(int(seed))


def own_dimension(what: str, own: int, dim: int) -> None:
    """Raise where something that has a dimension meets a feature map of another one."""
    if own != dim:
        raise ValueError(f"{what} {own} dimensions, the feature map has {dim}")
