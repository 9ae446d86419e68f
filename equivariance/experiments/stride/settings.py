"""The settings of the experiment `stride`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from equivariance.bad_input import BadInput
from equivariance.experiments.settings import Settings


@dataclass(frozen=True)
class StrideSettings(Settings):
    """Measure what a stride does to translation equivariance.

    A small network with six ways of subsampling meets a photograph and a random band-limited field, moved by fractions
    of a pixel. The errors come with a verdict each, and are written to a NetCDF file, pictures and an HTML page.
    """

    image: Path | None = None
    """Photograph, greyscale or RGB; scikit-image's "camera" unless given."""

    size: int = 64
    """Grid points a side; the photograph is averaged over blocks to as many."""

    stride: int = 2
    """Every how many points the strided networks keep one."""

    steps: int = 8
    """Translations are multiples of 1/steps pixel, from 0 to twice the stride."""

    points: int = 200
    """Random points at which the continuous networks are compared."""

    bandlimit: float = 0.23
    """Highest frequency of the random field, in cycles per pixel."""

    channels: int = 4
    """Channels between the two convolutions."""

    LEAST: ClassVar = {"stride": 2, "steps": 1, "points": 1, "channels": 1}

    def _check(self) -> None:
        if self.size < 4 * self.stride or self.size % self.stride:
            near = max(4, round(self.size / self.stride)) * self.stride
            raise BadInput(
                f"--size must be a multiple of the stride {self.stride}, at least {4 * self.stride}, "
                f"got {self.size}: take {near}, say"
            )
        if not 1 / self.size <= self.bandlimit <= 0.5:
            raise BadInput(
                f"--bandlimit must lie between 1/size = {1 / self.size:g} and 0.5 cycles per pixel, "
                f"got {self.bandlimit}"
            )
        if self.image is not None:
            from equivariance.experiments.stride.inputs import photograph

            photograph(self.effective)

    def _quick(self) -> StrideSettings:
        """At most 32 points a side, steps of 1/4 pixel and 40 random points."""
        size = max(4, 32 // self.stride) * self.stride
        return replace(
            self,
            size=min(self.size, size),
            steps=min(self.steps, 4),
            points=min(self.points, 40),
            bandlimit=max(self.bandlimit, 1 / size),
        )
