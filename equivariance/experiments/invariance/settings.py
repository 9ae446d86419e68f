"""The settings of the experiment `invariance`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from equivariance.bad_input import BadInput
from equivariance.experiments.settings import Settings


@dataclass(frozen=True)
class InvarianceSettings(Settings):
    """Pool globally behind every kind of subsampling, and see which translations leave the result alone.

    Mean, root mean square and maximum of a convolution, a nonlinearity and a subsampling, stride 2, under even, odd and
    random real translations: the errors go to a NetCDF file, a picture and an HTML page.
    """

    size: int = 32
    """Grid points a side, a multiple of 8; the field has waves up to 3/8 of it."""

    count: int = 6
    """Translations of each class."""

    channels: int = 4
    """Channels after the convolution."""

    rtol: float = 1e-3
    """Tolerance of the invariants of the continuous layer."""

    LEAST: ClassVar = {"size": 16, "count": 1, "channels": 1}
    QUICK: ClassVar = {"size": 32, "count": 2}

    def _check(self) -> None:
        if self.size % 8 or self.size > 128:
            raise BadInput(f"--size must be a multiple of 8 from 16 to 128, got {self.size}")
        if not 1e-4 <= self.rtol <= 0.1:
            raise BadInput(f"--rtol must lie between 1e-4 and 0.1, got {self.rtol}")

    def _quick(self) -> InvarianceSettings:
        """At most 32 points a side, two translations of each class, a looser tolerance."""
        return replace(Settings._quick(self), rtol=max(self.rtol, 1e-2))
