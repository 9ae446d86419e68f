"""The report on a measured model: text for a terminal, NetCDF, pictures, one HTML page."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from equivariance.bad_input import BadInput
from equivariance.measuring.border import BORDER, shares, shares_table
from equivariance.measuring.images import IMAGES, load, read
from equivariance.measuring.layer_errors import measure
from equivariance.measuring.measured import TITLES, Finding, findings, firsts, table
from equivariance.measuring.plots import (
    curves_picture,
    feature_maps,
    layers_picture,
    maps_picture,
)
from equivariance.measuring.prepared import input_channels, prepare, taking
from equivariance.measuring.remedy import (
    FEW,
    Remedy,
    concerning,
    judged_remedies,
    proposed_sizes,
    remeasured_few,
    remedies_table,
    worst_output,
)
from equivariance.measuring.surveying import survey
from equivariance.measuring.watched import ModelFailed, device_and_dtype, run, watchable
from equivariance.plots import png
from equivariance.records import provenance, recorded
from equivariance.results import as_bytes
from equivariance.text import render
from equivariance.verdicts import tolerance

if TYPE_CHECKING:
    from equivariance.cli.measure import MeasureSettings

log = logging.getLogger(__name__)

#: Sides that are tried, in turn, where no size is given.
SIDES = (64, 32, 224, 28, 96, 128, 256)
FILES = (
    "measure.nc",
    "measure-layers.png",
    "measure-curves.png",
    "measure-maps.png",
    "measure.html",
)
#: Forward passes that find layouts, strides and borders, about.
SURVEYED = 30
DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Report:
    """What is printed, what is written, and what was measured."""

    text: str
    contents: dict[str, bytes]
    data: xr.Dataset


def report(settings: MeasureSettings, module: nn.Module) -> Report:
    """Measure a model as the settings say."""
    options: dict[str, Any] = {
        "limit": settings.limit,
        "batch": settings.batch,
        "seed": settings.seed,
    }
    options |= {"dtype": DTYPES.get(settings.dtype), "boundary": settings.boundary}
    options |= {"tokens": settings.layouts, "output": settings.output}
    fixed = {name: _each(value) for name, value in settings.arguments.items()}
    module, inputs, channels = taking(module, given(settings.inputs), fixed, settings.channels)
    options["channels"] = channels or input_channels(watchable(module)) or 1
    layers = settings.layers[0] if len(settings.layers) == 1 else list(settings.layers)
    size = model_size(settings, module, options["channels"], inputs)
    log.info("Measuring %s on inputs of %s pixels …", settings.target, " × ".join(map(str, size)))
    log.info("%s", beforehand(settings, module, options["channels"], size))
    data = measure(
        module,
        inputs,
        size=size,
        layers=layers,
        padding=settings.padding,
        count=settings.translations,
        progress=True,
        **options,
    )
    data = data.assign_attrs(provenance(settings.configuration, settings.command))
    mended: list[Remedy] = []
    sizes: list[tuple[int, ...]] = []
    if not settings.plain and settings.boundary == "periodic" and concerning(data):
        log.info("Measuring what would mend it …")
        again = remeasured_few(module, inputs, data, size=size, **options)
        mended = judged_remedies(again["error"], data)
        data = data.assign(remedy_error=again["error"])
        data.attrs["remedies_left_out"] = again.attrs["left_out"]
        sizes = proposed_sizes(module, size, options["channels"])
    log.info("Drawing …")
    pictures = draw(module, inputs, size, data, layers, options)
    contents = {FILES[0]: as_bytes(data)} | pictures
    contents[FILES[-1]] = page(settings, data, mended, sizes, pictures)
    return Report(text(data, mended, sizes), contents, data)


def beforehand(
    settings: MeasureSettings, module: nn.Module, channels: int, size: Sequence[int]
) -> str:
    """How many forward passes there will be, about how long they take, and how to ask for less."""
    copied = watchable(module)
    device, dtype = device_and_dtype(copied)
    x = torch.zeros(1, channels, *size, device=device, dtype=DTYPES.get(settings.dtype) or dtype)
    copied = copied.to(x.dtype)
    started = time.perf_counter()
    with torch.no_grad():
        run(copied, x)
    paddings = 2 if settings.padding == "both" and settings.boundary == "periodic" else 1
    mending = 0 if settings.plain or settings.boundary == "window" else 5 * (3 * FEW + 1)
    count = paddings * settings.limit * (settings.translations + 1) + mending + SURVEYED
    seconds = count * (time.perf_counter() - started)
    return (
        f"About {count} forward passes of one input, some {seconds:.0f} s for these alone; --translations, --limit, "
        "--plain, --layers output ask for less."
    )


def given(path: Path | None) -> Any:
    """The inputs that a path means: itself, or the arguments that a file holds in a tuple or a dict."""
    if path is None or path.suffix.lower() in (*IMAGES, ".npy") or not path.is_file():
        return path
    held = load(path)
    return held if isinstance(held, tuple | dict) else path


def _each(value: Any) -> Any:
    """A number as one for each input."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return torch.tensor([value]) if is_number else value


