"""Terms with Gaussian envelopes, and the integrals of their products, which are Gaussian again."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor

from fields import arguments, dtypes
from fields.accuracy import ENVELOPE_PAIRS, MOST_BLURRED
from fields.algebra.field import Field
from fields.algebra.field_kernel import FieldKernel
from fields.kernels.kernel import MatrixKernel
from fields.kernels.profile_kernels import GaussianKernel
from fields.lattice import Lattice
from fields.leaves.localized import Shapes
from fields.profiles import GAUSSIAN


class Envelopes(Shapes):
    """Abstract: terms with the envelope exp(−½ zᵀ Σ_m⁻¹ z), z = x − c_m.

    `widths` are standard deviations (…, m, d) or covariances (…, m, d, d), whatever they were given as.
    """

    profile = GAUSSIAN
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

    @property
    def _sizes(self) -> Tensor:
        return self._deviations[1]

    def _reach(self, rtol: float) -> Tensor:
        rtol = arguments.fraction(rtol, "rtol")
        return self._deviations[0] * math.sqrt(-2 * math.log(rtol))

    @property
    def _volumes(self) -> Tensor:
        """∫exp(−½ zᵀΣ⁻¹z) dz = (2π)^{d/2} √det Σ, shape (…, m)."""
        if not self._covariance:
            return super()._volumes
        determinants: Tensor = torch.linalg.det(self.widths)
        return determinants.sqrt() * GAUSSIAN.integral(self.dim)

    def _spectra(self, f: Tensor) -> Tensor:
        """∫exp(−½ zᵀΣ⁻¹z − 2πi f·z) dz = volume · exp(−2π² fᵀΣf) at f (…, k, m, d), shape (…, k, m)."""
        if not self._covariance:
            return super()._spectra(f)
        square = torch.einsum("...kmi,...mij,...kmj->...km", f, self.widths.to(f), f)
        return self._volumes[..., None, :] * GAUSSIAN.wave(square)

    def _values(self, lattice: Lattice) -> Tensor:
        if not self._covariance:
            return super()._values(lattice)
        whiten: Tensor = torch.linalg.inv(torch.linalg.cholesky(self.widths))
        return self._summed(lattice, lambda m, z: self._whitened(m, z, whiten))

    def _whitened(self, m: int, z: Tensor, whiten: Tensor) -> Tensor:
        """exp(−½ zᵀΣ_m⁻¹z) at points z (*batch, X1, …, Xd, d)."""
        lead = (*whiten.shape[:-3], *(1,) * (self.dim - 1), self.dim, self.dim)
        white: Tensor = z @ whiten[..., m, :, :].reshape(lead).mT
        return GAUSSIAN.of((white**2).sum(-1))

    def _spreads(self, full: bool) -> Tensor:
        """Variances (…, m, d), or covariances (…, m, d, d)."""
        if self._covariance:
            return self.widths
        return torch.diag_embed(self.widths**2) if full else self.widths**2

    def _waves(self) -> Tensor:
        """Frequencies of the terms, (…, m, d)."""
        return torch.zeros_like(self.centers)

    def _blurred(self, kernel: MatrixKernel) -> tuple[Tensor, ...] | None:
        """Centers, amplitudes, widths, and frequencies where there are waves, of the convolution with such terms."""
        met = self._met(kernel)
        if met is None:
            return None
        centers, amplitudes, pairs, f, g = met
        peaks = pairs.peaks()
        waves: tuple[Tensor, ...] = ()
        if self.complex_amplitudes or amplitudes.is_complex():
            found, fall = pairs.waves(f, g)
            peaks, waves = peaks * fall, (found,)
        mixed = amplitudes @ kernel.matrix.mT.to(amplitudes.dtype)  # type: ignore[attr-defined]
        widths, tail = (pairs.wide, -3) if pairs.full else (pairs.wide.sqrt(), -2)
        widths = widths.expand(*self.batch, *widths.shape[tail:])
        return centers, peaks[..., None] * mixed, widths, *waves

    def _met(self, kernel: MatrixKernel) -> _Met | None:
        """Every term with every term of a kernel that is made of Gaussians, or of Gabors."""
        full = self._covariance
        if type(kernel) is GaussianKernel:
            spread = self.centers.new_tensor([[w * w for w in kernel.sizes(self.dim)]])
            pairs = _Pairs(self._spreads(full), torch.diag_embed(spread) if full else spread, full)
            return self.centers, self.amplitudes, pairs, self._waves(), 0.0
        if not (isinstance(kernel, FieldKernel) and isinstance(kernel.field, Envelopes)):
            return None
        now = getattr(kernel.field, "now", kernel.field)  # where it is a closed convolution itself
        field = cast(Envelopes, now._in(self.dtype))
        full = full or field._covariance
        masses = field.amplitudes[:, 0] * field._volumes
        parts = [field.centers, field._spreads(full), field._waves()]
        if field.complex_amplitudes:  # Re u = (u + ū)/2
            masses = 0.5 * masses.to(dtypes.complex_of(self.dtype))
            masses = torch.cat([masses, masses.conj()])
            parts = [torch.cat([part, s * part]) for part, s in zip(parts, (1, 1, -1), strict=True)]
        terms, count = self.centers.shape[-2], len(masses)
        if terms * count > MOST_BLURRED:
            return None
        centers, spread, g = (part.repeat(terms, *(1,) * (part.ndim - 1)) for part in parts)
        own = self._spreads(full).repeat_interleave(count, -3 if full else -2)
        amplitudes, mine, f = (
            part.repeat_interleave(count, -2)
            for part in (self.amplitudes, self.centers, self._waves())
        )
        amplitudes = amplitudes * masses.repeat(terms)[:, None]
        return mine + centers, amplitudes, _Pairs(own, spread, full), f, g

    def _inner(self, other: Field) -> Tensor | None:
        return _overlap(self, other) if isinstance(other, Envelopes) else None


class _Pairs:
    """Envelopes of covariances A and B, and their convolution's C = A + B; variances per axis unless `full`."""

    def __init__(self, own: Tensor, other: Tensor, full: bool) -> None:
        self.own, self.other, self.full = own, other, full
        self.wide = own + other

    def peaks(self) -> Tensor:
        """√(det A/det C): what is left of a peak where the other has unit integral."""
        if self.full:
            ratio: Tensor = torch.linalg.det(self.own) / torch.linalg.det(self.wide)
            return ratio.sqrt()
        return (self.own / self.wide).sqrt().prod(-1)

    def waves(self, f: Tensor, g: Tensor | float) -> tuple[Tensor, Tensor]:
        """Where the product of spectra around f and g peaks, k = g + C⁻¹A(f − g), and exp(−2π²(f − g)ᵀB(k − g))."""
        apart = f - g
        towards = self._solved(self._times(self.own, apart))
        return g + towards, GAUSSIAN.wave((apart * self._times(self.other, towards)).sum(-1))

    def at(self, z: Tensor) -> Tensor:
        """exp(−½ zᵀC⁻¹z)."""
        return GAUSSIAN.of((z * self._solved(z)).sum(-1))

    def _times(self, matrix: Tensor, vector: Tensor) -> Tensor:
        return (matrix @ vector[..., None])[..., 0] if self.full else matrix * vector

    def _solved(self, vector: Tensor) -> Tensor:
        if not self.full:
            return vector / self.wide
        solved: Tensor = torch.linalg.solve(self.wide, vector[..., None])[..., 0]
        return solved


