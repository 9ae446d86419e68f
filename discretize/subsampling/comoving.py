"""Comoving grids: subsampling that commutes with every real translation.

The origin of the coarse grid is predicted from the map, so that it moves along with it (`discretize.origins`), and the
values are those of the trigonometric interpolant there. With w = c²/(c² + ε²), c the predictor's confidence,

    f ─▶ Φ, c ─▶ (waves below the coarse Nyquist frequency + w·(the others))(Φ + s·h·k)

per axis. Where a map has no origin, w = 0: what is left is below the coarse Nyquist frequency, so that its samples
determine it from any origin, and the output, as a function, is equivariant and continuous there, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from discretize.accuracy import DECAYED, EPSILON
from discretize.grid import Grid, divides
from discretize.origins.predictors import Phase, Predictor
from discretize.promises import (
    DROP,
    confidence_bound,
    handling,
    nyquist_share,
    warn_of_confidence,
    warn_of_nyquist,
    without_nyquist,
)
from discretize.samples import Samples
from discretize.subsampling.subsampling import Subsampling
from discretize.subsampling.upsampling import Upsampling
from discretize.trigonometric import below, in_chunks, resampled
from fields import FeatureMap, Field, arguments, checks
from fields.commuting import Commutes
from fields.interpolation.fourier import phase
from fields.lattice import split

#: What predicts an origin.
WHAT = "a feature map and a modulus"


class ComovingSubsampling(Subsampling):
    """The values F(Φ + s·h·k) of the trigonometric interpolant F on a coarse grid that moves along with it.

    Parameters
    ----------
    s : int or sequence of int
        It must divide the shape of the grid, which is periodic.
    predictor : Predictor
        Of the origin Φ modulo s·h: the phase of the energy's wave of that length unless given.
    nyquist : {"keep", "drop"}, optional
        "drop" leaves waves at Nyquist out first: no array holds all their translates. "keep" says that they are meant.
        Unless given they are kept, with a warning.
    bound : float, optional
        Confidence below which it warns: √eps of the input's dtype, 1.5e-8 or 3.5e-4, unless given; 0 never warns.

    Warns
    -----
    AliasingWarning
        Where more than 1e-8 of the input's energy (2e-6 in float32) lies at Nyquist: with its share.
    LowConfidence
        Where an origin is unknown: the output moves along as a function, but not index by index, so that a pointwise
        non-linearity behind it undoes the promise.

    Notes
    -----
    Promise, for periodic samples of waves strictly below Nyquist, and every real translation:

    - The output as a function, the trigonometric interpolant of its values, moves along, to rounding error, and is a
      continuous function of the input, also where Φ isn't defined.
    - Index by index, the values stay (rolled where the origin passes a period s·h) if every axis's confidence is well
      above rounding: their relative error is about eps/confidence.
    - Values are F(Φ + s·h·k), but for a share (ε/confidence)², ε = 1e-6, of the waves at and above the coarse Nyquist
      frequency. Without any confidence these waves are left out.

    Axes with s = 1 keep their samples. The default's confidence is 0 for all maps below the coarse Nyquist frequency,
    which don't need it, and for few others, which it flags (waves 17 and 20 of 64 at s = 2). Gradients flow through
    values, origins and confidences; those through the phase are cut off where the confidence is below ε.

    Examples
    --------
    >>> from discretize import ComovingSubsampling, Grid, sample
    >>> from fields import random_bandlimited
    >>> F = random_bandlimited(1, 1, bandlimit=0.4, period=16.0, seed=0)
    >>> f, g = (ComovingSubsampling(2)(sample(F.translate([t]), Grid(16, 1.0))) for t in (0.0, 0.7))
    >>> bool((g.values - f.translate([0.7]).resample(g.grid).values).abs().max() < 1e-12)
    True
    """

    commutes_with = Commutes.REAL

    def __init__(
        self,
        s: Any,
        predictor: Predictor | None = None,
        nyquist: str | None = None,
        bound: float | None = None,
    ) -> None:
        super().__init__(s)
        self.predictor = (
            Phase() if predictor is None else arguments.function(predictor, "predictor", WHAT)
        )
        self.nyquist, self.bound = handling(nyquist), confidence_bound(bound)

    @property
    def upsampling(self) -> Upsampling:
        """Trigonometric interpolation on the fine grid."""
        return Upsampling(self.s, "fourier")

    def with_confidence(self, f: Samples) -> tuple[Samples, Tensor]:
        """The subsampled map, and the confidence (*batch, d) of its origin; it warns of waves at Nyquist only."""
        return self._moved(f, stacklevel=3)

    def _moved(self, f: Samples, stacklevel: int) -> tuple[Samples, Tensor]:
        strides = checks.integers(self.s, f.dim, "stride")
        values, offset, confidence, share = comoved(
            f, strides, self.predictor, blend=True, nyquist=self.nyquist
        )
        warn_of_nyquist(share, f.dtype, stacklevel)
        origin = f.grid.origin + offset.to(f.grid.origin.device)
        return f._with(values, f.grid.stride(strides).replace(origin=origin)), confidence

    def _subsampled(self, f: Samples) -> Samples:
        out, confidence = self._moved(f, stacklevel=6)
        strided = confidence[..., [s > 1 for s in checks.integers(self.s, f.dim, "stride")]]
        warn_of_confidence(
            strided,
            f.dtype,
            self.bound,
            "values don't move along index by index (as a function they do): before a pointwise non-linearity put an "
            "alias-free activation in front, or wrap the whole model in equivariance.Comoving; bound=0 says that it is "
            "meant",
            stacklevel=5,
        )
        return out

    def extra_repr(self) -> str:
        """Stride and predictor."""
        return f"{self.s}, {self.predictor}"


def comoved(
    f: Samples,
    strides: Sequence[int],
    predictor: Predictor,
    modulus: Any = None,
    blend: bool = False,
    nyquist: str | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Values on the comoving grid, its origin less that of the grid, the confidence, and what lies at Nyquist.

    Parameters
    ----------
    f : Samples
        Periodic.
    strides : sequence of int
    modulus : optional
        Of the origin; strides times spacing unless given.
    blend : bool
        Whether to blend the waves at and above the coarse Nyquist frequency by the confidence.
    nyquist : {"keep", "drop"}, optional
        What to do with waves at Nyquist.

    Returns
    -------
    values, offset, confidence : Tensor
        The offset in length units.
    share : Tensor, shape (*batch,), or None
        Of energy in waves at Nyquist, unless `nyquist` says what to do with them.
    """
    if f.grid.boundary != "periodic":
        raise ValueError(
            f"a comoving grid needs periodic samples, got boundary {f.grid.boundary!r}: "
            "Samples(f.values, f.grid.replace(boundary='periodic')) takes them for one period"
        )
    divides(tuple(strides), f.grid.shape, "periodic")
    grid = Grid(f.grid.shape, f.grid.spacing)
    lengths = [s * h for s, h in zip(strides, f.grid.spacing, strict=True)]
    dim, lead = f.dim, f.values.shape[: -f.dim - 1]
    ask, modulus = nyquist is None and not checks.tracing(), lengths if modulus is None else modulus

    def moved(part: Tensor) -> tuple[Tensor, ...]:
        if nyquist == DROP:
            part = without_nyquist(part, dim)
        here = f._with(part, grid)
        shared: list[Tensor] = []
        if ask and isinstance(predictor, Phase):
            origin, confidence, *shared = predictor.with_nyquist(here, modulus)
        else:
            origin, confidence = predictor(here, modulus)
            shared = [nyquist_share(part, dim)] if ask else []
        if blend:  # an axis without a stride keeps all its waves from any origin, its own too
            origin = origin * origin.new_tensor([s > 1 for s in strides])
        steps = (origin / origin.new_tensor(grid.spacing)).to(part.device)
        waves = [phase(steps[:, i], n, True, True) for i, n in enumerate(grid.shape)]
        if blend:
            shares = [
                _weights(confidence[:, i].to(part.device), n, s)
                for i, (n, s) in enumerate(zip(grid.shape, strides, strict=True))
            ]
            waves = [w * share for w, share in zip(waves, shares, strict=True)]
        return resampled(part, waves, strides), origin, confidence, *shared

    columns = in_chunks(moved, f.values.reshape(-1, *f.values.shape[-dim - 1 :]))
    values, origin, confidence, *share = (c.reshape((*lead, *c.shape[1:])) for c in columns)
    return values, origin, confidence, share[0].detach() if share else None


