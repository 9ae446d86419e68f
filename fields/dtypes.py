"""Precision where things meet: tensors by torch.promote_types, numbers by what they meet.

What was given as numbers (Python's, numpy's, integers) is weak: float64 alone, and the dtype of whatever it meets that
isn't weak. So a kernel of typed-in numbers works on float32 maps and on float64 ones, and neither changes its dtype.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn


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


def parameter(value: Tensor) -> nn.Parameter:
    """A parameter as it is, shared; a copy of any other tensor."""
    return value if isinstance(value, nn.Parameter) else nn.Parameter(value.detach().clone())


class Weak(nn.Module):
    """Abstract: a module that knows which of its parameters were given as numbers (`fields.dtypes`).

    `.to(dtype)`, `load_state_dict` and assignments give them a dtype.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._weak: frozenset[str] = frozenset()

    def _learn(self, name: str, value: Tensor, given: Any) -> None:
        """Make a parameter of a tensor, which gives way where it was given as numbers."""
        setattr(self, name, parameter(value))
        if is_weak(given):
            self._give_way(name)

    def _give_way(self, *names: str) -> None:
        """Let parameters give way that were given as numbers."""
        self._weak = self._weak.union(names)

    def _gives_way(self, *names: str) -> bool:
        """Whether all of some parameters do."""
        return self._weak.issuperset(names)

    def _meeting(self, dtype: torch.dtype, name: str) -> torch.dtype:
        """The dtype in which a parameter meets values of another."""
        own: Tensor = getattr(self, name)
        return dtype if name in self._weak else torch.promote_types(dtype, own.dtype)

    def _yielding(self, name: str) -> Tensor | Number:
        """A parameter, as what meets a feature map."""
        value: Tensor = getattr(self, name)
        return Number(value) if name in self._weak else value

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Tensor | nn.Module) and name in self.__dict__.get("_weak", ()):
            self._weak = self._weak - {name}
        super().__setattr__(name, value)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        probes = (torch.empty(0, dtype=kind) for kind in (torch.float16, torch.bfloat16))
        if any(fn(probe).dtype != probe.dtype for probe in probes):  # a dtype, no device
            self._weak = frozenset()
        moved: Self = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return moved

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in self._weak:
            own = (prefix + name, prefix + name + ".")
            stored = [v for k, v in state.items() if k == own[0] or k.startswith(own[1])]
            kept = getattr(self, name)
            if stored and isinstance(kept, nn.Module):
                kept.to(stored[0].dtype)
            elif stored:
                kept.data = kept.data.to(stored[0].dtype)
            self._weak = self._weak - ({name} if stored else set())
        super()._load_from_state_dict(state, prefix, *args)
