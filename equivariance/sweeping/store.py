"""A sweep's results on disk: a Zarr store (format 2) in which every task is one chunk.

    error     float64, the cells' relative errors, NaN where there is none
    message   bytes (UTF-8), why: what a cell raised
    status    uint8, written after both: 0 not done, 1 done, 2 raised, 3 the error is NaN or infinite

A chunk is written to a temporary file that takes its place at once, so that a killed process leaves chunks whole or
absent, and a task whose status is absent is computed again, to the same bits. The store itself is made beside its place
and moved there when it is complete.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from filelock import FileLock, Timeout

from equivariance.bad_input import BadInput
from equivariance.records import as_json
from equivariance.results import check_store
from equivariance.sweeping.division import (
    AXES,
    MEANINGS,
    MESSAGE,
    Index,
    box,
    tasks,
)

#: What the system says where nothing more fits, and where nothing may be written.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}


class StoreTrouble(BadInput):
    """The store can't be read or written; what was written before is kept."""


class SweepStore:
    """The store of a sweep.

    Parameters
    ----------
    path : path
        Of a store that `create` made.

    Raises
    ------
    StoreTrouble
        Where there is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            check_store(path)
            self._group = zarr.open_group(
                str(path), mode="r+", zarr_format=2, use_consolidated=False
            )
            self.record: dict[str, Any] = json.loads(str(self._group.attrs["configuration"]))
            self.identity = str(self._group.attrs["identity"])
            self.attributes = {k: str(v) for k, v in self._group.attrs.items()}
            self._arrays = {n: self._array(n) for n in ("error", "message", "status")}
        except Exception as error:  # anything may lie there, and zarr raises what it likes
            raise StoreTrouble(f"{path} isn't a sweep's store that can be read: {error}") from error
        self.shape: tuple[int, ...] = self._arrays["status"].shape
        self.sides: tuple[int, ...] = self._arrays["status"].chunks

    def _array(self, name: str) -> zarr.Array[Any]:
        array = self._group[name]
        assert isinstance(array, zarr.Array), f"{name} is a group"
        return array

    @classmethod
    def create(
        cls,
        path: Path,
        labels: Mapping[str, Sequence[Any]],
        t: np.ndarray,
        sides: Sequence[int],
        attributes: Mapping[str, str],
    ) -> SweepStore:
        """Make an empty store, whole or not at all.

        Parameters
        ----------
        path : path
            Where nothing lies.
        labels : dict
            Along each of `AXES` but the last.
        t : array, shape (T, d)
            Translations.
        sides : sequence of int
            Cells of a task along each axis.
        attributes : dict
            Provenance; its "configuration" is what a later run must have, too.
        """
        beside = path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                _make(beside, labels, t, sides, attributes)
                os.rename(beside, path)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
        return cls(path)

    def pending(self, redo: Sequence[int] = ()) -> list[Index]:
        """The tasks that aren't done, in order; those with a cell of a status in `redo` aren't either."""
        status = self.status()
        open_ = (0, *redo)
        return [
            task
            for task in tasks(self.shape, self.sides)
            if np.isin(status[box(task, self.shape, self.sides)], open_).any()
        ]

    def size(self, task: Index) -> int:
        """How many cells a task has."""
        return math.prod(s.stop - s.start for s in box(task, self.shape, self.sides))

    def status(self) -> np.ndarray:
        """The status of all cells."""
        with explained(self.path):
            return np.asarray(self._arrays["status"][...])

    def write(
        self, task: Index, error: np.ndarray, message: np.ndarray, status: np.ndarray
    ) -> None:
        """Store a task's cells, their status last.

        Raises
        ------
        StoreTrouble
            Where the disk is full, the store may not be written, or isn't the one that was opened.
        """
        cells = box(task, self.shape, self.sides)
        with explained(self.path):
            for name, values in (("error", error), ("message", message), ("status", status)):
                self.require()
                self._arrays[name][cells] = values

    def require(self) -> None:
        """Raise where another store, or none, has come to lie at the path."""
        try:
            found = json.loads((self.path / ".zattrs").read_text())["identity"]
        except FileNotFoundError:
            found = None
        if found != self.identity:
            what = "was deleted" if found is None else "was replaced by another"
            raise StoreTrouble(f"{self.path} {what} while the sweep ran: start it again")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the store against a second sweep, and clear what a killed one left half-written.

        The lock is the system's own, and goes with the process however that ends. Its file lies in an array's folder:
        in the group's, Zarr warns of it.
        """
        with contextlib.ExitStack() as stack:
            with explained(self.path):
                try:
                    stack.enter_context(FileLock(self.path / "status" / ".lock", blocking=False))
                except Timeout as error:
                    raise StoreTrouble(f"another sweep is writing to {self.path}") from error
                self._clear()
            yield

    def _clear(self) -> None:
        for name in self._arrays:
            for file in (self.path / name).glob("*.partial"):
                file.unlink(missing_ok=True)


