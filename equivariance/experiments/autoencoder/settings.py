"""The settings of the experiment `autoencoder`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from equivariance.bad_input import BadInput


@dataclass(frozen=True)
class AutoencoderSettings:
    """Train two autoencoders on sprites in one quadrant, and look at them everywhere.

    Both have the same layers and as many weights. One keeps every s-th point, the other those that move along with its
    input (Xu et al. 2021). Results are written to a NetCDF file, a picture and an HTML page.
    """

    out: Path = Path("equivariance-out")
    """Folder for the results, made where it is missing."""

    overwrite: bool = False
    """Replace results of another configuration in that folder."""

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

    seed: int = 0
    """Seed of the sprites, of the weights and of the batches."""

    threads: int = 2
    """Processor threads."""

    full: bool = False
    """Three sizes of the training set, images/4, images and 4·images, and three seeds."""

    quick: bool = False
    """A few seconds, to see that it runs: 40 steps on 100 images."""

    def check(self) -> None:
        """Raise BadInput where these settings can't be run."""
        least = {"images": 4, "tests": 3, "steps": 2, "batch": 1, "latent": 1, "threads": 1}
        for name, bound in {**least, "seed": 0}.items():
            if getattr(self, name) < bound:
                raise BadInput(f"--{name} must be at least {bound}, got {getattr(self, name)}")

    @property
    def effective(self) -> AutoencoderSettings:
        """The settings that are run: these, made smaller where `quick` asks for it."""
        if not self.quick:
            return self
        return replace(
            self,
            images=min(self.images, 100),
            tests=min(self.tests, 30),
            steps=min(self.steps, 40),
            full=False,
        )

    @property
    def runs(self) -> list[tuple[int, int]]:
        """(images, seed) of every training."""
        if not self.full:
            return [(self.images, self.seed)]
        sizes = [self.images // 4, self.images, 4 * self.images]
        return [(n, self.seed + i) for n in sizes for i in range(3)]
