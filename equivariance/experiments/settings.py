"""The settings of an experiment: flags, keys of a TOML file, what results carry, and what to type for them again."""

from __future__ import annotations

import dataclasses
import json
import shlex
import types
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, get_args, get_origin

from equivariance.bad_input import BadInput, check_known, check_range, read_toml

if TYPE_CHECKING:
    import xarray as xr

SettingsType = TypeVar("SettingsType")

#: Settings that say where results go, and not what they are.
PLACES = ("out", "overwrite")
#: What types are called in messages.
NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a text, the name of a file",
}


@dataclass(frozen=True)
class Settings:
    """Where results go, what the chance is drawn with, and how much is computed.

    The settings of an experiment are a dataclass on top of this one: the Python interface, the flags, the keys of a
    TOML file and the provenance at once.
    """

    out: Path = Path("equivariance-out")
    """Folder for the results, made where it is missing."""

    overwrite: bool = False
    """Replace results of another configuration in that folder."""

    seed: int = 0
    """Seed of all that is drawn at random."""

    threads: int = 1
    """Processor threads."""

    quick: bool = False
    """Smaller, in a few seconds, to see that it runs."""

    #: Smallest values of numbers.
    LEAST: ClassVar[Mapping[str, float]] = {}
    #: What numbers are cut down to where `quick` asks for it.
    QUICK: ClassVar[Mapping[str, Any]] = {}

    def check(self) -> None:
        """Raise BadInput where these settings can't be run."""
        check_range("seed", self.seed)
        check_range("threads", self.threads)
        for name, bound in self.LEAST.items():
            value = getattr(self, name)
            if not value >= bound:
                flag = name.replace("_", "-")
                raise BadInput(f"--{flag} must be at least {bound:g}, got {value}")
        self._check()

    @property
    def effective(self) -> Self:
        """The settings that are run: these, made smaller where `quick` asks for it."""
        return self._quick() if self.quick else self

    def _check(self) -> None:
        """What these settings need beyond `LEAST`."""

    def _quick(self) -> Self:
        """These settings, made smaller."""
        return replace(self, **{k: min(getattr(self, k), most) for k, most in self.QUICK.items()})


def configuration(name: str, settings: Any, without: Collection[str] = PLACES) -> dict[str, Any]:
    """All that the results depend on, as JSON knows it."""
    own = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
    return {"experiment": name} | {k: _plain(v) for k, v in own.items() if k not in without}


def command(name: str, settings: Any) -> str:
    """What to type for these settings, defaults left out."""
    return shlex.join(["equivariance", "run", name, *flags(settings, ["overwrite"])])


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


def with_file(words: list[str], runnable: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Take `--config FILE` out of `run NAME …`.

    Returns
    -------
    words : list of str
        The others.
    settings : dict
        Of everything that can be run: those of NAME as the file says, and, so that no other has to be imported, what
        all share of the rest.
    """
    name = words[1] if words[:1] == ["run"] and len(words) > 1 else None
    settings = {key: each.settings if key == name else Settings() for key, each in runnable.items()}
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
    names = [f.name for f in dataclasses.fields(default)]  # type: ignore[arg-type]
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


def _plain(value: Any) -> Any:
    """A setting as JSON knows it."""
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


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
