"""Settings from plain values: a TOML file, or the configuration that results carry."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from equivariance.bad_input import BadInput, check_known
from equivariance.toml import read_toml

if TYPE_CHECKING:
    import xarray as xr

SettingsType = TypeVar("SettingsType")


def with_file(words: list[str], runnable: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Take `--config FILE` out of `run NAME …`.

    Returns
    -------
    words : list of str
        The others.
    settings : dict
        The settings of everything that can be run, those of NAME as the file says.
    """
    settings = {name: each.settings for name, each in runnable.items()}
    name = words[1] if words[:1] == ["run"] and len(words) > 1 else None
    if name not in settings:
        return words, settings
    kept, paths, rest = words[:2], [], iter(words[2:])
    for word in rest:
        if word == "--config":
            paths.append(next(rest, ""))
        elif word.startswith("--config="):
            paths.append(word.partition("=")[2])
        else:
            kept.append(word)
    for path in paths:
        if not path:
            raise BadInput("--config needs the name of a TOML file")
        settings[name] = configured(
            settings[name], read_toml(Path(path), f"--config {path}"), f"--config {path}"
        )
    return kept, settings


def configured(default: SettingsType, values: Mapping[str, Any], source: str) -> SettingsType:
    """Settings with some values replaced.

    Parameters
    ----------
    default : dataclass instance
    values : mapping
        By name, with "_" or "-"; numbers, texts and booleans.
    source : str
        Where they come from, for messages.

    Raises
    ------
    BadInput
        For a name that there isn't, with the nearest one that there is, and for a value of another type.
    """
    kinds = typing.get_type_hints(type(default))
    names = [f.name for f in fields(default)]  # type: ignore[arg-type]
    known = {key: key.replace("-", "_") for key in values}
    for key, name in known.items():
        check_known(name, names, f"{source}: there is no setting {key!r}")
    made = {name: _as(kinds[name], values[key], f"{source}: {key}") for key, name in known.items()}
    return replace(default, **made)  # type: ignore[type-var]


def stored_settings(default: SettingsType, data: xr.Dataset) -> SettingsType:
    """The settings that results were made with, but for where they went."""
    stored = json.loads(data.attrs["configuration"])
    del stored["experiment"]
    return configured(default, stored, "the results")


def _as(kind: Any, value: Any, where: str) -> Any:
    """A plain value as the type that a setting has."""
    if get_origin(kind) in (types.UnionType, typing.Union):
        if value is None:
            return None
        (kind,) = (k for k in get_args(kind) if k is not type(None))
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise BadInput(f"{where} must be {NAMES[kind]}, got {value!r}")
    return value


#: What types are called in messages.
NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a text, the name of a file",
}
