"""The experiment `commute`: both ways round the diagram, for every layer and every place to sample at."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from tqdm import tqdm

from discretize import Grid, Samples, sample
from equivariance.error import compare, equivariance_error
from equivariance.experiments.commute.layers import SQUARES, kinds, noise
from equivariance.experiments.commute.settings import CommuteSettings
from fields import Field

log = logging.getLogger(__name__)

#: Nodes per spacing with which layers of a field are sampled: the same before and after a translation.
REFINEMENT = 2


@torch.no_grad()
def measure(settings: CommuteSettings) -> xr.Dataset:
    """The largest relative difference of both ways, for every layer and square."""
    field, grid = noise(settings), Grid((settings.size,) * 2, 1.0)
    draw = torch.Generator().manual_seed(settings.seed)
    shape = (settings.count, 2)
    whole = torch.randint(1, settings.size, shape, generator=draw).double()
    whole -= (whole % 4 == 0).double()  # no multiples of the stride
    real = settings.size * torch.rand(shape, generator=draw, dtype=torch.float64)
    points = settings.size * torch.rand(settings.points, 2, generator=draw, dtype=torch.float64)
    chosen = kinds(float(settings.size), settings.seed)
    log.info("Walking round %d diagrams with %d layers …", len(SQUARES), len(chosen))
    errors = [
        squares(kind.layer, field, grid, whole, real, points)
        for kind in tqdm(chosen.values(), desc="commute", disable=None, leave=False)
    ]
    return xr.Dataset(
        {
            "error": (("layer", "square"), np.array(errors), {"long_name": "relative difference"}),
            "theory": (("layer", "square"), [list(k.commutes) for k in chosen.values()]),
        },
        {"layer": list(chosen), "square": list(SQUARES), "t": (("translation", "axis"), real)},
        {"waves": settings.band},
    )


def squares(
    layer: nn.Module, field: Field, grid: Grid, whole: Tensor, real: Tensor, points: Tensor
) -> list[float]:
    """Relative differences, in the order of `SQUARES`."""
    f = sample(field, grid)
    made, after = layer(f), _sampled(layer, field, grid)
    return [
        _worst(lambda t: equivariance_error(layer, field, t, points=points), real),
        _worst(lambda t: compare(layer(f.translate(t)), made.translate(t)), real),
        _worst(lambda t: equivariance_error(layer, field, t, grid), whole),
        _worst(lambda t: equivariance_error(layer, field, t, grid), real),
        _worst(
            lambda t: compare(_sampled(layer, field.translate(t), grid), after.translate(t)), real
        ),
        float(compare(made, _sampled(layer, field, made.grid))),
    ]


def _sampled(layer: nn.Module, field: Field, grid: Grid) -> Samples:
    """The layer of the field, sampled: aliased where the grid can't tell it."""
    return sample(layer(field), grid, refinement=REFINEMENT, prefilter="none")


def _worst(error: Callable[[Tensor], Tensor], translations: Tensor) -> float:
    return float(torch.stack([error(t) for t in translations]).max())
