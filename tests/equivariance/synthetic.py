"""A sweep whose errors are made up: what verdicts and pictures have to say of it is known."""

import numpy as np
import xarray as xr


def synthetic(stride: int = 2, steps: int = 4) -> xr.Dataset:
    """Layers "fine" and "strided" on two fields; continuous errors are 0, those on the grid 2e-16 or large."""
    x = np.arange(2 * stride * steps + 1) / steps
    zero = np.zeros_like(x)
    t = np.concatenate([np.stack(p, 1) for p in [(x, zero), (zero, x), (x, x)]])
    whole = (t % 1 == 0).all(1)
    multiple = (t % stride == 0).all(1)
    fine = np.where(whole, 2e-16, 0.125)
    strided = np.where(multiple, 2e-16, np.where(whole, 0.5, 0.25))
    errors = np.zeros((2, 2, 2, len(t)))
    errors[0, :, 1], errors[1, :, 1] = fine, strided
    return xr.Dataset(
        {"error": (("layer", "field", "grid", "translation"), errors)},
        coords={
            "layer": ["fine", "strided"],
            "field": ["photograph", "random"],
            "grid": ["continuous", "grid"],
            "axis": ["x1", "x2"],
            "t": (("translation", "axis"), t),
        },
    )
