"""The experiment `boundary`: a window of a larger field, continued by each kind of padding.

The field moves by whole spacings, the window stays. Points that it sees before and after are compared: what a network
makes of them differs only within its reach of the border.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure, SubFigure
from torch import Tensor, nn
from tqdm import tqdm

from discretize import Grid, Samples, sample
from equivariance.experiments.study import Finding, Study, Table, large, small
from equivariance.plots import LEAST, STYLES, bare, labelled, lifted, with_round_off
from equivariance.text import number
from equivariance.verdicts import tolerance
from fields import Field, random_bandlimited
from layers import Bias, Conv, Pointwise

#: Paddings of a window that make something up.
MAKING = ("zero", "reflect", "nearest", "periodic")
#: The torus, on which nothing enters or leaves.
TORUS = "torus"
#: All kinds; without padding the map shrinks.
KINDS = (*MAKING, "none", TORUS)
#: Band limit of the field, in cycles per spacing.
BAND = 0.2
#: Channels between convolutions.
CHANNELS = 4


class Boundary(Study):
    """Differences against the distance from the border, for every padding and depth."""

    TITLE = "Torus against windows"
    PICTURES = ("boundary",)
    heading = (
        "Φ(t▷F) − t▷Φ(F) at points that the window sees before and after, relative to the root mean square of Φ(F):\n"
        "the largest by distance from the border, the root mean square over all; the distance of Φ(F) from what the\n"
        "network makes of the whole field; the part of the window that has an output."
    )

    @torch.no_grad()
    def measure(self) -> xr.Dataset:
        """Differences by distance, over all points and from the truth, and maps of them."""
        settings, size, far = self.settings, self.settings.size, self.settings.farthest
        wide = random_bandlimited(2, 1, BAND, 3.0 * size, settings.seed)
        closed = random_bandlimited(2, 1, BAND, float(size), settings.seed)
        depths = list(range(1, settings.depth + 1))
        nets = [network(depth, settings.seed) for depth in depths]
        reach = settings.depth + 3
        profile = np.zeros((len(KINDS), len(depths), reach))
        share, truth = np.zeros(profile.shape[:2]), np.zeros(profile.shape[:2])
        maps = np.full((len(KINDS), size - far, size - far), np.nan)
        moves = [(t, 0) for t in range(1, far + 1)] + [(far, t) for t in range(1, far + 1)]
        cells = [(i, j) for i in range(len(KINDS)) for j in range(len(depths))]
        for i, j in tqdm(cells, desc="boundary", disable=None, leave=False):
            field = closed if KINDS[i] == TORUS else wide
            for t in moves:
                difference, scale = moved(nets[j], field, size, t, KINDS[i])
                found = _profile(difference / scale, t, reach)
                profile[i, j] = np.maximum(profile[i, j], found)
                each = float(difference.square().mean().sqrt() / scale)
                share[i, j] = np.maximum(share[i, j], each)
            if j == len(depths) - 1:
                maps[i] = _framed((difference / scale).norm(dim=0).numpy(), size - far)
            truth[i, j] = _from_truth(nets[j], field, size, depths[j], KINDS[i])
        known = [[_known(kind, size, depth) for depth in depths] for kind in KINDS]
        return xr.Dataset(
            {
                "profile": (("padding", "depth", "distance"), profile),
                "share": (("padding", "depth"), share),
                "truth": (("padding", "depth"), truth),
                "known": (("padding", "depth"), known),
                "map": (("padding", "x1", "x2"), maps),
            },
            {"padding": list(KINDS), "depth": depths, "distance": np.arange(reach)},
        )

    @cached_property
    def findings(self) -> list[Finding]:
        """The predictions, held against the differences alone."""
        profile, truth = self.data["profile"], self.data["truth"]
        making = profile.sel(padding=list(MAKING)).transpose("depth", "padding", "distance")
        inside, outermost = [], []
        for depth, cell in zip(self.data["depth"].to_numpy(), making.to_numpy(), strict=True):
            inside.append(float(cell[:, depth:].max()))
            outermost.append(float(cell[:, depth - 1].min()))
        torus, none = (float(profile.sel(padding=k).to_numpy().max()) for k in (TORUS, "none"))
        true = float(truth.sel(padding=["none", TORUS]).to_numpy().max())
        made = float(truth.sel(padding=list(MAKING)).to_numpy().min())
        return [
            small("torus: nothing enters or leaves, whole spacings commute everywhere", torus),
            small(
                "windows: no error from the network's reach on inwards, whatever the padding",
                float(np.max(inside)),  # NaN counts, to numpy
            ),
            large("windows: errors up to the reach, with every padding", float(np.min(outermost))),
            small("without padding no error at all, on the part of the window that is left", none),
            small("there, and on a torus, the output is that of the whole field", true),
            large("with padding it isn't", made),
        ]

    @cached_property
    def table(self) -> Table:
        """By padding and depth: errors by distance, over all points, from the truth, and how much is known."""
        distances = [f"at {d}" for d in self.data["distance"].to_numpy()[:-1]]
        rows = []
        for name in self.data["padding"].to_numpy():
            for depth in self.data["depth"].to_numpy():
                cell = self.data.sel(padding=name, depth=depth)
                errors = map(number, cell["profile"].to_numpy()[:-1])
                whole = [number(float(cell["share"])), number(float(cell["truth"]))]
                rows.append([str(name), str(depth), *errors, *whole, f"{float(cell['known']):.0%}"])
        return Table(["padding", "reach", *distances, "all", "from the truth", "known"], rows)

    def pictures(self) -> dict[str, Figure]:
        """Errors against the distance from the border and against depth, above maps of them."""
        data, deepest = self.data, int(self.data["depth"].max())
        figure = Figure(figsize=(12, 6.6), layout="constrained")
        parts: Any = figure.subfigures(2, 1, height_ratios=[1.7, 1])
        left, right = parts[0].subplots(1, 2)
        for i, name in enumerate(data["padding"].to_numpy()):
            colour, marker = STYLES[i]
            style: dict[str, Any] = {"color": colour, "marker": marker, "ms": 6, "lw": 1.2}
            cell = data.sel(padding=name)
            profile = lifted(cell["profile"].sel(depth=deepest))
            left.semilogy(data["distance"], profile, label=str(name), **style)
            right.plot(data["depth"], cell["share"], label=str(name), **style)
        left.axvline(deepest - 0.5, color="#777777", ls="--", lw=1)
        with_round_off(left, tolerance(), 10, LEAST / 3)
        labelled(
            left,
            "distance from the border (points)",
            "relative error (the lower edge is 0)",
            f"largest error by distance from the border, reach {deepest}",
            "center right",
        )
        of_all = "root mean square, relative", "error over all points"
        labelled(right, "reach of the network (points)", *of_all).set_xticks(data["depth"])
        _maps(parts[1], data)
        return {"boundary": figure}

    def content(self) -> dict[str, Any]:
        """The reach of the deepest network."""
        return {"deepest": int(self.data["depth"].max())}


def _maps(part: SubFigure, data: xr.Dataset) -> None:
    names = data["padding"].to_numpy()
    row = part.subplots(1, len(names), squeeze=False)[0]
    values = data["map"].to_numpy()
    most = float(np.nanmax(values)) or 1.0
    for ax, name, image in zip(row, names, values, strict=True):
        ax.set_facecolor("#ffffff")
        shown = bare(ax).imshow(image, cmap="cividis", vmin=0, vmax=most)
        ax.set_title(str(name), fontsize=11)
    bar = part.colorbar(shown, ax=row.tolist(), shrink=0.7)
    bar.set_label("error")


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
