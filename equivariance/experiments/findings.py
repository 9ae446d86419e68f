"""What an experiment finds: predictions and what became of them, one by one and in tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from equivariance.text import aligned, number
from equivariance.verdict import tolerance

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
