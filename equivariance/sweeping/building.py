"""What a sweep's configuration names, made: fields, layers, grids, translations, and the error of a block of cells."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from discretize import Grid
from discretize.subsampling.registry import SUBSAMPLINGS, subsampling
from equivariance.bad_input import BadInput
from equivariance.error import Layer, equivariance_error
from equivariance.records import threads
from equivariance.sweeping.configuration import SweepConfiguration
from equivariance.sweeping.division import AXES, Index, cell_seed, generator
from fields import Field, Interpolated, arguments, checks, random_bandlimited
from layers import Conv, GlobalPool, Pointwise, TorchModel

Spacing = tuple[float, ...]

NONLINEARITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "gelu": nn.functional.gelu,
    "tanh": torch.tanh,
    "square": torch.square,
}
#: Steps of a chain that subsample; without weights, which a chain doesn't train.
STRIDED = tuple(name for name in SUBSAMPLINGS if name != "learnable")
STEPS = (*NONLINEARITIES, *STRIDED, "mean", "{ conv = taps, channels = c }")


@dataclass(frozen=True)
class Place:
    """A grid of the sweep: samples on `grid`, or the continuous layer at `points`; `spacing` is that of taps."""

    grid: Grid | None
    points: Tensor | None
    spacing: Spacing


class Parts:
    """Everything that a configuration names, made when it is first needed and kept.

    Parameters
    ----------
    configuration : SweepConfiguration
    folder : path
        Where the files lie that it names.

    Raises
    ------
    BadInput
        Where translations, grids, a field or a layer can't be made.
    """

    def __init__(self, configuration: SweepConfiguration, folder: Path) -> None:
        self.configuration, self.folder = configuration, folder
        self.places = {name: _place(name, t) for name, t in configuration.grids.items()}
        dims = {len(p.spacing) for p in self.places.values()}
        if len(dims) > 1:
            raise BadInput(f"the grids of a sweep share d, got d = {sorted(dims)}")
        self.dim = dims.pop()
        self.translations = _translations(configuration.translations, self.dim)
        c = configuration
        self.labels: tuple[Sequence[Any], ...] = (
            list(c.layers),
            list(c.fields),
            c.strides,
            list(c.grids),
            c.seeds,
        )
        self.field = functools.lru_cache(64)(self._field)
        self.layer = functools.lru_cache(64)(self._layer)

    @property
    def shape(self) -> tuple[int, ...]:
        """How many cells there are along each of `AXES`."""
        return (*map(len, self.labels), len(self.translations))

    def key(self, index: Index) -> dict[str, Any]:
        """The labels of a place on all axes but the last."""
        return {a: names[i] for a, names, i in zip(AXES, self.labels, index, strict=False)}

    def parts(self, key: Mapping[str, Any]) -> tuple[Layer, Field, Place]:
        """Layer, field and grid of a block."""
        place = self.places[key["grid"]]
        field = self.field(key["field"], key["seed"])
        spacing, channels = place.spacing, field.channels
        layer = self.layer(key["layer"], key["stride"], spacing, channels, key["seed"])
        return layer, field, place

    def errors(self, index: Index, translations: slice) -> Tensor:
        """The equivariance errors of a block, as `equivariance_error` gives them, on one processor thread."""
        key = self.key(index)
        with torch.no_grad(), threads(1), torch.random.fork_rng(devices=[]):
            layer, field, place = self.parts(key)
            # For layers that draw when they run, after those have been made that draw then: they are made once only.
            torch.manual_seed(cell_seed(**key, translation=translations.start))
            c = self.configuration
            t = self.translations[translations]
            found = equivariance_error(layer, field, t, place.grid, place.points, c.norm, c.rtol)
            return found.double().cpu().reshape(-1).expand(len(t))

    def _field(self, name: str, seed: int) -> Field:
        (kind, value), *_ = self.configuration.fields[name].items()
        where, own = f"[fields.{name}]", cell_seed(field=name, seed=seed)
        with _told(where):
            made: Any
            if kind == "random":
                channels = value.get("channels", 1)
                made = random_bandlimited(
                    self.dim, channels, value["bandlimit"], value["period"], own
                )
            elif kind == "image":
                made = Interpolated.from_image(self.folder / value)
            else:
                made = _called(self.folder, value, seed=own)
            expected = f"expected a Field on R^{self.dim} without batch"
            if not isinstance(made, Field):
                raise BadInput(f"{expected}, got a {type(made).__name__}")
            if made.dim != self.dim or made.batch:
                batch = f" with batch {tuple(made.batch)}" if made.batch else ""
                raise BadInput(f"{expected}, got a {type(made).__name__} on R^{made.dim}{batch}")
        return made

    def _layer(self, name: str, stride: int, spacing: Spacing, channels: int, seed: int) -> Layer:
        (kind, value), *_ = self.configuration.layers[name].items()
        own = cell_seed(layer=name, seed=seed)
        with _told(f"[layers.{name}]"):
            if kind == "chain":
                return _chain(value, stride, spacing, channels, own)
            if kind == "make":
                made = _called(self.folder, value, stride=stride, seed=own)
            else:
                made = TorchModel(_model(self.folder, value.replace("{stride}", str(stride)), own))
            if not callable(made):
                raise BadInput(f"expected a layer, got a {type(made).__name__}")
            return made.double().eval() if isinstance(made, nn.Module) else made


class _told:
    """Says where in the configuration an error comes from."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception):
            raise BadInput(f"{self.where}: {error}") from error


