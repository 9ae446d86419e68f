"""What would mend a model: sizes that its strides divide, other paddings, blurred strides, a comoving frame.

Each is measured on the model itself, with the weights that it has. None is trained for the change: the figures say what
it does to equivariance, not to accuracy.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from equivariance.comoving import Comoving, moved_back
from equivariance.measuring.layer_errors import measure, measured_frames
from equivariance.measuring.layouts import Frame, total_stride
from equivariance.measuring.measured import own_outputs, told
from equivariance.measuring.prepared import OF_INPUTS, input_channels, prepare, taking
from equivariance.measuring.rewriting import Fill, Rewriting
from equivariance.measuring.surveying import survey
from equivariance.measuring.watched import (
    OUTPUT,
    ModelFailed,
    Told,
    device_and_dtype,
    tensors,
    watchable,
)
from equivariance.text import aligned, number
from equivariance.verdicts import CLASSES, classes, tolerance, worst_by_class

#: Taps of the filter that is put in front of strides.
TAPS = 4
AS_IS, CIRCULAR, BLURRED = "as is", "circular padding", f"BlurPool, {TAPS} taps"
COMOVING = "comoving frame"
#: Translations of each class at which remedies are measured.
FEW = 3
#: Sizes that are proposed, at most.
PROPOSED = 4


class Rewritten(nn.Module):
    """A model whose paddings and strides are rewritten while it runs.

    Parameters
    ----------
    module : nn.Module
    dim : int
        Axes of space.
    fill, blur
        As for `equivariance.measuring.rewriting.Rewriting`.
    """

    def __init__(
        self, module: nn.Module, dim: int, fill: Fill | None = None, blur: int | None = None
    ) -> None:
        super().__init__()
        self.module, self.dim, self.fill, self.blur = module, dim, fill, blur

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The rewritten model's output."""
        with Rewriting(self.dim, self.fill, self.blur):
            return self.module(*args, **kwargs)


class InComovingFrame(nn.Module):
    """`Comoving`, of which only the outputs are returned, maps moved back to the input's frame.

    Parameters
    ----------
    module : nn.Module
    frames : sequence of Frame
        Of the module's own outputs, in order: how they lie. Labels can't be moved, and are left out.
    """

    def __init__(self, module: nn.Module, frames: Sequence[Frame]) -> None:
        super().__init__()
        # without warnings: the measured errors say it
        self.comoving = Comoving(module, bound=0, nyquist="keep")
        self.frames = {f.name.removeprefix(OUTPUT): f for f in frames}

    def forward(self, x: Tensor) -> Any:
        """The outputs alone, maps as (batch, c, Y1, …, Yd)."""
        output, origin, _ = self.comoving(x)
        found = []
        for key, value in tensors(output):
            frame = self.frames.get(key)
            if frame is None or frame.why or not (value.is_floating_point() or value.is_complex()):
                continue
            value = frame.as_map(value)
            found.append(moved_back(value, origin, x.shape[2:]) if frame.is_map else value)
        return tuple(found)


def remedies(module: nn.Module, dim: int, frames: Sequence[Frame]) -> dict[str, nn.Module]:
    """The model as it is and with each remedy, by name."""
    copied = watchable(module)
    return {
        AS_IS: copied,
        CIRCULAR: Rewritten(copied, dim, "circular"),
        BLURRED: Rewritten(copied, dim, blur=TAPS),
        f"{BLURRED}, {CIRCULAR}": Rewritten(copied, dim, "circular", TAPS),
        COMOVING: InComovingFrame(copied, frames),
    }


def concerning(data: xr.Dataset) -> list[str]:
    """The remedies for what a measurement found in the model's own outputs; none where nothing is beyond rounding."""
    own, limit = told(own_outputs(data)), tolerance(data.attrs["dtype"])
    error = own["error"].max(("layer", "input")).transpose("padding", "translation").to_numpy()
    if not (error > limit).any():
        return []
    if data.sizes["padding"] < 2:
        return [AS_IS, CIRCULAR, BLURRED, f"{BLURRED}, {CIRCULAR}", COMOVING]
    paddings = data["padding"].to_numpy().tolist()
    plain, ring = error[paddings.index("as is")], error[paddings.index("circular")]
    border = bool((plain > limit)[(ring <= limit) | (plain > 2 * ring)].any())
    aliasing = bool((ring > limit).any()) and float(data["stride"].max()) > 1
    names = [AS_IS] + [CIRCULAR] * border + [BLURRED] * aliasing
    return [*names, *[f"{BLURRED}, {CIRCULAR}"] * (border and aliasing), COMOVING]


