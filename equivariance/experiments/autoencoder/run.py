"""The experiment `autoencoder`: train two autoencoders on one quadrant, measure them everywhere."""

from __future__ import annotations

import logging

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from equivariance.experiments.autoencoder.networks import Autoencoder
from equivariance.experiments.autoencoder.settings import AutoencoderSettings
from equivariance.experiments.autoencoder.sprites import INSIDE, OUTSIDE, images
from equivariance.experiments.autoencoder.training import errors, reconstructed, trained

log = logging.getLogger(__name__)

#: Both autoencoders, and whether the points that they keep move along.
NETWORKS = {"equivariant": True, "plain": False}
POSITIONS = (INSIDE, OUTSIDE)
#: Images of either kind that are drawn.
SHOWN = 5


def measure(settings: AutoencoderSettings) -> xr.Dataset:
    """Errors of both autoencoders, inside and outside, for every training."""
    sizes = sorted({n for n, _ in settings.runs})
    seeds = sorted({seed for _, seed in settings.runs})
    shape = (len(sizes), len(seeds), len(NETWORKS))
    error = np.empty((*shape, len(POSITIONS)))
    loss = np.empty((*shape, settings.steps))
    drawn: list[Tensor] = []
    parameters = 0
    for count, seed in settings.runs:
        draw = torch.Generator().manual_seed(seed)
        training = images(count, INSIDE, draw)
        tests = {where: images(settings.tests, where, draw) for where in POSITIONS}
        shown = torch.cat([tests[where][:SHOWN] for where in POSITIONS])
        made = [shown]
        for k, (name, equivariant) in enumerate(NETWORKS.items()):
            log.info("Training the %s autoencoder on %d images, seed %d …", name, count, seed)
            model = Autoencoder(equivariant, settings.latent, seed)
            cell = (sizes.index(count), seeds.index(seed), k)
            loss[cell] = trained(
                model, training, settings.steps, settings.batch, seed, name
            ).numpy()
            error[cell] = [float(errors(model, tests[where]).mean()) for where in POSITIONS]
            parameters = sum(p.numel() for p in model.parameters())
            made.append(reconstructed(model, shown))
        drawn = drawn or made
    pictures = torch.stack(drawn)[:, :, 0].unflatten(1, (len(POSITIONS), -1)).numpy()
    own = ("images", "seed", "network")
    return xr.Dataset(
        {
            "error": (
                (*own, "position"),
                error,
                {"long_name": "mean of ‖reconstruction − image‖² / ‖image‖²"},
            ),
            "loss": ((*own, "step"), loss, {"long_name": "mean squared error of a batch"}),
            "example": (("picture", "position", "sample", "x1", "x2"), pictures),
        },
        {
            "images": sizes,
            "seed": seeds,
            "network": list(NETWORKS),
            "position": list(POSITIONS),
            "picture": ["image", *NETWORKS],
        },
        {"parameters": parameters},
    )
