"""Interpolated: the field through samples on a regular grid."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from fields import checks
from fields.analytic import dimension
from fields.field import Field, PerAxis
from fields.lattice import Lattice, split
from fields.separable import contract

#: Ways to continue samples, and the boundaries that each method is defined for.
METHODS: dict[str, tuple[str, ...]] = {
    "fourier": ("periodic", "zero"),
    "linear": ("periodic", "zero"),
}


class Interpolated(Field):
    """The field through samples on a regular grid.

    Parameters
    ----------
    values : Tensor, shape (*batch, c, X1, …, Xd)
    spacing : float or sequence of float
        In length units; its length, or that of `origin`, tells d, and a single number means d = 1, 2 or 3 by
        `values.ndim − 1`, that is, no batch.
    origin : float or Tensor, shape (d,) or (*batch, d)
        Position of the first sample.
    method : {"fourier", "linear"}
        "fourier" is the exact trigonometric interpolant, or, with boundary "zero", the sinc series.
    boundary : {"periodic", "zero"}
        How the samples continue outside.

    Notes
    -----
    An even number N of periodic samples leaves the phase of the wave at Nyquist open. The field keeps its cosine,
    cos(πx/h): the interpolant is real, passes through the samples, and, being one function, is translated exactly.

    Examples
    --------
    >>> import torch
    >>> from fields import Interpolated
    >>> F = Interpolated(torch.tensor([[0.0, 1.0, 0.0, -1.0]]).double(), spacing=0.25)
    >>> round(float(F([0.125])), 6)
    0.707107
    """

    def __init__(
        self,
        values: Any,
        spacing: checks.VectorLike,
        origin: Any = 0.0,
        method: str = "fourier",
        boundary: str = "periodic",
    ) -> None:
        self.values = checks.as_tensor(values, "values")
        self.origin = checks.as_tensor(origin, "origin").to(torch.float64)
        self.dim = dimension(_dimension_of(self.values, spacing, self.origin))
        self.spacing = checks.positive(spacing, self.dim, "spacing")
        if self.values.ndim < self.dim + 1 or 0 in self.values.shape:
            raise ValueError(
                f"values must have shape (*batch, c, X1, …, X{self.dim}), no size 0, "
                f"got {tuple(self.values.shape)}"
            )
        if method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
        if boundary not in METHODS[method]:
            raise ValueError(
                f"method {method!r} continues samples by boundary {' or '.join(METHODS[method])}, "
                f"got {boundary!r}"
            )
        self.method, self.boundary = method, boundary
        self.shape = tuple(self.values.shape[-self.dim :])
        self.channels = self.values.shape[-self.dim - 1]
        self.dtype, self.device = self.values.dtype, self.values.device
        self.origin = (
            self.origin.expand(*self.origin.shape[:-1], self.dim)
            if self.origin.ndim
            else (self.origin.repeat(self.dim))
        )
        self.origin = self.origin.to(self.device)
        lead = tuple(self.values.shape[: -self.dim - 1])
        self.batch = tuple(torch.broadcast_shapes(lead, self.origin.shape[:-1]))
        if method == "fourier":
            self.bandlimit = tuple(
                (n // 2 / n if boundary == "periodic" else 0.5) / h
                for n, h in zip(self.shape, self.spacing, strict=True)
            )
        self._kept: Tensor | None = None

    @classmethod
    def from_image(cls, path: str | Path, spacing: checks.VectorLike = 1.0, **options: Any) -> Self:
        """Field of an image file: rows along x1, columns along x2, values in [0, 1], one channel or three.

        Parameters
        ----------
        path : path
            Any file that scikit-image reads.
        spacing : float
            Size of a pixel, in length units.
        **options
            `origin`, `method`, `boundary`, as for the class.
        """
        from skimage import io, util

        try:
            read: Any = io.imread(Path(path))
            image = util.img_as_float64(read)  # type: ignore[no-untyped-call]
        except Exception as error:  # the readers behind imread raise what they like
            raise ValueError(f"{path} can't be read as an image: {error}") from error
        if image.ndim == 2:
            image = image[..., None]
        if image.ndim != 3 or image.shape[-1] not in (1, 3):
            raise ValueError(
                f"{path} must be a greyscale or RGB image, got an array of shape {image.shape}"
            )
        return cls(torch.from_numpy(image).movedim(-1, 0).contiguous(), (spacing,) * 2, **options)  # type: ignore[arg-type]

    @property
    def period(self) -> PerAxis | None:
        """The extent of the samples, where they are continued periodically."""
        if self.boundary != "periodic":
            return None
        return tuple(n * h for n, h in zip(self.shape, self.spacing, strict=True))

    def support(self, rtol: float) -> tuple[PerAxis, PerAxis] | None:
        """One cell beyond the samples, for linear interpolation of samples continued by zeros."""
        if self.boundary != "zero" or self.method != "linear":
            return None
        origins = self.origin.reshape(-1, self.dim)
        low = (origins.amin(0) - origins.new_tensor(self.spacing)).tolist()
        extent = [n * h for n, h in zip(self.shape, self.spacing, strict=True)]
        return tuple(low), tuple(
            a + e for a, e in zip(origins.amax(0).tolist(), extent, strict=True)
        )

    def bandwidth(self, rtol: float) -> PerAxis | None:
        """The band limit; for piecewise interpolants one wave per sample, from where their spectra fall off."""
        return self.bandlimit or tuple(1 / h for h in self.spacing)

    def _values(self, lattice: Lattice) -> Tensor:
        if self.method == "linear":
            return self._gathered(lattice, linear_taps)
        if self.boundary == "zero":
            bases = [
                torch.sinc(p[..., :, None] - k).to(self.dtype) for p, k in self._positions(lattice)
            ]
            return contract(self.values, bases)
        factors = self._commensurate(lattice)
        if factors is not None:
            return self._by_fft(lattice, *factors)
        return self._by_waves(lattice)

    def _positions(self, lattice: Lattice) -> list[tuple[Tensor, Tensor]]:
        """Per axis: positions in samples (*batch, X_i), and the indices of the samples."""
        return [
            ((x - self.origin[..., i, None]) / h, torch.arange(n, dtype=x.dtype, device=x.device))
            for i, (x, h, n) in enumerate(
                zip(lattice.axes(), self.spacing, self.shape, strict=True)
            )
        ]

    # --- Fourier ----------------------------------------------------------------------------------------------

    def _by_waves(self, lattice: Lattice) -> Tensor:
        kind = torch.complex64 if self.dtype == torch.float32 else torch.complex128
        bases = []
        for (position, _), n in zip(self._positions(lattice), self.shape, strict=True):
            k = torch.fft.fftfreq(n, 1.0, dtype=position.dtype, device=position.device)
            cycles = position[..., :, None] * k
            wave = torch.exp(2j * math.pi * (cycles - cycles.detach().round()))
            if n % 2 == 0:  # the cosine of the wave at Nyquist
                wave = torch.where(k == -0.5, wave.real + 0j, wave)
            bases.append(wave.to(kind))
        axes = tuple(range(-self.dim, 0))
        return contract(torch.fft.fftn(self.values, dim=axes, norm="forward"), bases)

    def _commensurate(self, lattice: Lattice) -> tuple[list[int], list[int]] | None:
        """(refinement m, stride k) per axis with lattice spacing = k·spacing/m; None where an FFT doesn't pay."""
        refine, stride = [], []
        for q, h, n, size in zip(
            lattice.spacing, self.spacing, lattice.shape, self.shape, strict=True
        ):
            (m, rest_m), (k, rest_k) = split(h / q), split(q / h)
            if (rest_m and rest_k) or 4 * n * k < size * m or m > 8 * size:
                return None
            refine.append(m if not rest_m else 1)
            stride.append(k if rest_m else 1)
        return refine, stride

    def _spectrum(self) -> Tensor:
        axes = tuple(range(-self.dim, 0))
        if self.values.requires_grad:
            spectrum: Tensor = torch.fft.rfftn(self.values, dim=axes)
            return spectrum
        if self._kept is None:
            with torch.inference_mode(False):  # else no later evaluation could have gradients
                self._kept = torch.fft.rfftn(self.values, dim=axes)
        return self._kept

    def _by_fft(self, lattice: Lattice, refine: list[int], stride: list[int]) -> Tensor:
        spectrum = self._spectrum()
        sides = [n * m for n, m in zip(self.shape, refine, strict=True)]
        phases: Tensor | float = 1.0
        for i, (position, _) in enumerate(self._positions(lattice)):
            half = i == self.dim - 1
            if refine[i] > 1:
                spectrum = _padded(spectrum, i - self.dim, self.shape[i], sides[i], half)
            phase = _phase(position[..., 0] * refine[i], sides[i], half, refine[i] == 1)
            lead = (*phase.shape[:-1], 1, *(1,) * i, phase.shape[-1], *(1,) * (self.dim - 1 - i))
            phases = phases * phase.to(spectrum.dtype).reshape(lead)
        axes = tuple(range(-self.dim, 0))
        values: Tensor = torch.fft.irfftn(spectrum * phases, sides, axes)
        values = values if max(refine) == 1 else values * math.prod(refine)
        for i, (n, k) in enumerate(zip(lattice.shape, stride, strict=True)):
            if n != sides[i] or k != 1:
                index = (torch.arange(n, device=values.device) * k) % sides[i]
                values = values.index_select(i - self.dim, index)
        return values

    # --- interpolation from a few samples around ---------------------------------------------------------------

    def _gathered(
        self, lattice: Lattice, taps: Callable[[Tensor], list[tuple[int, Tensor]]]
    ) -> Tensor:
        """Σ over the taps' product of weight × sample."""
        zero = torch.zeros((), dtype=torch.long, device=self.device)
        flat = [(zero, torch.ones((), dtype=self.dtype, device=self.device))]
        for i, (position, _) in enumerate(self._positions(lattice)):
            size = self.shape[i]
            base = torch.floor(position.detach())
            tail = (1,) * (self.dim - 1 - i)
            grown = []
            for offset, weight in taps(position - base):
                index = base.long() + offset
                if self.boundary == "periodic":
                    index = index % size
                else:
                    weight = weight * ((index >= 0) & (index < size))
                    index = index.clamp(0, size - 1)
                lead = (*index.shape[:-1], *(1,) * i, index.shape[-1], *tail)
                index, weight = index.reshape(lead), weight.to(self.dtype).reshape(lead)
                grown += [(j * size + index, w * weight) for j, w in flat]
            flat = grown
        parts = (gather(self.values, j, self.dim) * w.unsqueeze(-self.dim - 1) for j, w in flat)
        return functools.reduce(torch.add, parts)


