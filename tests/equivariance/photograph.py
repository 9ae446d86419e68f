"""A photograph as a periodic field."""

import torch
from skimage.data import camera

from fields import Interpolated


def photograph(size: int = 64, dtype: torch.dtype = torch.float64) -> Interpolated:
    """scikit-image's camera, averaged over blocks to size², through trigonometric interpolation."""
    block = 512 // size
    pixels = torch.from_numpy(camera()).double() / 255
    values = pixels.unflatten(0, (size, block)).unflatten(-1, (size, block)).mean((1, 3))
    return Interpolated(values[None].to(dtype), 1.0)
