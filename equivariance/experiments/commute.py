"""The experiment `commute`: both ways round the diagram, for every layer and every place to sample at."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure
from torch import Tensor, nn
from tqdm import tqdm

import layers
from discretize import (
    AdaptivePolyphase,
    AliasFreeActivation,
    BlurPool,
    ComovingSubsampling,
    EquivariantSubsampling,
    Grid,
    IdealLowpass,
    Samples,
    Stride,
    sample,
)
from discretize.origins import Phase
from equivariance.diagram import diagrams, square
from equivariance.error import compare, equivariance_error
from equivariance.experiments.layer_settings import CommuteSettings
from equivariance.experiments.study import Finding, Promises, Study, Table, counted, signs
from equivariance.plots import coloured
from fields import Ball, Box, Field, GaussianKernel, PlaneWaves, random_bandlimited

log = logging.getLogger(__name__)

#: The squares, in the order of `Kind.commutes`.
SQUARES = {
    "continuous": "L(t▷F) and t▷L(F) at points, real t",
    "moving grid": "L(t▷f) and t▷L(f), f samples that move with their grid, real t",
    "before, whole": "L(sample(t▷F)) and t▷L(sample(F)), t whole spacings, the grid stays",
    "before, real": "the same, real t",
    "after, real": "sample(L(t▷F)) and t▷sample(L(F)), real t, the grid stays",
    "before = after": "L(sample(F)) and sample(L(F))",
}
#: Every how manyth point is kept: the grid that is left tells fewer waves than the field has.
STRIDE = 4
#: Nodes per spacing with which layers of a field are sampled: the same before and after a translation.
REFINEMENT = 2
#: Relative differences up to the first are rounding: a Fourier interpolant of 1024 points and sums over windows. From
#: the second on theory says that they are there.
ROUNDING, BROKEN = 1e-11, 1e-6
#: Layers whose diagrams are drawn.
DRAWN = ("ReLU", "polynomial")


class Commute(Study):
    """The largest relative difference of both ways, for every layer and square."""

    TITLE = "Both ways round the diagram"
    PICTURES = ("commute", "commute-diagram")
    heading = "Relative difference of both ways round the diagram:\n" + "\n".join(
        f"  {name}: {about}" for name, about in SQUARES.items()
    )

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """All layers."""
        return kinds(float(self.settings.size), self.settings.seed)

    @torch.no_grad()
    def measure(self) -> xr.Dataset:
        """The differences, and the signs that theory says."""
        settings = self.settings
        field, grid = noise(settings), Grid((settings.size,) * 2, 1.0)
        draw = torch.Generator().manual_seed(settings.seed)
        shape = (settings.count, 2)
        whole = torch.randint(1, settings.size, shape, generator=draw).double()
        whole -= (whole % STRIDE == 0).double()  # no multiples of the stride
        real = settings.size * torch.rand(shape, generator=draw, dtype=torch.float64)
        points = torch.rand(settings.points, 2, generator=draw, dtype=torch.float64)
        points = settings.size * points
        log.info("Walking round %d diagrams with %d layers …", len(SQUARES), len(self.kinds))
        errors = [
            squares(kind.layer, field, grid, whole, real, points)
            for kind in tqdm(self.kinds.values(), desc="commute", disable=None, leave=False)
        ]
        dims, theory = ("layer", "square"), [list(k.commutes) for k in self.kinds.values()]
        return xr.Dataset(
            {
                "error": (dims, np.array(errors), {"long_name": "relative difference"}),
                "theory": (dims, theory),
            },
            {
                "layer": list(self.kinds),
                "square": list(SQUARES),
                "t": (("translation", "axis"), real),
            },
            {"waves": settings.band},
        )

    @cached_property
    def promises(self) -> Promises:
        """Where the difference is what theory says, by layer and square."""
        error, theory = self.data["error"].to_numpy(), self.data["theory"].to_numpy()
        return Promises(self.data["layer"].to_numpy().tolist(), error, theory, ROUNDING, BROKEN)

    @cached_property
    def findings(self) -> list[Finding]:
        """For each square, how many layers do as predicted."""
        found = []
        for i, name in enumerate(self.data["square"].to_numpy()):
            kept, theory = self.promises.kept[:, i], self.promises.theory[:, i]
            said = f"{name}: {int((theory == '=').sum())} of {len(kept)} layers commute"
            found.append(counted(said, kept, " as they should"))
        return found

    @cached_property
    def table(self) -> Table:
        """Differences, a mark where they aren't what theory says."""
        return self.promises.table([str(name) for name in self.data["square"].to_numpy()])

    @torch.no_grad()
    def pictures(self) -> dict[str, Figure]:
        """All differences as colours, and two diagrams on a grid, at a real translation."""
        field, grid = noise(self.settings), Grid((self.settings.size,) * 2, 1.0)
        t = np.round(self.data["t"].to_numpy()[0] % 8, 2).tolist()
        drawn = [square(name, self.kinds[name].layer, field, t, grid) for name in DRAWN]
        return {"commute": self._colours(), "commute-diagram": diagrams(drawn)}

    def _colours(self) -> Figure:
        error, names = self.promises.errors, self.promises.names
        figure = Figure(figsize=(9.2, 1.4 + 0.33 * len(names)), layout="constrained")
        ax = figure.subplots()
        image = coloured(ax, error, sign=lambda e: f"{sign(e)}  ", parts=[2])
        ax.set_xticks(range(error.shape[1]), self.data["square"].to_numpy().tolist(), fontsize=9)
        ax.xaxis.tick_top()
        ax.set_yticks(range(len(names)), names, fontsize=9)
        figure.colorbar(image, ax=ax, shrink=0.8).set_label("relative difference of both ways")
        return figure

    def content(self) -> dict[str, Any]:
        """What the columns are."""
        return {"squares": SQUARES, "waves": self.data.attrs["waves"]}


