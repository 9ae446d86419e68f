"""The pictures of a report: error against translation, for print, and the commutative diagram on a slider.

Of the diagram one dimension is drawn as a curve, two as an image, three as the middle slice. All frames of a layer
share their scales.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from equivariance.bad_input import BadInput
from equivariance.diagram import COLOURS, PANELS, Square, ranges, square, strongest_channel
from equivariance.plots import LEAST, STYLES, worst_by_length
from equivariance.reporting.table import parts, told_apart
from equivariance.sweeping.building import Parts
from equivariance.sweeping.configuration import (
    TOP,
    SweepConfiguration,
    checked,
    difference,
    runs_code,
)
from equivariance.text import inline, number, vector
from equivariance.verdicts import tolerance

#: Frames of a layer: translations by up to two strides, along the last axis.
FRAMES = 17
#: Diagrams on a page.
DIAGRAMS = 8
#: Points that are shown along an axis.
SHOWN = 96


@dataclass(frozen=True)
class Diagram:
    """What the slider shows of one layer.

    Attributes
    ----------
    name : str
    frames : list of dict
        For each translation "t" and "error" as text, "commutes", and for each of `PANELS` the number of its picture.
    pictures : list of str
        As addresses that hold them, each once.
    scales : dict of str to (str, str)
        Least and largest value of inputs, outputs and differences.
    """

    name: str
    frames: list[dict[str, Any]]
    pictures: list[str]
    scales: dict[str, tuple[str, str]]


def diagrams(attributes: Mapping[str, Any], code: bool = False) -> tuple[list[Diagram], list[str]]:
    """Of every layer and stride of a sweep, on its first field, sampled grid and seed; and what isn't drawn, and why.

    Parameters
    ----------
    attributes : mapping
        Of the sweep's results: "configuration" (JSON) and "folder".
    code : bool
        Run the code that these name, which anybody may have written.
    """
    try:
        parts = _parts(attributes)
    except BadInput as error:
        return [], [str(error)]
    except Exception:  # anybody may have written them
        return [], ["the results don't say how to make their layers and fields"]
    configuration = parts.configuration
    layers, fields, strides, grids, _ = parts.labels
    if not code and runs_code(configuration.fields[fields[0]]):
        return [], [f"{fields[0]} is made by code, which --code runs"]
    sampled = [i for i, name in enumerate(grids) if parts.places[name].grid is not None]
    if not sampled:
        return [], ["no layer was sampled"]
    made, missing = list[Diagram](), list[str]()
    for i, layer in enumerate(layers):
        for j, stride in enumerate(strides):
            name = f"{layer}, stride {stride}" if len(strides) > 1 else layer
            if not code and runs_code(configuration.layers[layer]):
                missing.append(f"{name}: it is made by code, which --code runs")
                continue
            if len(made) == DIAGRAMS:
                missing.append(f"{name}: more than {DIAGRAMS} diagrams")
                continue
            try:
                made.append(_diagram(name, parts, (i, 0, j, sampled[0], 0)))
            except Exception as error:  # layers raise what they like
                missing.append(f"{name}: {error}")
    return made, missing


def _parts(attributes: Mapping[str, Any]) -> Parts:
    """What the results name, if their files are those of the sweep."""
    record, folder = json.loads(attributes["configuration"]), Path(attributes["folder"])
    found = checked({key: record[key] for key in TOP}, folder, "the results")
    if changed := difference(record["files"], found.files):
        raise BadInput(f"{changed} changed since the sweep was made")
    parts = Parts(SweepConfiguration.of_record(record), folder)
    assert 0 not in parts.shape, "every table is in the order of its names"
    return parts


def _diagram(name: str, parts: Parts, index: tuple[int, ...]) -> Diagram:
    key = parts.key(index)
    layer, field, place = parts.parts(key)
    assert place.grid is not None, "the grid is sampled"
    if place.grid.boundary != "periodic":
        raise ValueError("only periodic grids are drawn at every translation")
    if isinstance(_output(layer, field, place.grid), Tensor):
        raise ValueError("its output has no space")
    reach = 2 * key["stride"] * place.spacing[-1]
    still = (0.0,) * (parts.dim - 1)
    squares = [
        square(name, layer, field, (*still, float(t)), place.grid)
        for t in np.linspace(0, reach, FRAMES)
    ]
    return drawn(name, squares)


def _output(layer: Any, field: Any, grid: Any) -> Any:
    from discretize import sample

    with torch.no_grad():
        return layer(sample(field, grid))


def drawn(name: str, squares: Sequence[Square]) -> Diagram:
    """The pictures of some squares, on common scales."""
    channel = strongest_channel(squares[0].output)
    values = [{p: _cut(v) for p, v in s.images(channel).items()} for s in squares]
    limits = ranges(values)
    pictures: dict[str, int] = {}
    frames = []
    for each, shown in zip(squares, values, strict=True):
        drawings = {p: _drawn(shown[p], kind, limits[kind]) for p, kind in PANELS.items()}
        numbers = {p: pictures.setdefault(d, len(pictures)) for p, d in drawings.items()}
        told = {"t": vector(each.t), "error": number(each.error), "commutes": each.commutes}
        frames.append(told | numbers)
    scales = {kind: (f"{low:.3g}", f"{high:.3g}") for kind, (low, high) in limits.items()}
    return Diagram(name, frames, list(pictures), scales)


def _cut(values: np.ndarray) -> np.ndarray:
    """The middle slice of three axes, at most `SHOWN` points along an axis."""
    if values.ndim == 3:
        values = values[len(values) // 2]
    starts = [max(0, (n - SHOWN) // 2) for n in values.shape]
    return values[tuple(slice(i, i + SHOWN) for i in starts)]


def _drawn(values: np.ndarray, kind: str, limits: tuple[float, float]) -> str:
    low, high = limits
    parts = (values - low) / (high - low)
    return _curve(parts) if values.ndim == 1 else _image(parts, kind)


def _image(parts: np.ndarray, kind: str) -> str:
    """A PNG with a palette, a byte for each point."""
    image = Image.fromarray((255 * parts.clip(0, 1)).round().astype(np.uint8), mode="P")
    colours = matplotlib.colormaps[COLOURS[kind]](np.arange(256), bytes=True)[:, :3]
    image.putpalette(colours.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return inline(buffer.getvalue())


def _curve(parts: np.ndarray) -> str:
    """An SVG with a dot at every sample."""
    x = 4 + 192 * (np.arange(len(parts)) + 0.5) / len(parts)
    y = 194 - 188 * parts
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    dots = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2"/>' for a, b in zip(x, y, strict=True))
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 200" fill="#0072b2">'
        '<rect width="200" height="200" fill="#fff"/>'
        f'<polyline points="{line}" fill="none" stroke="#0072b2"/>{dots}</svg>'
    )
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


#: Panels and lines that can be told apart on one page.
MOST_PANELS, MOST_LINES = 6, len(STYLES)
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
    if len(panels) > MOST_PANELS:
        omitted.append(
            f"the first {MOST_PANELS} of {len(panels)} combinations of {' and '.join(names)}"
        )
        panels = panels[:MOST_PANELS]
    chosen = _layers(error)
    if len(chosen) < error.sizes.get("layer", 1):
        omitted.append(f"the {MOST_LINES} layers with the largest errors of {error.sizes['layer']}")
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
    return sorted(order[:MOST_LINES])


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
