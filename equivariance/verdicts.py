"""What measured equivariance errors say: which of the tested translations a map commutes with, and how nearly.

One set of words, in measurements, sweeps, reports, experiments and pages alike: the translations that it commutes with,
the worst error there, and the worst elsewhere. They come from the errors alone. Nothing here knows which layer was
measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from equivariance.subgroups import NOTHING, Subgroup, snapped, subgroup
from equivariance.text import number

if TYPE_CHECKING:
    import xarray as xr

#: Relative errors up to this many eps are rounding: 1e-13 in float64, 5.4e-5 in float32.
ROUND_OFF = 450
#: An error of so many times the distance between a translation and the fraction that it stands for is that distance's.
MISPLACED = 8

Kind = Literal["exact", "round-off", "broken", "unknown"]

#: Classes of translations: by multiples of a map's stride, by other whole spacings of the grid, between those.
CLASSES = ("multiples", "others", "between")
#: Steps this near to whole numbers are whole: they come from divisions by spacings.
NEAR = 1e-9

#: The columns of a verdict: what `Verdict.words` says.
COLUMNS = ("commutes with", "error there", "elsewhere")
#: In place of a group: the output depends on nothing that moves; it isn't known which of its axes are those of space.
CONSTANT, NO_LAYOUT = "constant: says nothing", "layout not found"


def refused(why: str) -> str:
    """In place of a group, where nothing was measured: why."""
    return f"refused: {why}"


def tolerance(dtype: str = "float64") -> float:
    """Largest relative error that is rounding, `ROUND_OFF`·eps."""
    return ROUND_OFF * float(np.finfo(dtype).eps)


@dataclass(frozen=True, kw_only=True)
class Group:
    """The tested translations that a map commutes with, and the errors there and elsewhere.

    Attributes
    ----------
    commutes_with : str
        Their set in words: "every real translation tested", a lattice ("Z × Z", "2Z × 2Z", others by a basis), "none",
        "no group: 5 of 12 tested", "invariant under …"; of invariants, constants and what couldn't be compared, that.
    error_there, error_elsewhere : float
        The worst error under these translations, and under all others; NaN where there are none.
    """

    commutes_with: str
    error_there: float
    error_elsewhere: float

    @property
    def words(self) -> tuple[str, str, str]:
        """For a table with the columns `COLUMNS`."""
        return self.commutes_with, number(self.error_there), number(self.error_elsewhere)


@dataclass(frozen=True, kw_only=True)
class Verdict(Group):
    """What the errors of one map over all tested translations amount to.

    Attributes
    ----------
    kind : {"exact", "round-off", "broken", "unknown"}
        *exact* where the error is 0 under all translations that the map commutes with, *round-off* where it is within
        `tolerance`. *broken* is a map that does less than its stride allows: a multiple of the stride is beyond.
        "unknown" where it commutes with none, and no multiple of the stride was tested.
    worst : float
        The largest relative error.
    at : tuple of float
        The first translation where it is reached, in units of the grid's spacing.
    subgroup : Subgroup
        The translations whose error is within the tolerance.
    commutes_with, error_there, error_elsewhere
        As in `Group`.
    """

    kind: Kind
    worst: float
    at: tuple[float, ...]
    subgroup: Subgroup


def verdict(
    translations: ArrayLike,
    errors: ArrayLike,
    dtype: str = "float64",
    stride: ArrayLike | None = 1,
    invariant: bool = False,
) -> Verdict:
    """Judge the errors of one map.

    Parameters
    ----------
    translations : array-like, shape (T, d)
        Real, in units of the grid's spacing. What was rounded to float32 on its way stands for the fraction nearby.
    errors : array-like, shape (T,)
        Relative equivariance errors, finite and not negative.
    dtype : str
        Precision of the computation, which says what counts as rounding.
    stride : float or sequence of float, optional
        Of the map, in spacings: its multiples are what may be asked of it. None where it isn't known.
    invariant : bool
        Whether the output has no space, so that it doesn't move, and stays.

    Examples
    --------
    >>> v = verdict([[0], [1], [2], [3], [4]], [0, 0.1, 0, 0.2, 3e-16], stride=2)
    >>> v.kind, v.commutes_with, v.error_there, v.error_elsewhere
    ('round-off', '2Z', 3e-16, 0.2)
    """
    given, e = np.asarray(translations, dtype=float), np.asarray(errors, dtype=float)
    if given.ndim != 2 or e.shape != given.shape[:1] or 0 in given.shape:
        raise ValueError(
            f"translations (T, d) and errors (T,) must fit, none empty, got {given.shape} and {e.shape}"
        )
    if not bool(np.isfinite(e).all()) or bool((e < 0).any()):
        raise ValueError("errors must be finite and not negative: there is no verdict on them")
    t = snapped(given)
    passes = e <= tolerance(dtype) + MISPLACED * np.abs(t - given).max(1)
    group = subgroup(t, passes)
    words = group.name
    if invariant and group.is_subgroup and words != NOTHING:
        words = f"invariant under {words}"
    where = int(e.argmax())
    at = tuple(float(x) for x in given[where])
    there, elsewhere = largest(e[passes]), largest(e[~passes])
    kind = _kind(t, passes, there, stride)
    return Verdict(
        kind=kind,
        worst=float(e[where]),
        at=at,
        subgroup=group,
        commutes_with=words,
        error_there=there,
        error_elsewhere=elsewhere,
    )


def of_compared(
    translations: np.ndarray,
    errors: np.ndarray,
    dtype: str = "float64",
    stride: ArrayLike | None = None,
    invariant: bool = False,
) -> Verdict | None:
    """As `verdict`, of the translations that have an error, which may be infinite; None where none has."""
    known = ~np.isnan(errors)
    if not known.any():
        return None
    finite = np.minimum(errors[known], np.finfo(float).max)
    return verdict(translations[known], finite, dtype, stride, invariant)


def _kind(t: np.ndarray, passes: np.ndarray, there: float, stride: ArrayLike | None) -> Kind:
    at_zero = (t == 0).all(1)
    asked = at_zero if stride is None else classes(t, stride)[0]
    if bool((asked & ~passes).any()):
        return "broken"
    if not bool((passes & ~at_zero).any()):
        return "unknown"
    return "exact" if there == 0 else "round-off"


def largest(errors: np.ndarray) -> float:
    """The largest of some errors that is a number; NaN where there is none."""
    worst = float(np.fmax.reduce(errors, axis=None, initial=math.nan))
    return (
        math.nan if math.isnan(worst) else worst
    )  # that one, which is itself, so that verdicts compare


def classes(t: np.ndarray, stride: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which translations are in each of `CLASSES`, three masks (T,).

    Parameters
    ----------
    t : array, shape (T, d)
        In spacings of the grid.
    stride : float or array, shape (d,)
        In spacings; below one it counts as one.
    """
    t = snapped(t)
    steps = t / np.maximum(1.0, stride)
    whole = (np.abs(t - t.round()) < NEAR).all(1)
    multiple = whole & (np.abs(steps - steps.round()) < NEAR).all(1)
    return multiple, whole & ~multiple, ~whole


