"""Error against translation, for print: one panel for each way the layers were run, one line for each layer."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from equivariance.plots import LEAST, STYLES, worst_by_length
from equivariance.reporting.table import parts, told_apart
from equivariance.verdict import tolerance

#: Panels and lines that can be told apart on one page.
PANELS, LINES = 6, len(STYLES)
#: Where exact zeros are drawn on the log axis.
ZERO = LEAST / 10
#: Lengths of translations up to which points are joined.
JOINED = 24


def error_picture(data: xr.Dataset) -> tuple[Figure, list[str]]:
    """The picture, and what it leaves out, in words.

    Points are the worst error over all fields, seeds and translations of a length, the largest component of |t|.
    """
    error = data["error"]
    names = [n for n in told_apart(error) if n != "layer"]
    panels, omitted = list(parts(error, names)), []
    if len(panels) > PANELS:
        omitted.append(f"the first {PANELS} of {len(panels)} combinations of {' and '.join(names)}")
        panels = panels[:PANELS]
    chosen = _layers(error)
    if len(chosen) < error.sizes.get("layer", 1):
        omitted.append(f"the {LINES} layers with the largest errors of {error.sizes['layer']}")
    columns = min(2, len(panels))
    count = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(6.2 * columns + 0.6, 3.5 * count + 0.9), layout="constrained")
    axes = figure.subplots(count, columns, sharex=True, sharey=True, squeeze=False)
    limit = tolerance(str(data.attrs.get("dtype", "float64")))
    for ax, (labels, part) in zip(axes.flat, panels, strict=False):
        _panel(ax, part, data["t"], chosen, limit)
        ax.set_title(", ".join(f"{n} {label}" for n, label in labels.items()), fontsize=11)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    units = data["t"].attrs.get("units", "")
    for ax in axes[-1]:
        ax.set_xlabel("largest component of the translation" + (f" ({units})" if units else ""))
    for ax in axes[:, 0]:
        ax.set_ylabel("relative error, the worst")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
    return figure, omitted


def as_svg(figure: Figure) -> bytes:
    """The figure as an SVG file, the same bytes each time."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "equivariance"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _layers(error: xr.DataArray) -> list[int]:
    """Those that are drawn, in their own order."""
    if "layer" not in error.dims:
        return [0]
    flat = error.transpose("layer", ...).to_numpy().reshape(error.sizes["layer"], -1)
    worst = np.where(np.isfinite(flat), flat, -1.0).max(1)
    order = sorted(range(len(worst)), key=lambda i: -float(worst[i]))
    return sorted(order[:LINES])


def _panel(
    axes: Axes, part: xr.DataArray, t: xr.DataArray, layers: Sequence[int], limit: float
) -> None:
    axes.set_yscale("log")
    axes.axhspan(LEAST / 3, limit, color="#e8eff5", zorder=0)
    axes.axhspan(ZERO / 3, LEAST / 3, color="#f1f1f1", zorder=0)
    for place, i in enumerate(layers):
        one = part.isel(layer=i) if "layer" in part.dims else part
        lengths, worst = worst_by_length(t, one)
        known = np.isfinite(worst)
        colour, marker = STYLES[place]
        style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4}
        style |= {"markerfacecolor": "white" if place % 2 else colour, "linewidth": 1.0}
        style["linestyle"] = "-" if len(lengths) <= JOINED else ""
        label = str(one["layer"].item()) if "layer" in one.coords else "error"
        axes.plot(lengths[known], worst[known].clip(ZERO), label=label, **style)
    axes.set_ylim(ZERO / 3, 4.0)
    ticks = [10.0**k for k in range(-15, 1, 3)]
    axes.set_yticks([ZERO, *ticks], ["0", *(f"$10^{{{k}}}$" for k in range(-15, 1, 3))])
    axes.minorticks_off()
    axes.grid(axis="y", color="#d5dde3", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.text(
        0.99,
        limit,
        "round-off ",
        ha="right",
        va="top",
        fontsize=8,
        color="#4a5a68",
        bbox={"facecolor": "#e8eff5", "edgecolor": "none", "pad": 0.5},
        zorder=5,  # to be read over the lines
        transform=axes.get_yaxis_transform(),
    )
