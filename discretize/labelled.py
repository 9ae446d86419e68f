"""Samples as labelled arrays, and back.

A labelled map has the dimensions (batch …, x1, …, xd, channel), as a NetCDF file or a plot likes them. What no
coordinate can hold exactly (spacing, origin, boundary, accuracy) is in its attributes, as numbers and words that NetCDF
knows; coordinates win over attributes where a selection has made them differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from discretize.grid import Grid
from discretize.samples import Samples
from fields import arguments, checks
from fields.reading.coordinates import even, real_values

if TYPE_CHECKING:
    import xarray as xr

#: The letters that CF gives to axes of space.
CF_AXES = ("X", "Y", "Z")


def to_xarray(
    samples: Samples, name: str = "feature_map", units: str = "1", length_units: str = "1"
) -> xr.DataArray:
    """Label samples; see `Samples.to_xarray`."""
    import xarray as xr  # half a second, which those who don't label needn't wait for

    grid, dim = samples.grid, samples.dim
    if samples.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"only float32 and float64 can be labelled, got {samples.dtype}")
    batch = tuple(
        "batch" if len(samples.batch) == 1 else f"batch{i + 1}" for i in range(len(samples.batch))
    )
    axes = tuple(f"x{i + 1}" for i in range(dim))
    values = samples.values.detach().movedim(-dim - 1, -1)
    values = values.expand(*samples.batch, *grid.shape, samples.channels)
    attributes: dict[str, Any] = {
        "long_name": "feature map",
        "units": units,
        "boundary": grid.boundary,
        "spacing": list(grid.spacing),
        "shape": list(grid.shape),
    }
    if samples.accuracy is not None:
        attributes["accuracy"] = float(samples.accuracy)
    if not grid.batch:
        attributes["origin"] = grid.origin.detach().tolist()
    array = xr.DataArray(
        values.cpu().numpy().copy(),
        dims=(*batch, *axes, "channel"),
        coords=_labels(samples, batch, axes, length_units),
        attrs=attributes,
        name=name,
    )
    array.encoding["_FillValue"] = None
    for label in array.coords.values():
        label.encoding["_FillValue"] = None
    return array


def _labels(
    samples: Samples, batch: tuple[str, ...], axes: tuple[str, ...], length_units: str
) -> dict[str, Any]:
    """Coordinates of space and channels; positions count from the elements' origins, where each has its own."""
    grid, origin = samples.grid, samples.grid.origin.detach().cpu()
    labels: dict[str, Any] = {}
    for i, (axis, h, n) in enumerate(zip(axes, grid.spacing, grid.shape, strict=True)):
        start = float(origin[i]) if not grid.batch else 0.0
        what = "position" if not grid.batch else "position from the element's origin"
        labels[axis] = _coordinate(
            axis, start + h * np.arange(n), f"{what} along axis {i + 1}", length_units
        )
        labels[axis][2]["axis"] = CF_AXES[i]
        if grid.batch:
            where = origin[..., i].expand(samples.batch).contiguous().numpy()
            said = f"origin along axis {i + 1}"
            labels[f"origin_{axis}"] = _coordinate(batch, where, said, length_units)
    labels["channel"] = _coordinate("channel", np.arange(samples.channels), "channel", "1")
    return labels


def _coordinate(dims: Any, values: Any, long_name: str, units: str) -> tuple[Any, Any, Any]:
    return dims, values, {"long_name": long_name, "units": units}


def from_xarray(
    array: xr.DataArray,
    space: Sequence[str] | None = None,
    channel: str = "channel",
    boundary: str | None = None,
) -> Samples:
    """Samples of a labelled array; see `Samples.from_xarray`."""
    import xarray as xr

    if not isinstance(array, xr.DataArray):
        raise TypeError(f"expected an xarray.DataArray, got {type(array).__name__}")
    if not isinstance(channel, str):
        raise TypeError(f"channel must be the name of a dimension, got {checks.said(channel)}")
    axes = _space(array, space)
    if channel not in array.dims:
        array = array.expand_dims(channel, axis=-1)
    batch = [d for d in array.dims if d not in (*axes, channel)]
    values = torch.from_numpy(real_values(array.transpose(*batch, channel, *axes)))
    stored = _Stored(array, axes)
    starts, spacing = zip(*(stored.axis(i) for i in range(len(axes))), strict=True)
    chosen = stored.boundary if boundary is None else boundary
    moved = [str(a) for a in axes if f"origin_{a}" in array.coords]
    if moved and len(moved) < len(axes):
        raise ValueError(
            f"only {moved} of {list(axes)} have a coordinate origin_…: give one for every axis, or leave all out"
        )
    origin = torch.tensor(starts, dtype=torch.float64)
    if moved:
        own = [_element_origin(array, axis, batch) for axis in axes]
        origin = torch.stack(own, dim=-1) + origin
    accuracy = array.attrs.get("accuracy") if stored.whole else None
    accuracy = None if accuracy is None else float(accuracy)
    return Samples(values, Grid(values.shape[-len(axes) :], spacing, origin, chosen), accuracy)


