"""The experiment `local`: what a layer makes of two parts, against what it makes of each.

    interaction = L(c ◁ A ◁ t▷B) − (L(c ◁ A) + t▷L(c ◁ B) − L(c))

A and B are discs that cover the even background c. Where no window of L holds points of both, the interaction is 0: the
response to a moved foreground is the moved response.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from torch import Tensor, nn
from tqdm import tqdm

from discretize import Grid, Samples, sample
from equivariance.experiments.model_settings import LocalSettings
from equivariance.experiments.study import Finding, Study, Table, large, small
from equivariance.plots import LEAST, STYLES, bare, labelled, lifted, with_round_off
from equivariance.text import number
from equivariance.verdicts import tolerance
from fields import Balls, Box, Constant, Field, PeriodicKernel, random_bandlimited
from fields.algebra.independent_parts import Part, local_translation
from layers import Bias, Conv, MaxPool, Pointwise

#: Value of the background, and band limit of the textures, in cycles per grid spacing.
BACKGROUND, BAND = 0.3, 0.15
#: Network, and distances in receptive fields, of the maps that are drawn.
MAPPED, DRAWN = "convolution, ReLU, twice", (0.25, 0.75, 1.25)
DIRECTIONS = {"axis": (1.0, 0.0), "diagonal": (1.0, 1.0)}
KNOWN, DIMS = ("reach", "linear", "local"), ("network", "carrier", "direction", "distance")
#: Parts nearer than so many receptive fields interact, in every layer that isn't linear.
NEAR = 0.5


class Local(Study):
    """The largest interaction by network, carrier, direction and distance."""

    TITLE = "Parts that move independently"
    PICTURES = ("local",)
    heading = (
        "Largest interaction of two parts, relative to the largest response, against their distance in receptive\n"
        "fields (how far apart two points may be that one output sees)."
    )

    @torch.no_grad()
    def measure(self) -> xr.Dataset:
        """The interactions, and maps of some."""
        settings = self.settings
        nets, ways, radius = networks(settings), DIRECTIONS.values(), settings.radius
        distances = np.arange(1, settings.steps * 3 // 2 + 1) / settings.steps
        error = np.full((len(nets), 2, len(DIRECTIONS), len(distances)), np.nan)
        cells = [(i, n, j) for i, n in enumerate(nets.values()) for j in range(1 + n.local)]
        for i, net, j in tqdm(cells, desc="local", disable=None, leave=False):
            moves = [offset(d * 2 * net.reach, way, radius) for way in ways for d in distances]
            found = [
                [each.largest for each in interactions(net.module, settings, seed, moves, j == 1)]
                for seed in range(settings.textures)
            ]
            error[i, j] = np.max(found, 0).reshape(error.shape[2:])
        about = {"long_name": "largest interaction, relative to the largest response"}
        return xr.Dataset(
            {
                "interaction": (DIMS, error, about),
                "map": (("shown", "panel", "x1", "x2"), _mapped(nets[MAPPED], settings)),
            },
            {
                "network": list(nets),
                "carrier": ["samples", "field"],
                "direction": list(DIRECTIONS),
                "distance": ("distance", distances, {"units": "receptive fields"}),
                **{k: ("network", [1 * getattr(n, k) for n in nets.values()]) for k in KNOWN},
                "shown": list(DRAWN),
                "panel": ["F", "L(F)", "interaction"],
            },
        )

    @cached_property
    def findings(self) -> list[Finding]:
        """The predictions, held against the interactions alone."""
        distance = self.data["distance"].to_numpy()
        linear, local = (self.data[key].to_numpy() == 1 for key in ("linear", "local"))
        error = self.data["interaction"].transpose(*DIMS).to_numpy()
        apart = float(error[local][..., distance > 1 + 1e-9].max())
        near = float(error[local & ~linear][..., distance <= NEAR].max((1, 2)).min())
        superposed, wide = float(error[linear].max()), float(error[~local][:, 0].min())
        return [
            small("farther apart than the receptive field, parts don't interact", apart),
            large(f"nearer than {NEAR:g} of it they do, unless the layer is linear", near),
            small("linear layers answer each part by itself at any distance", superposed),
            large("a kernel of the whole period sees both at any distance", wide),
        ]

    @cached_property
    def table(self) -> Table:
        """Interactions by network, carrier and direction, distances across."""
        columns = np.linspace(0, self.data.sizes["distance"] - 1, 6).round().astype(int)
        distances = self.data["distance"].to_numpy()
        lines = self.data["interaction"].stack(row=("network", "carrier", "direction"))
        rows = [
            [*map(str, label), *map(number, line[columns])]
            for label, line in zip(lines["row"].to_numpy(), lines.to_numpy().T, strict=True)
            if not np.isnan(line).all()
        ]
        return Table(["network", "on", "along", *(f"{distances[i]:.2g}" for i in columns)], rows)

    def pictures(self) -> dict[str, Figure]:
        """Interactions against distance, beside maps of them."""
        figure = Figure(figsize=(13, 6.2), layout="constrained")
        parts: Any = figure.subfigures(1, 2, width_ratios=[1, 1.15])
        self._curves(parts[0].subplots())
        self._maps(parts[1])
        return {"local": figure}

    def _curves(self, ax: Axes) -> None:
        data, distance = self.data, self.data["distance"].to_numpy()
        for i, name in enumerate(data["network"].to_numpy()):
            (colour, marker), cell = STYLES[i], data["interaction"].sel(network=name)
            worst = lifted(cell.max(("carrier", "direction")))
            ax.semilogy(distance, worst, marker=marker, color=colour, ms=6, lw=1.1, label=str(name))
        with_round_off(ax, tolerance(), 1e6, LEAST / 3)
        ax.text(
            distance[0], tolerance() / 3, "round-off (the lower edge is 0)", fontsize=9, va="top"
        )
        ax.axvline(1, color="#777777", lw=1, ls="--")
        y = "largest interaction / largest response"
        labelled(ax, "distance of the parts (receptive fields)", y, legend="upper right")

    def _maps(self, part: SubFigure) -> None:
        data, panels = self.data, self.data["panel"].to_numpy()
        axes = part.subplots(data.sizes["shown"], len(panels), squeeze=False)
        colours = {"F": "gray", "L(F)": "cividis", "interaction": "RdBu_r"}
        for j, panel in enumerate(panels):
            values = data["map"].sel(panel=panel).to_numpy()
            bound = float(np.abs(values).max()) or 1.0
            low, high = values.min(), values.max()
            if panel == "interaction":
                low, high = -bound, bound
            for ax, value in zip(axes[:, j], values, strict=True):
                image = bare(ax).imshow(value, cmap=colours[str(panel)], vmin=low, vmax=high)
            axes[0, j].set_title(str(panel), fontsize=11)
            part.colorbar(image, ax=axes[:, j].tolist(), location="bottom", shrink=0.8)
        for ax, distance in zip(axes[:, 0], data["shown"].to_numpy(), strict=True):
            ax.set_ylabel(f"distance {distance:g}")

    def content(self) -> dict[str, Any]:
        """The networks that were tried."""
        reach = zip(self.data["network"].to_numpy(), self.data["reach"].to_numpy(), strict=True)
        return {"reach": {str(name): f"{2 * float(r):g}" for name, r in reach}, "near": NEAR}


class Network(NamedTuple):
    """A network, how far a point of its output sees per axis, and whether superposition holds."""

    module: nn.Module
    reach: float
    linear: bool = False
    local: bool = True


def networks(settings: LocalSettings) -> dict[str, Network]:
    """Layers of finite range, linear and not, and one that sees the whole period."""
    draw = torch.Generator().manual_seed(settings.seed)

    def conv(side: int) -> Conv:
        taps = torch.randn(side, side, 1, 1, generator=draw, dtype=torch.float64)
        return Conv.from_array(taps / side, 1.0)

    relu, tanh = Pointwise(torch.relu), Pointwise(torch.tanh)
    bias, pool = Bias(torch.tensor([0.1], dtype=torch.float64)), MaxPool(Box(4.0), nodes=2)
    side, period = settings.size | 1, (float(settings.size),) * 2
    wide = torch.randn(side, side, 1, 1, generator=draw, dtype=torch.float64) / side
    whole = Conv(PeriodicKernel(wide, period))
    once, twice = conv(5), nn.Sequential(conv(3), bias, relu, conv(3), relu)
    pooled = nn.Sequential(conv(3), pool)
    thrice = nn.Sequential(conv(3), tanh, conv(3), tanh, conv(3), tanh)
    return {
        "convolution": Network(once, 2.0, linear=True),
        MAPPED: Network(twice, 2.0),
        "convolution, max pooling": Network(pooled, 3.0),
        "three convolutions, tanh": Network(thrice, 3.0),
        "kernel of the whole period, ReLU": Network(nn.Sequential(whole, relu), 2.0, local=False),
    }


def offset(distance: float, way: tuple[float, float], radius: float) -> Tensor:
    """From disc to disc along a direction, so that squares of half-side `distance` around one touch the other.

    Along an axis the discs are `distance` apart; along the diagonal both coordinates of their nearest points are.
    """
    step = distance + (2 * radius if 0.0 in way else np.sqrt(2) * radius)
    return torch.tensor(way, dtype=torch.float64) * step


class Interaction(NamedTuple):
    """The largest interaction, relative to the largest response; F, L(F) and the interaction as maps."""

    largest: float
    field: Samples
    response: Samples
    difference: Samples


def interactions(
    network: nn.Module, settings: LocalSettings, seed: int, moves: list[Tensor], continuous: bool
) -> Iterator[Interaction]:
    """What a network makes of both discs, beyond what it makes of each, for every move of the second.

    On samples of spacing 1 it moves by the whole spacings that leave at least that distance.
    """
    spacing = 0.5 if continuous else 1.0
    grid = Grid((round(settings.size / spacing),) * 2, spacing)
    background: Field = Constant(BACKGROUND, 2)
    one, two = _part(settings, 2 * seed), _part(settings, 2 * seed + 1)

    def response(field: Field) -> Samples:
        if continuous:
            return sample(network(field), grid, refinement=1, prefilter="none")
        made: Samples = network(sample(field, grid, prefilter="none")).resample(grid)
        return made

    def field(parts: list[Part], moved: list[Tensor]) -> Field:
        return local_translation([background, *parts], [torch.zeros(2), *moved])

    still = torch.zeros(2, dtype=torch.float64)
    rest = response(field([one], [still])).values - response(background).values
    alone = response(field([two], [still])).values
    for t in moves if continuous else [torch.ceil(t - 1e-9) for t in moves]:
        both = field([one, two], [still, t])
        made = response(both)
        by_samples = alone.roll([int(x) for x in t.ceil()], (-2, -1))
        moved = response(field([two], [t])).values if continuous else by_samples
        difference = made.values - (rest + moved)
        largest = float(difference.abs().amax() / made.values.abs().amax())
        shown = sample(both, grid, prefilter="none")
        yield Interaction(largest, shown, made, Samples(difference, grid))


def _part(settings: LocalSettings, seed: int) -> tuple[Field, Field]:
    """A texture and the disc that it covers, around a quarter of the period."""
    period = float(settings.size)
    texture = random_bandlimited(2, 1, BAND, period, 1000 * settings.seed + seed)
    centre = settings.radius + 6.0
    return texture, Balls([[centre, centre]], [[1.0]], [settings.radius]).periodize(period)


def _mapped(net: Network, settings: LocalSettings) -> np.ndarray:
    """F, L(F) and the interaction of a network, at some distances."""
    moves = [offset(x * 2 * net.reach, DIRECTIONS["axis"], settings.radius) for x in DRAWN]
    drawn = interactions(net.module, settings, 0, moves, continuous=False)
    maps = [[m.values[0].numpy() for m in (x.field, x.response, x.difference)] for x in drawn]
    return np.array(maps)