def _weights(confidence: Tensor, size: int, stride: int) -> Tensor:
    """1 for waves below the coarse Nyquist frequency, w for the others: shape (n, size//2 + 1)."""
    square = confidence.square()[:, None]
    low = (below(size, size // stride) if stride > 1 else torch.ones(size // 2 + 1)).to(confidence)
    return low + (1 - low) * (square / (square + EPSILON**2))


def comoving_grid(
    feature_map: FeatureMap, stride: Any, predictor: Predictor | None = None
) -> tuple[Grid, Tensor]:
    """A coarse grid that moves along with a map, and the confidence in it.

    Parameters
    ----------
    feature_map : Samples or Field
    stride : int or float, or one per axis
        For Samples a number of spacings, for a Field the spacing of the grid in length units, which divides its period.
    predictor : Predictor, optional
        `origins.Phase()` unless given; its `rtol` is the accuracy of its quadrature on a Field.

    Returns
    -------
    Grid
        One origin per element. For a decaying Field with boundary "zero", over the box where it is above 1e-12 of its
        peak.
    Tensor, shape (*batch, d)
        The confidence: where it is 0, the map has no origin of this kind.

    Examples
    --------
    >>> from discretize import comoving_grid
    >>> from fields import Gaussians
    >>> grid, confidence = comoving_grid(Gaussians([[0.3]], [[1.0]], [0.4]), 1.0)
    >>> round(float(grid.origin % 1.0), 9), bool(confidence > 0.2)
    (0.3, True)
    """
    predictor = Phase() if predictor is None else arguments.function(predictor, "predictor", WHAT)
    if isinstance(feature_map, Samples):
        strides = checks.integers(stride, feature_map.dim, "stride")
        grid = feature_map.grid.stride(strides)
        origin, confidence = predictor(feature_map, grid.spacing)
        return grid.replace(origin=origin), confidence
    if not isinstance(feature_map, Field):
        raise TypeError(f"expected a Field or Samples, got {type(feature_map).__name__}")
    spacing = checks.positive(stride, feature_map.dim, "stride")
    origin, confidence = predictor(feature_map, spacing)
    if feature_map.period is not None:
        shape = _whole_cells(feature_map.period, spacing)
        return Grid(shape, spacing, origin), confidence
    support = feature_map.support(DECAYED)
    if support is None:
        raise ValueError(
            "a comoving grid needs a field of known period, or one that is known to decay on R^d"
        )
    low, high = (origin.new_tensor(corner) for corner in support)
    step = origin.new_tensor(spacing)
    shape = [max(1, math.ceil(n)) for n in ((high - low) / step).tolist()]
    return Grid(shape, spacing, low + torch.remainder(origin - low, step), "zero"), confidence


def _whole_cells(period: Sequence[float], spacing: Sequence[float]) -> list[int]:
    """Points per axis; one along axes where the field is constant."""
    shape = []
    for p, h in zip(period, spacing, strict=True):
        n, rest = split(p / h)
        if rest:
            raise ValueError(
                f"the spacing {h:g} of a comoving grid doesn't divide the period {p:g}"
            )
        shape.append(max(1, n))
    return shape
