"""Settings of the experiments on models, grids and windows: without torch, so that `--help` answers at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from equivariance.bad_input import BadInput
from equivariance.experiments.settings import Settings

#: The product of the strides of the network of `model`.
STRIDE = 32


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


@dataclass(frozen=True)
class ModelSettings(Settings):
    """Measure a residual network layer by layer, and what would mend it.

    A network of ResNet-18's shape meets random band-limited fields, moved by whole and real translations: as it is and
    with circular padding, then with blurred strides and in a frame that moves along. `equivariance measure` does the
    same for any model. Results are written to a NetCDF file, pictures and an HTML page.
    """

    size: int = 64
    """Pixels a side."""

    width: int = 64
    """Channels of the network's first stage, of which the last has eight times as many."""

    count: int = 33
    """Translations: multiples of all strides, and between pixels."""

    inputs: int = 1
    """Random fields."""

    #: As many translations as it takes to have each stride along both axes and diagonally.
    LEAST: ClassVar = {"width": 1, "count": 27, "inputs": 1}
    QUICK: ClassVar = {"width": 8, "count": 27}

    def _check(self) -> None:
        if self.size % STRIDE or not 2 * STRIDE <= self.size <= 256:
            near = min(256, max(2 * STRIDE, round(self.size / STRIDE) * STRIDE))
            raise BadInput(
                f"--size must be a multiple of {STRIDE}, the product of the network's strides, from {2 * STRIDE} to "
                f"256, got {self.size}: take {near}, say"
            )


@dataclass(frozen=True)
class ResolutionSettings(Settings):
    """Measure what sampling costs against the grid's spacing, and foretell it from the spectrum.

    Fields with a jump, with kinks, smooth ones and a band-limited one are sampled on finer and finer grids; so are the
    outputs of layers. Errors, fitted orders and what theory says go to a NetCDF file, a picture and an HTML page.
    """

    waves: int = 4096
    """Highest wave of the fields, per period; what is beyond is cut off."""

    band: int = 12
    """Highest wave of the band-limited field."""

    finest: int = 256
    """Points of the finest grid; the coarsest has 8, each other one twice as many as the one before."""

    LEAST: ClassVar = {"band": 1, "finest": 32}
    QUICK: ClassVar = {"waves": 2048, "finest": 256}

    def _check(self) -> None:
        if self.finest > 1024 or self.finest & (self.finest - 1):
            raise BadInput(f"--finest must be a power of 2 from 32 to 1024, got {self.finest}")
        if not 8 * self.finest <= self.waves <= 8192:
            raise BadInput(
                f"--waves must lie between 8 times --finest, {8 * self.finest}, and 8192, got {self.waves}"
            )
        if self.band >= self.finest // 2:
            raise BadInput(f"--band must be below half of --finest, got {self.band}")

    @property
    def sizes(self) -> list[int]:
        """Points of all grids."""
        return [8 << i for i in range(self.finest.bit_length() - 3) if 8 << i <= self.finest]


@dataclass(frozen=True)
class LocalSettings(Settings):
    """Move a foreground past another one, and see when a layer notices.

    Two discs with textures of their own lie on an even background, and one of them moves. What a layer makes of both is
    held against what it makes of each alone. Errors against their distance go to a NetCDF file, a picture and an HTML
    page.
    """

    size: int = 48
    """Grid points a side."""

    radius: float = 5.0
    """Radius of the discs, in grid spacings."""

    steps: int = 8
    """Distances per receptive field; they go up to one and a half."""

    textures: int = 2
    """Pairs of textures; the largest error counts."""

    LEAST: ClassVar = {"size": 40, "steps": 4, "textures": 1}
    QUICK: ClassVar = {"size": 40, "steps": 4, "textures": 1}

    def _check(self) -> None:
        if not 2 <= self.radius <= (self.size - 20) / 4:
            raise BadInput(
                f"--radius must lie between 2 and (size − 20)/4 = {(self.size - 20) / 4:g}, got {self.radius}"
            )
        if self.size > 256:
            raise BadInput(f"--size must be at most 256, got {self.size}")


@dataclass(frozen=True)
class BoundarySettings(Settings):
    """Move a field under a window, and see how far into it the border is felt.

    Networks of growing depth see a window of a larger field, continued by each kind of padding, and a whole torus. What
    both positions of the window see is compared point by point; errors go to a NetCDF file, a picture and an HTML page.
    """

    size: int = 40
    """Points a side of the window."""

    depth: int = 4
    """Convolutions of the deepest network, of 3 × 3 taps each."""

    farthest: int = 6
    """Translations go up to so many spacings."""

    LEAST: ClassVar = {"depth": 2, "farthest": 1}
    QUICK: ClassVar = {"size": 40, "depth": 3, "farthest": 4}

    def _check(self) -> None:
        if not 2 * self.depth + self.farthest + 10 <= self.size <= 256:
            raise BadInput(
                f"--size must lie between 2·depth + farthest + 10 = {2 * self.depth + self.farthest + 10} and 256, "
                f"got {self.size}"
            )
