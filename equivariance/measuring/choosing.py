"""Translations that tell a model's strides and what lies between them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from fields import checks

#: Parts of a pixel: a half, and numbers that no small stride divides. "Half" alone flatters what is oversampled twice.
PARTS = (0.5, 619 / 1024, 161 / 1024, 431 / 1024, 873 / 1024)


def default_translations(
    size: Sequence[int], strides: Sequence[Sequence[float]], count: int = 33
) -> Tensor:
    """`count` translations (T, d) in pixels, each once: one third between pixels, more where whole ones run out.

    Parameters
    ----------
    size : sequence of int
        Translations stay below so many pixels per axis: a period, say.
    strides : sequence of sequence of float
        Of the layers, per axis: every one of them, and three times it, is there along every axis and diagonally.
    count : int

    Examples
    --------
    >>> default_translations((8,), [(1.0,), (2.0,)], count=6)[:, 0].tolist()
    [2.0, 1.0, 6.0, 3.0, 0.5, 0.6044921875]
    """
    (count,) = checks.integers(count, 1, "count")
    between = count // 3
    whole = list(itertools.islice(_unique(_whole(size, strides), size), count - between))
    parts = itertools.islice(_unique(_parts(size), size), count - len(whole))
    return torch.tensor([*whole, *parts], dtype=torch.float64)


def given_translations(translations: Any, dim: int) -> Tensor:
    """Checked translations (T, d)."""
    t = checks.as_tensor(translations, "translations").detach().cpu().double()
    if t.ndim != 2 or t.shape[1] != dim or len(t) == 0:
        raise ValueError(
            f"translations have shape (T, {dim}), T ≥ 1, in pixels, got {tuple(t.shape)}"
        )
    return t


def _directions(dim: int) -> list[tuple[int, ...]]:
    axes = [tuple(int(i == axis) for i in range(dim)) for axis in range(dim)]
    return axes if dim == 1 else [*axes, (1,) * dim]


def _whole(size: Sequence[int], strides: Sequence[Sequence[float]]) -> Iterator[tuple[float, ...]]:
    sides = {tuple(max(1, round(s)) for s in stride) for stride in strides} | {(1,) * len(size)}
    fine, *coarser = sorted(sides)
    for times in (1, 3, 5, 7):
        for side in (*coarser[::-1], fine):  # the coarsest first: few translations tell it at least
            for direction in _directions(len(size)):
                yield tuple(float(times * s * e) for s, e in zip(side, direction, strict=True))


def _parts(size: Sequence[int]) -> Iterator[tuple[float, ...]]:
    dim = len(size)
    for k in range(max(size)):
        for i, direction in enumerate(_directions(dim)):
            part = PARTS[(k * (1 + dim) + i) % len(PARTS)] if k else PARTS[0]
            yield tuple((k + part) * e for e in direction)
        yield tuple(k + i + PARTS[(k + i + 1) % len(PARTS)] for i in range(dim))


def _unique(
    vectors: Iterator[tuple[float, ...]], size: Sequence[int]
) -> Iterator[tuple[float, ...]]:
    seen = set()
    for t in vectors:
        if t not in seen and all(x < n for x, n in zip(t, size, strict=True)):
            seen.add(t)
            yield t