def worst_by_class(
    t: np.ndarray, errors: np.ndarray, stride: ArrayLike
) -> tuple[float, float, float]:
    """The largest error in each of `CLASSES`; NaN where none was tested."""
    multiples, others, between = (largest(errors[mask]) for mask in classes(t, stride))
    return multiples, others, between


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
    sweep: xr.Dataset, stride: int, spacing: float = 1.0, dtype: str | None = None
) -> list[Row]:
    """Verdicts on every layer, field and grid of a sweep.

    Parameters
    ----------
    sweep : Dataset
        As `equivariance.sweep` gives it.
    stride : int
        Of the layers, in grid spacings: which multiples to tell apart, and to ask for.
    spacing : float
        Length of a grid spacing.
    dtype : str, optional
        Precision of the computation; that which the sweep names, float64 where it names none, unless given.
    """
    import xarray as xr

    from fields import arguments, checks  # torch, which a listing of experiments does without

    if not isinstance(sweep, xr.Dataset) or not {"t", "error"} <= {*sweep.variables}:
        raise TypeError("sweep must be a Dataset as equivariance.sweep gives it, with t and error")
    (stride,) = checks.integers(stride, 1, "stride")
    (spacing,) = checks.positive(spacing, 1, "spacing")
    dtype = sweep.attrs.get("dtype", "float64") if dtype is None else dtype
    arguments.choice(dtype, "dtype", ("float32", "float64"))
    t = sweep["t"].transpose("translation", "axis").to_numpy() / spacing
    rows = []
    for layer, field, grid in _labels(sweep):
        cell = sweep["error"].sel(layer=layer, field=field, grid=grid)
        errors = cell.transpose("translation").to_numpy()
        found, by_class = verdict(t, errors, dtype, stride), worst_by_class(t, errors, stride)
        rows.append(Row(layer, field, grid, found, by_class))
    return rows


def _labels(sweep: xr.Dataset) -> Iterator[tuple[str, str, str]]:
    for field in sweep["field"].to_numpy():
        for layer in sweep["layer"].to_numpy():
            for grid in sweep["grid"].to_numpy():
                yield str(layer), str(field), str(grid)
