"""Terms with Gaussian envelopes, and the integrals of their products, which are Gaussian again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fields import arguments, checks
from fields.field import Field
from fields.lattice import Lattice
from fields.product_kernels import GaussianKernel
from fields.terms import Terms

#: Pairs of terms whose overlaps are computed at once.
PAIRS = 1 << 20


class Envelopes(Terms):
    """Abstract: terms with the envelope exp(−½ zᵀ Σ_m⁻¹ z), z = x − c_m.

    `widths` are standard deviations (…, m, d) or covariances (…, m, d, d), whatever they were given as.
    """

    _isotropic = False

    def __init__(self, centers: Any, amplitudes: Any, widths: Any, **others: Any) -> None:
        super().__init__(centers, amplitudes, widths=widths, **others)
        square = (self.dim, self.dim)
        self._covariance = self._tail("widths", (), (self.dim,), square) == square
        if self._covariance:
            self._check_covariances()
        else:
            self._isotropic = self._positive("widths", (), (self.dim,)) == ()

    @property
    def widths(self) -> Tensor:
        """Standard deviations or covariances."""
        given = self._widths
        return given[..., None].expand(*given.shape, self.dim) if self._isotropic else given

    @widths.setter
    def widths(self, given: Tensor) -> None:
        self._widths = given

    def _check_covariances(self) -> None:
        asymmetry = (self.widths - self.widths.mT).abs().amax()
        scale = self.widths.abs().amax()
        least = torch.linalg.eigvalsh(self.widths.detach()).amin()
        if bool(asymmetry > 1e-6 * scale) or not bool(least > 0):
            raise ValueError(
                "covariances must be symmetric and positive definite, the least eigenvalue is "
                f"{float(least):g}: add a small multiple of the identity"
            )

    @property
    def _deviations(self) -> tuple[Tensor, Tensor]:
        """Standard deviations along each axis of the terms, and of their spectra turned into widths."""
        if not self._covariance:
            return self.widths, self.widths
        marginal = self.widths.diagonal(dim1=-2, dim2=-1).sqrt()
        return marginal, torch.linalg.inv(self.widths).diagonal(dim1=-2, dim2=-1).rsqrt()

    def _reach(self, rtol: float) -> Tensor:
        rtol = arguments.fraction(rtol, "rtol")
        return self._deviations[0] * math.sqrt(-2 * math.log(rtol))

    def _bands(self, rtol: float) -> Tensor:
        """Frequencies (…, m, d) at which the spectra of the envelopes, exp(−2π²w²f²), are `rtol`."""
        rtol = arguments.fraction(rtol, "rtol")
        return math.sqrt(-math.log(rtol) / 2) / (math.pi * self._deviations[1].detach())

    @property
    def _volumes(self) -> Tensor:
        """∫exp(−½ zᵀΣ⁻¹z) dz = (2π)^{d/2} √det Σ, shape (…, m)."""
        unit = math.pow(2 * math.pi, self.dim / 2)
        if self._covariance:
            determinants: Tensor = torch.linalg.det(self.widths)
            return determinants.sqrt() * unit
        return unit * self.widths.prod(-1)

    def _spectra(self, f: Tensor) -> Tensor:
        """∫exp(−½ zᵀΣ⁻¹z − 2πi f·z) dz = volume · exp(−2π² fᵀΣf) at f (…, k, m, d), shape (…, k, m)."""
        if self._covariance:
            square = torch.einsum("...kmi,...mij,...kmj->...km", f, self.widths.to(f), f)
        else:
            square = ((f * self.widths[..., None, :, :]) ** 2).sum(-1)
        return self._volumes[..., None, :] * torch.exp(-2 * math.pi**2 * square)

    def _factors(self, lattice: Lattice, axis: int) -> tuple[Tensor, Tensor]:
        """Offsets z and exp(−½ (z/w)²) along one axis, (…, X, m) in float64."""
        centers, widths = self.centers[..., axis].double(), self.widths[..., axis].double()
        z = lattice.axes()[axis][..., :, None] - centers[..., None, :]
        return z, torch.exp(-0.5 * (z / widths[..., None, :]) ** 2)

    def _whitened(self, m: int, z: Tensor, whiten: Tensor) -> Tensor:
        """exp(−½ zᵀΣ_m⁻¹z) at points z (*batch, X1, …, Xd, d)."""
        lead = (*whiten.shape[:-3], *(1,) * (self.dim - 1), self.dim, self.dim)
        white: Tensor = z @ whiten[..., m, :, :].reshape(lead).mT
        return torch.exp(-0.5 * (white**2).sum(-1))

    def _whitening(self) -> Tensor:
        whiten: Tensor = torch.linalg.inv(torch.linalg.cholesky(self.widths))
        return whiten

    def _blurred(self, kernel: GaussianKernel) -> tuple[Tensor, Tensor]:
        """Widths of the envelopes' convolution with a kernel, shape (*batch, m, …), and its peaks (…, m)."""
        spread = self.widths.new_tensor(checks.positive(kernel.width, self.dim, "width")) ** 2
        if self._covariance:
            wide = self.widths + torch.diag(spread)
            peaks = (torch.linalg.det(self.widths) / torch.linalg.det(wide)).sqrt()
        else:
            wide = (self.widths**2 + spread).sqrt()
            peaks = (self.widths / wide).prod(-1)
        tail = wide.shape[-3:] if self._covariance else wide.shape[-2:]
        return wide.expand(*self.batch, *tail), peaks

    def _inner(self, other: Field) -> Tensor | None:
        return _overlap(self, other) if isinstance(other, Envelopes) else None

    def _waves(self) -> Tensor:
        """Frequencies of the terms, (…, m, d)."""
        return torch.zeros_like(self.centers)


