"""Cost of deep continuous networks: linear in the number of layers, not exponential.

A layer that called the one below it once per node would cost nodes^depth; here every node of the graph is evaluated
once, on a lattice widened by the kernels' radii.
"""

from __future__ import annotations

from functools import partial

import torch

from benchmarks.harness import alternate, show
from discretize import Grid, sample
from fields import Atoms, Field, GaussianKernel, Gaussians, Kernel
from fields.kernels.kernel import MatrixKernel

GRID = Grid((256, 256), 1.0, boundary="none")


def gaussians(count: int = 8, channels: int = 3) -> Gaussians:
    """A few blobs on the grid."""
    draw = torch.Generator().manual_seed(0)
    centers = 256 * torch.rand(count, 2, generator=draw, dtype=torch.float64)
    amplitudes = torch.randn(count, channels, generator=draw, dtype=torch.float64)
    return Gaussians(
        centers, amplitudes, 4 + 8 * torch.rand(count, generator=draw, dtype=torch.float64)
    )


def kernels() -> dict[str, MatrixKernel]:
    """3-channel kernels of radius 2 spacings."""
    draw = torch.Generator().manual_seed(1)
    matrix = torch.randn(3, 3, generator=draw, dtype=torch.float64) / 3

    def density(y: torch.Tensor) -> torch.Tensor:
        return (1 - (y**2).sum(-1) / 4).clamp(min=0).pow(3)[..., None, None] * matrix

    return {
        "5×5 atoms": Atoms.from_array(torch.randn(5, 5, 3, 3, generator=draw).double() / 9, 1.0),
        "Gaussian density": GaussianKernel(2 / 7, matrix),
        "bump density": Kernel(density, 3, 3, radius=2.0),
    }


def chain(depth: int, kernel: MatrixKernel, activation: bool) -> Field:
    """Convolutions, `depth` times, with or without ReLU behind each."""
    f: Field = gaussians()
    for _ in range(depth):
        f = f.convolve(kernel, exact=False)
        f = f.map(torch.relu) if activation else f
    return f


def residual(blocks: int, kernel: MatrixKernel) -> Field:
    """f ← f + ReLU(K*f), `blocks` times."""
    f: Field = gaussians()
    for _ in range(blocks):
        f = f + f.convolve(kernel, exact=False).map(torch.relu)
    return f


def race(title: str, deep: Field, shallow: Field, refinement: int) -> None:
    """Sample both, and show the ratio of the times."""
    runs = {
        "deep": partial(sample, deep, GRID, refinement=refinement),
        "half": partial(sample, shallow, GRID, refinement=refinement),
    }
    show(title, alternate(runs), most=2.5)


def main() -> None:
    """Print every ratio beside its promise."""
    draw = torch.Generator().manual_seed(2)
    points = 256 * torch.rand(64, 2, generator=draw, dtype=torch.float64)
    with torch.no_grad():
        for name, k in kernels().items():
            race(
                f"6 against 3 convolutions, {name}, refinement 4",
                chain(6, k, False),
                chain(3, k, False),
                refinement=4,
            )
            race(
                f"6 against 3 with ReLU, {name}, refinement 2",
                chain(6, k, True),
                chain(3, k, True),
                refinement=2,
            )
            race(
                f"8 against 4 residual blocks, {name}, refinement 2",
                residual(8, k),
                residual(4, k),
                refinement=2,
            )
            medians = alternate({"64 points": partial(chain(6, k, True), points)}, rounds=3)
            show(f"64 scattered points through 6 layers, {name} (promised: under 1000 ms)", medians)
