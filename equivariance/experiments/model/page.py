"""What the experiment `model` tells: verdicts, tables, pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from equivariance.experiments.finding import Finding, Table, large, small, told
from equivariance.measuring.findings import Share, findings, judged, shares
from equivariance.measuring.plots import LABELS, Maps, draw_maps, layers_picture
from equivariance.measuring.telling import (
    BORDER,
    TITLES,
    Remedy,
    firsts,
    judged_remedies,
    remedies_table,
    shares_table,
)
from equivariance.plots import STYLES
from equivariance.table import number
from equivariance.verdict import CLASSES, COLUMNS, classes, tolerance

TITLE = "Where a residual network stops being translation equivariant"
PICTURES = ("model", "model-maps", "model-layers")

#: The layers that are shown where all would be too many.
STAGES = ("conv1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "output")
#: Errors that theory has are at least so large.
BROKEN = 1e-3
#: The errors that colours span; zeros have the lowest one.
COLOURS = (1e-9, 1.0)
BLURRED, RING, COMOVING = (
    "BlurPool, 4 taps, circular padding",
    "circular padding",
    "comoving frame",
)


def judge(data: xr.Dataset) -> list[Finding]:
    """The predictions, held against the errors alone."""
    data = judged(data)
    limit, error, own = bound(data), worst(data), multiples(data)
    maps = np.flatnonzero(data["space"].to_numpy() == "periodic")
    ring = error.sel(padding="circular").isel(layer=maps)
    exact = data["bitwise"].sel(padding="circular").isel(layer=maps).to_numpy()
    zero = small("", float(ring.where(own).max()), limit)
    rows = findings(data, "as is")
    inner = [row.interior for row in rows if row.interior == row.interior]
    border = small("", max(inner, default=np.nan), limit)
    first = data.attrs["first_broken_multiples_as_is"]
    group = str(data["subgroup"].sel(padding="circular")[-1].item())
    mended = {r.name: r.worst for r in remedies(data)}
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
        small("in a comoving frame every real translation is mended", max(mended[COMOVING]), limit),
    ]


def bound(data: xr.Dataset) -> float:
    """Up to here errors are round-off."""
    return tolerance(data.attrs["dtype"])


def worst(data: xr.Dataset) -> xr.DataArray:
    """Largest errors over the inputs, (padding, layer, translation); NaN where none was compared."""
    return data["error"].max("input")


def multiples(data: xr.Dataset) -> xr.DataArray:
    """Whether a translation is a multiple of a layer's stride, (layer, translation)."""
    t = data["t"].transpose("translation", "axis").to_numpy()
    strides = data["stride"].transpose("layer", "axis").to_numpy()
    masks = np.stack([classes(t, stride)[0] for stride in strides])
    return xr.DataArray(masks, {"layer": data["layer"]}, ("layer", "translation"))


def divided(data: xr.Dataset) -> xr.DataArray:
    """The worst errors by the coarsest stride that divides a translation, (padding, layer, divisor).

    The divisor is 0 for translations by parts of a pixel.
    """
    t = data["t"].transpose("translation", "axis").to_numpy()
    strides = sorted({1, *(round(s) for s in data["stride"].to_numpy().ravel() if s >= 1)})
    divisor = np.zeros(len(t))
    for s in strides:
        divisor[(t % s == 0).all(1)] = s
    error = worst(data)
    parts = [error.isel(translation=divisor == s).max("translation") for s in (0, *strides)]
    out = xr.concat(parts, "divisor").assign_coords(divisor=[0, *strides])
    return out.transpose("padding", "layer", "divisor")


def remedies(data: xr.Dataset) -> list[Remedy]:
    """The class scores' errors with each remedy."""
    return judged_remedies(data["remedy_error"], data)


def table(data: xr.Dataset) -> Table:
    """A row for each padding and layer, errors by the coarsest stride that divides the translation."""
    error = divided(data)
    dividing = ["parts", *(f"{s:g}" for s in error["divisor"].to_numpy()[1:])]
    rows = []
    for padding in data["padding"].to_numpy():
        cells = error.sel(padding=padding).to_numpy()
        for row, each in zip(findings(data, str(padding)), cells, strict=True):
            last = [number(row.interior), row.verdict, *row.words]
            rows.append([str(padding), row.layer, row.stride_text, *map(number, each), *last])
    header = ["padding", "layer", "stride", *dividing]
    return Table([*header, "interior", "verdict", *COLUMNS], rows)


def stages(data: xr.Dataset) -> Table:
    """The rows of the stages."""
    whole = table(data)
    shown = len(whole.header) - 2  # both errors are the worst of those by divisor
    rows = [row[:shown] for row in whole.rows if row[1] in STAGES]
    return Table(whole.header[:shown], rows)


def text(data: xr.Dataset) -> str:
    """The stages, what became of the predictions, border and aliasing, remedies."""
    heading = (
        "Relative equivariance error of every stage: the worst over translations by parts of a pixel, and by the\n"
        "coarsest stride that divides them; at multiples of its own stride away from the border."
    )
    parts = [told(heading, stages(data), judge(data))]
    parts.append(f"{BORDER}\n{shares_table(_stage_shares(data))}")
    parts.append(
        "What would mend it: the class scores' error with the same weights, not trained for the change\n"
        + remedies_table(remedies(data))
    )
    parts.append(f"0 is exact, up to {bound(data):.1e} is round-off, – wasn't compared.")
    return "\n\n".join(parts)