@dataclass(frozen=True)
class _Pairs:
    """What the product of two envelopes is: height·(an envelope moved by `pull` from the first centre)."""

    height: Tensor  # its integral, (…, m, n)
    pull: Tensor  # (…, m, n, d)
    spread: Tensor  # its variances (…, m, n, d), or covariances (…, m, n, d, d) where `full`
    full: bool

    def spectrum(self, k: Tensor) -> Tensor:
        """exp(−2π² kᵀΣk) of the product's shape."""
        if self.full:
            square = torch.einsum("...i,...ij,...j->...", k, self.spread, k)
        else:
            square = (k**2 * self.spread).sum(-1)
        return torch.exp(-2 * math.pi**2 * square)


def _pairs(left: Tensor, right: Tensor, apart: Tensor, full: bool) -> _Pairs:
    """Products of envelopes of variances or covariances (…, m, 1, d[, d]) and (…, 1, n, d[, d]), `apart` apart."""
    if not full:
        both = left + right
        spread = left * right / both
        height = (2 * math.pi * spread).prod(-1).sqrt()
        height = height * torch.exp(-0.5 * (apart**2 / both).sum(-1))
        return _Pairs(height, left / both * apart, spread, full)
    inverse = torch.linalg.inv(left + right)
    spread, towards = left @ inverse @ right, inverse @ apart[..., None]
    height = torch.linalg.det(2 * math.pi * spread).sqrt()
    exponent = -0.5 * (apart * towards[..., 0]).sum(-1)
    return _Pairs(height * torch.exp(exponent), (left @ towards)[..., 0], spread, full)


def _variances(field: Envelopes, full: bool) -> Tensor:
    if field._covariance:
        return field.widths
    return torch.diag_embed(field.widths**2) if full else field.widths**2


def _overlap(left: Envelopes, right: Envelopes) -> Tensor:
    """∫ Σ_c F_c G_c, shape (*batch,), over all pairs of terms."""
    full = left._covariance or right._covariance
    first, second = _variances(left, full), _variances(right, full)
    axis = -3 if full else -2
    step = max(1, PAIRS // right.centers.shape[-2])
    total: Tensor | None = None
    for begin in range(0, left.centers.shape[-2], step):
        count = min(step, left.centers.shape[-2] - begin)
        centers = left.centers.narrow(-2, begin, count)
        apart = right.centers[..., None, :, :] - centers[..., :, None, :]
        wide = first.narrow(axis, begin, count)
        pairs = _pairs(wide.unsqueeze(axis), second.unsqueeze(axis - 1), apart, full)
        a, b = left.amplitudes.narrow(-2, begin, count), right.amplitudes
        part = _waves_overlap(
            pairs, left._waves().narrow(-2, begin, count), right._waves(), apart, a, b
        )
        total = part if total is None else total + part
    assert total is not None
    return total


def _waves_overlap(
    pairs: _Pairs, f: Tensor, g: Tensor, apart: Tensor, a: Tensor, b: Tensor
) -> Tensor:
    """½ Re Σ_mn (a_m·b̄_n ∫…exp(2πi(f − g)·x) + a_m·b_n ∫…exp(2πi(f + g)·x)), phases counted from the centres."""
    if not (a.is_complex() or b.is_complex() or bool(f.any()) or bool(g.any())):
        return (pairs.height * (a @ b.mT)).sum((-2, -1))
    f, g = f[..., :, None, :], g[..., None, :, :]
    kind = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.complex64)
    a, b = a.to(kind), b.to(kind)
    total: Tensor | None = None
    for sign, weights in ((-1, a @ b.mH), (1, a @ b.mT)):
        turns = (f * pairs.pull).sum(-1) + sign * (g * (pairs.pull - apart)).sum(-1)
        size = pairs.height * pairs.spectrum(f + sign * g)
        part = 0.5 * (weights * size * torch.exp(2j * math.pi * turns)).real.sum((-2, -1))
        total = part if total is None else total + part
    assert total is not None
    return total
