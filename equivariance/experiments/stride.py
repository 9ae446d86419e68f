"""The experiment `stride`: six ways of subsampling, two fields, translations by parts of pixels."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure

from discretize import Grid
from equivariance.bad_input import BadInput
from equivariance.diagram import diagrams, square, strongest_channel
from equivariance.error_table import sweep
from equivariance.experiments.layer_settings import StrideSettings
from equivariance.experiments.rivals import OUTPUTS, Network, networks, ordinal
from equivariance.experiments.study import Finding, Study, Table, counted
from equivariance.measuring.images import averaged, cut, pixels
from equivariance.plots import error_curves
from equivariance.records import as_json
from equivariance.subgroups import EVERYTHING
from equivariance.text import aligned, number
from equivariance.verdicts import CLASSES, COLUMNS, Row, tolerance
from equivariance.verdicts import judge as verdicts
from fields import Field, Interpolated, random_bandlimited

log = logging.getLogger(__name__)

DIRECTIONS = {"x1": (1.0, 0.0), "x2": (0.0, 1.0), "diagonal": (1.0, 1.0)}
#: What is said of the two ways to run a network.
GRIDS = {"continuous": "continuous networks", "grid": "on a grid of {0} × {0} points"}
#: Networks whose diagrams are drawn.
DRAWN = ("strided convolution", "equivariant subsampling")


class Stride(Study):
    """The equivariance errors of all networks on all fields, with a verdict on each."""

    TITLE = "What a stride does to translation equivariance"
    PICTURES = ("stride-error", "stride-diagram-photograph", "stride-diagram-random")

    @cached_property
    def inputs(self) -> dict[str, Input]:
        """Both fields."""
        return inputs(self.settings)

    @cached_property
    def networks(self) -> dict[str, Network]:
        """The six networks."""
        return networks(self.settings)

    def check(self) -> None:
        """Raise BadInput where the photograph can't be read."""
        _ = self.inputs

    @torch.no_grad()
    def measure(self) -> xr.Dataset:
        """The errors, what they say, and what was measured in words."""
        settings, fields, nets = self.settings, self.inputs, self.networks
        t, direction = translations(settings)
        generator = torch.Generator().manual_seed(settings.seed)
        points = torch.rand(settings.points, 2, generator=generator, dtype=torch.float64)
        count = len(nets), len(fields), len(t)
        log.info("Measuring %d networks on %d fields at %d translations …", *count)
        try:
            data = sweep(
                {name: net.module for name, net in nets.items()},
                {name: field.field for name, field in fields.items()},
                t,
                {"continuous": None, "grid": Grid((settings.size,) * 2, 1.0)},
                points=settings.size * points,
                seed=settings.seed,
                progress=True,
            )
        except ValueError as error:  # as where a network answers an even grey with zeros
            raise BadInput(f"these settings can't be measured: {error}") from error
        self.data = data.assign_coords(direction=("translation", direction))
        kinds = xr.full_like(data["commutes_with"], "", dtype="U10")
        for row in self.rows:
            kinds.loc[{"layer": row.layer, "field": row.field, "grid": row.grid}] = row.verdict.kind
        kinds.attrs = {"long_name": "verdict", "tolerance": tolerance()}
        return self.data.assign(verdict=kinds, subgroup=data["commutes_with"]).assign_attrs(
            titles=as_json({name: field.title for name, field in fields.items()}),
            fields=as_json({name: field.about for name, field in fields.items()}),
            layers=as_json({name: net.about for name, net in nets.items()}),
        )

    @cached_property
    def rows(self) -> list[Row]:
        """A verdict on every network, field and way to run it."""
        return verdicts(self.data, self.settings.stride)

    @cached_property
    def predicted(self) -> dict[tuple[str, str], str]:
        """The group of translations that theory says, by layer and grid."""
        everything = EVERYTHING if self.settings.steps > 1 else "Z × Z"
        names: dict[tuple[str, str], str] = {}
        for name, net in self.networks.items():
            step = "Z" if net.predicted == 1 else f"{net.predicted}Z"
            on_grid = f"{step} × {step}" if net.predicted else everything
            names |= {(name, "continuous"): everything, (name, "grid"): on_grid}
        return names

    @cached_property
    def findings(self) -> list[Finding]:
        """Whether every group is as predicted."""
        found = [row.verdict.commutes_with for row in self.rows]
        theory = [self.predicted[row.layer, row.grid] for row in self.rows]
        return [counted("groups of translations are as predicted", np.equal(found, theory))]

    @cached_property
    def table(self) -> Table:
        """A row for each network, field and way to run it."""
        cells = [
            [r.field, r.grid, r.layer, *r.verdict.words, *map(number, r.classes), r.verdict.kind]
            for r in self.rows
        ]
        return Table(["field", "grid", "network", *COLUMNS, *CLASSES, "verdict"], cells)

    @property
    def text(self) -> str:
        """The table of verdicts, a part for each field and each way to run the networks."""
        s, whole = self.settings.stride, self.table
        parts = [
            "Which of the tested translations each network commutes with, the worst relative error there,\n"
            "and the worst elsewhere."
        ]
        for name, title in self.titles.items():
            for grid, way in GRIDS.items():
                cells = [row[2:6] for row in whole.rows if row[:2] == [name, grid]]
                heading = f"{title}: {way.format(self.settings.size)}"
                parts.append(f"{heading}\n{aligned(whole.header[2:6], cells)}")
        parts.append(
            f"0 is exact, up to {tolerance():.0e} is round-off. Z are the whole pixels, {s}Z the multiples of {s}."
        )
        return "\n\n".join(parts)

    @property
    def titles(self) -> dict[str, str]:
        """What the fields are called, by name."""
        found: dict[str, str] = json.loads(self.data.attrs["titles"])
        return {name: found[name] for name in self.data["field"].to_numpy()}

    @torch.no_grad()
    def pictures(self) -> dict[str, Figure]:
        """Errors against translations, and the diagram for each field."""
        nets, grid = self.networks, Grid((self.settings.size,) * 2, 1.0)
        curves = error_curves(self.data, self.titles, self.settings.stride, tolerance())
        drawn = {"stride-error": curves}
        for name, field in self.inputs.items():
            t = worst_whole(self.data.sel(field=name, layer=DRAWN[0], grid="grid"))
            squares = [square(layer, nets[layer].module, field.field, t, grid) for layer in DRAWN]
            channel = strongest_channel(squares[0].difference)
            drawn[f"stride-diagram-{name}"] = diagrams(squares, channel)
        return drawn

    def content(self) -> dict[str, Any]:
        """What the page tells beside the table."""
        return {
            "rows": self.rows,
            "predicted": self.predicted,
            "titles": self.titles,
            "fields": json.loads(self.data.attrs["fields"]),
            "networks": json.loads(self.data.attrs["layers"]),
            "grids": {grid: title.format(self.settings.size) for grid, title in GRIDS.items()},
            "count": self.data.sizes["translation"],
            "outputs": OUTPUTS,
            "tolerance": tolerance(),
            "th": ordinal(self.settings.stride),
        }


