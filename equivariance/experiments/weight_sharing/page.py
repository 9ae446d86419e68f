"""What the experiment `weight-sharing` tells: verdicts, table, picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from equivariance.experiments.finding import Finding, Table, told
from equivariance.plots import STYLES
from equivariance.table import aligned, number

TITLE = "To commute with translations is to share weights"
PICTURES = ("weight-sharing",)

#: Relative errors of sums over whole matrices that are rounding.
ROUNDING = 1e-12


def judge(data: xr.Dataset) -> list[Finding]:
    """The predictions, held against the numbers alone."""
    agree = (data["dimension"] == data["theory"]).to_numpy()
    circulant = (data["convolutions"] == data["dimension"]).to_numpy()
    constant = (data["biases"] == data["biases_theory"]).to_numpy()
    share = np.abs((data["share"] * data["entries"] / data["theory"]).to_numpy() - 1)
    few = 5 * np.sqrt(2 / data["theory"].to_numpy())
    worst = float(data["projection"].to_numpy().max())
    off = float(np.abs((data["residue"] - data["residue_theory"]).to_numpy()).max())
    shared = data["residue_theory"].to_numpy() == 0
    kept, broken = (data["commutator"].to_numpy()[which] for which in (shared, ~shared))
    return [
        _counted("dimensions of the spaces are ∏N·c_in·c_out·s^d", agree),
        _counted("basis elements are convolutions, one kernel per coset", circulant),
        _counted("biases that commute are constant: c_out·s^d of them", constant),
        Finding(
            "a random matrix has its share of them, to its scatter",
            f"off by {share.max():.0%} at most",
            bool((share <= few).all()),
        ),
        Finding(
            "projecting is averaging over translations; what is left is the layer Conv",
            f"to {worst:.0e}",
            worst <= ROUNDING,
        ),
        Finding(
            "layers are as far from sharing as their weights vary", f"to {off:.0e}", off <= ROUNDING
        ),
        Finding(
            "those that share commute with translations, the others don't",
            f"{kept.max():.0e} against {broken.min():.2f} at least",
            bool(kept.max() <= ROUNDING and broken.min() > 1e-3),
        ),
    ]


def _counted(prediction: str, holds: np.ndarray) -> Finding:
    return Finding(prediction, f"{int(holds.sum())} of {len(holds)}", bool(holds.all()))


def table(data: xr.Dataset) -> Table:
    """Spaces of linear maps and biases, found and predicted."""
    header = ["grid, channels, translations", "entries", "dimension", "theory", "convolutions"]
    columns = ["entries", "dimension", "theory", "convolutions", "biases", "biases_theory"]
    rows = [
        [str(case), *(f"{int(data[c][i])}" for c in columns)]
        for i, case in enumerate(data["case"].to_numpy())
    ]
    return Table([*header, "biases", "theory of biases"], rows)


def layers(data: xr.Dataset) -> Table:
    """Layers: what isn't shared, and how far they are from commuting."""
    rows = [
        [
            str(name),
            *(number(float(data[c][i])) for c in ("residue", "residue_theory", "commutator")),
        ]
        for i, name in enumerate(data["layer"].to_numpy())
    ]
    return Table(["layer", "not shared", "theory", "not commuting"], rows)


def counts(data: xr.Dataset) -> Table:
    """Numbers of parameters."""
    kinds = zip(data["kind"].to_numpy(), data["parameters"].to_numpy(), strict=True)
    return Table(["layer", "parameters"], [[str(kind), f"{count:,}"] for kind, count in kinds])


def text(data: xr.Dataset) -> str:
    """The tables, and what became of the predictions."""
    parts = [told("Linear maps that commute with translations.", table(data), judge(data))]
    parts += [aligned(*each) for each in (layers(data), counts(data))]
    return "\n\n".join(parts)


def pictures(data: xr.Dataset) -> dict[str, Figure]:
    """Above a matrix and its parts, below dimensions, layers and numbers of parameters."""
    figure = Figure(figsize=(12, 7.2), layout="constrained")
    axes = figure.subplots(2, 3, height_ratios=[1.15, 1])
    bound = float(np.abs(data["matrix"]).max())
    for ax, name in zip(axes[0], data["part"].to_numpy(), strict=True):
        image = ax.imshow(data["matrix"].sel(part=name), cmap="PuOr_r", vmin=-bound, vmax=bound)
        ax.set_title(name, fontsize=11)
        ax.set_xticks(range(0, data.sizes["row"], 3))
        ax.set_yticks(range(0, data.sizes["row"], 3))
        ax.set_xlabel("input point")
        ax.set_ylabel("output point")
    figure.colorbar(image, ax=axes[0].tolist(), shrink=0.8, label="weight")
    _dimensions(axes[1, 0], data)
    _layers(axes[1, 1], data)
    _counts(axes[1, 2], data)
    return {"weight-sharing": figure}


def _dimensions(ax: Axes, data: xr.Dataset) -> None:
    theory, found = data["theory"].to_numpy(), data["dimension"].to_numpy()
    ends = [theory.min() / 2, theory.max() * 2]
    ax.loglog(ends, ends, color="#777777", lw=1, label="theory")
    ax.loglog(theory, found, "o", color=STYLES[4][0], ms=7, mfc="none", label="found")
    ax.set_xlabel("∏N · c_in · c_out · s^d")
    ax.set_ylabel("dimension of the null space")
    ax.legend(frameon=False, fontsize=9)
    ax.grid(True, color="#dddddd", lw=0.6)


def _layers(ax: Axes, data: xr.Dataset) -> None:
    names = data["layer"].to_numpy()
    places = np.arange(len(names))
    for k, (key, label, shift) in enumerate(
        [("residue", "not shared", -0.17), ("commutator", "not commuting", 0.17)]
    ):
        shown = np.maximum(data[key].to_numpy(), 1e-17)
        colour, marker = STYLES[(1, 4)[k]]
        ax.semilogx(shown, places + shift, marker, color=colour, ms=6, label=label)
    ax.set_yticks(places, names.tolist(), fontsize=9)
    ax.invert_yaxis()
    ax.set_xlim(3e-18, 10)
    ax.set_xlabel("relative part (the left edge is 0)")
    ax.grid(True, color="#dddddd", lw=0.6)
    ax.legend(frameon=False, fontsize=9, loc="center")


def _counts(ax: Axes, data: xr.Dataset) -> None:
    kinds, values = data["kind"].to_numpy(), data["parameters"].to_numpy()
    ax.barh(np.arange(len(kinds)), values, color="#56B4E9", edgecolor="#333333", height=0.6)
    ax.set_xscale("log")
    ax.set_xlim(1, values.max() * 40)
    for i, value in enumerate(values):
        ax.text(value * 1.3, i, f"{value:,}", va="center", fontsize=9)
    ax.set_yticks(np.arange(len(kinds)), kinds.tolist(), fontsize=9)
    ax.invert_yaxis()
    ax.set_xlabel("parameters")


def content(data: xr.Dataset) -> dict[str, Any]:
    """The other tables."""
    return {"layers": layers(data), "counts": counts(data)}
