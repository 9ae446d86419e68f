"""Plane waves: trigonometric sums.

A trigonometric sum with a common period is known by its coefficients alone: integrals, inner products, convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fields import checks, dtypes
from fields.accuracy import SAME_FREQUENCY
from fields.accuracy import SEPARABLE_WORKSPACE as WORKSPACE
from fields.algebra.field import Field
from fields.arrays import contract, separable_sum
from fields.evaluation.integrals import multiples
from fields.kept import Kept
from fields.kernels.kernel import MatrixKernel
from fields.lattice import Lattice, PerAxis, common_period, common_spacing


class PlaneWaves(Field):
    """F(x) = Re Σ_m a_m exp(2πi f_m·x), a trigonometric sum.

    Parameters
    ----------
    frequencies : Tensor, shape (m, d)
        In cycles per unit length.
    amplitudes : complex Tensor, shape (m, c) or (*batch, m, c)
    period : float or sequence of float, optional
        A common period, where it is known; otherwise it is worked out where the frequencies have one.

    Raises
    ------
    ValueError
        Where `period` isn't one; and by `integrate`, `norm` and `inner` where there is none in common.

    Notes
    -----
    Integral, norm and inner products over the period, Fourier coefficients, and convolutions with kernels of known
    transform are closed.

    Examples
    --------
    >>> from fields import PlaneWaves
    >>> wave = PlaneWaves([[0.25]], [[1.0]])
    >>> wave.is_periodic(8.0), wave.bandlimit
    (True, (0.25,))
    """

    def __init__(
        self, frequencies: Any, amplitudes: Any, period: checks.VectorLike | None = None
    ) -> None:
        self.weak = dtypes.is_weak(amplitudes)
        amplitudes = checks.as_tensor(amplitudes, "amplitudes", complex_too=True)
        if amplitudes.dtype not in (*checks.COMPLEX, torch.float32, torch.float64):
            raise TypeError(
                f"amplitudes must be in single or double precision, got {amplitudes.dtype}"
            )
        self.dtype, self.device = amplitudes.real.dtype, amplitudes.device
        self._amplitudes = amplitudes
        self._frequencies = checks.as_tensor(frequencies, "frequencies")
        if self.frequencies.ndim != 2 or 0 in self.frequencies.shape:
            raise ValueError(
                f"frequencies must have shape (m, d), m ≥ 1, got {tuple(self.frequencies.shape)}"
            )
        terms, dim = self.frequencies.shape
        sizes = self.amplitudes.shape
        if len(sizes) < 2 or sizes[-2] != terms or 0 in sizes:
            raise ValueError(
                f"amplitudes must have shape ({terms}, c), got {tuple(self.amplitudes.shape)}"
            )
        self.dim, self.channels = checks.dimension(dim), self.amplitudes.shape[-1]
        self.batch = tuple(self.amplitudes.shape[:-2])
        self._known = None if period is None else checks.positive(period, dim, "period")
        if self._known is not None and not self._repeats(self._known):
            raise ValueError(
                f"these frequencies are no multiples of 1/period, period {self._known}"
            )
        self._kept = Kept()

    @property
    def amplitudes(self) -> Tensor:
        """a, complex, shape (m, c) or (*batch, m, c)."""
        given = self._amplitudes
        return given if given.is_complex() else torch.complex(given, torch.zeros_like(given))

    @amplitudes.setter
    def amplitudes(self, value: Tensor) -> None:
        self._amplitudes = value

    @property
    def frequencies(self) -> Tensor:
        """f, shape (m, d)."""
        return self._frequencies.to(self.device)

    @frequencies.setter
    def frequencies(self, value: Tensor) -> None:
        self._frequencies = value

    @property
    def bandlimit(self) -> PerAxis:  # type: ignore[override]
        """The highest of the frequencies, per axis."""
        return tuple(self.frequencies.detach().abs().amax(0).tolist())

    def _repeats(self, period: PerAxis) -> bool:
        cycles = self.frequencies.detach().double().cpu() * torch.tensor(
            period, dtype=torch.float64
        )
        return bool(((cycles - cycles.round()).abs() <= 1e-9 * (1 + cycles.abs())).all())

    @property
    def _grid(self) -> list[tuple[Tensor, Tensor]] | None:
        """Distinct frequencies per axis and where each term has its own; None where terms are scattered."""
        f = self.frequencies
        if self.dim == 1 or f.requires_grad or torch.compiler.is_compiling():
            return None
        found: list[tuple[Tensor, Tensor]] | None = self._kept.of("grid", [f], _product_grid)
        return found

    @property
    def period(self) -> PerAxis | None:
        """The shortest common period found, 0 along axes where all frequencies vanish."""
        if self._known is not None and self._repeats(self._known):
            return self._known
        periods = []
        for axis in self.frequencies.detach().double().cpu().abs().T.tolist():
            base = 0.0
            for f in sorted(f for f in set(axis) if f):
                common = common_spacing(base, f) if base else f
                if common is None:
                    return None
                base = common
            periods.append(1 / base if base else 0.0)
        return tuple(periods)

    def is_periodic(self, period: checks.VectorLike) -> bool:
        """Whether all frequencies are multiples of 1/period, axis by axis."""
        return self._repeats(checks.positive(period, self.dim, "period"))

    def _integral(self) -> Tensor:
        period = self._needed_period()
        still = (self.frequencies == 0).all(-1).to(self.amplitudes)
        return math.prod(p or 1.0 for p in period) * (still @ self.amplitudes).real

    def _inner(self, other: Field) -> Tensor | None:
        if not isinstance(other, PlaneWaves):
            return self._under(other)
        period = common_period(self._needed_period(), other._needed_period())
        if period is None:
            raise ValueError(
                f"an inner product of waves needs a common period: these have {self.period} and {other.period}"
            )
        lengths = [p or 1.0 for p in period]
        left, right = self._folded(lengths), other._folded(lengths)
        both = torch.cat([left[0], right[0]])
        waves, where = torch.unique(both, dim=0, return_inverse=True)
        a = _gathered(left[1], where[: len(left[0])], len(waves))
        b = _gathered(right[1], where[len(left[0]) :], len(waves))
        # The mean of Re(a e^{iθ}) Re(b e^{iθ}) is ½ Re(a b̄), but Re a · Re b where θ = 0.
        still = (waves == 0).all(-1)[:, None]
        means = torch.where(still, a.real * b.real, 0.5 * (a * b.conj()).real)
        return math.prod(lengths) * means.sum((-2, -1))

    def _under(self, other: Field) -> Tensor | None:
        """⟨F, G⟩ = V Σ_m Σ_c Re(a_mc conj Ĝ_c(f_m)), V the common period's volume; 1 where G decays."""
        frequencies, period = self.frequencies.double(), other.period
        if period is None:
            found, volume = other._transform(frequencies), 1.0
            return None if found is None else (self.amplitudes * found.conj()).real.sum((-2, -1))
        common = common_period(self.period, period)
        if common is None:
            return None
        there = multiples(frequencies, period)[:, None]
        found = other._transform(torch.where(there, frequencies, 0.0))
        if found is None:
            return None
        volume = math.prod(p or 1.0 for p in common)
        return volume * (there * self.amplitudes * found.conj()).real.sum((-2, -1))

    def _folded(self, period: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Multiples k of 1/period, of each pair ±k the one whose first non-zero entry is positive; amplitudes."""
        k = (
            self.frequencies.detach().double() * self.frequencies.new_tensor(period).double()
        ).round()
        first = k.gather(-1, (k != 0).to(torch.int8).argmax(-1, keepdim=True))
        flip = first[:, 0] < 0
        folded = torch.where(flip[:, None], -k, k) + 0.0  # + 0.0: no negative zeros
        return folded, torch.where(flip[:, None], self.amplitudes.conj(), self.amplitudes)

    def _needed_period(self) -> PerAxis:
        period = self.period
        if period is None:
            raise ValueError(
                "an integral of plane waves needs a period, and these frequencies have none in common"
            )
        return period

    def _transform(self, frequencies: Tensor) -> Tensor:
        """Half of a at f and half of its conjugate at −f, exact for frequencies without a common period too."""
        own = self.frequencies.detach().double()
        apart = SAME_FREQUENCY * own.abs().amax()
        same, opposite = (
            ((frequencies[:, None] - sign * own).abs() <= apart).all(-1).to(self.amplitudes)
            for sign in (1, -1)
        )
        return 0.5 * (same @ self.amplitudes + opposite @ self.amplitudes.conj())

    def _moved(self, t: Tensor) -> Field:
        cycles = t.to(self.device) @ self.frequencies.double().mT
        turned = torch.exp(-2j * math.pi * (cycles - cycles.detach().round()))
        amplitudes = self.amplitudes * turned[..., None].to(self.amplitudes)
        return PlaneWaves(self.frequencies, amplitudes, self._known)

    def _mixed(self, matrix: Tensor) -> Field:
        amplitudes = self.amplitudes @ matrix.mT.to(self.amplitudes.dtype)
        return PlaneWaves(self.frequencies, amplitudes, self._known)

    def _convolved(self, kernel: MatrixKernel) -> Field | None:
        factors = kernel.transform(self.frequencies)
        if factors is None:
            return None
        amplitudes = torch.einsum("moi,...mi->...mo", factors.to(self.amplitudes), self.amplitudes)
        return PlaneWaves(self.frequencies, amplitudes, self._known)

    def _values(self, lattice: Lattice) -> Tensor:
        kind = self.amplitudes.dtype
        axes = lattice.axes()
        grid = self._grid
        if grid is not None:
            bases = [_waves(x, f).to(kind) for x, (f, _) in zip(axes, grid, strict=True)]
            sides = [len(values) for values, _ in grid]
            cells = self.amplitudes.new_zeros(*self.batch, *sides, self.channels)
            index = tuple(where for _, where in grid)
            cells = _scatter(cells, index, self.amplitudes, self.dim)
            return contract(cells.movedim(-1, -self.dim - 1), bases)
        if self.dim == 1:  # waves at all points would take m/c times the memory of the result
            points = max(1, WORKSPACE // (64 * len(self.frequencies) * axes[0][..., 0].numel()))
            parts = [self._sum([x], kind) for x in axes[0].split(points, -1)]
            return parts[0] if len(parts) == 1 else torch.cat(parts, -1)
        return self._sum(axes, kind)

    def _sum(self, axes: Sequence[Tensor], kind: torch.dtype) -> Tensor:
        """Values on the product of coordinates (*batch, X_i) per axis."""
        factors = [
            _waves(x, f.double()).to(kind) for x, f in zip(axes, self.frequencies.T, strict=True)
        ]
        return separable_sum(self.amplitudes, factors)


def _product_grid(frequencies: Tensor) -> list[tuple[Tensor, Tensor]] | None:
    axes = [torch.unique(axis, return_inverse=True) for axis in frequencies.double().T]
    cells = math.prod(len(values) for values, _ in axes)
    return axes if cells <= 4 * len(frequencies) else None


def _scatter(cells: Tensor, index: tuple[Tensor, ...], values: Tensor, dim: int) -> Tensor:
    """Add values (*batch, m, c) to cells (*batch, U1, …, Ud, c) at `index`."""
    batch = cells.shape[: -dim - 1]
    flat = torch.zeros_like(index[0])
    for i, where in enumerate(index):
        flat = flat * cells.shape[len(batch) + i] + where
    out = cells.flatten(len(batch), -2).index_add(len(batch), flat, values)
    return out.reshape(cells.shape)


def _gathered(amplitudes: Tensor, where: Tensor, count: int) -> Tensor:
    """Sums (*batch, count, c) of the amplitudes (*batch, m, c) of equal waves."""
    out = amplitudes.new_zeros(*amplitudes.shape[:-2], count, amplitudes.shape[-1])
    return out.index_add(-2, where, amplitudes)


def _waves(x: Tensor, f: Tensor) -> Tensor:
    """exp(2πi f x), shape (*batch, X, m), the phase reduced before it is scaled."""
    cycles = x[..., :, None] * f
    return torch.exp(2j * math.pi * (cycles - cycles.detach().round()))
