"""The experiment `nonlinearity`: spectra of σ(F), and how far σ on a grid u times as fine is from commuting.

Φ samples F, interpolates to a grid u times as fine, applies σ, and keeps the waves j that the grid tells. Waves k of
σ(F) that agree with j modulo u·N fold onto it. With coefficients c_k the mean square of Φ(t▷F) − t▷Φ(F) over all real t
is

    Σ_j (Σ_{k≠j} |c_k|² + |Σ_{k≠j} c_k|²),    k ≡ j modulo u·N.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from discretize import AliasFreeActivation, Grid, sample
from equivariance.experiments.nonlinearity.settings import NonlinearitySettings
from fields import Field, random_bandlimited

Activation = Callable[[Tensor], Tensor]

#: Activations, the degree of polynomials (0: none), and the order of the tail of their spectrum (inf: every).
ACTIVATIONS: dict[str, tuple[Activation, int, float]] = {
    "square": (torch.square, 2, math.inf),
    "cube": (lambda x: x**3, 3, math.inf),
    "softplus": (nn.functional.softplus, 0, math.inf),
    "GELU": (nn.functional.gelu, 0, math.inf),
    "tanh": (torch.tanh, 0, math.inf),
    "ReLU squared": (lambda x: torch.relu(x) ** 2, 0, 2.5),
    "ReLU": (torch.relu, 0, 1.5),
}
#: Points per period on which spectra are computed, and per spacing at which translations are tried.
FINE, TRANSLATIONS = 2**15, 48
#: Tails for which the band is told.
TAILS = (1e-2, 1e-3, 1e-6)
#: Multiples of K at which tails are kept.
BANDS = 2.0 ** np.arange(0, 7.01, 0.25)


@torch.no_grad()
def measure(settings: NonlinearitySettings) -> xr.Dataset:
    """Tails, bands and errors of all activations."""
    field = random_bandlimited(1, settings.fields, settings.waves + 0.01, 1.0, settings.seed)
    tails, needed, measured, foretold = [], [], [], []
    for fn, _, _ in ACTIVATIONS.values():
        waves = spectrum(field, fn)
        tail = tail_beyond(waves)
        tails.append(np.interp(BANDS * settings.waves, np.arange(len(tail)), tail))
        needed.append([_needed(tail, t) / settings.waves for t in TAILS])
        pairs = [
            (defect(field, fn, settings.size, u), folding(waves, settings.size, u))
            for u in settings.factors
        ]
        measured.append([m for m, _ in pairs])
        foretold.append([f for _, f in pairs])
    return xr.Dataset(
        {
            "tail": (("activation", "band"), np.array(tails)),
            "needed": (("activation", "tail_size"), np.array(needed), {"units": "K"}),
            "measured": (("activation", "oversampling"), np.array(measured)),
            "foretold": (("activation", "oversampling"), np.array(foretold)),
        },
        {
            "activation": list(ACTIVATIONS),
            "degree": ("activation", [degree for _, degree, _ in ACTIVATIONS.values()]),
            "order": ("activation", [order for _, _, order in ACTIVATIONS.values()]),
            "band": ("band", BANDS, {"units": "K"}),
            "tail_size": list(TAILS),
            "oversampling": settings.factors,
        },
        {"nyquist": settings.size / 2 / settings.waves},
    )


def spectrum(field: Field, fn: Activation) -> Tensor:
    """Coefficients of σ(F), (c, FINE), in the order of a discrete Fourier transform."""
    grid = Grid(FINE, 1 / FINE)
    waves: Tensor = torch.fft.fft(fn(sample(field, grid).values)) / FINE
    return waves


def tail_beyond(waves: Tensor) -> np.ndarray:
    """‖waves above b‖ / ‖all waves‖ for b = 0, 1, and so on."""
    energy = waves.abs().square().sum(0)
    half = energy[: FINE // 2].clone()
    half[1:] += energy[FINE // 2 + 1 :].flip(0)
    beyond = torch.cat([half.flip(0).cumsum(0).flip(0)[1:], half.new_zeros(1)])
    tail: np.ndarray = (beyond / half.sum()).sqrt().numpy()
    return tail


def _needed(tail: np.ndarray, size: float) -> float:
    """The smallest band with at most this tail; inf where none is below an eighth of what was computed."""
    enough = np.flatnonzero(tail[: FINE // 8] <= size)
    return float(enough[0]) if len(enough) else math.inf


def folding(waves: Tensor, size: int, factor: int) -> float:
    """The relative defect of σ on a grid `factor` times as fine, from the spectrum of σ(F)."""
    fine, half = size * factor, size // 2
    k = torch.fft.fftfreq(FINE, 1 / FINE).round().long()
    target = (k + fine // 2) % fine - fine // 2
    kept = target.abs() <= half
    bins, c = (target + half)[kept], waves[:, kept]
    wrong = (k != target)[kept]
    empty = waves.new_zeros(len(waves), 2 * half + 1)
    folded = empty.index_add(1, bins, c * wrong)
    whole = empty.index_add(1, bins, c)
    square = (c * wrong).abs().square().sum() + folded.abs().square().sum()
    return math.sqrt(float(square / whole.abs().square().sum()))


def defect(field: Field, fn: Activation, size: int, factor: int) -> float:
    """The same, measured: root mean square over translations within a spacing of the finer grid."""
    grid = Grid(size, 1 / size)
    layer = AliasFreeActivation(fn, factor)
    steps = torch.arange(TRANSLATIONS, dtype=torch.float64)[:, None]
    t = steps / (TRANSLATIONS * size * factor)
    moved, still = layer(sample(field.translate(t), grid)), layer(sample(field, grid))
    difference = moved.values - still.translate(t).resample(moved.grid).values
    return float((difference.square().sum((1, 2)).mean() / still.values.square().sum()).sqrt())
