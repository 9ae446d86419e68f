"""Images of sprites: squares, ellipses and hearts of any scale and orientation, in one quadrant or in the others."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from discretize import Grid
from fields import Sprites

#: Points a side, one length unit apart.
SIZE = 32
#: Least distance of a centre from the border; no sprite reaches beyond.
MARGIN = 6.0
SCALES = (5.0, 8.0)
#: Of the smoothed rim.
WIDTH = 0.5
SHAPES = ("square", "ellipse", "heart")
#: Where sprites lie.
INSIDE, OUTSIDE = "inside", "outside"


def grid() -> Grid:
    """The torus that images are sampled on."""
    return Grid((SIZE, SIZE), 1.0)


def images(count: int, where: str, draw: torch.Generator) -> Tensor:
    """Sampled sprites, (count, 1, SIZE, SIZE), float32, with centres inside the first quadrant or outside of it."""
    points = grid().points()
    parts = []
    for i, shape in enumerate(SHAPES):
        n = len(range(i, count, len(SHAPES)))
        low, high = SCALES
        scales = low + (high - low) * torch.rand(n, 1, generator=draw, dtype=torch.float64)
        turns = 2 * math.pi * torch.rand(n, 1, generator=draw, dtype=torch.float64)
        peaks = torch.ones(n, 1, 1, dtype=torch.float64)
        field = Sprites(shape, _centres(n, where, draw), peaks, scales, turns, WIDTH)
        parts.append(field(points).movedim(-1, 1).float())
    return torch.cat(parts)[torch.randperm(count, generator=draw)]


def _centres(count: int, where: str, draw: torch.Generator) -> Tensor:
    """Uniform over the quadrant, or over what is left of the square of centres, (count, 1, 2)."""
    found = torch.empty(0, 2, dtype=torch.float64)
    while len(found) < count:
        drawn = torch.rand(4 * count, 2, generator=draw, dtype=torch.float64)
        centres = MARGIN + (SIZE - 2 * MARGIN) * drawn
        inside = (centres < SIZE / 2).all(-1)
        found = torch.cat([found, centres[inside == (where == INSIDE)]])
    return found[:count, None]
