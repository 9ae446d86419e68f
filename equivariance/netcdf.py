"""NetCDF files of labelled results, in the classic format that needs no library beyond scipy."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import xarray as xr

#: How a file begins, and what reads it. C libraries are left out where Python does: damaged files have crashed them.
SIGNATURES = {b"CDF": "scipy", b"\x89HDF\r\n\x1a\n": "netcdf4"}


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
