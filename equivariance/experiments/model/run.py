"""The experiment `model`: what `equivariance measure` does, on a residual network.

Every layer's output under every translation, as the network is and with circular padding; the class scores with every
remedy; the maps of one layer, both ways round the square.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from equivariance.experiments.model.network import resnet
from equivariance.experiments.model.settings import ModelSettings
from equivariance.measuring.frames import survey
from equivariance.measuring.measure import measure as measure_model
from equivariance.measuring.plots import Maps, feature_maps
from equivariance.measuring.remedies import remeasured
from equivariance.measuring.subject import prepare

log = logging.getLogger(__name__)

#: The layer whose maps are shown, and its stride.
SHOWN, STEP = "layer1", 4
#: Translations at which they are: a multiple of the stride, and half a step more.
MOVES = ((0.0, 2.0 * STEP), (0.0, 2.5 * STEP))


def measure(settings: ModelSettings) -> xr.Dataset:
    """Errors of all layers and remedies, and maps of one layer."""
    network, size = resnet(settings.seed, settings.width), (settings.size,) * 2
    options: dict[str, Any] = {"limit": settings.inputs, "seed": settings.seed}
    log.info("Measuring %d layers …", len([m for m in network.modules() if m is not network]))
    data = measure_model(network, size=size, count=settings.count, progress=True, **options)
    log.info("Measuring what would mend it …")
    again = remeasured(network, None, data["t"].to_numpy(), size, **options)
    data["remedy_error"] = again["error"].assign_attrs(data["error"].attrs)
    paddings = data["padding"].to_numpy().tolist()
    maps = [shown(network, settings, t, paddings) for t in MOVES]
    values = np.stack([np.stack([np.stack(each.rows[p]) for p in paddings]) for each in maps])
    data["map"] = (("move", "padding", "way", "y1", "y2"), values)
    data["map"].attrs = {"long_name": f"one channel of {SHOWN}", "layer": SHOWN}
    return data.assign_coords(
        way=["apply to the translated input", "translate the output"],
        moved=(("move", "axis"), np.array([each.t for each in maps])),
    )


def shown(
    network: nn.Module, settings: ModelSettings, t: tuple[float, ...], paddings: list[str]
) -> Maps:
    """The maps of one layer for one translation."""
    subject = prepare(network, None, (settings.size,) * 2, SHOWN, limit=1, seed=settings.seed)
    with torch.no_grad():
        zero = subject.at(torch.zeros(1, 2, dtype=torch.float64))
        frames = {f.name: f for f in survey(subject.module, zero, SHOWN)}
    maps = feature_maps(subject, {SHOWN: frames[SHOWN]}, t, paddings)
    assert maps is not None, f"{SHOWN} is a map of more than 8 samples a side"
    return maps
