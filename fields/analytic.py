"""Fields in closed form: Constant, Gaussians, PlaneWaves, Formula, and random band-limited fields."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fields import checks
from fields.field import Field, PerAxis
from fields.lattice import Lattice, common_spacing
from fields.separable import contract, separable_sum


class Constant(Field):
    """x ↦ value.

    Parameters
    ----------
    value : float or Tensor, shape (c,) or (*batch, c)
    dim : int
        Number of dimensions of space.

    Examples
    --------
    >>> from fields import Constant
    >>> Constant([1.0, 2.0], dim=2)([0.5, 0.5]).tolist()
    [1.0, 2.0]
    """

    def __init__(self, value: Any, dim: int) -> None:
        vector = checks.as_tensor(value, "value")
        self.value = vector[None] if vector.ndim == 0 else vector
        self.dim = dimension(dim)
        self.channels, self.batch = self.value.shape[-1], tuple(self.value.shape[:-1])
        self.dtype, self.device = self.value.dtype, self.value.device
        self.bandlimit = (0.0,) * self.dim

    @property
    def period(self) -> PerAxis:
        """Any."""
        return (0.0,) * self.dim

    def _values(self, lattice: Lattice) -> Tensor:
        spread = self.value.reshape(*self.value.shape, *(1,) * self.dim)
        batch = torch.broadcast_shapes(self.batch, lattice.origin.shape[:-1])
        return spread.expand(*batch, self.channels, *lattice.shape)


class Gaussians(Field):
    """F(x) = Σ_m a_m exp(−½ (x − c_m)ᵀ Σ_m⁻¹ (x − c_m)), of unit peak.

    Parameters
    ----------
    centers : Tensor, shape (m, d) or (*batch, m, d)
        In length units.
    amplitudes : Tensor, shape (m, c) or (*batch, m, c)
    widths : Tensor, shape (m,), (m, d) or (m, d, d), or with the batch in front
        Standard deviations, Σ = w² or diag(w²), or the covariances Σ themselves. Where a shape could be read with or
        without the batch, it is read with it.

    Notes
    -----
    The Fourier transform is Σ_m a_m (2π)^{d/2} √det Σ_m exp(−2π² fᵀΣ_m f − 2πi f·c_m). On lattices, per-axis widths
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
        self.centers = checks.as_tensor(centers, "centers")
        self.amplitudes = checks.as_tensor(amplitudes, "amplitudes", self.centers)
        self.widths = checks.as_tensor(widths, "widths", self.centers)
        if self.centers.ndim < 2 or self.amplitudes.ndim < 2:
            raise ValueError(
                "centers must have shape (m, d) and amplitudes (m, c), got "
                f"{tuple(self.centers.shape)} and {tuple(self.amplitudes.shape)}"
            )
        terms, dim = self.centers.shape[-2:]
        if terms == 0 or self.amplitudes.shape[-2] != terms:
            raise ValueError(
                f"centers and amplitudes must have the same number m ≥ 1 of terms, "
                f"got {terms} and {self.amplitudes.shape[-2]}"
            )
        for name, tensor in (("amplitudes", self.amplitudes), ("widths", self.widths)):
            if tensor.dtype != self.centers.dtype:
                raise TypeError(
                    f"{name} are {tensor.dtype}, centers {self.centers.dtype}: use one dtype"
                )
        self.dim, self.channels = dimension(dim), self.amplitudes.shape[-1]
        self.dtype, self.device = self.centers.dtype, self.centers.device
        self.batch = tuple(
            torch.broadcast_shapes(self.centers.shape[:-2], self.amplitudes.shape[:-2])
        )
        self._covariance = self._read_widths(terms)

    def _read_widths(self, terms: int) -> bool:
        shape = tuple(self.widths.shape)
        for lead in (self.batch, ()):
            for tail in ((terms,), (terms, self.dim), (terms, self.dim, self.dim)):
                if shape == (*lead, *tail):
                    if len(tail) == 1:
                        self.widths = self.widths[..., None].expand(*shape, self.dim)
                    if len(tail) < 3 and not bool((self.widths > 0).all()):
                        raise ValueError(
                            f"widths must be positive, the least is {float(self.widths.min())}"
                        )
                    if len(tail) == 3:
                        self._check_covariances()
                    return len(tail) == 3
        raise ValueError(
            f"widths must have shape ({terms},), ({terms}, {self.dim}) or ({terms}, {self.dim}, {self.dim}), "
            f"batch in front or not, got {shape}"
        )

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

    def bandwidth(self, rtol: float) -> PerAxis:
        """Frequency at which the narrowest term's spectrum, exp(−2π²w²f²), is `rtol`."""
        narrow = self._deviations[1].detach().reshape(-1, self.dim).amin(0).tolist()
        return tuple(math.sqrt(-math.log(rtol) / 2) / (math.pi * w) for w in narrow)

    def support(self, rtol: float) -> tuple[PerAxis, PerAxis]:
        """Box around all terms, each cut off where it falls to `rtol` of its peak."""
        reach = self._deviations[0].detach() * math.sqrt(-2 * math.log(rtol))
        centers = self.centers.detach()
        low = (centers - reach).reshape(-1, self.dim).amin(0).tolist()
        high = (centers + reach).reshape(-1, self.dim).amax(0).tolist()
        return tuple(low), tuple(high)

    def _values(self, lattice: Lattice) -> Tensor:
        if self._covariance:
            return self._full(lattice)
        factors = []
        for i, axis in enumerate(lattice.axes()):
            centers, widths = self.centers[..., i].double(), self.widths[..., i].double()
            distance = (axis[..., :, None] - centers[..., None, :]) / widths[..., None, :]
            factors.append(torch.exp(-0.5 * distance**2).to(self.dtype))
        return separable_sum(self.amplitudes, factors)

    def _full(self, lattice: Lattice) -> Tensor:
        points = lattice.points().to(self.dtype)
        whiten = torch.linalg.inv(torch.linalg.cholesky(self.widths))
        total = None
        for m in range(self.centers.shape[-2]):
            center = self.centers[..., m, :].reshape(
                *self.centers.shape[:-2], *(1,) * self.dim, self.dim
            )
            lead = (*whiten.shape[:-3], *(1,) * (self.dim - 1), self.dim, self.dim)
            z = (points - center) @ whiten[..., m, :, :].reshape(lead).mT
            bump = torch.exp(-0.5 * (z**2).sum(-1)).unsqueeze(-self.dim - 1)
            peak = self.amplitudes[..., m, :]
            part = bump * peak.reshape(*peak.shape, *(1,) * self.dim)
            total = part if total is None else total + part
        assert total is not None
        return total


