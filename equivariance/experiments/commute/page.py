"""What the experiment `commute` tells: verdicts, table, pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure

from discretize import Grid
from equivariance.diagram import diagrams, square
from equivariance.experiments.commute.layers import SQUARES, kinds, noise
from equivariance.experiments.commute.settings import CommuteSettings
from equivariance.experiments.configuring import stored_settings
from equivariance.experiments.finding import Finding, Table, told
from equivariance.plots import coloured
from equivariance.table import number

TITLE = "Both ways round the diagram"
PICTURES = ("commute", "commute-diagram")

#: Relative differences up to here are rounding: a Fourier interpolant of 1024 points and sums over windows.
ROUNDING = 1e-11
#: Differences that theory says are there are at least so large.
BROKEN = 1e-6
#: Layers whose diagrams are drawn.
DRAWN = ("ReLU", "polynomial")


def agreeing(data: xr.Dataset) -> np.ndarray:
    """Where the difference is what theory says, (layer, square)."""
    signs = np.array([[sign(e) for e in row] for row in data["error"].to_numpy()])
    agree: np.ndarray = signs == data["theory"].to_numpy()
    return agree


def sign(error: float) -> str:
    """The sign "=" for rounding, "≠" for what can be seen, "≈" between; "?" for what is no number."""
    if not error >= 0:
        return "?"
    return "=" if error <= ROUNDING else "≠" if error >= BROKEN else "≈"


def judge(data: xr.Dataset) -> list[Finding]:
    """For each square, how many layers do as predicted."""
    agree = agreeing(data)
    found = []
    for i, name in enumerate(data["square"].to_numpy()):
        commuting = int((data["theory"][:, i] == "=").sum())
        said = f"{name}: {commuting} of {len(agree)} layers commute"
        held = f"{int(agree[:, i].sum())} of {len(agree)} as they should"
        found.append(Finding(said, held, bool(agree[:, i].all())))
    return found


def table(data: xr.Dataset) -> Table:
    """Differences, a mark where they aren't what theory says."""
    agree = agreeing(data)
    rows = [
        [str(name)]
        + [
            number(e) + ("" if ok else " !")
            for e, ok in zip(data["error"][i].to_numpy(), agree[i], strict=True)
        ]
        for i, name in enumerate(data["layer"].to_numpy())
    ]
    return Table(["layer", *map(str, data["square"].to_numpy())], rows)


def text(data: xr.Dataset) -> str:
    """The table, what its columns are, and what became of the predictions."""
    columns = "\n".join(f"  {name}: {about}" for name, about in SQUARES.items())
    return told(
        f"Relative difference of both ways round the diagram:\n{columns}", table(data), judge(data)
    )


@torch.no_grad()
def pictures(data: xr.Dataset) -> dict[str, Figure]:
    """All differences as colours, and two diagrams on a grid, at a real translation."""
    settings = stored_settings(CommuteSettings(), data)
    chosen = kinds(float(settings.size), settings.seed)
    field = noise(settings)
    grid, t = Grid((settings.size,) * 2, 1.0), np.round(data["t"].to_numpy()[0] % 8, 2).tolist()
    drawn = [square(name, chosen[name].layer, field, t, grid) for name in DRAWN]
    return {"commute": _colours(data), "commute-diagram": diagrams(drawn)}


def _colours(data: xr.Dataset) -> Figure:
    error, names = data["error"].to_numpy(), data["layer"].to_numpy()
    figure = Figure(figsize=(9.2, 1.4 + 0.33 * len(names)), layout="constrained")
    ax = figure.subplots()
    image = coloured(ax, error, sign=lambda e: f"{sign(e)}  ")
    ax.set_xticks(range(error.shape[1]), data["square"].to_numpy().tolist(), fontsize=9)
    ax.xaxis.tick_top()
    ax.set_yticks(range(len(names)), names.tolist(), fontsize=9)
    ax.axvline(1.5, color="white", lw=2)
    figure.colorbar(image, ax=ax, shrink=0.8).set_label("relative difference of both ways")
    return figure


def content(data: xr.Dataset) -> dict[str, Any]:
    """What the columns are."""
    return {"squares": SQUARES, "waves": data.attrs["waves"]}
