"""Samples through xarray and NetCDF and back, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from discretize import Grid, Samples
from fields import Interpolated

SHAPE, SPACING = (5, 4, 3), (0.1, 1 / 3, 2.5)
BOUNDARIES = ("periodic", "zero", "reflect", "nearest", "none")


def numbers(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def assert_same(actual: Samples, expected: Samples) -> None:
    """Nothing differs, not in a bit."""
    assert actual.values.dtype == expected.values.dtype
    assert torch.equal(actual.values, expected.values)
    assert torch.equal(actual.grid.origin, expected.grid.origin)
    for name in ("shape", "spacing", "boundary"):
        assert getattr(actual.grid, name) == getattr(expected.grid, name)
    assert actual.accuracy == expected.accuracy


def through_a_file(array: xr.DataArray, path: Path, engine: str) -> xr.DataArray:
    array.to_netcdf(path / "f.nc", engine=engine)
    with xr.open_dataarray(path / "f.nc", engine=engine) as read:
        return read.load()


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("engine", ["scipy", "netcdf4"])
def test_a_file_gives_the_same_samples(
    dim: int, dtype: torch.dtype, batch: tuple[int, ...], own: bool, engine: str, tmp_path: Path
) -> None:
    origin = numbers(*(batch if own else ()), dim) / 3
    grid = Grid(SHAPE[:dim], SPACING[:dim], origin, BOUNDARIES[dim + len(batch) - 1])
    f = Samples(numbers(*batch, 2, *SHAPE[:dim], dtype=dtype), grid, accuracy=1.25e-7)
    assert_same(Samples.from_xarray(f.to_xarray()), f)
    assert_same(Samples.from_xarray(through_a_file(f.to_xarray(), tmp_path, engine)), f)


def test_layout_and_attributes() -> None:
    f = Samples(numbers(2, 5, 4), Grid((5, 4), SPACING[:2], torch.tensor([0.5, -1.0]).double()))
    array = f.to_xarray(name="speed", units="m s-1", length_units="m")
    assert array.dims == ("x1", "x2", "channel")
    assert (array.name, array.attrs["units"]) == ("speed", "m s-1")
    np.testing.assert_array_equal(array.values, f.values.permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(array.x1, 0.5 + 0.1 * np.arange(5))
    assert [array[x].attrs["axis"] for x in ("x1", "x2")] == ["X", "Y"]
    assert array.x2.attrs["units"] == "m"
    assert "accuracy" not in array.attrs
    for part in (array, array.x1, array.channel):
        assert part.encoding["_FillValue"] is None
        assert part.attrs["long_name"]
    at = float(array.sel(x1=0.7, x2=-1.0, method="nearest").isel(channel=1))
    assert at == float(f.values[1, 2, 0])


def test_batches_have_their_origins_as_coordinates() -> None:
    origin = numbers(3, 2)
    array = Samples(numbers(2, 5, 4), Grid((5, 4), 0.5, origin)).to_xarray()
    assert array.dims == ("batch", "x1", "x2", "channel")
    np.testing.assert_array_equal(array.origin_x2, origin[:, 1])
    np.testing.assert_array_equal(array.x1, 0.5 * np.arange(5))
    back = Samples.from_xarray(array)
    assert torch.equal(back.grid.origin, origin)
    assert torch.equal(back.values, numbers(2, 5, 4).expand(3, 2, 5, 4))
    one = Samples.from_xarray(array.isel(batch=1))
    assert torch.equal(one.grid.origin, origin[1])


def test_gradients_end_and_values_are_copied() -> None:
    values = numbers(1, 4).requires_grad_()
    array = Samples(values, Grid(4, 1.0)).to_xarray()
    array.values[...] = 0.0
    assert float(values.detach().abs().min()) > 0
    assert not Samples.from_xarray(array).values.requires_grad


def test_selections_keep_their_place() -> None:
    """A part isn't periodic any more; every second point is twice as far from the next."""
    f = Samples(numbers(2, 8), Grid(8, 0.25, 1.0), accuracy=1e-6)
    array = f.to_xarray()
    assert Samples.from_xarray(array).accuracy == 1e-6
    part = Samples.from_xarray(array.isel(x1=slice(2, 7, 2)))
    assert (part.grid.shape, part.grid.spacing, part.grid.boundary) == ((3,), (0.5,), "none")
    assert part.accuracy is None  # it was relative to all values
    assert part.grid.origin.tolist() == [1.5]
    assert torch.equal(part.values, f.values[:, 2:7:2])
    assert Samples.from_xarray(array.isel(x1=slice(0, 6))).grid.boundary == "none"
    assert Samples.from_xarray(array.isel(x1=slice(0, 6)), boundary="zero").grid.boundary == "zero"
    single = Samples.from_xarray(array.isel(x1=[3]))
    assert (single.grid.origin.tolist(), single.grid.spacing) == ([1.75], (0.25,))


def test_arrays_of_any_origin() -> None:
    data = np.arange(12, dtype=np.int16).reshape(3, 4)
    array = xr.DataArray(
        data, {"lat": [10.0, 20.0, 30.0], "lon": np.arange(4) * 0.1}, ("lat", "lon")
    )
    f = Samples.from_xarray(array, space=("lon", "lat"), boundary="reflect")
    assert (f.channels, f.dtype, f.grid.boundary) == (1, torch.float64, "reflect")
    assert f.grid.shape == (4, 3)
    assert f.grid.spacing == pytest.approx((0.1, 10.0), rel=1e-14)
    assert f.grid.origin.tolist() == [0.0, 10.0]
    np.testing.assert_array_equal(f.values[0], data.T)
    single = array.assign_coords(lon=array.lon.astype(np.float32))
    assert Samples.from_xarray(single, ("lat", "lon")).grid.spacing[1] == pytest.approx(0.1, 1e-6)


