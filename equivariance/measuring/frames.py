"""How the output of a layer lies over the input: on which axes, at which stride, or nowhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from equivariance.measuring.watching import ModelFailed, Told, run, watching

#: Enlargements of the input, in pixels, that tell strides where sizes don't divide.
ENLARGEMENTS = (64, 60, 56, 72)
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
    if any(f.sizes is not None and not _divides(f, size) for f in frames):
        slopes = _slopes(module, x, layers)
        frames = [_with_slope(f, slopes.get(f.name, {}), size) for f in frames]
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
            f"channels) for a map of {sizes}"
        )
    return sizes, True


def _divides(frame: Frame, size: Sequence[int]) -> bool:
    assert frame.sizes is not None
    return all(max(n, m) % min(n, m) == 0 for n, m in zip(size, frame.sizes, strict=True))


def _slopes(
    module: nn.Module, x: Tensor, layers: str | Sequence[str]
) -> dict[str, dict[int, tuple[int, ...]]]:
    """Shapes per layer for enlarged inputs, as far as the model takes them."""
    found: dict[str, dict[int, tuple[int, ...]]] = {}
    for more in ENLARGEMENTS:
        larger = x.new_zeros(*x.shape[:2], *(n + more for n in x.shape[2:]))
        for name, (_, shape) in _shapes(module, larger, layers, whole=False).items():
            found.setdefault(name, {})[more] = shape[1:]
    return found


def _with_slope(
    frame: Frame, larger: Mapping[int, tuple[int, ...]], size: tuple[int, ...]
) -> Frame:
    """The stride as added pixels per added sample, where that is a whole number for some enlargement."""
    if frame.sizes is None or frame.channels_last:
        return frame
    stride: list[float] = []
    for axis, (n, m) in enumerate(zip(size, frame.sizes, strict=True)):
        guesses = [
            more / (shape[1 + axis] - m)
            for more, shape in larger.items()
            if len(shape) == len(size) + 1 and shape[1 + axis] > m
        ]
        even = [g for g in guesses if g == round(g) or 1 / g == round(1 / g)]
        stride.append(even[0] if even else max(1.0, float(round(n / m))))
    wraps = all(math.isclose(m * s, n) for n, m, s in zip(size, frame.sizes, stride, strict=True))
    return replace(frame, stride=tuple(stride), wraps=wraps)


def total_stride(frames: Sequence[Frame], dim: int) -> tuple[int, ...]:
    """The least translation per axis that is a multiple of all strides."""
    strides = [f.stride for f in frames if f.is_map]
    return tuple(math.lcm(1, *(max(1, round(s[i])) for s in strides)) for i in range(dim))
