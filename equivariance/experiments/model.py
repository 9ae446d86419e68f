"""The experiment `model`: what `equivariance measure` does, on a residual network.

Every layer's output under every translation, as the network is and with circular padding; the class scores with every
remedy; the maps of one layer, both ways round the square.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure
from torch import nn

from equivariance.experiments.model_settings import ModelSettings
from equivariance.experiments.residual_network import resnet
from equivariance.experiments.stages import (
    STAGES,
    divided,
    dividing,
    maps_picture,
    stages_picture,
    worst,
)
from equivariance.experiments.study import Finding, Study, Table, large, small, told
from equivariance.measuring.border import BORDER, Share, shares, shares_table
from equivariance.measuring.layer_errors import measure as measure_model
from equivariance.measuring.measured import TITLES, findings, firsts, judged
from equivariance.measuring.measured import Finding as Row
from equivariance.measuring.plots import Maps, feature_maps, layers_picture
from equivariance.measuring.prepared import prepare
from equivariance.measuring.remedy import Remedy, judged_remedies, remeasured, remedies_table
from equivariance.measuring.surveying import survey
from equivariance.text import number
from equivariance.verdicts import COLUMNS, classes, tolerance

log = logging.getLogger(__name__)

#: The layer whose maps are shown, and its stride.
SHOWN, STEP = "layer1", 4
#: Translations at which they are: a multiple of the stride, and half a step more.
MOVES = ((0.0, 2.0 * STEP), (0.0, 2.5 * STEP))
#: Errors that theory has are at least so large.
BROKEN = 1e-3
BLURRED, RING, COMOVING = (
    "BlurPool, 4 taps, circular padding",
    "circular padding",
    "comoving frame",
)


class Model(Study):
    """Errors of all layers and remedies, and maps of one layer."""

    TITLE = "Where a residual network stops being translation equivariant"
    PICTURES = ("model", "model-maps", "model-layers")
    heading = (
        "Relative equivariance error of every stage: the worst over translations by parts of a pixel, and by the\n"
        "coarsest stride that divides them; at multiples of its own stride away from the border."
    )

    def measure(self) -> xr.Dataset:
        """The errors, by layer and by remedy, and the maps."""
        settings, size = self.settings, (self.settings.size,) * 2
        network = resnet(settings.seed, settings.width)
        options: dict[str, Any] = {"limit": settings.inputs, "seed": settings.seed}
        log.info("Measuring %d layers …", len([m for m in network.modules() if m is not network]))
        data = measure_model(network, size=size, count=settings.count, progress=True, **options)
        log.info("Measuring what would mend it …")
        again = remeasured(network, None, data["t"].to_numpy(), size, **options)
        data["remedy_error"] = again["error"].assign_attrs(data["error"].attrs)
        paddings = data["padding"].to_numpy().tolist()
        maps = [shown(network, settings, t, paddings) for t in MOVES]
        values = np.array([[each.rows[padding] for padding in paddings] for each in maps])
        data["map"] = (("move", "padding", "way", "y1", "y2"), values)
        data["map"].attrs = {"long_name": f"one channel of {SHOWN}", "layer": SHOWN}
        return data.assign_coords(
            way=["apply to the translated input", "translate the output"],
            moved=(("move", "axis"), np.array([each.t for each in maps])),
        )

    @property
    def bound(self) -> float:
        """Up to here errors are round-off."""
        return tolerance(self.data.attrs["dtype"])

    @cached_property
    def rows(self) -> dict[str, list[Row]]:
        """What was found of each layer, by padding."""
        data = judged(self.data)
        return {str(p): findings(data, str(p)) for p in self.data["padding"].to_numpy()}

    @cached_property
    def shares(self) -> list[Share]:
        """Border and aliasing of the stages."""
        return [row for row in shares(self.data) if row.layer in STAGES]

    @cached_property
    def divided(self) -> xr.DataArray:
        """The worst errors by the coarsest stride that divides a translation."""
        return divided(self.data)

    @cached_property
    def remedies(self) -> list[Remedy]:
        """The class scores' errors with each remedy."""
        return judged_remedies(self.data["remedy_error"], self.data)

    @cached_property
    def findings(self) -> list[Finding]:
        """The predictions, held against the errors alone."""
        data, limit = judged(self.data), self.bound
        error, own = worst(data), multiples(data)
        maps = np.flatnonzero(data["space"].to_numpy() == "periodic")
        ring = error.sel(padding="circular").isel(layer=maps)
        exact = data["bitwise"].sel(padding="circular").isel(layer=maps).to_numpy()
        zero = small("", float(ring.where(own).max()), limit)
        rows = self.rows["as is"]
        inner = [row.interior for row in rows if row.interior == row.interior]
        border = small("", max(inner, default=np.nan), limit)
        first = data.attrs["first_broken_multiples_as_is"]
        group = str(data["subgroup"].sel(padding="circular")[-1].item())
        mended = {r.name: r.worst for r in self.remedies}
        return [
            Finding(
                "circular padding: every map commutes with the multiples of its own stride",
                f"{zero.measured}, bit for bit in {int(exact.sum())} of {len(maps)} maps",
                zero.holds,
            ),
            large("and with no other translation", float(ring.where(~own).min()), BROKEN),
            Finding(
                "class scores: unchanged by multiples of the product of all strides only",
                group,
                group == " × ".join(f"{s:g}Z" for s in data["stride"].to_numpy().max(0)),
            ),
            Finding(
                "as it is: the first convolution's border breaks the multiples, too",
                f"first broken by {first or 'none'}",
                first == rows[0].layer,
            ),
            Finding(
                "where no padding is in sight they hold",
                f"{border.measured}, {len(inner)} maps have such points",
                border.holds,
            ),
            Finding(
                "blurred strides: smaller errors, none of them mended",
                f"{number(mended[BLURRED][1])} instead of {number(mended[RING][1])}",
                mended[BLURRED][0] <= limit and BROKEN < mended[BLURRED][1] < mended[RING][1],
            ),
            small(
                "in a comoving frame every real translation is mended", max(mended[COMOVING]), limit
            ),
        ]

    @cached_property
    def table(self) -> Table:
        """A row for each padding and layer, errors by the coarsest stride that divides the translation."""
        rows = []
        for padding, found in self.rows.items():
            cells = self.divided.sel(padding=padding).to_numpy()
            for row, each in zip(found, cells, strict=True):
                last = [number(row.interior), row.verdict, *row.words]
                rows.append([padding, row.layer, row.stride_text, *map(number, each), *last])
        header = ["padding", "layer", "stride", *dividing(self.divided)]
        return Table([*header, "interior", "verdict", *COLUMNS], rows)

    @property
    def stages(self) -> Table:
        """The rows of the stages."""
        shown = len(self.table.header) - 2  # both errors are the worst of those by divisor
        rows = [row[:shown] for row in self.table.rows if row[1] in STAGES]
        return Table(self.table.header[:shown], rows)

    @property
    def text(self) -> str:
        """The stages, what became of the predictions, border and aliasing, remedies."""
        parts = [told(self.heading, self.stages, self.findings)]
        parts.append(f"{BORDER}\n{shares_table(self.shares)}")
        parts.append(
            "What would mend it: the class scores' error with the same weights, not trained for the change\n"
            + remedies_table(self.remedies)
        )
        parts.append(f"0 is exact, up to {self.bound:.1e} is round-off, – wasn't compared.")
        return "\n\n".join(parts)

    def pictures(self) -> dict[str, Figure]:
        """Stages against translations beside the remedies; maps of one layer; all layers."""
        stages = stages_picture(self.divided, self.data, self.remedies, self.bound)
        layers = layers_picture(self.data)
        return {"model": stages, "model-maps": maps_picture(self.data), "model-layers": layers}

    def content(self) -> dict[str, Any]:
        """Stages, border and aliasing, remedies."""
        t = self.data["t"].transpose("translation", "axis").to_numpy()
        return {
            "stages": self.stages,
            "firsts": {TITLES[padding]: firsts(self.data, padding) for padding in self.rows},
            "shares": self.shares,
            "remedies": self.remedies,
            "tolerance": self.bound,
            "whole": int((t == t.round()).all(1).sum()),
            "count": len(t),
            "outputs": self.data.sizes["layer"],
        }


def shown(
    network: nn.Module, settings: ModelSettings, t: tuple[float, ...], paddings: list[str]
) -> Maps:
    """The maps of one layer for one translation."""
    subject = prepare(network, None, (settings.size,) * 2, SHOWN, limit=1, seed=settings.seed)
    with torch.no_grad():
        zero = subject.at(torch.zeros(1, 2, dtype=torch.float64))
        frames = {f.name: f for f in survey(subject.module, zero, SHOWN)}
    maps = feature_maps(subject, {SHOWN: frames[SHOWN]}, t, paddings)
    assert maps is not None, f"{SHOWN} is a map of more than 8 samples a side"
    return maps


def multiples(data: xr.Dataset) -> xr.DataArray:
    """Whether a translation is a multiple of a layer's stride, (layer, translation)."""
    t = data["t"].transpose("translation", "axis").to_numpy()
    strides = data["stride"].transpose("layer", "axis").to_numpy()
    masks = np.stack([classes(t, stride)[0] for stride in strides])
    return xr.DataArray(masks, {"layer": data["layer"]}, ("layer", "translation"))
