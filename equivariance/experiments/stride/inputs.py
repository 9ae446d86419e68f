"""The two fields that meet a stride: a photograph and a random band-limited field."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from skimage.data import camera
from torch import Tensor

from discretize.trigonometric import below, filtered
from equivariance.bad_input import BadInput
from equivariance.experiments.stride.settings import StrideSettings
from fields import Field, Interpolated, random_bandlimited


@dataclass(frozen=True)
class Input:
    """A field, what it is called in pictures and tables, and where it comes from."""

    field: Field
    title: str
    about: str


def inputs(settings: StrideSettings) -> dict[str, Input]:
    """Both fields, periodic over `size` pixels of length 1."""
    return {"photograph": photograph(settings), "random": random(settings)}


def random(settings: StrideSettings) -> Input:
    """A random trigonometric sum, as all inputs without waves at Nyquist."""
    below_nyquist = (settings.size - 1) / 2 / settings.size
    limit = min(settings.bandlimit, below_nyquist)
    field = random_bandlimited(2, 1, limit, period=float(settings.size), seed=settings.seed)
    coarse = 0.5 / settings.stride
    side = "below" if settings.bandlimit < coarse else "not below"
    about = (
        f"A random sum of plane waves, up to {settings.bandlimit:g} cycles per pixel along either axis: {side} the "
        f"Nyquist frequency {coarse:g} of the grid that the stride leaves."
    )
    return Input(field, "random band-limited field", about)


def photograph(settings: StrideSettings) -> Input:
    """The photograph, averaged over blocks, as the periodic field through these averages."""
    pixels, name = _pixels(settings.image)
    averaged, block = _averaged(pixels, settings.size, name)
    values = _below_nyquist(averaged)
    share = float((averaged - values).square().sum() / averaged.square().sum().clamp(min=1e-300))
    about = (
        f"{name}, {pixels.shape[0]} × {pixels.shape[1]} pixels, averaged over blocks of {block} × {block} "
        f"to {settings.size} × {settings.size} (averaged, not every {block}th taken, which would alias). The field "
        "is the trigonometric interpolant through these values, without the waves at Nyquist, two pixels long along "
        f"either axis ({share:.1%} of its squares), which no grid can translate by parts of a pixel. "
        "That it continues periodically, on a torus, is a "
        "choice: it makes every translation possible without anything unknown entering at the border, and puts jumps "
        "where opposite borders meet."
    )
    title = f"photograph, averaged over blocks of {block} × {block}, periodic, below Nyquist"
    return Input(Interpolated(values[None], 1.0), title, about)


def _below_nyquist(values: Tensor) -> Tensor:
    """Values (X1, X2) without the waves of two samples' length along either axis, which an odd size doesn't have."""
    for axis in range(2):
        size = values.shape[axis]
        values = filtered(values, below(size, size), axis - 2, 2)
    return values


def _pixels(path: Path | None) -> tuple[Tensor, str]:
    """Grey values (X1, X2) in [0, 1], and what they are."""
    if path is None:
        pixels = torch.from_numpy(camera())  # type: ignore[no-untyped-call]
        return pixels.double() / 255, "The photograph “camera” of scikit-image"
    try:
        image = Interpolated.from_image(path)
    except ValueError as error:
        reason = str(error).splitlines()[0].removeprefix(f"{path} ")
        raise BadInput(f"--image {path}: {reason}") from error
    return image.values.mean(0), f"The image {path.name}"


def _averaged(pixels: Tensor, size: int, name: str) -> tuple[Tensor, int]:
    """Means over blocks, of the middle of the picture where its sides are no multiples of `size`."""
    block = min(pixels.shape) // size
    if block < 1:
        raise BadInput(
            f"--image: {name} has {pixels.shape[0]} × {pixels.shape[1]} pixels, too few for --size {size}"
        )
    first = [(n - block * size) // 2 for n in pixels.shape]
    middle = pixels[first[0] : first[0] + block * size, first[1] : first[1] + block * size]
    return middle.unflatten(0, (size, block)).unflatten(-1, (size, block)).mean((1, 3)), block
