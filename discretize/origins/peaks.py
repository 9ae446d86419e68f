"""Origins at the highest point of a map: the largest sample, or the top of the energy between the samples."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from discretize.accuracy import APART, BESIDE, CANDIDATES
from discretize.grid import Grid
from discretize.samples import Samples
from discretize.ties import highest, pointwise_norm, rounding, surroundings
from discretize.trigonometric import in_chunks, upsampled
from fields import FeatureMap, Field, checks
from fields.evaluation.settling import attainable
from fields.lattice import split
from fields.magnitude import unit


@dataclass(frozen=True)
class Argmax:
    """Φ = argmax_x ‖F(x)‖₁ over the samples, modulo M (Xu, Kim, Rainforth & Teh, NeurIPS 2021).

    Notes
    -----
    Commutes with translations by whole spacings on a periodic grid, for every map whose own translational symmetries
    lie in M·Z^d: maxima that tie, up to rounding, are decided by what lies around them. M is a multiple of the spacing;
    the boundary may be any. The confidence is 1 − (largest value at another residue of the axis modulo M)/(largest
    value): 0 where these tie. Piecewise constant: it has no gradient. Defined on samples only: of a Field take
    RefinedArgmax.

    Examples
    --------
    >>> from discretize import Grid, Samples
    >>> from discretize.origins import Argmax
    >>> origin, confidence = Argmax()(Samples([[0.0, 1.0, 0.0, -4.0]], Grid(4, 0.5)), 1.0)
    >>> origin.tolist(), confidence.tolist()
    ([0.5], [1.0])
    """

    def __call__(self, f: FeatureMap, modulus: Any = None) -> tuple[Tensor, Tensor]:
        """Predict."""
        if isinstance(f, Field):
            raise TypeError(
                "Argmax is defined on Samples: take RefinedArgmax() for a Field, or sample it"
            )
        if not isinstance(f, Samples):
            raise TypeError(f"expected Samples, got {type(f).__name__}")
        lengths = checks.positive(f.grid.extent if modulus is None else modulus, f.dim, "modulus")
        parts = [split(m / h) for m, h in zip(lengths, f.grid.spacing, strict=True)]
        if any(rest or n < 1 for n, rest in parts):
            raise ValueError(
                f"the modulus of Argmax must be a multiple of the spacing {f.grid.spacing}, got {lengths}"
            )
        strides = [n for n, _ in parts]
        norm = pointwise_norm(f)
        index = highest(f, norm) % torch.tensor(strides, device=f.device)
        norm = norm.double()
        confidence = torch.stack(
            [_gap(norm, index[..., i], i - f.dim, s, f.dim) for i, s in enumerate(strides)], dim=-1
        )
        origin = f.grid.origin
        where = index.to(origin.device) * origin.new_tensor(f.grid.spacing)
        return (origin + where).expand(*f.batch, f.dim), confidence.expand(*f.batch, f.dim)


def _gap(norm: Tensor, residue: Tensor, axis: int, stride: int, dim: int) -> Tensor:
    others = tuple(a for a in range(-dim, 0) if a != axis)
    line = norm.amax(others) if others else norm
    line = torch.nn.functional.pad(line, (0, -line.shape[-1] % stride), value=-math.inf)
    best = line.unflatten(-1, (-1, stride)).amax(-2)
    here = torch.arange(stride, device=norm.device) == residue[..., None]
    top = best.amax(-1)
    other = torch.where(here, 0.0, best).amax(-1)
    return torch.where(top > 0, 1 - other / torch.where(top > 0, top, 1.0), 0.0)


@dataclass(frozen=True)
class RefinedArgmax:
    """Φ = argmax_x Σ_c F_c(x)² over all real x, modulo M: local maxima of samples, refined by Newton's method.

    Parameters
    ----------
    steps : int
        Of Newton's method, on the trigonometric interpolant, with its exact derivatives.
    rtol : float
        A Field is resolved to this relative accuracy in L2 first, or to 64 eps of its dtype where that is more.

    Notes
    -----
    The eight highest local maxima on twice as fine a grid are refined, and per axis the highest at another place of
    the axis modulo M; the highest of them all is the origin, decided among equals by what lies around them. Commutes
    with all real translations of periodic maps with waves below Nyquist and no more than eight highest maxima, whose
    own translational symmetries lie in M·Z^d. Near maps with several it jumps: the confidence, 1 − (second highest at
    another place of the axis modulo M)/(highest), is near 0. No gradient. A constant has confidence 0.

    Examples
    --------
    >>> from discretize.origins import RefinedArgmax
    >>> from fields import Gaussians
    >>> origin, _ = RefinedArgmax()(Gaussians([[3.3]], [[2.0]], [0.5]).periodize(8.0))
    >>> round(float(origin), 6)
    3.3
    """

    steps: int = 12
    rtol: float = 1e-8

    def __call__(self, f: FeatureMap, modulus: Any = None) -> tuple[Tensor, Tensor]:
        """Predict."""
        samples = f if isinstance(f, Samples) else resolved(f, self.rtol)
        if samples.grid.boundary != "periodic":
            raise ValueError(
                f"RefinedArgmax is defined for periodic samples, got boundary {samples.grid.boundary!r}"
            )
        given = samples.grid.extent if modulus is None else modulus
        lengths = checks.positive(given, f.dim, "modulus")
        start = samples.grid.origin
        spacing, period = start.new_tensor(samples.grid.spacing), start.new_tensor(lengths)
        values = samples.values.detach()
        lead, equal = values.shape[: -f.dim - 1], 1 - 2 * rounding(values.dtype)

        def predict(part: Tensor) -> tuple[Tensor, ...]:
            modulus = (period / spacing).to(part.device)
            part = (part / unit(part, range(-f.dim - 1, 0))).double()
            places, heights = refined_maxima(part, modulus, self.steps)
            tied = heights >= heights.amax(-1, keepdim=True) * equal
            around = _around(part, places).masked_fill(~tied, -math.inf)
            return _chosen(around.argmax(-1), places, heights, modulus)

        columns = in_chunks(predict, values.reshape(-1, *values.shape[-f.dim - 1 :]))
        place, confidence = (column.reshape(*lead, f.dim) for column in columns)
        zero = start if samples is f else start.new_zeros(f.dim)
        offset = place.to(start.device) * spacing + (start - zero)
        origin = torch.remainder(offset, period) + zero
        return origin.expand(*f.batch, f.dim), confidence.expand(*f.batch, f.dim)


def resolved(f: FeatureMap, rtol: float) -> Samples:
    """A periodic field as samples that tell all its waves, to a relative accuracy in L2."""
    if not isinstance(f, Field):
        raise TypeError(f"expected a Field or Samples, got {type(f).__name__}")
    if f.period is None:
        raise ValueError(
            "RefinedArgmax needs a field of known period: use field.periodize(period), or sample it first"
        )
    g = f.resolve(attainable(rtol, f.dtype))
    return Samples(g.values, Grid(g.shape, g.spacing, g.origin))


def _around(values: Tensor, places: Tensor) -> Tensor:
    """What lies around places (n, K, d), as one number each, (n, K): it moves along, and tells them apart."""
    dim = places.shape[-1]
    size = values.abs().sum(1).flatten(1).amax(-1, keepdim=True)
    g = surroundings(values, size, periodic=True)
    spectrum = torch.fft.fftn(g, dim=tuple(range(-dim, 0)), norm="forward")
    return _value(spectrum[:, None], _bases(g.shape[1:], places), (0,) * dim)[:, 0]


def _chosen(
    best: Tensor, places: Tensor, heights: Tensor, modulus: Tensor
) -> tuple[Tensor, Tensor]:
    """Place and confidence (n, d) of the best (n,) of K maxima: places (n, K, d) in samples, heights (n, K)."""
    top = heights.amax(-1)
    place = places.gather(-2, best[:, None, None].expand(-1, 1, places.shape[-1]))
    apart = (places - place) / modulus
    apart = (apart - apart.round()).abs() * modulus > APART
    others = torch.where(apart, heights[..., None], 0.0).amax(-2)
    return place[:, 0], torch.where(
        top[:, None] > 0, 1 - others / torch.where(top > 0, top, 1.0)[:, None], 0.0
    )


def refined_maxima(values: Tensor, modulus: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The highest local maxima of Σ_c F_c²: places (n, K, d), counted in samples, and heights (n, K).

    Parameters
    ----------
    values : Tensor, shape (n, c, X1, …, Xd)
        Of the trigonometric interpolant F.
    modulus : Tensor, shape (d,)
        In samples. Among the maxima is the highest at another place of each axis, modulo this.
    steps : int
        Of Newton's method.
    """
    dim = len(modulus)
    e = upsampled(values, (2,) * dim).square().sum(1)
    peak = torch.ones_like(e, dtype=torch.bool)
    for shift in itertools.product((-1, 0, 1), repeat=dim):
        peak &= e >= e.roll(shift, tuple(range(1, dim + 1)))
    peaks = torch.where(peak, e, -1.0)
    score, index = peaks.flatten(1).topk(min(CANDIDATES, e[0].numel()))
    index = torch.where(score >= 0, index, index[:, :1])  # fewer maxima: the highest again
    index = torch.cat([index, *_rivals(peaks, index[:, :1], modulus)], dim=1)
    x = torch.stack(torch.unravel_index(index, e.shape[1:]), dim=-1).double() / 2
    spectrum = torch.fft.fftn(values, dim=tuple(range(-dim, 0)), norm="forward")
    height, slope, bend = _energy_at(spectrum, x)
    for _ in range(steps):
        step, settling = _ascent(slope, bend)
        trial = x + step
        now = _energy_at(spectrum, trial)
        better = (now[0] >= height) | settling
        x = torch.where(better[..., None], trial, x)
        height = torch.where(better, now[0], height)
        slope = torch.where(better[..., None], now[1], slope / 4)
        bend = torch.where(better[..., None, None], now[2], bend)
    return x, height


