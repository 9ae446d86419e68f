"""The experiment `resolution`: sampling and interpolating, and layers, on finer and finer grids.

Φ samples a field and interpolates the samples. Φ(t▷F) − t▷Φ(F) comes from folded waves alone; its mean square over all
real translations is measured, and foretold by `discretize.aliasing`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from discretize import Grid, aliasing, sample
from equivariance.experiments.resolution.settings import ResolutionSettings
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


@torch.no_grad()
def measure(settings: ResolutionSettings) -> xr.Dataset:
    """Errors of sampling, measured and foretold, and of layers, for every grid."""
    named, sizes = fields(settings), settings.sizes
    measured, foretold = (np.empty((len(named), len(sizes))) for _ in range(2))
    for i, field in enumerate(named.values()):
        for k, n in enumerate(sizes):
            grid = Grid(n, 1 / n)
            told = aliasing(field, grid)
            measured[i, k] = defect(field, grid, settings.waves) / float(told.norm)
            foretold[i, k] = float(told.relative_defect)
    smooth, chosen = named["band-limited"], layers()
    error = np.array([[discretized(each, smooth, n) for n in sizes] for each in chosen.values()])
    orders = [p - 0.5 for p in SMOOTHNESS.values()] + [math.inf] * 2
    return xr.Dataset(
        {
            "measured": (("field", "size"), measured, {"long_name": "relative defect, measured"}),
            "foretold": (("field", "size"), foretold, {"long_name": "relative defect, foretold"}),
            "error": (("layer", "size"), error, {"long_name": "relative error of the layer"}),
        },
        {
            "size": sizes,
            "field": list(named),
            "layer": list(chosen),
            "order": ("field", orders),
            "layer_order": ("layer", [2.0, 1.0, math.inf]),
        },
        {"band": settings.band},
    )


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
