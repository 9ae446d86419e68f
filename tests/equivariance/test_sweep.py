"""Sweeps: every cell is one call of `equivariance_error`, and the dataset says what it is."""

import datetime
import json

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from discretize import BlurPool, EquivariantSubsampling, Grid, Stride
from equivariance import equivariance_error, sweep
from equivariance.results import as_bytes
from fields import Constant, random_bandlimited
from layers import Conv, GlobalPool, Pointwise
from tests.equivariance.photograph import photograph


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


CONV = nn.Sequential(Conv.from_array(noise(3, 3, 2, 1), 1.0), Pointwise(torch.relu))
LAYERS = {
    "square": lambda f: f * f,
    "stride 2": nn.Sequential(CONV, Stride(2)),
    "pooled": nn.Sequential(CONV, GlobalPool(2, rtol=1e-2)),
}
FIELDS = {str(k): random_bandlimited(2, 1, 0.4, 16.0, seed=k) for k in range(2)}
GRIDS = {"continuous": None, "16": Grid((16, 16), 1.0), "32": Grid((32, 32), 0.5)}
POINTS = torch.rand(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
T = torch.tensor([[k / 4, 0.3 * k] for k in range(18)], dtype=torch.float64)  # more than a chunk


@pytest.fixture(scope="module")
def data() -> xr.Dataset:
    return sweep(LAYERS, FIELDS, T, GRIDS, points=POINTS, norm="l1", seed=7)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("layer", ["square", "stride 2"])
def test_every_number_is_one_measurement(data, layer: str, grid: str) -> None:
    """error.sel(…)[i] is equivariance_error of these names at T[i], a grid None being `points`."""
    where = {"points": POINTS} if GRIDS[grid] is None else {"grid": GRIDS[grid]}
    for name, field in FIELDS.items():
        with torch.no_grad():
            alone = [
                float(equivariance_error(LAYERS[layer], field, t, norm="l1", **where)) for t in T
            ]
        cells = data.error.sel(layer=layer, field=name, grid=grid)
        np.testing.assert_allclose(cells, alone, rtol=1e-9, atol=1e-14)
    if layer == "stride 2" and grid != "continuous":
        assert float(cells.max()) > 1e-3


def test_invariants_in_a_sweep(data) -> None:
    pooled = data.error.sel(layer="pooled")
    assert float(pooled.sel(grid="continuous").max()) <= 2 * 4e-2  # two accuracies of max|F|
    assert float(pooled.sel(grid="16").isel(translation=4).max()) > 1e-6  # t = (1, 1.2)


def test_dimensions_coordinates_and_units(data) -> None:
    assert list(data.data_vars) == ["error", "commutes_with", "error_there", "error_elsewhere"]
    assert data.error.dims == ("layer", "field", "grid", "translation")
    assert data.error.dtype == np.float64
    for name, keys in [("layer", LAYERS), ("field", FIELDS), ("grid", GRIDS)]:
        assert data[name].values.tolist() == list(keys)
    assert data.t.dims == ("translation", "axis")
    assert data.axis.values.tolist() == ["x1", "x2"]
    assert np.array_equal(data.t, T)
    assert data.error.attrs == {
        "long_name": "relative equivariance error, l1 norm",
        "units": "1",
    }
    assert data.t.attrs == {"long_name": "translation", "units": "length units of the fields"}


def test_provenance(data) -> None:
    configuration = json.loads(data.attrs["configuration"])
    assert configuration["layers"] == list(LAYERS)
    assert configuration["norm"] == "l1"
    assert data.attrs["seed"] == "7"
    assert data.attrs["torch"] == torch.__version__
    assert datetime.datetime.fromisoformat(data.attrs["date"]).tzinfo is not None
    unseeded = sweep({"stride": Stride(2)}, FIELDS, T[:1], {"16": GRIDS["16"]})
    assert "seed" not in unseeded.attrs


def test_round_trip_through_netcdf(data, tmp_path) -> None:
    (tmp_path / "sweep.nc").write_bytes(as_bytes(data))
    with xr.open_dataset(tmp_path / "sweep.nc", engine="scipy") as back:
        xr.testing.assert_identical(back.load(), data)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_dimensions_of_space(dim: int) -> None:
    """One translation or many, of any shape that ends in d; chains of strides show their subgroup."""
    field = random_bandlimited(dim, 1, 0.4, 6.0, seed=0)
    t = torch.arange(5.0)[:, None].expand(-1, dim)
    layers = {"stride": Stride(2), "Xu": EquivariantSubsampling(2)}
    data = sweep(layers, {"noise": field}, t, {"6": Grid((6,) * dim, 1.0)})
    exact = (data.error.squeeze(("field", "grid")) <= 1e-13).values.tolist()
    assert exact == [[True, False, True, False, True], [True] * 5]
    assert data.axis.size == dim
    one = sweep(layers, {"noise": field}, [1.0] * dim, {"6": Grid((6,) * dim, 1.0)})
    assert one.sizes["translation"] == 1


def test_a_photograph_through_strides() -> None:
    """The main question in miniature: multiples of the stride, whole pixels, fractions."""
    layers = {
        "none": CONV,
        "stride": nn.Sequential(CONV, Stride(2)),
        "blur": nn.Sequential(CONV, BlurPool(2)),
        "Xu": nn.Sequential(CONV, EquivariantSubsampling(2)),
    }
    t = [[0, 0], [2, 0], [4, 6], [1, 0], [3, 2], [0.5, 0], [1.125, 2.375]]
    grids = {"continuous": None, "64": Grid((64, 64), 1.0)}
    data = sweep(layers, {"photograph": photograph() - 0.5}, t, grids, points=64 * POINTS)
    assert float(data.error.sel(grid="continuous").max()) <= 1e-12
    sampled = data.error.sel(grid="64", field="photograph")
    for name, whole in [("none", True), ("stride", False), ("blur", False), ("Xu", True)]:
        error = sampled.sel(layer=name).values
        assert error[:3].max() <= 1e-13
        assert error[3:5].max() <= 1e-13 if whole else error[3:5].min() > 1e-3
        assert error[5:].min() > 1e-3


def test_no_graph_is_kept_and_nothing_printed(capfd) -> None:
    """Layers with parameters are measured without gradients; the bar stays silent when piped."""
    seen = []

    def spy(f):
        seen.append(torch.is_grad_enabled())
        return CONV(f)

    sweep({"spy": spy}, FIELDS, T[:2], {"16": GRIDS["16"]}, progress=True)
    assert seen
    assert not any(seen)
    assert capfd.readouterr() == ("", "")


BATCH = Constant([[1.0], [2.0]], 2)
LINE = random_bandlimited(1, 1, 0.4, 16.0, seed=0)
BAD = {
    "no layers": (({}, FIELDS, T, GRIDS), "layers must be a dict"),
    "layers without names": (([Stride(2)], FIELDS, T, GRIDS), "layers must be a dict from names"),
    "no fields": ((LAYERS, {}, T, GRIDS), "fields must be a dict"),
    "no grids": ((LAYERS, FIELDS, T, {}), "grids must be a dict"),
    "a grid alone": ((LAYERS, FIELDS, T, GRIDS["16"]), "grids must be a dict"),
    "no translations": ((LAYERS, FIELDS, T[:0], GRIDS), "translations needs at least one"),
    "translations of another d": ((LAYERS, FIELDS, noise(3, 3), GRIDS), "translation in 2 dim"),
    "fields of several d": ((LAYERS, {**FIELDS, "line": LINE}, T, GRIDS), r"'line' is on R\^1"),
    "a batch": ((LAYERS, {**FIELDS, "two": BATCH}, T, GRIDS), r"'two' is .* batch \(2,\)"),
    "no points": ((LAYERS, FIELDS, T, {"continuous": None}), "points=… to measure it"),
    "norm": ((LAYERS, FIELDS, T, GRIDS, POINTS, "l3"), "norm must be one of"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input(arguments, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sweep(*arguments)


def test_outputs_that_ignore_their_input_are_invariant() -> None:
    found = sweep({"one": lambda f: torch.ones(3)}, FIELDS, T, {"16": GRIDS["16"]})
    assert found.error.sizes["translation"] == len(T)
    assert float(found.error.max()) == 0


def test_fields_are_fields() -> None:
    with pytest.raises(TypeError, match="fields must be Fields, 'grid' is a Grid"):
        sweep(LAYERS, {**FIELDS, "grid": GRIDS["16"]}, T, GRIDS)


def test_a_sweep_says_what_each_layer_commutes_with() -> None:
    """In spacings of its grid; also for layers in float32, and random real translations."""
    whole = torch.tensor([[i / 4, j / 4] for i in range(9) for j in range(9)], dtype=torch.float64)
    random = 9 * torch.rand(9, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    layers = {"none": CONV, "stride": LAYERS["stride 2"], "square": LAYERS["square"]}
    points = torch.cat([POINTS + k for k in range(9)])
    for t in (whole, torch.cat([whole, random])):
        data = sweep(layers, {"F": FIELDS["0"]}, t, GRIDS, points=points)
        names = {g: data.commutes_with.sel(grid=g, field="F").values.tolist() for g in GRIDS}
        assert names == {
            "continuous": ["every real translation tested"] * 3,
            "16": ["Z × Z", "2Z × 2Z", "Z × Z"],
            "32": ["Z × Z", "2Z × 2Z", "every real translation tested"],
        }
        there, elsewhere = data.error_there.sel(field="F"), data.error_elsewhere.sel(field="F")
        assert float(there.max()) <= 1e-13
        assert float(elsewhere.sel(grid="16").min()) > 1e-3
        assert bool(elsewhere.sel(grid="continuous").isnull().all())
    low = random_bandlimited(2, 1, 0.4, 16.0, seed=0, dtype=torch.float32)
    data = sweep({"square": lambda f: f * f}, {"F": low}, whole, {"16": GRIDS["16"]})
    assert (data.attrs["dtype"], data.commutes_with.item()) == ("float32", "Z × Z")
