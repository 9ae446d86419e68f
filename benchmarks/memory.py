"""Memory at the peak of sampling a ten-layer network on 256×256, and a larger one in tiles.

Measured in a process of its own as the growth of its largest resident set over that after a small network,
which has loaded and warmed up everything. Beside it stand one refined layer's input plus output, the values of two
layers on the refined grid, and what the plan counts on.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import torch

from discretize import Grid
from discretize.refinement import at_refinement
from fields import Field, GaussianKernel, random_bandlimited
from fields.evaluation import MEMORY_BOUND
from fields.plan import Plan

CHANNELS, LAYERS, REFINEMENT = 3, 10, 4
#: Number of points a side, and the bound on memory as a share of what the plan asks for untiled.
RUNS = ((256, 1.0), (256, 0.6), (512, 0.6))


def network(side: int, layers: int = LAYERS) -> Field:
    """Gaussian convolutions with ReLU behind each, on a random periodic field."""
    draw = torch.Generator().manual_seed(0)
    field: Field = random_bandlimited(2, CHANNELS, 3 / side, float(side), seed=1)
    for _ in range(layers):
        matrix = torch.randn(CHANNELS, CHANNELS, generator=draw, dtype=torch.float64)
        field = field.convolve(GaussianKernel(0.25, matrix / 2), exact=False).map(torch.relu)
    return field


def peak() -> int:
    """Largest resident set of this program so far, in bytes.

    Linux's getrusage counts what the process was before it became this program, too: the parent's copy.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def measure(side: int, share: float) -> None:
    """Sample once and print what it took."""
    torch.set_num_threads(1)
    lattice = Grid((side, side), 1.0).lattice
    with torch.no_grad():
        at_refinement(network(16, 2), Grid((16, 16), 1.0).lattice, REFINEMENT)
        field = network(side)
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
        f"{side}×{side}, {LAYERS} layers, refinement {REFINEMENT}, {how}: {used / mib:.0f} MiB at the peak, "
        f"{used / one:.2f} times one layer's input plus output, {one / mib:.0f} MiB  (promised: at most 4); "
        f"the plan counts {counted / mib:.0f} MiB"
    )


def main() -> None:
    """Run each measurement in a process of its own."""
    for side, share in RUNS:
        code = f"from benchmarks.memory import measure; measure({side}, {share})"
        subprocess.run([sys.executable, "-c", code], check=True)
