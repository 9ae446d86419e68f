"""Pictures of equivariance errors, readable in print and by the colour-blind.

Figures are made without pyplot: no global state, no display.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

#: Okabe and Ito's palette without its yellow, which paper swallows, and a marker to go with each colour.
STYLES = (
    ("#000000", "o"),
    ("#D55E00", "s"),
    ("#E69F00", "^"),
    ("#009E73", "D"),
    ("#0072B2", "v"),
    ("#CC79A7", "P"),
    ("#56B4E9", "X"),
)
CONTINUOUS = "#777777"
#: Bounds of the axis for round-off; nothing in float64 is below them but 0.
LEAST = 1e-17
#: Errors that the colours of a table span, and the largest that is as dark as its ground: it is written in white.
SPAN, DARK = (1e-16, 1.0), 1e-8


@dataclass(frozen=True)
class Curve:
    """One line of the picture: the worst error over all translations of a length.

    Attributes
    ----------
    label : str
    x, error : array, shape (n,)
        Length of the translation along its longest axis, in pixels, and the error.
    style : dict
        Colour, marker and the like, for matplotlib.
    """

    label: str
    x: np.ndarray
    error: np.ndarray
    style: dict[str, Any]


def error_curves(
    sweep: xr.Dataset,
    titles: dict[str, str],
    stride: int,
    tolerance: float,
) -> Figure:
    """Errors against translations, one column per field, in three bands.

    Above the errors beyond round-off, on a log axis; below them round-off, on a log axis too, curves drawn a little
    beside each other; at the bottom exact zeros, which no log axis has, each curve in a lane of its own.

    Parameters
    ----------
    sweep : Dataset
        As `equivariance.sweep` gives it, with grids "continuous" and "grid", of spacing 1. Where it names what the
        layers commute with, the legend does.
    titles : dict
        Title of each field's column.
    stride : int
        Its multiples are marked.
    tolerance : float
        Up to here errors are round-off.
    """
    figure = Figure(figsize=(5.4 * len(titles), 6.6), layout="constrained")
    axes = figure.subplots(
        3, len(titles), sharex=True, sharey="row", squeeze=False, height_ratios=[3.2, 1.5, 1.1]
    )
    columns = [_curves(sweep.sel(field=field)) for field in titles]
    broken = [e for curves in columns for c in curves for e in c.error if e > tolerance]
    axes[0, 0].set_ylim(*_decades(broken, tolerance))
    for (upper, middle, lower), curves, title in zip(axes.T, columns, titles.values(), strict=True):
        _draw_broken(upper, curves, tolerance)
        _draw_round_off(middle, curves, tolerance)
        _draw_zeros(lower, curves)
        _mark_multiples((upper, middle, lower), curves[0].x, stride)
        upper.set_title(title[:1].upper() + title[1:], fontsize=11)
        lower.set_xlabel("translation (pixels)")
    for row, label in enumerate(["relative error", "round-off", "exactly 0"]):
        axes[row, 0].set_ylabel(label)
    figure.align_ylabels(axes[:, 0])
    handles, labels = axes[0, 0].get_legend_handles_labels()
    labels = [label + _commuting(sweep, label) for label in labels]
    across = 2 if max(map(len, labels)) > 30 else 3
    figure.legend(handles, labels, loc="outside lower center", ncols=across, frameon=False)
    return figure


def _commuting(sweep: xr.Dataset, layer: str) -> str:
    """What a layer is seen to commute with on the grid, for a legend; "" where that isn't the same for all fields."""
    if "commutes_with" not in sweep or layer not in sweep["layer"]:
        return ""
    found = {*sweep["commutes_with"].sel(layer=layer, grid="grid").to_numpy().tolist()}
    return f": {found.pop()}" if len(found) == 1 else ""


def lifted(errors: np.ndarray | xr.DataArray, least: float = LEAST) -> np.ndarray:
    """Errors for a log axis that ends at `least`: zeros, which it has no place for, there."""
    shown: np.ndarray = np.maximum(np.asarray(errors), least)
    return shown


def bare(axes: Axes) -> Axes:
    """Axes of an image, without ticks."""
    axes.set_xticks([])
    axes.set_yticks([])
    return axes


def labelled(axes: Axes, x: str = "", y: str = "", title: str = "", legend: Any = None) -> Axes:
    """Axes with a title, labels, a faint grid, and a legend at some place, where these are given."""
    axes.set(xlabel=x, ylabel=y)
    axes.set_title(title, fontsize=11)
    axes.grid(True, color="#dddddd", lw=0.6)
    if legend:
        axes.legend(frameon=False, fontsize=9, loc=legend)
    return axes


def with_round_off(axes: Axes, limit: float, top: float, bottom: float = LEAST) -> None:
    """A band for errors up to `limit`, on an axis from `bottom` to `top`."""
    axes.axhspan(bottom, limit, color="#eef3f7", zorder=0)
    axes.set_ylim(bottom, top)


