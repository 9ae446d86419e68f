"""Random periodic fields: white noise below a band limit, and Gaussian fields with a given spectrum."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from fields import arguments, checks
from fields.lattice import PerAxis
from fields.leaves.plane_waves import PlaneWaves


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
    waves, lengths = _waves_below(dim, bandlimit, period)
    (channels,) = checks.integers(channels, 1, "channels")
    arguments.affordable(2 * len(waves) * channels, "the waves of this field")
    dtype, generator = arguments.real_dtype(dtype), arguments.generator(seed)
    noise = torch.randn(2, len(waves), channels, generator=generator, dtype=torch.float64)
    noise = noise * (2 / (noise**2).sum((0, 1))).sqrt()
    return _of_numbers(waves, noise, lengths, dtype)


def random_gaussian(
    dim: int,
    channels: int,
    spectrum: Callable[[Tensor], Tensor],
    bandlimit: checks.VectorLike,
    period: checks.VectorLike,
    seed: int | torch.Generator,
    dtype: torch.dtype = torch.float64,
) -> PlaneWaves:
    """A periodic Gaussian random field with a given spectrum.

    Parameters
    ----------
    dim, channels : int
        The channels are independent.
    spectrum : callable
        Frequencies (k, d) → power spectral density S(f) ≥ 0, shape (k,), even in f: mean square per unit of frequency
        volume.
    bandlimit : float or sequence of float
        Largest frequency per axis, in cycles per unit length: power beyond it is left out.
    period : float or sequence of float
        In length units.
    seed : int or torch.Generator
        The same seed gives the same field.
    dtype : torch.dtype
        Of the values.

    Returns
    -------
    PlaneWaves
        Of mean 0 and covariance E[F(x)F(y)] = Σ_k S(k/P) cos(2πk/P·(x − y)) / ∏P, for long periods nearly
        ∫S(f) cos(2πf·(x − y)) df. The wave k = 0, a random constant, is included.

    Raises
    ------
    ValueError
        Where the spectrum is negative, not finite, or of another shape.

    Examples
    --------
    >>> import torch
    >>> from fields import random_gaussian
    >>> F = random_gaussian(2, 1, lambda f: torch.exp(-50 * (f**2).sum(-1)), 0.25, period=32.0, seed=0)
    >>> F.is_periodic(32.0)
    True
    """
    waves, lengths = _waves_below(dim, bandlimit, period)
    (channels,) = checks.integers(channels, 1, "channels")
    waves = [(0,) * len(lengths), *waves]
    arguments.affordable(2 * len(waves) * channels, "the waves of this field")
    dtype, generator = arguments.real_dtype(dtype), arguments.generator(seed)
    f = torch.tensor(waves, dtype=torch.float64) / torch.tensor(lengths, dtype=torch.float64)
    spectrum = arguments.function(spectrum, "spectrum", "frequencies (k, d)")
    power = arguments.result(spectrum(f), "the spectrum").double()
    if tuple(power.shape) != (len(f),):
        raise ValueError(
            f"the spectrum must return shape ({len(f)},) for frequencies {tuple(f.shape)}, got {tuple(power.shape)}"
        )
    if not bool((power >= 0).all()) or not bool(power.isfinite().all()):
        raise ValueError(
            f"the spectrum must be finite and ≥ 0, the least is {float(power.min()):g}"
        )
    noise = torch.randn(2, len(f), channels, generator=generator, dtype=torch.float64)
    noise[1, 0] = 0.0  # the constant has no phase, and its mean square is not halved
    variance = 2 * power / math.prod(lengths)
    variance[0] /= 2
    return _of_numbers(waves, noise * variance.sqrt()[:, None], lengths, dtype)


def _waves_below(
    dim: int, bandlimit: checks.VectorLike, period: checks.VectorLike
) -> tuple[list[tuple[int, ...]], PerAxis]:
    """Multiples of 1/period up to a band limit, but 0; of each pair ±k, which a real field couples, only one."""
    dim = checks.dimension(dim)
    lengths = checks.positive(period, dim, "period")
    bands = checks.positive(bandlimit, dim, "bandlimit")
    highest = [math.floor(b * p * (1 + 1e-12)) for b, p in zip(bands, lengths, strict=True)]
    arguments.affordable(
        math.prod(2 * n + 1 for n in highest), "the waves below this band limit", 64
    )
    # The one whose first non-zero entry is positive.
    waves = [k for k in itertools.product(*(range(-n, n + 1) for n in highest)) if k > (0,) * dim]
    if not waves:
        raise ValueError(
            f"no wave of period {lengths} is below the band limit {bands}: the lowest is "
            f"{tuple(1 / p for p in lengths)}"
        )
    return waves, lengths


def _of_numbers(
    waves: list[tuple[int, ...]], noise: Tensor, period: PerAxis, dtype: torch.dtype
) -> PlaneWaves:
    kind = torch.complex64 if dtype == torch.float32 else torch.complex128
    frequencies = torch.tensor(waves, dtype=torch.float64) / torch.tensor(
        period, dtype=torch.float64
    )
    return PlaneWaves(frequencies, torch.complex(noise[0], noise[1]).to(kind), period=period)
