"""Files of results: written whole or not at all, and looked at before any of what they declare is read.

Results are NetCDF files in the classic format, which needs no library beyond scipy, and Zarr stores. Anybody may have
made the ones that are read: a Zarr array names the codecs that its chunks go through, and among those there are some
that run code (pickle); and any file may declare arrays that no memory holds.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from equivariance.bad_input import BadInput

#: How a file begins, and what reads it. C libraries are left out where Python does: damaged files have crashed them.
SIGNATURES = {b"CDF": "scipy", b"\x89HDF\r\n\x1a\n": "netcdf4"}
#: Compressors of chunks that only compress, and say in advance how much comes out: the one that stores are made with.
COMPRESSORS = {None, "blosc"}
#: Bytes of a chunk that say so, in Blosc's header.
BLOSC_SIZE = slice(4, 8)
#: Arrays of results take no more bytes, all together.
MOST_BYTES = 1 << 32
#: A description of an array is no longer, in bytes.
LONGEST = 1 << 20


class OutputFolder:
    """Where an experiment puts its files.

    Parameters
    ----------
    path : path
        Made where it is missing.
    names : tuple of str
        The files that will be written; the first is NetCDF and holds the configuration.

    Raises
    ------
    BadInput
        Where the folder can't be made or written to.
    """

    def __init__(self, path: Path, names: tuple[str, ...]) -> None:
        self.path, self.names = path, names
        probe = self._temporary("writable")
        try:
            path.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise self._refusal(error) from error
        for name in names:
            if (path / name).is_dir():
                raise BadInput(f"can't write {path / name}: there is a folder of that name")

    def refuse_other(self, configuration: Mapping[str, Any]) -> None:
        """Raise BadInput where results of another configuration are in the folder."""
        if not any((self.path / name).exists() for name in self.names):
            return
        stored = stored_configuration(self.path / self.names[0])
        if stored != configuration:
            raise BadInput(
                f"--out {self.path} holds {_difference(stored, configuration)}: "
                "choose another --out, or replace them with --overwrite"
            )

    def write(self, contents: Mapping[str, bytes]) -> tuple[Path, ...]:
        """Write all files under temporary names, and only then give them their own; older ones of the others go."""
        try:
            for name, content in contents.items():
                self._temporary(name).write_bytes(content)
            for name in contents:
                os.replace(self._temporary(name), self.path / name)
            for name in set(self.names) - set(contents):
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._refusal(error) from error
        finally:
            for name in contents:
                with contextlib.suppress(OSError):
                    self._temporary(name).unlink()
        return tuple(self.path / name for name in contents)

    def _temporary(self, name: str) -> Path:
        return self.path / f".{name}.{os.getpid()}.tmp"

    def _refusal(self, error: OSError) -> BadInput:
        return BadInput(f"can't write to --out {self.path}: {error.strerror or error}")


def _difference(stored: Mapping[str, Any] | None, configuration: Mapping[str, Any]) -> str:
    """Whose results are there, in words."""
    if stored is None:
        return "files of the same names whose configuration can't be read"
    keys = sorted(k for k in {*stored, *configuration} if stored.get(k) != configuration.get(k))
    differing = ", ".join(f"{k} {stored.get(k)} and not {configuration.get(k)}" for k in keys)
    return f"results of another configuration ({differing})"


def engine(path: Path) -> str:
    """What xarray should read a file with; ValueError where it begins like no NetCDF file, or that isn't installed."""
    with path.open("rb") as file:
        head = file.read(max(map(len, SIGNATURES)))
    for signature, name in SIGNATURES.items():
        if head.startswith(signature):
            if name == "netcdf4" and importlib.util.find_spec("netCDF4") is None:
                raise ValueError(
                    "NetCDF 4 needs the netCDF4 package: pip install 'feature-fields[netcdf]'"
                )
            return name
    raise ValueError(f"it begins with {head!r}, neither as NetCDF 3 nor as NetCDF 4")


def as_bytes(dataset: xr.Dataset) -> bytes:
    """The dataset as a NetCDF file."""
    encoding = {str(name): {"_FillValue": None} for name in dataset.variables}
    return bytes(dataset.to_netcdf(engine="scipy", format="NETCDF3_64BIT", encoding=encoding))


def stored_configuration(path: Path) -> dict[str, Any] | None:
    """The configuration of the results in a file; None where it can't be read as one of ours."""
    try:
        with xr.open_dataset(path, engine="scipy") as dataset:
            stored = json.loads(dataset.attrs["configuration"])
    except Exception:  # a file of any kind may be there, and scipy raises what it likes
        return None
    return stored if isinstance(stored, dict) else None


def check_store(path: Path) -> None:
    """Raise ValueError where a Zarr store (format 2) has arrays that aren't plain numbers or texts of bounded size."""
    total = 0
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            if (Path(folder) / name).is_symlink():
                raise ValueError(f"{name} is a link to somewhere else")
        if ".zarray" not in files:
            continue
        file = Path(folder) / ".zarray"
        if file.stat().st_size > LONGEST:
            raise ValueError(f"the description of {file.parent.name} is too long")
        array = json.loads(file.read_bytes())
        size, chunk = _declared(array, file.parent.name)
        total += size + chunk
        _check_total(total)
        for name in files:
            if not name.startswith("."):
                _check_chunk(Path(folder) / name, array["compressor"] is not None, chunk)


def check_dataset(data: xr.Dataset) -> None:
    """Raise ValueError where the variables of a file that was opened, but not read, need too much memory."""
    _check_total(sum(int(v.size) * int(v.dtype.itemsize) for v in data.variables.values()))


def _check_total(count: int) -> None:
    if count > MOST_BYTES:
        raise ValueError(
            f"it declares arrays of {count / 2**30:.3g} GiB, more than {MOST_BYTES / 2**30:.0f} GiB"
        )


def _check_chunk(file: Path, compressed: bool, most: int) -> None:
    """Raise where more bytes come out of a chunk than its array declares."""
    size = file.stat().st_size
    if compressed:
        with file.open("rb") as opened:
            size = int.from_bytes(opened.read(BLOSC_SIZE.stop)[BLOSC_SIZE], "little")
    if size > most:
        raise ValueError(f"chunk {file.name} of {file.parent.name} holds {size} bytes, not {most}")


def _declared(array: Any, name: str) -> tuple[int, int]:
    """Bytes that an array needs, and one of its chunks."""
    dtype = np.dtype(array["dtype"])
    if dtype.kind not in "biufSU":
        raise ValueError(f"{name} holds {dtype}, expected numbers or texts")
    compressor, filters = array.get("compressor"), array.get("filters")
    kind = None if compressor is None else compressor["id"]
    if kind not in COMPRESSORS or filters:
        raise ValueError(
            f"{name} is coded by {filters or kind}, expected one of "
            f"{', '.join(sorted(filter(None, COMPRESSORS)))} and no filters"
        )
    sizes = [array["shape"], array["chunks"]]
    if any(type(n) is not int or n < 0 for size in sizes for n in size):
        raise ValueError(f"{name} has shape {sizes[0]} in chunks of {sizes[1]}")
    item = max(1, int(dtype.itemsize))
    whole, chunk = (math.prod(map(int, size)) * item for size in sizes)
    return whole, chunk
