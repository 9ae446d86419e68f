"""What measured equivariance errors say: exact, round-off or broken, and under which translations.

Verdicts come from the errors alone. Nothing here knows which layer was measured, or what was expected of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from equivariance.subgroup import Subgroup, subgroup

if TYPE_CHECKING:
    import xarray as xr

#: Relative errors up to this many eps are rounding: 1e-13 in float64, 5.4e-5 in float32.
ROUND_OFF = 450

Kind = Literal["exact", "round-off", "broken"]

#: Classes of translations: by multiples of a map's stride, by other whole spacings of the grid, between those.
CLASSES = ("multiples", "others", "between")
#: Steps this near to whole numbers are whole: they come from divisions by spacings.
NEAR = 1e-9


def tolerance(dtype: str = "float64") -> float:
    """Largest relative error that is rounding, `ROUND_OFF`·eps."""
    return ROUND_OFF * float(np.finfo(dtype).eps)


@dataclass(frozen=True)
class Verdict:
    """What the errors of one map over all tested translations amount to.

    Attributes
    ----------
    kind : {"exact", "round-off", "broken"}
        Whether the worst error is 0, within `tolerance`, or beyond it.
    worst : float
        The largest relative error.
    at : tuple of float
        The first translation where it is reached, in units of the grid's spacing.
    subgroup : Subgroup
        The translations whose error is within the tolerance.
    """

    kind: Kind
    worst: float
    at: tuple[float, ...]
    subgroup: Subgroup


def verdict(translations: ArrayLike, errors: ArrayLike, dtype: str = "float64") -> Verdict:
    """Judge the errors of one map.

    Parameters
    ----------
    translations : array-like, shape (T, d)
        In units of the grid's spacing.
    errors : array-like, shape (T,)
        Relative equivariance errors, finite and not negative.
    dtype : str
        Precision of the computation, which says what counts as rounding.

    Examples
    --------
    >>> v = verdict([[0], [1], [2], [3], [4]], [0, 0.1, 0, 0.2, 3e-16])
    >>> v.kind, v.worst, v.at, v.subgroup.name
    ('broken', 0.2, (3.0,), '2Z')
    """
    t, e = np.asarray(translations, dtype=float), np.asarray(errors, dtype=float)
    if t.ndim != 2 or e.shape != t.shape[:1] or 0 in t.shape:
        raise ValueError(
            f"translations (T, d) and errors (T,) must fit, none empty, got {t.shape} and {e.shape}"
        )
    if not bool(np.isfinite(e).all()) or bool((e < 0).any()):
        raise ValueError("errors must be finite and not negative: there is no verdict on them")
    where = int(e.argmax())
    worst, limit = float(e[where]), tolerance(dtype)
    at = tuple(float(x) for x in t[where])
    return Verdict(kind_of(worst, limit), worst, at, subgroup(t, e <= limit))


def kind_of(worst: float, limit: float) -> Kind:
    """What the largest of some errors amounts to, where those up to `limit` are rounding."""
    return "exact" if worst == 0 else "round-off" if worst <= limit else "broken"


def classes(t: np.ndarray, stride: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which translations are in each of `CLASSES`, three masks (T,).

    Parameters
    ----------
    t : array, shape (T, d)
        In spacings of the grid.
    stride : float or array, shape (d,)
        In spacings; below one it counts as one.
    """
    steps = t / np.maximum(1.0, stride)
    whole = (np.abs(t - t.round()) < NEAR).all(1)
    multiple = whole & (np.abs(steps - steps.round()) < NEAR).all(1)
    return multiple, whole & ~multiple, ~whole


@dataclass(frozen=True)
class Row:
    """One map of a sweep with its verdict.

    Attributes
    ----------
    layer, field, grid : str
        Its labels in the sweep.
    verdict : Verdict
    classes : tuple of float
        Worst errors at multiples of the stride, at other integers, and between pixels; NaN where none was tested.
    """

    layer: str
    field: str
    grid: str
    verdict: Verdict
    classes: tuple[float, float, float]


def judge(
    sweep: xr.Dataset, stride: int, spacing: float = 1.0, dtype: str = "float64"
) -> list[Row]:
    """Verdicts on every layer, field and grid of a sweep.

    Parameters
    ----------
    sweep : Dataset
        As `equivariance.sweep` gives it.
    stride : int
        Which multiples to tell apart, in grid spacings.
    spacing : float
        Length of a grid spacing.
    dtype : str
        Precision of the computation.
    """
    import xarray as xr

    from fields import arguments, checks  # torch, which a listing of experiments does without

    if not isinstance(sweep, xr.Dataset) or not {"t", "error"} <= {*sweep.variables}:
        raise TypeError("sweep must be a Dataset as equivariance.sweep gives it, with t and error")
    (stride,) = checks.integers(stride, 1, "stride")
    (spacing,) = checks.positive(spacing, 1, "spacing")
    arguments.choice(dtype, "dtype", ("float32", "float64"))
    t = sweep["t"].transpose("translation", "axis").to_numpy() / spacing
    masks = classes(t, stride)
    rows = []
    for layer, field, grid in _labels(sweep):
        cell = sweep["error"].sel(layer=layer, field=field, grid=grid)
        errors = cell.transpose("translation").to_numpy()
        worst = [float(errors[c].max()) if c.any() else math.nan for c in masks]
        row = Row(layer, field, grid, verdict(t, errors, dtype), (worst[0], worst[1], worst[2]))
        rows.append(row)
    return rows


def _labels(sweep: xr.Dataset) -> Iterator[tuple[str, str, str]]:
    for field in sweep["field"].to_numpy():
        for layer in sweep["layer"].to_numpy():
            for grid in sweep["grid"].to_numpy():
                yield str(layer), str(field), str(grid)
