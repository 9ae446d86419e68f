"""The sampling theorem as a tool: what grid a field needs, and what a grid that is too coarse does to it.

Samples on N points per period can't tell the mode k from k − N: all modes that agree modulo N fold onto one, the one
below Nyquist. Sampling and interpolating, Φ, then no longer commutes with translations, and the spectrum says exactly
by how much: with c_k the coefficients relative to the grid's origin and w_kj the share of mode k that becomes mode j,

    Φ(t▷F) − t▷Φ(F) = Σ_j e_j Σ_{k≠j} w_kj c_k (exp(−2πi k·t/L) − exp(−2πi j·t/L)),

e_j the waves of the interpolant. Since waves in t are orthogonal, its mean square over all real translations is

    Σ_j (Σ_{k≠j} w_kj² |c_k|² + |Σ_{k≠j} w_kj c_k|²).

w_kj is 1 where k ≡ j modulo N, 0 elsewhere; the wave at Nyquist of an even N, of which the interpolant keeps the
cosine, is half of each of j = ±N/2, so there w_kj gets a factor 1/2 per axis.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from discretize.accuracy import SLACK
from discretize.alignment import check_pair
from discretize.folding import below_nyquist, binned, power, targets, unmoved
from discretize.grid import Grid
from discretize.refinement import at_refinement, refined
from fields import arguments
from fields.accuracy import MEMORY_BOUND
from fields.algebra.field import Field
from fields.algebra.linear import Translated
from fields.evaluation.settling import NotResolved
from fields.spectrum.coefficients import Spectrum, highest_modes, known_series
from fields.spectrum.resolving import Evaluator, check_tolerance, spectrum


class AliasingWarning(UserWarning):
    """A grid is too coarse for what is known of a field's band."""


@dataclass(frozen=True)
class Aliasing:
    """What a periodic grid does to a field; made by `aliasing`.

    Attributes
    ----------
    grid : Grid
    share : Tensor, shape (*batch,)
        Energy in modes with |f_i| ≥ 1/(2·spacing_i) on some axis, as a part of all energy: 0 to 1.
    spectrum : complex Tensor, shape (*batch, c, X1, …, Xd)
        What the samples show: their discrete Fourier transform divided by their number, true and folded modes together.
    folded : complex Tensor, shape (*batch, c, X1, …, Xd)
        The part of it that comes from such modes.
    defect : Tensor, shape (*batch,)
        Root mean square of Φ(t▷F) − t▷Φ(F) over the period and all real translations t, Φ sampling and Fourier
        interpolation, channels summed in squares: in the units of the field.
    norm : Tensor, shape (*batch,)
        Root mean square of Φ(F).
    tail : float
        Relative L2 norm of what the field's coefficients leave out; 0 where its band limit is known.
    """

    grid: Grid
    share: Tensor
    spectrum: Tensor = field(repr=False)
    folded: Tensor = field(repr=False)
    defect: Tensor
    norm: Tensor
    tail: float

    @property
    def relative_defect(self) -> Tensor:
        """`defect` relative to `norm`, shape (*batch,); raises where the interpolated field vanishes."""
        if bool((self.norm == 0).any()):
            raise ValueError("the sampled field vanishes: its relative defect isn't defined")
        return self.defect / self.norm


