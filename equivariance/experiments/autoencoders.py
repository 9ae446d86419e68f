"""Two autoencoders that differ in which points a stride keeps, and their training.

    encoder     (convolution → ReLU → stride) × 4, to a single point → code
    decoder     code → (upsampling → convolution → ReLU) × 4

With equivariant strides the code is an invariant of the input, and the place of the single point that is left is its
pose: the group equivariant autoencoder of Xu et al. (2021), for translations. The taps of a convolution lie as far
apart as the points of its grid.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from tqdm import tqdm

from discretize import EquivariantChain, EquivariantSubsampling, Grid, Samples, Stride
from discretize.subsampling.xu import Peak
from layers import Bias, Conv, Pointwise

#: Strides of the encoder's stages; their product is the image's size.
STRIDES = (2, 2, 2, 4)
#: Channels behind each stage.
WIDTHS = (16, 32, 32, 64)
#: Taps per axis of every convolution.
TAPS = 5
#: Plain indicators tie; blurred a little, the score of a sprite has one maximum.
SCORE = Peak(sigma=2.0)
#: Largest learning rate, reached after three tenths of the steps.
RATE = 4e-3


class Autoencoder(nn.Module):
    """Samples to Samples on the same grid, through a code on a single point.

    Parameters
    ----------
    equivariant : bool
        Whether the kept points move along with the input.
    latent : int
        Channels of the code.
    seed : int
        Of the weights, which are the same for both kinds.
    """

    def __init__(self, equivariant: bool, latent: int, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        spacings = [float(math.prod(STRIDES[:i])) for i in range(len(STRIDES))]
        ins = (1, *WIDTHS[:-1])
        down = [_stage(c, w, h, draw) for c, w, h in zip(ins, WIDTHS, spacings, strict=True)]
        outs = (WIDTHS[0], *WIDTHS[:-1])
        up = [
            _stage(w, c, h, draw, gain=s)
            for w, c, h, s in zip(WIDTHS, outs, spacings, STRIDES, strict=True)
        ]
        self.encoder: nn.Module
        if equivariant:
            self.encoder = EquivariantChain(down, STRIDES, SCORE)
        else:
            self.encoder = nn.Sequential(
                *(nn.Sequential(stage, Stride(s)) for stage, s in zip(down, STRIDES, strict=True))
            )
        strides = [EquivariantSubsampling(s) if equivariant else Stride(s) for s in STRIDES]
        self.upsamplings = nn.ModuleList(s.upsampling for s in reversed(strides))
        self.decoder = nn.ModuleList(reversed(up))
        self.to_code = Pointwise(_linear(WIDTHS[-1], latent, draw))
        self.from_code = nn.Sequential(
            Pointwise(_linear(latent, WIDTHS[-1], draw)), Pointwise(torch.relu)
        )
        self.last = _convolution(WIDTHS[0], 1, 1.0, draw)

    def encode(self, f: Samples) -> Samples:
        """The code: one point whose place is the pose."""
        code: Samples = self.to_code(self.encoder(f))
        return code

    def decode(self, code: Samples, grid: Grid) -> Samples:
        """The image of a code, on a grid."""
        f = self.from_code(code)
        for upsampling, stage in zip(self.upsamplings, self.decoder, strict=True):
            f = stage(upsampling(f))
        image: Samples = self.last(f).resample(grid)
        return image

    def forward(self, f: Samples) -> Samples:
        """Encode and decode."""
        return self.decode(self.encode(f), f.grid)


def _stage(
    ins: int, outs: int, spacing: float, draw: torch.Generator, gain: float = 1.0
) -> nn.Module:
    return nn.Sequential(_convolution(ins, outs, spacing, draw, gain), Pointwise(torch.relu))


def _convolution(
    ins: int, outs: int, spacing: float, draw: torch.Generator, gain: float = 1.0
) -> nn.Module:
    """He's uniform weights; of what is upsampled by s per axis only one value in s² isn't 0, hence a gain of s."""
    bound = gain * math.sqrt(6 / (ins * TAPS**2))
    array = bound * (2 * torch.rand(TAPS, TAPS, outs, ins, generator=draw) - 1)
    return nn.Sequential(Conv.from_array(array, spacing), Bias(torch.zeros(outs)))


def _linear(ins: int, outs: int, draw: torch.Generator) -> nn.Linear:
    linear = nn.Linear(ins, outs)
    with torch.no_grad():
        linear.weight.copy_(_uniform(linear.weight, ins, draw))
        linear.bias.zero_()
    return linear


def _uniform(like: Tensor, ins: int, draw: torch.Generator) -> Tensor:
    return math.sqrt(3 / ins) * (2 * torch.rand(like.shape, generator=draw) - 1)


def trained(
    model: nn.Module, images: Tensor, grid: Grid, steps: int, batch: int, seed: int, title: str
) -> Tensor:
    """Train by Adam on the mean squared error; the loss of every step."""
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    draw, losses = torch.Generator().manual_seed(seed), []
    for _ in tqdm(range(steps), desc=title, disable=None, leave=False):
        target = images[torch.randint(len(images), (batch,), generator=draw)]
        loss = ((model(Samples(target, grid)).values - target) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.detach())
    return torch.stack(losses)


def reconstructed(model: nn.Module, images: Tensor, grid: Grid) -> Tensor:
    """What becomes of images."""
    with torch.no_grad():
        return torch.cat([model(Samples(part, grid)).values for part in images.split(64)])


def errors(model: nn.Module, images: Tensor, grid: Grid) -> Tensor:
    """‖reconstruction − image‖² / ‖image‖² of every image."""
    space = (1, 2, 3)
    found = reconstructed(model, images, grid)
    return ((found - images) ** 2).sum(space) / (images**2).sum(space)
