"""What would mend a model: sizes that its strides divide, other paddings, blurred strides, a comoving frame.

Each is measured on the model itself, with the weights that it has. None is trained for the change: the figures say what
it does to equivariance, not to accuracy.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from equivariance.comoving import Comoving
from equivariance.measuring.layer_errors import measure
from equivariance.measuring.layouts import total_stride
from equivariance.measuring.measured import own_outputs, told
from equivariance.measuring.prepared import input_channels, taking
from equivariance.measuring.rewriting import Fill, Rewriting
from equivariance.measuring.surveying import survey
from equivariance.measuring.watched import ModelFailed, Told, device_and_dtype, watchable
from equivariance.text import aligned, number
from equivariance.verdicts import CLASSES, worst_by_class

#: Taps of the filter that is put in front of strides.
TAPS = 4
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
    """`Comoving`, of which only the output is returned, maps moved back to the input's frame."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        # without warnings: the measured errors say it
        self.comoving = Comoving(module, moved_back=True, bound=0, nyquist="keep")

    def forward(self, x: Tensor) -> Any:
        """The output alone."""
        return self.comoving(x)[0]


def remedies(module: nn.Module, dim: int) -> dict[str, nn.Module]:
    """The model as it is and with each remedy, by name."""
    copied = watchable(module)
    return {
        "as is": copied,
        "circular padding": Rewritten(copied, dim, "circular"),
        f"BlurPool, {TAPS} taps": Rewritten(copied, dim, blur=TAPS),
        f"BlurPool, {TAPS} taps, circular padding": Rewritten(copied, dim, "circular", TAPS),
        "comoving frame": InComovingFrame(copied),
    }


def remeasured(
    module: nn.Module, inputs: Any, translations: Any, size: Sequence[int], **options: Any
) -> xr.Dataset:
    """Errors (remedy, translation, input) of the model's output with every remedy that it can take.

    Parameters
    ----------
    module, inputs, translations, size, **options
        As for `measure`. Inputs are periodic.

    Raises
    ------
    ModelFailed, Told
        Of the model as it is.
    """
    fixed, channels = options.pop("fixed", None), options.pop("channels", None)
    module, inputs, channels = taking(module, inputs, fixed, channels, size)
    options["channels"] = channels or input_channels(module)
    parts = []
    for name, changed in remedies(module, len(size)).items():
        given = {**options, "layers": "output", "padding": "as is", "probe": False}
        try:
            data = measure(changed, inputs, translations, size=size, **given)
        except (ModelFailed, Told):
            if name == "as is":
                raise
            continue
        parts.append(worst_output(data).expand_dims(remedy=[name]))
    return xr.concat(parts, "remedy", coords="minimal", compat="override").to_dataset(name="error")


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
