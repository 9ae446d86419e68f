"""What the experiment `stride` tells: verdicts, table, pictures, and the contents of its page."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure

from discretize import Grid
from equivariance.diagram import diagrams, square, strongest_channel
from equivariance.experiments.configuring import stored_settings
from equivariance.experiments.finding import Finding, Table
from equivariance.experiments.stride.inputs import inputs
from equivariance.experiments.stride.networks import OUTPUTS, networks, ordinal
from equivariance.experiments.stride.settings import StrideSettings
from equivariance.plots import error_curves
from equivariance.subgroup import EVERYTHING
from equivariance.table import aligned, number
from equivariance.verdict import CLASSES, COLUMNS, Row, tolerance
from equivariance.verdict import judge as verdicts

TITLE = "What a stride does to translation equivariance"
PICTURES = ("stride-error", "stride-diagram-photograph", "stride-diagram-random")

#: What is said of the two ways to run a network.
GRIDS = {"continuous": "continuous networks", "grid": "on a grid of {0} × {0} points"}
#: Networks whose diagrams are drawn.
DRAWN = ("strided convolution", "equivariant subsampling")


def rows(data: xr.Dataset) -> list[Row]:
    """A verdict on every network, field and way to run it."""
    return verdicts(data, stored_settings(StrideSettings(), data).stride)


def predicted(data: xr.Dataset) -> dict[tuple[str, str], str]:
    """The group of translations that theory says, by layer and grid."""
    settings = stored_settings(StrideSettings(), data)
    everything = EVERYTHING if settings.steps > 1 else "Z × Z"
    names: dict[tuple[str, str], str] = {}
    for name, net in networks(settings).items():
        step = "Z" if net.predicted == 1 else f"{net.predicted}Z"
        on_grid = f"{step} × {step}" if net.predicted else everything
        names |= {(name, "continuous"): everything, (name, "grid"): on_grid}
    return names


def judge(data: xr.Dataset) -> list[Finding]:
    """Whether every group is as predicted."""
    found, theory = rows(data), predicted(data)
    agreeing = sum(row.verdict.commutes_with == theory[row.layer, row.grid] for row in found)
    measured = f"{agreeing} of {len(found)}"
    return [
        Finding("groups of translations are as predicted", measured, agreeing == len(found)),
    ]


def table(data: xr.Dataset) -> Table:
    """A row for each network, field and way to run it."""
    cells = [
        [r.field, r.grid, r.layer, *r.verdict.words, *map(number, r.classes), r.verdict.kind]
        for r in rows(data)
    ]
    return Table(["field", "grid", "network", *COLUMNS, *CLASSES, "verdict"], cells)


def text(data: xr.Dataset) -> str:
    """The table of verdicts, a part for each field and each way to run the networks."""
    settings = stored_settings(StrideSettings(), data)
    s, whole = settings.stride, table(data)
    parts = [
        "Which of the tested translations each network commutes with, the worst relative error there,\n"
        "and the worst elsewhere."
    ]
    for name, title in titles(data).items():
        for grid, way in GRIDS.items():
            cells = [row[2:6] for row in whole.rows if row[:2] == [name, grid]]
            heading = f"{title}: {way.format(settings.size)}"
            parts.append(f"{heading}\n{aligned(whole.header[2:6], cells)}")
    parts.append(
        f"0 is exact, up to {tolerance():.0e} is round-off. Z are the whole pixels, {s}Z the multiples of {s}."
    )
    return "\n\n".join(parts)


def titles(data: xr.Dataset) -> dict[str, str]:
    """What the fields are called, by name."""
    found: dict[str, str] = json.loads(data.attrs["titles"])
    return {name: found[name] for name in data["field"].to_numpy()}


@torch.no_grad()
def pictures(data: xr.Dataset) -> dict[str, Figure]:
    """Errors against translations, and the diagram for each field."""
    settings = stored_settings(StrideSettings(), data)
    fields, nets = inputs(settings), networks(settings)
    drawn = {"stride-error": error_curves(data, titles(data), settings.stride, tolerance())}
    grid = Grid((settings.size,) * 2, 1.0)
    for name, field in fields.items():
        t = worst_whole(data.sel(field=name, layer=DRAWN[0], grid="grid"))
        squares = [square(layer, nets[layer].module, field.field, t, grid) for layer in DRAWN]
        channel = strongest_channel(squares[0].difference)
        drawn[f"stride-diagram-{name}"] = diagrams(squares, channel)
    return drawn


def worst_whole(cell: xr.Dataset) -> tuple[float, ...]:
    """The translation by whole pixels of the largest error."""
    t = cell["t"].transpose("translation", "axis").to_numpy()
    whole = np.flatnonzero((t == t.round()).all(1))
    worst = whole[cell["error"].to_numpy()[whole].argmax()]
    return tuple(float(x) for x in t[worst])


def content(data: xr.Dataset) -> dict[str, Any]:
    """What the page tells beside the table."""
    settings = stored_settings(StrideSettings(), data)
    return {
        "rows": rows(data),
        "predicted": predicted(data),
        "titles": titles(data),
        "fields": json.loads(data.attrs["fields"]),
        "networks": json.loads(data.attrs["layers"]),
        "grids": {grid: title.format(settings.size) for grid, title in GRIDS.items()},
        "count": data.sizes["translation"],
        "outputs": OUTPUTS,
        "tolerance": tolerance(),
        "th": ordinal(settings.stride),
    }
