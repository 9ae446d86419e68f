"""Fourier coefficients of samples on a period, and inner products by them.

    F(x) = Σ_k C_k exp(2πi Σ_i k_i (x_i − o_i)/L_i),     |k_i| ≤ N_i/2

of N samples per period L from o on. The wave at the Nyquist frequency of an even N is kept as its cosine: half of it is
each of ±N/2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def centred(values: Tensor, highest: Sequence[int]) -> Tensor:
    """C_k, |k_i| ≤ K_i ≤ N_i/2, at index k + K, shape (*batch, c, 2K1+1, …), of samples (*batch, c, X1, …)."""
    dim = len(highest)
    found: Tensor = torch.fft.fftn(values, dim=tuple(range(-dim, 0)), norm="forward")
    for axis, (most, n) in enumerate(zip(highest, values.shape[-dim:], strict=True), -dim):
        k = torch.arange(-most, most + 1, device=values.device)
        share = torch.where(2 * k.abs() == n, 0.5, 1.0).to(values.dtype)
        found = found.index_select(axis, k % n) * share.reshape(-1, *(1,) * (-axis - 1))
    return found


def _moved(coefficients: Tensor, cycles: Tensor) -> Tensor:
    """C_k exp(−2πi Σ_i k_i s_i) for s (d,) or (*batch, d): the field moved by so much of its period."""
    dim = cycles.shape[-1]
    for axis in range(-dim, 0):
        most = coefficients.shape[axis] // 2
        k = torch.arange(-most, most + 1, dtype=torch.float64, device=cycles.device)
        turns = cycles[..., axis, None] * k
        phase = torch.exp(-2j * math.pi * (turns - turns.detach().round())).to(coefficients)
        shape = (*phase.shape[:-1], 1, *(1,) * (dim + axis), -1, *(1,) * (-axis - 1))
        coefficients = coefficients * phase.reshape(shape)
    return coefficients


def inner(left: Tensor, right: Tensor, distance: Tensor, period: Sequence[float]) -> Tensor:
    """⟨F, G⟩ over a period, summed over channels, of samples of one period each.

    Parameters
    ----------
    left, right : Tensor, shape (*batch, c, X1, …, Xd)
        Numbers of samples may differ.
    distance : Tensor, shape (d,) or (*batch, d), float64
        Origin of F less that of G, in length units.
    """
    dim = len(period)
    sizes = zip(left.shape[-dim:], right.shape[-dim:], strict=True)
    highest = [min(pair) // 2 for pair in sizes]
    a, b = centred(left, highest), centred(right, highest)
    a = _moved(a, distance / distance.new_tensor(period))
    return math.prod(period) * (a * b.conj()).real.flatten(-dim - 1).sum(-1)


def at(values: Tensor, modes: Tensor) -> Tensor:
    """C_k at modes (m, d), int64, shape (*batch, m, c); 0 above Nyquist."""
    found = torch.fft.fftn(values, dim=tuple(range(-modes.shape[-1], 0)), norm="forward")
    sizes = torch.tensor(values.shape[-modes.shape[-1] :], device=modes.device)
    picked: Tensor = found[(..., *(modes % sizes).unbind(-1))]
    share = torch.where(2 * modes.abs() == sizes, 0.5, 1.0) * (2 * modes.abs() <= sizes)
    return (picked * share.prod(-1).to(values.dtype)).mT
