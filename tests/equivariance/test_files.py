"""Files that anybody may have made: refused in words, or read; nothing runs, nothing grows, nothing is written beside.

FUZZ_EXAMPLES=2000 looks longer.
"""

from __future__ import annotations

import io
import json
import os
import pickle
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import strategies as st
from torch import nn

from discretize import Grid, Stride
from equivariance import measure, sweep
from equivariance.bad_input import BadInput, read_toml
from equivariance.cli import main
from equivariance.cli.report import opened
from equivariance.experiments.settings import configured
from equivariance.explorer.fields_and_networks import decoded
from equivariance.results import LONGEST, as_bytes, engine, stored_configuration
from equivariance.sweeping import configuration
from equivariance.sweeping.store import StoreTrouble, SweepStore, read_dataset
from fields import Interpolated, random_bandlimited
from tests.equivariance.test_store import created, values

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
TRAPS: list[str] = []


class Trap:
    """A pickle of it says that it was run."""

    def __reduce__(self):
        return TRAPS.append, ("run",)


def fuzzed(count: int):
    return hypothesis.settings(
        max_examples=EXAMPLES or count,
        suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
    )


def outcome(call, *errors):
    """What a call gives, and what it was refused with."""
    try:
        return call(), ""
    except errors as error:
        return None, str(error)


