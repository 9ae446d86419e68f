"""How the output of a layer lies over the input: on which axes, at which stride, or nowhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn import functional

from equivariance.measuring.strides import LARGEST, Shapes, confirmed, size_along, stride_of
from equivariance.measuring.watched import ModelFailed, Told, run, watching

NO_OUTPUT = "the model's output is no floating point tensor with an axis for the batch"
#: Sides up to this say nothing between their samples.
SMALL = 2

#: Sizes of maps whose outputs aren't laid out (batch, channels, Y1, …, Yd), by pattern of names; None: not a map.
Tokens = Mapping[str, Sequence[int] | None]


@dataclass(frozen=True)
class Frame:
    """One output of one layer.

    Attributes
    ----------
    name, kind : str
        Its name, and the class of the module.
    shape : tuple of int
        Of the output for one input.
    sizes : tuple of int or None
        Y1, …, Yd; None for outputs without space, which are compared as invariants.
    stride : tuple of float
        Input pixels per step of the output. For an invariant: the coarsest of the maps before it.
    wraps : bool
        Whether the map covers a period: Y·stride = X.
    channels_last : bool
        Whether channels come last, after as many leading tokens as don't fit the sizes.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    sizes: tuple[int, ...] | None
    stride: tuple[float, ...]
    wraps: bool = False
    channels_last: bool = False

    @property
    def is_map(self) -> bool:
        """Whether it has axes of space."""
        return self.sizes is not None

    @property
    def is_small(self) -> bool:
        """Whether it is too small to be compared between its samples."""
        return self.sizes is not None and min(self.sizes) <= SMALL

    def as_map(self, out: Tensor) -> Tensor:
        """The output (n, …) as (n, c, Y1, …, Yd); (n, …) as it is without space."""
        if self.sizes is None or not self.channels_last:
            return out
        if out.ndim == 3:  # leading tokens belong to no point
            out = out[:, out.shape[1] - math.prod(self.sizes) :]
            out = out.unflatten(1, self.sizes)
        return out.movedim(-1, 1)


def survey(
    module: nn.Module,
    x: Tensor,
    layers: str | Sequence[str],
    tokens: Tokens | None = None,
    kept: dict[str, Tensor] | None = None,
) -> list[Frame]:
    """The frames of all watched outputs for one input x (1, c, X1, …, Xd), in the order of execution.

    The model's own outputs are put into `kept`, where it is given.
    """
    size, shapes = tuple(x.shape[2:]), _shapes(module, x, layers, kept=kept)
    frames = [
        _frame(name, kind, shape[1:], size, tokens or {})
        for name, (kind, shape) in shapes.items()
        if shape[0] == 1
    ]
    frames = _settled(module, x, layers, frames)
    coarsest = (1.0,) * len(size)
    settled = []
    for frame in frames:
        if not frame.is_map:
            frame = replace(frame, stride=coarsest)
        elif max(frame.stride) >= 1:
            coarsest = tuple(max(a, b) for a, b in zip(coarsest, frame.stride, strict=True))
        settled.append(frame)
    return settled


def _shapes(
    module: nn.Module,
    x: Tensor,
    layers: str | Sequence[str],
    whole: bool = True,
    kept: dict[str, Tensor] | None = None,
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Class and shape of every output; where the model raises, those before, unless the whole is asked for."""
    seen: dict[str, tuple[str, tuple[int, ...]]] = {}

    def look(name: str, layer: nn.Module, value: Tensor) -> None:
        seen[name] = type(layer).__name__, tuple(value.shape)
        if kept is not None and layer is module:
            kept[name] = value.detach().clone()

    with torch.no_grad(), watching(module, look, layers):
        try:
            run(module, x)
        except ModelFailed:
            if whole:
                raise
    return seen


def _frame(
    name: str, kind: str, shape: tuple[int, ...], size: tuple[int, ...], tokens: Tokens
) -> Frame:
    declared = [sizes for pattern, sizes in tokens.items() if _fits(name, pattern)]
    sizes: tuple[int, ...] | None = shape[1:] if len(shape) == len(size) + 1 else None
    last = False
    if declared:
        sizes, last = _declared(name, shape, size, declared[-1])
    if sizes is None or max(sizes) == 1:
        return Frame(name, kind, shape, None, (1.0,) * len(size))
    stride = tuple(n / m for n, m in zip(size, sizes, strict=True))
    return Frame(name, kind, shape, sizes, stride, True, last)


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name.partition("#")[0], pattern)


def _declared(
    name: str, shape: tuple[int, ...], size: tuple[int, ...], declared: Sequence[int] | None
) -> tuple[tuple[int, ...] | None, bool]:
    if declared is None:
        return None, False
    sizes = tuple(declared)
    fits = len(sizes) == len(size) and (
        (len(shape) == 2 and shape[0] >= math.prod(sizes)) or shape[:-1] == sizes
    )
    if not fits:
        raise Told(
            f"tokens: {name} puts out {('batch', *shape)}, which isn't (batch, tokens, channels) or (batch, Y1, …, "
            f"channels) for a map of {sizes}: give None for outputs that are no maps, by a pattern further on"
        )
    return sizes, True


def _settled(
    module: nn.Module, x: Tensor, layers: str | Sequence[str], frames: Sequence[Frame]
) -> list[Frame]:
    """The frames, with strides that larger inputs confirm."""
    size, seen = tuple(x.shape[2:]), {0: {f.name: f.shape for f in frames}}

    def shapes(more: int) -> Mapping[str, tuple[int, ...]]:
        if more not in seen:
            larger = functional.pad(x, [0, more] * len(size))
            found = _shapes(module, larger, layers, whole=False)
            seen[more] = {name: shape[1:] for name, (_, shape) in found.items()}
        return seen[more]

    maps = [f for f in frames if f.is_map and not f.channels_last]
    if all(_divides(f, size) for f in maps) and _confirmed(maps, shapes):
        return list(frames)
    return [_with_stride(f, shapes, size) if f in maps else f for f in frames]


def _divides(frame: Frame, size: Sequence[int]) -> bool:
    sizes = frame.sizes or ()
    return all(max(n, m) % min(n, m) == 0 for n, m in zip(size, sizes, strict=True))


def _confirmed(maps: Sequence[Frame], shapes: Shapes) -> bool:
    """Whether all maps grow as their strides say for an input that is larger by a multiple of all of them."""
    if not maps:
        return True
    dim = len(maps[0].stride)
    more = math.lcm(*total_stride(maps, dim))
    return more <= LARGEST and all(
        confirmed(size_along(shapes, f.name, axis, dim), stride, more)
        for f in maps
        for axis, stride in enumerate(f.stride)
    )


def _with_stride(frame: Frame, shapes: Shapes, size: tuple[int, ...]) -> Frame:
    dim, sizes = len(size), frame.sizes or ()
    stride = tuple(
        stride_of(size_along(shapes, frame.name, axis, dim), n) for axis, n in enumerate(size)
    )
    wraps = all(math.isclose(m * s, n) for n, m, s in zip(size, sizes, stride, strict=True))
    return replace(frame, stride=stride, wraps=wraps)


def total_stride(frames: Sequence[Frame], dim: int) -> tuple[int, ...]:
    """The least translation per axis that is a multiple of all strides."""
    strides = [f.stride for f in frames if f.is_map]
    return tuple(math.lcm(1, *(max(1, round(s[i])) for s in strides)) for i in range(dim))
