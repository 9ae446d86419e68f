"""What users give, and the error that the command line tells in one line where it can't be worked with."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

#: Settings are no longer, in bytes.
LONGEST = 1 << 24
#: What all commands take of these numbers.
RANGES = {"seed": (0, 2**32 - 1), "threads": (1, 1024)}


class BadInput(ValueError):
    """What a user gave can't be worked with; the message says why, and what would do."""


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


def read_toml(path: Path, name: str | None = None) -> dict[str, Any]:
    """The keys and values of a TOML file.

    Parameters
    ----------
    path : path
    name : str, optional
        What messages call it, instead of its path.

    Raises
    ------
    BadInput
        Where it can't be read, is no TOML file, or nests too deeply.
    """
    name = name or str(path)
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise BadInput(f"can't read {name}: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > LONGEST:
        raise BadInput(f"{name} has more than {LONGEST >> 20} MiB: settings are shorter")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except RecursionError as error:
        raise BadInput(f"{name} nests its values too deeply") from error
    except ValueError as error:  # bytes, syntax, or a date or a number that Python doesn't have
        raise BadInput(f"{name} is no TOML file: {error}") from error
