"""Photographs as values on a periodic grid: read, averaged over blocks, waves cut off."""

from __future__ import annotations

from pathlib import Path

import torch
from skimage import data
from torch import Tensor

from discretize.trigonometric import filtered
from equivariance.bad_input import BadInput
from fields import Interpolated


def pixels(path: Path | None) -> tuple[Tensor, str]:
    """Grey values (X1, X2) in [0, 1] of an image, or of scikit-image's "camera", and what they are."""
    if path is None:
        return grey("camera"), "The photograph “camera” of scikit-image"
    try:
        image = Interpolated.from_image(path)
    except ValueError as error:
        reason = str(error).splitlines()[0].removeprefix(f"{path} ")
        raise BadInput(f"--image {path}: {reason}") from error
    return image.values.mean(0), f"The image {path.name}"


def grey(name: str) -> Tensor:
    """A photograph of scikit-image, (X1, X2) in [0, 1]."""
    return torch.from_numpy(getattr(data, name)()).double() / 255


def cut(values: Tensor, band: int) -> Tensor:
    """The waves of values (X1, X2) of up to `band` per period and axis."""
    kept = values[None]
    for axis in (-1, -2):
        waves = torch.arange(values.shape[axis] // 2 + 1) <= band
        kept = filtered(kept, waves.double(), axis, 2)
    return kept[0]
