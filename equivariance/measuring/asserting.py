"""`assert_equivariant`: a measurement for test suites, that passes or says where it fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from torch import nn

from equivariance.measuring.layer_errors import measure
from equivariance.measuring.measured import own_outputs, told
from equivariance.text import number, vector
from equivariance.verdicts import CONSTANT, NO_LAYOUT, classes
from equivariance.verdicts import tolerance as round_off
from fields import checks

#: Where outputs are compared.
COMPARED = "maps are compared between their samples on a period only, and where they have more than 2 samples per axis"


def assert_equivariant(
    module: nn.Module,
    inputs: Any = None,
    translations: Any = None,
    *,
    tolerance: float | None = None,
    layers: Any = "output",
    padding: Any = "as is",
    **options: Any,
) -> xr.Dataset:
    """Raise AssertionError unless a model commutes with all these translations.

    Parameters
    ----------
    module, inputs, layers, padding, **options
        As for `measure`.
    translations : array-like, shape (T, d), optional
        In pixels. Unless given, those that `measure` chooses and that are multiples of each layer's stride.
    tolerance : float, optional
        Largest relative error: 450 eps of the dtype unless given.

    Returns
    -------
    xarray.Dataset
        Of `measure`.

    Raises
    ------
    AssertionError
        Naming the first layer that breaks, the translation, the error, and the translations that it does commute with.
    ValueError
        Where nothing could be compared, so that there is nothing to assert; where translations are given, and the
        output wasn't compared under one of them.

    Examples
    --------
    >>> import torch
    >>> from equivariance import assert_equivariant
    >>> conv = torch.nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
    >>> data = assert_equivariant(conv, size=(16, 16))
    >>> assert_equivariant(torch.nn.MaxPool2d(2), translations=[[1.0, 0.0]], size=(16, 16))
    Traceback (most recent call last):
    AssertionError: output (MaxPool2d, stride 2) isn't equivariant: ...
    """
    if tolerance is not None:
        (tolerance,) = checks.per_axis(tolerance, 1, "tolerance")
        if tolerance < 0:
            raise ValueError(f"tolerance must be a finite number, at least 0, got {tolerance}")
    data = measure(module, inputs, translations, layers=layers, padding=padding, **options)
    limit = round_off(data.attrs["dtype"]) if tolerance is None else tolerance
    if unjudged := not_judged(data):
        raise ValueError(f"nothing is asserted: {unjudged}")
    found = exceeding(data, limit, own=translations is None)
    if found is not None:
        raise AssertionError(found)
    left_out = ~under_which(data)
    if translations is not None and left_out.any():
        t = data["t"].transpose("translation", "axis").to_numpy()[left_out][0]
        raise ValueError(
            f"the output couldn't be compared under the translation by {vector(t.tolist())} pixels, so nothing is "
            f"asserted of it; {COMPARED}"
        )
    return data


def under_which(data: xr.Dataset) -> np.ndarray:
    """The translations under which all of the model's own outputs were compared, (T,)."""
    error = own_outputs(data)["error"].transpose("translation", "layer", ...).to_numpy()
    known: np.ndarray = ~np.isnan(error.reshape(*error.shape[:2], -1)).all(2).any(1)
    return known


def not_judged(data: xr.Dataset) -> str:
    """What keeps one of the model's own outputs from being judged: no layout, or nothing that varies; or ""."""
    own = own_outputs(data)
    choose = "" if own.sizes["layer"] == 1 else ", or choose another by output="
    for layer in own["layer"].to_numpy():
        for padding in own["padding"].to_numpy():
            said = str(own["commutes_with"].sel(layer=layer, padding=padding).item())
            if said == NO_LAYOUT:
                return f"of {layer} the {said}: give tokens={{{layer!r}: sizes or None}}{choose}"
            if said == CONSTANT:
                return f"{layer} is {said} (it doesn't depend on the input){choose}"
    return ""


def exceeding(data: xr.Dataset, limit: float, own: bool = True) -> str | None:
    """What is to be said of the first layer with an error above a limit; None where there is none.

    Parameters
    ----------
    limit : float
    own : bool
        Look at multiples of each layer's stride only.
    """
    t = data["t"].transpose("translation", "axis").to_numpy()
    unseen = [str(n) for n in own_outputs(data)["layer"].to_numpy()]
    for j in range(data.sizes["layer"]):
        stride = data["stride"].isel(layer=j).to_numpy()
        looked = classes(t, stride)[0] if own else np.ones(len(t), bool)
        for padding in data["padding"].to_numpy():
            cell = told(data.sel(padding=padding).isel(layer=j))
            errors = cell["error"].transpose("translation", "input").to_numpy()[looked]
            if (~np.isnan(errors)).any() and cell["layer"].item() in unseen:
                unseen.remove(cell["layer"].item())
            worst = np.nan_to_num(errors, nan=-1.0)
            if worst.size and worst.max() > limit:
                k, i = np.unravel_index(worst.argmax(), worst.shape)
                return _said(cell, t[looked][k], int(i), float(worst[k, i]), limit)
    if unseen:
        raise ValueError(
            f"{', '.join(unseen)} couldn't be compared under these translations, so nothing is asserted; {COMPARED}"
        )
    return None


def _said(cell: xr.Dataset, t: np.ndarray, which: int, error: float, limit: float) -> str:
    stride = " × ".join(dict.fromkeys(f"{s:g}" for s in cell["stride"].to_numpy()))
    padded = "" if cell["padding"].item() == "as is" else " with circular padding"
    return (
        f"{cell['layer'].item()} ({cell['kind'].item()}, stride {stride}) isn't equivariant{padded}: relative error "
        f"{number(error)} > {limit:.1e} for the translation by {vector(t.tolist())} pixels, input {which}; "
        f"of those tested it commutes with: {cell['commutes_with'].item()}"
    )
