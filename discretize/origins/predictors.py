"""Where a grid shall lie: origins predicted from a feature map, so that they move along with it.

A predictor Φ gives an origin in R^d modulo a length M per axis, with Φ(t▷F) = Φ(F) + t. No Φ is defined, or continuous,
everywhere: a map whose own translational symmetries don't lie in M·Z^d has no origin. So each also gives a confidence
per axis, an invariant between 0 (no origin) and 1.

    Argmax          the sample with the largest ‖F(x)‖₁; whole translations (Xu et al., NeurIPS 2021)
    RefinedArgmax   the highest point of Σ_c F_c², between the samples
    Phase           minus the phase of the wave of Σ_c F_c² with wavelength M
    Centroid        ∫x Σ_c F_c² / ∫Σ_c F_c², or on a torus the phase of its longest wave
    Strongest       of some predictors the one with the largest confidence

With e = Σ_c F_c² and C its Fourier coefficients, C(q) = Σ_k F(k)·conj F(k − q), translation by t multiplies C(q) by
exp(−2πi q·t/L). The energies of samples are formed on twice as fine a grid, where they don't alias.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from discretize.accuracy import EPSILON, TOLD
from discretize.origins.moments import (
    centroid_of_field,
    centroid_of_samples,
    coefficients_of_field,
    coefficients_of_samples,
)
from discretize.origins.peaks import Argmax as Argmax
from discretize.origins.peaks import RefinedArgmax as RefinedArgmax
from discretize.samples import Samples
from fields import FeatureMap, Field, checks
from fields.lattice import split


class Predictor(Protocol):
    """What predicts an origin.

    Parameters
    ----------
    f : Field or Samples
    modulus : float or sequence of float, optional
        M, in length units; the period unless given.

    Returns
    -------
    origin : Tensor, shape (*batch, d), float64
        In length units: for Samples within one modulus of the grid's origin, for a Field within [0, M].
    confidence : Tensor, shape (*batch, d), float64
    """

    def __call__(self, f: FeatureMap, modulus: Any = None) -> tuple[Tensor, Tensor]:
        """Predict."""


@dataclass(frozen=True)
class Phase:
    """Φ = −(m·M/2π) arg C(1/(m·M)) modulo M, per axis, C(q) the Fourier transform of Σ_c F_c².

    Parameters
    ----------
    multiple : int or "strongest"
        m. "strongest" takes, of all m for which m·M divides the period, the one with the largest confidence, element
        by element and axis by axis; of those within 0.1 % of it the smallest m.
    rtol : float
        On a Field: accuracy of the quadrature of C, relative to C(0); 64 eps of its dtype where that is more.

    Notes
    -----
    The confidence is |C(1/(m·M))|/C(0), and 0 for F = 0. An error δ of C/C(0), `rtol` on a Field and some rounding
    errors on Samples, moves the origin by at most m·M·δ/(2π·confidence).

    Commutes with all real translations: on a Field, and on samples of waves below Nyquist. Samples are periodic, or,
    with boundary "zero", one period of a torus, lengthened by zeros to a multiple of m·M.
    With m = 1 and M two or more spacings, the confidence vanishes for samples of waves below 1/2M. It is continuous in
    F where the confidence isn't 0; gradients are cut off where it is below 1e-6, and where "strongest" changes its m
    the origin jumps.

    Examples
    --------
    >>> from discretize import Grid, sample
    >>> from discretize.origins import Phase
    >>> from fields import random_bandlimited
    >>> F = random_bandlimited(1, 1, bandlimit=0.4, period=16.0, seed=0)
    >>> before, confidence = Phase()(sample(F, Grid(16, 1.0)), 2.0)
    >>> after, _ = Phase()(sample(F.translate([0.3]), Grid(16, 1.0)), 2.0)
    >>> round(float((after - before) % 2.0), 9), bool(confidence > 0.01)
    (0.3, True)
    """

    multiple: int | str = 1
    rtol: float = 1e-8

    def __post_init__(self) -> None:
        if self.multiple != "strongest":
            checks.integers(self.multiple, 1, "multiple")

    def __call__(self, f: FeatureMap, modulus: Any = None) -> tuple[Tensor, Tensor]:
        """Predict."""
        lengths, periods = domain_of(f, modulus)
        waves = [self._waves(p, m) for p, m in zip(periods, lengths, strict=True)]
        if isinstance(f, Samples):
            found = coefficients_of_samples(f, waves, periods)
        else:
            assert isinstance(f, Field)
            found = coefficients_of_field(f, waves, periods, self.rtol)
        return self._told(f, found, waves, lengths)

    def with_nyquist(self, f: Samples, modulus: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Predict for periodic samples, and tell the share (*batch,) of their energy in waves at Nyquist.

        These square to the energy's waves of wavelength h: what the prediction has transformed anyway.
        """
        lengths, periods = domain_of(f, modulus)
        waves = [self._waves(p, m) for p, m in zip(periods, lengths, strict=True)]
        more = [[*w, h] for w, h in zip(waves, f.grid.spacing, strict=True)]
        found = coefficients_of_samples(f, more, periods)
        rest = torch.ones_like(found[0][..., 0].real)
        for c in found:
            mean, top = c[..., 0].real, c[..., -1].real.clamp(min=0)
            rest = rest * torch.where(top > 0, (mean - top) / (mean + top), 1.0)
        return *self._told(f, [c[..., :-1] for c in found], waves, lengths), 1 - rest

    def _told(
        self, f: FeatureMap, found: list[Tensor], waves: list[list[float]], lengths: Sequence[float]
    ) -> tuple[Tensor, Tensor]:
        columns = [_origin(c, w) for c, w in zip(found, waves, strict=True)]
        offset, confidence = (torch.stack(column, dim=-1) for column in zip(*columns, strict=True))
        return from_offset(f, offset, lengths), confidence.expand(*f.batch, f.dim)

    def _waves(self, period: float | None, modulus: float) -> list[float]:
        """Wavelengths to choose from, in length units."""
        if period == 0:
            return [modulus]
        if period is None:
            if self.multiple == "strongest":
                raise ValueError(
                    "Phase('strongest') chooses among the waves of a period, and this field has none: give a multiple, "
                    "take Centroid(), or periodize the field"
                )
            return [modulus * int(self.multiple)]
        cycles, rest = split(period / modulus)
        if rest or cycles < 1:
            raise ValueError(f"the modulus {modulus:g} doesn't divide the period {period:g}")
        if self.multiple == "strongest":
            return [modulus * m for m in range(1, cycles + 1) if cycles % m == 0]
        if cycles % int(self.multiple):
            raise ValueError(
                f"{self.multiple} times the modulus {modulus:g} doesn't divide the period {period:g}"
            )
        return [modulus * int(self.multiple)]


