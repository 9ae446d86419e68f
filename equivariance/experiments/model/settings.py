"""The settings of the experiment `model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from equivariance.bad_input import BadInput
from equivariance.experiments.settings import Settings

#: The product of the network's strides.
STRIDE = 32


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
