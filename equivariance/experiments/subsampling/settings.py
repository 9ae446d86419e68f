"""The settings of the experiment `subsampling`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from equivariance.bad_input import BadInput
from equivariance.experiments.settings import Settings


@dataclass(frozen=True)
class SubsamplingSettings(Settings):
    """Measure every kind of subsampling on fields of several band limits.

    A convolution, a non-linearity and each kind of subsampling meet a random field and two photographs, whose waves are
    cut at four band limits, under even, odd, half-pixel and random real translations. The errors are written to a
    NetCDF file, a table, a picture and an HTML page.
    """

    size: int = 64
    """Grid points a side; photographs are averaged over blocks to as many."""

    stride: int = 2
    """Every how many points one is kept."""

    count: int = 8
    """Translations of each class."""

    channels: int = 4
    """Channels after the convolution."""

    LEAST: ClassVar = {"stride": 2, "count": 1, "channels": 1}

    def _check(self) -> None:
        if self.size < 8 * self.stride or self.size % self.stride or self.size > 256:
            near = min(256 // self.stride, max(8, round(self.size / self.stride))) * self.stride
            raise BadInput(
                f"--size must be a multiple of the stride {self.stride} from {8 * self.stride} to 256, "
                f"got {self.size}: take {near}, say"
            )

    def _quick(self) -> SubsamplingSettings:
        """At most 32 points a side, and two translations of each class."""
        size = max(8, 32 // self.stride) * self.stride
        return replace(self, size=min(self.size, size), count=min(self.count, 2))