def read_dataset(path: Path) -> xr.Dataset:
    """A store as a dataset in memory: `error`, `status` and `message` (text) by `AXES`, and the translations `t`."""
    try:
        check_store(path)
        with xr.open_zarr(
            str(path), zarr_format=2, consolidated=False, chunks=None, mask_and_scale=False
        ) as data:
            found: xr.Dataset = data.load()
        if missing := {"error", "message", "status", "t"} - set(found):
            raise KeyError(f"there is no {', '.join(sorted(missing))}")
        text = np.char.decode(found["message"].to_numpy().astype("S"), "utf-8", "replace")
        return found.assign(message=(AXES, text, found["message"].attrs))
    except Exception as error:
        raise StoreTrouble(f"{path} isn't a sweep's store that can be read: {error}") from error


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Say what to do where the system refuses to read or write."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno in FULL:
            what = "the disk is full: make room, and the same command goes on where it stopped"
        elif error.errno in FORBIDDEN:
            what = "it may not be written: mount it for writing or choose another --out"
        else:
            what = "the same command goes on where it stopped"
        raise StoreTrouble(f"can't write to {path} ({why}); {what}") from error


def _make(
    path: Path,
    labels: Mapping[str, Sequence[Any]],
    t: np.ndarray,
    sides: Sequence[int],
    attributes: Mapping[str, str],
) -> None:
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    group.attrs.update({**attributes, "identity": uuid.uuid4().hex})
    shape = (*map(len, labels.values()), len(t))

    def cells(name: str, dtype: str, fill: Any, **about: str) -> None:
        group.create_array(
            name,
            shape=shape,
            chunks=tuple(sides),
            dtype=dtype,
            fill_value=fill,
            attributes={"_ARRAY_DIMENSIONS": list(AXES), **about},
        )

    norm = json.loads(attributes["configuration"]).get("norm", "")
    about = f"relative equivariance error, {norm} norm"
    cells("error", "<f8", np.nan, long_name=about, units="1")
    cells("message", f"S{MESSAGE}", b"", long_name="why there is no error")
    cells("status", "|u1", 0, long_name="status of the cell", flag_meanings=MEANINGS)

    def coordinate(name: str, values: np.ndarray, dims: Sequence[str], **about: str) -> None:
        array = group.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            fill_value=None,  # any other is a missing value to xarray: 0 would be read as NaN
            attributes={"_ARRAY_DIMENSIONS": list(dims), **about},
        )
        array[...] = values

    for name, values in labels.items():
        coordinate(name, np.asarray(values), (name,))
    coordinate("axis", np.asarray([f"x{i + 1}" for i in range(t.shape[1])]), ("axis",))
    units = "length units of the fields"
    coordinate("t", t, ("translation", "axis"), long_name="translation", units=units)


def same(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether two records are equal as JSON."""
    return as_json(stored) == as_json(wanted)
