"""Settings as the flags of a command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any


def flags(settings: Any, without: Collection[str] = ()) -> list[str]:
    """What to type for a dataclass of settings: a flag for each that isn't its default."""
    words = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name in without or value == field.default:
            continue
        flag = f"--{field.name.replace('_', '-')}"
        values = value if isinstance(value, tuple) else (value,)
        words += [flag] if value is True else [flag, *map(str, values)]
    return words
