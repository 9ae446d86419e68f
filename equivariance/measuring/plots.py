"""Pictures of a measured model: where it breaks, how its errors depend on the translation, what its maps look like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure, SubFigure
from torch import nn

from equivariance.measuring.layouts import Frame
from equivariance.measuring.measured import findings
from equivariance.measuring.prepared import Subject
from equivariance.measuring.rewriting import Rewriting
from equivariance.measuring.translations import moved
from equivariance.measuring.watched import run, watching
from equivariance.plots import LEAST, STYLES, lifted
from equivariance.text import vector
from equivariance.verdicts import CLASSES, tolerance

LABELS = dict(
    zip(CLASSES, ("multiples of its stride", "other whole pixels", "between pixels"), strict=True)
)
#: Layers whose curves are drawn, at most.
CURVES = 6
#: Layers whose names fit under a picture.
NAMED = 48


def layers_picture(data: xr.Dataset) -> Figure:
    """The worst error of every layer in the order of execution, on a log axis, one panel for each padding."""
    paddings = [str(p) for p in data["padding"].to_numpy()]
    count = data.sizes["layer"]
    figure = Figure(
        figsize=(min(18.0, 4 + 0.16 * count), 3.4 * len(paddings) + 1), layout="constrained"
    )
    panels = figure.subplots(len(paddings), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    limit, least = _bounds(data)
    for axes, padding in zip(panels, paddings, strict=True):
        rows = findings(data, padding)
        for i, name in enumerate(CLASSES):
            colour, marker = STYLES[(4, 1, 3)[i]]
            errors = lifted(np.array([row.worst[i] for row in rows]), least)
            axes.plot(errors, marker, color=colour, label=LABELS[name], markersize=5)
        axes.axhspan(least / 3, limit, color="#eef3f7", zorder=0)
        axes.set(yscale="log", ylim=(least / 3, 5), ylabel="relative error", title=padding)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    names = [str(n) for n in data["layer"].to_numpy()]
    shown = {*range(0, count - 1, max(1, math.ceil(count / NAMED))), count - 1}
    panels[-1].set_xticks(sorted(shown), [names[i] for i in sorted(shown)], rotation=90, fontsize=7)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return figure


def curves_picture(data: xr.Dataset) -> Figure:
    """Errors against the length of the translation: the last layer of each stride, and the output."""
    paddings = [str(p) for p in data["padding"].to_numpy()]
    figure = Figure(figsize=(5.6 * len(paddings) + 1, 4.6), layout="constrained")
    panels = figure.subplots(1, len(paddings), sharey=True, squeeze=False)[0]
    length = np.abs(data["t"].transpose("translation", "axis").to_numpy()).max(1)
    order = np.argsort(length, kind="stable")
    limit, least = _bounds(data)
    for axes, padding in zip(panels, paddings, strict=True):
        for layer, (colour, marker) in zip(_drawn(data), STYLES, strict=False):
            cell = data["error"].sel(layer=layer, padding=padding)
            error = cell.transpose("translation", "input").to_numpy().max(1)
            axes.plot(
                length[order],
                lifted(error[order], least),
                marker,
                color=colour,
                label=layer,
                markersize=5,
                linestyle=":",
                linewidth=0.7,
            )
        axes.axhspan(least / 3, limit, color="#eef3f7", zorder=0)
        axes.set(yscale="log", ylim=(least / 3, 5), title=padding)
        axes.set_xscale("symlog", base=2, linthresh=0.5)  # strides are powers, mostly of 2
        axes.set_xlim(0.8 * length.min(), max(0.5, 1.2 * length.max()))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("longest component of the translation (pixels)")
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    panels[0].set_ylabel("relative error")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _bounds(data: xr.Dataset) -> tuple[float, float]:
    """Up to where errors are round-off, and where the axis ends: zeros are drawn there."""
    limit = float(data["verdict"].attrs["tolerance"])
    return limit, limit * LEAST / tolerance()


def _drawn(data: xr.Dataset) -> list[str]:
    last: dict[tuple[float, ...], str] = {}
    for row in findings(data, str(data["padding"].to_numpy()[0])):
        if row.space != "invariant":
            last[row.stride] = row.layer
    names = [*list(last.values())[-CURVES:], str(data["layer"].to_numpy()[-1])]
    return list(dict.fromkeys(names))


@dataclass(frozen=True)
class Maps:
    """One layer's maps, both ways round the square.

    Attributes
    ----------
    layer : str
    t : tuple of float
        The translation, in pixels.
    rows : dict
        By padding: Φ(t▷F) and t▷Φ(F), arrays (Y1, Y2) of one channel.
    """

    layer: str
    t: tuple[float, ...]
    rows: dict[str, tuple[np.ndarray, np.ndarray]]


def feature_maps(
    subject: Subject, frames: dict[str, Frame], t: Sequence[float], paddings: Sequence[str]
) -> Maps | None:
    """The last map of a 2-D model that is large enough to be looked at; None where there is none."""
    layer = _largest_late(list(frames.values()))
    if subject.dim != 2 or subject.source.boundary != "periodic" or layer is None:
        return None
    steps = torch.tensor([[0.0] * subject.dim, list(t)], dtype=torch.float64)
    rows: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    channel = None
    for padding in paddings:
        kept: list[torch.Tensor] = []

        def keep(name: str, module: nn.Module, value: torch.Tensor) -> None:
            if name == layer.name:
                kept.append(layer.as_map(value).clone())  # noqa: B023

        mode = Rewriting(subject.dim, "circular" if padding == "circular" else None)
        with torch.no_grad(), watching(subject.module, keep, subject.layers), mode:
            run(subject.module, subject.at(steps))
        still, after = kept[0].unflatten(0, (2, -1))[:, 0].double().cpu()
        expected = moved(still[None], steps[1:] / torch.tensor(layer.stride).double())[0, 0]
        if channel is None:
            channel = int((after - expected).flatten(1).norm(dim=1).argmax())
        rows[padding] = after[channel].numpy(), expected[channel].numpy()
    return Maps(layer.name, tuple(t), rows)


def maps_picture(maps: Maps) -> Figure:
    """Φ(t▷F), t▷Φ(F) and their difference, a row for each padding."""
    figure = Figure(figsize=(9, 3.2 * len(maps.rows) + 0.6), layout="constrained")
    draw_maps(figure, maps)
    return figure


def draw_maps(figure: Figure | SubFigure, maps: Maps) -> None:
    """The same, on a figure or a part of one."""
    panels = figure.subplots(len(maps.rows), 3, squeeze=False)
    titles = "apply to the translated input", "translate the output", "difference"
    bound = max(float(np.abs(pair).max()) for pair in maps.rows.values()) or 1.0
    for row, (padding, (left, right)) in zip(panels, maps.rows.items(), strict=True):
        for axes, values, title in zip(row, (left, right, left - right), titles, strict=True):
            image = axes.imshow(values, cmap="RdBu_r", vmin=-bound, vmax=bound)
            axes.set(xticks=[], yticks=[])
            axes.set_title(title, fontsize=10)
        row[0].set_ylabel(padding)
        figure.colorbar(image, ax=row.tolist(), shrink=0.8)
    figure.suptitle(f"{maps.layer}, one channel, translation {vector(maps.t)} pixels")


def _largest_late(frames: Sequence[Frame]) -> Frame | None:
    """The last map with 8 samples a side or more; failing that the last with 4."""
    for least in (8, 4):
        for frame in reversed(frames):
            if frame.sizes is not None and frame.wraps and min(frame.sizes) >= least:
                return frame
    return None
