"""Interpolation: splines against scipy.ndimage, Fourier against bare FINUFFT, real translations against a bare FFT.

A 512×512 periodic image, 262,144 scattered points, float64, everything that can be kept kept. scipy's splines run on
one thread, ours on as many as are printed: OMP_NUM_THREADS=1 compares them on one. torch-interpol is compared where it
is installed (`pip install --no-deps torch-interpol`): it is no dependency of the project.
"""

from __future__ import annotations

import importlib
import math

import finufft
import numpy as np
import torch
from scipy import ndimage

from benchmarks.harness import alternate, show
from fields import Interpolated, random_bandlimited
from fields.evaluation.evaluation import evaluate
from fields.lattice import Lattice

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
        show(f"{method} at {POINTS} points", medians, most=1.0 if order == 3 else None)
        print(f"  largest difference {np.abs(ours()[:, 0].numpy() - theirs()).max():.1e}")
        if order > 1:
            against_interpol(field, values, x, order)


def against_interpol(
    field: Interpolated, values: torch.Tensor, x: torch.Tensor, order: int
) -> None:
    """The same spline by torch-interpol."""
    try:
        interpol = importlib.import_module("interpol")
    except ImportError:
        print("  torch-interpol is not installed: not compared")
        return
    kept = interpol.spline_coeff_nd(values[None], interpolation=order, bound="dft", dim=2)

    def theirs() -> torch.Tensor:
        out: torch.Tensor = interpol.grid_pull(
            kept,
            x[None, :, None],
            interpolation=order,
            bound="dft",
            prefilter=False,
            extrapolate=True,
        )
        return out

    medians = alternate({"ours": lambda: field(x), "torch-interpol": theirs}, rounds=5)
    show(f"order {order} at {POINTS} points", medians, most=0.5 if order == 3 else None)
    print(
        f"  largest difference {float((field(x).flatten() - theirs().flatten()).abs().max()):.1e}"
    )


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

    medians = alternate({"ours": lambda: field(x), "finufft": theirs}, rounds=15)
    show(f"Fourier at {POINTS} points, {channels} channels, 1e-12", medians, most=1.1)


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
    """Real translations of one image, the spectrum kept: one by one, and as one batch, whose results are all kept."""
    values = samples()
    field = Interpolated(values, (1.0, 1.0))
    moves = 10 * torch.rand(MOVES, 2, generator=torch.Generator().manual_seed(2)).double()
    lattice = Lattice(torch.zeros(2, dtype=torch.float64), (1.0, 1.0), (SIZE, SIZE))
    spectrum = torch.fft.rfft2(values)
    phase = torch.polar(torch.ones_like(spectrum.real), spectrum.real)

    def bare() -> torch.Tensor:
        out: torch.Tensor = torch.fft.irfft2(spectrum * phase, (SIZE, SIZE))
        return out

    def one_by_one() -> None:
        for t in moves:
            evaluate(field.translate(t), lattice)

    def bare_one_by_one() -> None:
        for _ in range(MOVES):
            bare()

    medians = alternate({"ours": one_by_one, "irfft2": bare_one_by_one})
    show(f"{MOVES} real translations of {SIZE}×{SIZE}, each asked for alone", medians)
    medians = alternate(
        {
            "ours": lambda: evaluate(field.translate(moves), lattice),
            "irfft2": lambda: torch.stack([bare() for _ in range(MOVES)]),
        }
    )
    show(f"{MOVES} real translations of {SIZE}×{SIZE} as one array", medians, most=1.15)


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