@dataclass(frozen=True)
class Input:
    """A field, what it is called in pictures and tables, and where it comes from."""

    field: Field
    title: str
    about: str


def inputs(settings: StrideSettings) -> dict[str, Input]:
    """Both fields, periodic over `size` pixels of length 1."""
    return {"photograph": photograph(settings), "random": random(settings)}


def random(settings: StrideSettings) -> Input:
    """A random trigonometric sum, as all inputs without waves at Nyquist."""
    limit = min(settings.bandlimit, (settings.size - 1) / 2 / settings.size)
    field = random_bandlimited(2, 1, limit, period=float(settings.size), seed=settings.seed)
    coarse = 0.5 / settings.stride
    side = "below" if settings.bandlimit < coarse else "not below"
    about = (
        f"A random sum of plane waves, up to {settings.bandlimit:g} cycles per pixel along either axis: {side} the "
        f"Nyquist frequency {coarse:g} of the grid that the stride leaves."
    )
    return Input(field, "random band-limited field", about)


def photograph(settings: StrideSettings) -> Input:
    """The photograph, averaged over blocks, as the periodic field through these averages."""
    grey, name = pixels(settings.image)
    size, sides = settings.size, f"{grey.shape[0]} × {grey.shape[1]} pixels"
    means, block = averaged(grey, (size, size))
    if block < 1:
        raise BadInput(f"--image: {name} has {sides}, too few for --size {size}")
    values = cut(means, (size - 1) // 2)
    share = float((means - values).square().sum() / means.square().sum().clamp(min=1e-300))
    about = (
        f"{name}, {sides}, averaged over blocks of {block} × {block} "
        f"to {size} × {size} (averaged, not every {block}th taken, which would alias). The field "
        "is the trigonometric interpolant through these values, without the waves at Nyquist, two pixels long along "
        f"either axis ({share:.1%} of its squares), which no grid can translate by parts of a pixel. "
        "That it continues periodically, on a torus, is a "
        "choice: it makes every translation possible without anything unknown entering at the border, and puts jumps "
        "where opposite borders meet."
    )
    title = f"photograph, averaged over blocks of {block} × {block}, periodic, below Nyquist"
    return Input(Interpolated(values[None], 1.0), title, about)


def translations(settings: StrideSettings) -> tuple[torch.Tensor, list[str]]:
    """Multiples of 1/steps pixel from 0 to twice the stride, (T, 2), and the direction of each."""
    count = 2 * settings.stride * settings.steps + 1
    multiples = torch.arange(count, dtype=torch.float64)[:, None] / settings.steps
    along = [multiples * torch.tensor(v) for v in DIRECTIONS.values()]
    return torch.cat(along), [name for name in DIRECTIONS for _ in range(count)]


def worst_whole(cell: xr.Dataset) -> tuple[float, ...]:
    """The translation by whole pixels of the largest error."""
    t = cell["t"].transpose("translation", "axis").to_numpy()
    whole = np.flatnonzero((t == t.round()).all(1))
    worst = whole[cell["error"].to_numpy()[whole].argmax()]
    return tuple(float(x) for x in t[worst])
