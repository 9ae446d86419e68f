"""Memory at the peak of sampling ten-layer networks on 256×256, and larger ones in tiles.

Gaussian kernels are convolved axis by axis; bumps, of compact support and no product over the axes, have dense taps and
go through FFTs on overlapping tiles. Measured in a process of its own as the growth of its largest resident set over
that after a small network, which has loaded and warmed up everything. Beside it stand one refined layer's input plus
output, and what the plan counts on.
"""

from __future__ import annotations

import subprocess
import sys

import torch

from benchmarks.harness import peak
from discretize import Grid
from discretize.refinement import at_refinement
from fields import BumpKernel, Field, GaussianKernel, random_bandlimited
from fields.accuracy import MEMORY_BOUND
from fields.evaluation.plan import Plan

CHANNELS, LAYERS, REFINEMENT = 3, 10, 4
#: Kernels, in spacings of the grid: the bump has 15×15 taps at the refinement.
KERNELS = {"Gaussian": (GaussianKernel, 0.25), "bump": (BumpKernel, 2.0)}
#: Kernel, number of points a side, and the bound on memory as a share of what the plan asks for untiled.
RUNS = (("Gaussian", 256, 1.0), ("bump", 256, 1.0), ("Gaussian", 256, 0.6), ("Gaussian", 512, 0.6))


def network(kernel: str, side: int, layers: int = LAYERS) -> Field:
    """Convolutions with ReLU behind each, on a random periodic field."""
    make, size = KERNELS[kernel]
    draw = torch.Generator().manual_seed(0)
    field: Field = random_bandlimited(2, CHANNELS, 3 / side, float(side), seed=1)
    for _ in range(layers):
        matrix = torch.randn(CHANNELS, CHANNELS, generator=draw, dtype=torch.float64)
        field = field.convolve(make(size, matrix / 2), exact=False).map(torch.relu)
    return field


def measure(kernel: str, side: int, share: float) -> None:
    """Sample once and print what it took."""
    torch.set_num_threads(1)
    lattice = Grid((side, side), 1.0).lattice
    with torch.no_grad():
        at_refinement(network(kernel, 16, 2), Grid((16, 16), 1.0).lattice, REFINEMENT)
        field = network(kernel, side)
        spacing = (1 / REFINEMENT,) * 2
        plan = Plan(field, lattice.spacing, lattice.shape, spacing)
        counted = plan.peak()
        layer = max(box.points for boxes in plan.boxes.values() for box in boxes.values())
        one = 2 * 8 * CHANNELS * layer
        before = peak()
        at_refinement(
            field,
            lattice,
            REFINEMENT,
            int(max(counted, MEMORY_BOUND) if share == 1 else share * counted),
        )
        used = peak() - before
    mib = 2**20
    how = "as a whole" if share == 1 else f"in tiles, within {share * counted / mib:.0f} MiB"
    print(
        f"{side}×{side}, {LAYERS} {kernel} layers, refinement {REFINEMENT}, {how}: {used / mib:.0f} MiB at the peak, "
        f"{used / one:.2f} times one layer's input plus output, {one / mib:.0f} MiB  (promised: at most 4); "
        f"the plan counts {counted / mib:.0f} MiB"
    )


def main() -> None:
    """Run each measurement in a process of its own."""
    for run in RUNS:
        code = f"from benchmarks.memory import measure; measure{run}"
        subprocess.run([sys.executable, "-c", code], check=True)