def noise(settings: CommuteSettings) -> Field:
    """A random field of period `size` whose square the grid can tell, but not the grid that a stride leaves."""
    size = float(settings.size)
    return random_bandlimited(2, 1, (settings.band + 0.01) / size, size, settings.seed)


def sign(error: float) -> str:
    """The sign of a difference."""
    return str(signs(np.array(error), ROUNDING, BROKEN))


def squares(
    layer: nn.Module, field: Field, grid: Grid, whole: Tensor, real: Tensor, points: Tensor
) -> list[float]:
    """Relative differences, in the order of `SQUARES`."""
    f = sample(field, grid)
    made, after = layer(f), _sampled(layer, field, grid)
    return [
        _worst(lambda t: equivariance_error(layer, field, t, points=points), real),
        _worst(lambda t: compare(layer(f.translate(t)), made.translate(t)), real),
        _worst(lambda t: equivariance_error(layer, field, t, grid), whole),
        _worst(lambda t: equivariance_error(layer, field, t, grid), real),
        _worst(
            lambda t: compare(_sampled(layer, field.translate(t), grid), after.translate(t)), real
        ),
        float(compare(made, _sampled(layer, field, made.grid))),
    ]


def _sampled(layer: nn.Module, field: Field, grid: Grid) -> Samples:
    """The layer of the field, sampled: aliased where the grid can't tell it."""
    return sample(layer(field), grid, refinement=REFINEMENT, prefilter="none")


def _worst(error: Callable[[Tensor], Tensor], translations: Tensor) -> float:
    return float(torch.stack([error(t) for t in translations]).max())


@dataclass(frozen=True)
class Kind:
    """A layer, and which of `SQUARES` commute: "=" to rounding, "≈" below 1e-6, "≠" not."""

    layer: nn.Module
    commutes: str


def kinds(period: float, seed: int) -> dict[str, Kind]:
    """All layers, for fields of a period on a grid of spacing 1."""
    draw = torch.Generator().manual_seed(seed)
    kernel = torch.randn(3, 3, 2, 1, generator=draw, dtype=torch.float64) / 3
    s, one = STRIDE, torch.ones(1, dtype=torch.float64)
    return {
        "convolution, taps": Kind(layers.Conv.from_array(kernel, 1.0), "======"),
        "convolution, density": Kind(layers.Conv(GaussianKernel(0.6, [[1.0]]), nodes=2), "=====≠"),
        "bias": Kind(layers.Bias(one), "======"),
        "polynomial": Kind(layers.Pointwise(lambda x: x + x * x / 4), "======"),
        "ReLU": Kind(layers.Pointwise(torch.relu), "===≠≠="),
        "GELU": Kind(layers.Pointwise(nn.functional.gelu), "===≠≠="),
        "average pooling": Kind(layers.AvgPool(Box(3.0), nodes=2), "=====≠"),
        "max pooling": Kind(layers.MaxPool(Ball(1.2), nodes=2), "===≠≠≠"),
        "L2 pooling": Kind(layers.LpPool(Box(3.0), 2, nodes=2), "===≠≠≠"),
        "soft max pooling": Kind(layers.SoftMaxPool(Box(3.0), 0.5, nodes=2), "===≠≠≠"),
        "alias-free activation": Kind(AliasFreeActivation(), "======"),
        "stride": Kind(Stride(s), "==≠≠=="),
        "blur pooling": Kind(BlurPool(s, 4, 1.0), "==≠≠=="),
        "ideal low-pass": Kind(IdealLowpass(s, 1.0), "======"),
        "adaptive polyphase": Kind(AdaptivePolyphase(s), "===≠=="),
        "equivariant subsampling": Kind(EquivariantSubsampling(s), "===≠=="),
        # Above the coarse Nyquist it weighs waves by 1/(1 + (ε·E/|Z|)²), ε = 1e-6.
        "comoving subsampling": Kind(ComovingSubsampling(s, Phase("strongest")), "=====≈"),
        "integral operator κ(x, y)": Kind(_operator(period), "≠≠≠≠≠="),
        "bias b(x)": Kind(layers.BiasField(_wave(period)), "≠≠≠≠≠="),
        "nonlinearity σ(x, ·)": Kind(layers.PointwiseField(_positioned(period), period), "≠≠≠≠≠="),
        "pooling window W(x)": Kind(_pool(period), "≠≠≠≠≠≠"),
    }


def _wave(period: float) -> PlaneWaves:
    return PlaneWaves([[1 / period, 1 / period]], [[1.0]], period)


def _phase(x: Tensor, period: float) -> Tensor:
    return 2 * math.pi * x.sum(-1) / period


def _operator(period: float) -> nn.Module:
    def kappa(x: Tensor, y: Tensor) -> Tensor:
        p, q = _phase(x, period), _phase(y, period)
        return (torch.cos(p - q) + torch.cos(p + q))[..., None, None]

    return layers.IntegralOperator(kappa, period, nodes=16)


def _positioned(period: float) -> nn.Module:
    class Shifted(nn.Module):
        def forward(self, x: Tensor, value: Tensor) -> Tensor:
            return torch.tanh(value + _phase(x, period).sin()[..., None])

    return Shifted()


def _pool(period: float) -> nn.Module:
    return layers.PoolField(
        lambda x: Ball(1.2 if x[0] < period / 2 else 2.2), "mean", period, nodes=2
    )
