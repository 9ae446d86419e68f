"""Parameters that were given as numbers, and take the dtype of the map that they meet until they are told one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from fields import dtypes


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

    def _give_way(self, *names: str) -> None:
        """Let parameters give way that were given as numbers."""
        self._weak = self._weak.union(names)

    def _gives_way(self, *names: str) -> bool:
        """Whether all of some parameters do."""
        return self._weak.issuperset(names)

    def _yielding(self, name: str) -> Tensor | dtypes.Number:
        """A parameter, as what meets a feature map."""
        value: Tensor = getattr(self, name)
        return dtypes.Number(value) if name in self._weak else value

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Tensor | nn.Module) and name in self.__dict__.get("_weak", ()):
            self._weak = self._weak - {name}
        super().__setattr__(name, value)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        if fn(torch.empty(0, dtype=torch.float16)).dtype != torch.float16:  # a dtype, no device
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
