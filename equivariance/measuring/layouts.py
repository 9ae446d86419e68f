"""How the output of a layer lies over the input: on which axes, at which stride, or nowhere."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from equivariance.measuring.watched import Told

#: Sides up to this say nothing between their samples.
SMALL = 2

#: Sizes of maps whose outputs aren't laid out (batch, channels, Y1, …, Yd), by pattern of names; None: not a map.
Tokens = Mapping[str, Sequence[int] | None]


@dataclass(frozen=True)
class Layout:
    """Which axes of an output are those of space.

    Attributes
    ----------
    sizes : tuple of int
        Y1, …, Yd.
    axes : tuple of int
        Where they are in the output for one input, its axis of the batch left out; a single one where they are
        flattened into one axis.
    lead : int
        Tokens in front of the flattened ones that belong to no point.
    channels : int
        Of them there are so many maps in front of each other in the flattened axis.
    """

    sizes: tuple[int, ...]
    axes: tuple[int, ...]
    lead: int = 0
    channels: int = 1

    @property
    def is_flat(self) -> bool:
        """Whether all of space is in one axis."""
        return len(self.axes) == 1 and (len(self.sizes) > 1 or self.lead > 0 or self.channels > 1)

    def as_map(self, out: Tensor) -> Tensor:
        """The output (n, …) as (n, c, Y1, …, Yd), all other axes flattened into channels."""
        first, dim = min(self.axes) + 1, len(self.sizes)
        if self.is_flat:
            out = out.narrow(first, self.lead, out.shape[first] - self.lead)
            out = out.unflatten(first, (self.channels, *self.sizes))
            axes = [first + 1 + i for i in range(dim)]
        else:
            axes = [a + 1 for a in self.axes]
        out = out.movedim(axes, list(range(-dim, 0)))
        return out.reshape(len(out), -1, *self.sizes)


@dataclass(frozen=True)
class Frame:
    """One output of one layer.

    Attributes
    ----------
    name, kind : str
        Its name, and the class of the module.
    shape : tuple of int
        Of the output for one input, without its axis of the batch; of complex outputs as pairs of reals.
    layout : Layout or None
        None for outputs without space, which are compared as invariants.
    stride : tuple of float
        Input pixels per step of the output. For an invariant: the coarsest of the maps before it.
    batch : int
        The axis of the batch.
    wraps : bool
        Whether the map covers a period: Y·stride = X.
    is_sure : bool
        Whether the layout was declared, or is told by how the output grows or moves.
    why : str
        Why it isn't compared; "" for what is.
    varies : float
        ‖Φ(F) − Φ(G)‖ relative to the mean of both norms, for two random inputs; NaN where that isn't known.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    layout: Layout | None
    stride: tuple[float, ...]
    batch: int = 0
    wraps: bool = False
    is_sure: bool = True
    why: str = ""
    varies: float = math.nan

    @property
    def sizes(self) -> tuple[int, ...] | None:
        """Y1, …, Yd; None for outputs without space."""
        return None if self.layout is None else self.layout.sizes

    @property
    def is_map(self) -> bool:
        """Whether it has axes of space."""
        return self.layout is not None

    @property
    def is_small(self) -> bool:
        """Whether it is too small to be compared between its samples."""
        return self.sizes is not None and min(self.sizes) <= SMALL

    def batched(self, out: Tensor) -> Tensor:
        """The output as it is put out as (n, …), reals."""
        return real(out).movedim(self.batch, 0)

    def as_map(self, out: Tensor) -> Tensor:
        """The output as it is put out as (n, c, Y1, …, Yd); as (n, …) without space."""
        out = self.batched(out)
        return out if self.layout is None else self.layout.as_map(out)


def real(out: Tensor) -> Tensor:
    """Complex outputs as pairs, on a last axis."""
    return torch.view_as_real(out.resolve_conj()) if out.is_complex() else out


def fits(name: str, pattern: str) -> bool:
    """Whether a pattern names an output, or the layer that it is of."""
    return fnmatchcase(name, pattern) or fnmatchcase(name.partition("#")[0], pattern)


def declared(name: str, shape: tuple[int, ...], dim: int, tokens: Tokens) -> Layout | bool | None:
    """What is said of an output (its axis of the batch left out): a layout, None for no map; False where nothing is."""
    said = [sizes for pattern, sizes in tokens.items() if fits(name, pattern)]
    if not said or said[-1] is None:
        return None if said else False
    sizes = tuple(said[-1])
    if len(sizes) == dim:
        for layout in _declarable(shape, sizes):
            return layout
    raise Told(
        f"tokens: {name} puts out {('batch', *shape)}, which isn't (batch, tokens, channels), (batch, channels, "
        f"tokens), nor holds Y1, …, Yd for a map of {sizes}: give None for outputs that are no maps, by a pattern "
        "further on"
    )


def _declarable(shape: tuple[int, ...], sizes: tuple[int, ...]) -> Iterator[Layout]:
    dim, points = len(sizes), math.prod(sizes)
    places = [len(shape) - dim - 1, len(shape) - dim, *range(len(shape) - dim - 1)]
    for first in places:  # channels last, else first
        if first >= 0 and shape[first : first + dim] == sizes:
            yield Layout(sizes, tuple(range(first, first + dim)))
    if len(shape) == 2:
        for axis in (0, 1):
            if shape[axis] >= points:
                yield Layout(sizes, (axis,), lead=shape[axis] - points)


def total_stride(frames: Sequence[Frame], dim: int) -> tuple[int, ...]:
    """The least translation per axis that is a multiple of all strides."""
    strides = [f.stride for f in frames if f.is_map]
    return tuple(math.lcm(1, *(max(1, round(s[i])) for s in strides)) for i in range(dim))