def aliasing(field: Field, grid: Grid, rtol: float = 1e-3, memory: int = MEMORY_BOUND) -> Aliasing:
    """How much a periodic grid aliases a field, exactly, without sampling translations.

    Parameters
    ----------
    field : Field
        Periodic with the grid's extent.
    grid : Grid
        With boundary "periodic"; its origin may be batched.
    rtol : float
        Where no band limit is known, the coefficients are measured until what they leave out is at most this part of
        the field, in L2; the result says how much it was (`tail`). Quadratures in the field are resolved to a tenth
        of it. Where its norm and transform are closed, and its spectrum has no known end, they are summed instead
        until they leave out so little of the norm; the share is then exact.
    memory : int
        Bound on the values alive at once, in bytes.

    Returns
    -------
    Aliasing
        Exact to rounding error for a known band limit and no quadrature.

    Raises
    ------
    NotResolved
        Where the spectrum can't be measured to `rtol` within `memory`.
    ValueError
        Where the grid isn't periodic, or the field isn't with the grid's extent.

    Examples
    --------
    >>> from discretize import Grid, aliasing
    >>> from fields import PlaneWaves
    >>> F = PlaneWaves([[1 / 8], [5 / 8]], [[1.0], [0.1]])
    >>> told = aliasing(F, Grid(8, 1.0))
    >>> round(float(told.share), 6), round(float(told.relative_defect), 6)
    (0.009901, 0.14072)
    """
    check_pair(field, grid)
    if grid.boundary != "periodic":
        raise ValueError(
            f"aliasing is told over a period: the grid must be periodic, its boundary is {grid.boundary!r}"
        )
    told, left = _coefficients(field, grid.extent, grid.origin, rtol, memory)
    found, unit = told.scaled()
    inside = below_nyquist(found, grid)
    outer = found.coefficients * ~inside
    dims = tuple(range(-grid.dim - 1, 0))
    total = found.energy()
    share = (power(outer).sum(dims) / torch.where(total > 0, total, 1) + left) / (1 + left)
    whole, wrong = targets(found.coefficients, grid.shape), targets(outer, grid.shape)
    energy = targets(power(outer), grid.shape, square=True)
    self_energy, self_part = unmoved(outer, grid.shape)
    mean_square = (energy - self_energy).clamp(min=0) + power(wrong - self_part)
    return Aliasing(
        grid,
        share,
        binned(found.coefficients, grid.shape) * unit,
        binned(outer, grid.shape) * unit,
        mean_square.sum(dims).sqrt() * unit.squeeze(dims),
        power(whole).sum(dims).sqrt() * unit.squeeze(dims),
        found.tail,
    )


def required_grid(field: Field, rtol: float | None = None, memory: int = MEMORY_BOUND) -> Grid:
    """The coarsest grid whose samples determine a field: of all that do it one with the fewest points.

    Parameters
    ----------
    field : Field
    rtol : float, optional
        For a periodic field, the L2 norm of what the grid can't tell, relative to the field's: measured, with a tenth
        of it in reserve where no band limit is known. For a decaying one, where its values and its spectrum are cut
        off, relative to their maxima. Without it the grid is that of the band limit: 2K+1 points per axis for the modes
        0, ±1, …, ±K of a period, which lose nothing.
    memory : int
        Bound on the values alive at once, in bytes.

    Returns
    -------
    Grid
        Periodic over the field's period, from the origin 0 on (a single point, 1 apart, along an axis on which the
        field doesn't depend); or with boundary "none" over its support.

    Raises
    ------
    NotResolved
        Where the tail doesn't get below `rtol` within `memory`.
    ValueError
        Where too little is known of the field, or `rtol` is missing.

    Examples
    --------
    >>> from discretize import required_grid
    >>> from fields import Gaussians, PlaneWaves
    >>> required_grid(PlaneWaves([[0.5, 0.25]], [[1.0]], period=8.0)).shape
    (9, 5)
    >>> grid = required_grid(Gaussians([[0.0]], [[1.0]], [1.0]), rtol=1e-6)
    >>> grid.shape, round(grid.spacing[0], 3), grid.boundary
    ((19,), 0.598, 'none')
    """
    if not isinstance(field, Field):
        raise TypeError(f"only a Field needs a grid, got {type(field).__name__}")
    period = field.period
    if period is None:
        return _support_grid(field, rtol)
    if rtol is None:
        if field.bandlimit is None:
            raise ValueError("this field has no band limit that is known: say rtol=…")
        highest = highest_modes(field.bandlimit, period)
    else:
        check_tolerance(field, rtol)
        origin = torch.zeros(field.dim, dtype=torch.float64)
        highest = _coefficients(field, period, origin, rtol, memory)[0].truncated(rtol).highest
    shape = [2 * k + 1 for k in highest]
    return Grid(shape, [(p or 1.0) / n for p, n in zip(period, shape, strict=True)])


