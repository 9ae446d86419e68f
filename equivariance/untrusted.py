"""Files of results that anybody may have made: what they declare is looked at before any of it is read.

A Zarr array names the codecs that its chunks go through, and among those there are some that run code (pickle); and
any file may declare arrays that no memory holds.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

#: Compressors of chunks that only compress, and say in advance how much comes out: the one that stores are made with.
COMPRESSORS = {None, "blosc"}
#: Bytes of a chunk that say so, in Blosc's header.
BLOSC_SIZE = slice(4, 8)
#: Arrays of results take no more bytes, all together.
MOST_BYTES = 1 << 32
#: A description of an array is no longer, in bytes.
LONGEST = 1 << 20


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
