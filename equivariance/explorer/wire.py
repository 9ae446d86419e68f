"""Answers: a view as bytes for the page, and as a labelled dataset for a file."""

from __future__ import annotations

import functools
import json
import math
import platform
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from discretize import Grid, Samples
from equivariance.explorer.choices import METHODS
from equivariance.explorer.state import State
from equivariance.explorer.views import ROUNDING, Curve, View
from equivariance.provenance import as_json, git_commit, provenance
from equivariance.results import as_bytes
from equivariance.verdict import COLUMNS, of_compared

_LENGTH = struct.Struct("<I")


def packed(view: View) -> bytes:
    """A view as the page reads it: length of the header (4 bytes), header (JSON), then all panels as float32."""
    panels = {
        "field": (view.field.values, view.field.grid),
        "output": (view.output.values, view.output.grid),
        "discrete": (view.discrete.values, view.discrete.grid),
        "moved": (view.moved, view.discrete.grid),
        "difference": (view.difference, view.discrete.grid),
    }
    header = {
        "t": list(view.state.t),
        "error": view.error,
        "rounding": ROUNDING,
        "scale": view.scale,
        "approximate": view.approximate,
        "panels": [{"name": name, **_place(grid)} for name, (_, grid) in panels.items()],
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)  # the browser reads numbers at multiples of their size
    arrays = [_array(values) for values, _ in panels.values()]
    return b"".join([_LENGTH.pack(len(text)), text, *arrays])


def _place(grid: Grid) -> dict[str, Any]:
    return {
        "shape": list(grid.shape),
        "spacing": list(grid.spacing),
        "origin": grid.origin.tolist(),
    }


def _array(values: Tensor) -> bytes:
    return values[0].numpy().astype("<f4").tobytes()


def curve_as_json(curve: Curve) -> dict[str, Any]:
    """A curve as the page reads it."""
    found = of_compared(np.array(curve.translations), np.array([_number(e) for e in curve.errors]))
    return {
        "verdict": None if found is None else dict(zip(COLUMNS, found.words, strict=True)),
        "positions": list(curve.positions),
        "translations": [list(t) for t in curve.translations],
        "errors": list(curve.errors),
        "rounding": ROUNDING,
    }


def dataset(view: View, curve: Curve) -> xr.Dataset:
    """All that the page shows, in double precision, with where it comes from."""
    maps = {
        "field": ("_fine", view.field),
        "continuous_output": ("_fine", view.output),
        "sampled_field": ("", view.sampled),
        "output_of_moved": ("_kept", view.discrete),
    }
    variables: dict[str, Any] = {}
    for name, (suffix, samples) in maps.items():
        variables[name] = _labelled(samples, suffix, _LONG_NAMES[name])
    for name, values in (("moved_output", view.moved), ("difference", view.difference)):
        like = variables["output_of_moved"]
        variables[name] = like.copy(data=values[0].numpy())
        variables[name].attrs = {"long_name": _LONG_NAMES[name], "units": "1"}
    variables["error"] = xr.DataArray(
        _number(view.error), attrs={"long_name": "relative L2 norm of the difference", "units": "1"}
    )
    variables |= _curve_variables(curve)
    return xr.Dataset(variables, attrs=_attributes(view.state))


_LONG_NAMES = {
    "field": "t▷F, the translated field",
    "continuous_output": "the network without subsampling, of the translated field as a function",
    "sampled_field": "t▷F on the sampling grid",
    "output_of_moved": "L(t▷F) on the kept points",
    "moved_output": "t▷L(F) on the same points, NaN where it isn't known",
    "difference": "L(t▷F) − t▷L(F)",
}


def _labelled(samples: Samples, suffix: str, name: str) -> xr.DataArray:
    axes = [
        o + h * np.arange(n)
        for n, h, o in zip(
            samples.grid.shape, samples.grid.spacing, samples.grid.origin.tolist(), strict=True
        )
    ]
    names = [f"x1{suffix}", f"x2{suffix}"]
    coordinates = {
        dim: xr.DataArray(values, dims=dim, attrs={"units": "pixel"})
        for dim, values in zip(names, axes, strict=True)
    }
    return xr.DataArray(
        samples.values[0].numpy(), coordinates, names, attrs={"long_name": name, "units": "1"}
    )


def _curve_variables(curve: Curve) -> dict[str, Any]:
    errors = [_number(e) for e in curve.errors]
    pixel = {"units": "pixel"}
    return {
        "line": xr.DataArray(list(curve.positions), dims="line", attrs=pixel),
        "line_translation": xr.DataArray(
            np.array(curve.translations), dims=("line", "axis"), attrs=pixel
        ),
        "line_error": xr.DataArray(
            errors, dims="line", attrs={"long_name": "error along the line", "units": "1"}
        ),
    }


def _number(error: float | None) -> float:
    return math.nan if error is None else error


def _attributes(state: State) -> Mapping[str, str]:
    configuration = state.as_json()
    if not state.picture:
        configuration.pop("picture")
    return provenance(configuration, command="equivariance explore", commit=commit()) | {
        "title": f"Translation equivariance: {METHODS[state.method].label}, stride {state.stride}",
        "configuration": as_json(configuration),
    }


@functools.cache
def commit() -> str:
    """The commit of this program, empty where there is none: asked once, since git is another process."""
    platform.platform()  # which provenance asks for as well, and which asks another process the first time only
    return git_commit() or ""


def netcdf(view: View, curve: Curve) -> bytes:
    """The dataset as a file."""
    return as_bytes(dataset(view, curve))
