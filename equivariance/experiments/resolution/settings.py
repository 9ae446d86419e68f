"""The settings of the experiment `resolution`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from equivariance.bad_input import BadInput
from equivariance.experiments.settings import Settings


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
