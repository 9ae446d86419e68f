"""Kernels on a whole period: the translation-equivariant linear maps on the torus that aren't local."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fields import arguments, checks, dtypes
from fields.accuracy import SNAP
from fields.arrays import contract
from fields.kernels.kernel import MatrixKernel
from fields.lattice import PerAxis
from fields.stencils.stencil import Stencil, on_nodes


class PeriodicKernel(MatrixKernel):
    """The trigonometric polynomial K through samples on a whole period: equivariant, and not local.

    (K*F)(x) = ∫ K(y) F(x − y) dy over one period, for feature maps that repeat by it: every Fourier coefficient of F is
    multiplied by the matrix K̂(k) = ∫ K(y) exp(−2πi Σ k_i y_i/P_i) dy, and those beyond the kernel's own modes vanish.

    Parameters
    ----------
    values : Tensor, shape (N1, …, Nd, out_channels, in_channels)
        K at y_i = (i − ⌊N/2⌋)·P/N per axis, which can be learnt. N is odd: 2K + 1 samples stand for the modes
        −K, …, K, while an even number would leave the phase of one wave open.
    period : float or sequence of float
        P, per axis or the same on all, in length units.

    Raises
    ------
    ValueError
        For even N; by `convolve`, for a Field that isn't known to repeat by P, and for Samples whose grid isn't
        periodic with the extent P.

    Notes
    -----
    Exact on PlaneWaves and on Interpolated Fourier fields, whose spectra are multiplied, and on Samples, by FFT:
    these are then the samples of K*F for the trigonometric interpolant F. On other fields the integral is a sum over n
    nodes per axis, exact for the modes of F below n − K.

    A torch convolution reaches as far as its taps; this one reaches everywhere, as the layers of Fourier neural
    operators do. Both commute with translations: locality is a choice, not a consequence.

    References
    ----------
    Li et al., Fourier neural operator for parametric partial differential equations, ICLR 2021.

    Examples
    --------
    >>> import math, torch
    >>> from fields import PeriodicKernel, PlaneWaves
    >>> quarter = PeriodicKernel.from_transfer([[[-1j]], [[0.0]], [[1j]]], period=4.0)  # moves by a quarter period
    >>> wave = PlaneWaves([[0.25]], [[1.0]])
    >>> [round(float(wave.convolve(quarter)([x])), 6) for x in (0.0, 1.0)]
    [0.0, -1.0]
    """

    learnt = ("values",)

    def __init__(self, values: Any, period: checks.VectorLike) -> None:
        self.values = checks.as_tensor(values, "values", complex_too=True)
        self.weak = dtypes.is_weak(values)
        dim = self.values.ndim - 2
        if not 1 <= dim <= 3 or 0 in self.values.shape:
            raise ValueError(
                "the values of a periodic kernel have shape (N1, …, Nd, out, in), d ≤ 3, all sizes ≥ 1, "
                f"got {tuple(self.values.shape)}"
            )
        if self.values.is_complex():
            raise TypeError(
                "values must be real: Fourier coefficients are for PeriodicKernel.from_transfer"
            )
        self.shape = tuple(self.values.shape[:dim])
        if any(n % 2 == 0 for n in self.shape):
            raise ValueError(
                f"the number of samples per axis must be odd, got {self.shape}: take one more or one less"
            )
        self.out_channels, self.in_channels = self.values.shape[dim:]
        self.period: PerAxis = checks.positive(period, dim, "period")

    @classmethod
    def from_density(
        cls,
        density: Callable[[Tensor], Tensor],
        period: checks.VectorLike,
        shape: int | tuple[int, ...],
        dim: int,
    ) -> PeriodicKernel:
        """The polynomial through a function's values on one period.

        Parameters
        ----------
        density : callable
            y (*points, d) → K(y) (*points, out, in), |y_i| ≤ P_i/2.
        period : float or sequence of float
        shape : int or sequence of int
            Samples per axis, odd.
        dim : int
            Number d of axes.
        """
        dim = checks.dimension(dim)
        counts, sides = checks.integers(shape, dim, "shape"), checks.positive(period, dim, "period")
        arguments.affordable(math.prod(counts) * dim, "the points of this shape")
        density = arguments.function(density, "density", "offsets (*points, d)")
        axes = [_offsets(n, p / n) for n, p in zip(counts, sides, strict=True)]
        points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
        values = arguments.result(density(points), "the density")
        if tuple(values.shape[:-2]) != counts:
            raise ValueError(
                f"the density must return shape {(*counts, 'out', 'in')} for points of shape {tuple(points.shape)}, "
                f"got {tuple(values.shape)}"
            )
        return cls(values, sides)

    @classmethod
    def from_transfer(cls, transfer: Any, period: checks.VectorLike) -> PeriodicKernel:
        """The kernel of given Fourier coefficients.

        Parameters
        ----------
        transfer : complex Tensor, shape (2K1 + 1, …, 2Kd + 1, out, in)
            K̂(k) at index k + K; K̂(−k) is the conjugate of K̂(k), since K is real.
        period : float or sequence of float
        """
        weak = dtypes.is_weak(transfer)
        transfer = checks.as_tensor(transfer, "transfer", complex_too=True)
        if transfer.dtype not in (*checks.COMPLEX, torch.float32, torch.float64):
            raise TypeError(f"transfer must be in single or double precision, got {transfer.dtype}")
        axes = tuple(range(transfer.ndim - 2))
        if not axes or any(transfer.shape[a] % 2 == 0 for a in axes) or 0 in transfer.shape:
            raise ValueError(
                "transfer must have shape (2K1 + 1, …, 2Kd + 1, out, in), "
                f"got {tuple(transfer.shape)}"
            )
        uneven = (transfer - transfer.flip(axes).conj()).abs().max()
        if float(uneven) > 100 * torch.finfo(transfer.dtype).eps * float(transfer.abs().max()):
            raise ValueError(
                f"transfer(−k) must be the conjugate of transfer(k), they differ by up to {float(uneven):.1e}: "
                "take (transfer + transfer.flip(axes).conj())/2 of any coefficients"
            )
        volume = math.prod(checks.positive(period, len(axes), "period"))
        moved = torch.fft.ifftshift(transfer, axes)
        values = torch.fft.fftshift(torch.fft.ifftn(moved, dim=axes, norm="forward"), axes)
        kernel = cls(values.real / volume, period)
        kernel.weak = weak
        return kernel

    def reach(self, dim: int) -> PerAxis:
        """Half the period."""
        arguments.own_dimension("this kernel lives in", len(self.shape), dim)
        return tuple(p / 2 for p in self.period)

    def spacings(self, node: PerAxis | None, count: int, dim: int) -> tuple[float | None, ...]:
        """The period by the least number of nodes that are at most `node` apart, or 2·count that tell all modes."""
        self.reach(dim)
        if node is None:
            counts = [max(2 * count, n) for n in self.shape]
        else:
            counts = [math.ceil(p / q * (1 - SNAP)) for p, q in zip(self.period, node, strict=True)]
        return tuple(p / n for p, n in zip(self.period, counts, strict=True))

    def bandwidth(self, rtol: float, dim: int) -> PerAxis:
        """Its highest mode."""
        self.reach(dim)
        return tuple(n // 2 / p for n, p in zip(self.shape, self.period, strict=True))

    def transform(self, frequencies: Tensor) -> Tensor:
        """K̂ at multiples of 1/period, 0 beyond the modes of the kernel."""
        cycles = frequencies.double() * frequencies.new_tensor(self.period, dtype=torch.float64)
        modes = cycles.detach().round()
        off = (cycles - modes).abs() > 1e-9 * (1 + cycles.abs())
        if not checks.tracing() and bool(off.any()):
            raise ValueError(f"a kernel of period {self.period} acts on multiples of 1/period only")
        modes = modes.long()
        highest = modes.new_tensor([n // 2 for n in self.shape])
        inside = (modes.abs() <= highest).all(-1)
        index = (modes % modes.new_tensor(self.shape)).unbind(-1)
        return torch.where(inside[:, None, None], self._coefficients()[index], 0.0)

    def stencils(self, pitch: PerAxis, node: PerAxis) -> list[Stencil]:
        """K at n nodes on a whole period, without what n nodes can't tell from lower modes."""
        dim = len(self.shape)
        axes, bases = [], []
        for p, q, n in zip(self.period, node, self.shape, strict=True):
            count = round(p / q)
            y = _offsets(count, q)
            k = torch.fft.fftfreq(n, 1 / n, dtype=torch.float64)
            # A wave at the nodes' Nyquist frequency is both ±k: half of each acts on it.
            kept = (2 * k.abs() < count).double() + 0.5 * (2 * k.abs() == count).double()
            bases.append(torch.exp(2j * math.pi * k * y[:, None] / p) * (kept / count))
            axes.append(y)
        coefficients = self._coefficients().flatten(dim).movedim(-1, 0)
        bases = [b.to(coefficients) for b in bases]
        taps = contract(coefficients, bases).movedim(0, -1).unflatten(-1, self.values.shape[dim:])
        return on_nodes(axes, pitch, taps)

    def _coefficients(self) -> Tensor:
        """K̂(k) in the order of a discrete Fourier transform, shape (N1, …, Nd, out, in)."""
        axes = tuple(range(len(self.shape)))
        moved = torch.fft.ifftshift(self.values, axes)
        out: Tensor = torch.fft.fftn(moved, dim=axes, norm="forward") * math.prod(self.period)
        return out


def _offsets(count: int, spacing: float) -> Tensor:
    """Offsets (i − ⌊n/2⌋)·spacing, 0 ≤ i < n: those of one period."""
    return (torch.arange(count, dtype=torch.float64) - count // 2) * spacing
