"""The experiment `invariance`: invariants behind every way to discretize, under translations of three kinds."""

from __future__ import annotations

import logging

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from tqdm import tqdm

from discretize import Grid
from equivariance.error import equivariance_error
from equivariance.experiments.invariance.page import CLASSES, KINDS, PROMISES
from equivariance.experiments.invariance.settings import InvarianceSettings
from equivariance.experiments.subsampling.methods import methods
from equivariance.experiments.subsampling.settings import SubsamplingSettings
from fields import random_bandlimited
from layers import GlobalPool

log = logging.getLogger(__name__)

STRIDE = 2
#: Added to the field, so that means of linear layers don't vanish.
MEAN = 0.5


@torch.no_grad()
def measure(settings: InvarianceSettings) -> xr.Dataset:
    """The largest change of each invariant, for every method and class of translations."""
    size = float(settings.size)
    band = (3 * settings.size // 8 + 0.01) / size
    field = random_bandlimited(2, 1, band, size, settings.seed) + MEAN
    grid, moves = Grid((settings.size,) * 2, 1.0), translations(settings)
    given = SubsamplingSettings(stride=STRIDE, channels=settings.channels, seed=settings.seed)
    layers = methods(given)
    chosen = {"continuous": layers["no stride"]} | {n: layers[n] for n in PROMISES if n in layers}
    error = np.empty((len(chosen), len(KINDS), len(CLASSES)))
    for i, (name, layer) in enumerate(tqdm(chosen.items(), desc="invariance", disable=None)):
        for j, kind in enumerate(KINDS.values()):
            for k, t in enumerate(moves.values()):
                pooled = nn.Sequential(layer, GlobalPool(kind, rtol=settings.rtol))
                if name == "continuous":
                    found = torch.stack([equivariance_error(pooled, field, x) for x in t[:2]])
                else:
                    found = equivariance_error(pooled, field, t, grid)
                error[i, j, k] = float(found.max())
    return xr.Dataset(
        {
            "error": (
                ("layer", "invariant", "translations"),
                error,
                {"long_name": "largest relative change of the invariants"},
            )
        },
        {"layer": list(chosen), "invariant": list(KINDS), "translations": list(CLASSES)},
        {"rtol": settings.rtol},
    )


def translations(settings: InvarianceSettings) -> dict[str, Tensor]:
    """Translations in pixels, (count, 2), by class."""
    draw = torch.Generator().manual_seed(settings.seed)
    shape = (settings.count, 2)
    whole = torch.randint(-settings.size, settings.size, shape, generator=draw).double()
    multiples = whole // STRIDE * STRIDE
    real = settings.size * torch.rand(shape, generator=draw, dtype=torch.float64)
    return dict(zip(CLASSES, (multiples, multiples + 1, real), strict=True))
