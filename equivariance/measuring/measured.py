"""What measured errors of a model's layers say: verdicts, groups, the first layer that breaks, border and aliasing.

Everything is computed from the dataset that `measure` gives, and from nothing else.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from equivariance.measuring.watched import owner_is_model
from equivariance.text import aligned, number
from equivariance.verdicts import (
    CLASSES,
    COLUMNS,
    CONSTANT,
    NO_LAYOUT,
    Group,
    classes,
    largest,
    of_compared,
    refused,
    tolerance,
    worst_by_class,
)

UNKNOWN = "unknown"
#: Layers that a terminal shows one by one.
ALL_SHOWN = 24
NOT_COMPARED = refused("no tested translation could be compared")
#: An error of this part of what varies isn't rounding, if it is above so many eps.
HIDDEN, ROUNDED = 1e-2, 16
#: Outputs for other inputs that differ by so many eps at most don't depend on them.
CONSTANT_UP_TO = 4


TITLES = {
    "as is": "As it is",
    "circular": "With all padding made circular (a diagnostic: it is another function)",
}
PLACES = {
    "multiples": "at multiples of its own stride",
    "others": "at whole pixels",
    "between": "between pixels",
}


@dataclass(frozen=True, kw_only=True)
class Finding(Group):
    """One layer, under one padding.

    Attributes
    ----------
    layer, kind, shape, space : str
        Name, class, output shape for one input, and what it was compared as: "periodic", "window" or "invariant".
    stride : tuple of float
        In pixels; for an invariant that of the coarsest map before it.
    is_sure : bool
        Whether it is certain which of its axes are space.
    worst : tuple of float
        Largest error over inputs and over translations by multiples of the stride, by other whole pixels, between
        pixels; NaN where there are none.
    interior : float
        Largest error at multiples of the stride over points whose receptive fields are free of padding.
    verdict : str
        "exact", "round-off", "broken", where it does less than its stride allows, or "unknown".
    subgroup : str
        The tested translations without error, as a group.
    commutes_with, error_there, error_elsewhere
        The same in the words of all verdicts.
    """

    layer: str
    kind: str
    shape: str
    space: str
    stride: tuple[float, ...]
    is_sure: bool
    worst: tuple[float, float, float]
    interior: float
    verdict: str
    subgroup: str

    @property
    def label(self) -> str:
        """The layer with its class, "3 (Conv2d)"."""
        return f"{self.layer} ({self.kind})"

    @property
    def stride_text(self) -> str:
        """The stride, one number where all axes share it."""
        return " × ".join(dict.fromkeys(f"{s:g}" for s in self.stride))


def judged(data: xr.Dataset) -> xr.Dataset:
    """The dataset with a verdict on each layer (padding, layer), and with the first layers that break.

    A layer is *broken* where it does less than its stride allows: an error at a multiple of it is beyond the tolerance
    for the dtype. Otherwise it is *exact* where the probe, whose inputs move without rounding, gave equal bits, or all
    errors are 0 under the translations that it commutes with, and *round-off* where it isn't.
    """
    dims = ("padding", "layer")
    found = np.empty([data.sizes[d] for d in dims], dtype=object)
    limit = tolerance(data.attrs["dtype"])
    error, t, stride = largest_errors(data)
    for i, j in np.ndindex(*found.shape):
        found[i, j] = _verdict(data.isel(padding=i, layer=j), error[i, j], t, stride[j])
    names = ("verdict", "subgroup", "commutes_with", "error_there", "error_elsewhere")
    columns = (np.array([[v[k] for v in row] for row in found]) for k in range(len(names)))
    about = (
        {"tolerance": limit},
        {"long_name": "translations with round-off error"},
        {"long_name": "translations with round-off error, in words"},
        {"long_name": "worst relative error under these translations", "units": "1"},
        {"long_name": "worst relative error under all others", "units": "1"},
    )
    data = data.assign(
        {name: (dims, v, attrs) for name, v, attrs in zip(names, columns, about, strict=True)}
    )
    for padding in map(str, data["padding"].to_numpy()):
        rows = findings(data, padding)
        for which in CLASSES:
            key = f"first_broken_{which}_{padding.replace(' ', '_')}"
            data.attrs[key] = _first_broken(rows, which, limit)
    return data


def own_outputs(data: xr.Dataset) -> xr.Dataset:
    """The part of a measurement that is on the model's own outputs."""
    is_own = [owner_is_model(str(name)) for name in data["layer"].to_numpy()]
    return data.isel(layer=np.flatnonzero(is_own))


def first_broken(data: xr.Dataset, which: str = "multiples", padding: str = "as is") -> str:
    """The first layer, in the order of execution, that is seen to break; "" where none is.

    Parameters
    ----------
    which : {"multiples", "others", "between"}
        At multiples of its own stride, at some whole translation, or between pixels.
    """
    return _first_broken(findings(data, padding), which, tolerance(data.attrs["dtype"]))


def _first_broken(rows: Sequence[Finding], which: str, limit: float) -> str:
    """The first whose layout is sure, else the first."""
    broken = []
    for row in rows:
        multiples, others, between = row.worst
        worst = {
            "multiples": multiples,
            "others": np.fmax(multiples, others),
            "between": between,
        }[which]
        if worst > limit:
            broken.append(row)
    return next((row.layer for row in broken if row.is_sure), broken[0].layer if broken else "")


def compared(row: Finding, which: str) -> bool:
    """Whether a layer was compared under translations of a class; all whole ones are multiples of a stride of one."""
    if which == "others" and max(row.stride) <= 1:
        which = "multiples"
    return not math.isnan(row.worst[CLASSES.index(which)])