def coloured(
    axes: Axes,
    errors: np.ndarray,
    size: float = 9,
    sign: Callable[[float], str] = lambda _: "",
    parts: Sequence[float] = (),
) -> AxesImage:
    """A table of errors (rows, columns) as colours on a log scale, their powers of ten written on them.

    Parameters
    ----------
    size : float
        Of the letters.
    sign : callable
        What is written in front of a power, for its error.
    parts : sequence of float
        Numbers of columns left of which there is a white line.
    """
    norm = LogNorm(*SPAN)
    image = axes.imshow(errors.clip(*SPAN), cmap="cividis", norm=norm, aspect="auto")
    for (row, column), error in np.ndenumerate(errors):
        colour = "white" if error < DARK else "black"
        said = sign(error) + power(error)
        axes.text(column, row, said, ha="center", va="center", fontsize=size, color=colour)
    for first in parts:
        axes.axvline(first - 0.5, color="white", lw=2)
    return image


def power(error: float) -> str:
    """The power of ten nearest to an error, "?" for what is no number."""
    if not math.isfinite(error):
        return "?"
    return "0" if error == 0 else f"10$^{{{round(math.log10(error))}}}$"


def png(figure: Figure, dpi: int = 150) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def _curves(sweep: xr.Dataset) -> list[Curve]:
    """One curve for the worst of the continuous networks, and one for each discretization."""
    t, error = sweep["t"], sweep["error"]
    style: dict[str, Any] = {"color": CONTINUOUS, "marker": "x", "markersize": 4, "linewidth": 1}
    worst = worst_by_length(t, error.sel(grid="continuous"))
    curves = [Curve("continuous networks, the worst", *worst, style)]
    for i, name in enumerate(sweep["layer"].to_numpy()):
        colour, marker = STYLES[i % len(STYLES)]
        style = {"color": colour, "marker": marker, "markersize": 5, "linewidth": 1.1}
        style["markerfacecolor"] = "white" if i % 2 else colour
        worst = worst_by_length(t, error.sel(layer=name, grid="grid"))
        curves.append(Curve(str(name), *worst, style))
    return curves


def worst_by_length(t: xr.DataArray, error: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Lengths of translations along their longest axis, and the largest error at each; NaN where none is finite."""
    lengths = np.abs(t.transpose("translation", "axis").to_numpy()).max(1)
    x, which = np.unique(lengths.round(9), return_inverse=True)
    flat = error.transpose("translation", ...).to_numpy().reshape(len(which), -1)
    worst = np.full(len(x), math.nan)
    np.fmax.at(worst, which, np.fmax.reduce(np.where(np.isfinite(flat), flat, math.nan), 1))
    return x, worst


def _decades(errors: Sequence[float], tolerance: float) -> tuple[float, float]:
    """Bounds of the upper axis: whole decades around the errors, two at least."""
    if not errors:
        return tolerance, 1.0
    low, high = math.floor(math.log10(min(errors))), math.ceil(math.log10(max(errors)))
    return 10.0 ** min(low, high - 2), 10.0**high


def _draw_broken(axes: Axes, curves: Sequence[Curve], tolerance: float) -> None:
    axes.set_yscale("log")
    for curve in curves:
        shown = np.where(curve.error > tolerance, curve.error, np.nan)
        axes.plot(curve.x, shown, label=curve.label, **curve.style)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)


def _draw_round_off(axes: Axes, curves: Sequence[Curve], tolerance: float) -> None:
    axes.set_yscale("log")
    axes.set_ylim(LEAST, tolerance)
    axes.set_facecolor("#eef3f7")
    step = 0.03 * float(np.ptp(curves[0].x)) / len(curves)
    for i, curve in enumerate(curves):
        near = (curve.error > 0) & (curve.error <= tolerance)
        beside = curve.x[near] + step * (i - (len(curves) - 1) / 2)
        axes.plot(beside, curve.error[near], **(curve.style | {"linestyle": ""}))
    axes.grid(axis="y", color="#d5dde3", linewidth=0.6)


def _draw_zeros(axes: Axes, curves: Sequence[Curve]) -> None:
    axes.set_facecolor("#f1f1f1")
    axes.set_ylim(len(curves) - 0.3, -0.7)
    axes.set_yticks([])
    for lane, curve in enumerate(curves):
        zero = curve.x[curve.error == 0]
        axes.plot(zero, np.full_like(zero, lane), **(curve.style | {"linestyle": ""}))


def _mark_multiples(column: Sequence[Axes], x: np.ndarray, stride: int) -> None:
    whole = range(int(x.max()) + 1)
    for axes in column:
        axes.set_axisbelow(True)
        axes.set_xlim(-0.04 * x.max(), 1.04 * x.max())
        axes.set_xticks(whole)
        for k in whole:
            width = 1.1 if k % stride == 0 else 0.5
            axes.axvline(k, color="#9a9a9a", linewidth=width, zorder=0)
