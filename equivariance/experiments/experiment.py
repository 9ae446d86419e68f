"""What an experiment is."""

from __future__ import annotations

import dataclasses
import importlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Settings that say where results go, and not what they are.
PLACES = ("out", "overwrite")


@dataclass(frozen=True)
class Outcome:
    """What an experiment gives back.

    Attributes
    ----------
    text : str
        The results as printed.
    files : tuple of Path
        What was written.
    """

    text: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Experiment:
    """One entry of the registry.

    Attributes
    ----------
    name : str
        As typed after `equivariance run`.
    summary : str
        One line.
    settings : dataclass instance
        The default settings.
    home : str
        Module with the function `run(settings) -> Outcome`, imported when it is called.
    """

    name: str
    summary: str
    settings: Any
    home: str

    def run(self, settings: Any) -> Outcome:
        """Run the experiment."""
        outcome: Outcome = importlib.import_module(self.home).run(settings)
        return outcome


def configuration(name: str, settings: Any) -> dict[str, Any]:
    """All that the results depend on, as JSON knows it."""
    values = {k: str(v) if isinstance(v, Path) else v for k, v in _own(settings).items()}
    return {"experiment": name} | {k: v for k, v in values.items() if k not in PLACES}


def command(name: str, settings: Any) -> str:
    """What to type for these settings, defaults left out."""
    words = ["equivariance", "run", name]
    default = {f.name: f.default for f in dataclasses.fields(settings)}
    for key, value in _own(settings).items():
        if value != default[key] and key != "overwrite":
            flag = f"--{key.replace('_', '-')}"
            words += [flag] if value is True else [flag, str(value)]
    return shlex.join(words)


def _own(settings: Any) -> Mapping[str, Any]:
    return {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
