"""The experiment `subsampling`: every method on fields of several bands, at translations of every kind."""

from __future__ import annotations

import logging
from functools import cached_property

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure
from torch import Tensor

from discretize import Grid
from equivariance.error_table import sweep
from equivariance.experiments.layer_settings import SubsamplingSettings
from equivariance.experiments.rivals import methods, predictions
from equivariance.experiments.study import Finding, Promises, Study, Table, large, small, verdicts
from equivariance.measuring import images
from equivariance.measuring.images import cut, grey
from equivariance.plots import coloured
from equivariance.text import aligned, number
from fields import Field, Interpolated, random_bandlimited
from fields.commuting import Commutes

log = logging.getLogger(__name__)

CLASSES = ("multiples", "others", "half pixels", "real")
#: Signs of `signs` for each of these, by what a method commutes with; a space where nothing is said. What theory has
#: can be seen on the fullest random field.
PROMISED = {Commutes.REAL: "====", Commutes.WHOLE: "== ≠", Commutes.MULTIPLES: "=≠ ≠"}
SAID = {
    Commutes.REAL: "every real translation: {} methods",
    Commutes.WHOLE: "whole pixels: {} more",
    Commutes.MULTIPLES: "multiples of the stride: {} more",
}
#: Errors up to here are rounding; those that theory has are at least `BROKEN`.
ROUNDING, BROKEN = 1e-12, 1e-3
#: Band limits, in parts of the grid's Nyquist frequency; that of a grid of every second point is 1/2.
BANDS = (5 / 32, 15 / 32, 24 / 32, 31 / 32)
PHOTOGRAPHS = ("camera", "coins")


class Subsampling(Study):
    """The errors of all methods on all fields at all translations."""

    TITLE = "Equivariance errors of subsampling layers"
    PICTURES = ("subsampling",)

    @torch.no_grad()
    def measure(self) -> xr.Dataset:
        """The errors, and the kinds of fields and translations."""
        settings = self.settings
        fields, layers = inputs(settings), methods(settings)
        t, classes = translations(settings)
        log.info("Measuring %d methods on %d fields …", len(layers), len(fields))
        data = sweep(
            dict(layers),
            {name: field for name, (_, _, field) in fields.items()},
            t,
            {"grid": Grid((settings.size,) * 2, 1.0)},
            seed=settings.seed,
            progress=True,
        )
        return data.assign_coords(
            kind=("translation", classes),
            source=("field", [source for source, _, _ in fields.values()]),
            band=("field", [band for _, band, _ in fields.values()]),
        )

    @cached_property
    def errors(self) -> xr.DataArray:
        """Root mean square over the translations of a class: (source, band, layer, class)."""
        return tabulated(self.data)

    @cached_property
    def predicted(self) -> dict[str, Commutes]:
        """What each method commutes with, as its parts say."""
        return predictions(self.settings)

    @cached_property
    def promises(self) -> Promises:
        """Methods by source, band and class of translations; of some methods nothing is said."""
        errors = self.errors.transpose("layer", "source", "band", "translations")
        names = [n for n in errors["layer"].to_numpy().tolist() if self.predicted[n]]
        signs = [PROMISED[self.predicted[n]] for n in names]
        flat = errors.sel(layer=names).to_numpy()
        theory = np.empty(flat.shape, dtype="U1")
        theory[:] = np.array([[c.strip() for c in row] for row in signs])[:, None, None]
        fullest = errors["band"].to_numpy() == errors["band"].to_numpy().max()
        seen = (errors["source"].to_numpy() == "random")[:, None] & fullest
        theory[:, ~seen] = np.where(theory[:, ~seen] == "≠", "", theory[:, ~seen])
        rows = (len(names), -1)
        return Promises(names, flat.reshape(rows), theory.reshape(rows), ROUNDING, BROKEN)

    @cached_property
    def findings(self) -> list[Finding]:
        """The promises of all methods, held against the errors alone."""
        promises, found = self.promises, []
        for kind, said in SAID.items():
            names = [n for n in promises.names if self.predicted[n] is kind]
            found.append(small(said.format(len(names)), promises.of(names).worst, ROUNDING))
        said = "no others, on the random field of most waves"
        return [*found, large(said, promises.least, BROKEN)]

    @cached_property
    def table(self) -> Table:
        """Errors by source, band and method, classes of translations across."""
        cells = self.errors.stack(row=("source", "band", "layer")).transpose("row", ...)
        rows = [
            [*map(str, label), *map(number, row)]
            for label, row in zip(cells["row"].to_numpy(), cells.to_numpy(), strict=True)
        ]
        return Table(["source", "waves", "layer", *CLASSES], rows)

    @property
    def text(self) -> str:
        """A table for each source and band, and what became of the predictions."""
        s, count, whole = self.settings.stride, self.settings.count, self.table
        parts = [
            f"Relative equivariance error, root mean square over {count} translations: by multiples of {s}\n"
            "pixels, by other whole pixels, by half pixels, and by random real vectors."
        ]
        for source, band in dict.fromkeys((row[0], row[1]) for row in whole.rows):
            rows = [row[2:] for row in whole.rows if row[:2] == [source, band]]
            title = f"{source}: {band} waves per {self.settings.size} pixels"
            parts.append(f"{title}\n{aligned(whole.header[2:], rows)}")
        return "\n\n".join([*parts, verdicts(self.findings)])

    def pictures(self) -> dict[str, Figure]:
        """Errors as colours: methods down, band limits and classes of translations across, a panel for each source."""
        sources, methods, bands = (self.errors[k].to_numpy() for k in ("source", "layer", "band"))
        size = 2.4 + 5.6 * len(sources), 1.8 + 0.34 * len(methods)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(1, len(sources), sharey=True, squeeze=False)[0]
        across = len(CLASSES)
        for ax, source in zip(axes, sources, strict=True):
            cells = self.errors.sel(source=source).transpose("layer", "band", "translations")
            grid = cells.to_numpy().reshape(len(methods), -1)
            image = coloured(ax, grid, 7, parts=range(across, grid.shape[1], across))
            ax.set_xticks(range(grid.shape[1]), list(CLASSES) * len(bands), rotation=90, fontsize=8)
            waves = ", ".join(map(str, bands))
            ax.set_title(f"{source}: {waves} waves per period", fontsize=10)
        axes[0].set_yticks(range(len(methods)), methods.tolist(), fontsize=9)
        bar = figure.colorbar(image, ax=axes.tolist(), shrink=0.8)
        bar.set_label("relative error, root mean square")
        return {"subsampling": figure}


