"""What is made of tensors and kept: for as long as they hold what they held."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import maybe_current_level
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

from fields.accuracy import MOST_KEPT
from fields.arrays import tracked


def keeps(tensors: Sequence[Tensor]) -> bool:
    """Whether anything that is made of tensors may outlive the call."""
    return not (torch.compiler.is_compiling() or tracked(*tensors))


class Kept:
    """Things made of tensors, each kept beside a copy of what the tensors held.

    torch's count of changes in place misses those through `.data`, through an array that shares memory, or in
    `inference_mode`: so values are compared, in one pass over them. Nothing is kept where derivatives are taken through
    the tensors, nor while torch compiles or transforms them. What is made of numbers alone has a name that says them.
    """

    def __init__(self) -> None:
        self._made: dict[Any, tuple[list[Copy], Sequence[Any], Any]] = {}

    def __reduce__(self) -> Any:
        return Kept, ()  # copies and pickles make theirs again

    def last(self, name: str) -> Any:
        """What was made last, whatever the tensors hold by now; None before."""
        return self._made.get(name, (None,))[-1]

    def of(
        self,
        name: Any,
        tensors: Sequence[Tensor],
        make: Callable[..., Any],
        beside: Sequence[Any] = (),
    ) -> Any:
        """What `make` makes of the tensors, and of things that don't change, now or earlier."""
        found = self._made.get(name)  # read once: other threads put in theirs
        if found is not None and not (tensors or beside):
            return found[-1]
        if not keeps(tensors):
            return make(*tensors)
        if found is not None:
            copies, others, made = found
            same = len(copies) == len(tensors) and all(map(Copy.holds, copies, tensors))
            if same and len(others) == len(beside) and all(map(operator.is_, others, beside)):
                return made
        # Else no later evaluation could have gradients; and what is made inside of vmap or jvp must outlive them.
        with torch.inference_mode(False), torch.no_grad(), temporarily_clear_interpreter_stack():
            copies = [Copy.of(t.detach()) for t in tensors]
            made = make(*(c.tensor for c in copies))  # whatever happens to the tensors meanwhile
        if found is None and len(self._made) >= MOST_KEPT:
            self._made.pop(next(iter(self._made)), None)
        self._made[name] = copies, beside, made
        return made


@dataclass(frozen=True)
class Copy:
    """What a tensor held, and its memory, where it can be read as bytes: these are compared several times as fast."""

    tensor: Tensor
    memory: bytearray | None

    @classmethod
    def of(cls, tensor: Tensor) -> Copy:
        """A copy of a tensor."""
        one = tensor if _readable(tensor) else tensor.clone(memory_format=torch.contiguous_format)
        if not _readable(one) or not one.numel():
            return cls(one.clone() if one is tensor else one, None)
        memory = bytearray(one.numpy().data)
        return cls(torch.frombuffer(memory, dtype=one.dtype).reshape(one.shape), memory)

    def holds(self, tensor: Tensor) -> bool:
        """Whether a tensor holds the same."""
        own = self.tensor
        if (own.shape, own.dtype, own.device) != (tensor.shape, tensor.dtype, tensor.device):
            return False
        if self.memory is None or not _readable(tensor):
            return torch.equal(own, tensor)
        if maybe_current_level() is not None:
            with (
                temporarily_clear_interpreter_stack()
            ):  # inside of vmap or jvp torch wraps what it detaches
                return self.memory == tensor.detach().numpy().data
        return self.memory == tensor.detach().numpy().data


def _readable(tensor: Tensor) -> bool:
    """Whether a tensor's memory is that of an array."""
    plain = not (tensor.is_conj() or tensor.is_neg() or tensor.dtype == torch.bfloat16)
    return plain and tensor.device.type == "cpu" and tensor.is_contiguous()
