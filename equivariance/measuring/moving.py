"""Translating periodic arrays by whole and by real numbers of samples: rolls, and exact band-limited translations."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from discretize.trigonometric import DENSE, circulant, filtered
from fields.fourier import phase

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
