"""Parameters that were given as numbers, and take the dtype of the map that they meet until they are told one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn


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