@st.composite
def damaged(draw, content: bytes) -> bytes:
    """A file with bytes changed, cut out, doubled, or cut off."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1)) if data else 0
        length = draw(st.integers(1, 8))
        kind = draw(st.sampled_from(["change", "cut", "double", "end", "extreme"]))
        if kind == "change":
            data[at : at + length] = draw(st.binary(min_size=length, max_size=length))
        elif kind == "extreme":
            data[at : at + 4] = draw(st.sampled_from([b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(4)]))
        elif kind == "cut":
            del data[at : at + length]
        elif kind == "double":
            data[at:at] = data[at : at + length]
        else:
            del data[at:]
    return bytes(data)


# --- images -------------------------------------------------------------------------------------


def image(kind: str) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    pixels = np.arange(12 * 10 * 3, dtype=np.uint8).reshape(12, 10, 3)
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


IMAGES = {kind: image(kind) for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WebP", "PPM")}


@pytest.mark.filterwarnings("ignore")  # what a damaged file is warned of, by whatever reads it
@pytest.mark.parametrize("kind", IMAGES)
def test_damaged_images(tmp_path: Path, kind: str) -> None:
    """Values in [0, 1], or ValueError."""
    path = tmp_path / f"a.{kind.lower()}"

    @fuzzed(25)
    @hypothesis.given(damaged(IMAGES[kind]))
    def attack(content: bytes) -> None:
        path.write_bytes(content)
        field, said = outcome(lambda: Interpolated.from_image(path, memory=1 << 22), ValueError)
        assert len(said.split()) > 3 if field is None else torch.isfinite(field.values).all()

    attack()


@pytest.mark.filterwarnings("ignore")
@fuzzed(60)
@hypothesis.given(st.sampled_from(sorted(IMAGES)).flatmap(lambda kind: damaged(IMAGES[kind])))
def test_damaged_uploads(content: bytes) -> None:
    """The explorer takes bytes from a page: grey bytes of one size come out, or ValueError."""
    grey, _ = outcome(lambda: decoded(content), ValueError)
    assert grey is None or len(grey) == 128 * 128


# --- tensors ------------------------------------------------------------------------------------


def tensor_file(suffix: str) -> bytes:
    out = io.BytesIO()
    values = torch.linspace(0, 1, 64).reshape(1, 1, 8, 8)
    np.save(out, values.numpy()) if suffix == ".npy" else torch.save(values, out)
    return out.getvalue()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".npy", ".pt"])
def test_damaged_tensors(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"

    @fuzzed(25)
    @hypothesis.given(damaged(tensor_file(suffix)))
    def attack(content: bytes) -> None:
        path.write_bytes(content)
        found, said = outcome(
            lambda: measure(nn.ReLU(), path, [[1.0, 0.0]], probe=False, padding="as is"),
            *(ValueError, TypeError),
        )
        assert found is not None or len(said.split()) > 3

    attack()


@pytest.mark.parametrize("suffix", [".npy", ".pt", ".pkl", ".bin"])
@pytest.mark.parametrize("how", ["pickle", "torch", "numpy"])
def test_code_in_a_file_of_tensors_never_runs(tmp_path: Path, suffix: str, how: str) -> None:
    path = tmp_path / f"x{suffix}"
    with path.open("wb") as file:
        if how == "pickle":
            pickle.dump(Trap(), file)
        elif how == "torch":
            torch.save(Trap(), file)
        else:
            np.save(file, np.array([Trap()], dtype=object), allow_pickle=True)
    TRAPS.clear()
    with pytest.raises(ValueError, match="can't be read as a tensor"):
        measure(nn.ReLU(), path, [[1.0, 0.0]])
    assert not TRAPS


# --- settings -----------------------------------------------------------------------------------

TOML = """strides = [1, 2]
[translations]
list = [[1.0, 0.5]]
[grids.a]
shape = [8, 8]
[fields.noise]
random = { bandlimit = 0.4, period = 8.0 }
[layers.blur]
chain = ["relu"]
"""


@pytest.mark.parametrize("content", [
    b"a = " + b"[" * 100_000,
    b"a = " + b"{b = " * 50_000,
    b"a." * 2_000 + b"b = 1",
    b"a = 9999-99-99",
    b"\xff\xfe\x00",
    b"x = 1\n" * (1 << 22),
], ids=["lists", "tables", "keys", "date", "bytes", "long"])  # fmt: skip
def test_settings_that_go_too_far(tmp_path: Path, content: bytes, capsys) -> None:
    """Refused with exit code 2, by both commands that read settings."""
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    for words in (["run", "stride", "--config", str(path)], ["sweep", str(path)]):
        assert main([*words, "--out", str(tmp_path / "out")]) == 2
        assert capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["a.toml"]


def test_a_device_is_no_settings() -> None:
    with pytest.raises(BadInput, match="more than 16 MiB"):
        read_toml(Path("/dev/zero"))


@fuzzed(80)
@hypothesis.given(damaged(TOML.encode()))
def test_damaged_settings_of_sweeps(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    outcome(lambda: configuration.read(path), BadInput)


@fuzzed(60)
@hypothesis.given(st.dictionaries(st.sampled_from(["size", "seed", "out", "quick", "image", "x"]), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)))  # fmt: skip
def test_settings_of_other_types(chosen: dict) -> None:
    from equivariance import EXPERIMENTS

    settings = EXPERIMENTS["stride"].settings
    found, said = outcome(lambda: configured(settings, chosen, "here"), BadInput)
    assert found is not None or said.startswith("here")


# --- results ------------------------------------------------------------------------------------


def results() -> xr.Dataset:
    field = random_bandlimited(2, 1, 0.4, 8.0, seed=0)
    return sweep({"stride": Stride(2)}, {"noise": field}, [[1.0, 0.0]], {"a": Grid((8, 8), 1.0)})


@pytest.fixture(scope="module")
def netcdf() -> bytes:
    return as_bytes(results())


@pytest.mark.filterwarnings("ignore")
@fuzzed(60)
@hypothesis.given(data=st.data())
def test_damaged_netcdf(tmp_path: Path, netcdf: bytes, data) -> None:
    path = tmp_path / "a.nc"
    path.write_bytes(data.draw(damaged(netcdf)))
    stored_configuration(path)
    found, said = outcome(lambda: opened(path), BadInput)
    assert found is not None or "is no NetCDF file that can be read" in said


def test_files_are_read_by_what_they_begin_with(tmp_path: Path, netcdf: bytes, monkeypatch) -> None:
    """A compressed file isn't unpacked, whatever its name; NetCDF 3 needs no C library, NetCDF 4 does."""
    import gzip

    classic, packed = tmp_path / "a.nc", tmp_path / "b.nc.gz"
    classic.write_bytes(netcdf)
    packed.write_bytes(gzip.compress(netcdf))
    assert opened(classic).sizes == results().sizes
    assert engine(classic) == "scipy"
    with pytest.raises(BadInput, match="neither as NetCDF 3 nor as NetCDF 4"):
        opened(packed)
    large = declared(tmp_path, 1 << 12)
    assert engine(large) == "netcdf4"
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(
        BadInput, match=r"needs the netCDF4 package: pip install 'feature-fields\[netcdf\]'"
    ):
        opened(large)


def declared(folder: Path, size: int) -> Path:
    """A small file that declares a large array: chunks that were never written."""
    netCDF4 = pytest.importorskip("netCDF4")
    path = folder / "large.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("layer", size)
        file.createVariable("error", "f8", ("layer",), chunksizes=(1024,), zlib=True)
    return path


def test_netcdf_that_declares_what_no_memory_holds(tmp_path: Path, capsys) -> None:
    path = declared(tmp_path, 1 << 40)
    assert path.stat().st_size < 1 << 20
    assert main(["report", str(path), "--out", str(tmp_path / "out")]) == 2
    assert "more than 4 GiB" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# --- stores -------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """With one task written."""
    made = created(tmp_path)
    task = made.pending()[0]
    made.write(task, *values(made, task))
    return made.path


