"""The experiment `nonlinearity`: spectra of σ(F), and how far σ on a grid u times as fine is from commuting.

Φ samples F, interpolates to a grid u times as fine, applies σ, and keeps the waves j that the grid tells. Waves k of
σ(F) that agree with j modulo u·N fold onto it. With coefficients c_k the mean square of Φ(t▷F) − t▷Φ(F) over all real t
is

    Σ_j (Σ_{k≠j} |c_k|² + |Σ_{k≠j} c_k|²),    k ≡ j modulo u·N.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure
from torch import Tensor, nn

from discretize import AliasFreeActivation, Grid, sample
from equivariance.experiments.study import Finding, Study, Table, close, foretold
from equivariance.plots import STYLES, labelled, lifted, with_round_off
from equivariance.text import number
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
#: Relative energies of long sums that are rounding.
ROUNDING = 1e-12
#: How far a fitted order may be from the predicted one, and the foretold error from the measured, relative.
ORDER, FORETOLD = 0.2, 0.01
#: Bands, in K, between which the order of a tail is fitted.
FITTED = 16.0, 128.0


class Nonlinearity(Study):
    """Tails, bands and errors of all activations."""

    TITLE = "What nonlinearities do to a band limit"
    PICTURES = ("nonlinearity",)
    heading = (
        "Band beyond which activations of fields of band K leave a tail of 1e-2, 1e-3 and 1e-6, and relative\n"
        "equivariance errors on a grid, the activation applied on one u times as fine."
    )

    @torch.no_grad()
    def measure(self) -> xr.Dataset:
        """Tails against the band, and errors against over-sampling, measured and foretold."""
        settings, size = self.settings, self.settings.size
        field = random_bandlimited(1, settings.fields, settings.waves + 0.01, 1.0, settings.seed)
        tails, needed, measured, theory = [], [], [], []
        for fn, _, _ in ACTIVATIONS.values():
            waves = spectrum(field, fn)
            tail = tail_beyond(waves)
            tails.append(np.interp(BANDS * settings.waves, np.arange(len(tail)), tail))
            needed.append([_needed(tail, t) / settings.waves for t in TAILS])
            measured.append([defect(field, fn, size, u) for u in settings.factors])
            theory.append([folding(waves, size, u) for u in settings.factors])
        return xr.Dataset(
            {
                "tail": (("activation", "band"), np.array(tails)),
                "needed": (("activation", "tail_size"), np.array(needed), {"units": "K"}),
                "measured": (("activation", "oversampling"), np.array(measured)),
                "foretold": (("activation", "oversampling"), np.array(theory)),
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

    @cached_property
    def findings(self) -> list[Finding]:
        """The predictions, held against the numbers alone."""
        data = self.data
        errors = data["measured"].to_numpy(), data["foretold"].to_numpy()
        found = [foretold("the spectrum foretells the error", *errors, ROUNDING, FORETOLD)]
        names = [str(name) for name in data["activation"].to_numpy()]
        for name, degree in zip(names, data["degree"].to_numpy(), strict=True):
            if degree:
                found += _polynomial(data.sel(activation=name), name, int(degree))
        for name, order in zip(names, data["order"].to_numpy(), strict=True):
            if math.isfinite(order):
                cell = data.sel(activation=name)
                fitted = _slope(cell["band"], cell["tail"], *FITTED)
                gained = _slope(cell["oversampling"], cell["measured"], 2, math.inf)
                tail, error = "the tail falls like band^−", "the error falls like u^−"
                found += [
                    close(f"{name}: {tail}{order:g}", fitted, order, ORDER),
                    close(f"{name}: {error}{order + 0.5:g}", gained, order + 0.5, ORDER),
                ]
        smooth = (data["degree"] == 0) & ~np.isfinite(data["order"])
        worst = float(data["tail"].sel(band=32.0).to_numpy()[smooth.to_numpy()].max())
        said = "analytic activations: tails fall faster than any power, below 1e-9 at 32 K"
        return [*found, Finding(said, number(worst), worst <= 1e-9)]

    @cached_property
    def table(self) -> Table:
        """Bands that tails need, and errors by over-sampling."""
        tails = [f"band for {t:g}" for t in self.data["tail_size"].to_numpy()]
        factors = [f"u = {u}" for u in self.data["oversampling"].to_numpy()]
        rows = []
        for name in self.data["activation"].to_numpy():
            cell = self.data.sel(activation=name)
            needed = cell["needed"].to_numpy()
            bands = [f"{b:.1f} K" if math.isfinite(b) else "none" for b in needed]
            rows.append([str(name), *bands, *map(number, cell["measured"].to_numpy())])
        return Table(["activation", *tails, *factors], rows)

    def pictures(self) -> dict[str, Figure]:
        """Tails against the band, and errors against over-sampling."""
        data, nyquist = self.data, self.data.attrs["nyquist"]
        figure = Figure(figsize=(11.5, 5.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        u = data["oversampling"].to_numpy()
        for i, name in enumerate(data["activation"].to_numpy()):
            cell, (colour, marker) = data.sel(activation=name), STYLES[i]
            style: dict[str, Any] = {"marker": marker, "color": colour, "label": name}
            left.loglog(cell["band"], lifted(cell["tail"]), lw=1.2, markevery=2, ms=5, **style)
            theory = np.where(cell["foretold"] > ROUNDING, cell["foretold"], np.nan)
            right.loglog(u, theory, color=colour, lw=1.2)
            right.loglog(u, lifted(cell["measured"]), ls="", mfc="none", ms=7, **style)
        across, title = "band (multiples of the input's, K)", "waves that an activation makes"
        labelled(left, across, "part beyond it, relative", title)
        left.axvline(nyquist, color="#777777", ls="--", lw=1)
        left.text(nyquist * 1.05, 1e-15, "Nyquist", fontsize=9, color="#555555")
        title = "what over-sampling buys: marks measured, lines foretold"
        labelled(right, "over-sampling u", "relative equivariance error", title)
        for axes, ticks in ((left, 2 ** np.arange(8)), (right, u)):
            axes.set_xticks(ticks, [str(x) for x in ticks])
            axes.minorticks_off()
            with_round_off(axes, ROUNDING, 5)
        handles, labels = left.get_legend_handles_labels()
        place: Any = {"loc": "outside lower center", "ncols": 7}
        figure.legend(handles, labels, frameon=False, fontsize=9, **place)
        return {"nonlinearity": figure}

    def content(self) -> dict[str, Any]:
        """Where the grid's Nyquist frequency lies."""
        return {"nyquist": f"{self.data.attrs['nyquist']:.2f}"}


def _polynomial(cell: xr.Dataset, name: str, degree: int) -> list[Finding]:
    """No waves beyond degree·K, and no error from an over-sampling of (degree + 1)/2 on."""
    beyond = float(cell["tail"].to_numpy()[cell["band"].to_numpy() >= degree].max())
    least = (degree + 1) / 2
    error = float(cell["measured"].to_numpy()[cell["oversampling"].to_numpy() >= least].max())
    return [
        Finding(f"{name}: no waves beyond {degree} K", number(beyond), beyond <= ROUNDING),
        Finding(f"{name}: exact from u = {least:g} on", number(error), error <= ROUNDING),
    ]


def _slope(x: xr.DataArray, y: xr.DataArray, low: float, high: float) -> float:
    used = ((x >= low) & (x <= high) & (y > 0)).to_numpy()
    return -float(np.polyfit(np.log(x.to_numpy()[used]), np.log(y.to_numpy()[used]), 1)[0])


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
