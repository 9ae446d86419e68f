"""The experiment `autoencoder`: train two autoencoders on one quadrant, measure them everywhere."""

from __future__ import annotations

import logging
import math
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure
from torch import Tensor

from discretize import Grid
from equivariance.experiments import autoencoders
from equivariance.experiments.autoencoders import STRIDES, TAPS, errors, reconstructed, trained
from equivariance.experiments.study import Finding, Study, Table
from equivariance.plots import STYLES, bare
from equivariance.text import number
from fields import Sprites

log = logging.getLogger(__name__)

#: Both autoencoders, and whether the points that they keep move along.
NETWORKS = {"equivariant": True, "plain": False}
#: Points a side of images, one length unit apart.
SIZE = 32
#: Least distance of a sprite's centre from the border; no sprite reaches beyond.
MARGIN = 6.0
SCALES = (5.0, 8.0)
#: Of the smoothed rim.
WIDTH = 0.5
SHAPES = ("square", "ellipse", "heart")
#: Where sprites lie.
POSITIONS = INSIDE, OUTSIDE = "inside", "outside"
#: Images of either kind that are drawn.
SHOWN = 5
#: The equivariant autoencoder's error outside is at most so many times that inside.
ALIKE = 1.2
#: The plain one's error outside is at least so many times the equivariant one's.
WORSE = 3.0


class Autoencoder(Study):
    """Errors of both autoencoders, inside and outside, for every training."""

    TITLE = "Autoencoders at positions that they never saw"
    PICTURES = ("autoencoder",)

    def measure(self) -> xr.Dataset:
        """The errors, the loss of every step, and images of the first training."""
        settings = self.settings
        sizes = sorted({n for n, _ in settings.runs})
        seeds = sorted({seed for _, seed in settings.runs})
        shape = (len(sizes), len(seeds), len(NETWORKS))
        error = np.empty((*shape, len(POSITIONS)))
        loss = np.empty((*shape, settings.steps))
        drawn: list[Tensor] = []
        parameters = 0
        for count, seed in settings.runs:
            draw = torch.Generator().manual_seed(seed)
            training = images(count, INSIDE, draw)
            tests = {where: images(settings.tests, where, draw) for where in POSITIONS}
            made = [torch.cat([tests[where][:SHOWN] for where in POSITIONS])]
            for k, (name, equivariant) in enumerate(NETWORKS.items()):
                log.info("Training the %s autoencoder on %d images, seed %d …", name, count, seed)
                model = autoencoders.Autoencoder(equivariant, settings.latent, seed)
                cell = (sizes.index(count), seeds.index(seed), k)
                steps = settings.steps, settings.batch
                loss[cell] = trained(model, training, grid(), *steps, seed, name).numpy()
                error[cell] = [
                    float(errors(model, tests[where], grid()).mean()) for where in POSITIONS
                ]
                parameters = sum(p.numel() for p in model.parameters())
                made.append(reconstructed(model, made[0], grid()))
            drawn = drawn or made
        pictures = torch.stack(drawn)[:, :, 0].unflatten(1, (len(POSITIONS), -1)).numpy()
        own = ("images", "seed", "network")
        about = {"long_name": "mean of ‖reconstruction − image‖² / ‖image‖²"}
        return xr.Dataset(
            {
                "error": ((*own, "position"), error, about),
                "loss": ((*own, "step"), loss, {"long_name": "mean squared error of a batch"}),
                "example": (("picture", "position", "sample", "x1", "x2"), pictures),
            },
            {
                "images": sizes,
                "seed": seeds,
                "network": list(NETWORKS),
                "position": list(POSITIONS),
                "picture": ["image", *NETWORKS],
            },
            {"parameters": parameters},
        )

    @cached_property
    def findings(self) -> list[Finding]:
        """The predictions, held against the errors alone."""
        error = self.data["error"]
        inside = error.sel(network="equivariant", position=INSIDE)
        outside, plain = (error.sel(network=n, position=OUTSIDE) for n in NETWORKS)
        alike = float((outside / inside).to_numpy().max())
        worse = float((plain / outside).to_numpy().min())
        return [
            Finding(
                f"equivariant: outside at most {ALIKE:g} × inside", f"{alike:.2f} ×", alike <= ALIKE
            ),
            Finding(
                f"outside: plain at least {WORSE:g} × equivariant", f"{worse:.2f} ×", worse >= WORSE
            ),
        ]

    @cached_property
    def table(self) -> Table:
        """Errors by images, seed and network: inside, outside, their ratio."""
        header = ["images", "seed", "autoencoder", "inside", "outside", "outside/inside"]
        cells = self.data["error"].stack(cell=("images", "seed", "network"))
        pairs = cells.sel(position=list(POSITIONS)).transpose("cell", "position").to_numpy()
        rows = [
            [*map(str, label), number(inside), number(outside), f"{outside / inside:.2f}"]
            for label, (inside, outside) in zip(cells["cell"].to_numpy(), pairs, strict=True)
        ]
        return Table(header, rows)

    @property
    def heading(self) -> str:
        """What is printed above the table."""
        return (
            "Error of reconstructed sprites, ‖difference‖² / ‖image‖², inside the quadrant of the training\n"
            f"images and outside of it; both autoencoders have {self.data.attrs['parameters']} parameters."
        )

    def pictures(self) -> dict[str, Figure]:
        """Images and what becomes of them, beside the errors."""
        examples = self.data["example"]
        figure = Figure(figsize=(12.5, 4.2), layout="constrained")
        parts: Any = figure.subfigures(1, 3, width_ratios=[1, 1, 0.8])
        for part, where in zip(parts[:2], POSITIONS, strict=True):
            part.suptitle(f"{where} the training quadrant", fontsize=11)
            axes = part.subplots(3, examples.sizes["sample"], squeeze=False)
            for row, name in zip(axes, examples["picture"].to_numpy(), strict=True):
                shown = examples.sel(picture=name, position=where)
                for ax, image in zip(row, shown.to_numpy(), strict=True):
                    bare(ax).imshow(image, cmap="gray", vmin=0, vmax=1)
                    ax.axhline(SIZE / 2 - 0.5, color=STYLES[1][0], lw=0.6)
                    ax.axvline(SIZE / 2 - 0.5, color=STYLES[1][0], lw=0.6)
                if where == INSIDE:
                    row[0].set_ylabel(str(name))
        self._errors(parts[2])
        return {"autoencoder": figure}

    def _errors(self, part: Any) -> None:
        """Every training's errors as points, inside and outside, on a log axis."""
        ax, places = part.subplots(), np.arange(2)
        for k, network in enumerate(self.data["network"].to_numpy()):
            colour, marker = STYLES[(3, 1)[k]]
            lines = self.data["error"].sel(network=network).to_numpy().reshape(-1, 2)
            for i, line in enumerate(lines):
                label = str(network) if i == 0 else None
                ax.semilogy(places, line, color=colour, marker=marker, lw=1, label=label)
        ax.set_xticks(places, POSITIONS)
        ax.set_xlim(-0.4, 1.4)
        ax.set_ylabel("‖reconstruction − image‖² / ‖image‖²")
        ax.grid(True, axis="y", which="both", color="#dddddd", lw=0.5)
        ax.legend(frameon=False)
        part.suptitle("error", fontsize=11)

    def content(self) -> dict[str, Any]:
        """What the page tells of images and networks."""
        return {
            "parameters": self.data.attrs["parameters"],
            "size": SIZE,
            "margin": MARGIN,
            "strides": STRIDES,
            "taps": TAPS,
        }


