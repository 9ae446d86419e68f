"""On a CUDA device alone: achieved bandwidth and flops of the heaviest operations, against the device's limits.

The limits are measured on the spot: the bandwidth of a copy, and the rate of a matrix product, in the same precision.
Bytes are those that must move (inputs once, outputs once), operations those that must be done; what an implementation
moves and does beyond that counts against it. `python -m benchmarks.gpu --device cpu --size 64` tries the code without a
device.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from discretize import Grid, Samples, Stride, sample
from equivariance import Comoving
from fields import Gaussians
from layers import Conv

CHANNELS, BATCH, TERMS = 16, 8, 256
DTYPES = {"float32": torch.float32, "float64": torch.float64}


class Work(NamedTuple):
    """What an operation has to move, in bytes, and to compute, in floating point operations."""

    name: str
    run: Callable[[], object]
    bytes: float
    flops: float


def timed(run: Callable[[], object], device: torch.device, rounds: int = 20) -> float:
    """Median time in seconds, by the device's own clock where it has one."""
    times: list[float] = []
    for turn in range(rounds + 3):
        if device.type == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            run()
            end.record()
            torch.cuda.synchronize(device)
            taken = begin.elapsed_time(end) / 1e3
        else:
            first = time.perf_counter()
            run()
            taken = time.perf_counter() - first
        if turn >= 3:
            times.append(taken)
    return statistics.median(times)


def limits(device: torch.device, dtype: torch.dtype, size: int) -> tuple[float, float]:
    """Bytes per second of a copy, and operations per second of a product of matrices."""
    source = torch.ones(64 * size * size, device=device, dtype=dtype)
    target = torch.empty_like(source)
    copied = timed(lambda: target.copy_(source), device)
    side = 8 * size
    a, b = (torch.ones(side, side, device=device, dtype=dtype) for _ in range(2))
    multiplied = timed(lambda: a @ b, device)
    return 2 * source.nbytes / copied, 2 * side**3 / multiplied


def works(device: torch.device, dtype: torch.dtype, size: int) -> list[Work]:
    """Convolutions, fields on grids, subsampling and comoving frames, on `size`² pixels."""
    draw = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64).to(device, dtype)

    grid, points = Grid((size, size), 1.0), size * size
    values = normal(BATCH, CHANNELS, size, size)
    maps, width = Samples(values, grid), values.element_size()
    small = Conv.from_array(normal(3, 3, CHANNELS, CHANNELS), 1.0)
    centers = size * torch.rand(TERMS, 2, generator=draw, dtype=torch.float64).to(device, dtype)
    blobs = Gaussians(centers, normal(TERMS, CHANNELS), torch.full((TERMS,), 3.0).to(centers))
    stride = Stride(2)
    model = Comoving(nn.Identity(), nyquist="keep")
    # A complex FFT of n numbers takes 5 n log2 n operations, a real one half as many; a resampling takes two.
    transforms = 2 * 2.5 * values.numel() * math.log2(points)
    return [
        Work(
            "convolution 3×3",
            lambda: small(maps),
            2 * values.nbytes,
            2 * 9 * CHANNELS * values.numel(),
        ),
        Work(
            "Gaussians on a grid",
            lambda: sample(blobs, Grid((size, size), 1.0, boundary="none"), prefilter="none"),
            CHANNELS * points * width,
            2 * TERMS * CHANNELS * points,
        ),
        Work("stride 2", lambda: stride(maps).values.contiguous(), values.nbytes / 2, 0.0),
        Work("Comoving", lambda: model(values), 2 * values.nbytes, transforms),
    ]


def main(words: Sequence[str] = ()) -> int:
    """Measure, and print a table; exit code 2 where the device isn't there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--size", type=int, default=512, help="pixels per axis")
    options = parser.parse_args(words)
    if options.size < 8:
        parser.error("--size must be at least 8")
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print(
            "torch sees no CUDA device here: run it where there is one, or try the code with --device cpu",
            file=sys.stderr,
        )
        return 2
    device, dtype = torch.device(options.device), DTYPES[options.dtype]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    bandwidth, rate = limits(device, dtype, options.size)
    print(f"{name}, {options.dtype}, {BATCH} × {CHANNELS} maps of {options.size}² pixels")
    print(f"limits, measured: copy {bandwidth / 1e9:.4g} GB/s, product {rate / 1e9:.4g} Gflop/s")
    print(f"{'':<22}{'ms':>9}{'GB/s':>9}{'of copy':>9}{'Gflop/s':>10}{'of product':>12}")
    with torch.no_grad():
        for work in works(device, dtype, options.size):
            taken = timed(work.run, device)
            moved, done = work.bytes / taken, work.flops / taken
            print(
                f"{work.name:<22}{1e3 * taken:9.3f}{moved / 1e9:9.4g}{moved / bandwidth:9.1%}"
                f"{done / 1e9:10.4g}{done / rate:12.1%}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
