"""Images as values: read from files, from a tensor, or of scikit-image's; averaged over blocks, waves cut off."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage import data
from torch import Tensor

from discretize.trigonometric import filtered
from equivariance.bad_input import BadInput
from fields import Interpolated

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")


def read(
    path: Path,
    size: Sequence[int] | None,
    channels: int | None,
    limit: int,
    margin: Sequence[int],
) -> tuple[Tensor, str]:
    """A folder of images, or a tensor in a file."""
    if path.is_dir():
        return _folder(path, size, channels, limit, margin)
    if not path.is_file():
        raise ValueError(f"there is no file or folder {path}")
    if path.suffix.lower() in IMAGES:
        return _pictures([path], size, channels, margin), f"the image {path.name}"
    values = load(path, limit)
    if not isinstance(values, Tensor):
        raise ValueError(f"{path} holds a {type(values).__name__}, expected one tensor")
    if values.ndim < 3:
        raise ValueError(
            f"{path} holds a tensor of shape {tuple(values.shape)}, expected (B, c, X1, …, Xd)"
        )
    return values[:limit], f"the tensor in {path.name}"


def load(path: Path, limit: int | None = None) -> Any:
    """What a file holds: the first entries of an array, or what torch.load reads with weights_only=True."""
    try:
        if path.suffix == ".npy":
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # as much as the file has
            return torch.from_numpy(np.array(mapped[:limit] if mapped.ndim else mapped))
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickles of anything else, or no pickle at all
        raise ValueError(
            f"{path} can't be read as a tensor (.npy, or torch.save of one): {type(error).__name__}"
        ) from error


def _folder(
    path: Path, size: Any, channels: int | None, limit: int, margin: Sequence[int]
) -> tuple[Tensor, str]:
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGES)[:limit]
    if not files:
        raise ValueError(f"there are no images in {path}: expected {', '.join(IMAGES)}")
    return _pictures(files, size, channels, margin), f"{len(files)} images from {path.name}"


def _pictures(
    files: Sequence[Path], size: Any, channels: int | None, margin: Sequence[int]
) -> Tensor:
    """Pictures in [0, 1], averaged over blocks to the size and its margin, of their middle."""
    if size is None or len(size) != 2:
        raise ValueError(f"images need size=(rows, columns), got {size}")
    wanted = [n + 2 * m for n, m in zip(size, margin, strict=True)]
    out = []
    for file in files:
        values, block = averaged(Interpolated.from_image(file).values, wanted)
        if block < 1:
            sides = " × ".join(map(str, values.shape[1:]))
            raise ValueError(f"{file} has {sides} pixels, too few for {tuple(wanted)}")
        out.append(_with_channels(values, channels or values.shape[0], file))
    if len({len(values) for values in out}) > 1:
        raise ValueError("the images are grey and coloured: say how many channels are wanted")
    return torch.stack(out)


def averaged(values: Tensor, wanted: Sequence[int]) -> tuple[Tensor, int]:
    """Means over blocks of values (…, X1, …, Xd), of their middle, and a block's side; 0 for what is too small."""
    sides = values.shape[-len(wanted) :]
    block = min(have // want for have, want in zip(sides, wanted, strict=True))
    if block < 1:
        return values, 0
    axes = range(values.ndim - len(wanted), values.ndim + len(wanted), 2)
    for axis, have, want in zip(axes, sides, wanted, strict=True):
        middle = values.narrow(axis, (have - block * want) // 2, block * want)
        values = middle.unflatten(axis, (want, block))
    return values.mean([axis + 1 for axis in axes]), block


def _with_channels(values: Tensor, channels: int, file: Path) -> Tensor:
    if len(values) == channels:
        return values
    if channels == 1:
        return values.mean(0, keepdim=True)
    if len(values) == 1:
        return values.expand(channels, *values.shape[1:])
    raise ValueError(f"{file} has {len(values)} channels, expected {channels}")


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
