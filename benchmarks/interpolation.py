"""Interpolation: splines against scipy.ndimage, Fourier against bare FINUFFT, real translations against a bare FFT.

A 512×512 periodic image, 262,144 scattered points, float64, everything that can be kept kept. torch-interpol is not
compared: it is no dependency of the project.
"""

from __future__ import annotations

import math

import finufft
import numpy as np
import torch
from scipy import ndimage

from benchmarks.harness import alternate, show
from fields import Interpolated, random_bandlimited
from fields.lattice import Lattice, evaluate

SIZE, POINTS, MOVES = 512, 262_144, 16


def samples(channels: int = 1) -> torch.Tensor:
    """Of a band-limited image, |k| ≤ 64, with unit spacing."""
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(channels, SIZE, SIZE, generator=draw, dtype=torch.float64)
    k = torch.fft.fftfreq(SIZE, 1 / SIZE).abs()
    band = (k[:, None] <= 64) & (k[: SIZE // 2 + 1] <= 64)
    values: torch.Tensor = torch.fft.irfft2(torch.fft.rfft2(noise) * band, (SIZE, SIZE))
    return values / values.std()


def splines(x: torch.Tensor) -> None:
    """Orders 1, 3, 5, coefficients kept on both sides."""
    values, columns = samples(), x.numpy().T.copy()
    for method, order in (("linear", 1), ("cubic", 3), ("quintic", 5)):
        field = Interpolated(values, (1.0, 1.0), method=method)
        kept = values[0].numpy()
        if order > 1:
            kept = ndimage.spline_filter(kept, order, mode="grid-wrap")

        def theirs(kept: np.ndarray = kept, order: int = order) -> np.ndarray:
            out: np.ndarray = ndimage.map_coordinates(
                kept, columns, order=order, prefilter=False, mode="grid-wrap"
            )
            return out

        def ours(field: Interpolated = field) -> torch.Tensor:
            return field(x)

        medians = alternate({"ours": ours, "map_coordinates": theirs})
        show(f"{method} at {POINTS} points", medians, bound=1.0 if order == 3 else None)
        print(f"  largest difference {np.abs(ours()[:, 0].numpy() - theirs()).max():.1e}")


def fourier(x: torch.Tensor, channels: int) -> None:
    """FINUFFT at 1e-12, with the same modes packed in pairs."""
    values = samples(channels)
    field = Interpolated(values, (1.0, 1.0), eps=1e-12)
    packed = values[::2] + 1j * (values[1::2] if channels > 1 else 0)
    modes = torch.fft.fftshift(torch.fft.fft2(packed, norm="forward"), (1, 2)).numpy().copy()
    a, b = (2 * math.pi * x / SIZE).numpy().T.copy()

    def theirs() -> np.ndarray:
        out: np.ndarray = finufft.nufft2d2(a, b, modes, eps=1e-12, isign=1)
        return out

    medians = alternate({"ours": lambda: field(x), "finufft": theirs}, rounds=5)
    show(f"Fourier at {POINTS} points, {channels} channels, 1e-12", medians, bound=1.1)


def accuracy() -> None:
    """A band-limited field through its samples, everywhere."""
    field = random_bandlimited(2, 1, [20.0, 20.0], [1.0, 1.0], seed=0)
    lattice = Lattice(torch.zeros(2, dtype=torch.float64), (1 / 64,) * 2, (64, 64))
    values = evaluate(field, lattice)
    x = torch.rand(4000, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for method in ("linear", "cubic", "quintic", "lanczos3", "fourier"):
        error = (Interpolated(values, (1 / 64,) * 2, method=method)(x) - field(x)).abs().max()
        print(f"  {method:<9} {float(error / values.abs().max()):.1e}")


def translations() -> None:
    """Sixteen real translations of one image, the spectrum kept."""
    values = samples()
    field = Interpolated(values, (1.0, 1.0))
    moves = 10 * torch.rand(MOVES, 2, generator=torch.Generator().manual_seed(2)).double()
    lattice = Lattice(torch.zeros(2, dtype=torch.float64), (1.0, 1.0), (SIZE, SIZE))
    moved = field.translate(moves)
    spectrum = torch.fft.rfft2(values)
    phase = torch.polar(torch.ones_like(spectrum.real), spectrum.real)

    def theirs() -> None:
        for _ in range(MOVES):
            torch.fft.irfft2(spectrum * phase, (SIZE, SIZE))

    medians = alternate({"ours": lambda: evaluate(moved, lattice), "irfft2": theirs})
    show(f"{MOVES} real translations of {SIZE}×{SIZE}", medians, bound=1.15)


def main() -> None:
    """Print every ratio beside its promise."""
    draw = torch.Generator().manual_seed(3)
    x = SIZE * torch.rand(POINTS, 2, generator=draw, dtype=torch.float64)
    with torch.no_grad():
        splines(x)
        translations()
        print("\nLargest error relative to the largest value, |k| ≤ 20 on 64²")
        accuracy()
        fourier(x, 1)
        fourier(x, 16)