def findings(data: xr.Dataset, padding: str = "as is") -> list[Finding]:
    """One row for each layer, in the order of execution."""
    if "commutes_with" not in data:  # a file from before there were these words
        data = judged(data)
    cell = data.sel(padding=padding)
    errors, t, stride = largest_errors(data)
    error = errors[data["padding"].to_numpy().tolist().index(padding)]
    inner = np.full_like(error, math.nan)
    if padding == "as is" and "interior" in data:
        inner = np.fmax.reduce(
            data["interior"].transpose("layer", "translation", "input").to_numpy(), -1
        )
    texts = ("kind", "shape", "space", "verdict", "subgroup", "commutes_with")
    rows = []
    for j, layer in enumerate(cell["layer"].to_numpy()):
        own = cell.isel(layer=j)
        rows.append(
            Finding(
                layer=str(layer),
                **{name: str(own[name].item()) for name in texts},
                stride=tuple(map(float, stride[j])),
                is_sure=bool(own.get("is_sure", 1)),
                worst=worst_by_class(t, error[j], stride[j]),
                interior=worst_by_class(t, inner[j], stride[j])[0],
                error_there=float(own["error_there"]),
                error_elsewhere=float(own["error_elsewhere"]),
            )
        )
    return rows


def table(data: xr.Dataset, padding: str = "as is") -> str:
    """The layers as a table for a terminal; of many those that follow each other and say the same in a line."""
    header = ["layer", "output", "stride", *CLASSES, "interior", "verdict", *COLUMNS]
    found = findings(data, padding)
    together = _same if len(found) > ALL_SHOWN else lambda row: row.layer
    return aligned(header, [_line(list(rows)) for _, rows in itertools.groupby(found, together)])


def _same(row: Finding) -> tuple[Any, ...]:
    return row.stride, row.space, row.verdict, row.commutes_with, owner_is_model(row.layer)


def _line(rows: Sequence[Finding]) -> list[str]:
    """A row of the table: of several layers the first and the last, and the worst errors."""
    first, last = rows[0], rows[-1]
    name = first.label if len(rows) == 1 else f"{first.layer} … {last.layer} ({len(rows)})"
    shape = first.shape if len({row.shape for row in rows}) == 1 else "…"
    errors = np.array([[*r.worst, r.interior, r.error_there, r.error_elsewhere] for r in rows])
    worst = [number(largest(column)) for column in errors.T]
    seen = "" if first.space == "periodic" else f" ({first.space})"
    words = [first.commutes_with, *worst[4:]]
    return [name, shape + seen, first.stride_text, *worst[:4], first.verdict, *words]


def largest_errors(data: xr.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Largest errors over the inputs (padding, layer, T), translations (T, d), strides (layer, d)."""
    error = told(data)["error"].transpose("padding", "layer", "translation", "input").to_numpy()
    t = data["t"].transpose("translation", "axis").to_numpy()
    return np.fmax.reduce(error, -1), t, data["stride"].transpose("layer", "axis").to_numpy()


def told(data: xr.Dataset) -> xr.Dataset:
    """The dataset with errors that large constants don't hide.

    What differs by more than `HIDDEN` of all that varies isn't rounding, small as it may be beside a bias: such errors
    are relative to what varies, unless they are within `ROUNDED` eps.
    """
    if "varies" not in data:  # a file from before it was known
        return data
    error = data["error"]
    rounded = ROUNDED * float(np.finfo(str(data.attrs["dtype"])).eps)
    varying = error / data["varies"].where(data["varies"] > 0)
    is_hidden = (varying > HIDDEN) & (error > rounded) & (data["varies"] < HIDDEN)
    return data.assign(error=error.where(~is_hidden, varying).transpose(*error.dims))


def _verdict(
    cell: xr.Dataset, errors: np.ndarray, t: np.ndarray, stride: np.ndarray
) -> tuple[str, str, str, float, float]:
    """Kind, group, group in words, error there and elsewhere, of what was compared of one layer."""
    space = str(cell["space"].item())
    dtype, invariant = str(cell.attrs["dtype"]), space == "invariant"
    if space == "not found":
        return UNKNOWN, UNKNOWN, NO_LAYOUT, math.nan, math.nan
    if float(cell.get("varies", math.nan)) <= CONSTANT_UP_TO * float(np.finfo(dtype).eps):
        return UNKNOWN, UNKNOWN, CONSTANT, math.nan, math.nan
    found = of_compared(t, errors, dtype, stride, invariant)
    if found is None:
        vanishes = invariant or (space == "periodic" and classes(t, stride)[0].any())
        return UNKNOWN, UNKNOWN, CONSTANT if vanishes else NOT_COMPARED, math.nan, math.nan
    kind = found.kind
    if kind == "round-off" and bool(cell["bitwise"]):
        kind = "exact"
    there, elsewhere = found.error_there, found.error_elsewhere
    return kind, found.subgroup.name, found.commutes_with, there, elsewhere


def firsts(data: xr.Dataset, padding: str) -> list[str]:
    """What breaks first, in words."""
    key, rows = padding.replace(" ", "_"), findings(data, padding)
    by_name, lines = {row.layer: row for row in rows}, []
    for which in CLASSES:
        layer = data.attrs[f"first_broken_{which}_{key}"]
        looked = sum(compared(row, which) for row in rows)
        said = "nothing breaks" if looked else "nothing was compared"
        if 0 < looked < len(rows):
            said += f" in the {looked} of {len(rows)} outputs that were compared"
        if layer:
            row = by_name[layer]
            said = f"first broken by {row.label}"
            if not row.is_sure:
                said = f"broken in {row.label}, of which it isn't sure which axes are space"
        lines.append(f"{PLACES[which]}: {said}")
    return lines
