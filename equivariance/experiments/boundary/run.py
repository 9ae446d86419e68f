"""The experiment `boundary`: a window of a larger field, continued by each kind of padding.

The field moves by whole spacings, the window stays. Points that it sees before and after are compared: what a network
makes of them differs only within its reach of the border.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from tqdm import tqdm

from discretize import Grid, Samples, sample
from equivariance.experiments.boundary.settings import BoundarySettings
from fields import Field, random_bandlimited
from layers import Bias, Conv, Pointwise

#: Paddings of a window, and the torus, on which nothing enters or leaves.
PADDINGS = ("zero", "reflect", "nearest", "periodic", "none")
TORUS = "torus"
#: Band limit of the field, in cycles per spacing.
BAND = 0.2
#: Channels between convolutions.
CHANNELS = 4


@torch.no_grad()
def measure(settings: BoundarySettings) -> xr.Dataset:
    """Differences against the distance from the border, for every padding and depth."""
    size, far = settings.size, settings.farthest
    wide = random_bandlimited(2, 1, BAND, 3.0 * size, settings.seed)
    closed = random_bandlimited(2, 1, BAND, float(size), settings.seed)
    kinds, depths = (*PADDINGS, TORUS), list(range(1, settings.depth + 1))
    nets = [network(depth, settings.seed) for depth in depths]
    reach = settings.depth + 3
    profile = np.zeros((len(kinds), len(depths), reach))
    share = np.zeros((len(kinds), len(depths)))
    truth = np.zeros_like(share)
    maps = np.full((len(kinds), size - far, size - far), np.nan)
    moves = [(t, 0) for t in range(1, far + 1)] + [(far, t) for t in range(1, far + 1)]
    cells = [(i, j) for i in range(len(kinds)) for j in range(len(depths))]
    for i, j in tqdm(cells, desc="boundary", disable=None, leave=False):
        field = closed if kinds[i] == TORUS else wide
        for t in moves:
            difference, scale = moved(nets[j], field, size, t, kinds[i])
            found = _profile(difference / scale, t, reach)
            profile[i, j] = np.maximum(profile[i, j], found)
            each = float(difference.square().mean().sqrt() / scale)
            share[i, j] = np.maximum(share[i, j], each)
        if j == len(depths) - 1:
            maps[i] = _framed((difference / scale).norm(dim=0).numpy(), size - far)
        truth[i, j] = _from_truth(nets[j], field, size, depths[j], kinds[i])
    known = [[_known(kind, size, depth) for depth in depths] for kind in kinds]
    return xr.Dataset(
        {
            "profile": (("padding", "depth", "distance"), profile),
            "share": (("padding", "depth"), share),
            "truth": (("padding", "depth"), truth),
            "known": (("padding", "depth"), known),
            "map": (("padding", "x1", "x2"), maps),
        },
        {"padding": list(kinds), "depth": depths, "distance": np.arange(reach)},
    )


def network(depth: int, seed: int) -> nn.Module:
    """Convolutions of 3 × 3 taps with ReLU: one more point of reach with each."""
    draw = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for i in range(depth):
        ins = 1 if i == 0 else CHANNELS
        taps = torch.randn(3, 3, CHANNELS, ins, generator=draw, dtype=torch.float64)
        bias = 0.1 * torch.randn(CHANNELS, generator=draw, dtype=torch.float64)
        layers += [Conv.from_array(taps * math.sqrt(2 / (9 * ins)), 1.0), Bias(bias)]
        layers += [Pointwise(torch.relu)]
    return nn.Sequential(*layers)


def window(field: Field, size: int, padding: str, margin: int = 0) -> Samples:
    """What a window sees of a field, and how it continues."""
    boundary = "periodic" if padding == TORUS else padding
    grid = Grid((size + 2 * margin,) * 2, 1.0, -float(margin), "none")
    seen = sample(field, grid)
    return Samples(seen.values, grid.replace(boundary=boundary))


def moved(
    network: nn.Module, field: Field, size: int, t: tuple[int, int], padding: str
) -> tuple[Tensor, float]:
    """Φ(t▷F) − t▷Φ(F) where the window sees both, and the root mean square of Φ(F); on a torus everywhere."""
    before = network(window(field, size, padding)).known().values
    after = network(window(field.translate([float(x) for x in t]), size, padding)).known().values
    scale = float(before.square().mean().sqrt())
    if padding == TORUS:
        return after - before.roll(t, (-2, -1)), scale
    rows, columns = (before.shape[-2] - t[0], before.shape[-1] - t[1])
    return after[..., t[0] :, t[1] :] - before[..., :rows, :columns], scale


def _profile(difference: Tensor, t: tuple[int, int], reach: int) -> np.ndarray:
    """The largest difference at each distance from the borders across which content moves; the last and beyond."""
    distance = torch.full(difference.shape[-2:], reach - 1)
    for axis, step in enumerate(t):
        count = difference.shape[axis - 2]
        i = torch.arange(count)
        near = torch.minimum(i, count - 1 - i)
        if step:
            distance = torch.minimum(distance, near[:, None] if axis == 0 else near[None, :])
    largest = difference.abs().amax(0)
    return np.array([float(largest[distance == d].max()) for d in range(reach)])


def _from_truth(network: nn.Module, field: Field, size: int, depth: int, padding: str) -> float:
    """Relative L2 distance from what the network makes of the whole field, where it is known."""
    found = network(window(field, size, padding)).known().values
    whole = network(window(field, size, "none", margin=depth)).known().values
    cut = (whole.shape[-1] - found.shape[-1]) // 2
    expected = whole[..., cut : cut + found.shape[-2], cut : cut + found.shape[-1]]
    return float((found - expected).norm() / expected.norm())


def _framed(values: np.ndarray, side: int) -> np.ndarray:
    """The middle of a map, or the map in a frame of NaN, `side` points a side."""
    cut = (values.shape[0] - side) // 2
    if cut >= 0:
        return values[cut : cut + side, cut : cut + side]
    return np.pad(values, -cut, constant_values=np.nan)


def _known(padding: str, size: int, depth: int) -> float:
    """Part of the window for which there is an output."""
    return ((size - 2 * depth) / size) ** 2 if padding == "none" else 1.0
