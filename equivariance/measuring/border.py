"""The border's share of a model's errors beside that of aliasing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from equivariance.measuring.measured import ALL_SHOWN, findings, largest_errors
from equivariance.measuring.watched import owner_is_model
from equivariance.text import aligned, number
from equivariance.verdicts import largest

#: How it begins where the errors without border aren't told.
NOT_TOLD = "not told"
BORDER = (
    "Border and aliasing: the largest errors at multiples of the stride, as is in excess of circular padding, and at\n"
    "other translations with circular padding; the border's share of all squared errors."
)


@dataclass(frozen=True)
class Share:
    """Border and aliasing of one layer.

    Attributes
    ----------
    layer : str
    border : float
        Largest error at multiples of the stride, as is, in excess of that with circular padding, in quadrature; NaN
        where one of them wasn't compared.
    aliasing : float
        Largest error between the multiples, with circular padding.
    border_share : float
        The share of the border in the squared error, summed over all translations: 1 − Σe²(circular) / Σe²(as is), at
        least 0; NaN where one of them wasn't compared. Circular padding makes another function: a diagnostic, no
        decomposition of one error.
    told_by : str
        How the errors without border were made: "rewritten" paddings, the input "continued", or why they aren't told.
    stride : tuple of float
    """

    layer: str
    border: float
    aliasing: float
    border_share: float
    told_by: str
    stride: tuple[float, ...] = ()

    @property
    def share_text(self) -> str:
        """The border's share in per cent."""
        return "–" if math.isnan(self.border_share) else f"{100 * self.border_share:.0f} %"


def shares(data: xr.Dataset) -> list[Share]:
    """Border and aliasing side by side, where the model was measured with both paddings."""
    if set(data["padding"].to_numpy()) != {"as is", "circular"}:
        raise ValueError("border and aliasing are told apart by measuring with padding='both'")
    paddings = data["padding"].to_numpy().tolist()
    known = data["error"].sel(padding="circular").notnull()  # of continued inputs the first alone
    errors = largest_errors(data.assign(error=data["error"].where(known)))[0]
    own, ring = (errors[paddings.index(p)] for p in ("as is", "circular"))
    rows = []
    for j, (a, c) in enumerate(
        zip(findings(data, "as is"), findings(data, "circular"), strict=True)
    ):
        whole, rest = (float(np.square(e[j]).sum()) for e in (own, ring))
        share = max(0.0, 1 - rest / whole) if whole else 0.0
        if math.isnan(whole + rest):  # multiples alone, where nothing aliases, would be all border
            share = math.nan
        excess = math.sqrt(np.maximum(0.0, a.worst[0] ** 2 - c.worst[0] ** 2))  # keeps NaN
        way = str(data["border_by"][j].item()) if "border_by" in data.coords else ""
        if way.startswith(NOT_TOLD):
            excess = share = math.nan
        elif math.isnan(whole + rest) and math.isnan(excess):  # nothing was compared
            way = ""
        rows.append(Share(a.layer, excess, largest(np.array(c.worst[1:])), share, way, a.stride))
    return rows


def shares_table(rows: Sequence[Share]) -> str:
    """Border and aliasing, a line for each layer; of many the worst of those at one stride."""

    def together(row: Share) -> Any:
        few = len(rows) <= ALL_SHOWN
        return row.layer if few else (row.stride, row.told_by, owner_is_model(row.layer))

    cells = []
    for _, some in itertools.groupby(rows, together):
        found = list(some)
        name = found[0].layer + (f" … {found[-1].layer} ({len(found)})" if len(found) > 1 else "")
        worst = (
            largest(np.array([getattr(r, key) for r in found])) for key in ("border", "aliasing")
        )
        said = dict.fromkeys(r.share_text for r in (found[0], found[-1]))
        cells.append([name, *map(number, worst), " … ".join(said), found[0].told_by])
    return aligned(["layer", "border", "aliasing", "border's share", "told by"], cells)