def _space(array: xr.DataArray, space: Sequence[str] | None) -> tuple[Any, ...]:
    if space is None:
        space = [f"x{i + 1}" for i in range(3) if f"x{i + 1}" in array.dims]
    space = arguments.sequence(space, "space", "names of dimensions")
    if not all(isinstance(s, str) for s in space):
        raise TypeError(f"space must be names of dimensions, got {checks.said(space)}")
    missing = [s for s in space if s not in array.dims]
    if missing or not 1 <= len(space) <= 3:
        raise ValueError(
            f"the array has dimensions {array.dims}: say which 1 to 3 of them are space, in order, "
            f"by space=('x1', 'x2', …); got {tuple(space)}"
        )
    return tuple(space)


def _element_origin(array: xr.DataArray, axis: str, batch: Sequence[Any]) -> torch.Tensor:
    label = array.coords[f"origin_{axis}"]
    if any(d not in batch for d in label.dims):
        raise ValueError(f"origin_{axis} must vary over batch dimensions {batch}, got {label.dims}")
    full = label.broadcast_like(array.isel({d: 0 for d in array.dims if d not in batch}))
    values = np.array(full.transpose(*batch).values, dtype=np.float64)
    return torch.from_numpy(values)


class _Stored:
    """What attributes and coordinates say of a grid."""

    def __init__(self, array: xr.DataArray, axes: tuple[Any, ...]) -> None:
        self.array, self.axes = array, axes
        self.counts = [array.sizes[a] for a in axes]
        self.spacing = self._numbers("spacing")
        self.origin = self._numbers("origin")
        self.shape = self._numbers("shape")

    def _numbers(self, name: str) -> list[float] | None:
        """One number per axis from an attribute; a file gives back a single one without its list."""
        if name not in self.array.attrs:
            return None
        numbers: list[float] = np.atleast_1d(self.array.attrs[name]).astype(float).tolist()
        return numbers if len(numbers) == len(self.axes) else None

    @property
    def whole(self) -> bool:
        """Whether no part of space was cut off: what was relative to all values means nothing for a part of them."""
        return self.shape == self.counts and all(self._as_stored(i) for i in range(len(self.axes)))

    @property
    def boundary(self) -> str:
        """As stored, where the array is whole; "none" where it isn't, or isn't said."""
        return str(self.array.attrs.get("boundary", "none")) if self.whole else "none"

    def _as_stored(self, i: int) -> bool:
        """Whether the coordinate is origin + spacing·i of the attributes, bit for bit, or no point seems cut off."""
        if self.spacing is None:
            return False
        axis = self.axes[i]
        if axis not in self.array.coords:
            return self.shape is None or self.shape[i] == self.counts[i]
        start = 0.0 if self.origin is None else self.origin[i]
        expected = start + self.spacing[i] * np.arange(self.counts[i])
        return bool(np.array_equal(self.array.coords[axis].values, expected))

    def axis(self, i: int) -> tuple[float, float]:
        """First point and spacing along axis i."""
        axis, n = self.axes[i], self.counts[i]
        if self.spacing is not None and self._as_stored(i):
            return (0.0 if self.origin is None else self.origin[i]), self.spacing[i]
        if axis not in self.array.coords:
            raise ValueError(
                f"dimension {axis!r} has no coordinates, so that its spacing isn't known, nor do attributes tell that "
                f"of {n} points: "
                f"array.assign_coords({axis}=spacing * np.arange({n}))"
            )
        start, step = even(self.array, axis)
        if n == 1:
            if self.spacing is None:
                raise ValueError(
                    f"coordinate {axis!r} has one point, which tells no spacing: set array.attrs['spacing']"
                )
            return start, self.spacing[i]
        if not step > 0:
            raise ValueError(f"coordinates of {axis!r} must increase: array.sortby({axis!r})")
        return start, step
