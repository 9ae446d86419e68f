"""The commutative diagram of translation equivariance in pictures.

 F   ────── t▷ ─────→   t▷F
 │                       │
 L                       L
 ↓                       ↓
L(F) ─ t▷ → t▷L(F)  =?  L(t▷F)      difference
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.gridspec import SubplotSpec
from matplotlib.image import AxesImage

from discretize import Grid, Samples, sample
from equivariance.error import Layer
from equivariance.plots import bare
from equivariance.text import number, vector
from equivariance.verdicts import tolerance
from fields import Field

#: Colour maps of inputs, outputs and differences.
COLOURS = {"input": "gray", "output": "cividis", "difference": "RdBu_r"}
#: The pictures of a square, and what each shows of.
PANELS = {
    "before": "input",
    "moved": "input",
    "output": "output",
    "moved_output": "output",
    "output_of_moved": "output",
    "difference": "difference",
}
INK = "#333333"


@dataclass(frozen=True)
class Square:
    """Both ways round the diagram, for one network.

    Attributes
    ----------
    name : str
        What the network is called.
    t : tuple of float
        The translation.
    before, moved : Samples
        F and t▷F on the sampling grid.
    output, moved_output, output_of_moved : Samples
        L(F); t▷L(F) resampled to the grid of L(t▷F); L(t▷F).
    """

    name: str
    t: tuple[float, ...]
    before: Samples
    moved: Samples
    output: Samples
    moved_output: Samples
    output_of_moved: Samples

    @property
    def difference(self) -> Samples:
        """L(t▷F) − t▷L(F)."""
        difference: Samples = self.output_of_moved - self.moved_output
        return difference

    @property
    def error(self) -> float:
        """‖L(t▷F) − t▷L(F)‖ / ‖t▷L(F)‖ over all channels."""
        return float(self.difference.values.norm() / self.moved_output.values.norm())

    def images(self, channel: int) -> dict[str, np.ndarray]:
        """The values of each of `PANELS`: the first channel of inputs, one channel of outputs."""
        found = {}
        for name, kind in PANELS.items():
            values = getattr(self, name).values[0 if kind == "input" else channel]
            found[name] = values.detach().cpu().double().numpy()
        return found

    @property
    def commutes(self) -> bool:
        """Whether both ways give the same, to rounding."""
        return self.error <= tolerance(str(self.before.dtype).removeprefix("torch."))


def square(name: str, network: Layer, field: Field, t: Sequence[float], grid: Grid) -> Square:
    """Walk both ways round the diagram: the field moves, the sampling grid stays."""
    t = tuple(float(x) for x in t)
    before, moved = sample(field, grid), sample(field.translate(t), grid)
    with torch.no_grad():
        output, output_of_moved = network(before), network(moved)
        moved_output = output.translate(t).resample(output_of_moved.grid)
    return Square(name, t, before, moved, output, moved_output, output_of_moved)


def strongest_channel(samples: Samples) -> int:
    """The channel of largest norm."""
    return int(torch.linalg.vector_norm(samples.values.flatten(1), dim=1).argmax())


def diagrams(squares: Sequence[Square], channel: int = 0) -> Figure:
    """Draw diagrams in two dimensions, one below the other, on shared colour scales.

    Parameters
    ----------
    squares : sequence of Square
    channel : int
        Output channel that is shown.
    """
    figure = Figure(figsize=(11.0, 6.35 * len(squares)))
    images = [each.images(channel) for each in squares]
    scales = {
        kind: {"cmap": COLOURS[kind], "vmin": low, "vmax": high}
        for kind, (low, high) in ranges(images).items()
    }
    parts = figure.subfigures(len(squares), 1, squeeze=False)
    for part, each, shown in zip(parts.flat, squares, images, strict=True):
        _draw(part, each, shown, scales)
    return figure


def ranges(images: Sequence[Mapping[str, np.ndarray]]) -> dict[str, tuple[float, float]]:
    """Least and largest value of inputs, outputs and differences, common to several squares; never the same."""
    found: dict[str, tuple[float, float]] = {}
    for kind in COLOURS:
        shown = [each[name] for each in images for name in PANELS if PANELS[name] == kind]
        low, high = min(float(v.min()) for v in shown), max(float(v.max()) for v in shown)
        if kind == "difference":
            high = max(-low, high) or 1.0
            low = -high
        found[kind] = low, high if high > low else low + 1.0
    return found


def _draw(
    figure: SubFigure,
    square: Square,
    images: Mapping[str, np.ndarray],
    scales: dict[str, dict[str, Any]],
) -> None:
    cells = figure.add_gridspec(
        2, 4, left=0.015, right=0.985, top=0.865, bottom=0.05, wspace=0.22, hspace=0.4
    )

    def panel(cell: SubplotSpec, title: str, name: str) -> tuple[Axes, AxesImage]:
        axes, grid = figure.add_subplot(cell), getattr(square, name).grid
        return axes, _show(axes, images[name], grid, title, scales[PANELS[name]])

    field, _ = panel(cells[0, 0], "F", "before")
    moved, seen = panel(cells[0, 2], "t▷F", "moved")
    output, _ = panel(cells[1, 0], "L(F)", "output")
    way_down, _ = panel(cells[1, 1], "t▷L(F)", "moved_output")
    way_up, made = panel(cells[1, 2], "L(t▷F)", "output_of_moved")
    _, left = panel(cells[1, 3], "L(t▷F) − t▷L(F)", "difference")
    _arrow(field, moved, f"t▷,  t = {vector(square.t)} pixels")
    _arrow(output, way_down, "t▷")
    _arrow(field, output, "L", down=True)
    _arrow(moved, way_up, "L", down=True)
    _between(way_down, way_up, "=" if square.commutes else "≠")
    _colour_bars(figure, cells[0, 3], {"F": seen, "L": made, "difference": left})
    figure.suptitle(
        f"{square.name[:1].upper()}{square.name[1:]}: relative error {number(square.error)}",
        fontsize=13,
        fontweight="bold",
        y=0.965,
    )


def _show(
    axes: Axes, image: np.ndarray, grid: Grid, title: str, scale: dict[str, Any]
) -> AxesImage:
    """Values at their places: x1 downwards, x2 to the right."""
    bare(axes).set_title(title, fontsize=13, pad=5)
    rows, columns = grid.shape
    axes.set_xlabel(f"{rows} × {columns} points from {vector(grid.origin.tolist())}", fontsize=8)
    return axes.imshow(image, interpolation="nearest", **scale)


def _arrow(start: Axes, end: Axes, label: str, down: bool = False) -> None:
    """An arrow from panel to panel, with its label beside it."""
    a, b = start.get_position(), end.get_position()
    if down:
        x, gap = (a.x0 + a.x1) / 2, a.y0 - b.y1
        tail, head = (x, a.y0 - 0.27 * gap), (x, b.y1 + 0.34 * gap)
    else:
        y, gap = (a.y0 + a.y1) / 2, 0.008
        tail, head = (a.x1 + gap, y), (b.x0 - gap, y)
    style = {"arrowstyle": "-|>", "color": INK, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    frame = start.figure.transSubfigure
    start.annotate("", head, xytext=tail, xycoords=frame, textcoords=frame, arrowprops=style)
    start.annotate(
        label,
        ((tail[0] + head[0]) / 2, (tail[1] + head[1]) / 2),
        xytext=(8, 0) if down else (0, 9),
        xycoords=frame,
        textcoords="offset points",
        ha="left" if down else "center",
        va="center",
        fontsize=13,
        color=INK,
    )


def _between(left: Axes, right: Axes, sign: str) -> None:
    box, other = left.get_position(), right.get_position()
    figure = left.figure
    figure.text(
        (box.x1 + other.x0) / 2, (box.y0 + box.y1) / 2, sign, fontsize=22, ha="center", va="center"
    )


def _colour_bars(figure: SubFigure, cell: SubplotSpec, images: dict[str, AxesImage]) -> None:
    bars = cell.subgridspec(len(images), 1, hspace=3.2)
    for i, (label, image) in enumerate(images.items()):
        axes = figure.add_subplot(bars[i])
        figure.colorbar(image, cax=axes, orientation="horizontal")
        axes.set_title(label, fontsize=10, loc="left", pad=3)
        axes.tick_params(labelsize=8)
        axes.locator_params(axis="x", nbins=5)
