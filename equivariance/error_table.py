"""Sweeps: the equivariance error over layers × fields × grids × translations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr
from tqdm import tqdm

from discretize import Grid
from equivariance.error import Layer, equivariance_error
from equivariance.records import provenance
from equivariance.verdicts import of_compared, refused
from fields import Field
from fields.checks import translation

#: Translations that are measured at once, as one batch.
CHUNK = 16


def sweep(
    layers: Mapping[str, Layer],
    fields: Mapping[str, Field],
    translations: Any,
    grids: Mapping[str, Grid | None],
    points: Any | None = None,
    norm: str = "l2",
    rtol: float = 1e-4,
    seed: int | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Measure every layer on every field, sampled on every grid, under every translation.

    Parameters
    ----------
    layers, fields, grids : dict
        By name. A grid None stands for the continuous layer, measured at `points`.
    translations : Tensor, shape (T, d)
        Real, in length units.
    points : Tensor, shape (*points, d), optional
        Where continuous outputs are compared.
    norm, rtol
        As for `equivariance_error`.
    seed : int, optional
        Recorded in the provenance: whatever the caller made the layers, fields and points with.
    progress : bool
        Show a bar on stderr, where that is a terminal.

    Returns
    -------
    xarray.Dataset
        `error` (layer, field, grid, translation), relative; `commutes_with` (layer, field, grid), the set of the tested
        translations without an error, in words and in spacings of the grid (in length units for continuous layers), and
        the worst `error_there` and `error_elsewhere`; coordinate `t` (translation, axis) in length units; provenance in
        the attributes.

    Examples
    --------
    >>> from discretize import Grid, Stride
    >>> from equivariance import sweep
    >>> from fields import random_bandlimited
    >>> F = random_bandlimited(1, 1, bandlimit=0.4, period=16.0, seed=0)
    >>> data = sweep({"stride 2": Stride(2)}, {"noise": F}, [[1.0], [2.0]], {"16": Grid(16, 1.0)})
    >>> (data.error.squeeze() > 1e-3).values.tolist(), data.commutes_with.item()
    ([True, False], '2Z')
    """
    t = _translations(layers, fields, grids, translations)
    errors = np.empty((len(layers), len(fields), len(grids), len(t)))
    words = np.empty((*errors.shape[:3], 3), dtype=object)
    dtypes = set[str]()
    cells = [
        (i, j, k) for i in range(len(layers)) for j in range(len(fields)) for k in range(len(grids))
    ]
    names = list(layers), list(fields), list(grids)
    for i, j, k in tqdm(cells, desc="sweep", unit="cell", disable=None if progress else True):
        layer, field, grid = layers[names[0][i]], fields[names[1][j]], grids[names[2][k]]
        where = points if grid is None else None
        with torch.no_grad():
            parts = [
                equivariance_error(layer, field, part, grid, where, norm, rtol).expand(len(part))
                for part in t.split(CHUNK)
            ]
        errors[i, j, k] = torch.cat([p.double().cpu() for p in parts]).numpy()
        dtype = "float64" if parts[0].dtype == torch.float64 else "float32"
        dtypes.add(dtype)
        spacing = 1.0 if grid is None else np.asarray(grid.spacing)
        found = of_compared(t.numpy() / spacing, errors[i, j, k], dtype)
        words[i, j, k] = (
            (refused("the error is no number"), math.nan, math.nan)
            if found is None
            else (found.commutes_with, found.error_there, found.error_elsewhere)
        )
    data = _dataset(errors, words, names, t.numpy(), norm, seed)
    return data.assign_attrs(dtype=dtypes.pop()) if len(dtypes) == 1 else data


def _translations(
    layers: Mapping[str, Layer],
    fields: Mapping[str, Field],
    grids: Mapping[str, Grid | None],
    translations: Any,
) -> torch.Tensor:
    """The translations (T, d), once it is checked that all fits together."""
    _named(layers, "layers")
    _named(fields, "fields")
    _named(grids, "grids")
    for name, field in fields.items():
        if not isinstance(field, Field):
            raise TypeError(f"fields must be Fields, {name!r} is a {type(field).__name__}")
    dim = next(iter(fields.values())).dim
    t = translation(translations, dim).reshape(-1, dim)
    for name, field in fields.items():
        if field.dim != dim or field.batch:
            raise ValueError(
                f"the fields of a sweep share d and have no batch: {name!r} is on R^{field.dim}, batch {field.batch}"
            )
    return t


def _named(items: Mapping[str, Any], what: str) -> None:
    if not isinstance(items, Mapping) or not items or not all(isinstance(n, str) for n in items):
        raise ValueError(f"{what} must be a dict from names to {what}, at least one")


def _dataset(
    errors: np.ndarray[Any, Any],
    words: np.ndarray[Any, Any],
    names: tuple[list[str], list[str], list[str]],
    t: np.ndarray[Any, Any],
    norm: str,
    seed: int | None,
) -> xr.Dataset:
    configuration = {
        "layers": names[0],
        "fields": names[1],
        "grids": names[2],
        "norm": norm,
        "seed": seed,
    }
    dims = ("layer", "field", "grid")
    data = xr.Dataset(
        {
            "error": ((*dims, "translation"), errors),
            "commutes_with": (dims, words[..., 0].astype(str)),
            "error_there": (dims, words[..., 1].astype(float)),
            "error_elsewhere": (dims, words[..., 2].astype(float)),
        },
        coords={
            "layer": names[0],
            "field": names[1],
            "grid": names[2],
            "axis": [f"x{i + 1}" for i in range(t.shape[1])],
            "t": (("translation", "axis"), t),
        },
        attrs=provenance(configuration),
    )
    data["error"].attrs = {
        "long_name": f"relative equivariance error, {norm} norm",
        "units": "1",
    }
    data["commutes_with"].attrs = {"long_name": "translations with round-off error, in words"}
    data["error_there"].attrs = {
        "long_name": "worst relative error under these translations",
        "units": "1",
    }
    data["error_elsewhere"].attrs = {"long_name": "worst relative error elsewhere", "units": "1"}
    data["t"].attrs = {"long_name": "translation", "units": "length units of the fields"}
    return data
