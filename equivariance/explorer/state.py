"""State: all that one picture of the explorer depends on, and what there is to choose from.

It travels in every request; the server keeps none. The page's menus and the checks of a state are both made of the same
choices.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from discretize.subsampling.registry import SUBSAMPLINGS, subsampling
from equivariance.bad_input import BadInput
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


#: Pixels per side of the picture that an upload becomes, 8 bits each.
PICTURE = 128
#: Seeds are whole numbers below this.
SEEDS = 10_000


@dataclass(frozen=True)
class State:
    """What is shown.

    Attributes
    ----------
    field, network, nonlinearity, method, place, boundary, line : str
        Of what there is to choose from.
    size, stride, kernel, depth, seed : int
    t : tuple of float
        The translation (down, across), in pixels, at most `max(SIZES)` either way.
    picture : bytes
        128 × 128 grey values for the field "upload", else empty.
    """

    field: str = "noise"
    network: str = "cnn"
    nonlinearity: str = "relu"
    kernel: int = 3
    depth: int = 1
    method: str = "stride"
    place: str = "behind"
    stride: int = 2
    size: int = 64
    boundary: str = "periodic"
    seed: int = 0
    line: str = "diagonal"
    t: tuple[float, float] = (0.0, 0.0)
    picture: bytes = dataclasses.field(default=b"", repr=False)

    @property
    def settings(self) -> State:
        """The state without the translation, and the line that the curve follows."""
        return dataclasses.replace(self, t=(0.0, 0.0), line="diagonal")

    def as_json(self) -> dict[str, Any]:
        """What `parse` reads."""
        words = dataclasses.asdict(self) | {"t": list(self.t)}
        words["picture"] = base64.b64encode(self.picture).decode()
        return words


_NAMES: dict[str, Any] = {
    "field": FIELDS,
    "network": NETWORKS,
    "nonlinearity": NONLINEARITIES,
    "method": METHODS,
    "place": PLACES,
    "boundary": BOUNDARIES,
    "line": LINES,
}
_NUMBERS = {
    "size": SIZES,
    "stride": STRIDES,
    "kernel": KERNELS,
    "depth": DEPTHS,
    "seed": range(SEEDS),
}


def parse(words: Any) -> State:
    """A state from what came over the wire; missing entries have their defaults.

    Raises
    ------
    BadInput
        Naming the entry, what it may be, and what came.
    """
    if not isinstance(words, Mapping):
        raise BadInput(f"a state is an object, got {type(words).__name__}")
    known = {f.name for f in dataclasses.fields(State)}
    for name in words:
        if name not in known:
            raise BadInput(
                f"there is no setting {str(name)[:40]!r}, but: {', '.join(sorted(known))}"
            )
    given = {name: _checked(name, value) for name, value in words.items()}
    state = State(**given)
    _check_fit(state)
    return state


def _checked(name: str, value: Any) -> Any:
    if name == "t":
        return _translation(value)
    if name == "picture":
        return _picture(value)
    if name in _NAMES:
        if not isinstance(value, str) or value not in _NAMES[name]:
            raise BadInput(f"{name} must be one of {', '.join(_NAMES[name])}, got {_short(value)}")
        return value
    allowed = _NUMBERS[name]
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        what = (
            f"a whole number from 0 to {SEEDS - 1}"
            if isinstance(allowed, range)
            else f"one of {', '.join(map(str, allowed))}"
        )
        raise BadInput(f"{name} must be {what}, got {_short(value)}")
    return value


def _translation(value: Any) -> tuple[float, float]:
    numbers = value if isinstance(value, list | tuple) else []
    real = [
        float(x)
        for x in numbers
        if isinstance(x, int | float) and not isinstance(x, bool) and abs(x) <= max(SIZES)
    ]
    if len(numbers) != 2 or len(real) != 2 or not all(map(math.isfinite, real)):
        raise BadInput(
            f"t must be two numbers of pixels between −{max(SIZES)} and {max(SIZES)}, "
            f"got {_short(value)}"
        )
    return real[0], real[1]


def _picture(value: Any) -> bytes:
    try:
        data = base64.b64decode(value, validate=True) if isinstance(value, str) else None
    except (binascii.Error, ValueError):
        data = None
    if data is None or len(data) not in (0, PICTURE**2):
        raise BadInput(
            f"picture must be {PICTURE} × {PICTURE} grey bytes in base64, as the upload gives them"
        )
    return data


def _check_fit(state: State) -> None:
    method = METHODS[state.method]
    if state.field == "upload" and not state.picture:
        raise BadInput("choose an image file first, PNG, JPEG or WebP: the field is your image")
    if state.field != "upload" and state.picture:
        raise BadInput("a picture belongs to the field “upload” only")
    if state.boundary == "periodic":
        return
    if method.periodic:
        raise BadInput(
            f"{method.label} needs a periodic boundary: choose it, or another subsampling"
        )
    if state.nonlinearity == "polynomial" and state.network in ACTIVATED:
        raise BadInput("the alias-free polynomial needs a periodic boundary: choose it, or ReLU")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
