"""The store of a sweep: whole chunks or none, status last, and clear words when the disk refuses."""

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from equivariance.records import provenance
from equivariance.sweeping.division import DONE, RAISED, box, tasks
from equivariance.sweeping.store import StoreTrouble, SweepStore, read_dataset

LABELS = {"layer": ["b", "a"], "field": ["f"], "stride": [2, 4], "grid": ["g"], "seed": [0]}
T = np.arange(40.0)[:, None]
SIDES = (1, 1, 1, 1, 1, 32)


def created(folder: Path) -> SweepStore:
    return SweepStore.create(folder / "s.zarr", LABELS, T, SIDES, provenance({"norm": "l2"}))


def values(store: SweepStore, task) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shape = tuple(s.stop - s.start for s in box(task, store.shape, store.sides))
    error = np.random.default_rng(sum(task)).random(shape)
    return error, np.zeros(shape, "S400"), np.full(shape, DONE, np.uint8)


def test_what_is_written_is_read(tmp_path) -> None:
    store = created(tmp_path)
    assert store.pending() == list(tasks(store.shape, SIDES))
    expected = np.empty(store.shape)
    for task in store.pending():
        error, message, status = values(store, task)
        store.write(task, error, message, status)
        expected[box(task, store.shape, SIDES)] = error
    assert SweepStore(tmp_path / "s.zarr").pending() == []
    data = read_dataset(tmp_path / "s.zarr")
    assert data["error"].to_numpy().tobytes() == expected.tobytes()
    assert data["layer"].to_numpy().tolist() == ["b", "a"]
    assert data["stride"].to_numpy().tolist() == [2, 4]
    assert np.array_equal(data["t"], T)
    assert (data["message"] == "").all()


def test_any_reader_of_zarr_reads_it(tmp_path) -> None:
    """Without this package: what isn't done is NaN, and the arrays carry their dimensions."""
    store = created(tmp_path)
    store.write((0,) * 6, *values(store, (0,) * 6))
    with xr.open_zarr(
        str(tmp_path / "s.zarr"), zarr_format=2, consolidated=False, chunks=None
    ) as data:
        assert data["error"].dims == ("layer", "field", "stride", "grid", "seed", "translation")
        assert int(data["error"].notnull().sum()) == 32
        assert data["error"].attrs["units"] == "1"
        assert np.array_equal(data["t"], T)  # zeros in it are no missing values
        assert data["seed"].dtype.kind == data["stride"].dtype.kind == "i"


def test_status_comes_last_and_says_what_is_pending(tmp_path, monkeypatch) -> None:
    """A write that ends anywhere leaves its task pending, and the chunks before it whole."""
    store = created(tmp_path)
    first = store.pending()[0]
    order, put = [], zarr.Array.__setitem__

    def stops(array, where, what, after: int) -> None:
        order.append(array.basename)
        if len(order) > after:
            raise KeyboardInterrupt
        put(array, where, what)

    for after in range(3):
        order.clear()
        monkeypatch.setattr(zarr.Array, "__setitem__", lambda *a, n=after: stops(*a, n))
        with pytest.raises(KeyboardInterrupt):
            store.write(first, *values(store, first))
        assert order == ["error", "message", "status"][: after + 1]
        assert first in store.pending()
    monkeypatch.undo()
    store.write(first, *values(store, first))
    assert first not in store.pending()


def test_tasks_to_do_again(tmp_path) -> None:
    store = created(tmp_path)
    for i, task in enumerate(store.pending()):
        error, message, status = values(store, task)
        if i == 2:
            status[..., 3], message[..., 3] = RAISED, "ValueError: é…".encode()
        store.write(task, error, message, status)
    assert store.pending() == []
    assert len(store.pending((RAISED,))) == 1
    texts = read_dataset(tmp_path / "s.zarr")["message"].to_numpy()
    assert texts[texts != ""].tolist() == ["ValueError: é…"]


REFUSALS = {
    errno.ENOSPC: "the disk is full: make room, and the same command goes on",
    errno.EROFS: "it may not be written: mount it for writing or choose another --out",
    errno.EIO: "the same command goes on where it stopped",
}


@pytest.mark.parametrize(("number", "message"), REFUSALS.items(), ids=lambda x: str(x)[:6])
def test_a_disk_that_refuses(tmp_path, monkeypatch, number, message) -> None:
    """Nothing that was there is lost, and no temporary file stays."""
    store = created(tmp_path)
    first, second = store.pending()[:2]
    store.write(first, *values(store, first))
    before = read_dataset(tmp_path / "s.zarr")

    def refuses(*_: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(Path, "replace", refuses)
    with pytest.raises(StoreTrouble, match=message):
        store.write(second, *values(store, second))
    monkeypatch.undo()
    xr.testing.assert_equal(read_dataset(tmp_path / "s.zarr"), before)
    assert second in store.pending()
    assert not list(tmp_path.rglob("*.partial"))


def test_a_store_that_cannot_be_made_leaves_nothing(tmp_path, monkeypatch) -> None:
    def refuses(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.rename", refuses)
    with pytest.raises(StoreTrouble, match="the disk is full"):
        created(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_deleted_or_replaced_meanwhile(tmp_path) -> None:
    """A task finds out before it writes, and makes no torso of a store."""
    store = created(tmp_path)
    first = store.pending()[0]
    shutil.rmtree(tmp_path / "s.zarr")
    with pytest.raises(StoreTrouble, match="was deleted while the sweep ran"):
        store.write(first, *values(store, first))
    assert list(tmp_path.iterdir()) == []
    other = created(tmp_path)
    with pytest.raises(StoreTrouble, match="was replaced by another"):
        store.write(first, *values(store, first))
    assert first in other.pending()


def test_one_sweep_at_a_time(tmp_path) -> None:
    """The second is refused; what a killed one left half-written is cleared."""
    store = created(tmp_path)
    torn = tmp_path / "s.zarr" / "error" / "0.0.0.0.0.1234.partial"
    torn.write_bytes(b"half")
    with store.alone():
        assert not torn.exists()
        with (
            pytest.raises(StoreTrouble, match="another sweep is writing"),
            SweepStore(store.path).alone(),
        ):
            pass
    with store.alone():
        pass


@pytest.mark.parametrize("what", ["nothing", "a folder", "a file", "another store", "a torso"])
def test_what_is_no_store(tmp_path, what) -> None:
    path = tmp_path / "s.zarr"
    if what == "a folder":
        path.mkdir()
    if what == "a file":
        path.write_text("text")
    if what == "another store":
        zarr.open_group(str(path), mode="w", zarr_format=2)
    if what == "a torso":
        created(tmp_path)
        shutil.rmtree(path / "status")
    for read in (SweepStore, read_dataset):
        with pytest.raises(StoreTrouble, match="isn't a sweep's store that can be read"):
            read(path)


def test_the_configuration_is_kept(tmp_path) -> None:
    created(tmp_path)
    store = SweepStore(tmp_path / "s.zarr")
    assert store.record == {"norm": "l2"}
    assert json.loads(store.attributes["configuration"]) == {"norm": "l2"}
