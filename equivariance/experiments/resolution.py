"""The experiment `resolution`: sampling and interpolating, and layers, on finer and finer grids.

Φ samples a field and interpolates the samples. Φ(t▷F) − t▷Φ(F) comes from folded waves alone; its mean square over all
real translations is measured, and foretold by `discretize.aliasing`.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from discretize import Grid, aliasing, sample
from equivariance.experiments.model_settings import ResolutionSettings
from equivariance.experiments.study import Finding, Study, Table, close, foretold
from equivariance.plots import STYLES, labelled, lifted, with_round_off
from equivariance.text import number
from equivariance.verdicts import tolerance
from fields import Box, Field, GaussianKernel, Interpolated
from layers import AvgPool, Conv, MaxPool

#: Sides of boxes and of pooling windows, in periods. How near a rim comes to a sample is chance, so there are several:
#: rough fields have a channel for each of the first `CHANNELS`.
SIDES = tuple(0.2 + 0.1 * (i * 0.618034 % 1) for i in range(1, 33))
CHANNELS = 8
#: Widths of the Gaussian field and of the kernel, in periods.
WIDTH, KERNEL = 0.03, 0.04
#: Powers of sinc in the spectrum: a box, a tent, a cubic B-spline.
SMOOTHNESS = {"jump": 1, "kink": 2, "cubic spline": 4}
#: Nodes per period of the layers' references.
REFERENCE = 4096
#: Translations that are measured at once.
CHUNK = 64
#: How far a fitted order may be from the predicted one, and the foretold error from the measured, relative.
ORDER, FORETOLD = 0.15, 0.01
#: Grids from so many points per axis on show the order; on coarser ones a field is hardly seen.
SEEN = 64


class Resolution(Study):
    """Errors of sampling, measured and foretold, and of layers, for every grid."""

    TITLE = "How fine a grid has to be"
    PICTURES = ("resolution",)
    heading = (
        "Relative error against points per period: of sampling and interpolating, root mean square over all real\n"
        "translations; of layers, on samples against on the field."
    )

    @torch.no_grad()
    def measure(self) -> xr.Dataset:
        """The errors, and the orders that theory says."""
        named, sizes = fields(self.settings), self.settings.sizes
        measured, theory = (np.empty((len(named), len(sizes))) for _ in range(2))
        for i, field in enumerate(named.values()):
            for k, n in enumerate(sizes):
                grid = Grid(n, 1 / n)
                told = aliasing(field, grid)
                measured[i, k] = defect(field, grid, self.settings.waves) / float(told.norm)
                theory[i, k] = float(told.relative_defect)
        smooth, chosen = named["band-limited"], layers()
        error = [[discretized(each, smooth, n) for n in sizes] for each in chosen.values()]
        orders = [p - 0.5 for p in SMOOTHNESS.values()] + [math.inf] * 2
        about = "relative error of the layer"
        return xr.Dataset(
            {
                "measured": (
                    ("field", "size"),
                    measured,
                    {"long_name": "relative defect, measured"},
                ),
                "foretold": (("field", "size"), theory, {"long_name": "relative defect, foretold"}),
                "error": (("layer", "size"), np.array(error), {"long_name": about}),
            },
            {
                "size": sizes,
                "field": list(named),
                "layer": list(chosen),
                "order": ("field", orders),
                "layer_order": ("layer", [2.0, 1.0, math.inf]),
            },
            {"band": self.settings.band},
        )

    @cached_property
    def orders(self) -> dict[str, tuple[float, float]]:
        """Predicted and fitted order of all fields and layers, by name."""
        return {
            str(name): (float(theory), float(fitted))
            for dim, order, error in (
                ("field", "order", "measured"),
                ("layer", "layer_order", "error"),
            )
            for name, theory, fitted in zip(
                self.data[dim].to_numpy(),
                self.data[order].to_numpy(),
                orders(self.data[error]),
                strict=True,
            )
        }

    @cached_property
    def findings(self) -> list[Finding]:
        """The predictions, held against the errors alone."""
        measured, theory = self.data["measured"], self.data["foretold"].to_numpy()
        said = "the spectrum foretells the error of sampling"
        found = [foretold(said, measured.to_numpy(), theory, tolerance(), FORETOLD)]
        for name, (order, fitted) in self.orders.items():
            if math.isfinite(order):
                found.append(close(f"{name}: order {order:g}", fitted, order, ORDER))
        gaussian = measured.sel(field="Gaussian").to_numpy()
        slopes = np.log2(gaussian[:-1] / gaussian[1:])[gaussian[1:] > tolerance()]
        growing = bool(len(slopes) > 1 and (np.diff(slopes) > 0).all())
        said = " < ".join(f"{s:.1f}" for s in slopes)
        found.append(Finding("Gaussian: orders that grow with every halving", said, growing))
        fine = self.data["size"].to_numpy() > 2 * self.data.attrs["band"]
        worst = float(measured.sel(field="band-limited").to_numpy()[fine].max())
        said = "band-limited: round-off as soon as the Nyquist frequency is above the band"
        return [*found, Finding(said, number(worst), worst <= tolerance())]

    @cached_property
    def table(self) -> Table:
        """Errors by field or layer, foretold beside measured, and the orders."""
        rows = []
        for dim, kinds in {"field": ("measured", "foretold"), "layer": ("error",)}.items():
            for name in self.data[dim].to_numpy():
                order, fitted = self.orders[str(name)]
                told = [f"{fitted:.2f}", f"{order:g}"] if math.isfinite(order) else ["–", "every"]
                for kind in kinds:
                    errors = map(number, self.data[kind].sel({dim: name}).to_numpy())
                    said = "measured" if kind == "error" else kind
                    rows.append([str(name), said, *errors, *told])
        sizes = [str(n) for n in self.data["size"].to_numpy()]
        return Table(["of", "", *sizes, "order", "theory"], rows)

    def pictures(self) -> dict[str, Figure]:
        """Errors against spacing on log axes: fields with what was foretold, and layers with their orders."""
        figure = Figure(figsize=(11.5, 5.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        titles = (
            "sampling and interpolating: marks measured, lines foretold",
            "layers on samples, against the layers on the field",
        )
        self._fields(left)
        self._layers(right)
        sizes = self.data["size"].to_numpy()
        for axes, title in zip((left, right), titles, strict=True):
            with_round_off(axes, tolerance(), 5)
            at = 1 / sizes[-1], tolerance() / 3
            axes.text(*at, "round-off", fontsize=9, color="#555555", va="top")
            labelled(axes, "spacing (periods)", "relative error", title, "lower right")
            axes.set_xticks(1 / sizes, [f"1/{n}" for n in sizes])
            axes.minorticks_off()
        return {"resolution": figure}

    def _fields(self, axes: Axes) -> None:
        spacing = 1 / self.data["size"].to_numpy()
        for i, name in enumerate(self.data["field"].to_numpy()):
            (colour, marker), cell = STYLES[i], self.data.sel(field=name)
            theory = np.where(cell["foretold"] > tolerance(), cell["foretold"], np.nan)
            axes.loglog(spacing, theory, color=colour, lw=1.2)
            measured = lifted(cell["measured"])
            axes.loglog(spacing, measured, marker, color=colour, ms=7, mfc="none", label=name)
        axes.plot([], [], color="#777777", lw=1.2, label="foretold")

    def _layers(self, axes: Axes) -> None:
        spacing = 1 / self.data["size"].to_numpy()
        for i, name in enumerate(self.data["layer"].to_numpy()):
            colour, marker = STYLES[i + 1]
            error, order = lifted(self.data["error"].sel(layer=name)), self.orders[str(name)][0]
            axes.loglog(spacing, error, marker, ls="-", color=colour, ms=6, lw=1.2, label=name)
            if math.isfinite(order):
                guide = error[-1] * 0.4 * (spacing / spacing[-1]) ** order
                axes.loglog(spacing, guide, color="#777777", ls=":", lw=1.2)
                at = spacing[-1], guide[-1]
                axes.annotate(f"order {order:g}", at, (2, -13), textcoords="offset points")


def orders(error: xr.DataArray) -> np.ndarray:
    """Exponents p of error ∝ h^p, fitted on the finer grids beyond round-off; NaN where too few are left."""
    sizes = error["size"].to_numpy()
    fitted = []
    for row in error.transpose(..., "size").to_numpy():
        used = (sizes >= min(SEEN, sizes[-2])) & (row > tolerance())
        two = used.sum() > 1
        fitted.append(-np.polyfit(np.log(sizes[used]), np.log(row[used]), 1)[0] if two else np.nan)
    return np.array(fitted)


def fields(settings: ResolutionSettings) -> dict[str, Field]:
    """Fields of period 1 by name, with all their waves below `waves`."""
    count = 2 * settings.waves + 1
    k = torch.fft.fftfreq(count, 1 / count, dtype=torch.float64)
    sides = torch.tensor(SIDES[:CHANNELS], dtype=torch.float64)[:, None]
    waves = {name: torch.sinc(sides * k) ** p for name, p in SMOOTHNESS.items()}
    waves["Gaussian"] = torch.exp(-2 * (math.pi * WIDTH * k) ** 2)[None]
    draw = torch.Generator().manual_seed(settings.seed)
    noise = torch.randn(1, count, generator=draw, dtype=torch.float64)
    waves["band-limited"] = torch.fft.fft(noise) * (k.abs() <= settings.band)
    return {name: _field(each) for name, each in waves.items()}


def _field(waves: Tensor) -> Field:
    """The field with these waves, (c, count), of unit root mean square."""
    values = torch.fft.ifft(waves).real
    return Interpolated(values / values.square().mean().sqrt(), 1 / values.shape[-1])


def layers() -> dict[str, list[nn.Module]]:
    """Layers whose discretization has an order, of each kind some."""
    windows = [Box(side) for side in SIDES]
    return {
        "average pooling": [AvgPool(window) for window in windows],
        "max pooling": [MaxPool(window) for window in windows],
        "Gaussian convolution": [Conv(GaussianKernel(KERNEL, [[1.0]]))],
    }


def defect(field: Field, grid: Grid, waves: int) -> float:
    """Root mean square of Φ(t▷F) − t▷Φ(F) over the period and all real t.

    It has the grid's spacing as its period in t, and no waves in it beyond 2·`waves`: a mean over 2·waves/N + 2
    translations is the mean over all.
    """
    count = 2 * waves // grid.shape[0] + 2
    t = torch.arange(count, dtype=torch.float64)[:, None] / (count * grid.shape[0])
    still, fine = sample(field, grid, prefilter="none").interpolate(), grid.refine(2)
    total = 0.0
    for part in t.split(CHUNK):
        moved = sample(field.translate(part), grid, prefilter="none").interpolate()
        difference = sample(moved, fine).values - sample(still.translate(part), fine).values
        total += float(difference.square().sum(1).mean(-1).sum())
    return math.sqrt(total / len(t))


def discretized(layers: list[nn.Module], field: Field, size: int) -> float:
    """Root mean square over layers of ‖layer(sample(F)) − sample(layer(F))‖ / ‖sample(layer(F))‖."""
    grid, nodes = Grid(size, 1 / size), REFERENCE // size
    squares = []
    for layer in layers:
        expected = sample(layer(field), grid, refinement=nodes, prefilter="none").values
        found = layer(sample(field, grid, prefilter="none")).resample(grid)
        squares.append(float((found.values - expected).norm() / expected.norm()) ** 2)
    return math.sqrt(sum(squares) / len(squares))
