"""What the experiment `invariance` tells: verdicts, table, picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from equivariance.experiments.finding import Finding, Table, told
from equivariance.plots import coloured
from equivariance.table import number

TITLE = "Which invariants survive"
PICTURES = ("invariance",)

KINDS: dict[str, str | float] = {"mean": "mean", "root mean square": 2, "maximum": "max"}
CLASSES = ("even", "odd", "real")
#: What leaves mean, root mean square and maximum alone: r all real translations, w whole pixels, m multiples of the
#: stride.
PROMISES = {
    "continuous": "rrr",
    "no stride": "www",
    "stride": "mmm",
    "average pooling": "wmm",
    "max pooling": "mmw",
    "max, blur 4": "wmm",
    "blur 4": "wmm",
    "blur 5": "wmm",
    "ideal low-pass": "wwm",
    "APS": "www",
    "LPS": "www",
    "Xu et al.": "www",
    "alias-free, poly 2": "rrm",
    "up 2, GELU, ideal": "wwm",
    "StyleGAN3": "mmm",
    "StyleGAN3, critical": "mmm",
    "comoving, linear": "rrr",
    "poly 2, comoving": "rrr",
    "comoving, then ReLU": "rrr",
}
#: Classes of translations within each promise.
WITHIN = {"r": 3, "w": 2, "m": 1}
#: Changes up to here are rounding; those that theory has are at least `BROKEN`.
ROUNDING, BROKEN = 1e-12, 1e-7


def agreeing(data: xr.Dataset) -> np.ndarray:
    """Where the change is what theory says, (layer, invariant, translations)."""
    error = data["error"].transpose("layer", "invariant", "translations").to_numpy()
    agree = np.empty(error.shape, dtype=bool)
    for i, name in enumerate(data["layer"].to_numpy()):
        limit = 2 * data.attrs["rtol"] if name == "continuous" else ROUNDING
        for j, promise in enumerate(PROMISES[str(name)]):
            kept = np.arange(error.shape[2]) < WITHIN[promise]
            agree[i, j] = np.where(kept, error[i, j] <= limit, error[i, j] >= BROKEN)
    return agree


def judge(data: xr.Dataset) -> list[Finding]:
    """The promises of all methods, held against the changes alone."""
    agree, names = agreeing(data), data["layer"].to_numpy()
    field = float(data["error"].sel(layer="continuous").to_numpy().max())
    tolerance = 2 * data.attrs["rtol"]
    found = [
        Finding(
            f"continuous: invariant to the tolerance of its integrals, {tolerance:g}",
            f"{number(field)} at most",
            field <= tolerance,
        )
    ]
    grids = names != "continuous"
    for j, kind in enumerate(data["invariant"].to_numpy()):
        promised = [PROMISES[str(n)][j] for n in names[grids]]
        said = ", ".join(
            f"{promised.count(p)} {what}"
            for p, what in (
                ("r", "to real translations"),
                ("w", "to whole pixels"),
                ("m", "to even ones"),
            )
        )
        held = int(agree[grids, j].all(-1).sum())
        found.append(
            Finding(
                f"{kind}: invariant {said}",
                f"{held} of {len(promised)} as they should",
                held == len(promised),
            )
        )
    return found


def table(data: xr.Dataset) -> Table:
    """Changes, a mark where they aren't what theory says."""
    agree = agreeing(data)
    error = data["error"].transpose("layer", "invariant", "translations").to_numpy()
    header = [f"{kind}, {t}" for kind in ("mean", "RMS", "max") for t in CLASSES]
    rows = [
        [str(name)]
        + [
            number(e) + ("" if ok else " !")
            for e, ok in zip(error[i].ravel(), agree[i].ravel(), strict=True)
        ]
        for i, name in enumerate(data["layer"].to_numpy())
    ]
    return Table(["layer", *header], rows)


def text(data: xr.Dataset) -> str:
    """The table, and what became of the predictions."""
    heading = "Largest relative change of invariants under even, odd and random real translations, in pixels."
    return told(heading, table(data), judge(data))


def pictures(data: xr.Dataset) -> dict[str, Figure]:
    """Changes as colours: methods down, invariants and classes of translations across."""
    names = data["layer"].to_numpy()
    error = data["error"].transpose("layer", "invariant", "translations").to_numpy()
    cells = error.reshape(len(names), -1)
    figure = Figure(figsize=(9.6, 1.6 + 0.34 * len(names)), layout="constrained")
    ax = figure.subplots()
    image = coloured(ax, cells)
    ax.set_xticks(range(cells.shape[1]), list(CLASSES) * len(KINDS), fontsize=9)
    ax.xaxis.tick_top()
    for j, kind in enumerate(data["invariant"].to_numpy()):
        place = (len(CLASSES) * j + (len(CLASSES) - 1) / 2, 1.0)
        ax.annotate(
            str(kind),
            place,
            (0, 22),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            fontsize=11,
        )
        if j:
            ax.axvline(len(CLASSES) * j - 0.5, color="white", lw=2)
    ax.set_yticks(range(len(names)), names.tolist(), fontsize=9)
    figure.colorbar(image, ax=ax, shrink=0.8).set_label("largest relative change")
    return {"invariance": figure}


def content(data: xr.Dataset) -> dict[str, Any]:
    """Nothing beside the rest."""
    return {}