def _rivals(peaks: Tensor, top: Tensor, modulus: Tensor) -> list[Tensor]:
    """Per axis the flat index (n, 1) of the highest peak at another place of the axis; the top again without one.

    All of the highest may share a place: a map that is constant along an axis has no origin there.
    """
    found = []
    where = torch.unravel_index(top, peaks.shape[1:])
    for axis, (size, place) in enumerate(zip(peaks.shape[1:], where, strict=True)):
        turns = (torch.arange(size, device=peaks.device) - place) / (2 * modulus[axis])
        other = (turns - turns.round()).abs() * modulus[axis] > BESIDE
        other = other.reshape(len(top), *(1,) * axis, size, *(1,) * (peaks.ndim - 2 - axis))
        best, index = torch.where(other, peaks, -1.0).flatten(1).max(1, keepdim=True)
        found.append(torch.where(best >= 0, index, top))
    return found


def _ascent(slope: Tensor, bend: Tensor) -> tuple[Tensor, Tensor]:
    """Newton's step towards a maximum, at most a quarter of a sample, upwards along every axis of the bend.

    And whether it is so near to one that the step is to be trusted more than the rounded heights before and after it.
    """
    curvature, axes = torch.linalg.eigh(bend)
    size = curvature.abs()
    size = size.clamp(min=1e-12).maximum(1e-9 * size.amax(-1, keepdim=True))
    step = (axes @ ((axes.mT @ slope[..., None]) / size[..., None]))[..., 0]
    length = step.norm(dim=-1, keepdim=True)
    settling = (curvature < 0).all(-1) & (length[..., 0] < 1e-3)
    return step * (0.25 / length.clamp(min=0.25)), settling


