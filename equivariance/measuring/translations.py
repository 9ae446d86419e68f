"""Translations: those that tell a model's strides and what lies between them, and what they do to periodic arrays.

Whole numbers of samples roll an array; real ones translate its trigonometric interpolant.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from discretize.accuracy import DENSE
from discretize.trigonometric import circulant, filtered
from fields import checks
from fields.interpolation.fourier import phase

#: Parts of a pixel: a half, and numbers that no small stride divides. "Half" alone flatters what is oversampled twice.
PARTS = (0.5, 619 / 1024, 161 / 1024, 431 / 1024, 873 / 1024)
#: Steps this near to whole numbers are whole: they come from divisions by strides.
NEAR = 1e-9


def whole(steps: Tensor) -> Tensor:
    """Which steps (K, d) are whole on all axes, (K,)."""
    near: Tensor = ((steps - steps.round()).abs() < NEAR).all(-1)
    return near


def rolled(values: Tensor, step: Sequence[int]) -> Tensor:
    """Samples (…, X1, …, Xd) moved by whole numbers of samples, bit for bit."""
    if not any(step):
        return values
    return values.roll(tuple(step), tuple(range(-len(step), 0)))


def crop(values: Tensor, inside: Sequence[slice]) -> Tensor:
    """A part of the last axes."""
    cut: Tensor = values[(..., *inside)]  # type: ignore[index]
    return cut


def overlap(
    step: Sequence[int], sizes: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where a map and the same one moved by a step lie over each other, in the moved one and in the other."""
    here = [slice(max(s, 0), max(0, n + min(s, 0))) for s, n in zip(step, sizes, strict=True)]
    there = [slice(max(-s, 0), max(0, n - max(s, 0))) for s, n in zip(step, sizes, strict=True)]
    return tuple(here), tuple(there)


def moved(values: Tensor, steps: Tensor) -> Tensor:
    """Periodic samples moved by real steps: the trigonometric interpolant, translated, at the same points.

    Parameters
    ----------
    values : Tensor, shape (B, c, X1, …, Xd)
    steps : Tensor, shape (K, d)
        In samples. Whole ones roll the array.

    Returns
    -------
    Tensor, shape (K, B, c, X1, …, Xd)

    Notes
    -----
    For an even X the wave at Nyquist is read as a cosine: moved by t it is cos(πt) times itself on the grid, the
    samples of the translated cosine, though no array holds all of that one's translates.
    """
    out = values.new_empty(len(steps), *values.shape)
    exact = whole(steps)
    for k in exact.nonzero().flatten().tolist():
        out[k] = rolled(values, [int(s) for s in steps[k].round()])
    rest = ~exact
    if bool(rest.any()):
        out[rest.to(out.device)] = interpolated(values, steps[rest])
    return out


def interpolated(values: Tensor, steps: Tensor) -> Tensor:
    """As `moved`, but by interpolation for whole steps too.

    Short axes go through one matrix product for all translations; matrices are kept, since layers share sizes and
    strides.
    """
    dim, sizes = steps.shape[-1], values.shape[-steps.shape[-1] :]
    if max(sizes) > DENSE:
        out = values
        for axis in range(-dim, 0):
            waves = phase(-steps[:, axis].to(values.device), sizes[axis], True, True)
            out = filtered(out, waves[:, None], axis, dim)
        return out
    count = len(steps)
    by = [tuple(steps[:, axis].tolist()) for axis in range(dim)]
    matrix = _matrices(by[-1], sizes[-1], values.dtype, values.device)
    out = values.reshape(-1, sizes[-1]) @ matrix.mT
    for axis in range(dim - 1):
        if any(by[axis]):
            matrix = _matrices(by[axis], sizes[axis], values.dtype, values.device)
            out = matrix[:, None] @ out.reshape(
                count, -1, sizes[axis], math.prod(sizes[axis + 1 :])
            )
    return out.reshape(count, *values.shape)


@functools.lru_cache(256)
def _matrices(by: tuple[float, ...], size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """What moves n samples, (K, n, n)."""
    with torch.inference_mode(False):
        waves = phase(-torch.tensor(by, dtype=torch.float64), size, True, True)
        return circulant(waves, size).to(device, dtype)


def derivative(values: Tensor, axis: int, dim: int) -> Tensor:
    """∂/∂x of the trigonometric interpolant along one axis (−d … −1), per sample; 0 for the wave at Nyquist."""
    size = values.shape[axis]
    waves = 2j * math.pi / size * torch.arange(size // 2 + 1, dtype=torch.float64)
    if size % 2 == 0:
        waves[-1] = 0
    return filtered(values, waves.to(values.device), axis, dim)


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
