"""Prefilters: continuous convolutions that take away, before sampling, what a grid can't tell.

Each is a product over the axes of a profile that scales with the grid's spacing h. Its transfer function H(f), f in
cycles per unit length, is

    kind        profile                                          H(f)
    ideal       sin(πx/h)/πx                                     1 where |f| < 1/2h, 0 elsewhere, at 1/2h too
    gaussian    exp(−x²/2w²)/(√(2π) w),  w = width·h             exp(−2π²w²f²)
    bspline     β_n(x/h)/h, box * … * box, n + 1 times           (sin(πfh)/πfh)^(n+1)
    box         1/h on |x| ≤ h/2: the mean over a pixel          sin(πfh)/πfh
    none        δ(x)                                             1

Since the filter acts on the field, and doesn't know of the grid's origin, it commutes with every translation; only what
it leaves above Nyquist aliases. A sum of plane waves, and a periodic field of known band limit, is filtered by its
spectrum, exactly; other fields by quadrature, as any convolution, or, for the ideal filter, by a spectrum measured to
the tolerance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from discretize.accuracy import SLACK
from discretize.grid import Grid
from discretize.spectrum import evaluator
from fields import arguments, checks
from fields.accuracy import MAX_ORDER, MEMORY_BOUND
from fields.algebra.field import Field
from fields.algebra.linear import Translated
from fields.kernels.kernel import MatrixKernel
from fields.kernels.profile_kernels import BoxKernel, BSplineKernel, GaussianKernel
from fields.lattice import PerAxis
from fields.leaves.plane_waves import PlaneWaves
from fields.spectrum.resolving import spectrum

#: The kinds of prefilter.
KINDS = ("ideal", "gaussian", "bspline", "box", "none")


@dataclass(frozen=True)
class Prefilter:
    """A low-pass filter for sampling, in units of the grid's spacing.

    Parameters
    ----------
    kind : {"ideal", "gaussian", "bspline", "box", "none"}
        "none" samples the field as it is, and says that aliasing is meant.
    order : int
        Of the B-spline, 0 to 9: 0 is the box, 3 the cubic.
    width : float
        Standard deviation of the Gaussian, in spacings. 0.5 leaves 0.29 of a wave at Nyquist.

    Examples
    --------
    >>> import torch
    >>> from discretize import Prefilter
    >>> nyquist = torch.tensor([1.0])  # of spacing 1/2
    >>> [round(float(Prefilter(k).transfer(nyquist, 0.5)), 3) for k in ("ideal", "gaussian", "bspline", "box")]
    [0.0, 0.291, 0.164, 0.637]
    """

    kind: str
    order: int = 3
    width: float = 0.5

    def __post_init__(self) -> None:
        arguments.choice(self.kind, "prefilter", KINDS)
        (order,) = checks.integers(self.order, 1, "order", least=0)
        if order > MAX_ORDER:
            raise ValueError(f"B-splines go up to order {MAX_ORDER}, got {checks.said(order)}")
        checks.positive(self.width, 1, "width")

    def transfer(self, frequency: Tensor, spacing: float) -> Tensor:
        """H(f) along one axis, for frequencies of any shape, in cycles per unit length, and a spacing h."""
        turns = frequency * spacing
        if self.kind == "ideal":
            return (turns.abs() < 0.5 * (1 - SLACK)).to(turns)
        if self.kind == "gaussian":
            return torch.exp(-2 * (math.pi * self.width * turns) ** 2)
        if self.kind == "none":
            return torch.ones_like(turns)
        power: Tensor = torch.sinc(turns) ** (self.order + 1 if self.kind == "bspline" else 1)
        return power

    def kernel(self, spacing: PerAxis, channels: int, like: Tensor) -> MatrixKernel:
        """The filter as a kernel on `channels` channels, for the kinds whose kernel can be integrated."""
        matrix = torch.eye(channels, dtype=like.dtype, device=like.device)
        if self.kind == "gaussian":
            return GaussianKernel([self.width * h for h in spacing], matrix)
        if self.kind == "bspline" and self.order > 0:
            return BSplineKernel(spacing, matrix, self.order)
        if self.kind in ("box", "bspline"):
            return BoxKernel(spacing, matrix)
        raise ValueError(f"the prefilter {self.kind!r} has no kernel of finite reach")


def as_prefilter(prefilter: str | Prefilter | None) -> Prefilter | None:
    """Read a prefilter that may be given by its name."""
    if prefilter is None or isinstance(prefilter, Prefilter):
        return prefilter
    if not isinstance(prefilter, str):
        raise TypeError(
            f"prefilter must be one of {', '.join(KINDS)} or a Prefilter, got {type(prefilter).__name__}"
        )
    return Prefilter(prefilter)


def filtered(
    field: Field,
    grid: Grid,
    prefilter: Prefilter,
    rtol: float = 1e-4,
    refinement: int | None = None,
    memory: int = MEMORY_BOUND,
) -> tuple[Field, float]:
    """The field with a grid's prefilter applied, and the relative error of the spectrum that it was made of.

    Parameters
    ----------
    field : Field
    grid : Grid
        Only its spacing counts, and its extent, where it is periodic.
    prefilter : Prefilter
    rtol, refinement, memory
        As for `sample`.
    """
    if prefilter.kind == "none":
        return field, 0.0
    if isinstance(field, Translated):
        inner, error = filtered(field.parent, grid, prefilter, rtol, refinement, memory)
        return inner.translate(field.t), error
    if isinstance(field, PlaneWaves):
        factor = torch.ones_like(field.frequencies[:, 0])
        for f, h in zip(field.frequencies.T, grid.spacing, strict=True):
            factor = factor * prefilter.transfer(f, h)
        amplitudes = field.amplitudes * factor[:, None].to(field.amplitudes)
        own = field.period
        return PlaneWaves(field.frequencies, amplitudes, own if own and all(own) else None), 0.0
    period = grid.extent if grid.boundary == "periodic" else field.period
    known = period is not None and field.bandlimit is not None
    if prefilter.kind != "ideal" and not known:
        kernel = prefilter.kernel(grid.spacing, field.channels, field._like)
        return field.convolve(kernel), 0.0
    if period is None:
        raise ValueError(
            "the ideal prefilter needs a periodic field, and this one has no period that is known: sum its images by "
            "field.periodize(period), or take the prefilter 'gaussian', 'bspline' or 'box'"
        )
    values = evaluator(field, rtol / 10, refinement, memory)
    found = spectrum(field, period, rtol, memory, values)
    factors = [
        prefilter.transfer(f, h) for f, h in zip(found.frequencies(), grid.spacing, strict=True)
    ]
    kept = [int(torch.count_nonzero(f)) // 2 for f in factors]
    smooth = found.filtered(factors)
    smooth = smooth.cut(kept) if prefilter.kind == "ideal" else smooth
    error = found.tail + (rtol / 10 if field.has_quadrature else 0.0)
    return smooth.field(), error
