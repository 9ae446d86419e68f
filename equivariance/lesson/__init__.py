"""The frames of the lesson: a picture moved to the right by half pixels, and what every subsampling makes of it.

The lesson is one page without a server, for a class; `page/` has its style and its script, which `equivariance lesson`
puts together into one file.
"""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from equivariance.explorer.state import State
from equivariance.explorer.views import ROUNDING, View, view

#: Translations, in pixels.
STEP, REACH = 0.5, 8.0
#: The strides that a class may guess from.
STRIDES = (2, 4, 8)
#: Ways of subsampling, and where each stands.
METHODS = {
    "stride": ("Plain stride", "behind"),
    "blurpool": ("BlurPool: blur, then stride", "behind"),
    "xu": ("Xu et al.: points chosen by the picture", "behind"),
    "comoving": ("Comoving grid: points that move along", "front"),
}
#: The picture: every second point of what the explorer draws is enough here.
PICTURE = State(field="cat", network="cnn", kernel=3, size=64)
THIN = 2


def positions() -> list[float]:
    """All translations."""
    count = round(REACH / STEP)
    return [k * STEP for k in range(-count, count + 1)]


def frames() -> dict[str, Any]:
    """All that the page shows, as JSON can hold it.

    Values are bytes in base64, 1 … 255 from −scale to scale; positions of kept points are in pixels.
    """
    scale = max(_view("stride", s, 0.0).scale for s in STRIDES)
    moved = [_view("stride", 1, t).field.values[..., ::THIN, ::THIN] for t in positions()]
    return {
        "positions": positions(),
        "size": PICTURE.size,
        "strides": list(STRIDES),
        "methods": {name: label for name, (label, _) in METHODS.items()},
        "scale": scale,
        "rounding": ROUNDING,
        "picture": {"shape": list(moved[0].shape[1:]), "frames": [_bytes(m, scale) for m in moved]},
        "outputs": {
            f"{name} {s}": [_output(_view(name, s, t), scale) for t in positions()]
            for name in METHODS
            for s in STRIDES
        },
    }


def _view(method: str, stride: int, t: float) -> View:
    place = METHODS[method][1]
    return view(dataclasses.replace(PICTURE, method=method, place=place, stride=stride, t=(0.0, t)))


def _output(v: View, scale: float) -> dict[str, Any]:
    return {
        "error": v.error,
        "origin": v.discrete.grid.origin.tolist(),
        "shape": list(v.discrete.grid.shape),
        "one": _bytes(v.discrete.values, scale),
        "other": _bytes(v.moved, scale),
        "difference": _bytes(v.difference, scale),
    }


def _bytes(values: Tensor, scale: float) -> str:
    levels = torch.round(128 + 127 * (values[0] / scale).clamp(-1, 1))
    return base64.b64encode(levels.numpy().astype(np.uint8).tobytes()).decode()
