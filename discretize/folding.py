"""Folding: where the modes of a field go on a grid that is too coarse for them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from discretize.accuracy import SLACK
from discretize.grid import Grid
from fields.spectrum.coefficients import Spectrum


def power(z: Tensor) -> Tensor:
    """|z|²."""
    squares: Tensor = z.real**2 + z.imag**2
    return squares


def _spread(axis: Tensor, i: int, dim: int) -> Tensor:
    return axis.reshape(-1, *(1,) * (dim - 1 - i))


def below_nyquist(found: Spectrum, grid: Grid) -> Tensor:
    """Which modes are below the grid's Nyquist on all axes, shape (2K1+1, …, 2Kd+1)."""
    inside: Tensor = torch.ones((), dtype=torch.bool, device=found.coefficients.device)
    for i, (f, limit) in enumerate(zip(found.frequencies(), grid.nyquist, strict=True)):
        inside = inside & _spread(f.abs() < limit * (1 - SLACK), i, found.dim)
    return inside


def _modes(size: int, like: Tensor) -> Tensor:
    return torch.arange(-(size // 2), size // 2 + 1, device=like.device)


def targets(modes: Tensor, shape: Sequence[int], square: bool = False) -> Tensor:
    """Σ_k w_kj modes_k (or with w²) for the waves j = −⌊N/2⌋, …, ⌊N/2⌋ of the interpolant, per axis."""
    dim = len(shape)
    for i, n in enumerate(shape):
        axis = modes.ndim - dim + i
        half = n // 2
        index = (_modes(modes.shape[axis], modes) + half) % n
        if n % 2 == 0:
            weight = torch.where(index == 0, 0.25 if square else 0.5, 1.0).to(modes.real)
            modes = modes * _spread(weight, i, dim)
        sides = [*modes.shape[:axis], 2 * half + 1, *modes.shape[axis + 1 :]]
        out = modes.new_zeros(sides).index_add(axis, index, modes)
        if n % 2 == 0:  # at −N/2 and N/2 alike
            out = torch.cat([out.narrow(axis, 0, n), out.narrow(axis, 0, 1)], dim=axis)
        modes = out
    return modes


def unmoved(modes: Tensor, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """What w_jj leaves of mode j in itself, as energy and as amplitude, laid out as `targets`."""
    dim = len(shape)
    for i, n in enumerate(shape):
        axis = modes.ndim - dim + i
        have, want = modes.shape[axis] // 2, n // 2
        if have > want:
            modes = modes.narrow(axis, have - want, 2 * want + 1)
        else:
            sides = [*modes.shape[:axis], want - have, *modes.shape[axis + 1 :]]
            zeros = modes.new_zeros(sides)
            modes = torch.cat([zeros, modes, zeros], dim=axis)
        if n % 2 == 0:
            at_nyquist = _modes(2 * want + 1, modes).abs() == want
            modes = modes * _spread(torch.where(at_nyquist, 0.5, 1.0).to(modes.real), i, dim)
    return power(modes), modes


def binned(modes: Tensor, shape: Sequence[int]) -> Tensor:
    """Σ of the modes that agree modulo N, in the order of a discrete Fourier transform."""
    for i, n in enumerate(shape):
        axis = modes.ndim - len(shape) + i
        sides = [*modes.shape[:axis], n, *modes.shape[axis + 1 :]]
        index = _modes(modes.shape[axis], modes) % n
        modes = modes.new_zeros(sides).index_add(axis, index, modes)
    return modes