def _chain(steps: Any, stride: int, spacing: Spacing, channels: int, seed: int) -> nn.Sequential:
    """The layers of a chain; taps lie on the grid as it comes to them."""
    if not isinstance(steps, list) or not steps:
        raise BadInput(f"a chain is a list of steps: {', '.join(STEPS)}")
    draw = torch.Generator().manual_seed(seed)
    made: list[nn.Module] = []
    for step in steps:
        if isinstance(step, Mapping) and "conv" in step and {*step} <= {"conv", "channels"}:
            taps, out = int(step["conv"]), int(step.get("channels", channels))
            shape = (taps,) * len(spacing) + (out, channels)
            weights = torch.randn(shape, generator=draw, dtype=torch.float64)
            scale = (2 / (channels * taps ** len(spacing))) ** 0.5
            made.append(Conv.from_array(weights * scale, spacing))
            channels = out
        elif step in NONLINEARITIES:
            made.append(Pointwise(NONLINEARITIES[step]))
        elif step in STRIDED:
            # The error that is measured says what warnings would.
            made.append(subsampling(step, stride, spacing=spacing, nyquist="keep", bound=0))
            spacing = tuple(stride * h for h in spacing)
        elif step == "mean":
            made.append(GlobalPool("mean"))
        else:
            raise BadInput(f"there is no step {step!r}, but: {', '.join(STEPS)}")
    return nn.Sequential(*made)


def _called(folder: Path, target: str, seed: int, **arguments: Any) -> Any:
    """What a function in a file or package makes: the same in every process, if it draws from torch's generator too."""
    from equivariance.measuring.target import read_name

    made = read_name(_in_folder(folder, target))
    if not callable(made):
        raise BadInput(f"{target} is a {type(made).__name__}: expected a function")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return made(seed=seed, **arguments)


def _model(folder: Path, target: str, seed: int) -> nn.Module:
    from equivariance.measuring.target import read_target

    return read_target(_in_folder(folder, target), seed)


def _in_folder(folder: Path, target: str) -> str:
    place, _, name = target.rpartition(":")
    return f"{folder / place}:{name}" if place.endswith(".py") else target


def _place(name: str, table: Mapping[str, Any]) -> Place:
    with _told(f"[grids.{name}]"):
        if "points" not in table:
            grid = Grid(
                table["shape"],
                table.get("spacing", 1.0),
                table.get("origin", 0.0),
                table.get("boundary", "periodic"),
            )
            return Place(grid, None, grid.spacing)
        extent = torch.tensor(table["extent"], dtype=torch.float64).reshape(-1)
        shape = (table["points"], len(extent))
        arguments.affordable(math.prod(shape), "so many points")
        draw = generator(grid=name)
        points = torch.rand(shape, generator=draw, dtype=torch.float64) * extent
        spacing = checks.positive(table.get("spacing", 1.0), len(extent), "spacing")
        return Place(None, points, spacing)


def _translations(table: Mapping[str, Any], dim: int) -> Tensor:
    """Translations (T, d): those listed, those of the line from 0, the random ones."""
    parts = []
    with _told("[translations]"):
        if "list" in table:
            parts.append(checks.translation(table["list"], dim).reshape(-1, dim).double())
        if "line" in table:
            end = torch.tensor(table["line"]["to"], dtype=torch.float64).reshape(-1).expand(dim)
            arguments.affordable(table["line"]["count"] * dim, "a line of so many translations")
            steps = torch.linspace(0, 1, table["line"]["count"], dtype=torch.float64)
            parts.append(steps[:, None] * end)
        if "random" in table:
            reach = torch.tensor(table["random"]["reach"], dtype=torch.float64).reshape(-1)
            shape = (table["random"]["count"], dim)
            arguments.affordable(math.prod(shape), "so many random translations")
            draw = generator(translations="random")
            parts.append((2 * torch.rand(shape, generator=draw, dtype=torch.float64) - 1) * reach)
        found = torch.cat(parts)
        if len(found) == 0:
            raise BadInput("there are none")
    return found
