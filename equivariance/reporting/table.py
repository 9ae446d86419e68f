"""The rows of a report: one for each map that was measured, over all its fields, seeds and translations."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from equivariance.bad_input import BadInput
from equivariance.text import number
from equivariance.verdicts import (
    CLASSES,
    COLUMNS,
    Kind,
    of_compared,
    refused,
    worst_by_class,
)

#: Axes that a row is the worst over; all others tell rows apart, where they have more than one label.
POOLED = ("field", "seed", "input", "translation")
#: Letters of a reason that are shown.
REASON = 60


@dataclass(frozen=True)
class Row:
    """What was measured of one map.

    Attributes
    ----------
    labels : dict of str to str
        Axis → label: the layer, and whatever else tells it apart.
    count, missing : int
        Cells with an error, and without.
    typical, worst : float
        Root mean square and largest error; NaN where there is none.
    at : tuple of float
        The first translation at which the worst is reached; empty where all are exactly 0.
    classes : tuple of float, optional
        The worst at multiples of the stride, at other whole steps of the grid, between; NaN where none was tested.
    kind : {"exact", "round-off", "broken", "unknown"}, optional
        Of `equivariance.verdicts`; None where there is no error.
    words : tuple of str
        What it commutes with, the worst error there, and the worst elsewhere.
    there, elsewhere : float
        These errors; NaN where there is none.
    """

    labels: dict[str, str]
    count: int
    missing: int
    typical: float
    worst: float
    at: tuple[float, ...]
    classes: tuple[float, float, float] | None
    kind: Kind | None
    words: tuple[str, str, str]
    there: float = math.nan
    elsewhere: float = math.nan


def told_apart(error: xr.DataArray) -> list[str]:
    """The axes whose labels name a row, the layer first."""
    names = [str(d) for d in error.dims if d not in POOLED]
    shown = [d for d in names if d == "layer" or error.sizes[d] > 1]
    return sorted(shown, key=lambda d: d != "layer") or names[:1]


def rows(data: xr.Dataset) -> list[Row]:
    """One for every combination of labels.

    Raises
    ------
    BadInput
        Where the dataset has no errors by translation.
    """
    by_translation = "error" in data and "translation" in data["error"].dims and "t" in data
    if (
        not by_translation
        or {*data["t"].dims} != {"translation", "axis"}
        or 0 in data["error"].shape
    ):
        raise BadInput(
            "it holds no `error` by `translation` with their vectors `t`: expected a sweep's store, or a file of "
            "sweep, measure, or an experiment on translations"
        )
    t = data["t"].transpose("translation", "axis").to_numpy()
    error = data["error"]
    names = told_apart(error)
    rows = [_row(part, labels, t, data) for labels, part in parts(error, names)]
    if "message" in data and not all(row.count for row in rows):
        said = [part for _, part in parts(data["message"], names)]
        rows = [_with_reason(row, why) for row, why in zip(rows, said, strict=True)]
    return rows


def parts(
    error: xr.DataArray, names: Sequence[str]
) -> Iterator[tuple[dict[str, str], xr.DataArray]]:
    """The errors of each combination of labels along some axes, numbered where they have none."""
    for index in itertools.product(*(range(error.sizes[name]) for name in names)):
        part = error.isel(dict(zip(names, index, strict=True)))
        labels = {
            n: str(part[n].item()) if n in part.coords else str(i)
            for n, i in zip(names, index, strict=True)
        }
        yield labels, part


def _row(part: xr.DataArray, labels: dict[str, str], t: np.ndarray, data: xr.Dataset) -> Row:
    flat = part.transpose("translation", ...).to_numpy().reshape(len(t), -1)
    known = np.isfinite(flat)
    count = int(known.sum())
    if not count:
        words = (refused("nothing was measured"), "–", "–")
        return Row(labels, 0, flat.size, math.nan, math.nan, (), None, None, words)
    each = np.fmax.reduce(np.where(known, flat, math.nan), 1)  # NaN: none at this translation
    step = _step(part, data, labels)
    stride, spacing = step or (None, np.ones(t.shape[1]))
    dtype = str(data.attrs.get("dtype", "float64"))
    invariant = "space" in part.coords and str(part["space"].to_numpy()) == "invariant"
    found = of_compared(t / spacing, each, dtype, stride, invariant)
    assert found is not None  # some translation has an error
    return Row(
        labels,
        count,
        flat.size - count,
        float(np.sqrt((flat[known] ** 2).mean())),
        found.worst,
        tuple(float(x) for x in t[np.nanargmax(each)]) if found.worst else (),
        None if stride is None else worst_by_class(t / spacing, each, stride),
        found.kind,
        found.words,
        found.error_there,
        found.error_elsewhere,
    )


def _with_reason(row: Row, messages: xr.DataArray) -> Row:
    """A row without errors with what its first cell raised."""
    why = next((text for text in map(str, messages.to_numpy().ravel()) if text), "")
    if row.count or not why:
        return row
    short = why if len(why) <= REASON else f"{why[:REASON]}…"
    return replace(row, words=(refused(short), "–", "–"))


def _step(
    part: xr.DataArray, data: xr.Dataset, labels: Mapping[str, str]
) -> tuple[np.ndarray, np.ndarray] | None:
    """The stride, in spacings, and the spacing of the grid: of a measured layer, or of a sweep's part on one grid."""
    dim = data.sizes["axis"]
    if "stride" in data and {*data["stride"].dims} == {"layer", "axis"} and "layer" in labels:
        stride = data["stride"].transpose("layer", "axis").to_numpy()
        names = [str(name) for name in data["layer"].to_numpy()]
        return stride[names.index(labels["layer"])], np.ones(dim)
    if "stride" not in part.coords or "grid" not in part.coords:
        return None
    if part["stride"].ndim or part["grid"].ndim:
        part = part.isel({d: 0 for d in ("stride", "grid") if part.sizes.get(d) == 1})
    try:
        table = json.loads(data.attrs["configuration"])["grids"][str(part["grid"].item())]
        spacing = np.broadcast_to(np.asarray(table.get("spacing", 1.0), dtype=float), dim)
        stride = np.full(dim, int(part["stride"].item()))
    except (AttributeError, KeyError, TypeError, ValueError):  # anybody may have written it
        return None
    usable = bool((stride >= 1).all()) and bool((np.isfinite(spacing) & (spacing > 0)).all())
    return (stride, spacing) if usable else None


