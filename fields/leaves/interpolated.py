"""Interpolated: the field through samples on a regular grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from fields import arguments, checks, dtypes
from fields.accuracy import FEW_POINTS, MEMORY_BOUND, MOST_WAVES
from fields.algebra.field import Field
from fields.arrays import broadcast
from fields.evaluation.integrals import check_multiples
from fields.interpolation import inner_products, nonuniform, parseval
from fields.interpolation.fourier import (
    commensurate,
    picked,
    sinc_series,
    summed,
    translated,
    turned,
)
from fields.interpolation.lookup import Maps, by_element, by_points
from fields.interpolation.piecewise import PIECEWISE
from fields.interpolation.splines import Table, pays
from fields.kept import Kept
from fields.kernels.kernel import MatrixKernel
from fields.kernels.multipliers import convolved
from fields.kernels.profile_kernels import ProfileKernel
from fields.lattice import Lattice, PerAxis
from fields.leaves.plane_waves import PlaneWaves
from fields.reading import coordinates, images
from fields.stencils.correlation import mix

#: Ways to continue samples, and the boundaries that each method is defined for.
METHODS: dict[str, tuple[str, ...]] = {
    "fourier": ("periodic", "zero"),
    **dict.fromkeys(PIECEWISE, ("periodic", "zero", "reflect", "nearest")),
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
    method : {"nearest", "linear", "cubic", "quintic", "lanczos3", "fourier"}
        "fourier" is the exact trigonometric interpolant, or, with boundary "zero", the sinc series; "cubic" and
        "quintic" are the interpolating B-splines; "lanczos3" is normalised to reproduce constants.
    boundary : {"periodic", "zero", "reflect", "nearest"}
        How the samples continue outside; the interpolant is that of the continued samples. "reflect" mirrors at the
        first and the last sample, which are not repeated: the field has period 2(N − 1)·h. "nearest" repeats them for
        ever. Splines of order 3 and 5 of zeros continued ring on outside by 0.27 and 0.43 per sample, to rounding.
        "fourier" has "periodic" and "zero".
    eps : float, optional
        Relative accuracy of Fourier evaluation at scattered points: 1e-13 in double, 1e-7 in single precision, unless
        given. Few points are summed directly, to rounding, and so are fields on a device without a non-uniform FFT
        (CUDA has one with the extra `gpu`).

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
        eps: float | None = None,
    ) -> None:
        self.weak = dtypes.is_weak(values)
        self.values = checks.as_tensor(values, "values", complex_too=True)
        if self.values.is_complex():
            raise TypeError("values must be real: give real and imaginary parts as two channels")
        self._origin = checks.owned(checks.as_tensor(origin, "origin"))
        self.dim = checks.dimension(_dimension_of(self.values, spacing, self._origin))
        self.spacing = checks.positive(spacing, self.dim, "spacing")
        if self.values.ndim < self.dim + 1 or 0 in self.values.shape:
            raise ValueError(
                f"values must have shape (*batch, c, X1, …, X{self.dim}), no size 0, "
                f"got {tuple(self.values.shape)}"
            )
        arguments.choice(method, "method", METHODS)
        arguments.real_dtype(self.values.dtype, "the dtype of values")
        if not isinstance(boundary, str) or boundary not in METHODS[method]:
            raise ValueError(
                f"method {method!r} continues samples by boundary {' or '.join(METHODS[method])}, "
                f"got {checks.said(boundary)}"
            )
        self.method, self.boundary = method, boundary
        self.shape = tuple(self.values.shape[-self.dim :])
        self.channels = self.values.shape[-self.dim - 1]
        self.dtype, self.device = self.values.dtype, self.values.device
        lead = tuple(self.values.shape[: -self.dim - 1])
        self.batch = tuple(broadcast(lead, self.origin.shape[:-1]))
        if method == "fourier":
            self.bandlimit = tuple(
                (n // 2 / n if boundary == "periodic" else 0.5) / h
                for n, h in zip(self.shape, self.spacing, strict=True)
            )
        given = None if eps is None else arguments.fraction(eps, "eps")
        self.eps = given or nonuniform.ACCURACY.get(self.dtype, 1e-7)
        self._kept = Kept()

    @classmethod
    def from_image(
        cls,
        path: str | Path,
        spacing: checks.VectorLike = 1.0,
        memory: int = MEMORY_BOUND,
        **options: Any,
    ) -> Self:
        """Field of an image file: rows along x1, columns along x2, values in [0, 1], one channel or three.

        Parameters
        ----------
        path : path
            Any file that scikit-image reads. Palettes are converted to colours, alpha is blended with white; a
            warning says so.
        spacing : float
            Size of a pixel, in length units.
        memory : int
            Larger images, in bytes, are refused before they are decoded.
        **options
            `origin`, `method`, `boundary`, `eps`, as for the class.
        """
        spacing = checks.positive(spacing, 2, "spacing")
        return cls(images.read(path, memory), spacing, **options)

    @classmethod
    def from_xarray(
        cls,
        array: Any,
        dims: Sequence[str] | None = None,
        channel: str | None = None,
        memory: int = MEMORY_BOUND,
        **options: Any,
    ) -> Self:
        """Field of an xarray.DataArray; its coordinates give spacing and origin.

        Parameters
        ----------
        array : xarray.DataArray, dimensions (x1, …, xd, channel) or any order
            Coordinates are evenly spaced, to 1e-6 of a step or the rounding of their dtype; descending ones are
            turned round; an axis without coordinates counts 0, 1, 2, ….
        dims : sequence of str, optional
            Dimensions that become x1, …, xd; all but the channels, in the array's order, unless given.
        channel : str, optional
            Dimension of the channels: "channel", if the array has it; none means one channel.
        memory : int
            Larger arrays, in bytes, are refused before they are loaded.
        **options
            `method`, `boundary`, `eps`, as for the class.
        """
        values, spacing, origin = coordinates.read(array, dims, channel, memory)
        where = torch.tensor(origin, dtype=torch.float64)
        return cls(torch.from_numpy(values), spacing, origin=where, **options)

    @property
    def origin(self) -> Tensor:
        """Position of the first sample, shape (d,) or (*batch, d)."""
        return _first_sample(self._origin.to(self.values.device, torch.float64), self.dim)

    @origin.setter
    def origin(self, value: Tensor) -> None:
        self._origin = value

    @property
    def period(self) -> PerAxis | None:
        """The extent of the samples where they are continued periodically, that of a mirrored pair for "reflect"."""
        if self.boundary == "reflect":
            return tuple(2 * (n - 1) * h for n, h in zip(self.shape, self.spacing, strict=True))
        if self.boundary != "periodic":
            return None
        return tuple(n * h for n, h in zip(self.shape, self.spacing, strict=True))

    def support(self, rtol: float) -> tuple[PerAxis, PerAxis] | None:
        """As many samples beyond the others as the method sees, for piecewise interpolants continued by zeros."""
        if self.boundary != "zero" or self.method not in PIECEWISE:
            return None
        reach = PIECEWISE[self.method].reach
        origins = self.origin.reshape(-1, self.dim)
        low = (origins.amin(0) - reach * origins.new_tensor(self.spacing)).tolist()
        extent = [(n - 1 + reach) * h for n, h in zip(self.shape, self.spacing, strict=True)]
        return tuple(low), tuple(
            a + e for a, e in zip(origins.amax(0).tolist(), extent, strict=True)
        )

    def _finest(self, rtol: float) -> PerAxis | None:
        """The band limit; for piecewise interpolants one wave per sample: beyond, their spectra fall by powers only."""
        return self.bandlimit or tuple(1 / h for h in self.spacing)

    def _values(self, lattice: Lattice) -> Tensor:
        if self.method in PIECEWISE:
            return self._by_table(lattice)
        if self.boundary == "zero":
            return sinc_series(self.values, self._maps.positions(lattice))
        factors = commensurate(lattice, self.spacing, self.shape)
        if factors is not None:
            return self._by_fft(lattice, *factors)
        lattices = math.prod(lattice.origin.shape[:-1])
        if nonuniform.pays(lattices, lattice.shape, self.shape, self.device):
            return by_points(lattice, self._maps, self._by_nufft)
        return summed(self.values, self._maps.positions(lattice))

    def _integral(self) -> Tensor | None:
        if self.boundary != "periodic":
            return None
        # The samples' weights sum to 1 everywhere, so that those of one sample have the volume of a cell.
        mass = self.values.flatten(-self.dim).sum(-1) * math.prod(self.spacing)
        return mass.expand(*self.batch, self.channels)

    @property
    def _is_polynomial(self) -> bool:
        """Whether it is a trigonometric polynomial."""
        return self.method == "fourier" and self.boundary == "periodic"

    def _transform(self, frequencies: Tensor) -> Tensor | None:
        period = self.period
        if period is None or not self._is_polynomial:
            return None
        check_multiples(frequencies, period)
        modes = (frequencies * frequencies.new_tensor(period)).round().long()
        return turned(parseval.at(self.values, modes), self.origin, frequencies)

    def _inner(self, other: Field) -> Tensor | None:
        if self._is_polynomial:
            return self._by_modes(other)
        if not isinstance(other, Interpolated) or self.method not in PIECEWISE:
            return None
        known = (self.method, self.boundary, self.shape, self.spacing)
        if known != (other.method, "periodic", other.shape, other.spacing):
            return None
        if self.origin.ndim > 1 or other.origin.ndim > 1:
            return None
        distance = (self.origin - other.origin) / self.origin.new_tensor(self.spacing)
        found = inner_products.inner(
            self.values, other.values, distance, PIECEWISE[self.method], self.spacing
        )
        return found.to(self.dtype)

    def _by_modes(self, other: Field) -> Tensor | None:
        """By Parseval; with other fields as the plane waves that it is, where they are few."""
        period = self.period
        assert period is not None
        if isinstance(other, Interpolated) and other._is_polynomial and other.period == period:
            return parseval.inner(self.values, other.values, self.origin - other.origin, period)
        highest = [n // 2 for n in self.shape]
        if math.prod(2 * k + 1 for k in highest) > MOST_WAVES:
            return None
        each = [torch.arange(-k, k + 1, device=self.device) for k in highest]
        modes = torch.cartesian_prod(*each).reshape(-1, self.dim)
        frequencies = modes / self.origin.new_tensor(period)
        amplitudes = turned(parseval.at(self.values, modes), self.origin, frequencies)
        return PlaneWaves(frequencies, amplitudes, period)._inner(other)

    def _moved(self, t: Tensor) -> Field:
        origin = self.origin + t.to(self.origin)
        return Interpolated(self.values, self.spacing, origin, self.method, self.boundary, self.eps)

    def _in(self, dtype: torch.dtype) -> Field:
        values = self.values.to(dtype)
        return Interpolated(values, self.spacing, self.origin, self.method, self.boundary)

    def _mixed(self, matrix: Tensor) -> Field:
        values = mix(self.values, matrix, self.dim)
        return Interpolated(values, self.spacing, self.origin, self.method, self.boundary, self.eps)

    def _convolved(self, kernel: MatrixKernel) -> Field | None:
        if self.method != "fourier" or self.boundary != "periodic" or not kernel.is_density:
            return None
        values, spacing = self.values, self.spacing
        if kernel.transform(self.origin.new_zeros(1, self.dim)) is None:
            return None  # found out before it costs anything
        if not isinstance(kernel, ProfileKernel):
            # A kernel that isn't even makes a sine of the cosine at Nyquist, which twice the samples can tell.
            refine = [2 if n % 2 == 0 else 1 for n in self.shape]
            axes, start = tuple(range(-self.dim, 0)), self.origin.new_zeros(self.dim)
            values = translated(torch.fft.rfftn(values, dim=axes), self.shape, refine, start)
            spacing = tuple(h / m for h, m in zip(spacing, refine, strict=True))
        found = convolved(values, spacing, kernel)
        if found is None:
            return None
        return Interpolated(found, spacing, self.origin, "fourier", "periodic", self.eps)

    # --- Fourier ----------------------------------------------------------------------------------------------

    @property
    def _maps(self) -> Maps:
        """Where the samples of all maps lie."""
        lead = self.values.shape[: -self.dim - 1]
        return Maps(lead, self.channels, self.origin, self.spacing)

    def _flat(self) -> Tensor:
        """All maps of the batch, shape (n, X1, …, Xd)."""
        return self.values.reshape(-1, *self.shape)

    def _by_fft(self, lattice: Lattice, refine: list[int], stride: list[int]) -> Tensor:
        axes = tuple(range(-self.dim, 0))
        spectrum = self._kept.of("spectrum", [self.values], lambda v: torch.fft.rfftn(v, dim=axes))
        shifts = torch.stack([p[..., 0] for p in self._maps.positions(lattice)], dim=-1)
        return picked(translated(spectrum, self.shape, refine, shifts), lattice.shape, stride)

    def _by_nufft(
        self, origin: Tensor, spacing: Tensor, points: Tensor, first: int, last: int
    ) -> Tensor:
        maps = self._flat()[first:last]
        modes = self._kept.of(f"modes {first} {last}", [maps], nonuniform.centred)
        # One axis after the other, and in place: fresh memory is what takes time.
        columns = points.t().clone(memory_format=torch.contiguous_format)
        extent = spacing * spacing.new_tensor(self.shape)
        columns.sub_(origin[:, None]).div_(extent[:, None]).frac_()
        angles = columns.mul_(2 * math.pi).t()
        return nonuniform.waves_at(modes, angles, last - first, self.eps).to(self.dtype)

    # --- piecewise interpolants -------------------------------------------------------------------------------

    def _by_table(self, lattice: Lattice) -> Tensor:
        method, values = PIECEWISE[self.method], self._flat()
        several, each = math.prod(lattice.origin.shape[:-1]), math.prod(lattice.shape)
        listed = each == 1 or (several > 1 and each <= FEW_POINTS)
        if method.filter or (listed and pays(method, several * each, self.shape)):
            table = self._kept.of("table", [values], lambda v: Table(v, method, self.boundary))
        else:
            table = Table(values, method, self.boundary)
        return (
            by_points(lattice, self._maps, table.at)
            if listed
            else by_element(lattice, self._maps, table.on_axes)
        )


def _first_sample(origin: Tensor, dim: int) -> Tensor:
    """Position of the first sample, as (d,) or (*batch, d)."""
    if (origin.ndim and origin.shape[-1] not in (1, dim)) or 0 in origin.shape:
        raise ValueError(
            f"origin must be a number or have shape ({dim},) or (*batch, {dim}), got {tuple(origin.shape)}"
        )
    return origin.expand(*origin.shape[:-1], dim)


def _dimension_of(values: Tensor, spacing: Any, origin: Tensor) -> int:
    several = checks.lengths(spacing, "spacing")
    if isinstance(several, tuple):
        return len(several)
    return origin.shape[-1] if origin.ndim else values.ndim - 1
