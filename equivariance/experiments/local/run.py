"""The experiment `local`: what a layer makes of two parts, against what it makes of each.

    interaction = L(c ◁ A ◁ t▷B) − (L(c ◁ A) + t▷L(c ◁ B) − L(c))

A and B are discs that cover the even background c. Where no window of L holds points of both, the interaction is 0: the
response to a moved foreground is the moved response.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from tqdm import tqdm

from discretize import Grid, Samples, sample
from equivariance.experiments.local.settings import LocalSettings
from fields import (
    Balls,
    Box,
    Constant,
    Field,
    PeriodicKernel,
    local_translation,
    random_bandlimited,
)
from fields.parts import Part
from layers import Bias, Conv, MaxPool, Pointwise

#: Value of the background.
BACKGROUND = 0.3
#: Band limit of the textures, in cycles per grid spacing.
BAND = 0.15
#: Distances of the maps that are drawn, in receptive fields.
DRAWN = (0.25, 0.75, 1.25)
DIRECTIONS = {"axis": (1.0, 0.0), "diagonal": (1.0, 1.0)}


@dataclass(frozen=True)
class Network:
    """A network, how far a point of its output sees per axis, and whether superposition holds."""

    module: nn.Module
    reach: float
    linear: bool = False
    local: bool = True


@torch.no_grad()
def measure(settings: LocalSettings) -> xr.Dataset:
    """The largest interaction by network, carrier, direction and distance."""
    nets = networks(settings)
    distances = np.arange(1, settings.steps * 3 // 2 + 1) / settings.steps
    error = np.full((len(nets), 2, len(DIRECTIONS), len(distances)), np.nan)
    cells = [(i, j) for i, net in enumerate(nets.values()) for j in range(1 + net.local)]
    for i, j in tqdm(cells, desc="local", disable=None, leave=False):
        net = list(nets.values())[i]
        moves = [
            offset(distance * 2 * net.reach, way, settings.radius)
            for way in DIRECTIONS.values()
            for distance in distances
        ]
        found = [
            [each.largest for each in interactions(net.module, settings, seed, moves, j == 1)]
            for seed in range(settings.textures)
        ]
        error[i, j] = np.max(found, 0).reshape(error.shape[2:])
    return xr.Dataset(
        {
            "interaction": (
                ("network", "carrier", "direction", "distance"),
                error,
                {"long_name": "largest interaction, relative to the largest response"},
            ),
            "map": (("shown", "panel", "x1", "x2"), _maps(nets, settings)),
        },
        {
            "network": list(nets),
            "carrier": ["samples", "field"],
            "direction": list(DIRECTIONS),
            "distance": ("distance", distances, {"units": "receptive fields"}),
            "reach": ("network", [net.reach for net in nets.values()]),
            "linear": ("network", [int(net.linear) for net in nets.values()]),
            "local": ("network", [int(net.local) for net in nets.values()]),
            "shown": list(DRAWN),
            "panel": ["F", "L(F)", "interaction"],
        },
    )


def networks(settings: LocalSettings) -> dict[str, Network]:
    """Layers of finite range, linear and not, and one that sees the whole period."""
    draw = torch.Generator().manual_seed(settings.seed)

    def conv(side: int) -> Conv:
        taps = torch.randn(side, side, 1, 1, generator=draw, dtype=torch.float64)
        return Conv.from_array(taps / side, 1.0)

    relu, bias = Pointwise(torch.relu), Bias(torch.tensor([0.1], dtype=torch.float64))
    side = settings.size | 1
    wide = torch.randn(side, side, 1, 1, generator=draw, dtype=torch.float64) / side
    period = (float(settings.size),) * 2
    return {
        "convolution": Network(conv(5), 2.0, linear=True),
        "convolution, ReLU, twice": Network(nn.Sequential(conv(3), bias, relu, conv(3), relu), 2.0),
        "convolution, max pooling": Network(
            nn.Sequential(conv(3), MaxPool(Box(4.0), nodes=2)), 3.0
        ),
        "three convolutions, tanh": Network(
            nn.Sequential(*(m for _ in range(3) for m in (conv(3), Pointwise(torch.tanh)))), 3.0
        ),
        "kernel of the whole period, ReLU": Network(
            nn.Sequential(Conv(PeriodicKernel(wide, period)), relu), 2.0, local=False
        ),
    }


def offset(distance: float, way: tuple[float, float], radius: float) -> Tensor:
    """From disc to disc along a direction, so that squares of half-side `distance` around one touch the other.

    Along an axis the discs are `distance` apart; along the diagonal both coordinates of their nearest points are.
    """
    step = distance + (2 * radius if 0.0 in way else np.sqrt(2) * radius)
    return torch.tensor(way, dtype=torch.float64) * step


@dataclass(frozen=True)
class Interaction:
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
    for t in moves:
        t = t if continuous else torch.ceil(t - 1e-9)
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
    disc = Balls([[centre, centre]], [[1.0]], [settings.radius]).periodize(period)
    return texture, disc


def _maps(nets: dict[str, Network], settings: LocalSettings) -> np.ndarray:
    """F, L(F) and the interaction of the second network, at some distances."""
    net = nets["convolution, ReLU, twice"]
    moves = [offset(x * 2 * net.reach, DIRECTIONS["axis"], settings.radius) for x in DRAWN]
    drawn = interactions(net.module, settings, 0, moves, continuous=False)
    return np.stack(
        [
            np.stack([m.values[0].numpy() for m in (x.field, x.response, x.difference)])
            for x in drawn
        ]
    )
