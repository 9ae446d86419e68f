"""Subsampling: the promises of speed, each beside the plain operations that it is measured by.

    Xu et al.           at most 3 × x.abs().sum(1) plus one strided copy, 64×32×64×64 float32, stride 2; beside an index
                        by the first largest sample: at most 1.3 ×, 3 × where maxima tie, 8 × where symmetries make them
    comoving grid       at most 0.6 × rfft2 plus irfft2 of the whole input at once, same array
    Comoving            about one such pair of overhead
    alias-free x + x²   at most 1/5 of FFT upsampling, polynomial, FFT low-pass filter at once, 16×64×64×64

`python -m benchmarks subsampling` also counts what breaks of 1,000 whole translations of every kind (see `law`).
"""

from __future__ import annotations

import itertools
import warnings
from functools import partial

import torch
from torch import Tensor

from benchmarks.harness import alternate, show
from discretize import (
    AliasFreeActivation,
    AliasingWarning,
    ComovingSubsampling,
    EquivariantSubsampling,
    Grid,
    Samples,
)
from discretize.ties import pointwise_norm
from equivariance import Comoving

SIDE = 64
GRID = Grid((SIDE, SIDE), 1.0)


def noise(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Unit white noise."""
    draw = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=draw, dtype=torch.float64).to(dtype)


def norm_and_copy(x: Tensor) -> tuple[Tensor, Tensor]:
    """What Xu's subsampling is measured by."""
    return x.abs().sum(1), x[..., ::2, ::2].clone()


def transforms(x: Tensor) -> Tensor:
    """What a comoving grid is measured by."""
    back: Tensor = torch.fft.irfft2(torch.fft.rfft2(x), s=(SIDE, SIDE))
    return back


def straightforward(x: Tensor) -> Tensor:
    """The alias-free polynomial of all maps at once: FFT upsampling, polynomial, FFT low-pass filter, stride."""
    n, half = SIDE, SIDE // 2
    spectrum = torch.fft.rfft2(x)
    wide = spectrum.new_zeros(*x.shape[:2], 2 * n, n + 1)
    wide[..., :half, :half] = spectrum[..., :half, :half]
    wide[..., 1 - half :, :half] = spectrum[..., 1 - half :, :half]
    fine = 4 * torch.fft.irfft2(wide, s=(2 * n, 2 * n))
    spectrum = torch.fft.rfft2(0.01694 + 0.5 * fine + 0.30784 * fine**2)
    keep = torch.zeros(2 * n, n + 1)
    keep[:half, :half] = keep[1 - half :, :half] = 1
    low: Tensor = torch.fft.irfft2(spectrum * keep, s=(2 * n, 2 * n))
    return low[..., ::2, ::2]


def first_largest(f: Samples) -> Tensor:
    """The arg-max of ‖f(x)‖₁ that decides ties by the order of the array, which doesn't move along."""
    flat = pointwise_norm(f).flatten(-f.dim).argmax(-1)
    return torch.stack(torch.unravel_index(flat, f.grid.shape), dim=-1)


def compare_ties(*shape: int) -> None:
    """Print the times of inputs without ties, with them, and with symmetries, beside `first_largest`."""
    x = noise(*shape)
    tied, grid = x.clone(), Grid(shape[2:], 1.0)
    tied[..., 3, 5] = tied[..., -9, 11] = tied[..., 20, -7] = 9.0
    kinds = {
        "no ties": (x, 1.3),
        "8 bits": ((128 + 32 * x).round().clamp(0, 255), 3.0),
        "three maxima": (tied, 3.0),
        "clipped": (x.clamp(0, 0.5), 3.0),
        "constant": (torch.ones_like(x), 8.0),
        "stripes": ((torch.arange(shape[-1]) % 2).float().expand(shape).contiguous(), 8.0),
    }
    xu, first = EquivariantSubsampling(2), EquivariantSubsampling(2, first_largest)
    for name, (values, most) in kinds.items():
        f = Samples(values, grid)
        runs = {"Xu et al.": partial(xu, f), "first largest": partial(first, f)}
        show(f"{name}, {'×'.join(map(str, shape))} float32, stride 2", alternate(runs), most)


def law(dim: int, s: int | tuple[int, ...], scale: float, dtype: torch.dtype, count: int) -> int:
    """How many of `count` random whole translations break S(t▷f) = (rolled f_b, new index), bit for bit."""
    sizes = (48, 24, 12)[:dim]
    steps = torch.tensor((s,) * dim if isinstance(s, int) else s)
    layer, grid, axes = EquivariantSubsampling(s), Grid(sizes, 1.0), tuple(range(-dim, 0))
    draw = torch.Generator().manual_seed(dim)
    broken = 0
    for _ in range(count // 20):
        x = scale * torch.randn(2, *sizes, generator=draw, dtype=torch.float64).to(dtype)
        kept = layer(Samples(x, grid))
        p = kept.grid.origin.long()
        for t in torch.randint(-100, 100, (20, dim), generator=draw):
            moved = layer(Samples(x.roll(t.tolist(), axes), grid))
            index = (p + t) % steps
            rolled = kept.values.roll(((t + p - index) // steps).tolist(), axes)
            same = torch.equal(moved.grid.origin, index.double())
            broken += not (same and torch.equal(moved.values, rolled))
    return broken


def count_failures(count: int = 1000) -> None:
    """Print the failures over dimensions, strides, scales and precisions."""
    cases = [(d, s) for d in (1, 2, 3) for s in (2, 3, 4)] + [(2, (2, 3))]
    kinds = itertools.product((1.0, 1e-3, 1e3), (torch.float32, torch.float64))
    for scale, dtype in kinds:
        failures = {f"d={d} s={s}": law(d, s, scale, dtype, count) for d, s in cases}
        total = sum(failures.values())
        print(
            f"  scale {scale:g}, {dtype}: {total} failures in {count} translations each; {failures}"
        )


def main() -> None:
    """Print times, ratios and failures."""
    with torch.no_grad():
        x = noise(64, 32, SIDE, SIDE)
        warnings.simplefilter(
            "ignore", AliasingWarning
        )  # noise has waves at Nyquist: testing it is timed, too
        f, xu, comoving = Samples(x, GRID), EquivariantSubsampling(2), ComovingSubsampling(2)
        runs = {"Xu et al.": partial(xu, f), "abs-sum + copy": partial(norm_and_copy, x)}
        show("equivariant subsampling, 64×32×64×64 float32, stride 2", alternate(runs), 3.0)
        for shape in ((64, 32, SIDE, SIDE), (64, 1, SIDE, SIDE), (1, 3, 512, 512)):
            compare_ties(*shape)
        runs = {"comoving": partial(comoving, f), "rfft2 + irfft2": partial(transforms, x)}
        show("comoving subsampling, same array", alternate(runs), 0.6)
        untested = ComovingSubsampling(2, nyquist="keep", bound=0)
        runs = {"testing its promise": partial(comoving, f), "not": partial(untested, f)}
        show("comoving subsampling, same array", alternate(runs, 31), 1.02)
        with_frame = Comoving(torch.nn.Identity())
        runs = {"Comoving": partial(with_frame, x), "rfft2 + irfft2": partial(transforms, x)}
        show("Comoving around nothing, same array", alternate(runs), 1.0)
        y, activation = noise(16, 64, SIDE, SIDE), AliasFreeActivation().to(torch.float32)
        g = Samples(y, GRID)
        runs = {"alias-free": partial(activation, g), "all at once": partial(straightforward, y)}
        show("alias-free polynomial, 16×64×64×64 float32", alternate(runs, 5), 0.2)
        print("\nlaw of Xu et al.:")
        count_failures()
