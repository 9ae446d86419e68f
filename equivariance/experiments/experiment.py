"""What an experiment is.

    Settings ─▶ measure ─▶ Dataset ─▶ judge, table, text, pictures, content ─▶ page

All that is told is computed from the dataset, whose attributes hold the settings: a file of results tells it again.
"""

from __future__ import annotations

import dataclasses
import importlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from equivariance.experiments.finding import Finding, Table
from equivariance.experiments.settings import Settings
from equivariance.flags import flags

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

#: Settings that say where results go, and not what they are.
PLACES = ("out", "overwrite")


class Run(Protocol):
    """What an experiment's module `run` holds."""

    def measure(self, settings: Any) -> xr.Dataset:
        """Compute all numbers; BadInput where these settings can't be measured."""


class Page(Protocol):
    """What an experiment's module `page` holds, beside the template `NAME.html`.

    Attributes
    ----------
    TITLE : str
        Of the results and of the page.
    PICTURES : tuple of str
        Names of the pictures, which are those of their files without `.png`.
    """

    TITLE: str
    PICTURES: tuple[str, ...]

    def judge(self, data: xr.Dataset) -> list[Finding]:
        """The predictions, held against the numbers alone."""

    def table(self, data: xr.Dataset) -> Table:
        """The numbers for the page, the terminal and the CSV file."""

    def text(self, data: xr.Dataset) -> str:
        """What is printed."""

    def pictures(self, data: xr.Dataset) -> dict[str, Figure]:
        """A figure for each of `PICTURES`."""

    def content(self, data: xr.Dataset) -> dict[str, Any]:
        """What the template needs beyond settings, findings, table, pictures and provenance."""


@dataclass(frozen=True)
class Outcome:
    """What an experiment gives back.

    Attributes
    ----------
    text : str
        The results as printed.
    files : tuple of Path
        What was written; the page is the last.
    findings : tuple of Finding
        The predictions and what became of them.
    """

    text: str
    files: tuple[Path, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """One entry of the registry.

    Attributes
    ----------
    name : str
        As typed after `equivariance run`.
    summary : str
        One line.
    settings : Settings
        The default settings.
    home : str
        The package with the modules `run` and `page`; imported when they are needed.
    """

    name: str
    summary: str
    settings: Settings
    home: str

    def measure(self, settings: Any) -> xr.Dataset:
        """Compute all numbers, as `run.measure` does."""
        module: Run = importlib.import_module(f"{self.home}.run")
        return module.measure(settings)

    @property
    def page(self) -> Page:
        """What tells the numbers."""
        module: Page = importlib.import_module(f"{self.home}.page")
        return module

    def run(self, settings: Any) -> Outcome:
        """Measure, tell, and write."""
        from equivariance.experiments.running import run

        return run(self, settings)


def configuration(name: str, settings: Any) -> dict[str, Any]:
    """All that the results depend on, as JSON knows it."""
    own = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
    return {"experiment": name} | {k: _plain(v) for k, v in own.items() if k not in PLACES}


def command(name: str, settings: Any) -> str:
    """What to type for these settings, defaults left out."""
    return shlex.join(["equivariance", "run", name, *flags(settings, ["overwrite"])])


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
