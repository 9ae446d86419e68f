"""The experiment `weight-sharing`: all maps that commute with translations, found without assuming convolution."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from discretize import Grid
from equivariance.experiments.commuting_maps import (
    SIDE,
    Case,
    convolutions,
    probes,
    projected,
)
from equivariance.experiments.layer_settings import WeightSharingSettings
from equivariance.experiments.study import Finding, Study, Table, counted
from equivariance.plots import LEAST, STYLES, labelled, lifted
from equivariance.text import aligned, number
from equivariance.theorems.intertwining import biases, intertwiners
from equivariance.theorems.sharing import commutator, parameter_counts

#: Points of the grid whose matrices are drawn.
DRAWN = 12
#: Relative errors of sums over whole matrices that are rounding.
ROUNDING = 1e-12


class WeightSharing(Study):
    """Dimensions, projections, counterexamples and parameter counts."""

    TITLE = "To commute with translations is to share weights"
    PICTURES = ("weight-sharing",)
    heading = "Linear maps that commute with translations."

    @torch.no_grad()
    def measure(self) -> xr.Dataset:
        """Spaces found and predicted, layers, numbers of parameters, and a matrix with its parts."""
        settings = self.settings
        tried = cases(settings)
        spaces = [intertwiners(c.shape, c.c_in, c.c_out, c.stride) for c in tried]
        pairs = list(zip(spaces, tried, strict=True))
        cosets = [c.c_out * c.stride ** len(c.shape) for c in tried]
        checks = [projected(space, case, settings.seed) for space, case in pairs]
        chosen, grid = probes(settings.seed), Grid((SIDE, SIDE), 1.0)
        layers = chosen.values()
        draw = torch.Generator().manual_seed(settings.seed)
        random = torch.randn(1, 1, SIDE, SIDE, generator=draw, dtype=torch.float64)
        size = (settings.size,) * 2
        counts = parameter_counts(size, settings.c_in, settings.c_out, settings.kernel)
        biased = [biases(c.shape, c.c_out, c.stride).dimension for c in tried]
        own = [math.prod(c.shape) * c.c_in * n for c, n in zip(tried, cosets, strict=True)]
        return xr.Dataset(
            {
                "dimension": ("case", [space.dimension for space in spaces]),
                "theory": ("case", own),
                "convolutions": ("case", [convolutions(space, case) for space, case in pairs]),
                "biases": ("case", biased),
                "biases_theory": ("case", cosets),
                "share": ("case", [1 - check[0] ** 2 for check in checks]),
                "projection": (("case", "check"), [check[1:] for check in checks]),
                "residue": ("layer", [p.residue(p.layer, grid) for p in layers]),
                "residue_theory": ("layer", [p.theory for p in layers]),
                "commutator": ("layer", [commutator(p.layer, random, grid) for p in layers]),
                "parameters": ("kind", counts["parameters"].to_numpy()),
                "matrix": (("part", "row", "column"), _parts(settings.seed)),
            },
            {
                "case": [str(case) for case in tried],
                "entries": ("case", [math.prod(space.matrix_shape) for space in spaces]),
                "check": ["idempotent", "commutes", "mean over translations", "layer"],
                "layer": list(chosen),
                "kind": counts["layer"].to_numpy().astype(str),
                "part": ["any linear map", "the part that commutes", "the rest"],
            },
        )

    @cached_property
    def findings(self) -> list[Finding]:
        """The predictions, held against the numbers alone."""
        found = {str(name): values.to_numpy() for name, values in self.data.variables.items()}
        theory = found["theory"]
        share = np.abs(found["share"] * found["entries"] / theory - 1)
        few = 5 * np.sqrt(2 / theory)
        worst = float(found["projection"].max())
        off = float(np.abs(found["residue"] - found["residue_theory"]).max())
        shared = found["residue_theory"] == 0
        kept, broken = (found["commutator"][which] for which in (shared, ~shared))
        return [
            counted(
                "dimensions of the spaces are ∏N·c_in·c_out·s^d",
                found["dimension"] == theory,
            ),
            counted(
                "basis elements are convolutions, one kernel per coset",
                found["convolutions"] == found["dimension"],
            ),
            counted(
                "biases that commute are constant: c_out·s^d of them",
                found["biases"] == found["biases_theory"],
            ),
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
                "layers are as far from sharing as their weights vary",
                f"to {off:.0e}",
                off <= ROUNDING,
            ),
            Finding(
                "those that share commute with translations, the others don't",
                f"{kept.max():.0e} against {broken.min():.2f} at least",
                bool(kept.max() <= ROUNDING and broken.min() > 1e-3),
            ),
        ]

    @cached_property
    def table(self) -> Table:
        """Spaces of linear maps and biases, found and predicted."""
        columns = ["entries", "dimension", "theory", "convolutions", "biases", "biases_theory"]
        rows = self._rows("case", columns, lambda count: f"{int(count)}")
        first = "grid, channels, translations"
        return Table([first, *columns[:-1], "theory of biases"], rows)

    @cached_property
    def layers(self) -> Table:
        """Layers: what isn't shared, and how far they are from commuting."""
        rows = self._rows("layer", ["residue", "residue_theory", "commutator"], number)
        return Table(["layer", "not shared", "theory", "not commuting"], rows)

    @cached_property
    def counts(self) -> Table:
        """Numbers of parameters."""
        rows = self._rows("kind", ["parameters"], lambda count: f"{int(count):,}")
        return Table(["layer", "parameters"], rows)

    def _rows(self, dim: str, columns: list[str], said: Callable[[float], str]) -> list[list[str]]:
        values = np.stack([self.data[column].to_numpy() for column in columns], 1)
        names = self.data[dim].to_numpy()
        return [[str(name), *map(said, row)] for name, row in zip(names, values, strict=True)]

    @property
    def text(self) -> str:
        """The tables, and what became of the predictions."""
        return "\n\n".join([super().text, aligned(*self.layers), aligned(*self.counts)])

    def pictures(self) -> dict[str, Figure]:
        """Above a matrix and its parts, below dimensions, layers and numbers of parameters."""
        data = self.data
        figure = Figure(figsize=(12, 7.2), layout="constrained")
        axes = figure.subplots(2, 3, height_ratios=[1.15, 1])
        bound = float(np.abs(data["matrix"]).max())
        for ax, name in zip(axes[0], data["part"].to_numpy(), strict=True):
            image = ax.imshow(data["matrix"].sel(part=name), cmap="PuOr_r", vmin=-bound, vmax=bound)
            ax.set_title(name, fontsize=11)
            ax.set_xticks(range(0, data.sizes["row"], 3))
            ax.set_yticks(range(0, data.sizes["row"], 3))
            ax.set(xlabel="input point", ylabel="output point")
        figure.colorbar(image, ax=axes[0].tolist(), shrink=0.8, label="weight")
        _dimensions(axes[1, 0], data)
        _layers(axes[1, 1], data)
        _counts(axes[1, 2], data)
        return {"weight-sharing": figure}

    def content(self) -> dict[str, Any]:
        """The other tables."""
        return {"layers": self.layers, "counts": self.counts}