def _energy_at(spectrum: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Σ_c F_c² at points (n, K, d), its gradient (n, K, d) and second derivatives (n, K, d, d)."""
    dim = x.shape[-1]
    bases = _bases(spectrum.shape[2:], x)
    unit = [tuple(int(i == j) for j in range(dim)) for i in range(dim)]
    f = _value(spectrum, bases, (0,) * dim)
    df = [_value(spectrum, bases, u) for u in unit]
    bend = torch.zeros(*x.shape, dim, dtype=x.dtype, device=x.device)
    for i, j in itertools.product(range(dim), repeat=2):
        orders = tuple(a + b for a, b in zip(unit[i], unit[j], strict=True))
        bend[..., i, j] = 2 * (df[i] * df[j] + f * _value(spectrum, bases, orders)).sum(1)
    gradient = torch.stack([2 * (f * d).sum(1) for d in df], dim=-1)
    return f.square().sum(1), gradient, bend


def _bases(shape: Sequence[int], x: Tensor) -> list[list[Tensor]]:
    """Per axis its waves at points (n, K, d), then their first and second derivatives: (n, K, N) each."""
    bases = []
    for axis, size in enumerate(shape):
        k = torch.fft.fftfreq(size, dtype=x.dtype, device=x.device)
        wave = torch.exp(2j * math.pi * x[..., axis, None] * k)
        nyquist = (k == -0.5) & (size % 2 == 0)
        rates = [wave * (2j * math.pi * k) ** order for order in range(3)]
        # cos(πx) and its derivatives, for the wave at Nyquist
        bases.append([torch.where(nyquist, r.real + 0j, r) for r in rates])
    return bases


def _value(spectrum: Tensor, bases: Sequence[Sequence[Tensor]], orders: Sequence[int]) -> Tensor:
    """Derivatives of these orders per axis, (n, c, K), of the interpolant with this spectrum (n, c, X1, …, Xd)."""
    out = torch.einsum("nc...z,nkz->nck...", spectrum, bases[-1][orders[-1]])
    for axis in range(len(orders) - 2, -1, -1):
        out = torch.einsum("nck...z,nkz->nck...", out, bases[axis][orders[axis]])
    return out.real
