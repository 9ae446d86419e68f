"""The experiment `stride`: six ways of subsampling, two fields, translations by parts of pixels."""

from __future__ import annotations

import logging

import torch
import xarray as xr

from discretize import Grid
from equivariance.bad_input import BadInput
from equivariance.experiments.stride.inputs import inputs
from equivariance.experiments.stride.networks import networks
from equivariance.experiments.stride.settings import StrideSettings
from equivariance.provenance import as_json
from equivariance.sweep import sweep
from equivariance.verdict import judge as verdicts
from equivariance.verdict import tolerance

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
    """The errors and what they say with the verdicts, and the groups, of each network, field and grid."""
    kinds = xr.full_like(data["commutes_with"], "", dtype="U10")
    for row in verdicts(data, stride):
        kinds.loc[{"layer": row.layer, "field": row.field, "grid": row.grid}] = row.verdict.kind
    return data.assign(
        verdict=kinds.assign_attrs({"long_name": "verdict", "tolerance": tolerance()}),
        subgroup=data["commutes_with"],
    )
