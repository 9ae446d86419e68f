"""Run the experiment `stride`: measure, judge, draw, write."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import torch
import xarray as xr

from discretize import Grid
from equivariance.bad_input import BadInput
from equivariance.diagram import diagrams, square, strongest_channel
from equivariance.experiments.experiment import Outcome, command, configuration
from equivariance.experiments.stride.inputs import Input, inputs
from equivariance.experiments.stride.networks import Network, networks
from equivariance.experiments.stride.page import page, text
from equivariance.experiments.stride.settings import StrideSettings
from equivariance.netcdf import as_bytes
from equivariance.outputs import OutputFolder
from equivariance.plots import error_curves, png
from equivariance.provenance import as_json, provenance
from equivariance.sweep import sweep
from equivariance.threads import threads
from equivariance.verdict import Row, judge, tolerance

log = logging.getLogger(__name__)

FILES = (
    "stride.nc",
    "stride-error.png",
    "stride-diagram-photograph.png",
    "stride-diagram-random.png",
    "stride.html",
)
#: Networks whose diagrams are drawn.
DRAWN = ("strided convolution", "equivariant subsampling")
DIRECTIONS = {"x1": (1.0, 0.0), "x2": (0.0, 1.0), "diagonal": (1.0, 1.0)}


def run(settings: StrideSettings) -> Outcome:
    """Answer the question, and write the answer to `settings.out`.

    Raises
    ------
    BadInput
        Where the image, the folder or what is in it don't allow it, before the work starts.
    """
    settings.check()
    effective = settings.effective
    fields, nets = inputs(effective), networks(effective)
    folder = OutputFolder(settings.out, FILES)
    if not settings.overwrite:
        folder.refuse_other(configuration("stride", effective))
    with torch.no_grad(), threads(settings.threads):
        data = measure(effective, fields, nets)
        record = provenance(configuration("stride", effective), command("stride", settings))
        rows = judge(data, effective.stride)
        data = labelled(data, rows, fields, nets, record)
        log.info("Drawing …")
        pictures = draw(effective, data, fields, nets)
    contents = {FILES[0]: as_bytes(data)} | pictures
    contents[FILES[-1]] = page(effective, rows, fields, nets, pictures, record)
    files = folder.write(contents)
    return Outcome(text(effective, rows, fields), files)


def measure(
    settings: StrideSettings, fields: Mapping[str, Input], nets: Mapping[str, Network]
) -> xr.Dataset:
    """The equivariance errors of all networks on all fields."""
    t, direction = translations(settings)
    generator = torch.Generator().manual_seed(settings.seed)
    points = settings.size * torch.rand(
        settings.points, 2, generator=generator, dtype=torch.float64
    )
    log.info(
        "Measuring %d networks on %d fields at %d translations …", len(nets), len(fields), len(t)
    )
    try:
        data = sweep(
            {name: net.module for name, net in nets.items()},
            {name: field.field for name, field in fields.items()},
            t,
            {"continuous": None, "grid": Grid((settings.size,) * 2, 1.0)},
            points=points,
            seed=settings.seed,
            progress=True,
        )
    except ValueError as error:  # as where a network answers an even grey with zeros
        raise BadInput(f"these settings can't be measured: {error}") from error
    return data.assign_coords(direction=("translation", direction))


def translations(settings: StrideSettings) -> tuple[torch.Tensor, list[str]]:
    """Multiples of 1/steps pixel from 0 to twice the stride, (T, 2), and the direction of each."""
    count = 2 * settings.stride * settings.steps + 1
    multiples = torch.arange(count, dtype=torch.float64)[:, None] / settings.steps
    along = [multiples * torch.tensor(v) for v in DIRECTIONS.values()]
    names = [name for name in DIRECTIONS for _ in range(count)]
    return torch.cat(along), names


def labelled(
    data: xr.Dataset,
    rows: list[Row],
    fields: Mapping[str, Input],
    nets: Mapping[str, Network],
    record: Mapping[str, str],
) -> xr.Dataset:
    """The errors together with the verdicts on them and with all that says what they are."""
    dims = ("layer", "field", "grid")
    shape = [data.sizes[dim] for dim in dims]
    verdicts = np.empty(shape, dtype=object)
    groups = np.empty(shape, dtype=object)
    for row in rows:
        where = tuple(
            int(np.flatnonzero(data[dim].to_numpy() == getattr(row, dim))[0]) for dim in dims
        )
        verdicts[where], groups[where] = row.verdict.kind, row.verdict.subgroup.name
    about = {
        "title": "What a stride does to translation equivariance",
        "fields": as_json({name: field.about for name, field in fields.items()}),
        "layers": as_json({name: net.about for name, net in nets.items()}),
    }
    data = data.assign(
        verdict=(dims, verdicts.astype(str), {"tolerance": tolerance()}),
        subgroup=(dims, groups.astype(str), {"long_name": "translations with round-off error"}),
    )
    return data.assign_attrs(about, **record)


def draw(
    settings: StrideSettings,
    data: xr.Dataset,
    fields: Mapping[str, Input],
    nets: Mapping[str, Network],
) -> dict[str, bytes]:
    """All pictures, by file name."""
    titles = {name: field.title for name, field in fields.items()}
    figure = error_curves(data, titles, settings.stride, tolerance())
    pictures = {FILES[1]: png(figure)}
    grid = Grid((settings.size,) * 2, 1.0)
    for name, field in fields.items():
        t = worst_whole(data.sel(field=name, layer=DRAWN[0], grid="grid"))
        squares = [square(layer, nets[layer].module, field.field, t, grid) for layer in DRAWN]
        channel = strongest_channel(squares[0].difference)
        pictures[f"stride-diagram-{name}.png"] = png(diagrams(squares, channel))
    return pictures


def worst_whole(cell: xr.Dataset) -> tuple[float, ...]:
    """The translation by whole pixels of the largest error."""
    t = cell["t"].transpose("translation", "axis").to_numpy()
    whole = np.flatnonzero((t == t.round()).all(1))
    worst = whole[cell["error"].to_numpy()[whole].argmax()]
    return tuple(float(x) for x in t[worst])
