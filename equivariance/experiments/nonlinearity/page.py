"""What the experiment `nonlinearity` tells: verdicts, table, picture."""

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

TITLE = "What nonlinearities do to a band limit"
PICTURES = ("nonlinearity",)

#: Relative energies of long sums that are rounding.
ROUNDING = 1e-12
#: How far a fitted order may be from the predicted one, and the foretold error from the measured, relative.
ORDER, FORETOLD = 0.2, 0.01
#: Bands, in K, between which the order of a tail is fitted.
FITTED = 16.0, 128.0


def judge(data: xr.Dataset) -> list[Finding]:
    """The predictions, held against the numbers alone."""
    measured, foretold = data["measured"].to_numpy(), data["foretold"].to_numpy()
    off = np.abs(measured / foretold - 1)[~(foretold <= ROUNDING)].max()
    said = f"the spectrum foretells the error to {FORETOLD:.0%}"
    found = [Finding(said, f"off by {off:.1e} at most", bool(off <= FORETOLD))]
    for name, degree in zip(data["activation"].to_numpy(), data["degree"].to_numpy(), strict=True):
        if degree:
            found += _polynomial(data.sel(activation=name), str(name), int(degree))
    for name, order in zip(data["activation"].to_numpy(), data["order"].to_numpy(), strict=True):
        if math.isfinite(order):
            cell = data.sel(activation=name)
            fitted = _slope(cell["band"], cell["tail"], *FITTED)
            gained = _slope(cell["oversampling"], cell["measured"], 2, math.inf)
            found += [
                _close(f"{name}: the tail falls like band^−{order:g}", fitted, order),
                _close(f"{name}: the error falls like u^−{order + 0.5:g}", gained, order + 0.5),
            ]
    smooth = (data["degree"] == 0) & ~np.isfinite(data["order"])
    worst = float(data["tail"].sel(band=32.0).to_numpy()[smooth.to_numpy()].max())
    said = "analytic activations: tails fall faster than any power, below 1e-9 at 32 K"
    return [*found, Finding(said, number(worst), worst <= 1e-9)]


def _polynomial(cell: xr.Dataset, name: str, degree: int) -> list[Finding]:
    """No waves beyond degree·K, and no error from an over-sampling of (degree + 1)/2 on."""
    beyond = float(cell["tail"].to_numpy()[cell["band"].to_numpy() >= degree].max())
    least = (degree + 1) / 2
    error = float(cell["measured"].to_numpy()[cell["oversampling"].to_numpy() >= least].max())
    return [
        Finding(f"{name}: no waves beyond {degree} K", number(beyond), beyond <= ROUNDING),
        Finding(f"{name}: exact from u = {least:g} on", number(error), error <= ROUNDING),
    ]


def _slope(x: xr.DataArray, y: xr.DataArray, low: float, high: float) -> float:
    used = ((x >= low) & (x <= high) & (y > 0)).to_numpy()
    return -float(np.polyfit(np.log(x.to_numpy()[used]), np.log(y.to_numpy()[used]), 1)[0])


def _close(prediction: str, value: float, theory: float) -> Finding:
    return Finding(f"{prediction} ± {ORDER}", f"{value:.2f}", abs(value - theory) <= ORDER)


def table(data: xr.Dataset) -> Table:
    """Bands that tails need, and errors by over-sampling."""
    tails = [f"band for {t:g}" for t in data["tail_size"].to_numpy()]
    factors = [f"u = {u}" for u in data["oversampling"].to_numpy()]
    rows = []
    for name in data["activation"].to_numpy():
        cell = data.sel(activation=name)
        bands = [f"{b:.1f} K" if math.isfinite(b) else "none" for b in cell["needed"].to_numpy()]
        rows.append([str(name), *bands, *map(number, cell["measured"].to_numpy())])
    return Table(["activation", *tails, *factors], rows)


def text(data: xr.Dataset) -> str:
    """The table, and what became of the predictions."""
    heading = (
        "Band beyond which activations of fields of band K leave a tail of 1e-2, 1e-3 and 1e-6, and relative\n"
        "equivariance errors on a grid, the activation applied on one u times as fine."
    )
    return told(heading, table(data), judge(data))


def pictures(data: xr.Dataset) -> dict[str, Figure]:
    """Tails against the band, and errors against over-sampling."""
    figure = Figure(figsize=(11.5, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, name in enumerate(data["activation"].to_numpy()):
        colour, marker = STYLES[i]
        cell, style = data.sel(activation=name), {"marker": marker, "color": colour, "ms": 5}
        left.loglog(cell["band"], lifted(cell["tail"]), lw=1.2, markevery=2, label=name, **style)
        u = cell["oversampling"].to_numpy()
        foretold = np.where(cell["foretold"] > ROUNDING, cell["foretold"], np.nan)
        right.loglog(u, foretold, color=colour, lw=1.2)
        right.loglog(
            u, lifted(cell["measured"]), ls="", mfc="none", label=name, **(style | {"ms": 7})
        )
    left.set_title("waves that an activation makes", fontsize=11)
    left.set_xlabel("band (multiples of the input's, K)")
    left.set_ylabel("part beyond it, relative")
    left.axvline(data.attrs["nyquist"], color="#777777", ls="--", lw=1)
    left.text(data.attrs["nyquist"] * 1.05, 1e-15, "Nyquist", fontsize=9, color="#555555")
    right.set_title("what over-sampling buys: marks measured, lines foretold", fontsize=11)
    right.set_xlabel("over-sampling u")
    right.set_ylabel("relative equivariance error")
    right.set_xticks(data["oversampling"], [str(u) for u in data["oversampling"].to_numpy()])
    right.minorticks_off()
    bands = 2 ** np.arange(8)
    left.set_xticks(bands, [str(b) for b in bands])
    left.minorticks_off()
    for axes in (left, right):
        _furnish(axes)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=7, frameon=False, fontsize=9)
    return {"nonlinearity": figure}


def _furnish(axes: Axes) -> None:
    axes.axhspan(LEAST, ROUNDING, color="#eef3f7", zorder=0)
    axes.set_ylim(LEAST, 5)
    axes.grid(True, color="#dddddd", lw=0.6)


def content(data: xr.Dataset) -> dict[str, Any]:
    """Where the grid's Nyquist frequency lies."""
    return {"nyquist": f"{data.attrs['nyquist']:.2f}"}