def _support_grid(field: Field, rtol: float | None) -> Grid:
    if rtol is None:
        raise ValueError(
            "a field without period that is known needs infinitely many samples: say rtol=…"
        )
    rtol = arguments.fraction(rtol, "rtol")
    corners, band = field.support(rtol), field.bandwidth(rtol)
    if corners is None or band is None:
        missing = " nor ".join(
            name for name, known in (("support", corners), ("bandwidth", band)) if known is None
        )
        raise ValueError(
            f"this field knows no {missing}: sum its images by field.periodize(period), whose spectrum can be measured"
        )
    spacing, shape = [], []
    for low, high, f in zip(*corners, band, strict=True):
        h = 0.5 / f if f else (high - low) or 1.0
        spacing.append(h)
        shape.append(math.ceil((high - low) / h * (1 - SLACK)) + 1)
    return Grid(shape, spacing, torch.tensor(corners[0], dtype=torch.float64), "none")


def evaluator(
    field: Field, rtol: float, refinement: int | None = None, memory: int = MEMORY_BOUND
) -> Evaluator:
    """How a field is evaluated on a lattice, its quadratures refined with it."""
    if refinement is not None:
        return lambda lattice: at_refinement(field, lattice, refinement, memory)
    return lambda lattice: refined(field, lattice, rtol, memory).values


def _coefficients(
    field: Field, period: Sequence[float], origin: Tensor, rtol: float, memory: int
) -> tuple[Spectrum, Tensor]:
    """The spectrum, and the energy that it is known to leave out as a part of its own, shape (*batch,) or ()."""
    rtol, memory = arguments.fraction(rtol, "rtol"), arguments.size(memory)
    if (
        field.bandwidth(rtol) is None
    ):  # samples would tell its energy slowly, and small shapes not at all
        known = known_series(field, tuple(period), rtol, memory, origin.to(field.device))
        if known is not None:
            return known
    values = evaluator(field, rtol / 10, None, memory)
    found = spectrum(field, tuple(period), rtol, memory, values, origin)
    return found, torch.zeros((), dtype=torch.float64, device=field.device)


# --- the warning ------------------------------------------------------------------------------------------------


def warn_of_aliasing(field: Field, grid: Grid, rtol: float, memory: int, stacklevel: int) -> None:
    """Warn where a known band limit is above the grid's Nyquist, and more than `rtol` of the field, in L2, there."""
    if field.bandlimit is None or all(
        n == 1 or f <= limit * (1 + SLACK)
        for n, f, limit in zip(grid.shape, field.bandlimit, grid.nyquist, strict=True)
    ):
        return
    share = aliased_share(field, grid, memory)
    if share is not None and share <= rtol**2:
        return
    said = "an unknown share" if share is None else f"{100 * share:.2g} %"
    warnings.warn(
        f"the field has frequencies up to {_listed(field.bandlimit)}, the grid tells those below "
        f"{_listed(grid.nyquist)} cycles per unit length: {said} of its energy aliases. Take a finer grid "
        "(required_grid(field) says which), or a prefilter: 'ideal', 'gaussian', 'bspline' or 'box', or 'none' where "
        "aliasing is meant",
        AliasingWarning,
        stacklevel=stacklevel + 1,
    )


def _listed(numbers: Sequence[float]) -> str:
    return " × ".join(f"{x:.4g}" for x in numbers)


def aliased_share(field: Field, grid: Grid, memory: int = MEMORY_BOUND) -> float | None:
    """Largest share, over the batch, of the energy at or above the grid's Nyquist; None where it can't be told."""
    while isinstance(field, Translated):  # the same energy, once for all translations
        field = field.parent
    period = grid.extent if grid.boundary == "periodic" else field.period
    if period is None:
        return None
    try:
        origin = torch.zeros(grid.dim, dtype=torch.float64)
        with torch.no_grad():
            found = _coefficients(field, period, origin, 1e-2, memory)[0].scaled()[0]
    except NotResolved:
        return None
    dims = tuple(range(-grid.dim - 1, 0))
    above = power(found.coefficients * ~below_nyquist(found, grid)).sum(dims)
    total = found.energy()
    return float((above / torch.where(total > 0, total, 1)).amax())
