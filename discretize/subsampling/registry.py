"""All subsamplings by name: what menus, sweeps, predictions and laws are made of."""

from __future__ import annotations

import inspect
from typing import Any

from discretize.subsampling.comoving import ComovingSubsampling
from discretize.subsampling.learnable import LearnablePolyphase
from discretize.subsampling.lowpass import BlurPool, IdealLowpass
from discretize.subsampling.polyphase import AdaptivePolyphase
from discretize.subsampling.subsampling import AveragePooling, MaxPooling, Stride, Subsampling
from discretize.subsampling.xu import EquivariantSubsampling
from fields import arguments

#: Kinds of subsampling; each says what it commutes with.
SUBSAMPLINGS: dict[str, type[Subsampling]] = {
    "stride": Stride,
    "average": AveragePooling,
    "max": MaxPooling,
    "blur": BlurPool,
    "ideal": IdealLowpass,
    "adaptive": AdaptivePolyphase,
    "learnable": LearnablePolyphase,
    "equivariant": EquivariantSubsampling,
    "comoving": ComovingSubsampling,
}


def subsampling(name: str, s: Any, **options: Any) -> Subsampling:
    """The subsampling of a name, with those of some options that its kind has.

    Parameters
    ----------
    name : str
        Of `SUBSAMPLINGS`.
    s : int or sequence of int
        Its stride.
    options
        Such as `spacing`, for kinds that filter fields, or `bound=0`, which says that no warning is needed.

    Examples
    --------
    >>> from discretize.subsampling.registry import SUBSAMPLINGS, subsampling
    >>> [name for name in SUBSAMPLINGS if SUBSAMPLINGS[name].commutes_with.words == "whole translations"]
    ['adaptive', 'learnable', 'equivariant']
    >>> subsampling("blur", 2, spacing=0.5, bound=0).spacing
    0.5
    """
    kind = SUBSAMPLINGS[arguments.choice(name, "name", tuple(SUBSAMPLINGS))]
    known = inspect.signature(kind).parameters
    return kind(s, **{key: value for key, value in options.items() if key in known})
