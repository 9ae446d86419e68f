"""An experiment with its settings: measured once, told from what was measured; predictions, and what became of them.

NAME.nc (numbers)   NAME.csv (table)   pictures   NAME.html (page)
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from equivariance.experiments.experiment import Outcome
from equivariance.experiments.settings import command, configuration
from equivariance.plots import png
from equivariance.records import provenance, recorded, threads
from equivariance.results import OutputFolder, as_bytes
from equivariance.text import aligned, number, render
from equivariance.verdicts import tolerance


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


#: Errors that theory has are at least so large.
SEEN = 1e-6


@dataclass(frozen=True)
class Finding:
    """One prediction and what became of it.

    Attributes
    ----------
    prediction : str
        What theory says, in words.
    measured : str
        What was found, the least favourable of all cases.
    holds : bool
        Whether that is what theory says. Nothing that isn't a number holds.
    """

    prediction: str
    measured: str
    holds: bool


def small(prediction: str, worst: float, bound: float | None = None) -> Finding:
    """An error that is rounding at most, up to `bound`."""
    bound = tolerance() if bound is None else bound
    return Finding(prediction, f"{number(worst)} at most", bool(worst <= bound))


def large(prediction: str, least: float, bound: float = SEEN) -> Finding:
    """An error that theory has, of `bound` at least."""
    return Finding(prediction, f"{number(least)} at least", bool(least >= bound))


def close(prediction: str, value: float, theory: float, by: float) -> Finding:
    """A fitted number that is that of theory, up to `by`."""
    return Finding(f"{prediction} ± {by}", f"{value:.2f}", bool(abs(value - theory) <= by))


def counted(prediction: str, holds: Any, said: str = "") -> Finding:
    """What each of several cases does."""
    return Finding(prediction, f"{int(holds.sum())} of {len(holds)}{said}", bool(holds.all()))


def foretold(
    prediction: str, measured: np.ndarray, theory: np.ndarray, rounding: float, within: float
) -> Finding:
    """Errors that are what theory says, up to a part of themselves, where it says more than rounding."""
    off = float(np.abs(measured / theory - 1)[~(theory <= rounding)].max())
    return Finding(f"{prediction} to {within:.0%}", f"off by {off:.1e} at most", off <= within)


class Table(NamedTuple):
    """Results as a table: a header and a row of cells for each."""

    header: list[str]
    rows: list[list[str]]


def verdicts(findings: Sequence[Finding]) -> str:
    """What became of the predictions, for a terminal."""
    said = [[f.prediction, f.measured, "holds" if f.holds else "DOES NOT HOLD"] for f in findings]
    return aligned(["prediction", "measured", ""], said)


def told(heading: str, table: Table, findings: Sequence[Finding]) -> str:
    """Results for a terminal: a heading, the table, and what became of the predictions."""
    return f"{heading}\n{aligned(table.header, table.rows)}\n\n{verdicts(findings)}"


def signs(errors: np.ndarray, rounding: float | np.ndarray, broken: float) -> np.ndarray:
    """The sign "=" for rounding, "≠" for what can be seen, "≈" between; "?" for what is no number."""
    known = [~(errors >= 0), errors <= rounding, errors >= broken]
    return np.select(known, ["?", "=", "≠"], "≈")


@dataclass(frozen=True)
class Promises:
    """Methods (rows) by kinds of translation (columns): errors, against what theory says of each.

    Attributes
    ----------
    names : sequence of str
        Of the methods.
    errors : array, shape (rows, columns)
    theory : array of str, shape (rows, columns)
        Their signs, those of `signs`; "" where nothing is promised.
    rounding, broken : float, or array, shape (rows, 1)
        Errors up to the one are rounding, errors from the other on are what theory has.
    """

    names: Sequence[str]
    errors: np.ndarray
    theory: np.ndarray
    rounding: float | np.ndarray
    broken: float

    @property
    def kept(self) -> np.ndarray:
        """Which promises are kept; that of nothing is."""
        found = signs(self.errors, self.rounding, self.broken)
        kept: np.ndarray = (self.theory == "") | (found == self.theory)
        return kept

    def of(self, names: Sequence[str]) -> Promises:
        """The promises of some methods."""
        rows = [list(self.names).index(name) for name in names]
        rounding = np.broadcast_to(self.rounding, (len(self.names), 1))[rows]
        return Promises(names, self.errors[rows], self.theory[rows], rounding, self.broken)

    @property
    def worst(self) -> float:
        """The largest error that ought to be rounding; NaN counts."""
        return float(self.errors[self.theory == "="].max())

    @property
    def least(self) -> float:
        """The smallest error that theory has; NaN counts."""
        return float(self.errors[self.theory == "≠"].min())

    def table(self, header: Sequence[str]) -> Table:
        """All errors, a mark where they aren't what theory says."""
        rows = [
            [str(name), *(number(e) + ("" if ok else " !") for e, ok in zip(*row, strict=True))]
            for name, *row in zip(self.names, self.errors, self.kept, strict=True)
        ]
        return Table(["layer", *header], rows)