def grid() -> Grid:
    """The torus that images are sampled on."""
    return Grid((SIZE, SIZE), 1.0)


def images(count: int, where: str, draw: torch.Generator) -> Tensor:
    """Sampled sprites, (count, 1, SIZE, SIZE), float32, with centres inside the first quadrant or outside of it."""
    points = grid().points()
    parts = []
    for i, shape in enumerate(SHAPES):
        n = len(range(i, count, len(SHAPES)))
        low, high = SCALES
        scales = low + (high - low) * torch.rand(n, 1, generator=draw, dtype=torch.float64)
        turns = 2 * math.pi * torch.rand(n, 1, generator=draw, dtype=torch.float64)
        peaks = torch.ones(n, 1, 1, dtype=torch.float64)
        field = Sprites(shape, _centres(n, where, draw), peaks, scales, turns, WIDTH)
        parts.append(field(points).movedim(-1, 1).float())
    return torch.cat(parts)[torch.randperm(count, generator=draw)]


def _centres(count: int, where: str, draw: torch.Generator) -> Tensor:
    """Uniform over the quadrant, or over what is left of the square of centres, (count, 1, 2)."""
    found = torch.empty(0, 2, dtype=torch.float64)
    while len(found) < count:
        drawn = torch.rand(4 * count, 2, generator=draw, dtype=torch.float64)
        centres = MARGIN + (SIZE - 2 * MARGIN) * drawn
        inside = (centres < SIZE / 2).all(-1)
        found = torch.cat([found, centres[inside == (where == INSIDE)]])
    return found[:count, None]
