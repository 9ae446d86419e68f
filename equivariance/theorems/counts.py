"""How many parameters sharing saves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from discretize.grid import divides
from equivariance.theorems.intertwiners import periodic
from fields import checks


def parameter_counts(
    shape: Any, c_in: int, c_out: int, kernel: Any, stride: Any = 1, bias: bool = True
) -> xr.Dataset:
    """How many parameters layers between the same feature maps have on a periodic grid.

    Parameters
    ----------
    shape : int or sequence of int
        N1, …, Nd of the input.
    c_in, c_out : int
        Channels.
    kernel : int or sequence of int
        Sides k1, …, kd of the window that an output sees, at most the shape.
    stride : int or sequence of int
        Every how manyth output is kept; it divides the shape.
    bias : bool
        Whether the layers have one.

    Returns
    -------
    Dataset
        `weights`, `biases` and `parameters` of the layers "dense", "locally connected", "convolution". With M = ∏N/s
        outputs: M·c_out·∏N·c_in, M·c_out·∏k·c_in and c_out·∏k·c_in weights; M·c_out, M·c_out and c_out biases.

    Examples
    --------
    >>> from equivariance import parameter_counts
    >>> parameter_counts((32, 32), 3, 16, kernel=3).parameters.values.tolist()
    [50348032, 458752, 448]
    """
    sizes, steps = periodic(shape, stride)
    sides = checks.integers(kernel, len(sizes), "kernel")
    (ins,), (outs,) = checks.integers(c_in, 1, "c_in"), checks.integers(c_out, 1, "c_out")
    divides(steps, sizes, "periodic")
    if any(k > n for k, n in zip(sides, sizes, strict=True)):
        raise ValueError(
            f"a kernel of {sides} folds on a periodic grid of shape {sizes}: take sides up to those"
        )
    places = math.prod(n // s for n, s in zip(sizes, steps, strict=True))
    window = math.prod(sides) * ins * outs
    weights = np.array([places * outs * math.prod(sizes) * ins, places * window, window])
    constants = np.array([places * outs, places * outs, outs]) * bool(bias)
    return xr.Dataset(
        {
            "weights": ("layer", weights),
            "biases": ("layer", constants),
            "parameters": ("layer", weights + constants),
        },
        coords={"layer": ["dense", "locally connected", "convolution"]},
    )
