"""The settings of the experiment `subsampling`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from equivariance.bad_input import BadInput


@dataclass(frozen=True)
class SubsamplingSettings:
    """Measure every kind of subsampling on fields of several band limits.

    A convolution, a non-linearity and each kind of subsampling meet a random field and two photographs, whose waves are
    cut at four band limits, under even, odd, half-pixel and random real translations. The errors are written to a
    NetCDF file, a table and a picture.
    """

    out: Path = Path("equivariance-out")
    """Folder for the results, made where it is missing."""

    overwrite: bool = False
    """Replace results of another configuration in that folder."""

    size: int = 64
    """Grid points a side; photographs are averaged over blocks to as many."""

    stride: int = 2
    """Every how many points one is kept."""

    count: int = 8
    """Translations of each class."""

    channels: int = 4
    """Channels after the convolution."""

    seed: int = 0
    """Seed of the random field, of the weights and of the translations."""

    threads: int = 1
    """Processor threads."""

    quick: bool = False
    """Smaller, in a few seconds: at most 32 points a side, and two translations of each class."""

    def check(self) -> None:
        """Raise BadInput where these settings can't be run."""
        least = {"stride": 2, "count": 1, "channels": 1, "threads": 1, "seed": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise BadInput(f"--{name} must be at least {bound}, got {getattr(self, name)}")
        if self.size < 8 * self.stride or self.size % self.stride or self.size > 256:
            near = min(256 // self.stride, max(8, round(self.size / self.stride))) * self.stride
            raise BadInput(
                f"--size must be a multiple of the stride {self.stride} from {8 * self.stride} to 256, "
                f"got {self.size}: take {near}, say"
            )

    @property
    def effective(self) -> SubsamplingSettings:
        """The settings that are run: these, made smaller where `quick` asks for it."""
        if not self.quick:
            return self
        size = max(8, 32 // self.stride) * self.stride
        return replace(self, size=min(self.size, size), count=min(self.count, 2))
