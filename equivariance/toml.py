"""Reading TOML files: whatever is wrong with one is said in a line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from equivariance.bad_input import BadInput

#: Settings are no longer, in bytes.
LONGEST = 1 << 24


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