@dataclass(frozen=True)
class Centroid:
    """Φ = ∫x e(x) dx / ∫e(x) dx on R^d; on a torus of period L the phase −(L/2π) arg C(1/L); both modulo M.

    Parameters
    ----------
    rtol : float
        On a Field: accuracy of the quadrature; 64 eps of its dtype where that is more.

    Notes
    -----
    The confidence is |C(1/L)|/C(0) on a torus, and 1 on R^d, where every map but 0 has a centroid. Samples with
    boundary "zero" count as R^d: with e at the samples, exact for whole translations, and for others up to what of the
    map lies above Nyquist. M need not divide the period on R^d.

    Examples
    --------
    >>> from discretize.origins import Centroid
    >>> from fields import Gaussians
    >>> origin, confidence = Centroid()(Gaussians([[3.3]], [[2.0]], [0.5]), 4.0)
    >>> round(float(origin), 6), float(confidence)
    (3.3, 1.0)
    """

    rtol: float = 1e-8

    def __call__(self, f: FeatureMap, modulus: Any = None) -> tuple[Tensor, Tensor]:
        """Predict."""
        if isinstance(f, Samples) and f.grid.boundary == "zero":
            lengths = checks.positive(
                f.grid.extent if modulus is None else modulus, f.dim, "modulus"
            )
            offset, confidence = centroid_of_samples(f)
            return from_offset(f, offset, lengths), confidence.expand(*f.batch, f.dim)
        lengths, periods = domain_of(f, modulus)
        if any(p is None for p in periods):
            assert isinstance(f, Field)
            offset, confidence = centroid_of_field(f, self.rtol)
            return from_offset(f, offset, lengths), confidence
        for p, m in zip(periods, lengths, strict=True):
            if p and split(p / m)[1]:
                raise ValueError(f"the modulus {m:g} doesn't divide the period {p:g}")
        whole = [p or m for p, m in zip(periods, lengths, strict=True)]
        origin, confidence = Phase(1, self.rtol)(f, whole)
        start = f.grid.origin if isinstance(f, Samples) else torch.zeros_like(origin)
        return from_offset(f, origin - start, lengths), confidence


