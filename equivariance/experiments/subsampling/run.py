"""The experiment `subsampling`: every method on fields of several bands, at translations of every kind."""

from __future__ import annotations

import logging

import torch
import xarray as xr
from torch import Tensor

from discretize import Grid
from equivariance.experiments.subsampling.inputs import inputs
from equivariance.experiments.subsampling.methods import methods
from equivariance.experiments.subsampling.page import CLASSES
from equivariance.experiments.subsampling.settings import SubsamplingSettings
from equivariance.sweep import sweep

log = logging.getLogger(__name__)


@torch.no_grad()
def measure(settings: SubsamplingSettings) -> xr.Dataset:
    """The errors of all methods on all fields at all translations."""
    fields, layers = inputs(settings), methods(settings)
    t, classes = translations(settings)
    log.info("Measuring %d methods on %d fields …", len(layers), len(fields))
    data = sweep(
        dict(layers),
        {name: field for name, (_, _, field) in fields.items()},
        t,
        {"grid": Grid((settings.size,) * 2, 1.0)},
        seed=settings.seed,
        progress=True,
    )
    return data.assign_coords(
        kind=("translation", classes),
        source=("field", [source for source, _, _ in fields.values()]),
        band=("field", [band for _, band, _ in fields.values()]),
    )


def translations(settings: SubsamplingSettings) -> tuple[Tensor, list[str]]:
    """Translations (T, 2) in pixels, and the class of each."""
    draw = torch.Generator().manual_seed(settings.seed)
    shape, s = (settings.count, 2), settings.stride
    whole = torch.randint(-settings.size, settings.size, shape, generator=draw).double()
    multiples = whole // s * s
    others = multiples + torch.randint(1, s, shape, generator=draw)
    real = settings.size * torch.rand(shape, generator=draw, dtype=torch.float64)
    parts = [multiples, others, whole + 0.5, real]
    return torch.cat(parts), [name for name in CLASSES for _ in range(settings.count)]
