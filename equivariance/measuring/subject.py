"""A model and its inputs, ready to be measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from equivariance.measuring.sources import LIMIT, Source, as_source
from equivariance.measuring.watching import device_and_dtype, run, watchable
from fields import checks


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
) -> Subject:
    """Copy the model and make its inputs; arguments as for `measure`."""
    (batch,) = checks.integers(batch, 1, "batch")
    if channels is not None:
        (channels,) = checks.integers(channels, 1, "channels")
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