@dataclass(frozen=True)
class Strongest:
    """Of several predictors the one with the largest confidence, element by element and axis by axis.

    Parameters
    ----------
    predictors : sequence of Predictor
        The first wins whose confidence is within 0.1 % of the largest.

    Notes
    -----
    Confidences are invariants, so that the choice moves along with the map; where it changes, the origin jumps.

    Examples
    --------
    >>> from discretize import Grid, sample
    >>> from discretize.origins import Argmax, Phase, Strongest
    >>> from fields import PlaneWaves
    >>> low = sample(2 + PlaneWaves([[1 / 8]], [[1.0]]), Grid(8, 1.0))  # below the coarse Nyquist frequency
    >>> Phase()(low, 2.0)[1].item() < 1e-15, Strongest([Phase(), Argmax()])(low, 2.0)[0].tolist()
    (True, [0.0])
    """

    predictors: Sequence[Predictor]

    def __post_init__(self) -> None:
        if not self.predictors:
            raise ValueError("Strongest needs at least one predictor, got none")

    def __call__(self, f: FeatureMap, modulus: Any = None) -> tuple[Tensor, Tensor]:
        """Predict."""
        pairs = [predictor(f, modulus) for predictor in self.predictors]
        origins = torch.stack([origin for origin, _ in pairs])
        confidences = torch.stack([confidence for _, confidence in pairs])
        best = first_of_largest(confidences, 0)
        return origins.gather(0, best.expand_as(origins[:1]))[0], confidences.gather(0, best)[0]


def domain_of(f: FeatureMap, modulus: Any) -> tuple[tuple[float, ...], tuple[float | None, ...]]:
    """The modulus M per axis, and the period: None on R^d, 0 where a field is constant along an axis."""
    periods: tuple[float | None, ...]
    if isinstance(f, Samples):
        if f.grid.boundary not in ("periodic", "zero"):
            raise ValueError(
                f"this origin is defined for samples with boundary 'periodic' or 'zero', got {f.grid.boundary!r}: "
                "replace it (Samples(f.values, f.grid.replace(boundary='periodic')), say), or take Argmax()"
            )
        lengths = checks.positive(f.grid.extent if modulus is None else modulus, f.dim, "modulus")
        if f.grid.boundary == "periodic":
            return lengths, f.grid.extent
        return lengths, tuple(
            math.ceil(e / m - 1e-9) * m for e, m in zip(f.grid.extent, lengths, strict=True)
        )
    if not isinstance(f, Field):
        raise TypeError(f"expected a Field or Samples, got {type(f).__name__}")
    periods = (None,) * f.dim if f.period is None else f.period
    if modulus is None:
        if f.period is None:
            raise ValueError("this field has no known period: give a modulus")
        modulus = [p or 1.0 for p in f.period]
    return checks.positive(modulus, f.dim, "modulus"), periods


def from_offset(f: FeatureMap, offset: Tensor, lengths: Sequence[float]) -> Tensor:
    """The origin (*batch, d) from what was counted from the grid's origin, or from 0, modulo M."""
    offset = torch.remainder(offset, offset.new_tensor(lengths))
    if isinstance(f, Samples):
        offset = f.grid.origin + offset.to(f.grid.origin.device)
    return offset.expand(*f.batch, f.dim)


def first_of_largest(confidences: Tensor, axis: int) -> Tensor:
    """Index of the first confidence that is the largest, up to a share TOLD; the axis is kept, with length 1."""
    enough = confidences >= (1 - TOLD) * confidences.amax(axis, keepdim=True)
    return enough.to(torch.uint8).argmax(axis, keepdim=True)


def _origin(coefficients: Tensor, wavelengths: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Offset and confidence (*batch,) by the wave with the largest confidence."""
    mean, rest = coefficients[..., :1].real, coefficients[..., 1:]
    confidences = rest.abs() / torch.where(mean > 0, mean, 1.0)
    best = first_of_largest(confidences, -1)
    wave, confidence = rest.gather(-1, best)[..., 0], confidences.gather(-1, best)[..., 0]
    length = confidence.new_tensor(wavelengths)[best[..., 0]]
    certain = confidence.detach() >= EPSILON
    angle = torch.where(certain, torch.where(certain, wave, 1.0).angle(), wave.detach().angle())
    return -angle * length / (2 * math.pi), confidence
