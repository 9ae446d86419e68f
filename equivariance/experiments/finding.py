"""What an experiment finds: predictions and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from equivariance.table import aligned, number

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
    from equivariance.verdict import tolerance  # with all of torch, which listing needs not

    bound = tolerance() if bound is None else bound
    return Finding(prediction, f"{number(worst)} at most", worst <= bound)


def large(prediction: str, least: float, bound: float = SEEN) -> Finding:
    """An error that theory has, of `bound` at least."""
    return Finding(prediction, f"{number(least)} at least", least >= bound)


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
