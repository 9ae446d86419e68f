"""The experiment `invariance`: invariants behind every way to discretize, under translations of three kinds."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure
from torch import Tensor, nn
from tqdm import tqdm

from discretize import Grid
from equivariance.error import equivariance_error
from equivariance.experiments.layer_settings import InvarianceSettings, SubsamplingSettings
from equivariance.experiments.rivals import methods
from equivariance.experiments.study import Finding, Promises, Study, Table, counted, small
from equivariance.plots import coloured
from fields import random_bandlimited
from layers import GlobalPool

STRIDE = 2
#: Added to the field, so that means of linear layers don't vanish.
MEAN = 0.5
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
#: What they are called, and what each says of `CLASSES`.
WORDS = {"r": "to real translations", "w": "to whole pixels", "m": "to even ones"}
SIGNS = {"r": "===", "w": "==≠", "m": "=≠≠"}
#: Changes up to here are rounding; those that theory has are at least `BROKEN`.
ROUNDING, BROKEN = 1e-12, 1e-7


class Invariance(Study):
    """The largest change of each invariant, for every method and class of translations."""

    TITLE = "Which invariants survive"
    PICTURES = ("invariance",)
    heading = "Largest relative change of invariants under even, odd and random real translations, in pixels."

    @torch.no_grad()
    def measure(self) -> xr.Dataset:
        """The changes."""
        settings, size = self.settings, float(self.settings.size)
        band = (3 * settings.size // 8 + 0.01) / size
        field = random_bandlimited(2, 1, band, size, settings.seed) + MEAN
        grid, moves = Grid((settings.size,) * 2, 1.0), translations(settings)
        layers = methods(
            SubsamplingSettings(stride=STRIDE, channels=settings.channels, seed=settings.seed)
        )
        chosen = {"continuous": layers["no stride"]}
        chosen |= {name: layers[name] for name in PROMISES if name in layers}
        error = np.empty((len(chosen), len(KINDS), len(CLASSES)))
        for i, (name, layer) in enumerate(tqdm(chosen.items(), desc="invariance", disable=None)):
            for j, kind in enumerate(KINDS.values()):
                for k, t in enumerate(moves.values()):
                    pooled = nn.Sequential(layer, GlobalPool(kind, rtol=settings.rtol))
                    if name == "continuous":
                        found = torch.stack([equivariance_error(pooled, field, x) for x in t[:2]])
                    else:
                        found = equivariance_error(pooled, field, t, grid)
                    error[i, j, k] = float(found.max())
        about = {"long_name": "largest relative change of the invariants"}
        return xr.Dataset(
            {"error": (("layer", "invariant", "translations"), error, about)},
            {"layer": list(chosen), "invariant": list(KINDS), "translations": list(CLASSES)},
            {"rtol": settings.rtol},
        )

    @cached_property
    def promises(self) -> Promises:
        """Where the change is what theory says: layers by invariants × classes of translations."""
        names = self.data["layer"].to_numpy().tolist()
        error = self.data["error"].transpose("layer", "invariant", "translations").to_numpy()
        theory = [[sign for p in PROMISES[name] for sign in SIGNS[p]] for name in names]
        rounding = [[self.tolerance if name == "continuous" else ROUNDING] for name in names]
        flat = error.reshape(len(names), -1)
        return Promises(names, flat, np.array(theory), np.array(rounding), BROKEN)

    @property
    def tolerance(self) -> float:
        """Of the invariants of the continuous layer, which are compared with each other."""
        return 2 * float(self.data.attrs["rtol"])

    @cached_property
    def findings(self) -> list[Finding]:
        """The promises of all methods, held against the changes alone."""
        field = float(self.data["error"].sel(layer="continuous").to_numpy().max())
        said = f"continuous: invariant to the tolerance of its integrals, {self.tolerance:g}"
        found = [small(said, field, self.tolerance)]
        names = [name for name in self.promises.names if name != "continuous"]
        kept = self.promises.of(names).kept.reshape(len(names), len(KINDS), len(CLASSES))
        for j, kind in enumerate(self.data["invariant"].to_numpy()):
            promised = [PROMISES[name][j] for name in names]
            said = ", ".join(f"{promised.count(p)} {what}" for p, what in WORDS.items())
            found.append(
                counted(f"{kind}: invariant {said}", kept[:, j].all(-1), " as they should")
            )
        return found

    @cached_property
    def table(self) -> Table:
        """Changes, a mark where they aren't what theory says."""
        return self.promises.table(
            [f"{kind}, {t}" for kind in ("mean", "RMS", "max") for t in CLASSES]
        )

    def pictures(self) -> dict[str, Figure]:
        """Changes as colours: methods down, invariants and classes of translations across."""
        names, across = self.promises.names, len(CLASSES)
        figure = Figure(figsize=(9.6, 1.6 + 0.34 * len(names)), layout="constrained")
        ax = figure.subplots()
        image = coloured(ax, self.promises.errors, parts=range(across, across * len(KINDS), across))
        ax.set_xticks(range(across * len(KINDS)), list(CLASSES) * len(KINDS), fontsize=9)
        ax.xaxis.tick_top()
        for j, kind in enumerate(self.data["invariant"].to_numpy()):
            ax.annotate(
                str(kind),
                (across * j + (across - 1) / 2, 1.0),
                (0, 22),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                fontsize=11,
            )
        ax.set_yticks(range(len(names)), names, fontsize=9)
        figure.colorbar(image, ax=ax, shrink=0.8).set_label("largest relative change")
        return {"invariance": figure}


def translations(settings: InvarianceSettings) -> dict[str, Tensor]:
    """Translations in pixels, (count, 2), by class."""
    draw = torch.Generator().manual_seed(settings.seed)
    shape = (settings.count, 2)
    whole = torch.randint(-settings.size, settings.size, shape, generator=draw).double()
    multiples = whole // STRIDE * STRIDE
    real = settings.size * torch.rand(shape, generator=draw, dtype=torch.float64)
    return dict(zip(CLASSES, (multiples, multiples + 1, real), strict=True))
