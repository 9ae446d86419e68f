"""Hostile arguments: what no caller should pass, and what few think of."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from discretize import Grid, Samples
from fields import Ball, Constant, GaussianKernel

#: Numbers at the edges of what floats and integers hold, and beyond.
NUMBERS = (
    *(0, 1, 2, -1, -3, 7, True, 2**31, 2**63, 10**30, -(10**400)),
    *(0.5, -0.5, 2.5, math.nan, math.inf, -math.inf, 1e300, -1e300, 1e-300, 5e-324, 1e30, 1e-30),
)
#: What is no number at all.
STRANGERS = (
    *(None, "", "mean", "a\0b", b"bytes", 1j, object(), ..., {}, set(), {"a": 1}, range(0)),
    *(
        itertools.count(1),
        [],
        (),
        [[]],
        [None],
        ["a"],
        [[1.0, 2.0], [3.0]],
        [[[[[1.0]]]]],
        [10**400],
        [1, "2"],
        (0.5, None),
    ),
)


def arrays() -> list[Any]:
    """Arrays of every kind, on every layout: made anew, since some are written to."""
    return [
        np.float32(2.0),
        np.int8(1),
        np.array(2.0),
        np.array([]),
        np.zeros((0, 2)),
        np.zeros((2, 0, 1)),
        np.array(["a", "b"]),
        np.array([None, 1.0], dtype=object),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.zeros(3, dtype=[("x", "f8")]),
        np.ones((2, 2), dtype=np.longdouble),
        np.ones((2, 2), dtype=">f8"),
        np.ma.masked_array([1.0, 2.0], [True, False]),
        np.ones((2, 2, 2, 2, 2, 2)),
        torch.tensor(1.5),
        torch.tensor([]),
        torch.tensor([1.0, 2.0]),
        torch.tensor([[True, False]]),
        torch.tensor([[1, 2], [3, 4]]),
        torch.tensor([[1 + 2j]]),
        torch.tensor([0.5, 0.5], dtype=torch.float16),
        torch.tensor([0.5, 0.5], dtype=torch.bfloat16),
        torch.ones(2, 2).to_sparse(),
        torch.ones(2, 2, device="meta"),
    ]


def objects() -> list[Any]:
    """Things of this house, in the wrong place, and functions that return what they must not."""
    return [
        Grid(4, 1.0),
        Grid((4, 4, 4), 0.5, boundary="none"),
        Constant([1.0, 2.0, 3.0], dim=3),
        Constant([1.0], dim=1).map(torch.relu),
        Samples(torch.ones(1, 4), Grid(4, 1.0)),
        GaussianKernel(0.5, [[1.0]]),
        GaussianKernel((0.5, 0.5, 0.5), [[1.0, 1.0]]),
        Ball(0.5),
        nn.Linear(3, 2),
        nn.ReLU(),
        nn.Sequential(),
        torch.Generator(),
        torch.float16,
        torch.complex64,
        torch.int32,
        "cuda:99",
        lambda *_: None,
        lambda *_: "text",
        lambda *_: torch.zeros(3),
        lambda x, *_: x.sum() if isinstance(x, Tensor) else x,
        lambda x, *_: x[..., :0] if isinstance(x, Tensor) else x,
        lambda x, *_: x > 0,
        lambda x, *_: x[None],
    ]


#: What can be done to an array that was right: each takes a float64 array with at least one axis.
TWISTS: dict[str, Callable[[np.ndarray], Any]] = {
    "as it is": lambda a: a,
    "read-only": lambda a: _read_only(a),
    "negative strides": lambda a: np.flip(a.copy()),
    "Fortran order": np.asfortranarray,
    "expanded": lambda a: np.broadcast_to(a[..., :1], a.shape),
    "list": lambda a: a.tolist(),
    "float32": lambda a: torch.from_numpy(a.copy()).float(),
    "half": lambda a: torch.from_numpy(a.copy()).half(),
    "bfloat16": lambda a: torch.from_numpy(a.copy()).bfloat16(),
    "integers": lambda a: torch.from_numpy(a.copy()).long(),
    "bool": lambda a: torch.from_numpy(a.copy()) > 0,
    "complex": lambda a: torch.from_numpy(a.copy()) * (1 + 1j),
    "learnt": lambda a: torch.from_numpy(a.copy()).requires_grad_(),
    "computed": lambda a: torch.from_numpy(a.copy()).requires_grad_() * 1,
    "non-contiguous": lambda a: torch.from_numpy(np.repeat(a, 2, axis=-1).copy())[..., ::2],
    "objects": lambda a: a.astype(object),
    "strings": lambda a: a.astype(str),
    "one NaN": lambda a: _first(a, math.nan),
    "one infinity": lambda a: _first(a, math.inf),
    "one huge": lambda a: _first(a, 1e300),
    "one tiny": lambda a: _first(a, 5e-324),
    "huge": lambda a: a * 1e300,
    "large": lambda a: a * 1e30,
    "tiny": lambda a: a * 1e-300,
    "zero": lambda a: 0 * a,
    "negative": lambda a: -np.abs(a),
    "one axis more": lambda a: a[None],
    "one axis fewer": lambda a: a[0],
    "longer": lambda a: np.concatenate([a, a], axis=-1),
    "shorter": lambda a: a[..., :-1],
    "first axis longer": lambda a: np.concatenate([a, a], axis=0),
    "empty": lambda a: a[:0],
    "empty at the end": lambda a: a[..., :0],
    "batched": lambda a: np.stack([a, a]),
    "batched twice": lambda a: np.stack([np.stack([a] * 3)] * 2),
}


def _read_only(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


def _first(a: np.ndarray, value: float) -> np.ndarray:
    a = a.copy()
    a[(0,) * a.ndim] = value
    return a


def as_array(good: Any) -> np.ndarray | None:
    """A valid argument as an array, where it is one."""
    if isinstance(good, bool | int | str) or good is None or callable(good):
        return None
    try:
        array = np.asarray(good.detach() if isinstance(good, Tensor) else good, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return array if array.ndim and array.size else None


def hostile(good: Any) -> st.SearchStrategy[Any]:
    """Arguments in place of a valid one."""
    array = as_array(good)
    others = st.sampled_from(all_others())
    if array is None:
        return others
    return st.one_of(st.sampled_from([twist(array) for twist in TWISTS.values()]), others)


def all_others() -> list[Any]:
    return [*NUMBERS, *STRANGERS, *arrays(), *objects()]
