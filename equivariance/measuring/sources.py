"""Inputs for a model whose translates are known: fields sampled where it looks, pictures, arrays, loaders.

A field is translated *before* it is sampled, so that real translations are exact. An array is the field of its
trigonometric interpolant; whole translations then roll it, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from discretize import Grid, sample
from equivariance.measuring.images import read
from equivariance.measuring.translations import crop, derivative, moved
from fields import Field, arguments, checks, random_bandlimited

#: Band limit of the fields that are drawn where no inputs are given, in cycles per pixel.
BANDLIMIT = 0.25
#: Inputs taken from a folder or a loader unless told otherwise.
LIMIT = 4
BOUNDARIES = ("periodic", "window")


@dataclass(frozen=True)
class Source:
    """B inputs, and their translates.

    Attributes
    ----------
    about : str
    count, channels : int
        B and c.
    size : tuple of int
        Pixels per axis of what the model sees.
    boundary : {"periodic", "window"}
        Whether the inputs are periodic over `size`, or go on beyond it.
    moved : callable
        Translations (K, d) in pixels, float64 → inputs (K, B, c, X1, …, Xd), float64.
    derivatives : callable
        () → ∂x/∂t at t = 0 for each axis of t, shape (d, B, c, X1, …, Xd): −∂F/∂x, sampled.
    """

    about: str
    count: int
    channels: int
    size: tuple[int, ...]
    boundary: str
    moved: Callable[[Tensor], Tensor]
    derivatives: Callable[[], Tensor]


def as_source(
    inputs: Any,
    size: Sequence[int] | None,
    channels: int | None = None,
    boundary: str = "periodic",
    limit: int = LIMIT,
    reach: Sequence[float] | None = None,
    seed: int = 0,
) -> Source:
    """Inputs of any kind as a source.

    Parameters
    ----------
    inputs : None, Field, sequence of Field, Tensor (B, c, X1, …, Xd), path, or iterable of batches
        None draws random band-limited fields. A path is a folder of images, or a tensor in a file: .npy, or what
        torch.load reads with weights_only=True. Of batches that are tuples, as a DataLoader gives them, the first entry
        is taken.
    size : sequence of int, optional
        Pixels per axis that the model sees; an array's own unless given.
    channels : int, optional
        Of random fields; pictures are made grey or repeated to have as many.
    boundary : {"periodic", "window"}
    limit : int
        How many inputs are taken, or drawn.
    reach : sequence of float, optional
        Largest |t| per axis; what pictures and arrays must have beyond the window.
    seed : int
        Of random fields.

    Raises
    ------
    TypeError, ValueError
        Saying what was expected.
    """
    arguments.choice(boundary, "boundary", BOUNDARIES)
    (limit,) = checks.integers(limit, 1, "the number of inputs")
    if size is not None:
        size = checked_size(size)
    if inputs is None or isinstance(inputs, Field) or _is_fields(inputs):
        return _of_fields(inputs, size, channels, boundary, limit, seed)
    if boundary == "window" and size is None:
        raise ValueError("boundary='window' needs size=(X1, …, Xd), the pixels that the model sees")
    margin = [0] * len(size or ())
    if boundary == "window" and size is not None:
        margin = [int(np.ceil(r)) for r in (reach if reach is not None else [0] * len(size))]
    if isinstance(inputs, str | Path):
        values, about = read(Path(inputs), size, channels, limit, margin)
    elif isinstance(inputs, Tensor | np.ndarray):
        inputs = checks.as_tensor(inputs, "inputs") if isinstance(inputs, np.ndarray) else inputs
        values, about = inputs, f"a tensor of shape {tuple(inputs.shape)}"
    elif isinstance(inputs, Iterable):
        values, about = _loaded(inputs, limit)
    else:
        raise TypeError(
            "inputs must be a Field, fields, a tensor (B, c, X1, …, Xd), a path, or an iterable of batches, "
            f"got {type(inputs).__name__}"
        )
    return _of_array(values, about, size, boundary, margin)


def checked_size(size: Any) -> tuple[int, ...]:
    """Pixels per axis, of 1, 2 or 3 axes."""
    several = checks.counts(size, "size", most=1 << 20)
    sizes = several if isinstance(several, tuple) else (several,)
    arguments.affordable(math.prod(sizes), "an input of this size")
    return sizes


def _is_fields(inputs: Any) -> bool:
    return (
        isinstance(inputs, list | tuple)
        and len(inputs) > 0
        and all(isinstance(f, Field) for f in inputs)
    )


def _of_fields(
    inputs: Any,
    size: Sequence[int] | None,
    channels: int | None,
    boundary: str,
    limit: int,
    seed: int,
) -> Source:
    if size is None:
        raise ValueError("give size=(X1, …, Xd), the pixels that the model sees: a field has none")
    size = tuple(size)
    if inputs is None:
        inputs, about = _drawn(size, channels or 1, limit, seed)
    else:
        inputs = [inputs] if isinstance(inputs, Field) else list(inputs)
        about = ", ".join(dict.fromkeys(type(f).__name__ for f in inputs))
    for field in inputs:
        if field.dim != len(size) or field.channels != inputs[0].channels:
            raise ValueError(
                f"fields for inputs of {size} pixels are on R^{len(size)} and share their channels: got one on "
                f"R^{field.dim} with {field.channels} channels"
            )
        if boundary == "periodic" and not field.is_periodic(tuple(float(n) for n in size)):
            raise ValueError(
                f"the field isn't periodic over {size} pixels: F.periodize makes it so, or take boundary='window'"
            )
    grid = Grid(size, 1.0, boundary="periodic" if boundary == "periodic" else "none")

    def at(t: Tensor) -> Tensor:
        return torch.cat([_sampled(f, t, grid) for f in inputs], dim=1)

    def derivatives() -> Tensor:
        gradients = [
            -f.gradient(grid.points()).reshape(-1, *size, f.channels, len(size)) for f in inputs
        ]
        return torch.cat([g.detach().double() for g in gradients]).movedim((-1, -2), (0, 2))

    return Source(
        about=f"{about}, sampled on {' × '.join(map(str, size))} pixels after it was translated",
        count=at(torch.zeros(1, len(size), dtype=torch.float64)).shape[1],
        channels=inputs[0].channels,
        size=size,
        boundary=boundary,
        moved=at,
        derivatives=derivatives,
    )


def _sampled(field: Field, t: Tensor, grid: Grid) -> Tensor:
    """One field moved by all t: (K, B, c, X1, …, Xd)."""
    batch = len(field.batch)
    moving = field.translate(t.reshape(len(t), *(1,) * batch, grid.dim))
    values = sample(moving, grid).values.detach().double()
    return values.reshape(len(t), -1, field.channels, *grid.shape)


def _drawn(size: tuple[int, ...], channels: int, count: int, seed: int) -> tuple[list[Field], str]:
    period = [float(n) for n in size]
    band = [max(BANDLIMIT, 1 / n) for n in size]
    drawn: list[Field] = [
        random_bandlimited(len(size), channels, band, period, seed + i) for i in range(count)
    ]
    return drawn, f"{count} random fields with frequencies up to {BANDLIMIT:g} cycles per pixel"


def _of_array(
    values: Tensor, about: str, size: Sequence[int] | None, boundary: str, margin: Sequence[int]
) -> Source:
    """An array as the field of its trigonometric interpolant."""
    checks.require_plain(values, "inputs")
    if not values.is_floating_point():
        raise ValueError(f"inputs must be floating point, got {values.dtype}: take x.float() / 255")
    dim = values.ndim - 2
    if not 1 <= dim <= 3 or 0 in values.shape:
        raise ValueError(
            f"inputs have shape (B, c, X1, …, Xd), d = 1, 2 or 3, none empty, got {tuple(values.shape)}"
        )
    if not checks.all_finite(values):
        raise ValueError("inputs must be finite, there are NaN or infinite values")
    values = values.detach().double().cpu()
    whole_size = tuple(values.shape[2:])
    size = whole_size if size is None else tuple(size)
    if boundary == "window":
        return _in_window(values, about, size, margin)
    if size != whole_size:
        raise ValueError(f"inputs of {whole_size} pixels don't have the size {size}")
    return Source(
        about=about,
        count=len(values),
        channels=values.shape[1],
        size=size,
        boundary=boundary,
        moved=lambda t: moved(values, t),
        derivatives=lambda: torch.stack([-derivative(values, a, dim) for a in range(-dim, 0)]),
    )


def _in_window(values: Tensor, about: str, size: tuple[int, ...], margin: Sequence[int]) -> Source:
    """The middle of larger arrays."""
    sizes, dim = tuple(values.shape[2:]), len(size)
    needed = [n + 2 * m for n, m in zip(size, margin, strict=True)]
    if len(sizes) != dim or any(n < m for n, m in zip(sizes, needed, strict=True)):
        raise ValueError(
            f"with boundary='window' the inputs must show what moves in: at least {tuple(needed)} pixels for a window "
            f"of {size} and these translations, got {sizes}"
        )
    first = [(n - m) // 2 for n, m in zip(sizes, size, strict=True)]
    inside = [slice(a, a + n) for a, n in zip(first, size, strict=True)]
    slopes = torch.stack([-derivative(values, a, dim) for a in range(-dim, 0)])
    return Source(
        about=f"{about}, its middle",
        count=len(values),
        channels=values.shape[1],
        size=size,
        boundary="window",
        moved=lambda t: crop(moved(values, t), inside),
        derivatives=lambda: crop(slopes, inside),
    )


def _loaded(batches: Iterable[Any], limit: int) -> tuple[Tensor, str]:
    """The first inputs of a loader."""
    taken: list[Tensor] = []
    for batch in islice(batches, limit):
        x = batch[0] if isinstance(batch, list | tuple) and batch else batch
        if not isinstance(x, Tensor):
            raise TypeError(
                "a loader must give tensors (B, c, X1, …, Xd), alone or first in a tuple, "
                f"got {type(x).__name__}"
            )
        if x.ndim == 0 or (taken and x.shape[1:] != taken[0].shape[1:]):
            raise ValueError(
                f"a loader must give tensors (B, c, X1, …, Xd) of one size, got {tuple(x.shape)}"
            )
        taken.append(x)
        if sum(map(len, taken)) >= limit:
            break
    if not taken:
        raise ValueError("the loader gives no batches")
    values = torch.cat(taken)[:limit]
    return values, f"the first {len(values)} inputs of a {type(batches).__name__}"
