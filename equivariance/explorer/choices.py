"""What the explorer offers, as data: the page's menus and the checks of a state are both made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from discretize.subsampling.registry import SUBSAMPLINGS, subsampling
from fields.commuting import Commutes

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
    name : str
        Of `discretize.subsampling.registry.SUBSAMPLINGS`.
    adds : str
        What belongs to its promise besides.
    place : str
        Where it stands unless told otherwise, of `PLACES`.
    periodic : bool
        Whether it needs a periodic grid.
    """

    label: str
    name: str
    adds: str = ""
    place: str = "behind"
    periodic: bool = False

    def make(self, s: Any) -> nn.Module:
        """The module of a stride; the error that is shown says what warnings would."""
        return subsampling(self.name, s, nyquist="keep", bound=0)

    @property
    def promise(self) -> str:
        """What it promises, s the stride."""
        commutes = SUBSAMPLINGS[self.name].commutes_with
        return f"{PROMISES[commutes]}{self.adds or '.'}" if commutes else ""


PROMISES = {
    Commutes.MULTIPLES: "Multiples of s",
    Commutes.WHOLE: "All whole pixels",
    Commutes.REAL: "All real translations of what comes in below Nyquist",
}
ONLY, LESS = ", and no others.", "; between them it only aliases less."
JUMPS = ": the kept points jump along with the input."
METHODS = {
    "stride": Method("Plain stride", "stride", ONLY),
    "average": Method("Average pooling", "average", LESS),
    "max": Method("Max pooling", "max", ONLY),
    "blurpool": Method("BlurPool", "blur", LESS),
    "lowpass": Method("Ideal low-pass", "ideal", "; detail is lost.", periodic=True),
    "polyphase": Method("Polyphase (APS)", "adaptive", JUMPS),
    "xu": Method("Xu et al.", "equivariant", JUMPS),
    "comoving": Method(
        "Comoving grid",
        "comoving",
        ": the kept points move along with it.",
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
