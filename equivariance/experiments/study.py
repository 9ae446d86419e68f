"""An experiment with its settings: measured once, told from what was measured.

NAME.nc (numbers)   NAME.csv (table)   pictures   NAME.html (page)
"""

from __future__ import annotations

import csv
import io
from functools import cached_property
from typing import Any, ClassVar

import xarray as xr
from matplotlib.figure import Figure

from equivariance.experiments.experiment import Outcome
from equivariance.experiments.findings import Finding, Table, told
from equivariance.experiments.settings import command, configuration
from equivariance.plots import png
from equivariance.provenance import provenance, recorded, threads
from equivariance.results import OutputFolder, as_bytes
from equivariance.text import render


class Study:
    """What every experiment is on top of, beside a template of its page, `NAME.html`.

    All that is told comes from `data`, whose attributes hold the settings: a file of results tells it again.

    Parameters
    ----------
    name : str
        Of the experiment.
    settings : Settings
        As given.
    data : Dataset, optional
        Results that are there.

    Attributes
    ----------
    TITLE : str
        Of the results and of the page.
    PICTURES : tuple of str
        Names of the pictures, which are those of their files without `.png`.
    settings : Settings
        Those that are run.
    data : Dataset
        What was measured.
    """

    TITLE: ClassVar[str]
    PICTURES: ClassVar[tuple[str, ...]]

    data: xr.Dataset
    settings: Any

    def __init__(self, name: str, settings: Any, data: xr.Dataset | None = None) -> None:
        self.name, self.given, self.settings = name, settings, settings.effective
        if data is not None:
            self.data = data

    def check(self) -> None:
        """Raise BadInput where what the settings name can't be used."""

    def measure(self) -> xr.Dataset:
        """Compute all numbers; BadInput where these settings can't be measured."""
        raise NotImplementedError

    @cached_property
    def findings(self) -> list[Finding]:
        """The predictions, held against the numbers alone."""
        raise NotImplementedError

    @cached_property
    def table(self) -> Table:
        """The numbers for the page, the terminal and the CSV file."""
        raise NotImplementedError

    @property
    def heading(self) -> str:
        """What is printed above the table."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """What is printed."""
        return told(self.heading, self.table, self.findings)

    def pictures(self) -> dict[str, Figure]:
        """A figure for each of `PICTURES`."""
        raise NotImplementedError

    def content(self) -> dict[str, Any]:
        """What the template needs beyond settings, findings, table, pictures and provenance."""
        return {}

    def run(self, folder: OutputFolder) -> Outcome:
        """Measure, record where the numbers come from, tell, write."""
        name = self.name
        with threads(self.settings.threads):
            data = self.measure()
            record = provenance(configuration(name, self.settings), command(name, self.given))
            self.data = data.assign_attrs(title=self.TITLE, **record)
            pictures = {key: png(figure) for key, figure in self.pictures().items()}
            contents = {f"{name}.nc": as_bytes(self.data), f"{name}.csv": self._csv()}
            contents |= {f"{key}.png": picture for key, picture in pictures.items()}
            contents[f"{name}.html"] = self.page(pictures)
        return Outcome(self.text, folder.write(contents), tuple(self.findings))

    def page(self, pictures: dict[str, bytes]) -> bytes:
        """The page, with all pictures in it."""
        return render(
            f"{self.name}.html",
            title=self.TITLE,
            file=f"{self.name}.nc",
            settings=self.settings,
            findings=self.findings,
            table=self.table,
            pictures=pictures,
            provenance=recorded(self.data.attrs),
            **self.content(),
        )

    def _csv(self) -> bytes:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows([self.table.header, *self.table.rows])
        return buffer.getvalue().encode()