class PlaneWaves(Field):
    """F(x) = Re Σ_m a_m exp(2πi f_m·x), a trigonometric sum.

    Parameters
    ----------
    frequencies : Tensor, shape (m, d)
        In cycles per unit length.
    amplitudes : complex Tensor, shape (m, c) or (*batch, m, c)
    period : float or sequence of float, optional
        A common period, where it is known; otherwise it is worked out where the frequencies have one.

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
        if not isinstance(amplitudes, Tensor):
            amplitudes = torch.as_tensor(amplitudes, dtype=torch.complex128)
        amplitudes = checks.as_tensor(amplitudes, "amplitudes")
        self.amplitudes = (
            amplitudes
            if amplitudes.is_complex()
            else torch.complex(amplitudes, torch.zeros_like(amplitudes))
        )
        self.dtype, self.device = self.amplitudes.real.dtype, self.amplitudes.device
        self.frequencies = checks.as_tensor(frequencies, "frequencies").to(self.device)
        if self.frequencies.ndim != 2 or 0 in self.frequencies.shape:
            raise ValueError(
                f"frequencies must have shape (m, d), m ≥ 1, got {tuple(self.frequencies.shape)}"
            )
        terms, dim = self.frequencies.shape
        if self.amplitudes.ndim < 2 or self.amplitudes.shape[-2] != terms:
            raise ValueError(
                f"amplitudes must have shape ({terms}, c), got {tuple(self.amplitudes.shape)}"
            )
        self.dim, self.channels = dimension(dim), self.amplitudes.shape[-1]
        self.batch = tuple(self.amplitudes.shape[:-2])
        self.bandlimit = tuple(self.frequencies.detach().abs().amax(0).tolist())
        self._known = None if period is None else checks.positive(period, dim, "period")
        if self._known is not None and not self._repeats(self._known):
            raise ValueError(
                f"these frequencies are no multiples of 1/period, period {self._known}"
            )
        self._grid = self._product_grid()

    def _repeats(self, period: PerAxis) -> bool:
        cycles = self.frequencies.detach().double().cpu() * torch.tensor(
            period, dtype=torch.float64
        )
        return bool(((cycles - cycles.round()).abs() <= 1e-9 * (1 + cycles.abs())).all())

    def _product_grid(self) -> list[tuple[Tensor, Tensor]] | None:
        """Distinct frequencies per axis and where each term has its own; None where terms are scattered."""
        if self.frequencies.requires_grad:
            return None
        axes = [torch.unique(axis, return_inverse=True) for axis in self.frequencies.double().T]
        cells = math.prod(len(values) for values, _ in axes)
        return axes if self.dim > 1 and cells <= 4 * len(self.frequencies) else None

    @property
    def period(self) -> PerAxis | None:
        """The shortest common period found, 0 along axes where all frequencies vanish."""
        if self._known is not None:
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

    def _values(self, lattice: Lattice) -> Tensor:
        kind = self.amplitudes.dtype
        axes = lattice.axes()
        if self._grid is not None:
            bases = [_waves(x, f).to(kind) for x, (f, _) in zip(axes, self._grid, strict=True)]
            sides = [len(values) for values, _ in self._grid]
            cells = self.amplitudes.new_zeros(*self.batch, *sides, self.channels)
            index = tuple(where for _, where in self._grid)
            cells = _scatter(cells, index, self.amplitudes, self.dim)
            return contract(cells.movedim(-1, -self.dim - 1), bases)
        factors = [
            _waves(x, f.double()).to(kind) for x, f in zip(axes, self.frequencies.T, strict=True)
        ]
        return separable_sum(self.amplitudes, factors)


def _scatter(cells: Tensor, index: tuple[Tensor, ...], values: Tensor, dim: int) -> Tensor:
    """Add values (*batch, m, c) to cells (*batch, U1, …, Ud, c) at `index`."""
    batch = cells.shape[: -dim - 1]
    flat = torch.zeros_like(index[0])
    for i, where in enumerate(index):
        flat = flat * cells.shape[len(batch) + i] + where
    out = cells.flatten(len(batch), -2).index_add(len(batch), flat, values)
    return out.reshape(cells.shape)


def _waves(x: Tensor, f: Tensor) -> Tensor:
    """exp(2πi f x), shape (*batch, X, m), the phase reduced before it is scaled."""
    cycles = x[..., :, None] * f
    return torch.exp(2j * math.pi * (cycles - cycles.detach().round()))


class Formula(Field):
    """Any torch function of position.

    Parameters
    ----------
    fn : callable
        x (*points, d) → F(x) (*points, c), a value per point that depends on that point only.
    dim, channels : int
    bandlimit : float or sequence of float, optional
        Largest frequency per axis, where it is known, in cycles per unit length.
    period : float or sequence of float, optional
        A period per axis, where there is one.
    dtype, device : optional
        Of the points that `fn` is called with; its values must have the same dtype.

    Examples
    --------
    >>> import torch
    >>> from fields import Formula
    >>> disc = Formula(lambda x: (x.norm(dim=-1, keepdim=True) < 1).to(x), dim=2, channels=1)
    >>> disc([[0.0, 0.5], [2.0, 0.0]]).flatten().tolist()
    [1.0, 0.0]
    """

    def __init__(
        self,
        fn: Callable[[Tensor], Tensor],
        dim: int,
        channels: int,
        bandlimit: checks.VectorLike | None = None,
        period: checks.VectorLike | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        if not callable(fn):
            raise TypeError(f"fn must be callable, got {type(fn).__name__}")
        self.fn = fn
        self.dim = dimension(dim)
        (self.channels,) = checks.integers(channels, 1, "channels")
        self.dtype, self.device = dtype, torch.device(device)
        if bandlimit is not None:
            self.bandlimit = checks.per_axis(bandlimit, self.dim, "bandlimit")
        self._period = None if period is None else checks.positive(period, self.dim, "period")

    @property
    def period(self) -> PerAxis | None:
        """As given."""
        return self._period

    def _values(self, lattice: Lattice) -> Tensor:
        points = lattice.points().to(self.dtype)
        values = self.fn(points)
        expected = (*points.shape[:-1], self.channels)
        if not isinstance(values, Tensor) or tuple(values.shape) != expected:
            got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise ValueError(
                f"the formula must return shape {expected} for points of shape {tuple(points.shape)}, got {got}"
            )
        return checks.same_dtype(values, self.dtype, "the formula's value").movedim(
            -1, -self.dim - 1
        )


def random_bandlimited(
    dim: int,
    channels: int,
    bandlimit: checks.VectorLike,
    period: checks.VectorLike,
    seed: int | torch.Generator,
    dtype: torch.dtype = torch.float64,
) -> PlaneWaves:
    """A periodic field of white noise below a band limit.

    Parameters
    ----------
    dim, channels : int
    bandlimit : float or sequence of float
        Largest frequency per axis, in cycles per unit length: all multiples of 1/period up to it, but 0, are there.
    period : float or sequence of float
        In length units.
    seed : int or torch.Generator
    dtype : torch.dtype
        Of the values.

    Returns
    -------
    PlaneWaves
        Of mean 0 and mean square 1 over the period, in every channel.

    Examples
    --------
    >>> from fields import random_bandlimited
    >>> random_bandlimited(2, 3, bandlimit=0.25, period=64.0, seed=0).bandlimit
    (0.25, 0.25)
    """
    dim = dimension(dim)
    (channels,) = checks.integers(channels, 1, "channels")
    lengths = checks.positive(period, dim, "period")
    bands = checks.positive(bandlimit, dim, "bandlimit")
    highest = [math.floor(b * p * (1 + 1e-12)) for b, p in zip(bands, lengths, strict=True)]
    # Of each pair ±k, which a real field couples, the one whose first non-zero entry is positive.
    waves = [k for k in itertools.product(*(range(-n, n + 1) for n in highest)) if k > (0,) * dim]
    if not waves:
        raise ValueError(
            f"no wave of period {lengths} is below the band limit {bands}: the lowest is "
            f"{tuple(1 / p for p in lengths)}"
        )
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    noise = torch.randn(2, len(waves), channels, generator=generator, dtype=torch.float64)
    noise = noise * (2 / (noise**2).sum((0, 1))).sqrt()
    amplitudes = torch.complex(noise[0], noise[1]).to(
        torch.complex64 if dtype == torch.float32 else torch.complex128
    )
    frequencies = torch.tensor(waves, dtype=torch.float64) / torch.tensor(
        lengths, dtype=torch.float64
    )
    return PlaneWaves(frequencies, amplitudes, period=lengths)


def dimension(dim: Any) -> int:
    """Check a number of dimensions."""
    (whole,) = checks.integers(dim, 1, "dim")
    if whole > 3:
        raise ValueError(f"fields live on R^1, R^2 or R^3, got dim = {whole}")
    return whole
