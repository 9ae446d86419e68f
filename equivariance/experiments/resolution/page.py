"""What the experiment `resolution` tells: orders, verdicts, table, picture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from equivariance.experiments.finding import Finding, Table, told
from equivariance.plots import LEAST, STYLES, lifted
from equivariance.table import number
from equivariance.verdict import tolerance

TITLE = "How fine a grid has to be"
PICTURES = ("resolution",)

#: How far a fitted order may be from the predicted one, and the foretold error from the measured, relative.
ORDER, FORETOLD = 0.15, 0.01
#: Grids from so many points per axis on show the order; on coarser ones a field is hardly seen.
SEEN = 64


def orders(error: xr.DataArray) -> np.ndarray:
    """Exponents p of error ∝ h^p, fitted on the finer grids beyond round-off; NaN where too few are left."""
    sizes = error["size"].to_numpy()
    fitted = []
    for row in error.transpose(..., "size").to_numpy():
        used = (sizes >= min(SEEN, sizes[-2])) & (row > tolerance())
        two = used.sum() > 1
        fitted.append(-np.polyfit(np.log(sizes[used]), np.log(row[used]), 1)[0] if two else np.nan)
    return np.array(fitted)


def judge(data: xr.Dataset) -> list[Finding]:
    """The predictions, held against the errors alone."""
    measured, foretold = data["measured"].to_numpy(), data["foretold"].to_numpy()
    off = np.abs(measured / foretold - 1)[~(foretold <= tolerance())].max()
    found = [
        Finding(
            f"the spectrum foretells the error of sampling to {FORETOLD:.0%}",
            f"off by {off:.1e} at most",
            bool(off <= FORETOLD),
        )
    ]
    for name, theory, fitted in _theory(data):
        if math.isfinite(theory):
            said = f"order {theory:g} ± {ORDER}"
            found.append(
                Finding(f"{name}: {said}", f"{fitted:.2f}", bool(abs(fitted - theory) <= ORDER))
            )
    gaussian = data["measured"].sel(field="Gaussian").to_numpy()
    slopes = np.log2(gaussian[:-1] / gaussian[1:])[gaussian[1:] > tolerance()]
    growing = bool(len(slopes) > 1 and (np.diff(slopes) > 0).all())
    said = " < ".join(f"{s:.1f}" for s in slopes)
    found.append(Finding("Gaussian: orders that grow with every halving", said, growing))
    fine = data["size"].to_numpy() > 2 * data.attrs["band"]
    worst = float(data["measured"].sel(field="band-limited").to_numpy()[fine].max())
    said = "band-limited: round-off as soon as the Nyquist frequency is above the band"
    return [*found, Finding(said, number(worst), worst <= tolerance())]


def _theory(data: xr.Dataset) -> list[tuple[str, float, float]]:
    """Name, predicted and fitted order of all fields and layers."""
    parts = [("field", "order", "measured"), ("layer", "layer_order", "error")]
    return [
        (str(name), float(theory), float(fitted))
        for dim, order, error in parts
        for name, theory, fitted in zip(
            data[dim].to_numpy(), data[order].to_numpy(), orders(data[error]), strict=True
        )
    ]


def table(data: xr.Dataset) -> Table:
    """Errors by field or layer, foretold beside measured, and the orders."""
    sizes = [str(n) for n in data["size"].to_numpy()]
    theory = {name: (a, b) for name, a, b in _theory(data)}
    rows = []
    for name in data["field"].to_numpy():
        for kind in ("measured", "foretold"):
            errors = map(number, data[kind].sel(field=name).to_numpy())
            rows.append([str(name), kind, *errors, *_orders(*theory[name])])
    for name in data["layer"].to_numpy():
        errors = map(number, data["error"].sel(layer=name).to_numpy())
        rows.append([str(name), "measured", *errors, *_orders(*theory[name])])
    return Table(["of", "", *sizes, "order", "theory"], rows)


def _orders(theory: float, fitted: float) -> list[str]:
    return [f"{fitted:.2f}", f"{theory:g}"] if math.isfinite(theory) else ["–", "every"]


def text(data: xr.Dataset) -> str:
    """The table, and what became of the predictions."""
    heading = (
        "Relative error against points per period: of sampling and interpolating, root mean square over all real\n"
        "translations; of layers, on samples against on the field."
    )
    return told(heading, table(data), judge(data))


def pictures(data: xr.Dataset) -> dict[str, Figure]:
    """Errors against spacing on log axes: fields with what was foretold, and layers with their orders."""
    figure = Figure(figsize=(11.5, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    spacing = 1 / data["size"].to_numpy()
    for i, name in enumerate(data["field"].to_numpy()):
        colour, marker = STYLES[i]
        cell = data.sel(field=name)
        foretold = np.where(cell["foretold"] > tolerance(), cell["foretold"], np.nan)
        left.loglog(spacing, foretold, color=colour, lw=1.2)
        left.loglog(
            spacing, lifted(cell["measured"]), marker, color=colour, ms=7, mfc="none", label=name
        )
    left.plot([], [], color="#777777", lw=1.2, label="foretold")
    left.set_title("sampling and interpolating: marks measured, lines foretold", fontsize=11)
    for i, name in enumerate(data["layer"].to_numpy()):
        colour, marker = STYLES[i + 1]
        error = lifted(data["error"].sel(layer=name))
        right.loglog(spacing, error, marker, ls="-", color=colour, ms=6, lw=1.2, label=name)
        order = float(data["layer_order"].sel(layer=name))
        if math.isfinite(order):
            guide = error[-1] * 0.4 * (spacing / spacing[-1]) ** order
            right.loglog(spacing, guide, color="#777777", ls=":", lw=1.2)
            at = spacing[-1], guide[-1]
            right.annotate(f"order {order:g}", at, (2, -13), textcoords="offset points")
    right.set_title("layers on samples, against the layers on the field", fontsize=11)
    for axes in (left, right):
        _furnish(axes, data["size"].to_numpy())
    return {"resolution": figure}


def _furnish(axes: Axes, sizes: np.ndarray) -> None:
    axes.axhspan(LEAST, tolerance(), color="#eef3f7", zorder=0)
    axes.text(1 / sizes[-1], tolerance() / 3, "round-off", fontsize=9, color="#555555", va="top")
    axes.set_ylim(LEAST, 5)
    axes.set_xlabel("spacing (periods)")
    axes.set_ylabel("relative error")
    axes.set_xticks(1 / sizes, [f"1/{n}" for n in sizes])
    axes.minorticks_off()
    axes.grid(True, color="#dddddd", lw=0.6)
    axes.legend(frameon=False, fontsize=9, loc="lower right")


def content(data: xr.Dataset) -> dict[str, Any]:
    """Nothing beside the rest."""
    return {}
