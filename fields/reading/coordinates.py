"""Labelled arrays: dimensions and coordinates of an xarray.DataArray as values, spacing and origin."""

from __future__ import annotations

from typing import Any

import numpy as np

from fields import arguments
from fields.accuracy import EVEN, MEMORY_BOUND
from fields.checks import said


def read(
    array: Any, dims: Any, channel: str | None, memory: int = MEMORY_BOUND
) -> tuple[Any, list[float], list[float]]:
    """Values (c, X1, …, Xd) as a numpy array, and spacing and origin per axis."""
    names = [str(d) for d in getattr(array, "dims", ())]
    if not names or not hasattr(array, "coords"):
        raise TypeError(f"expected an xarray.DataArray with dimensions, got {type(array).__name__}")
    if not isinstance(channel, str | None):
        raise TypeError(f"channel must be the name of a dimension, got {said(channel)}")
    dims = None if dims is None else arguments.sequence(dims, "dims", "names of dimensions")
    memory = arguments.size(memory)
    if channel is None and "channel" in names and "channel" not in (dims or ()):
        channel = "channel"
    if channel is not None and channel not in names:
        raise ValueError(f"there is no dimension {channel!r} for the channels, only {names}")
    space = [d for d in names if d != channel] if dims is None else [str(d) for d in dims]
    if sorted([*space, *([channel] if channel else [])]) != sorted(names):
        raise ValueError(
            f"the array has dimensions {names}, dims = {space} and channel = {channel!r} don't name each once"
        )
    size = int(array.size) * max(8, int(array.dtype.itemsize))
    if size > memory:
        raise ValueError(
            f"an array of shape {tuple(array.shape)} would take {size / 2**20:.0f} MiB, "
            f"the bound is {memory / 2**20:.0f} MiB: select a part of it, or give a larger `memory`"
        )
    steps = [_step(array, name) for name in space]
    turned = [name for name, (_, step) in zip(space, steps, strict=True) if step < 0]
    if turned:
        array = array.isel({name: slice(None, None, -1) for name in turned})
        steps = [_step(array, name) for name in space]
    values = real_values(array.transpose(*([channel] if channel else []), *space))
    values = values if channel else values[None]
    return values, [step for _, step in steps], [first for first, _ in steps]


def real_values(array: Any) -> Any:
    """A copy of an array's values that torch takes: in single or double precision, in this machine's byte order."""
    kind = array.dtype
    if kind.kind not in "fiub":
        raise TypeError(
            f"values must be real numbers, got {kind}: array.astype(float) converts other numbers, array.real and "
            "array.imag are the parts of complex ones"
        )
    if kind.kind != "f" or kind.itemsize not in (4, 8):
        kind = np.dtype(np.float64)
    return np.array(array.values, dtype=kind.newbyteorder("="), order="C")


def _step(array: Any, name: str) -> tuple[float, float]:
    """First coordinate and even step along a dimension; 0 and 1 without coordinates."""
    if name not in array.coords:
        return 0.0, 1.0
    if array.sizes[name] < 2:
        raise ValueError(
            f"{name!r} has {array.sizes[name]} coordinate, two are needed to tell the spacing: "
            f"leave the dimension out (array.squeeze({name!r})), or its coordinate (array.drop_vars({name!r}))"
        )
    return even(array, name)


def even(array: Any, name: str) -> tuple[float, float]:
    """First coordinate and step, which may be negative, along a dimension whose coordinates are evenly spaced.

    Raises
    ------
    TypeError, ValueError
        For coordinates that are no numbers, not finite, or uneven: by more than 1e-6 of a step, and than rounding.
    """
    raw = np.asarray(array.coords[name].values)
    if raw.dtype.kind not in "iuf":
        raise TypeError(f"coordinates of {name!r} must be real numbers, got {raw.dtype}")
    x = raw.astype(np.float64)
    if not np.isfinite(x).all():
        raise ValueError(f"coordinates of {name!r} must be finite")
    if len(x) < 2:
        return float(x[0]), 0.0
    step = float(x[-1] - x[0]) / (len(x) - 1)
    off = np.abs(x - (x[0] + step * np.arange(len(x))))
    slack = 4 * np.finfo(raw.dtype).eps * np.abs(x).max() if raw.dtype.kind == "f" else 0.0
    worst = int(off.argmax())
    if step == 0 or off[worst] > max(EVEN * abs(step), slack):
        gaps = np.diff(x)
        raise ValueError(
            f"coordinates of {name!r} are uneven: steps lie between {gaps.min():g} and {gaps.max():g}, and point "
            f"{worst} is {off[worst]:g} away from where it should be; a grid has one spacing per axis: "
            f"interpolate first, array.interp({name}=np.linspace({x[0]:g}, {x[-1]:g}, {len(x)}))"
        )
    return float(x[0]), step
