"""Sweeps: every cell is one call of `equivariance_error`."""

import json

import numpy as np
import pytest
import torch
import xarray as xr

from discretize import Grid, Stride
from equivariance import equivariance_error, sweep
from fields import random_bandlimited

LAYERS = {"none": lambda f: f * f, "stride 2": Stride(2)}
FIELDS = {str(k): random_bandlimited(2, 1, 0.4, 16.0, seed=k) for k in range(3)}
GRIDS = {"continuous": None, "16": Grid((16, 16), 1.0)}
POINTS = torch.rand(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
T = torch.tensor([[k / 4, 0.3 * k] for k in range(18)], dtype=torch.float64)


@pytest.fixture(scope="module")
def data() -> xr.Dataset:
    return sweep(LAYERS, FIELDS, T, GRIDS, points=POINTS, seed=7)


def test_every_cell_is_one_measurement(data) -> None:
    for layer, field, grid in np.ndindex(2, 3, 2):
        names = list(LAYERS)[layer], list(FIELDS)[field], list(GRIDS)[grid]
        where = GRIDS[names[2]]
        points = POINTS if where is None else None
        alone = equivariance_error(LAYERS[names[0]], FIELDS[names[1]], T[5], where, points)
        cell = data.error.sel(layer=names[0], field=names[1], grid=names[2])[5]
        assert abs(float(cell) - float(alone)) <= 1e-14


def test_dimensions_units_and_provenance(data) -> None:
    assert data.error.dims == ("layer", "field", "grid", "translation")
    assert data.t.dims == ("translation", "axis")
    assert np.array_equal(data.t, T)
    assert data.error.attrs["units"] == "1"
    assert "equivariance error" in data.error.attrs["long_name"]
    assert json.loads(data.attrs["configuration"])["layers"] == list(LAYERS)
    assert data.attrs["seed"] == "7"


def test_round_trip_through_netcdf(data, tmp_path) -> None:
    data.to_netcdf(tmp_path / "sweep.nc")
    with xr.open_dataset(tmp_path / "sweep.nc") as back:
        xr.testing.assert_identical(back.load(), data)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="layers must be a dict"):
        sweep({}, FIELDS, T, GRIDS)
    with pytest.raises(ValueError, match=r"translations must have shape \(T, d\), T ≥ 1"):
        sweep(LAYERS, FIELDS, torch.zeros(0, 2), GRIDS)
    mixed = {"a": FIELDS["0"], "b": random_bandlimited(1, 1, 0.4, 16.0, seed=0)}
    with pytest.raises(ValueError, match="share d and have no batch"):
        sweep(LAYERS, mixed, T, {"16": GRIDS["16"]})
