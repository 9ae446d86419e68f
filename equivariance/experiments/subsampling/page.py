"""What the experiment `subsampling` tells: verdicts, table, picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from equivariance.experiments.configuring import stored_settings
from equivariance.experiments.finding import Finding, Table, large, small, verdicts
from equivariance.experiments.subsampling.methods import NONE, REAL, WHOLE
from equivariance.experiments.subsampling.settings import SubsamplingSettings
from equivariance.plots import coloured
from equivariance.table import aligned, number

TITLE = "Equivariance errors of subsampling layers"
PICTURES = ("subsampling",)

CLASSES = ("multiples", "others", "half pixels", "real")
#: Errors up to here are rounding; those that theory has are at least `BROKEN` on the fullest random field.
ROUNDING, BROKEN = 1e-12, 1e-3


def tabulated(data: xr.Dataset) -> xr.DataArray:
    """Root mean square over the translations of a class: (source, band, layer, class)."""
    error = data["error"].isel(grid=0)
    sources = list(dict.fromkeys(data["source"].to_numpy().tolist()))
    bands = sorted(set(data["band"].to_numpy().tolist()))
    methods = data["layer"].to_numpy().tolist()
    out = np.empty((len(sources), len(bands), len(methods), len(CLASSES)))
    kinds, field_bands = data["kind"].to_numpy(), data["band"].to_numpy()
    values = error.transpose("field", "layer", "translation").to_numpy()
    for i, (source, band) in enumerate(zip(data["source"].to_numpy(), field_bands, strict=True)):
        place = sources.index(source), bands.index(band)
        for k, kind in enumerate(CLASSES):
            out[(*place, slice(None), k)] = np.sqrt((values[i][:, kinds == kind] ** 2).mean(1))
    coords = {"source": sources, "band": bands, "layer": methods, "translations": list(CLASSES)}
    return xr.DataArray(out, coords=coords, dims=tuple(coords), name="error")


def judge(data: xr.Dataset) -> list[Finding]:
    """The promises of all methods, held against the errors alone."""
    errors = tabulated(data)
    names = errors["layer"].to_numpy().tolist()
    whole = [n for n in names if n in WHOLE]
    strided = [n for n in names if n not in (*REAL, *WHOLE, *NONE)]
    full = errors.sel(source="random", band=errors["band"].to_numpy().max())
    pixels = ["multiples", "others"]
    others = [
        full.sel(layer=[*whole, *strided], translations="real"),
        full.sel(layer=strided, translations="others"),
    ]
    multiples = errors.sel(layer=strided, translations="multiples")
    return [
        small(
            f"every real translation: {len(REAL)} methods",
            _worst(errors.sel(layer=list(REAL))),
            ROUNDING,
        ),
        small(
            f"whole pixels: {len(whole)} more",
            _worst(errors.sel(layer=whole, translations=pixels)),
            ROUNDING,
        ),
        small(f"multiples of the stride: {len(strided)} more", _worst(multiples), ROUNDING),
        large(
            "no others, on the random field of most waves",
            float(np.min([e.to_numpy().min() for e in others])),  # NaN counts, to numpy
            BROKEN,
        ),
    ]


def _worst(errors: xr.DataArray) -> float:
    return float(errors.to_numpy().max())


def table(data: xr.Dataset) -> Table:
    """Errors by source, band and method, classes of translations across."""
    errors = tabulated(data)
    rows = [
        [
            str(source),
            str(band),
            str(name),
            *map(number, errors.sel(source=source, band=band, layer=name).to_numpy()),
        ]
        for source in errors["source"].to_numpy()
        for band in errors["band"].to_numpy()
        for name in errors["layer"].to_numpy()
    ]
    return Table(["source", "waves", "layer", *CLASSES], rows)


def text(data: xr.Dataset) -> str:
    """A table for each source and band, and what became of the predictions."""
    settings = stored_settings(SubsamplingSettings(), data)
    s, whole = settings.stride, table(data)
    parts = [
        f"Relative equivariance error, root mean square over {settings.count} translations: by multiples of {s}\n"
        "pixels, by other whole pixels, by half pixels, and by random real vectors."
    ]
    for source, band in dict.fromkeys((row[0], row[1]) for row in whole.rows):
        rows = [row[2:] for row in whole.rows if row[:2] == [source, band]]
        title = f"{source}: {band} waves per {settings.size} pixels"
        parts.append(f"{title}\n{aligned(whole.header[2:], rows)}")
    return "\n\n".join([*parts, verdicts(judge(data))])


def pictures(data: xr.Dataset) -> dict[str, Figure]:
    """Errors as colours: methods down, band limits and classes of translations across, a panel for each source."""
    errors = tabulated(data)
    sources, methods = errors["source"].to_numpy(), errors["layer"].to_numpy()
    bands = errors["band"].to_numpy()
    figure = Figure(
        figsize=(2.4 + 5.6 * len(sources), 1.8 + 0.34 * len(methods)), layout="constrained"
    )
    axes = figure.subplots(1, len(sources), sharey=True, squeeze=False)[0]
    for ax, source in zip(axes, sources, strict=True):
        cells = errors.sel(source=source).transpose("layer", "band", "translations").to_numpy()
        grid = cells.reshape(len(methods), -1)
        image = coloured(ax, grid, 7)
        ax.set_xticks(range(grid.shape[1]), list(CLASSES) * len(bands), rotation=90, fontsize=8)
        for i in range(1, len(bands)):
            ax.axvline(len(CLASSES) * i - 0.5, color="white", linewidth=2)
        waves = ", ".join(map(str, bands))
        ax.set_title(f"{source}: {waves} waves per period", fontsize=10)
    axes[0].set_yticks(range(len(methods)), methods.tolist(), fontsize=9)
    bar = figure.colorbar(image, ax=axes.tolist(), shrink=0.8)
    bar.set_label("relative error, root mean square")
    return {"subsampling": figure}


def content(data: xr.Dataset) -> dict[str, Any]:
    """Nothing beside the rest."""
    return {}
