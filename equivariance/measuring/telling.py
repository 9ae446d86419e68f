"""What a measurement says, in words and small tables: for terminals and pages alike.

Everything is computed from the datasets that `measure` and `remeasured` give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from equivariance.measuring.findings import Share, compared, findings
from equivariance.text import aligned, number
from equivariance.verdict import CLASSES, worst_by_class

TITLES = {
    "as is": "As it is",
    "circular": "With all padding made circular (a diagnostic: it is another function)",
}
PLACES = {
    "multiples": "at multiples of its own stride",
    "others": "at whole pixels",
    "between": "between pixels",
}
BORDER = (
    "Border and aliasing: the largest errors at multiples of the stride, as is in excess of circular padding, and at\n"
    "other translations with circular padding; the border's share of all squared errors."
)


@dataclass(frozen=True)
class Remedy:
    """Worst errors of the output: at multiples of all strides, at other whole pixels, between pixels."""

    name: str
    worst: tuple[float, float, float]


def judged_remedies(error: xr.DataArray, data: xr.Dataset) -> list[Remedy]:
    """The worst errors by class of translation, for each remedy.

    Parameters
    ----------
    error : DataArray
        (remedy, translation, input), as `remeasured` gives it.
    data : Dataset
        The measurement of the model as it is, at the same translations.
    """
    strides = data["stride"].transpose("layer", "axis").to_numpy().round().astype(int)
    t = data["t"].transpose("translation", "axis").to_numpy()
    whole = np.lcm.reduce(np.maximum(1, strides))
    each = error.transpose("remedy", "translation", "input").to_numpy()
    names = map(str, error["remedy"].to_numpy())
    return [Remedy(n, worst_by_class(t, e, whole)) for n, e in zip(names, each, strict=True)]


def remedies_table(mended: Sequence[Remedy]) -> str:
    """The output's errors with each remedy, a line for each."""
    rows = [[m.name, *map(number, m.worst)] for m in mended]
    return aligned(["remedy", "multiples of all strides", *CLASSES[1:]], rows)


def shares_table(rows: Sequence[Share]) -> str:
    """Border and aliasing, a line for each layer."""
    cells = [[r.layer, number(r.border), number(r.aliasing), r.share_text] for r in rows]
    return aligned(["layer", "border", "aliasing", "border's share"], cells)


def firsts(data: xr.Dataset, padding: str) -> list[str]:
    """What breaks first, in words."""
    key, rows = padding.replace(" ", "_"), findings(data, padding)
    lines = []
    for which in CLASSES:
        layer = data.attrs[f"first_broken_{which}_{key}"]
        looked = sum(compared(row, which) for row in rows)
        said = "nothing breaks" if looked else "nothing was compared"
        if 0 < looked < len(rows):
            said += f" in the {looked} of {len(rows)} outputs that were compared"
        lines.append(f"{PLACES[which]}: " + (f"first broken by {layer}" if layer else said))
    return lines
