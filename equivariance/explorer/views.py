"""The diagram at one translation, and its error along a line of them.

 F ──── t▷ ────→ t▷F                     the continuous field, points of the sampling grid on it
 │                │
 L                L                      network and subsampling, on samples
 ↓                ↓
L(F) ── t▷ ──→   =?                      both on the grid of L(t▷F)
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from discretize import Grid, Samples, sample
from equivariance.explorer.fields_and_networks import Chain, chain, field
from equivariance.explorer.state import State
from equivariance.verdicts import tolerance
from fields import Field

#: Points per side with which continuous functions are drawn.
FINE = 192
#: Share of the values that the colour scale tells apart; larger ones have the colours of its ends.
SHARE = 0.997
#: Translations of a curve that are computed at once, on 64 × 64 points.
BATCH = 16
#: Relative errors up to this are zero but for rounding.
ROUNDING = tolerance("float64")


@dataclass(frozen=True)
class View:
    """What the page shows at one translation.

    Attributes
    ----------
    state : State
    field, output : Samples
        t▷F and L(t▷F) as functions, on a grid much finer than the sampling grid.
    sampled : Samples
        t▷F on the sampling grid.
    discrete : Samples
        L(t▷F) of the samples, on its own grid: the kept points.
    moved, difference : Tensor, shape (1, Y1, Y2)
        t▷L(F) on the same grid, and what is left of L(t▷F) without it; NaN where t▷L(F) isn't known.
    error : float or None
        Relative L2 norm of the difference; None where the output vanishes.
    scale : float
        The colour scale runs from −scale to scale; it doesn't depend on t.
    approximate : bool
        Whether the output had to be interpolated between its points by cubic splines.
    """

    state: State
    field: Samples
    output: Samples
    sampled: Samples
    discrete: Samples
    moved: Tensor
    difference: Tensor
    error: float | None
    scale: float
    approximate: bool


@dataclass(frozen=True)
class Base:
    """What doesn't depend on the translation."""

    field: Field
    chain: Chain
    grid: Grid
    fine: Grid
    output: Samples
    scale: float


@functools.lru_cache(16)
def base(settings: State) -> Base:
    """L(F) for the settings of a state, and what is made of them; the last 16 are kept."""
    grid = Grid((settings.size, settings.size), 1.0, boundary=settings.boundary)
    m = max(1, round(FINE / settings.size))
    fine = Grid(grid.shape, 1.0).refine(m)
    source, network = field(settings), chain(settings)
    shown = _sampled(source, fine), _continuous(network, source, fine)
    output = network(_sampled(source, grid))
    scale = max(float(f.values.abs().quantile(SHARE)) for f in (*shown, output))
    return Base(source, network, grid, fine, output, scale or 1.0)


def _sampled(source: Field, grid: Grid) -> Samples:
    return sample(source, grid, prefilter="none")  # to see what aliasing does is the purpose


def _continuous(network: Chain, source: Field, fine: Grid) -> Samples:
    """The network alone, of the function: strides are not for functions."""
    return _sampled(network.network(source), fine)


@torch.inference_mode()
def view(state: State) -> View:
    """Both ways round the diagram at the translation of a state."""
    start = base(state.settings)
    t = torch.tensor(state.t, dtype=torch.float64)
    moving = start.field.translate(t)
    sampled = _sampled(moving, start.grid)
    discrete = start.chain(sampled)
    moved, known, approximate = _moved(start.output, t, discrete.grid)
    difference = (discrete.values - moved.values).where(known, torch.nan)
    error = _errors(discrete.values[None], moved.values[None], known)[0]
    return View(
        state=state,
        field=_sampled(moving, start.fine),
        output=_continuous(start.chain, moving, start.fine),
        sampled=sampled,
        discrete=discrete,
        moved=moved.values.where(known, torch.nan),
        difference=difference,
        error=error,
        scale=start.scale,
        approximate=approximate,
    )


def _moved(output: Samples, t: Tensor, grid: Grid) -> tuple[Samples, Tensor, bool]:
    """t▷L(F) at the points of a grid; which of them are inside what is known of it; whether they were interpolated.

    On a periodic grid the values are those of the trigonometric interpolant, or rolled where the lattices coincide.
    Elsewhere cubic splines go between the points.
    """
    there = output.translate(t)
    periodic = grid.boundary == "periodic"
    moved = there.resample(grid, "fourier" if periodic else "cubic")
    if periodic:
        return moved, torch.ones(1, *grid.shape, dtype=torch.bool), False
    inside = []
    step = grid.offset(there.grid)  # of the first point of what is known, in spacings
    for axis, n in enumerate(grid.shape):
        index = torch.arange(n, dtype=torch.float64) - step[..., axis, None]
        inside.append((index > -1e-9) & (index < n - 1 + 1e-9))
    known = inside[0][..., :, None] & inside[1][..., None, :]
    approximate = not bool(there.grid.nearest_steps(grid)[1].all())
    return moved, known[..., None, :, :], approximate


def _errors(left: Tensor, right: Tensor, known: Tensor) -> list[float | None]:
    """‖left − right‖/‖right‖ of each element, over the known points."""
    axes = (-3, -2, -1)
    size = (right * known).square().sum(axes).sqrt()
    rest = ((left - right) * known).square().sum(axes).sqrt()
    pairs = zip(rest.tolist(), size.tolist(), strict=True)
    return [r / s if s > 0 else None for r, s in pairs]


@dataclass(frozen=True)
class Curve:
    """Errors along a line of translations through that of the state.

    Attributes
    ----------
    positions : tuple of float
        The coordinate along the line, in pixels: of x₁, but for the line across, where it is that of x₂.
    translations : tuple of (float, float)
    errors : tuple of float or None
    """

    positions: tuple[float, ...]
    translations: tuple[tuple[float, float], ...]
    errors: tuple[float | None, ...]


def positions(state: State) -> tuple[float, ...]:
    """Two strides either way, in eighths of the stride, half pixels at most."""
    step = min(state.stride / 8, 0.5)
    count = round(2 * state.stride / step)
    return tuple(i * step for i in range(-count, count + 1))


def translations(state: State) -> tuple[tuple[float, float], ...]:
    """The translations of the curve: down and across through t, diagonally through 0."""
    a, b = state.t
    if state.line == "diagonal":
        return tuple((p, p) for p in positions(state))
    return tuple((p, b) if state.line == "down" else (a, p) for p in positions(state))


def parts(state: State) -> list[tuple[tuple[float, float], ...]]:
    """The curve's translations in parts of as many points in all: what is computed at once."""
    count = max(1, round(BATCH * (64 / state.size) ** 2))
    all_of_them = translations(state)
    return [all_of_them[i : i + count] for i in range(0, len(all_of_them), count)]


@torch.inference_mode()
def errors_at(state: State, part: Sequence[tuple[float, float]]) -> list[float | None]:
    """The errors of a state's settings at some translations."""
    start = base(state.settings)
    t = torch.tensor(part, dtype=torch.float64)
    out = start.chain(_sampled(start.field.translate(t), start.grid))
    moved, known, _ = _moved(start.output, t, out.grid)
    return _errors(out.values, moved.values, known)


def curve(state: State) -> Curve:
    """The error at all translations of a line."""
    return curve_of(state, [errors_at(state, part) for part in parts(state)])


def curve_of(state: State, errors: Sequence[Sequence[float | None]]) -> Curve:
    """The curve of the errors of all parts."""
    return Curve(positions(state), translations(state), tuple(e for part in errors for e in part))
