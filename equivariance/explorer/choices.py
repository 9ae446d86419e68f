"""What the explorer offers, as data: the page's menus and the checks of a state are both made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from discretize import (
    AdaptivePolyphase,
    AveragePooling,
    BlurPool,
    ComovingSubsampling,
    EquivariantSubsampling,
    IdealLowpass,
    MaxPooling,
    Stride,
)

FIELDS = {
    "noise": "Band-limited noise",
    "gaussians": "Gaussians",
    "sprites": "Sprites",
    "camera": "Photo: camera",
    "cat": "Photo: cat",
    "coins": "Photo: coins",
    "upload": "Your image",
}
NETWORKS = {
    "identity": "None",
    "convolution": "Linear convolution",
    "cnn": "CNN",
    "residual": "Residual",
    "maxpool": "CNN, 3 × 3 maxima",
    "unshared": "CNN, unshared bias",
}
#: Networks that have a nonlinearity to choose.
ACTIVATED = ("cnn", "residual", "unshared")
NONLINEARITIES = {
    "relu": "ReLU",
    "gelu": "GELU",
    "tanh": "tanh",
    "polynomial": "Alias-free polynomial",
}
BOUNDARIES = {
    "periodic": "Periodic",
    "zero": "Zero",
    "reflect": "Reflect",
    "nearest": "Nearest",
}
PLACES = {"behind": "Behind", "front": "In front"}
LINES = {"diagonal": "Diagonally", "down": "Down, x₁", "across": "Across, x₂"}
SIZES = (32, 48, 64, 96, 128)
STRIDES = (1, 2, 4, 8)
KERNELS = (1, 3, 5, 7)
DEPTHS = (1, 2, 3)


@dataclass(frozen=True)
class Method:
    """A way of subsampling.

    Attributes
    ----------
    label : str
    make : callable
        Stride → module from Samples to Samples.
    promise : str
        What it promises, s the stride.
    place : str
        Where it stands unless told otherwise, of `PLACES`.
    periodic : bool
        Whether it needs a periodic grid.
    """

    label: str
    make: Callable[[Any], nn.Module]
    promise: str
    place: str = "behind"
    periodic: bool = False


METHODS = {
    "stride": Method("Plain stride", Stride, "Multiples of s, and no others."),
    "average": Method(
        "Average pooling", AveragePooling, "Multiples of s; between them it only aliases less."
    ),
    "max": Method("Max pooling", MaxPooling, "Multiples of s, and no others."),
    "blurpool": Method("BlurPool", BlurPool, "Multiples of s; between them it only aliases less."),
    "lowpass": Method(
        "Ideal low-pass",
        IdealLowpass,
        "All real translations of what comes in below Nyquist; detail is lost.",
        periodic=True,
    ),
    "polyphase": Method(
        "Polyphase (APS)",
        AdaptivePolyphase,
        "All whole pixels: the kept points jump along with the input.",
    ),
    "xu": Method(
        "Xu et al.",
        EquivariantSubsampling,
        "All whole pixels: the kept points jump along with the input.",
    ),
    "comoving": Method(
        "Comoving grid",
        lambda s: ComovingSubsampling(s, nyquist="keep", bound=0),  # the error shown says it
        "All real translations of what comes in below Nyquist: the kept points move along with it.",
        place="front",
        periodic=True,
    ),
}


def menus() -> dict[str, Any]:
    """All choices as the page needs them."""
    return {
        "field": FIELDS,
        "network": NETWORKS,
        "nonlinearity": NONLINEARITIES,
        "boundary": BOUNDARIES,
        "place": PLACES,
        "line": LINES,
        "size": {str(n): f"{n} × {n}" for n in SIZES},
        "stride": {str(s): str(s) for s in STRIDES},
        "kernel": {str(k): f"{k} × {k}" for k in KERNELS},
        "depth": {str(n): str(n) for n in DEPTHS},
        "method": {name: m.label for name, m in METHODS.items()},
        "activated": ACTIVATED,
        "promises": {name: m.promise for name, m in METHODS.items()},
        "places": {name: m.place for name, m in METHODS.items()},
    }
