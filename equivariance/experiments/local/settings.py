"""The settings of the experiment `local`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from equivariance.bad_input import BadInput
from equivariance.experiments.settings import Settings


@dataclass(frozen=True)
class LocalSettings(Settings):
    """Move a foreground past another one, and see when a layer notices.

    Two discs with textures of their own lie on an even background, and one of them moves. What a layer makes of both is
    held against what it makes of each alone. Errors against their distance go to a NetCDF file, a picture and an HTML
    page.
    """

    size: int = 48
    """Grid points a side."""

    radius: float = 5.0
    """Radius of the discs, in grid spacings."""

    steps: int = 8
    """Distances per receptive field; they go up to one and a half."""

    textures: int = 2
    """Pairs of textures; the largest error counts."""

    LEAST: ClassVar = {"size": 40, "steps": 4, "textures": 1}
    QUICK: ClassVar = {"size": 40, "steps": 4, "textures": 1}

    def _check(self) -> None:
        if not 2 <= self.radius <= (self.size - 20) / 4:
            raise BadInput(
                f"--radius must lie between 2 and (size − 20)/4 = {(self.size - 20) / 4:g}, got {self.radius}"
            )
        if self.size > 256:
            raise BadInput(f"--size must be at most 256, got {self.size}")
