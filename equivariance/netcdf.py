"""NetCDF files of labelled results, in the classic format that needs no library beyond scipy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import xarray as xr


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
