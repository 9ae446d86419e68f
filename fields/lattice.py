"""Lattices, boxes of integers on them, and positions in units of a pitch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from fields.accuracy import BETWEEN, MAX_RATIO, SNAP

#: Frequencies or lengths, one per axis.
PerAxis = tuple[float, ...]
Each = Sequence[float]


class LatticeTooLarge(ValueError):
    """An evaluation needs more memory, or more work, than it may use."""


def check_memory(needed: int, memory: int, what: str = "") -> None:
    """Raise where so many bytes, of what, are more than the bound."""
    if needed > memory:
        raise LatticeTooLarge(
            f"this needs {needed / 2**20:.0f} MiB{what}, the bound is {memory / 2**20:.0f} MiB"
        )


@dataclass(frozen=True)
class Lattice:
    """The points origin + spacing·i, 0 ≤ i < shape.

    Attributes
    ----------
    origin : Tensor, shape (*batch, d), float64
        First point, in length units.
    spacing, shape : tuple
        One number per axis.
    """

    origin: Tensor
    spacing: tuple[float, ...]
    shape: tuple[int, ...]

    @property
    def dim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def between(self) -> Lattice:
        """Moved by an odd part of the spacing: sums that agree on all doublings by chance won't there, too."""
        step = BETWEEN * self.origin.new_tensor(self.spacing)
        return Lattice(self.origin + step, self.spacing, self.shape)

    def axes(self) -> list[Tensor]:
        """Coordinates per axis, each of shape (*batch, X_i)."""
        first = [self.origin[..., i, None] for i in range(self.dim)]
        return [
            x if n == 1 else x + h * torch.arange(n, dtype=x.dtype, device=x.device)
            for x, h, n in zip(first, self.spacing, self.shape, strict=True)
        ]

    def points(self) -> Tensor:
        """All points, shape (*batch, X1, …, Xd, d)."""
        batch = self.origin.shape[:-1]
        if math.prod(self.shape) == 1:
            return self.origin.reshape(*batch, *self.shape, self.dim)
        columns = [
            axis.reshape(*batch, *(-1 if j == i else 1 for j in range(self.dim)))
            for i, axis in enumerate(self.axes())
        ]
        return torch.stack(torch.broadcast_tensors(*columns), dim=-1)


@dataclass(frozen=True)
class Box:
    """The integers start + step·i, 0 ≤ i < count, per axis."""

    start: tuple[int, ...]
    step: tuple[int, ...]
    count: tuple[int, ...]

    def moved(self, by: Sequence[int]) -> Box:
        """The box with every integer increased by `by`."""
        return Box(tuple(s + b for s, b in zip(self.start, by, strict=True)), self.step, self.count)

    def widened(self, first: Sequence[int], step: Sequence[int], size: Sequence[int]) -> Box:
        """The smallest box with all sums of an integer of this one and of first + step·j, j < size."""
        axes = []
        for s, p, n, f, q, m in zip(
            self.start, self.step, self.count, first, step, size, strict=True
        ):
            common = math.gcd(p if n > 1 else 0, q if m > 1 else 0) or 1
            axes.append((s + f, common, (p * (n - 1) + q * (m - 1)) // common + 1))
        return _box(axes)

    def union(self, other: Box) -> Box:
        """The smallest box that holds both."""
        axes = []
        for s, p, n, t, q, m in zip(
            self.start, self.step, self.count, other.start, other.step, other.count, strict=True
        ):
            common = math.gcd(p if n > 1 else 0, q if m > 1 else 0, abs(s - t)) or 1
            first, last = min(s, t), max(s + p * (n - 1), t + q * (m - 1))
            axes.append((first, common, (last - first) // common + 1))
        return _box(axes)

    def within(self, outer: Box) -> tuple[slice, ...]:
        """Slices that take this box out of the values on `outer`."""
        slices = []
        for s, p, n, t, q in zip(
            self.start, self.step, self.count, outer.start, outer.step, strict=True
        ):
            first, stride = (s - t) // q, max(p // q, 1)
            slices.append(slice(first, first + stride * (n - 1) + 1, stride))
        return tuple(slices)

    @property
    def points(self) -> int:
        """Number of integers in the box."""
        return math.prod(self.count)


def _box(axes: list[tuple[int, int, int]]) -> Box:
    start, step, count = zip(*axes, strict=True)
    return Box(start, step, count)


def take(values: Tensor, slices: Iterable[slice]) -> Tensor:
    """Cut the last axes of `values` by one slice each."""
    index: tuple[Any, ...] = (..., *slices)
    return values[index]


def split(position: float) -> tuple[int, float]:
    """Split a position in units of the pitch into an integer and a fraction in [0, 1)."""
    nearest = round(position)
    if abs(position - nearest) <= SNAP * max(1.0, abs(position)):
        return nearest, 0.0
    whole = math.floor(position)
    return whole, position - whole


def common_spacing(a: float, b: float) -> float | None:
    """The largest spacing of which a and b are integer multiples; None where neither ratio is p/q, q ≤ 64."""
    for over, under in ((a, b), (b, a)):
        ratio = Fraction(over / under).limit_denominator(MAX_RATIO)
        if abs(over / under - ratio) <= SNAP * (over / under):
            return under / ratio.denominator
    return None


def common_period(a: PerAxis | None, b: PerAxis | None) -> PerAxis | None:
    """The least common multiple of two periods per axis, 0 standing for any."""
    if a is None or b is None:
        return None
    common = []
    for p, q in zip(a, b, strict=True):
        if p and q:
            divisor = common_spacing(p, q)
            if divisor is None:
                return None
            common.append(p * q / divisor)
        else:
            common.append(p or q)
    return tuple(common)