def remeasured(
    module: nn.Module,
    inputs: Any,
    translations: Any,
    size: Sequence[int],
    names: Sequence[str] | None = None,
    **options: Any,
) -> xr.Dataset:
    """Errors (remedy, translation, input) of the worst output with every remedy that the model can take.

    Parameters
    ----------
    module, inputs, translations, size, **options
        As for `measure`. Inputs are periodic.
    names : sequence of str, optional
        Of the remedies; all unless given.

    Returns
    -------
    xarray.Dataset
        Its attribute `left_out` says which remedies couldn't be measured, and why, a line for each.

    Raises
    ------
    ModelFailed, Told
        Of the model as it is.
    """
    fixed, channels = options.pop("fixed", None), options.pop("channels", None)
    module, inputs, channels = taking(module, inputs, fixed, channels, size)
    options["channels"] = channels or input_channels(module)
    inputs, parts, left_out = _kept(inputs), [], []
    own = _own_frames(module, inputs, size, options)
    for name, changed in remedies(module, len(size), own).items():
        if names is not None and name not in names:
            continue
        given = {**options, "layers": "output", "padding": "as is", "probe": False}
        if (
            name == COMOVING
        ):  # its outputs are laid out as usual, and those that don't count are gone
            given |= {"tokens": None, "output": None}
        try:
            data = measure(changed, inputs, translations, size=size, **given)
        except (ModelFailed, Told) as error:
            if name == AS_IS:
                raise
            left_out.append(f"{name}: {str(error).splitlines()[0]}")
            continue
        parts.append(worst_output(data).expand_dims(remedy=[name]))
    found = xr.concat(parts, "remedy", coords="minimal", compat="override").to_dataset(name="error")
    return found.assign_attrs(left_out="\n".join(left_out))


def _kept(inputs: Any) -> Any:
    """Inputs that can be gone through again."""
    return list(inputs) if isinstance(inputs, Iterator) else inputs


def _own_frames(
    module: nn.Module, inputs: Any, size: Sequence[int], options: Mapping[str, Any]
) -> list[Frame]:
    """How the model's own outputs lie, of those that count."""
    given = {key: options[key] for key in OF_INPUTS if key in options}
    subject = prepare(module, inputs, size, **given)
    with torch.no_grad():
        frames = measured_frames(subject, options.get("tokens"), options.get("output"))[0]
    return list(frames.values())


def remeasured_few(module: nn.Module, inputs: Any, data: xr.Dataset, **options: Any) -> xr.Dataset:
    """`remeasured` for what a measurement found, at some of its translations, for its first input; NaN elsewhere."""
    t = data["t"].transpose("translation", "axis").to_numpy()
    stride = np.lcm.reduce(np.maximum(1, data["stride"].to_numpy().round().astype(int)))
    looked = np.concatenate([np.flatnonzero(mask)[:FEW] for mask in classes(t, stride)])
    inputs = inputs[:1] if isinstance(inputs, Tensor) else inputs
    again = remeasured(module, inputs, t[looked], names=concerning(data), **options | {"limit": 1})
    shape = (again.sizes["remedy"], len(t), data.sizes["input"])
    error = np.full(shape, np.nan)
    error[:, looked, 0] = again["error"].transpose("remedy", "translation", "input")[:, :, 0]
    filled = xr.DataArray(error, dims=("remedy", "translation", "input"))
    return xr.Dataset({"error": filled.assign_coords(remedy=again["remedy"])}, attrs=again.attrs)


def worst_output(data: xr.Dataset) -> xr.DataArray:
    """The errors (translation, input) of the worst of the model's own outputs, with the first padding."""
    error: xr.DataArray = told(own_outputs(data))["error"].isel(padding=0, drop=True).max("layer")
    return error


def proposed_sizes(module: nn.Module, size: Sequence[int], channels: int) -> list[tuple[int, ...]]:
    """Input sizes near this one at which every map covers a period: all strides divide. The nearest first.

    Empty where it does so already, and where no near size was found or is taken by the model.
    """
    copied = watchable(module)
    device, dtype = device_and_dtype(copied)

    def wraps(sizes: Sequence[int]) -> bool:
        x = torch.zeros(1, channels, *sizes, device=device, dtype=dtype)
        try:
            with torch.no_grad():
                return all(f.wraps for f in survey(copied, x, "all") if f.is_map)
        except (ModelFailed, Told):
            return False

    if wraps(size):
        return []
    with torch.no_grad():
        frames = survey(copied, torch.zeros(1, channels, *size, device=device, dtype=dtype), "all")
    stride = total_stride(frames, len(size))
    near = [
        [m * s for m in range(max(1, n // s - 1), n // s + 3)]
        for n, s in zip(size, stride, strict=True)
    ]
    options = sorted(
        itertools.product(*near),
        key=lambda n: sum(abs(a - b) for a, b in zip(n, size, strict=True)),
    )
    return list(itertools.islice(filter(wraps, options), PROPOSED))


@dataclass(frozen=True)
class Remedy:
    """Worst errors of the output: at multiples of all strides, at other whole pixels, between pixels."""

    name: str
    worst: tuple[float, float, float]


def judged_remedies(error: xr.DataArray, data: xr.Dataset) -> list[Remedy]:
    """The worst errors by class of translation, for each remedy.

    Parameters
    ----------
    error : DataArray
        (remedy, translation, input), as `remeasured` gives it.
    data : Dataset
        The measurement of the model as it is, at the same translations.
    """
    strides = data["stride"].transpose("layer", "axis").to_numpy().round().astype(int)
    t = data["t"].transpose("translation", "axis").to_numpy()
    whole = np.lcm.reduce(np.maximum(1, strides))
    each = error.transpose("remedy", "translation", "input").to_numpy()
    names = map(str, error["remedy"].to_numpy())
    return [Remedy(n, worst_by_class(t, e, whole)) for n, e in zip(names, each, strict=True)]


def remedies_table(mended: Sequence[Remedy]) -> str:
    """The output's errors with each remedy, a line for each."""
    rows = [[m.name, *map(number, m.worst)] for m in mended]
    return aligned(["remedy", "multiples of all strides", *CLASSES[1:]], rows)
