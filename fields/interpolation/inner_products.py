"""Inner products of two interpolants by one method, piecewise, on lattices of one period: a few sums of samples.

    ⟨F, G⟩ = ∏h Σ_{i,j} a_i · b_j ∏_axes ρ(j − i),     ρ(n) = ∫ w(x) w(x + s − n) dx

with the coefficients a, b, the weights w of `piecewise`, and s the distance of the origins, in samples. Between the
knots of both, w·w is a polynomial of degree at most 10, or Lanczos' entire function: Gauss–Legendre has either to
rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fields.accuracy import GRAM_NODES
from fields.interpolation.piecewise import Method
from fields.interpolation.splines import filtered


def inner(
    left: Tensor, right: Tensor, distance: Tensor, method: Method, spacing: Sequence[float]
) -> Tensor:
    """⟨F, G⟩ over a period, summed over channels.

    Parameters
    ----------
    left, right : Tensor, shape (*batch, c, X1, …, Xd)
        Samples.
    distance : Tensor, shape (d,), float64
        Origin of F less that of G, in samples.
    """
    dim = len(spacing)
    a, b = (_coefficients(v.double(), method, dim) for v in (left, right))
    for axis in range(-dim, 0):
        first, weights = _correlation(distance[axis], method)
        index = torch.arange(b.shape[axis], device=b.device)
        turns = ((index + first + k) % len(index) for k in range(len(weights)))
        b = torch.stack(
            [w * b.index_select(axis, i) for w, i in zip(weights, turns, strict=True)]
        ).sum(0)
    return (a * b).flatten(-dim - 1).sum(-1) * math.prod(spacing)


def _coefficients(values: Tensor, method: Method, dim: int) -> Tensor:
    if method.filter:
        for axis in range(values.ndim - dim, values.ndim):
            values = filtered(values, axis, method.filter, mirrored=False)
    return values


def _correlation(distance: Tensor, method: Method) -> tuple[int, Tensor]:
    """The first n with ρ(n) ≠ 0, and ρ from there on."""
    nodes, shares = (
        torch.from_numpy(v).to(distance) for v in np.polynomial.legendre.leggauss(GRAM_NODES)
    )
    whole = math.floor(float(distance.detach()))
    part = distance - whole
    rho = distance.new_zeros(2 * method.taps)
    # G's knot lies at 1 − part in every cell of F.
    for low, high, cell in ((0.0, 1 - part, 0), (1 - part, 1.0, 1)):
        x = low + (high - low) * (nodes + 1) / 2
        one, other = method.weights(x), method.weights(x + part - cell)
        products = torch.einsum("x,xp,xq->pq", shares * (high - low) / 2, one, other)
        for p in range(method.taps):
            start = cell + method.taps - 1 - p
            rho = rho + torch.nn.functional.pad(
                products[p], (start, len(rho) - start - method.taps)
            )
    return whole - method.taps + 1, rho
