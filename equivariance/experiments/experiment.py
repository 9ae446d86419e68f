"""What an experiment is to the command line: a name, a line, and where to find it.

    settings ─▶ Study.measure ─▶ Dataset ─▶ findings, table, text, pictures, content ─▶ page

A study is imported when it is asked for, so that listing costs nothing.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equivariance.experiments.settings import Settings, command, configuration, stored_settings
from equivariance.text import aligned

if TYPE_CHECKING:
    import xarray as xr

    from equivariance.experiments.study import Finding, Study
    from equivariance.results import OutputFolder

log = logging.getLogger(__name__)

INDEX = "index.html"


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
        The default ones.
    """

    name: str
    summary: str
    settings: Settings

    @property
    def title(self) -> str:
        """The name of its study, which its module has, too: "WeightSharing" in `weight_sharing`."""
        return self.name.title().replace("-", "")

    @property
    def study(self) -> type[Study]:
        """What measures, and tells what was measured; imported when it is needed."""
        module = importlib.import_module(f"{__package__}.{self.name.replace('-', '_')}")
        found: type[Study] = getattr(module, self.title)
        return found

    def told(self, data: xr.Dataset) -> Study:
        """The study of results that are there."""
        return self.study(self.name, stored_settings(self.settings, data), data)

    def files(self) -> tuple[str, ...]:
        """Names of all files, numbers first, page last."""
        pictures = (f"{picture}.png" for picture in self.study.PICTURES)
        return (f"{self.name}.nc", f"{self.name}.csv", *pictures, f"{self.name}.html")

    def prepared(self, settings: Any) -> tuple[Study, OutputFolder]:
        """The study, and the folder for its results.

        Raises
        ------
        BadInput
            Where settings, folder or what is in it don't allow it.
        """
        from equivariance.results import OutputFolder

        settings.check()
        study = self.study(self.name, settings)
        study.check()
        folder = OutputFolder(settings.out, self.files())
        if not settings.overwrite:
            folder.refuse_other(configuration(self.name, study.settings))
        return study, folder

    def run(self, settings: Any) -> Outcome:
        """Answer the question, and write the answer to `settings.out`; BadInput before the work, as in `prepared`."""
        study, folder = self.prepared(settings)
        return study.run(folder)


@dataclass(frozen=True)
class AllSettings(Settings):
    """Run every experiment with its default settings, and write an index page that leads to each."""


@dataclass(frozen=True)
class Everything:
    """`equivariance run all`: all experiments, to be run like one, and a page that leads to each.

    Attributes
    ----------
    experiments : dict
        By name.
    """

    experiments: Mapping[str, Experiment]
    name: str = "all"
    summary: str = "every experiment, and an index page"
    settings: AllSettings = AllSettings()

    def run(self, settings: Settings) -> Outcome:
        """Run them one after the other; BadInput before the work where one can't write its results."""
        from equivariance.results import OutputFolder

        settings.check()
        ready = [(e, e.prepared(_for(e.settings, settings))) for e in self.experiments.values()]
        index = OutputFolder(settings.out, (INDEX,))
        outcomes = []
        for experiment, (study, folder) in ready:
            log.info("── %s: %s", experiment.name, experiment.summary)
            outcomes.append((experiment, study.run(folder)))
        return _told(outcomes, settings, index)


def _for(default: Settings, settings: Settings) -> Settings:
    """The settings of one experiment: its own, but for those that were given for all."""
    given = {f.name: getattr(settings, f.name) for f in fields(settings)}
    changed = {f.name: given[f.name] for f in fields(settings) if given[f.name] != f.default}
    return replace(default, **changed)


def _told(
    outcomes: list[tuple[Experiment, Outcome]], settings: Settings, folder: OutputFolder
) -> Outcome:
    """The index page, and a line for each experiment."""
    from equivariance.records import provenance
    from equivariance.text import render

    record = provenance(configuration("all", settings.effective), command("all", settings))
    rows = [
        {
            "name": experiment.name,
            "summary": experiment.summary,
            "page": Path(outcome.files[-1]).name,
            "held": sum(f.holds for f in outcome.findings),
            "count": len(outcome.findings),
        }
        for experiment, outcome in outcomes
    ]
    page = render(INDEX, title="Experiments", rows=rows, provenance=record)
    (index,) = folder.write({INDEX: page})
    cells = [[str(r["name"]), f"{r['held']} of {r['count']}", str(r["summary"])] for r in rows]
    files = (*(file for _, outcome in outcomes for file in outcome.files), index)
    found = tuple(f for _, outcome in outcomes for f in outcome.findings)
    return Outcome(aligned(["experiment", "predictions that hold", ""], cells), files, found)
