"""Gaussians, alone, periodized, or times a plane wave (Gabors).

Everything Gaussian stays Gaussian: transforms, products, and convolutions with Gaussian kernels are closed.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from fields import checks
from fields.accuracy import TAIL
from fields.algebra.field import Field
from fields.algebra.periodized import Images
from fields.arrays import separable_sum
from fields.kernels.kernel import MatrixKernel
from fields.lattice import Lattice
from fields.leaves.gaussian_envelopes import Envelopes
from fields.profiles import GAUSSIAN


class Gaussians(Envelopes):
    """F(x) = Σ_m a_m exp(−½ (x − c_m)ᵀ Σ_m⁻¹ (x − c_m)), of unit peak.

    Parameters
    ----------
    centers : Tensor, shape (m, d) or (*batch, m, d)
        In length units.
    amplitudes : Tensor, shape (m, c) or (*batch, m, c)
    widths : Tensor, shape (m,), (m, d) or (m, d, d), or with the batch in front
        Standard deviations, Σ = w² or diag(w²), or the covariances Σ themselves. Where a shape could be read with or
        without the batch, it is read with it.

    Raises
    ------
    ValueError
        For widths that aren't positive, or covariances that aren't symmetric and positive definite.

    Notes
    -----
    The Fourier transform is Σ_m a_m (2π)^{d/2} √det Σ_m exp(−2π² fᵀΣ_m f − 2πi f·c_m). Integral, norm, inner products
    with Gaussians and Gabors, and convolutions with a GaussianKernel are closed. On lattices, per-axis widths
    cost m·(sum of sides) exponentials and one matrix product.

    Examples
    --------
    >>> import torch
    >>> from fields import Gaussians
    >>> F = Gaussians([[0.0, 0.0]], [[2.0]], [1.0])
    >>> F(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))[:, 0].tolist()
    [2.0, 1.2130613194252668]
    """

    def __init__(self, centers: Any, amplitudes: Any, widths: Any) -> None:
        super().__init__(centers, amplitudes, widths)

    def periodize(self, period: checks.VectorLike) -> Field:
        """Σ_n F(x − nP): for per-axis widths by sums of images per axis, which stay separable."""
        if self._covariance:
            return super().periodize(period)
        return PeriodicGaussians(self, checks.positive(period, self.dim, "period"))

    def _convolved(self, kernel: MatrixKernel) -> Field | None:
        parts = self._blurred(kernel)
        if parts is None:
            return None
        return Gaussians(*parts) if len(parts) == 3 else Gabors(*parts)


class Gabors(Envelopes):
    """F(x) = Re Σ_m a_m exp(−½ zᵀ Σ_m⁻¹ z + 2πi f_m·z), z = x − c_m: Gaussian envelopes times plane waves.

    Parameters
    ----------
    centers : Tensor, shape (m, d) or (*batch, m, d)
        In length units.
    amplitudes : real or complex Tensor, shape (m, c) or (*batch, m, c)
        The argument of a complex amplitude is the wave's phase at the centre: real ones are even, imaginary ones odd.
    widths : Tensor, shape (m,), (m, d) or (m, d, d), or with the batch in front
        Of the envelopes, as for `Gaussians`.
    frequencies : Tensor, shape (m, d) or (*batch, m, d)
        In cycles per unit length.

    Raises
    ------
    ValueError
        For widths that aren't positive, or covariances that aren't symmetric and positive definite.

    Examples
    --------
    >>> from fields import Gabors
    >>> F = Gabors([[0.0]], [[1.0]], [2.0], [[0.25]])
    >>> [round(v, 6) for v in F([[0.0], [1.0], [2.0]])[:, 0].tolist()]
    [1.0, 0.0, -0.606531]
    """

    frequencies: Tensor
    complex_amplitudes = True

    def __init__(self, centers: Any, amplitudes: Any, widths: Any, frequencies: Any) -> None:
        super().__init__(centers, amplitudes, widths, frequencies=frequencies)
        self._tail("frequencies", (self.dim,))

    def _bands(self, rtol: float) -> Tensor:
        """Frequencies of the waves plus those at which their envelopes' spectra are `rtol`."""
        bands = super()._bands(rtol)
        assert bands is not None
        return bands + self.frequencies.detach().abs()

    def _waves(self) -> Tensor:
        return self.frequencies

    def _along(self, lattice: Lattice, axis: int) -> Tensor:
        f = self.frequencies[..., None, :, axis].double()
        wave = torch.exp(2j * math.pi * f * self._offsets(lattice, axis)[0])
        return super()._along(lattice, axis) * wave

    def _whitened(self, m: int, z: Tensor, whiten: Tensor) -> Tensor:
        f = self.frequencies[..., m, :]
        turns = (z * f.reshape(*f.shape[:-1], *(1,) * self.dim, self.dim)).sum(-1)
        return super()._whitened(m, z, whiten) * torch.exp(2j * math.pi * turns)

    def _integral(self) -> Tensor:
        sizes = self._spectra(self.frequencies[..., None, :, :])
        return (sizes.to(self.amplitudes.dtype) @ self.amplitudes).squeeze(-2).real

    def _transform(self, frequencies: Tensor) -> Tensor:
        f, phases = self.frequencies[..., None, :, :], self._phases(frequencies)
        ahead = self._weighted(self._spectra(frequencies[:, None] - f) * phases)
        # Re u = (u + ū)/2, and the transform of ū at f is the conjugate of that of u at −f.
        behind = self._weighted(self._spectra(-frequencies[:, None] - f) * phases.conj())
        return 0.5 * (ahead + behind.conj())

    def _convolved(self, kernel: MatrixKernel) -> Field | None:
        parts = self._blurred(kernel)
        return None if parts is None else Gabors(*parts)


class PeriodicGaussians(Images):
    """x ↦ Σ_n F(x − nP) for Gaussians F with widths per axis: a sum of products of theta functions.

    Made by `Gaussians.periodize`. Per axis, the images that reach the period are summed, so that m terms on N^d points
    cost as much as they do without a period.
    """

    source: Gaussians

    def _values(self, lattice: Lattice) -> Tensor:
        factors = []
        for i, p in enumerate(self._period):
            z, widths = self.source._offsets(lattice, i)
            z = z - p * (z.detach() / p).round()
            reach = math.sqrt(-2 * math.log(TAIL)) * float(widths.detach().amax())
            images = math.floor(reach / p + 0.5)
            total = GAUSSIAN.along(z, widths)
            for n in range(1, images + 1):
                total = total + GAUSSIAN.along(z - n * p, widths)
                total = total + GAUSSIAN.along(z + n * p, widths)
            factors.append(total.to(self.dtype))
        return separable_sum(self.source.amplitudes, factors)
