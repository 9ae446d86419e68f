"""Reading images: sizes checked before anything is decoded, alpha and palettes converted aloud."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fields.lattice import MEMORY_BOUND


def read(path: str | Path, memory: int = MEMORY_BOUND) -> Tensor:
    """An image file as values (c, rows, columns) in [0, 1], float64, one channel or three.

    Raises
    ------
    ValueError
        Where the file is no image, has other numbers of channels, or would take more than `memory` bytes: that is
        found from its header, before it is decoded.
    """
    from skimage import io, util

    try:
        _check_header(path, memory)
        image: Any = util.img_as_float64(io.imread(Path(path)))  # type: ignore[no-untyped-call]
    except TooLarge:
        raise
    except Exception as error:  # the readers behind imread raise what they like
        raise ValueError(f"{path} can't be read as an image: {error}") from error
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim == 3 and image.shape[-1] in (2, 4):
        warnings.warn(f"{path} has an alpha channel: it was blended with white", stacklevel=3)
        image = 1 + image[..., -1:] * (image[..., :-1] - 1)
    if image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise ValueError(
            f"{path} must be a greyscale or RGB image, got an array of shape {image.shape}"
        )
    return torch.from_numpy(image).movedim(-1, 0).contiguous()


class TooLarge(ValueError):
    """An image needs more memory than it may use."""


def _check_header(path: str | Path, memory: int) -> None:
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            header = Image.open(path)
        except UnidentifiedImageError:
            return  # scikit-image reads more formats
    with header:
        size = header.width * header.height * len(header.getbands()) * 8
        if size > memory:
            raise TooLarge(
                f"{path} has {header.height} × {header.width} pixels and would take "
                f"{size / 2**20:.0f} MiB, the bound is {memory / 2**20:.0f} MiB: "
                "crop or shrink it, or give a larger `memory`"
            )
        if header.mode in ("P", "PA"):
            warnings.warn(f"{path} has a palette: it was converted to colours", stacklevel=4)
