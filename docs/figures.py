"""The pictures of the concept pages: `python docs/figures.py` writes them to docs/figures/."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import nn

from discretize import ComovingSubsampling, Grid, Stride, sample
from fields import Ball, BoxKernel, BumpKernel, GaussianKernel, Kernel, random_bandlimited
from layers import AvgPool, Conv, MaxPool, Pointwise

OUT = Path(__file__).parent / "figures"
BLUE, ORANGE, GREEN, RED, GREY = "#1f77b4", "#e8710a", "#2e8b57", "#c0392b", "#8a8a8a"


def carriers() -> Figure:
    """The square: a network on functions and on samples."""
    figure, axis = plt.subplots(figsize=(7, 2.9), layout="constrained")
    places = {
        (0, 1): "F",
        (1, 1): "net(F)",
        (0, 0): "sample(F, grid)",
        (1, 0): "net(sample(F, grid))\n≈ sample(net(F), grid)",
    }
    for (x, y), text in places.items():
        colour = BLUE if y else ORANGE
        box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": colour}
        axis.text(x, y, text, ha="center", va="center", family="monospace", bbox=box)
    arrow = {"arrowstyle": "-|>", "color": GREY, "shrinkA": 0, "shrinkB": 0}
    for start, end, label, at in (
        ((0.2, 1), (0.78, 1), "net", (0.49, 1.09)),
        ((0.26, 0), (0.68, 0), "net", (0.47, 0.09)),
        ((0, 0.78), (0, 0.24), "sample", (0.09, 0.51)),
        ((1, 0.78), (1, 0.3), "sample", (1.09, 0.54)),
    ):
        axis.annotate("", end, start, arrowprops=arrow)
        axis.text(*at, label, ha="center", va="center", color=GREY)
    axis.text(-0.62, 1, "functions:\na Field", color=BLUE, va="center")
    axis.text(-0.62, 0, "arrays:\nSamples", color=ORANGE, va="center")
    axis.set(xlim=(-0.65, 1.5), ylim=(-0.3, 1.25))
    axis.axis("off")
    return figure


def lattices() -> Figure:
    """Two passes: halos backwards, then every node of the graph once, forwards."""
    figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
    radius, h, nodes = 1.25, 1.0, 0.25
    for level, (label, halo) in enumerate((("F", 2), ("K₁ * F", 1), ("K₂ * K₁ * F", 0))):
        reach = radius * halo
        low, high = -reach, 6 + reach
        spacing = h if halo == 0 else nodes
        x = torch.arange(low, high + 1e-9, spacing)
        colour = ORANGE if halo == 0 else BLUE
        axis.plot(x, torch.full_like(x, level), "o", color=colour, markersize=7 if halo == 0 else 4)
        axis.text(-4.4, level, label, va="center")
    for level in (0, 1):
        centre = 2.0 if level == 1 else 2.0 - radius
        axis.fill(
            [centre - radius, centre + radius, centre],
            [level + 0.08, level + 0.08, level + 0.92],
            color=GREY,
            alpha=0.25,
            linewidth=0,
        )
    axis.annotate("asked for", (6.2, 2), (7.4, 2), color=ORANGE, va="center")
    axis.annotate("needed: wider by one radius,\nrefined m = 4 times", (7.4, 1), va="center")
    axis.annotate("needed: wider by two", (8.7, 0), va="center")
    axis.set(xlim=(-4.5, 12.2), ylim=(-0.4, 2.5))
    axis.axis("off")
    return figure


def comoving() -> Figure:
    """A stride that stays, and a grid that moves along: what is kept of a moving field."""
    figure, axes = plt.subplots(3, 2, figsize=(7.4, 3.9), sharex=True, sharey=True)
    field = random_bandlimited(1, 1, bandlimit=0.45, period=24.0, seed=6)
    line, grid = Grid(480, 0.05), Grid(24, 1.0)
    for column, (title, layer) in enumerate(
        (
            ("Stride(3): the grid stays", Stride(3)),
            ("comoving: it moves along", ComovingSubsampling(3)),
        )
    ):
        for row, t in enumerate((0.0, 0.7, 1.4)):
            axis = axes[row, column]
            moved = field.translate([t])
            axis.plot(line.points()[:, 0], sample(moved, line).values[0], color=GREY, linewidth=1)
            kept = layer(sample(moved, grid))
            x = kept.grid.points()[..., 0] % 24
            colour = RED if column == 0 else GREEN
            axis.vlines(x, 0, kept.values[0], color=colour, linewidth=1)
            axis.plot(x, kept.values[0], "o", color=colour, markersize=4)
            axis.set_yticks([])
            if column == 0:
                axis.set_ylabel(f"t = {t:g}", rotation=0, ha="right", va="center")
        axes[0, column].set_title(title, fontsize=10)
        axes[2, column].set_xlabel("x")
    figure.tight_layout(h_pad=0.2)
    return figure


def folding() -> Figure:
    """Waves above Nyquist come back as slower ones."""
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 2.7), layout="constrained")
    x = torch.linspace(0, 8, 400)
    nodes = torch.arange(0, 9)
    axes[0].plot(x, torch.cos(2 * torch.pi * 0.8 * x), color=GREY, label="0.8 waves per sample")
    axes[0].plot(x, torch.cos(2 * torch.pi * 0.2 * x), color=RED, label="0.2: the same samples")
    axes[0].plot(nodes, torch.cos(2 * torch.pi * 0.8 * nodes), "o", color="black", markersize=4)
    axes[0].set(xlabel="x, in spacings", ylim=(-1.2, 1.9), yticks=[])
    axes[0].legend(loc="upper right", fontsize=8, frameon=False)
    slow = random_bandlimited(1, 1, bandlimit=0.1, period=64.0, seed=0)
    grid = Grid(256, 0.25)
    for name, fn, colour in (
        ("f", lambda v: v, GREY),
        ("f²", torch.square, BLUE),
        ("tanh f", torch.tanh, GREEN),
        ("relu f", torch.relu, ORANGE),
    ):
        values = sample(slow.map(fn), grid, prefilter="none").values[0]
        power = torch.fft.rfft(values, norm="forward").abs().clamp(min=1e-12)
        axes[1].semilogy(
            torch.arange(len(power)) / 64, power, color=colour, label=name, linewidth=1
        )
    axes[1].axvline(0.5, color="black", linestyle=":", linewidth=1)
    axes[1].text(0.52, 0.2, "Nyquist of\nspacing 1", fontsize=8)
    axes[1].set(xlabel="frequency", ylabel="|Fourier coefficient|", xlim=(0, 1.5), ylim=(1e-12, 3))
    axes[1].legend(fontsize=8, frameon=False, ncols=2, loc="lower center")
    return figure


def accuracy() -> Figure:
    """How fast the quadratures of kernels and windows converge."""
    figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
    field = random_bandlimited(2, 1, bandlimit=2 / 12, period=12.0, seed=0)
    grid = Grid((12, 12), 1.0)

    def tent(y: torch.Tensor) -> torch.Tensor:
        return (1 - y.norm(dim=-1)).clamp(min=0)[..., None, None]

    layers: dict[str, nn.Module] = {
        "GaussianKernel": Conv(GaussianKernel(0.6, [[1.0]]), exact=False),
        "BumpKernel": Conv(BumpKernel(1.5, [[1.0]]), exact=False),
        "Kernel, a tent": Conv(Kernel(tent, 1, 1, radius=1.0)),
        "BoxKernel": Conv(BoxKernel(1.3, [[1.0]]), exact=False),
        "mean over a ball": AvgPool(Ball(1.3)),
        "max over a ball": MaxPool(Ball(1.3)),
        "ReLU, then Gaussian": nn.Sequential(
            Pointwise(torch.relu), Conv(GaussianKernel(0.6, [[1.0]]))
        ),
    }
    refinements = [1, 2, 3, 4, 6, 8, 12, 16]
    with torch.no_grad():
        for i, (name, layer) in enumerate(layers.items()):
            fine = sample(layer(field), grid, refinement=64).values
            errors = [
                float((sample(layer(field), grid, refinement=m).values - fine).norm() / fine.norm())
                for m in refinements
            ]
            shown = torch.tensor(errors).clamp(min=1e-16)
            axis.loglog(refinements, shown, "o-", label=name, markersize=3, color=f"C{i}")
    axis.set(xlabel="refinement m: nodes per spacing", ylabel="relative error", xticks=refinements)
    axis.set_xticklabels(map(str, refinements))
    axis.minorticks_off()
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


FIGURES = (carriers, lattices, comoving, folding, accuracy)


def main() -> None:
    """Write all of them."""
    mpl.rcParams.update({"svg.hashsalt": "figures", "font.size": 9, "axes.spines.top": False})
    mpl.rcParams["axes.spines.right"] = False
    OUT.mkdir(exist_ok=True)
    for draw in FIGURES:
        figure = draw()
        figure.savefig(OUT / f"{draw.__name__}.svg", metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    main()
