"""The settings of the experiment `autoencoder`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from equivariance.experiments.settings import Settings


@dataclass(frozen=True)
class AutoencoderSettings(Settings):
    """Train two autoencoders on sprites in one quadrant, and look at them everywhere.

    Both have the same layers and as many weights. One keeps every s-th point, the other those that move along with its
    input (Xu et al. 2021). Results are written to a NetCDF file, a picture and an HTML page.
    """

    images: int = 1000
    """Images to train on."""

    tests: int = 300
    """Images inside the quadrant, and as many outside of it, to measure on."""

    steps: int = 600
    """Steps of training, of each autoencoder."""

    batch: int = 32
    """Images per step."""

    latent: int = 16
    """Numbers in the code, beside the position."""

    threads: int = 2
    """Processor threads."""

    full: bool = False
    """Three sizes of the training set, images/4, images and 4·images, and three seeds."""

    LEAST: ClassVar = {"images": 4, "tests": 3, "steps": 2, "batch": 1, "latent": 1}
    QUICK: ClassVar = {"images": 60, "tests": 12, "steps": 12, "batch": 8}

    def _quick(self) -> AutoencoderSettings:
        """12 steps on 60 images."""
        return replace(Settings._quick(self), full=False)

    @property
    def runs(self) -> list[tuple[int, int]]:
        """(images, seed) of every training."""
        if not self.full:
            return [(self.images, self.seed)]
        sizes = [self.images // 4, self.images, 4 * self.images]
        return [(n, self.seed + i) for n in sizes for i in range(3)]