def _dimension_of(values: Tensor, spacing: Any, origin: Tensor) -> int:
    if isinstance(spacing, Tensor) and spacing.ndim:
        return len(spacing)
    if not isinstance(spacing, int | float | Tensor):
        return len(tuple(spacing))
    return origin.shape[-1] if origin.ndim else values.ndim - 1


def linear_taps(fraction: Tensor) -> list[tuple[int, Tensor]]:
    """The two samples around a position and their weights."""
    return [(0, 1 - fraction), (1, fraction)]


def gather(values: Tensor, index: Tensor, dim: int) -> Tensor:
    """Values (*batch, c, X1, …, Xd) at flat indices (*batch', Y1, …, Yd), as (*batch'', c, Y1, …, Yd).

    Batch shapes broadcast. Where no axis is shared by both, samples are looked up once for all, so that the memory,
    and that of the gradient, is that of values plus result.
    """
    lead, outer = values.shape[: -dim - 1], index.shape[:-dim]
    rank = max(len(lead), len(outer))
    lead, outer = (1,) * (rank - len(lead)) + lead, (1,) * (rank - len(outer)) + outer
    flat = values.flatten(-dim)
    channels = flat.shape[-2]
    if all(a == 1 or b == 1 for a, b in zip(lead, outer, strict=True)):
        out = flat.reshape(*lead, channels, -1)[..., index.reshape(*outer, *index.shape[-dim:])]
        # axes: lead, c, outer, Y → (lead_i, outer_i) pairs, c, Y
        pairs = [axis for i in range(rank) for axis in (i, rank + 1 + i)]
        out = out.permute(*pairs, rank, *range(2 * rank + 1, 2 * rank + 1 + dim))
        batch = [a * b for a, b in zip(lead, outer, strict=True)]
        return out.reshape(*batch, channels, *index.shape[-dim:])
    batch = torch.broadcast_shapes(lead, outer)
    where = index.reshape(*outer, 1, -1).expand(*batch, channels, -1)
    out = flat.reshape(*lead, channels, -1).expand(*batch, channels, -1).gather(-1, where)
    return out.reshape(*batch, channels, *index.shape[-dim:])