def _stage_shares(data: xr.Dataset) -> list[Share]:
    return [row for row in shares(data) if row.layer in STAGES]


def pictures(data: xr.Dataset) -> dict[str, Figure]:
    """Stages against translations beside the remedies; maps of one layer; all layers."""
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 0.9])
    middle.sharey(left)
    for ax, padding in ((left, "as is"), (middle, "circular")):
        _staircase(ax, divided(data).sel(padding=padding), data)
        ax.set_title(padding, fontsize=11)
    middle.tick_params(labelleft=False)
    colours = ScalarMappable(LogNorm(*COLOURS), "cividis")
    bar = figure.colorbar(colours, ax=[left, middle], shrink=0.9, pad=0.01)
    bar.set_label("relative error, the worst")
    _remedies(right, data)
    return {"model": figure, "model-maps": _maps(data), "model-layers": layers_picture(data)}


def _staircase(ax: Axes, error: xr.DataArray, data: xr.Dataset) -> None:
    """Errors as colours: stages down, translations across; multiples of a stage's stride are framed."""
    names = data["layer"].to_numpy()
    rows = [i for i, name in enumerate(names) if name in STAGES]
    values, divisors = error.to_numpy()[rows], error["divisor"].to_numpy()
    strides = data["stride"].to_numpy()[rows, 0]
    ax.set_facecolor("#ececec")
    ax.imshow(values.clip(*COLOURS), cmap="cividis", norm=LogNorm(*COLOURS), aspect="auto")
    for (i, k), value in np.ndenumerate(values):
        colour = "white" if value < 1e-5 else "black"
        said = "–" if np.isnan(value) else "0" if value == 0 else _short(value)
        ax.text(k, i, said, ha="center", va="center", fontsize=8, color=colour)
    for i, stride in enumerate(strides):
        first = int(np.argmax(divisors >= stride))
        ax.plot([first - 0.5] * 2, [i - 0.5, i + 0.5], color="#D55E00", lw=2.5)
    labels = [f"{n}, stride {s:g}" for n, s in zip(names[rows], strides, strict=True)]
    ax.set_yticks(range(len(rows)), labels, fontsize=9)
    ax.set_xticks(range(len(divisors)), ["parts", *(f"{d:g}" for d in divisors[1:])], fontsize=9)
    ax.set_xlabel("coarsest stride dividing the translation", fontsize=9)


def _short(value: float) -> str:
    return f"{value:.2f}" if value >= 0.01 else f"{value:.0e}".replace("e-0", "e-")


def _remedies(ax: Axes, data: xr.Dataset) -> None:
    """The class scores' errors with each remedy, by class of translation."""
    mended, limit = remedies(data), bound(data)
    places = np.arange(len(mended))
    for i, name in enumerate(CLASSES):
        colour, marker = STYLES[(4, 1, 3)[i]]
        errors = np.maximum([row.worst[i] for row in mended], COLOURS[0])
        label = LABELS[name].replace("its stride", "all strides")
        ax.semilogx(errors, places + 0.2 * (i - 1), marker, color=colour, ms=6, label=label)
    ax.axvspan(COLOURS[0] / 3, limit, color="#eef3f7", zorder=0)
    ax.text(COLOURS[0], len(mended) - 0.65, "round-off", fontsize=8, color="#555555")
    ax.set_yticks(places, [row.name.replace(", circ", ",\ncirc") for row in mended], fontsize=9)
    ax.set(ylim=(len(mended) - 0.5, -1.9), xlim=(COLOURS[0] / 3, 2))
    ax.set_xlabel("relative error of the class scores, the worst")
    ax.set_title("what would mend it", fontsize=11)
    ax.grid(axis="x", color="#dddddd", lw=0.6)
    ax.legend(frameon=False, fontsize=8, loc="upper left")


def _maps(data: xr.Dataset) -> Figure:
    """One layer's maps for each move, side by side."""
    figure = Figure(figsize=(15, 5.4), layout="constrained")
    parts: Any = figure.subfigures(1, data.sizes["move"], wspace=0.04)
    for move, part in enumerate(parts):
        cell = data.isel(move=move)
        t = tuple(float(x) for x in cell["moved"].to_numpy())
        values = cell["map"].transpose("padding", "way", "y1", "y2").to_numpy()
        rows = {str(p): (v[0], v[1]) for p, v in zip(data["padding"].data, values, strict=True)}
        draw_maps(part, Maps(data["map"].attrs["layer"], t, rows))
    return figure


def content(data: xr.Dataset) -> dict[str, Any]:
    """Stages, border and aliasing, remedies."""
    t = data["t"].transpose("translation", "axis").to_numpy()
    return {
        "stages": stages(data),
        "firsts": {TITLES[p]: firsts(data, p) for p in data["padding"].to_numpy()},
        "shares": _stage_shares(data),
        "remedies": remedies(data),
        "tolerance": bound(data),
        "whole": int((t == t.round()).all(1).sum()),
        "count": len(t),
        "outputs": data.sizes["layer"],
    }