def tabulated(data: xr.Dataset) -> xr.DataArray:
    """Root mean square over the translations of a class: (source, band, layer, class)."""
    square = data["error"].isel(grid=0, drop=True) ** 2
    kinds = [square.isel(translation=data["kind"].to_numpy() == kind) for kind in CLASSES]
    means = [kind.mean("translation", skipna=False) for kind in kinds]
    errors = xr.concat(means, "translations").assign_coords(translations=list(CLASSES)) ** 0.5
    sources = list(dict.fromkeys(data["source"].to_numpy().tolist()))
    table = errors.set_index(field=["source", "band"]).unstack("field").sel(source=sources)
    return table.transpose("source", "band", "layer", "translations")


def inputs(settings: SubsamplingSettings) -> dict[str, tuple[str, int, Field]]:
    """Source, band limit in waves per period, and field, by name: a random one, and photographs cut at the limits."""
    size, bands = settings.size, [int(b * settings.size / 2) for b in BANDS]
    fields: dict[str, tuple[str, int, Field]] = {}
    for k in bands:
        noise = random_bandlimited(2, 1, (k + 0.01) / size, float(size), settings.seed)
        fields[f"random, {k} waves"] = ("random", k, noise)
    for name in PHOTOGRAPHS:
        values = averaged(name, size)
        for k in bands:
            fields[f"{name}, {k} waves"] = (name, k, Interpolated(cut(values, k)[None], 1.0))
    return fields


def averaged(name: str, size: int) -> Tensor:
    """A photograph of scikit-image, grey in [0, 1]: its middle, averaged over blocks to `size` pixels a side."""
    return images.averaged(grey(name), (size, size))[0]


def translations(settings: SubsamplingSettings) -> tuple[Tensor, list[str]]:
    """Translations (T, 2) in pixels, and the class of each."""
    draw = torch.Generator().manual_seed(settings.seed)
    shape, s = (settings.count, 2), settings.stride
    whole = torch.randint(-settings.size, settings.size, shape, generator=draw).double()
    multiples = whole // s * s
    others = multiples + torch.randint(1, s, shape, generator=draw)
    real = settings.size * torch.rand(shape, generator=draw, dtype=torch.float64)
    parts = [multiples, others, whole + 0.5, real]
    return torch.cat(parts), [name for name in CLASSES for _ in range(settings.count)]