def model_size(
    settings: MeasureSettings, module: nn.Module, channels: int, inputs: Any
) -> tuple[int, ...]:
    """Pixels per axis of the inputs: as given, as in the file, or the first usual one that the model takes."""
    if isinstance(inputs, torch.Tensor):
        return tuple(inputs.shape[2:])
    copied = watchable(module)
    dim = axes_of(copied)
    if len(settings.size) > 1:
        return settings.size
    if settings.size:
        return settings.size * dim
    if inputs is not None and inputs.is_file() and settings.boundary == "periodic":
        values, _ = read(inputs, None, channels, 1, [0] * dim)
        return tuple(values.shape[2:])
    device, dtype = device_and_dtype(copied)
    said: ModelFailed | None = None
    for side in SIDES[: 4 if dim == 3 else None]:
        x = torch.zeros(1, channels, *(side,) * dim, device=device, dtype=dtype)
        try:
            with torch.no_grad():
                survey(copied, x, "output")
        except ModelFailed as error:
            said = said or error
        else:
            return (side,) * dim
    raise BadInput(
        f"{settings.target} takes none of the sizes {', '.join(map(str, SIDES))}: give --size, and --channels where "
        f"{channels} is wrong; {said}"
    )


def axes_of(module: nn.Module) -> int:
    """Axes of space that the first layer with "1d", "2d" or "3d" in its name has; 2 without one."""
    for layer in module.modules():
        name = str(getattr(layer, "original_name", type(layer).__name__))  # that of a scripted one
        if name.endswith("d") and name[-2:-1] in ("1", "2", "3"):
            return int(name[-2:-1])
    return 2


def draw(
    module: nn.Module,
    inputs: Any,
    size: Sequence[int],
    data: xr.Dataset,
    layers: Any,
    options: dict[str, Any],
) -> dict[str, bytes]:
    """All pictures, by file name."""
    pictures = {FILES[1]: png(layers_picture(data)), FILES[2]: png(curves_picture(data))}
    given = {
        k: v for k, v in options.items() if k in ("channels", "limit", "batch", "dtype", "seed")
    }
    if options["boundary"] == "periodic":
        subject = prepare(module, inputs, size, layers, **given)
        with torch.no_grad():
            x = subject.at(torch.zeros(1, subject.dim, dtype=torch.float64))[:1]
            frames = {f.name: f for f in survey(subject.module, x, layers)}
        worst = int(np.nanargmax(worst_output(data).max("input").fillna(-1)))
        t = data["t"].transpose("translation", "axis").to_numpy()[worst].tolist()
        maps = feature_maps(subject, frames, t, [str(p) for p in data["padding"].to_numpy()])
        if maps is not None:
            pictures[FILES[3]] = png(maps_picture(maps))
    return pictures


def text(data: xr.Dataset, mended: Sequence[Remedy], sizes: Sequence[tuple[int, ...]]) -> str:
    """What the terminal shows."""
    paddings = [str(p) for p in data["padding"].to_numpy()]
    parts = ["\n".join([TITLES[p], *(f"  {line}" for line in firsts(data, p))]) for p in paddings]
    parts.append(
        "Relative equivariance error of every layer: the worst over translations by multiples of\n"
        "the layer's own stride, by other whole pixels, and between pixels."
    )
    parts += [f"{TITLES[p]}\n{table(data, p)}" for p in paddings]
    if data.attrs["left_out"]:
        parts.append("Left out:\n" + indent(data.attrs["left_out"], "  "))
    if data.sizes["padding"] == 2:
        parts.append(f"{BORDER}\n{shares_table(shares(data))}")
    if mended:
        parts.append(
            "What would mend it: the output's error with the same weights, not trained for the change\n"
            + remedies_table(mended)
        )
    if data.attrs.get("remedies_left_out"):
        parts.append("Couldn't be measured:\n" + indent(data.attrs["remedies_left_out"], "  "))
    if sizes:
        near = ", ".join(" × ".join(map(str, s)) for s in sizes)
        parts.append(f"Not every map covers a period. At these sizes all strides divide: {near}")
    parts.append(
        f"0 is exact, up to {tolerance(data.attrs['dtype']):.1e} is round-off, – wasn't compared. Broken does less "
        "than its own\nstride allows; “exact”: integer-valued inputs, rolled, gave the same bits."
    )
    return "\n\n".join(parts)


def page(
    settings: MeasureSettings,
    data: xr.Dataset,
    mended: Sequence[Remedy],
    sizes: Sequence[tuple[int, ...]],
    pictures: dict[str, bytes],
) -> bytes:
    """The HTML page."""
    paddings = [str(p) for p in data["padding"].to_numpy()]
    rows: dict[str, list[Finding]] = {p: findings(data, p) for p in paddings}
    return render(
        "measure.html",
        title=f"Translation equivariance of {settings.target}",
        file=FILES[0],
        about=data.attrs["inputs"],
        count=data.sizes["translation"],
        titles=TITLES,
        rows=rows,
        firsts={p: firsts(data, p) for p in paddings},
        shares=shares(data) if len(paddings) == 2 else [],
        remedies=mended,
        sizes=[" × ".join(map(str, s)) for s in sizes],
        tolerance=tolerance(data.attrs["dtype"]),
        layers_png=pictures[FILES[1]],
        curves_png=pictures[FILES[2]],
        maps_png=pictures.get(FILES[3]),
        left_out=data.attrs["left_out"].splitlines(),
        unmended=data.attrs.get("remedies_left_out", "").splitlines(),
        provenance=recorded(data.attrs),
    )
