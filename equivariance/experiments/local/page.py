"""What the experiment `local` tells: verdicts, table, picture."""

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

TITLE = "Parts that move independently"
PICTURES = ("local",)

#: Parts nearer than so many receptive fields interact, in every layer that isn't linear.
NEAR = 0.5


def judge(data: xr.Dataset) -> list[Finding]:
    """The predictions, held against the interactions alone."""
    distance = data["distance"].to_numpy()
    linear, local = data["linear"].to_numpy() == 1, data["local"].to_numpy() == 1
    error = data["interaction"].transpose("network", "carrier", "direction", "distance").to_numpy()
    apart = float(error[local][..., distance > 1 + 1e-9].max())
    near = float(error[local & ~linear][..., distance <= NEAR].max((1, 2)).min())
    superposed = float(error[linear].max())
    wide = float(error[~local][:, 0].min())
    return [
        small("farther apart than the receptive field, parts don't interact", apart),
        large(f"nearer than {NEAR:g} of it they do, unless the layer is linear", near),
        small("linear layers answer each part by itself at any distance", superposed),
        large("a kernel of the whole period sees both at any distance", wide),
    ]


def table(data: xr.Dataset) -> Table:
    """Interactions by network, carrier and direction, distances across."""
    columns = np.linspace(0, data.sizes["distance"] - 1, 6).round().astype(int)
    distances = data["distance"].to_numpy()
    rows = []
    for name in data["network"].to_numpy():
        for carrier in data["carrier"].to_numpy():
            for way in data["direction"].to_numpy():
                cell = data["interaction"].sel(network=name, carrier=carrier, direction=way)
                if not np.isnan(cell).all():
                    errors = map(number, cell.to_numpy()[columns])
                    rows.append([str(name), str(carrier), str(way), *errors])
    return Table(["network", "on", "along", *(f"{distances[i]:.2g}" for i in columns)], rows)


def text(data: xr.Dataset) -> str:
    """The table, and what became of the predictions."""
    heading = (
        "Largest interaction of two parts, relative to the largest response, against their distance in receptive\n"
        "fields (how far apart two points may be that one output sees)."
    )
    return told(heading, table(data), judge(data))


def pictures(data: xr.Dataset) -> dict[str, Figure]:
    """Interactions against distance, beside maps of them."""
    figure = Figure(figsize=(13, 6.2), layout="constrained")
    parts: Any = figure.subfigures(1, 2, width_ratios=[1, 1.15])
    _curves(parts[0].subplots(), data)
    _maps(parts[1], data)
    return {"local": figure}


def _curves(ax: Axes, data: xr.Dataset) -> None:
    distance = data["distance"].to_numpy()
    for i, name in enumerate(data["network"].to_numpy()):
        colour, marker = STYLES[i]
        worst = data["interaction"].sel(network=name).max(("carrier", "direction"))
        ax.semilogy(
            distance, lifted(worst), marker=marker, color=colour, ms=6, lw=1.1, label=str(name)
        )
    ax.axhspan(LEAST / 3, tolerance(), color="#eef3f7", zorder=0)
    ax.text(distance[0], tolerance() / 3, "round-off (the lower edge is 0)", fontsize=9, va="top")
    ax.axvline(1, color="#777777", lw=1, ls="--")
    ax.set_ylim(LEAST / 3, 1e6)
    ax.set_xlabel("distance of the parts (receptive fields)")
    ax.set_ylabel("largest interaction / largest response")
    ax.grid(True, color="#dddddd", lw=0.6)
    ax.legend(frameon=False, fontsize=9, loc="upper right")


def _maps(part: SubFigure, data: xr.Dataset) -> None:
    shown, panels = data["shown"].to_numpy(), data["panel"].to_numpy()
    axes = part.subplots(len(shown), len(panels), squeeze=False)
    colours = {"F": "gray", "L(F)": "cividis", "interaction": "RdBu_r"}
    for j, panel in enumerate(panels):
        values = data["map"].sel(panel=panel).to_numpy()
        bound = float(np.abs(values).max()) or 1.0
        low = -bound if panel == "interaction" else float(values.min())
        high = bound if panel == "interaction" else float(values.max())
        for i, distance in enumerate(shown):
            image = axes[i, j].imshow(values[i], cmap=colours[str(panel)], vmin=low, vmax=high)
            axes[i, j].set_xticks([])
            axes[i, j].set_yticks([])
            if j == 0:
                axes[i, j].set_ylabel(f"distance {distance:g}")
        axes[0, j].set_title(str(panel), fontsize=11)
        part.colorbar(image, ax=axes[:, j].tolist(), location="bottom", shrink=0.8)


def content(data: xr.Dataset) -> dict[str, Any]:
    """The networks that were tried."""
    reach = zip(data["network"].to_numpy(), data["reach"].to_numpy(), strict=True)
    return {"reach": {str(name): f"{2 * float(r):g}" for name, r in reach}, "near": NEAR}
