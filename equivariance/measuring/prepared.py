"""A model with its inputs, ready to be measured.

Where it takes more than one map (several images, a timestep, a text), or maps without an axis of channels, all maps are
packed into the channels of one tensor, which is what is translated; a hook in front of the model hands it what it
takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from equivariance.measuring.sources import LIMIT, Source, as_source
from equivariance.measuring.watched import device_and_dtype, run, watchable
from fields import Field, checks

#: Options of `measure` that say what the model is given.
OF_INPUTS = ("boundary", "channels", "limit", "batch", "dtype", "seed", "fixed")
DETECTOR = """a list of images, as detectors take it, is no batch: give a tensor (B, c, H, W) and a model that makes it
class Batched(nn.Module):
    def __init__(self, model): super().__init__(); self.model = model
    def forward(self, x): return [one["boxes"] for one in self.model(list(x))]"""


@dataclass(frozen=True)
class _Slot:
    """A map among the arguments: so many channels of the packed tensor, or one without an axis of its own."""

    first: int
    channels: int
    is_flat: bool

    def of(self, x: Tensor) -> Tensor:
        part = x.narrow(1, self.first, self.channels)
        return part.squeeze(1) if self.is_flat else part


@dataclass(frozen=True)
class Arguments:
    """What a model is called with, for a packed tensor (n, c, X1, …, Xd): a hook in front of its forward.

    Attributes
    ----------
    positional : tuple
        Slots and values, in order.
    named : dict
        The same by name.
    count : int
        B: values with as many entries belong to the inputs one by one, those with one to all.
    """

    positional: tuple[Any, ...]
    named: Mapping[str, Any]
    count: int

    def __call__(self, module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """The arguments for a packed tensor."""
        (x,) = args
        given = [self._value(v, x) for v in self.positional]
        return tuple(given), {name: self._value(v, x) for name, v in self.named.items()}

    def _value(self, value: Any, x: Tensor) -> Any:
        if isinstance(value, _Slot):
            return value.of(x)
        if not isinstance(value, Tensor):
            return value
        value = value.to(x.device, x.dtype) if value.is_floating_point() else value.to(x.device)
        if value.ndim == 0 or len(value) not in (1, self.count):
            return value
        if len(x) % len(value):
            value = value[:1]
        return value.repeat(len(x) // len(value), *(1,) * (value.ndim - 1))


def taking(
    module: nn.Module,
    inputs: Any,
    fixed: Mapping[str, Any] | None = None,
    channels: int | None = None,
    size: Sequence[int] | None = None,
) -> tuple[nn.Module, Any, int | None]:
    """A model that takes one tensor (B, c, X1, …, Xd), inputs for it, and their channels, as far as known.

    Parameters
    ----------
    module : nn.Module
    inputs
        As for `measure`: of a tuple or a dict of tensors, the arguments of the model, those are maps that are floating
        and share the size of the first; the others are handed on, those with one entry for each input with it.
    fixed : dict, optional
        Further arguments by name, which don't move.
    channels : int, optional
        0: maps have no axis of channels.
    size : sequence of int, optional
        Of maps.
    """
    fixed = dict(fixed or {})
    if isinstance(inputs, np.ndarray):
        inputs = checks.as_tensor(inputs, "inputs")
    if isinstance(inputs, list) and inputs and all(map(_is_image, inputs)):
        raise TypeError(DETECTOR)
    several = isinstance(inputs, Mapping) or (isinstance(inputs, tuple) and not _are_fields(inputs))
    flat = channels == 0 or _is_signal(inputs, size)
    if not several and not fixed and not flat:
        return module, inputs, channels
    if several:
        hook, inputs = _packed(inputs, fixed, channels == 0)
    else:
        count = len(inputs) if isinstance(inputs, Tensor) else -1
        slot = _Slot(0, 1, True) if flat else _Whole()
        hook = Arguments((slot,), fixed, count)
        if flat and isinstance(inputs, Tensor):
            inputs = inputs.unsqueeze(1)
    copied = watchable(module)
    copied.register_forward_pre_hook(hook, with_kwargs=True)
    return copied, inputs, 1 if flat else channels


class _Whole(_Slot):
    """The only map, with all channels that it has."""

    def __init__(self) -> None:
        super().__init__(0, 0, False)

    def of(self, x: Tensor) -> Tensor:
        return x


def _packed(
    inputs: Any, fixed: Mapping[str, Any], without_channels: bool
) -> tuple[Arguments, Tensor]:
    named = inputs if isinstance(inputs, Mapping) else dict(enumerate(inputs))
    named = {name: _as_tensor(value) for name, value in named.items()}
    floats = [v for n, v in named.items() if _may_be_map(v) and n not in fixed]
    if not floats:
        raise ValueError(
            "a tuple or dict of inputs needs a map among them, a floating point tensor (B, c, X1, …, Xd) or (B, T); "
            "for batches one after the other give a list"
        )
    first = floats[0]
    size = first.shape[1:] if first.ndim == 2 or without_channels else first.shape[2:]
    slots: dict[Any, Any] = {}
    parts: list[Tensor] = []
    for name, value in named.items():
        shape = tuple(value.shape) if _may_be_map(value) and name not in fixed else ()
        if shape[1:] == tuple(size):
            value = value.unsqueeze(1)
        elif len(shape) != len(size) + 2 or shape[2:] != tuple(size):
            slots[name] = value
            continue
        if len(value) != len(first):
            raise ValueError(f"maps share their batch, got {len(first)} and {len(value)} inputs")
        is_flat = shape[1:] == tuple(size)
        slots[name] = _Slot(sum(p.shape[1] for p in parts), value.shape[1], is_flat)
        parts.append(value)
    positional = () if isinstance(inputs, Mapping) else tuple(slots.values())
    keywords = {**(slots if isinstance(inputs, Mapping) else {}), **fixed}
    return Arguments(positional, keywords, len(first)), torch.cat(parts, 1)


def _as_tensor(value: Any) -> Any:
    return checks.as_tensor(value, "inputs") if isinstance(value, np.ndarray) else value


def _may_be_map(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim > 1


def _are_fields(inputs: tuple[Any, ...]) -> bool:
    return len(inputs) > 0 and all(isinstance(f, Field) for f in inputs)


def _is_signal(inputs: Any, size: Sequence[int] | None) -> bool:
    """Whether inputs are (B, T)."""
    return isinstance(inputs, Tensor) and inputs.ndim == 2 and (size is None or len(size) == 1)


def _is_image(value: Any) -> bool:
    """Whether it is (c, H, W)."""
    if not isinstance(value, Tensor) or value.ndim != 3:
        return False
    return value.shape[0] in (1, 3, 4) and min(value.shape[1:]) > 8


@dataclass(frozen=True)
class Subject:
    """A model that is ready to be measured.

    Attributes
    ----------
    module : nn.Module
        A copy, in evaluation mode.
    source : Source
        Its inputs.
    device, dtype
        What it takes.
    layers : str or sequence of str
        Which are watched.
    batch : int
        Inputs per pass, at most; at least one translate of all inputs.
    """

    module: nn.Module
    source: Source
    device: torch.device
    dtype: torch.dtype
    layers: str | Sequence[str]
    batch: int

    def at(self, t: Tensor) -> Tensor:
        """Inputs for translations (K, d), as the model takes them: (K·B, c, X1, …, Xd)."""
        return self.source.moved(t).flatten(0, 1).to(self.device, self.dtype)

    @property
    def dim(self) -> int:
        """Axes of space."""
        return len(self.source.size)


def prepare(
    module: nn.Module,
    inputs: Any,
    size: Sequence[int] | None,
    layers: str | Sequence[str] = "output",
    boundary: str = "periodic",
    channels: int | None = None,
    limit: int = LIMIT,
    batch: int = 16,
    dtype: torch.dtype | None = None,
    reach: Sequence[float] | None = None,
    seed: int = 0,
    fixed: Mapping[str, Any] | None = None,
) -> Subject:
    """Copy the model and make its inputs; arguments as for `measure`."""
    (batch,) = checks.integers(batch, 1, "batch")
    if channels is not None:
        (channels,) = checks.integers(channels, 1, "channels", least=0)
    module, inputs, channels = taking(module, inputs, fixed, channels, size)
    copied = watchable(module)
    if dtype is not None:
        if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
            raise ValueError(f"dtype must be a floating point one, got {checks.said(dtype)}")
        copied = copied.to(dtype)
    device, own = device_and_dtype(copied, inputs)
    source = as_source(
        inputs, size, channels or input_channels(copied), boundary, limit, reach, seed
    )
    return Subject(copied, source, device, dtype or own, layers, batch)


def check_precision(subject: Subject) -> None:
    """Raise where rounding is as large as what is measured."""
    if subject.dtype not in (torch.float32, torch.float64):
        name = str(subject.dtype).removeprefix("torch.")
        raise ValueError(
            f"in {name} rounding hides whether a model is equivariant: give dtype=torch.float32 (--dtype float32), or "
            "torch.float64"
        )


def input_channels(module: nn.Module) -> int | None:
    """Channels that the first layer with such a number takes."""
    for layer in module.modules():
        if isinstance(getattr(layer, "in_channels", None), int):
            return int(layer.in_channels)  # type: ignore[arg-type]
    return None


def outputs(subject: Subject, t: Tensor) -> Tensor:
    """The model's outputs for all inputs moved by t, (K, B, …)."""
    at_once = max(1, subject.batch // subject.source.count)
    parts = []
    with torch.no_grad():
        for part in t.split(at_once):
            out = run(subject.module, subject.at(part))
            if not isinstance(out, Tensor):
                raise ValueError(
                    f"the model must return one tensor here, got {type(out).__name__}: wrap it in one that picks it"
                )
            parts.append(out.reshape(len(part), subject.source.count, *out.shape[1:]))
    return torch.cat(parts)