def _overlap(left: Envelopes, right: Envelopes) -> Tensor:
    """∫ Σ_c F_c G_c, shape (*batch,): the convolution of F with G mirrored, at 0, over all pairs of terms.

    With waves ½ Re Σ_mn (a_m·b̄_n ∫…exp(2πi(f − g)·x) + a_m·b_n ∫…exp(2πi(f + g)·x)), phases counted from the centres.
    """
    full = left._covariance or right._covariance
    own, others = left._spreads(full), right._spreads(full).unsqueeze(-4 if full else -3)
    a, b, f, g = left.amplitudes, right.amplitudes, left._waves(), right._waves()[..., None, :, :]
    turning = left.complex_amplitudes or right.complex_amplitudes
    kind = dtypes.complex_of(torch.promote_types(left.dtype, right.dtype))
    step, parts = max(1, ENVELOPE_PAIRS // right.centers.shape[-2]), []
    for begin in range(0, left.centers.shape[-2], step):
        some = slice(begin, begin + step)
        wide = own[..., some, None, :, :] if full else own[..., some, None, :]
        pairs = _Pairs(wide, others, full)
        apart = right.centers[..., None, :, :] - left.centers[..., some, None, :]
        size = pairs.peaks() * pairs.at(apart) * right._volumes[..., None, :]
        if not turning:
            parts.append((size * (a[..., some, :] @ b.mT)).sum((-2, -1)))
            continue
        for wave, weights in ((g, b.mH), (-g, b.mT)):
            k, fall = pairs.waves(f[..., some, None, :], wave)
            turned = size * fall * torch.exp(2j * math.pi * (k * apart).sum(-1))
            weighted = turned * (a[..., some, :].to(kind) @ weights.to(kind))
            parts.append(0.5 * weighted.real.sum((-2, -1)))
    return torch.stack(parts).sum(0)


#: Centers, amplitudes and frequencies f of terms, and the frequencies g of those that they meet.
_Met = tuple[Tensor, Tensor, _Pairs, Tensor, Tensor | float]
