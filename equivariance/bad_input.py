"""The error that the command line tells in one line."""

from __future__ import annotations

import difflib
from collections.abc import Collection


class BadInput(ValueError):
    """What a user gave can't be worked with; the message says why, and what would do."""


#: What all commands take of these numbers.
RANGES = {"seed": (0, 2**32 - 1), "threads": (1, 1024)}


def check_range(name: str, value: int) -> None:
    """Raise BadInput where a number of `RANGES` lies outside."""
    least, most = RANGES[name]
    if not least <= value <= most:
        raise BadInput(f"--{name} must lie between {least} and {most}, got {value}")


def check_known(name: str, names: Collection[str], refusal: str) -> None:
    """Raise BadInput where a name isn't among those known, with the nearest of them."""
    if name not in names:
        near = difflib.get_close_matches(name, names, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
        raise BadInput(f"{refusal}: {hint}")