def test_attributes_stand_in_for_coordinates() -> None:
    """Without coordinates the attributes tell the whole grid, but nothing of a part: where it was cut isn't known."""
    f = Samples(numbers(2, 8, 3), Grid((8, 3), (0.25, 1 / 3), torch.tensor([1.0, -2.0]).double()))
    bare = f.to_xarray().drop_vars(["x1", "x2"])
    assert_same(Samples.from_xarray(bare), f)
    with pytest.raises(
        ValueError, match=r"'x1' has no coordinates.* that of 4 points: .*np.arange\(4\)"
    ):
        Samples.from_xarray(bare.isel(x1=slice(0, 8, 2)))
    made = xr.DataArray(np.zeros((5, 1)), dims=("x1", "channel"), attrs={"spacing": 0.5})
    assert Samples.from_xarray(made).grid.spacing == (0.5,)


def test_coordinates_stand_in_for_attributes() -> None:
    """Where no spacing is stored it is that of the points, and nothing tells that they are a whole period."""
    f = Samples(numbers(2, 8), Grid(8, 0.25, 1.0), accuracy=1e-6)
    array = f.to_xarray()
    del array.attrs["spacing"]
    found = Samples.from_xarray(array)
    assert (found.grid.spacing, found.grid.boundary, found.accuracy) == ((0.25,), "none", None)
    assert torch.equal(found.values, f.values)


@pytest.mark.parametrize("kind", [">f4", "<f4", ">f8", ">i2", "f2", "u1", "?"])
def test_numbers_of_any_kind(kind: str) -> None:
    """In either byte order: NetCDF's is the other one on most machines. What has no dtype here becomes float64."""
    data = np.array([[0, 1, 1], [1, 0, 1]]).astype(kind)
    array = xr.DataArray(data, {"x1": [0.0, 1.0], "x2": [0.0, 1.0, 2.0]}, ("x1", "x2"))
    dtype = torch.float32 if kind.endswith("f4") else torch.float64
    for found in (Samples.from_xarray(array).values, Interpolated.from_xarray(array).values):
        assert found.dtype == dtype
        assert found.tolist() == [[[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]]]


@pytest.mark.parametrize("kind", ["c8", "c16", "U1", "O", "M8[ns]"])
def test_what_is_no_real_number_is_refused(kind: str) -> None:
    """Never by dropping imaginary parts, nor by reading numbers out of text."""
    data = np.array([[0, 1, 1], [1, 0, 1]]).astype(kind)
    array = xr.DataArray(data, {"x1": [0.0, 1.0], "x2": [0.0, 1.0, 2.0]}, ("x1", "x2"))
    for read in (Samples.from_xarray, Interpolated.from_xarray):
        with pytest.raises(TypeError, match=r"must be real numbers, got .*array\.real"):
            read(array)


LINE = Samples(numbers(1, 4), Grid(4, 1.0)).to_xarray()
MOVED = Samples(numbers(2, 1, 4, 3), Grid((4, 3), 1.0, numbers(2, 2))).to_xarray()


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (
            lambda: Samples.from_xarray(LINE.assign_coords(x1=[0.0, 1.0, 2.0, 4.0])),
            ValueError,
            r"'x1' are uneven: steps lie between 1 and 2, and point \d is .* interpolate first",
        ),
        (
            lambda: Samples.from_xarray(LINE.isel(x1=slice(None, None, -1))),
            ValueError,
            r"must increase: array.sortby\('x1'\)",
        ),
        (
            lambda: Samples.from_xarray(xr.DataArray(np.zeros((4, 1)), dims=("x1", "channel"))),
            ValueError,
            "'x1' has no coordinates, so that its spacing isn't known",
        ),
        (
            lambda: Samples.from_xarray(xr.DataArray(np.zeros((4, 1)), dims=("lat", "channel"))),
            ValueError,
            "say which 1 to 3 of them are space",
        ),
        (
            lambda: Samples.from_xarray(
                xr.DataArray(np.zeros((1, 1)), {"x1": [0.0]}, ("x1", "channel"))
            ),
            ValueError,
            "has one point, which tells no spacing",
        ),
        (
            lambda: Samples.from_xarray(LINE.assign_coords(x1=list("abcd"))),
            TypeError,
            "'x1' must be real numbers",
        ),
        (
            lambda: Samples.from_xarray(LINE.assign_coords(x1=[0.0, 1.0, np.nan, 3.0])),
            ValueError,
            "'x1' must be finite",
        ),
        (lambda: Samples.from_xarray(LINE.astype(complex)), TypeError, "must be real numbers"),
        (
            lambda: Samples.from_xarray(MOVED.drop_vars("origin_x2")),
            ValueError,
            r"only \['x1'\] of \['x1', 'x2'\] have a coordinate origin_…: .* or leave all out",
        ),
        (
            lambda: Samples.from_xarray(LINE.assign_coords(origin_x1=("x1", [0.0, 1.0, 2.0, 3.0]))),
            ValueError,
            r"origin_x1 must vary over batch dimensions \[\], got \('x1',\)",
        ),
        (lambda: Samples.from_xarray(LINE * np.nan), ValueError, "values must be finite"),
        (lambda: Samples.from_xarray(LINE.values), TypeError, "expected an xarray.DataArray"),
        (
            lambda: Samples(numbers(1, 4).half(), Grid(4, 1.0)).to_xarray(),
            TypeError,
            "only float32 and float64",
        ),
    ],
)
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()
