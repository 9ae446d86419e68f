"""The settings of the experiment `commute`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from equivariance.bad_input import BadInput
from equivariance.experiments.settings import Settings


@dataclass(frozen=True)
class CommuteSettings(Settings):
    """Walk both ways round the diagram of translation equivariance with every layer.

    On fields, on samples that move with their grid, on a grid that stays, with sampling before or after the layer: the
    differences go to a NetCDF file, pictures and an HTML page.
    """

    size: int = 32
    """Grid points a side, a multiple of 16; the field has waves up to 7/32 of it."""

    count: int = 3
    """Translations of each kind."""

    points: int = 60
    """Random points at which continuous layers are compared."""

    LEAST: ClassVar = {"size": 32, "count": 1, "points": 1}
    QUICK: ClassVar = {"size": 32, "count": 1, "points": 20}

    def _check(self) -> None:
        if self.size % 16 or self.size > 128:
            raise BadInput(f"--size must be a multiple of 16 from 32 to 128, got {self.size}")

    @property
    def band(self) -> int:
        """Highest wave of the field, per period."""
        return 7 * self.size // 32
