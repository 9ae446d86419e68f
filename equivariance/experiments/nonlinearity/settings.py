"""The settings of the experiment `nonlinearity`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from equivariance.bad_input import BadInput
from equivariance.experiments.settings import Settings


@dataclass(frozen=True)
class NonlinearitySettings(Settings):
    """Measure the waves that activations make, and what applying them on a finer grid buys.

    Tails of spectra, bands that they need, and equivariance errors against over-sampling, measured and foretold, go to
    a NetCDF file, a picture and an HTML page.
    """

    waves: int = 8
    """Highest wave K of the fields, per period."""

    size: int = 23
    """Grid points per period, odd; the grid tells waves up to half of it."""

    fields: int = 32
    """Random fields, of unit root mean square; energies are their sums."""

    finest: int = 16
    """Largest over-sampling, a power of 2."""

    LEAST: ClassVar = {"waves": 2, "fields": 1, "finest": 8}
    QUICK: ClassVar = {"fields": 8, "finest": 8}

    def _check(self) -> None:
        if not 2 * self.waves < self.size < 1024 or self.size % 2 == 0:
            raise BadInput(
                f"--size must be odd, from 2·waves + 1 = {2 * self.waves + 1} to 1023, got {self.size}"
            )
        if 1.5 * self.waves < self.size / 2:
            raise BadInput(
                f"--size must be at most {3 * self.waves} for --waves {self.waves}, so that squares alias, "
                f"got {self.size}"
            )
        if self.finest > 64 or self.finest & (self.finest - 1):
            raise BadInput(f"--finest must be a power of 2 from 8 to 64, got {self.finest}")

    @property
    def factors(self) -> list[int]:
        """All over-samplings."""
        return [1 << i for i in range(self.finest.bit_length())]
