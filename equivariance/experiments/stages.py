"""The stages of a network: their errors by the strides that divide translations, and pictures of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from equivariance.measuring.plots import LABELS, Maps, draw_maps
from equivariance.measuring.remedy import Remedy
from equivariance.plots import STYLES
from equivariance.verdicts import CLASSES

#: The layers that are shown where all would be too many.
STAGES = ("conv1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "output")
#: The errors that colours span; zeros have the lowest one.
COLOURS = (1e-9, 1.0)


def worst(data: xr.Dataset) -> xr.DataArray:
    """Largest errors over the inputs, (padding, layer, translation); NaN where none was compared."""
    return data["error"].max("input")


def divided(data: xr.Dataset) -> xr.DataArray:
    """The worst errors by the coarsest stride that divides a translation, (padding, layer, divisor).

    The divisor is 0 for translations by parts of a pixel.
    """
    t = data["t"].transpose("translation", "axis").to_numpy()
    strides = sorted({1, *(round(s) for s in data["stride"].to_numpy().ravel() if s >= 1)})
    divisor = np.zeros(len(t))
    for s in strides:
        divisor[(t % s == 0).all(1)] = s
    error = worst(data)
    parts = [error.isel(translation=divisor == s).max("translation") for s in (0, *strides)]
    out = xr.concat(parts, "divisor").assign_coords(divisor=[0, *strides])
    return out.transpose("padding", "layer", "divisor")


def dividing(error: xr.DataArray) -> list[str]:
    """What the divisors are called."""
    return ["parts", *(f"{s:g}" for s in error["divisor"].to_numpy()[1:])]


def stages_picture(
    error: xr.DataArray, data: xr.Dataset, mended: Sequence[Remedy], limit: float
) -> Figure:
    """Stages against translations, as is and with circular padding, beside the remedies."""
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 0.9])
    middle.sharey(left)
    for ax, padding in ((left, "as is"), (middle, "circular")):
        _staircase(ax, error.sel(padding=padding), data)
        ax.set_title(padding, fontsize=11)
    middle.tick_params(labelleft=False)
    colours = ScalarMappable(LogNorm(*COLOURS), "cividis")
    bar = figure.colorbar(colours, ax=[left, middle], shrink=0.9, pad=0.01)
    bar.set_label("relative error, the worst")
    _remedies(right, mended, limit)
    return figure


def _staircase(ax: Axes, error: xr.DataArray, data: xr.Dataset) -> None:
    """Errors as colours: stages down, translations across; multiples of a stage's stride are framed."""
    names = data["layer"].to_numpy()
    rows = [i for i, name in enumerate(names) if name in STAGES]
    values, divisors = error.to_numpy()[rows], error["divisor"].to_numpy()
    strides = data["stride"].to_numpy()[rows, 0]
    ax.set_facecolor("#ececec")
    ax.imshow(values.clip(*COLOURS), cmap="cividis", norm=LogNorm(*COLOURS), aspect="auto")
    for (i, k), value in np.ndenumerate(values):
        colour = "white" if value < 1e-5 else "black"
        said = "–" if np.isnan(value) else "0" if value == 0 else _short(value)
        ax.text(k, i, said, ha="center", va="center", fontsize=8, color=colour)
    for i, stride in enumerate(strides):
        first = int(np.argmax(divisors >= stride))
        ax.plot([first - 0.5] * 2, [i - 0.5, i + 0.5], color="#D55E00", lw=2.5)
    labels = [f"{n}, stride {s:g}" for n, s in zip(names[rows], strides, strict=True)]
    ax.set_yticks(range(len(rows)), labels, fontsize=9)
    ax.set_xticks(range(len(divisors)), dividing(error), fontsize=9)
    ax.set_xlabel("coarsest stride dividing the translation", fontsize=9)


def _short(value: float) -> str:
    return f"{value:.2f}" if value >= 0.01 else f"{value:.0e}".replace("e-0", "e-")


def _remedies(ax: Axes, mended: Sequence[Remedy], limit: float) -> None:
    """The class scores' errors with each remedy, by class of translation."""
    places = np.arange(len(mended))
    for i, name in enumerate(CLASSES):
        colour, marker = STYLES[(4, 1, 3)[i]]
        errors = np.maximum([row.worst[i] for row in mended], COLOURS[0])
        label = LABELS[name].replace("its stride", "all strides")
        ax.semilogx(errors, places + 0.2 * (i - 1), marker, color=colour, ms=6, label=label)
    ax.axvspan(COLOURS[0] / 3, limit, color="#eef3f7", zorder=0)
    ax.text(COLOURS[0], len(mended) - 0.65, "round-off", fontsize=8, color="#555555")
    ax.set_yticks(places, [row.name.replace(", circ", ",\ncirc") for row in mended], fontsize=9)
    ax.set(ylim=(len(mended) - 0.5, -1.9), xlim=(COLOURS[0] / 3, 2))
    ax.set_xlabel("relative error of the class scores, the worst")
    ax.set_title("what would mend it", fontsize=11)
    ax.grid(axis="x", color="#dddddd", lw=0.6)
    ax.legend(frameon=False, fontsize=8, loc="upper left")


def maps_picture(data: xr.Dataset) -> Figure:
    """One layer's maps for each move, side by side."""
    figure = Figure(figsize=(15, 5.4), layout="constrained")
    parts: Any = figure.subfigures(1, data.sizes["move"], wspace=0.04)
    for move, part in enumerate(parts):
        cell = data.isel(move=move)
        t = tuple(float(x) for x in cell["moved"].to_numpy())
        values = cell["map"].transpose("padding", "way", "y1", "y2").to_numpy()
        rows = {str(p): (v[0], v[1]) for p, v in zip(data["padding"].data, values, strict=True)}
        draw_maps(part, Maps(data["map"].attrs["layer"], t, rows))
    return figure
