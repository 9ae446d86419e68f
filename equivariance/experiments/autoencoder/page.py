"""What the experiment `autoencoder` tells: verdict, table, picture, and the contents of its page."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from equivariance.experiments.autoencoder.networks import STRIDES, TAPS
from equivariance.experiments.autoencoder.sprites import INSIDE, MARGIN, OUTSIDE, SIZE
from equivariance.experiments.finding import Finding, Table, told
from equivariance.plots import STYLES
from equivariance.table import number

TITLE = "Autoencoders at positions that they never saw"
PICTURES = ("autoencoder",)

#: The equivariant autoencoder's error outside is at most so many times that inside.
ALIKE = 1.2
#: The plain one's error outside is at least so many times the equivariant one's.
WORSE = 3.0


def judge(data: xr.Dataset) -> list[Finding]:
    """The predictions, held against the errors alone."""
    error = data["error"]
    equivariant, plain = error.sel(network="equivariant"), error.sel(network="plain")
    outside = equivariant.sel(position=OUTSIDE)
    alike = float((outside / equivariant.sel(position=INSIDE)).to_numpy().max())
    worse = float((plain.sel(position=OUTSIDE) / outside).to_numpy().min())
    return [
        Finding(
            f"equivariant: outside at most {ALIKE:g} × inside", f"{alike:.2f} ×", alike <= ALIKE
        ),
        Finding(
            f"outside: plain at least {WORSE:g} × equivariant", f"{worse:.2f} ×", worse >= WORSE
        ),
    ]


def table(data: xr.Dataset) -> Table:
    """Errors by images, seed and network: inside, outside, their ratio."""
    header = ["images", "seed", "autoencoder", "inside", "outside", "outside/inside"]
    rows = []
    for (count, seed, network), cell in (
        data["error"].stack(cell=("images", "seed", "network")).groupby("cell")
    ):
        inside, outside = (float(cell.sel(position=where).item()) for where in (INSIDE, OUTSIDE))
        ratio = f"{outside / inside:.2f}"
        rows.append([str(count), str(seed), network, number(inside), number(outside), ratio])
    return Table(header, rows)


def text(data: xr.Dataset) -> str:
    """The table, and what became of the predictions."""
    heading = (
        "Error of reconstructed sprites, ‖difference‖² / ‖image‖², inside the quadrant of the training\n"
        f"images and outside of it; both autoencoders have {data.attrs['parameters']} parameters."
    )
    return told(heading, table(data), judge(data))


def pictures(data: xr.Dataset) -> dict[str, Figure]:
    """Images and what becomes of them, beside the errors."""
    examples = data["example"]
    count = examples.sizes["sample"]
    figure = Figure(figsize=(12.5, 4.2), layout="constrained")
    columns: Any = figure.subfigures(1, 3, width_ratios=[1, 1, 0.8])
    inside, outside, bars = columns
    for part, where in ((inside, INSIDE), (outside, OUTSIDE)):
        part.suptitle(f"{where} the training quadrant", fontsize=11)
        axes = part.subplots(3, count, squeeze=False)
        for row, name in zip(axes, examples["picture"].to_numpy(), strict=True):
            shown = examples.sel(picture=name, position=where)
            for ax, image in zip(row, shown.to_numpy(), strict=True):
                ax.imshow(image, cmap="gray", vmin=0, vmax=1)
                ax.axhline(SIZE / 2 - 0.5, color=STYLES[1][0], lw=0.6)
                ax.axvline(SIZE / 2 - 0.5, color=STYLES[1][0], lw=0.6)
                ax.set_xticks([])
                ax.set_yticks([])
            if where == INSIDE:
                row[0].set_ylabel(str(name))
    _errors(bars, data)
    return {"autoencoder": figure}


def _errors(part: Figure, data: xr.Dataset) -> None:
    """Every training's errors as points, inside and outside, on a log axis."""
    ax = part.subplots()
    places = np.arange(2)
    for k, network in enumerate(data["network"].to_numpy()):
        colour, marker = STYLES[(3, 1)[k]]
        lines = data["error"].sel(network=network).to_numpy().reshape(-1, 2)
        for i, line in enumerate(lines):
            label = str(network) if i == 0 else None
            ax.semilogy(places, line, color=colour, marker=marker, lw=1, label=label)
    ax.set_xticks(places, [INSIDE, OUTSIDE])
    ax.set_xlim(-0.4, 1.4)
    ax.set_ylabel("‖reconstruction − image‖² / ‖image‖²")
    ax.grid(True, axis="y", which="both", color="#dddddd", lw=0.5)
    ax.legend(frameon=False)
    part.suptitle("error", fontsize=11)


def content(data: xr.Dataset) -> dict[str, Any]:
    """What the page tells of images and networks."""
    return {
        "parameters": data.attrs["parameters"],
        "size": SIZE,
        "margin": MARGIN,
        "strides": STRIDES,
        "taps": TAPS,
    }