def changed(store: Path, name: str, **changes) -> None:
    file = store / name / ".zarray"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def both(store: Path, message: str) -> None:
    """Refused when it is read, and when a sweep would go on with it."""
    for read in (read_dataset, SweepStore):
        with pytest.raises(StoreTrouble, match=message):
            read(store)


@pytest.mark.parametrize("changes", [
    {"filters": [{"id": "pickle", "protocol": 5}], "dtype": "|O"},
    {"filters": [{"id": "pickle", "protocol": 5}]},
    {"compressor": {"id": "pickle", "protocol": 5}},
    {"dtype": "|O"},
], ids=["pickled objects", "filter", "compressor", "objects"])  # fmt: skip
def test_codecs_that_run_code_are_refused(store: Path, changes: dict) -> None:
    """Before a chunk is decoded."""
    TRAPS.clear()
    for chunk in (store / "error").iterdir():
        if not chunk.name.startswith("."):
            chunk.write_bytes(pickle.dumps(Trap()))
    changed(store, "error", **changes)
    both(store, "expected")
    assert not TRAPS


def test_codecs_in_consolidated_metadata_are_not_read(store: Path) -> None:
    """A second description of the arrays, which zarr would prefer."""
    metadata = {
        str(f.relative_to(store)): json.loads(f.read_text())
        for f in store.rglob(".z*")
        if f.name in (".zarray", ".zattrs", ".zgroup")
    }
    metadata["status/.zarray"] |= {"filters": [{"id": "pickle", "protocol": 5}]}
    text = {"zarr_consolidated_format": 1, "metadata": metadata}
    (store / ".zmetadata").write_text(json.dumps(text))
    TRAPS.clear()
    assert (SweepStore(store).status() == 1).any()
    assert not TRAPS


@pytest.mark.parametrize("shape", [[-1] * 6, [1.5] * 6, ["1"] * 6])
def test_shapes_that_are_none(store: Path, shape: list) -> None:
    changed(store, "error", shape=shape)
    both(store, "error has shape .* in chunks of")


def test_descriptions_that_no_memory_holds(store: Path) -> None:
    """Megabytes of nothing, before they are parsed."""
    file = store / "error" / ".zarray"
    file.write_text(file.read_text() + " " * LONGEST)
    both(store, "the description of error is too long")


def test_stores_that_declare_what_no_memory_holds(store: Path) -> None:
    changed(store, "error", shape=[1 << 20] * 6, chunks=[1] * 6)
    both(store, "more than 4 GiB")


def test_chunks_that_no_memory_holds(store: Path) -> None:
    changed(store, "error", chunks=[1 << 10] * 6)
    both(store, "more than 4 GiB")


@pytest.mark.parametrize("codec", ["blosc", None])
def test_chunks_that_swell(store: Path, codec: str | None) -> None:
    """A chunk of a few kB from which a hundred MiB would come; or one that is longer than declared."""
    array = json.loads((store / "error" / ".zarray").read_text())
    chunk = next(f for f in (store / "error").iterdir() if not f.name.startswith("."))
    if codec is None:
        changed(store, "error", compressor=None)
        chunk.write_bytes(bytes(1 << 20))
    else:
        blosc = pytest.importorskip("numcodecs").Blosc(
            **{k: v for k, v in array["compressor"].items() if k != "id"}
        )
        chunk.write_bytes(blosc.encode(bytes(100 << 20)))
        assert chunk.stat().st_size < 1 << 20
    both(store, f"chunk .* of error holds {'104857600' if codec else '1048576'} bytes")


def test_links_out_of_a_store(store: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (store / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    both(store, "link to somewhere else")


@pytest.mark.filterwarnings("ignore")
@fuzzed(40)
@hypothesis.given(data=st.data())
def test_damaged_stores(store: Path, data) -> None:
    files = sorted(p for p in store.rglob("*") if p.is_file())
    file = data.draw(st.sampled_from(files))
    content = file.read_bytes()
    before = sorted(store.parent.rglob("*"))
    try:
        file.write_bytes(data.draw(damaged(content)) if content else b"?")
        for read in (read_dataset, SweepStore):
            found, said = outcome(lambda: read(store), StoreTrouble)  # noqa: B023
            assert found is not None or "isn't a sweep's store that can be read" in said
    finally:
        file.write_bytes(content)
    assert sorted(store.parent.rglob("*")) == before, "something was written"
