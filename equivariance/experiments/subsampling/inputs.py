"""Fields of four band limits: a random one, and two photographs whose higher waves are cut off."""

from __future__ import annotations

import torch
from skimage import data
from torch import Tensor

from discretize.trigonometric import filtered
from equivariance.experiments.subsampling.settings import SubsamplingSettings
from fields import Field, Interpolated, random_bandlimited

#: Band limits, in parts of the grid's Nyquist frequency; that of a grid of every second point is 1/2.
BANDS = (5 / 32, 15 / 32, 24 / 32, 31 / 32)
PHOTOGRAPHS = ("camera", "coins")


def inputs(settings: SubsamplingSettings) -> dict[str, tuple[str, int, Field]]:
    """Source, band limit in waves per period, and field, by name."""
    bands = [int(b * settings.size / 2) for b in BANDS]
    fields: dict[str, tuple[str, int, Field]] = {}
    for k in bands:
        noise = random_bandlimited(
            2, 1, (k + 0.01) / settings.size, float(settings.size), settings.seed
        )
        fields[f"random, {k} waves"] = ("random", k, noise)
    for name in PHOTOGRAPHS:
        values = averaged(name, settings.size)
        for k in bands:
            fields[f"{name}, {k} waves"] = (name, k, Interpolated(cut(values, k)[None], 1.0))
    return fields


def averaged(name: str, size: int) -> Tensor:
    """A photograph of scikit-image, grey in [0, 1]: its middle, averaged over blocks to `size` pixels a side."""
    pixels = torch.from_numpy(getattr(data, name)()).double() / 255
    block = min(pixels.shape) // size
    first = [(n - block * size) // 2 for n in pixels.shape]
    middle = pixels[first[0] : first[0] + block * size, first[1] : first[1] + block * size]
    means: Tensor = middle.unflatten(0, (size, block)).unflatten(-1, (size, block)).mean((1, 3))
    return means


def cut(values: Tensor, band: int) -> Tensor:
    """The waves of up to `band` per period and axis."""
    kept = values[None]
    for axis in (-1, -2):
        waves = torch.arange(values.shape[axis] // 2 + 1) <= band
        kept = filtered(kept, waves.double(), axis, 2)
    return kept[0]
