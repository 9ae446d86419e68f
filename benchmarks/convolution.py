"""Convolutions: through Samples, through OnGrid, and as torch computes them; a continuous one against its FFTs.

All on periodic grids, against torch's conv2d behind circular padding. Direct sums and FFTs are chosen between from the
sizes alone: `fields.stencils.correlation` states the costs it assumes. The continuous one, of blobs with a Gaussian, is
sampled to 1e-8 and held against the FFTs that convolving its samples cannot avoid: one real one forward and one back,
on the grid widened by the kernel's radius.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.harness import alternate, show
from discretize import Grid, Samples, sample
from fields import GaussianKernel, Gaussians
from layers import Conv, OnGrid


def noise(*shape: int, dtype: torch.dtype) -> Tensor:
    """Normal, from a fixed seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def compared(
    title: str,
    shape: tuple[int, int, int, int],
    outs: int,
    taps: int,
    dtype: torch.dtype,
    bound: float,
    rounds: int,
) -> None:
    """Time one size, and compare the values with those of float64."""
    x, side = noise(*shape, dtype=dtype), shape[-1]
    weight = noise(outs, shape[1], taps, taps, dtype=dtype) / taps
    module = nn.Conv2d(shape[1], outs, taps, padding=taps // 2, padding_mode="circular", bias=False)
    module.to(dtype).weight.data.copy_(weight)
    layer, grid = Conv.from_torch(module, spacing=1.0), Grid((side, side), 1.0)
    samples, on_grid = Samples(x, grid), OnGrid(layer, grid)
    pad = (taps // 2,) * 4

    def theirs() -> Tensor:
        return functional.conv2d(functional.pad(x, pad, mode="circular"), weight)

    candidates: dict[str, Callable[[], Tensor]] = {
        "Samples": lambda: layer(samples).values,
        "OnGrid": lambda: on_grid(x),
    }
    for name, ours in candidates.items():
        medians = alternate({name: ours, "conv2d": theirs}, rounds)
        show(f"{title}, {dtype}", medians, bound)
        scale = float(theirs().abs().amax())
        print(
            f"  largest difference {float((ours() - theirs()).abs().amax()) / scale:.1e}, relative"
        )


def continuous() -> None:
    """(K*F) on 256² to 1e-8, by nodes: F is made of Gaussians, but its closed form isn't used."""
    draw = torch.Generator().manual_seed(1)
    centers = 256 * torch.rand(20, 2, generator=draw, dtype=torch.float64)
    field = Gaussians(centers, noise(20, 1, dtype=torch.float64), torch.full((20,), 6.0).double())
    kernel, grid = GaussianKernel(3.0, [[1.0]]), Grid((256, 256), 1.0, boundary="none")
    composed = field.convolve(kernel, exact=False)
    error = sample(composed, grid, rtol=1e-8).values - sample(field.convolve(kernel), grid).values
    wide = Grid((256 + 42, 256 + 42), 1.0, boundary="none")
    values = sample(field, wide).values
    transfer = torch.fft.rfft2(values)

    def ffts() -> Tensor:
        out: Tensor = torch.fft.irfft2(torch.fft.rfft2(values) * transfer, values.shape[-2:])
        return out

    def leaf_and_ffts() -> Tensor:
        sample(field, wide)
        return ffts()

    medians = alternate(
        {
            "sample to 1e-8": lambda: sample(composed, grid, rtol=1e-8),
            "field on the widened grid, 1 FFT pair": leaf_and_ffts,
            "1 FFT pair": ffts,
        },
        15,
    )
    show("Gaussian convolution, 256×256, float64", medians, 2.0)
    scale = float(values.abs().amax())
    print(f"  largest error {float(error.abs().amax()) / scale:.1e}, relative")


def main() -> None:
    """Print every ratio beside its promise."""
    with torch.no_grad():
        compared("3×3, 16×64×64×64", (16, 64, 64, 64), 64, 3, torch.float32, 1.05, 15)
        compared("3×3, 8×16×128×128", (8, 16, 128, 128), 16, 3, torch.float64, 0.6, 9)
        compared("41×41, 1×2×256×256", (1, 2, 256, 256), 2, 41, torch.float64, 0.01, 5)
        continuous()
