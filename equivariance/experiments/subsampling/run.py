"""Run the experiment `subsampling`: measure, tabulate, draw, write."""

from __future__ import annotations

import csv
import io
import logging

import numpy as np
import torch
import xarray as xr
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from discretize import Grid
from equivariance.experiments.experiment import Outcome, command, configuration
from equivariance.experiments.subsampling.inputs import inputs
from equivariance.experiments.subsampling.methods import methods
from equivariance.experiments.subsampling.settings import SubsamplingSettings
from equivariance.netcdf import as_bytes
from equivariance.outputs import OutputFolder
from equivariance.plots import png
from equivariance.provenance import provenance
from equivariance.sweep import sweep
from equivariance.table import aligned, number
from equivariance.threads import threads

log = logging.getLogger(__name__)

FILES = ("subsampling.nc", "subsampling.csv", "subsampling.png")
CLASSES = ("multiples", "others", "half pixels", "real")
#: Colours of the picture span these errors.
LEAST, MOST = 1e-16, 1.0


def run(settings: SubsamplingSettings) -> Outcome:
    """Measure all methods, and write the results to `settings.out`.

    Raises
    ------
    BadInput
        Where the settings, the folder or what is in it don't allow it, before the work starts.
    """
    settings.check()
    effective = settings.effective
    folder = OutputFolder(settings.out, FILES)
    if not settings.overwrite:
        folder.refuse_other(configuration("subsampling", effective))
    with torch.no_grad(), threads(settings.threads):
        data = measure(effective)
    record = provenance(configuration("subsampling", effective), command("subsampling", settings))
    data = data.assign_attrs(title="Equivariance errors of subsampling layers", **record)
    table = tabulated(data)
    contents = {
        FILES[0]: as_bytes(data),
        FILES[1]: as_csv(table).encode(),
        FILES[2]: png(picture(table)),
    }
    return Outcome(text(effective, table), folder.write(contents))


def measure(settings: SubsamplingSettings) -> xr.Dataset:
    """The errors of all methods on all fields at all translations."""
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


def as_csv(table: xr.DataArray) -> str:
    """One row per cell of the table."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*table.dims, "error"])
    labels = [table[dim].to_numpy().tolist() for dim in table.dims]
    for index, error in np.ndenumerate(table.to_numpy()):
        row = [names[i] for names, i in zip(labels, index, strict=True)]
        writer.writerow([*row, f"{error:.3e}"])
    return buffer.getvalue()


def text(settings: SubsamplingSettings, table: xr.DataArray) -> str:
    """A table for each source and band."""
    s = settings.stride
    parts = [
        f"Relative equivariance error, root mean square over {settings.count} translations: by multiples of {s}\n"
        "pixels, by other whole pixels, by half pixels, and by random real vectors."
    ]
    for source in table["source"].to_numpy():
        for band in table["band"].to_numpy():
            cell = table.sel(source=source, band=band)
            rows = [
                [str(name), *map(number, cell.sel(layer=name).to_numpy())]
                for name in table["layer"].to_numpy()
            ]
            title = f"{source}: {band} waves per {settings.size} pixels"
            parts.append(f"{title}\n{aligned(['layer', *CLASSES], rows)}")
    return "\n\n".join(parts)


def picture(table: xr.DataArray) -> Figure:
    """Errors as colours: methods down, band limits and classes of translations across, a panel for each source."""
    sources, methods = table["source"].to_numpy(), table["layer"].to_numpy()
    bands = table["band"].to_numpy()
    figure = Figure(
        figsize=(2.4 + 5.6 * len(sources), 1.8 + 0.34 * len(methods)), layout="constrained"
    )
    axes = figure.subplots(1, len(sources), sharey=True, squeeze=False)[0]
    norm = LogNorm(LEAST, MOST)
    for ax, source in zip(axes, sources, strict=True):
        cells = table.sel(source=source).transpose("layer", "band", "translations").to_numpy()
        grid = cells.reshape(len(methods), -1)
        image = ax.imshow(grid.clip(LEAST, MOST), cmap="cividis", norm=norm, aspect="auto")
        for (row, column), error in np.ndenumerate(grid):
            colour = "white" if error < 1e-8 else "black"
            power = "0" if error == 0 else f"10$^{{{round(float(np.log10(error)))}}}$"
            ax.text(column, row, power, ha="center", va="center", fontsize=7, color=colour)
        ax.set_xticks(range(grid.shape[1]), list(CLASSES) * len(bands), rotation=90, fontsize=8)
        for i in range(1, len(bands)):
            ax.axvline(len(CLASSES) * i - 0.5, color="white", linewidth=2)
        waves = ", ".join(map(str, bands))
        ax.set_title(f"{source}: {waves} waves per period", fontsize=10)
    axes[0].set_yticks(range(len(methods)), methods.tolist(), fontsize=9)
    bar = figure.colorbar(image, ax=axes.tolist(), shrink=0.8)
    bar.set_label("relative error, root mean square")
    return figure
