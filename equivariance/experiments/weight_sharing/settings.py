"""The settings of the experiment `weight-sharing`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from equivariance.bad_input import BadInput
from equivariance.experiments.settings import Settings


@dataclass(frozen=True)
class WeightSharingSettings(Settings):
    """Find all maps that commute with translations, assuming nothing of them.

    Spaces of linear maps and biases on periodic grids in 1, 2 and 3 dimensions, projections of random matrices, layers
    that share their weights beside layers that don't, and numbers of parameters go to a NetCDF file, a picture and an
    HTML page.
    """

    size: int = 16
    """Points a side of the largest grid, in two dimensions."""

    c_in: int = 2
    """Channels of the inputs there."""

    c_out: int = 3
    """Channels of the outputs there."""

    kernel: int = 3
    """Side of the kernels whose parameters are counted."""

    LEAST: ClassVar = {"size": 4, "c_in": 1, "c_out": 1, "kernel": 1}
    QUICK: ClassVar = {"size": 8}

    def _check(self) -> None:
        if self.size % 2 or self.size > 32:
            raise BadInput(f"--size must be even and at most 32, got {self.size}")
        if self.kernel > self.size:
            raise BadInput(f"--kernel must be at most --size {self.size}, got {self.kernel}")
        if self.size**4 * self.c_in * self.c_out > 2**23:
            raise BadInput(
                f"--size {self.size} with {self.c_in} to {self.c_out} channels has too many maps: "
                "size⁴·c_in·c_out must be at most 2²³"
            )
