"""The experiment `stride`: five ways of subsampling, two fields, translations by parts of pixels."""

from __future__ import annotations

import logging

import numpy as np
import torch
import xarray as xr

from discretize import Grid
from equivariance.bad_input import BadInput
from equivariance.experiments.stride.inputs import inputs
from equivariance.experiments.stride.networks import networks
from equivariance.experiments.stride.settings import StrideSettings
from equivariance.provenance import as_json
from equivariance.sweep import sweep
from equivariance.verdict import Row, tolerance
from equivariance.verdict import judge as verdicts

log = logging.getLogger(__name__)

DIRECTIONS = {"x1": (1.0, 0.0), "x2": (0.0, 1.0), "diagonal": (1.0, 1.0)}


@torch.no_grad()
def measure(settings: StrideSettings) -> xr.Dataset:
    """The equivariance errors of all networks on all fields, with a verdict on each."""
    fields, nets = inputs(settings), networks(settings)
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
    data = labelled(data.assign_coords(direction=("translation", direction)), settings.stride)
    return data.assign_attrs(
        titles=as_json({name: field.title for name, field in fields.items()}),
        fields=as_json({name: field.about for name, field in fields.items()}),
        layers=as_json({name: net.about for name, net in nets.items()}),
    )


def translations(settings: StrideSettings) -> tuple[torch.Tensor, list[str]]:
    """Multiples of 1/steps pixel from 0 to twice the stride, (T, 2), and the direction of each."""
    count = 2 * settings.stride * settings.steps + 1
    multiples = torch.arange(count, dtype=torch.float64)[:, None] / settings.steps
    along = [multiples * torch.tensor(v) for v in DIRECTIONS.values()]
    names = [name for name in DIRECTIONS for _ in range(count)]
    return torch.cat(along), names


def labelled(data: xr.Dataset, stride: int) -> xr.Dataset:
    """The errors together with the verdicts on them."""
    dims = ("layer", "field", "grid")
    by_name: dict[tuple[str, str, str], Row] = {
        (row.layer, row.field, row.grid): row for row in verdicts(data, stride)
    }
    labels = [data[dim].to_numpy() for dim in dims]
    cells = np.array(
        [
            [
                [(v.kind, v.subgroup.name) for v in (by_name[a, b, c].verdict for c in labels[2])]
                for b in labels[1]
            ]
            for a in labels[0]
        ]
    )
    return data.assign(
        verdict=(dims, cells[..., 0], {"tolerance": tolerance()}),
        subgroup=(dims, cells[..., 1], {"long_name": "translations with round-off error"}),
    )