def _padded(spectrum: Tensor, axis: int, n: int, longer: int, half: bool) -> Tensor:
    """The spectrum of n samples as that of more: zeros above Nyquist, the wave at Nyquist split into ±n/2.

    `half` says that the axis holds the non-negative frequencies only.
    """
    middle = (n + 1) // 2
    parts = [spectrum.narrow(axis, 0, middle)]
    if n % 2 == 0:
        parts.append(spectrum.narrow(axis, n // 2, 1) / 2)
    shape = list(spectrum.shape)
    shape[axis] = (longer // 2 + 1 if half else longer - (n - 1) // 2 - (n % 2 == 0)) - (n // 2 + 1)
    parts.append(spectrum.new_zeros(shape))
    if not half:
        if n % 2 == 0:
            parts.append(parts[1])
        parts.append(spectrum.narrow(axis, n // 2 + 1, (n - 1) // 2))
    return torch.cat(parts, dim=axis)


def _phase(shift: Tensor, n: int, half: bool, nyquist: bool) -> Tensor:
    """exp(2πi k·shift/n) for the bins of n samples, shape (*batch, bins); at Nyquist its real part, if `nyquist`."""
    freq = torch.fft.rfftfreq if half else torch.fft.fftfreq
    cycles = shift[..., None] * freq(n, dtype=torch.float64, device=shift.device)
    phase = torch.exp(2j * math.pi * (cycles - cycles.detach().round()))
    if nyquist and n % 2 == 0:
        real = torch.arange(cycles.shape[-1], device=shift.device) == n // 2
        phase = torch.where(real, phase.real + 0j, phase)
    return phase
