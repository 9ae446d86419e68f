"""Bumps: smooth, of compact support."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fields import arguments
from fields.field import Field, PerAxis
from fields.lattice import Lattice
from fields.radial import bump, bump_bandwidth, bump_wave
from fields.terms import Terms

#: Nodes along the axis of two bumps, and across it.
ALONG, ACROSS = 96, 64
#: Pairs whose overlaps are computed at once: some 10 MB per temporary.
PAIRS = 256


class Bumps(Terms):
    """F(x) = Σ_m a_m exp(1 − 1/(1 − |x − c_m|²/r_m²)) inside the balls |x − c_m| < r_m, 0 outside: C^∞, of unit peak.

    Parameters
    ----------
    centers : Tensor, shape (m, d) or (*batch, m, d)
        In length units.
    amplitudes : Tensor, shape (m, c) or (*batch, m, c)
    radii : Tensor, shape (m,), batch in front or not
        In length units.

    Raises
    ------
    ValueError
        For radii that aren't positive.

    Notes
    -----
    The integral is Σ_m a_m r_m^d B_d, B_d that of the unit bump, to rounding error. Norms and inner products with Bumps
    are sums over the pairs that meet, of Gauss quadratures over what they have in common: to 1e-9 of the product of
    the norms of a pair, in double precision. The transform, Σ_m a_m r_m^d B̂_d(r_m|f|) exp(−2πi f·c_m), is integrated
    to rounding error of its peak.

    Examples
    --------
    >>> from fields import Bumps
    >>> F = Bumps([[0.0, 0.0]], [[2.0]], [1.0])
    >>> F([[0.0, 0.0], [1.0, 0.0]]).flatten().tolist()
    [2.0, 0.0]
    """

    radii: Tensor

    def __init__(self, centers: Any, amplitudes: Any, radii: Any) -> None:
        super().__init__(centers, amplitudes, radii=radii)
        self._positive("radii", ())

    def bandwidth(self, rtol: float) -> PerAxis:
        """Frequency beyond which the spectrum of the narrowest bump is below `rtol` of its peak."""
        turns = bump_bandwidth(arguments.fraction(rtol, "rtol"), self.dim)
        band = turns / (2 * math.pi * float(self.radii.detach().amin()))
        return (band,) * self.dim

    def _reach(self, rtol: float) -> Tensor:
        return self.radii[..., None]

    def _values(self, lattice: Lattice) -> Tensor:
        def profile(m: int, z: Tensor) -> Tensor:
            return _profile((z**2).sum(-1), self._of_term(self.radii, m))

        return self._summed(lattice, profile)

    def _integral(self) -> Tensor:
        sizes = self.radii**self.dim * _unit_bump(self.dim)
        return (sizes[..., None, :] @ self.amplitudes).squeeze(-2)

    def _transform(self, frequencies: Tensor) -> Tensor:
        radii = self.radii.double()[..., None, :]
        turns = 2 * math.pi * frequencies.norm(dim=-1)[:, None] * radii
        waves = bump_wave(turns.flatten(), self.dim).reshape(turns.shape)
        size = radii**self.dim * _unit_bump(self.dim)
        return self._weighted(size * waves * self._phases(frequencies))

    def _inner(self, other: Field) -> Tensor | None:
        if not isinstance(other, Bumps):
            return None
        apart = (self.centers[..., :, None, :] - other.centers[..., None, :, :]).norm(dim=-1)
        r, s, apart = torch.broadcast_tensors(
            self.radii[..., :, None], other.radii[..., None, :], apart
        )
        meet = (apart < r + s).detach()
        pairs = torch.stack([v[meet] for v in (r, s, apart)], dim=-1).double()
        parts = [_overlap(part, self.dim) for part in pairs.split(PAIRS)]
        common = torch.zeros(apart.shape, dtype=self.dtype, device=self.device)
        common = common.masked_scatter(meet, torch.cat(parts).to(common))
        return (common * (self.amplitudes @ other.amplitudes.mT)).sum((-2, -1))


def _profile(square: Tensor, radius: Tensor) -> Tensor:
    """The bump of unit peak at a squared distance from its centre."""
    return bump(square / radius**2)


def _overlap(pairs: Tensor, dim: int) -> Tensor:
    """∫ of the product of two bumps, for pairs (q, 3) of two radii and the distance of the centres, shape (q,).

    Around the axis through the centres the product is symmetric: nodes along it, z, and across it, ρ.
    """
    r, s, apart = pairs.unsqueeze(-1).unbind(1)
    with torch.no_grad():
        z, across, weights = _nodes(r, s, apart, dim)
    r, s, apart = r[..., None], s[..., None], apart[..., None]
    near, far = _profile(z**2 + across, r), _profile((z - apart) ** 2 + across, s)
    return (near * far * weights).sum((-2, -1))


def _nodes(r: Tensor, s: Tensor, apart: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gauss nodes z (q, Z, 1), ρ² (q, Z, R) and weights (q, Z, R) over what two balls have in common.

    They are constants: since the product fades to all orders at the rim of the region, its integral changes with the
    radii and the distance by what happens inside only.
    """
    u, wide = _gauss(ALONG, r)
    low, high = torch.maximum(-r, apart - s), torch.minimum(r, apart + s)
    z = low + (high - low) * u
    weights = (high - low) * wide
    if dim == 1:
        return z[..., None], torch.zeros_like(z)[..., None], weights[..., None]
    v, wide = _gauss(ACROSS, r)
    top = torch.minimum(r**2 - z**2, s**2 - (z - apart) ** 2).clamp(min=0)[..., None]
    if dim == 2:  # dρ on both sides of the axis
        return z[..., None], top * v**2, weights[..., None] * 2 * top.sqrt() * wide
    return z[..., None], top * v, weights[..., None] * math.pi * top * wide  # 2πρ dρ = π d(ρ²)


def _gauss(count: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes and weights of Gauss and Legendre on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(count)
    return like.new_tensor((x + 1) / 2), like.new_tensor(w / 2)


@functools.cache
def _unit_bump(dim: int) -> float:
    """∫exp(1 − 1/(1 − |y|²)) over the unit ball, in shells, by the trapezoidal rule in s, |y| = tanh s."""
    s = np.linspace(-8.0, 8.0, 4001)
    rest = 1 / np.cosh(s) ** 2
    shells = np.abs(np.tanh(s)) ** (dim - 1) * np.exp(1 - 1 / rest) * rest
    if dim == 2:  # |r|^{d−1} has a kink at 0: halves by Gauss quadrature instead
        r, w = np.polynomial.legendre.leggauss(400)
        r = (r + 1) / 2
        return float(2 * math.pi * np.sum(w / 2 * r * np.exp(1 - 1 / (1 - r**2))))
    sphere = 2 * math.pow(math.pi, dim / 2) / math.gamma(dim / 2)
    return float(sphere * shells.sum() * (s[1] - s[0]) / 2)