def _dimensions(ax: Axes, data: xr.Dataset) -> None:
    theory, found = data["theory"].to_numpy(), data["dimension"].to_numpy()
    ends = [theory.min() / 2, theory.max() * 2]
    ax.loglog(ends, ends, color="#777777", lw=1, label="theory")
    ax.loglog(theory, found, "o", color=STYLES[4][0], ms=7, mfc="none", label="found")
    labelled(ax, "∏N · c_in · c_out · s^d", "dimension of the null space", legend="best")


def _layers(ax: Axes, data: xr.Dataset) -> None:
    names = data["layer"].to_numpy()
    places = np.arange(len(names))
    for style, key, label, shift in [
        (STYLES[1], "residue", "not shared", -0.17),
        (STYLES[4], "commutator", "not commuting", 0.17),
    ]:
        shown, (colour, marker) = lifted(data[key]), style
        ax.semilogx(shown, places + shift, marker, color=colour, ms=6, label=label)
    ax.set_xlim(LEAST * 0.3, 10)
    labelled(ax, "relative part (the left edge is 0)", legend="center")
    _listed(ax, names)


def _counts(ax: Axes, data: xr.Dataset) -> None:
    kinds, values = data["kind"].to_numpy(), data["parameters"].to_numpy()
    ax.barh(np.arange(len(kinds)), values, color="#56B4E9", edgecolor="#333333", height=0.6)
    ax.set_xscale("log")
    ax.set_xlim(1, values.max() * 40)
    for i, value in enumerate(values):
        ax.text(value * 1.3, i, f"{value:,}", va="center", fontsize=9)
    ax.set_xlabel("parameters")
    _listed(ax, kinds)


def _listed(ax: Axes, names: np.ndarray) -> None:
    ax.set_yticks(np.arange(len(names)), names.tolist(), fontsize=9)
    ax.invert_yaxis()


def cases(settings: WeightSharingSettings) -> list[Case]:
    """Feature maps in 1, 2 and 3 dimensions."""
    return [
        Case((12,), 2, 3, 1),
        Case((12,), 2, 1, 3),
        Case((6, 4), 1, 2, 1),
        Case((8, 8), 1, 2, 2),
        Case((4, 4, 4), 2, 1, 1),
        Case((4, 4, 4), 1, 1, 2),
        Case((settings.size,) * 2, settings.c_in, settings.c_out, 1),
    ]


def _parts(seed: int) -> np.ndarray:
    """A random matrix on a line of points, its projection, and the remainder."""
    matrix = np.random.default_rng(seed).normal(size=(DRAWN, DRAWN))
    part = intertwiners(DRAWN, 1, 1).project(matrix)
    return np.stack([matrix, part, matrix - part])
