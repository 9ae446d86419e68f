"""Training, and the errors that are left."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from tqdm import tqdm

from discretize import Samples
from equivariance.experiments.autoencoder.sprites import grid

#: Largest learning rate, reached after three tenths of the steps.
RATE = 4e-3


def trained(
    model: nn.Module, images: Tensor, steps: int, batch: int, seed: int, title: str
) -> Tensor:
    """Train by Adam on the mean squared error; the loss of every step."""
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    draw, losses = torch.Generator().manual_seed(seed), []
    for _ in tqdm(range(steps), desc=title, disable=None, leave=False):
        target = images[torch.randint(len(images), (batch,), generator=draw)]
        loss = ((model(Samples(target, grid())).values - target) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.detach())
    return torch.stack(losses)


def reconstructed(model: nn.Module, images: Tensor) -> Tensor:
    """What becomes of images."""
    with torch.no_grad():
        return torch.cat([model(Samples(part, grid())).values for part in images.split(64)])


def errors(model: nn.Module, images: Tensor) -> Tensor:
    """‖reconstruction − image‖² / ‖image‖² of every image."""
    space = (1, 2, 3)
    return ((reconstructed(model, images) - images) ** 2).sum(space) / (images**2).sum(space)
