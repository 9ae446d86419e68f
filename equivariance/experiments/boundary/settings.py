"""The settings of the experiment `boundary`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from equivariance.bad_input import BadInput
from equivariance.experiments.settings import Settings


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
