"""`equivariance run all`: every experiment, and a page that leads to each."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from equivariance.experiments.experiment import Experiment, Outcome, command, configuration
from equivariance.experiments.settings import Settings
from equivariance.table import aligned

if TYPE_CHECKING:
    from equivariance.outputs import OutputFolder

log = logging.getLogger(__name__)

INDEX = "index.html"


@dataclass(frozen=True)
class AllSettings(Settings):
    """Run every experiment with its default settings, and write an index page that leads to each."""


@dataclass(frozen=True)
class Everything:
    """All experiments, to be run like one.

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
        from equivariance.experiments.running import prepared
        from equivariance.outputs import OutputFolder

        settings.check()
        each = [(e, _for(e.settings, settings)) for e in self.experiments.values()]
        for experiment, own in each:
            prepared(experiment, own)
        folder = OutputFolder(settings.out, (INDEX,))
        outcomes = []
        for experiment, own in each:
            log.info("── %s: %s", experiment.name, experiment.summary)
            outcomes.append((experiment, experiment.run(own)))
        return _told(outcomes, settings, folder)


def _for(default: Settings, settings: Settings) -> Settings:
    """The settings of one experiment: its own, but for those that were given for all."""
    given = {f.name: getattr(settings, f.name) for f in fields(settings)}
    changed = {f.name: given[f.name] for f in fields(settings) if given[f.name] != f.default}
    return replace(default, **changed)


def _told(
    outcomes: list[tuple[Experiment, Outcome]], settings: Settings, folder: OutputFolder
) -> Outcome:
    """The index page, and a line for each experiment."""
    from equivariance.provenance import provenance
    from equivariance.report import render

    own = settings.effective
    record = provenance(configuration("all", own), command("all", settings))
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
