"""Errors of layers as a labelled dataset, with verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from equivariance.measuring.comparison import Comparison
from equivariance.measuring.findings import judged
from equivariance.measuring.frames import Frame
from equivariance.provenance import provenance


def dataset(
    frames: Mapping[str, Frame],
    t: Tensor,
    seen: Mapping[str, Comparison],
    probed: Mapping[str, Mapping[str, bool]],
    about: Mapping[str, Any],
    dtype: str,
) -> xr.Dataset:
    """All that was measured, and the verdicts on it."""
    names, paddings = list(frames), list(seen)
    error = np.stack([[c.error[n].numpy() for n in names] for c in seen.values()])
    data = xr.Dataset(
        {
            "error": (("padding", "layer", "translation", "input"), error),
            "stride": (("layer", "axis"), np.array([f.stride for f in frames.values()])),
            "bitwise": (
                ("padding", "layer"),
                np.array(
                    [[probed.get(p, {}).get(n, False) for n in names] for p in paddings]
                ).astype("i1"),
            ),
        },
        coords={
            "padding": paddings,
            "layer": names,
            "axis": [f"x{i + 1}" for i in range(t.shape[1])],
            "t": (("translation", "axis"), t.numpy()),
            "kind": ("layer", [f.kind for f in frames.values()]),
            "space": ("layer", [_space(f) for f in frames.values()]),
            "shape": ("layer", [" × ".join(map(str, f.shape)) for f in frames.values()]),
        },
        attrs=provenance(about) | {"dtype": dtype, "inputs": str(about["inputs"])},
    )
    if "as is" in seen:
        interior = np.stack([seen["as is"].interior[n].numpy() for n in names])
        data["interior"] = (("layer", "translation", "input"), interior)
        data["interior"].attrs = {
            "long_name": "relative equivariance error, as is, over points whose receptive fields are free of padding",
            "units": "1",
        }
    data["error"].attrs = {"long_name": "relative equivariance error, L2 norm", "units": "1"}
    data["stride"].attrs = {"long_name": "input pixels per step of the output", "units": "pixel"}
    data["bitwise"].attrs = {
        "long_name": "whether integer-valued inputs, rolled by multiples of the stride, gave the same bits"
    }
    data["t"].attrs = {"long_name": "translation", "units": "pixel"}
    return judged(data)


def _space(frame: Frame) -> str:
    """What a layer's output is to be compared as."""
    if not frame.is_map:
        return "invariant"
    return "periodic" if frame.wraps else "window"
