"""Sampling 10,000 Gaussians in 2-D, 3 channels, on 512×512 points: separable sums against the direct sum.

The direct sum evaluates every Gaussian at every point, in blocks of terms and rows so that it fits into memory; it
takes a minute, and is run once, between two runs of the other. The periodized field, whose images are summed per axis,
is put beside nine images of each.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.harness import alternate, peak, show
from discretize import Grid, sample
from fields import Field, Gaussians
from fields.algebra.periodized import Periodized

SIDE = 512
GRID = Grid((SIDE, SIDE), 1.0, boundary="none")


def gaussians(terms: int) -> Gaussians:
    """Blobs all over the grid, with a width per axis."""
    draw = torch.Generator().manual_seed(0)
    centers = SIDE * torch.rand(terms, 2, generator=draw, dtype=torch.float64)
    amplitudes = torch.randn(terms, 3, generator=draw, dtype=torch.float64)
    widths = 2 + 10 * torch.rand(terms, 2, generator=draw, dtype=torch.float64)
    return Gaussians(centers, amplitudes, widths)


def direct(field: Gaussians, rows: int = 1, terms: int = 500) -> Tensor:
    """Σ_m a_m exp(−½ |(x − c_m)/w_m|²) at all points, some rows of them and some terms at a time."""
    points = GRID.points()
    parts = []
    for block in points.split(rows):
        total = torch.zeros(*block.shape[:-1], 3, dtype=block.dtype)
        for c, a, w in zip(
            field.centers.split(terms),
            field.amplitudes.split(terms),
            field.widths.split(terms),
            strict=True,
        ):
            z = (block[..., None, :] - c) / w
            total = total + torch.exp(-0.5 * (z**2).sum(-1)) @ a
        parts.append(total)
    return torch.cat(parts).movedim(-1, 0)


def sampled(field: Field) -> Tensor:
    """Values of the samples."""
    return sample(field, GRID, prefilter="none").values


def timed(run: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """What a run gives, and the seconds that it takes."""
    begin = time.perf_counter()
    values = run()
    return values, time.perf_counter() - begin


def against_the_direct_sum(field: Gaussians) -> None:
    """Times, memory and the largest difference anywhere, of one direct sum between separable ones."""
    before = peak()
    values = sampled(field)  # warms up
    more = peak() - before
    print(
        f"\nmemory for {len(field.centers)} Gaussians: {more / 2**20:.0f} MiB above {before / 2**20:.0f} MiB"
    )
    first = [timed(partial(sampled, field))[1] for _ in range(3)]
    truth, seconds = timed(partial(direct, field))
    last = [timed(partial(sampled, field))[1] for _ in range(3)]
    medians = {"direct sum": seconds, "separable": statistics.median([*first, *last])}
    show(f"{len(field.centers)} Gaussians on {SIDE}×{SIDE}, 3 channels", medians, least=20)
    print(
        f"  largest difference {float((values - truth).abs().max() / truth.abs().max()):.1e} of max|F|"
    )


def against_images(field: Gaussians) -> None:
    """Times and the largest difference of sums of images per axis and in all directions."""
    size = (float(SIDE), float(SIDE))
    whole, axes = Periodized(field, size), field.periodize(size)
    runs = {"nine images": partial(sampled, whole), "per axis": partial(sampled, axes)}
    show(f"{len(field.centers)} Gaussians with period {SIDE}", alternate(runs, rounds=3))
    images = sampled(whole)
    difference = float((images - sampled(axes)).abs().max() / images.abs().max())
    print(f"  largest difference {difference:.1e} of max|F|")


def main() -> None:
    """Print times, ratios, accuracies, and peak memory."""
    with torch.no_grad():
        against_the_direct_sum(gaussians(10_000))
        against_images(gaussians(1000))