def header(found: Sequence[Row]) -> list[str]:
    """Names of the columns."""
    apart = CLASSES if any(row.classes for row in found) else ()
    lacking = ("missing",) if any(row.missing for row in found) else ()
    return [
        *found[0].labels,
        "cells",
        *lacking,
        "typical",
        "worst",
        "at",
        *apart,
        *COLUMNS,
        "verdict",
    ]


def cells(row: Row, columns: Sequence[str]) -> list[str]:
    """A row as short text."""
    found = [*row.labels.values(), *_counts(row, columns), number(row.typical), number(row.worst)]
    found.append(", ".join(f"{x:.3g}" for x in row.at) or "–")
    if "multiples" in columns:
        found += map(number, row.classes or (math.nan,) * 3)
    return [*found, *row.words, row.kind or "no error"]


def _counts(row: Row, columns: Sequence[str]) -> list[str]:
    return [str(row.count), *([str(row.missing)] if "missing" in columns else [])]


def as_csv(found: Sequence[Row]) -> str:
    """All rows, numbers to full precision."""
    buffer, columns = io.StringIO(), header(found)
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for row in found:
        by_class = [repr(x) for x in row.classes or (math.nan,) * 3]
        at = " ".join(repr(x) for x in row.at)
        counts = _counts(row, columns)
        line = [*row.labels.values(), *counts, repr(row.typical), repr(row.worst), at]
        line += [*(by_class if "multiples" in columns else []), row.words[0]]
        writer.writerow([*line, repr(row.there), repr(row.elsewhere), row.kind or ""])
    return buffer.getvalue()


#: Signs that LaTeX reads as commands.
LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
} | {c: f"\\{c}" for c in "&%$#_{}"}


def as_latex(found: Sequence[Row]) -> str:
    """A `tabular` for LaTeX's input, with the rules of booktabs."""
    columns = header(found)
    first = len(found[0].labels)
    words = len(COLUMNS) + 1
    style = "l" * first + "r" * (len(columns) - first - words) + "lrrl"
    lines = [_line(columns, first), r"\midrule", *(_line(cells(r, columns), first) for r in found)]
    rules = [rf"\begin{{tabular}}{{{style}}}", r"\toprule"]
    return "\n".join([*rules, *lines, r"\bottomrule", r"\end{tabular}", ""])


def _line(texts: Sequence[str], labels: int) -> str:
    return " & ".join(_latex(x, i >= labels) for i, x in enumerate(texts)) + r" \\"


def _latex(text: str, is_number: bool) -> str:
    mantissa, e, power = text.partition("e")
    if is_number and e and power.lstrip("+-").isdigit():
        return rf"${mantissa}\cdot10^{{{int(power)}}}$"
    return "".join(LATEX.get(c, c) for c in text)
