"""Bumps: smooth, of compact support."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fields.profiles import BUMP
from fields.radial import gauss
from fields.shapes import Round
from fields.terms import Shapes

#: Nodes along the axis of two bumps, and across it.
ALONG, ACROSS = 96, 64
#: Pairs whose overlaps are computed at once: some 10 MB per temporary.
PAIRS = 256


class Bumps(Round):
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

    profile = BUMP

    def _common(self, other: Shapes) -> Tensor:
        r, s, apart = torch.broadcast_tensors(
            self._sizes[..., :, None, 0],
            other._sizes[..., None, :, 0],
            self._apart(other).norm(dim=-1),
        )
        meet = (apart < r + s).detach()
        pairs = torch.stack([v[meet] for v in (r, s, apart)], dim=-1).double()
        parts = [_overlap(part, self.dim) for part in pairs.split(PAIRS)]
        common = torch.zeros(apart.shape, dtype=self.dtype, device=self.device)
        return common.masked_scatter(meet, torch.cat(parts).to(common))


def _overlap(pairs: Tensor, dim: int) -> Tensor:
    """∫ of the product of two bumps, for pairs (q, 3) of two radii and the distance of the centres, shape (q,).

    Around the axis through the centres the product is symmetric: nodes along it, z, and across it, ρ.
    """
    r, s, apart = pairs.unsqueeze(-1).unbind(1)
    with torch.no_grad():
        z, across, weights = _nodes(r, s, apart, dim)
    r, s, apart = r[..., None], s[..., None], apart[..., None]
    near, far = BUMP.of(z**2 + across, r), BUMP.of((z - apart) ** 2 + across, s)
    return (near * far * weights).sum((-2, -1))


def _nodes(r: Tensor, s: Tensor, apart: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gauss nodes z (q, Z, 1), ρ² (q, Z, R) and weights (q, Z, R) over what two balls have in common.

    They are constants: since the product fades to all orders at the rim of the region, its integral changes with the
    radii and the distance by what happens inside only.
    """
    u, wide = (v.to(r) for v in gauss(ALONG))
    low, high = torch.maximum(-r, apart - s), torch.minimum(r, apart + s)
    z = low + (high - low) * u
    weights = (high - low) * wide
    if dim == 1:
        return z[..., None], torch.zeros_like(z)[..., None], weights[..., None]
    v, wide = (v.to(r) for v in gauss(ACROSS))
    top = torch.minimum(r**2 - z**2, s**2 - (z - apart) ** 2).clamp(min=0)[..., None]
    if dim == 2:  # dρ on both sides of the axis
        return z[..., None], top * v**2, weights[..., None] * 2 * top.sqrt() * wide
    return z[..., None], top * v, weights[..., None] * math.pi * top * wide  # 2πρ dρ = π d(ρ²)
