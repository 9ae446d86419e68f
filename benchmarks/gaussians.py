"""Sampling 10,000 Gaussians in 2-D, 3 channels, on 512×512 points: separable sums against the direct sum.

The direct sum evaluates every Gaussian at every point, in blocks of terms and rows so that it fits into memory. Its
cost is proportional to the points: it is timed on a part of the rows, and the time scaled to all of them. The
periodized field, whose images are summed per axis, is put beside nine images of each.
"""

from __future__ import annotations

import resource
import sys
from functools import partial

import torch
from torch import Tensor

from benchmarks.harness import alternate, show
from discretize import Grid, sample
from fields import Field, Gaussians
from fields.composed import Periodized

SIDE = 512
ROWS = 8
GRID = Grid((SIDE, SIDE), 1.0, boundary="none")


def gaussians(terms: int) -> Gaussians:
    """Blobs all over the grid, with a width per axis."""
    draw = torch.Generator().manual_seed(0)
    centers = SIDE * torch.rand(terms, 2, generator=draw, dtype=torch.float64)
    amplitudes = torch.randn(terms, 3, generator=draw, dtype=torch.float64)
    widths = 2 + 10 * torch.rand(terms, 2, generator=draw, dtype=torch.float64)
    return Gaussians(centers, amplitudes, widths)


def direct(field: Gaussians, rows: int = 8, terms: int = 1000) -> Tensor:
    """Σ_m a_m exp(−½ |(x − c_m)/w_m|²) at the first `ROWS` rows, some rows of points and terms at a time."""
    points = GRID.points()[:ROWS]
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


def peak() -> float:
    """Largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        2**20 if sys.platform == "darwin" else 2**10
    )


def main() -> None:
    """Print times, ratios, accuracies, and peak memory."""
    with torch.no_grad():
        field = gaussians(10_000)
        before = peak()
        sampled(field)
        print(f"\nmemory for 10,000 Gaussians: {peak() - before:.0f} MiB above {before:.0f} MiB")
        found: dict[str, Tensor] = {}
        runs = {
            "direct sum": lambda: found.update(direct=direct(field)),
            "separable": lambda: found.update(separable=sampled(field)),
        }
        medians = alternate(runs, rounds=1)
        title = f"10,000 Gaussians on 512×512, 3 channels; direct sum on {ROWS} rows times {SIDE // ROWS}"
        medians["direct sum"] *= SIDE / ROWS
        ratio = show(title, medians)
        part = found["separable"][:, :ROWS]
        error = float((part - found["direct"]).abs().max() / found["direct"].abs().max())
        print(f"  direct / separable = {ratio:.1f}  (promised: at least 20)")
        print(f"  largest difference {error:.1e} of max|F|")
        few = gaussians(1000)
        size = (float(SIDE), float(SIDE))
        runs = {
            "nine images": partial(sampled, Periodized(few, size)),
            "per axis": partial(sampled, few.periodize(size)),
        }
        show("1,000 Gaussians with period 512", alternate(runs, rounds=3))
        images, axes = sampled(Periodized(few, size)), sampled(few.periodize(size))
        difference = float((images - axes).abs().max() / images.abs().max())
        print(f"  largest difference {difference:.1e} of max|F|")


if __name__ == "__main__":
    main()
