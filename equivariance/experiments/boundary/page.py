"""What the experiment `boundary` tells: verdicts, table, picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from equivariance.experiments.finding import Finding, Table, large, small, told
from equivariance.plots import LEAST, STYLES, lifted
from equivariance.table import number
from equivariance.verdict import tolerance

TITLE = "Torus against windows"
PICTURES = ("boundary",)

#: Paddings that make something up; the others don't.
MAKING = ("zero", "reflect", "nearest", "periodic")


def judge(data: xr.Dataset) -> list[Finding]:
    """The predictions, held against the differences alone."""
    profile = data["profile"].sel(padding=list(MAKING)).transpose("depth", "padding", "distance")
    inside, outermost = [], []
    for depth, cell in zip(data["depth"].to_numpy(), profile.to_numpy(), strict=True):
        inside.append(float(cell[:, depth:].max()))
        outermost.append(float(cell[:, depth - 1].min()))
    torus = float(data["profile"].sel(padding="torus").to_numpy().max())
    none = float(data["profile"].sel(padding="none").to_numpy().max())
    truth = float(data["truth"].sel(padding=["none", "torus"]).to_numpy().max())
    made = float(data["truth"].sel(padding=list(MAKING)).to_numpy().min())
    return [
        small("torus: nothing enters or leaves, whole spacings commute everywhere", torus),
        small(
            "windows: no error from the network's reach on inwards, whatever the padding",
            float(np.max(inside)),  # NaN counts, to numpy
        ),
        large("windows: errors up to the reach, with every padding", float(np.min(outermost))),
        small("without padding no error at all, on the part of the window that is left", none),
        small("there, and on a torus, the output is that of the whole field", truth),
        large("with padding it isn't", made),
    ]


def table(data: xr.Dataset) -> Table:
    """By padding and depth: errors by distance, over all points, from the truth, and how much is known."""
    distances = [f"at {d}" for d in data["distance"].to_numpy()[:-1]]
    rows = []
    for name in data["padding"].to_numpy():
        for depth in data["depth"].to_numpy():
            cell = data.sel(padding=name, depth=depth)
            errors = map(number, cell["profile"].to_numpy()[:-1])
            whole = [number(float(cell["share"])), number(float(cell["truth"]))]
            rows.append([str(name), str(depth), *errors, *whole, f"{float(cell['known']):.0%}"])
    return Table(["padding", "reach", *distances, "all", "from the truth", "known"], rows)


def text(data: xr.Dataset) -> str:
    """The table, and what became of the predictions."""
    heading = (
        "Φ(t▷F) − t▷Φ(F) at points that the window sees before and after, relative to the root mean square of Φ(F):\n"
        "the largest by distance from the border, the root mean square over all; the distance of Φ(F) from what the\n"
        "network makes of the whole field; the part of the window that has an output."
    )
    return told(heading, table(data), judge(data))


def pictures(data: xr.Dataset) -> dict[str, Figure]:
    """Errors against the distance from the border and against depth, above maps of them."""
    figure = Figure(figsize=(12, 6.6), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=[1.7, 1])
    left, right = parts[0].subplots(1, 2)
    deepest = int(data["depth"].max())
    for i, name in enumerate(data["padding"].to_numpy()):
        colour, marker = STYLES[i]
        style: dict[str, Any] = {"color": colour, "marker": marker, "ms": 6, "lw": 1.2}
        cell = data.sel(padding=name)
        profile = lifted(cell["profile"].sel(depth=deepest))
        left.semilogy(data["distance"], profile, label=str(name), **style)
        right.plot(data["depth"], cell["share"], label=str(name), **style)
    left.axvline(deepest - 0.5, color="#777777", ls="--", lw=1)
    left.set_title(f"largest error by distance from the border, reach {deepest}", fontsize=11)
    left.set_xlabel("distance from the border (points)")
    right.set_title("error over all points", fontsize=11)
    right.set_xlabel("reach of the network (points)")
    right.set_xticks(data["depth"])
    right.set_ylabel("root mean square, relative")
    right.grid(True, color="#dddddd", lw=0.6)
    _furnish(left)
    left.legend(frameon=False, fontsize=9, loc="center right")
    _maps(parts[1], data)
    return {"boundary": figure}


def _furnish(axes: Axes) -> None:
    axes.axhspan(LEAST / 3, tolerance(), color="#eef3f7", zorder=0)
    axes.set_ylim(LEAST / 3, 10)
    axes.set_ylabel("relative error (the lower edge is 0)")
    axes.grid(True, color="#dddddd", lw=0.6)


def _maps(part: SubFigure, data: xr.Dataset) -> None:
    names = data["padding"].to_numpy()
    row = part.subplots(1, len(names), squeeze=False)[0]
    values = data["map"].to_numpy()
    most = float(np.nanmax(values)) or 1.0
    for ax, name, image in zip(row, names, values, strict=True):
        ax.set_facecolor("#ffffff")
        shown = ax.imshow(image, cmap="cividis", vmin=0, vmax=most)
        ax.set_title(str(name), fontsize=11)
        ax.set_xticks([])
        ax.set_yticks([])
    bar = part.colorbar(shown, ax=row.tolist(), shrink=0.7)
    bar.set_label("error")


def content(data: xr.Dataset) -> dict[str, Any]:
    """The reach of the deepest network."""
    return {"deepest": int(data["depth"].max())}
