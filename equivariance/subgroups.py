"""The group of translations, among tested ones, that a property holds for.

Translations under which a map is equivariant form a closed group: with t and u also t + u and −t. So the tested ones
that pass are compared with the lattice that they generate. Where the lattice has another tested translation, the
property was measured to hold for no group at all, which is said, and never smoothed over. Translations that are no
fractions of a spacing, drawn at random, say, are on no lattice: either all that was tested passes, or those that do
are no group.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

#: Translations are fractions of a spacing where they are so near to one with a denominator up to this; the second pair
#: is for what was rounded to float32 on its way, as 1.2 / 0.1 then is.
FRACTIONS = ((1024, 1e-12), (64, 2.0**-22))

#: What holds for all that was tested, some of it between the points of the grid; what holds for 0 alone.
EVERYTHING, NOTHING = "every real translation tested", "none"

Vector = tuple[int, ...]


@dataclass(frozen=True)
class Subgroup:
    """Translations that pass, as a group.

    Attributes
    ----------
    name : str
        "every real translation tested", "2Z × 2Z", "none", "no group: 5 of 12 tested", …, in units of the grid's
        spacing.
    generators : tuple of tuple of Fraction
        A basis of the lattice that the passing translations generate, of those that are fractions.
    missing : tuple of float or None
        A tested translation that the group of the passing ones has, and that doesn't pass; None where there is none.
    """

    name: str
    generators: tuple[tuple[Fraction, ...], ...]
    missing: tuple[float, ...] | None = None

    @property
    def is_subgroup(self) -> bool:
        """Whether the passing translations are exactly the tested ones of a group."""
        return self.missing is None

    def __str__(self) -> str:
        return self.name


def subgroup(translations: ArrayLike, passes: ArrayLike) -> Subgroup:
    """Name the group of translations for which a property holds.

    Parameters
    ----------
    translations : array-like, shape (T, d)
        Tested translations, real, in units of the grid's spacing.
    passes : array-like of bool, shape (T,)
        Whether the property holds for each of them.

    Examples
    --------
    >>> t = [[k / 2, 0] for k in range(9)] + [[0, k / 2] for k in range(9)]
    >>> subgroup(t, [sum(v) % 2 == 0 for v in t]).name
    '2Z × 2Z'
    >>> subgroup([[0], [1], [2], [3]], [True, False, True, True]).name
    'no group: 3 of 4 tested'
    >>> subgroup([[0], [0.7390851], [1.6180339]], [True, True, True]).name
    'every real translation tested'
    """
    tested = _tested(np.asarray(translations, dtype=float))
    held = np.asarray(passes, dtype=bool)
    if held.shape != (len(tested),):
        raise ValueError(f"passes must have shape ({len(tested)},), got {held.shape}")
    rows = [tuple(map(fraction, t)) for t in tested]
    known = [tuple(x for x in row if x is not None) for row in rows]
    real = [len(own) < len(row) for own, row in zip(known, rows, strict=True)]
    unit = Fraction(1, math.lcm(*(x.denominator for own in known for x in own)))
    whole = [tuple(int(x / unit) for x in own) for own in known]
    each = list(zip(whole, real, held.tolist(), strict=True))
    basis = _echelon([v for v, is_real, ok in each if ok and not is_real])
    generators = tuple(tuple(n * unit for n in row) for row in basis)
    if held.all() and (unit < 1 or any(real)):
        return Subgroup(EVERYTHING, generators)
    beyond = any(ok and is_real for _, is_real, ok in each)  # what passes is on no lattice
    for t, (v, is_real, ok) in zip(tested, each, strict=True):
        if not ok and (beyond or (not is_real and _contains(basis, v))):
            name = f"no group: {int(held.sum())} of {len(held)} tested"
            return Subgroup(name, generators, tuple(t))
    return Subgroup(
        _name(generators, [any(axis) for axis in zip(*tested, strict=True)]), generators
    )


def _tested(translations: np.ndarray) -> list[list[float]]:
    if translations.ndim != 2 or 0 in translations.shape:
        raise ValueError(
            f"translations must have shape (T, d), no size 0, got {translations.shape}"
        )
    if not bool(np.isfinite(translations).all()):
        raise ValueError("translations must be finite")
    tested: list[list[float]] = translations.tolist()
    return tested


@functools.lru_cache(1 << 16)  # the same translations are judged for every layer of a sweep
def fraction(x: float) -> Fraction | None:
    """The fraction that a number stands for, None where it is no fraction of `FRACTIONS`."""
    for most, near in FRACTIONS:
        found = Fraction(x).limit_denominator(most)
        if abs(float(found) - x) <= near * max(1.0, abs(x)):
            return found
    return None


def snapped(translations: np.ndarray) -> np.ndarray:
    """Translations with the fractions that they stand for in their places."""
    exact = [x if (f := fraction(x)) is None else float(f) for x in translations.ravel().tolist()]
    return np.reshape(exact, translations.shape)


def _echelon(vectors: Sequence[Vector]) -> list[Vector]:
    """The Hermite normal form of the lattice that integer vectors generate, without its zero rows."""
    rows = [list(v) for v in vectors if any(v)]
    basis: list[list[int]] = []
    for axis in range(len(rows[0]) if rows else 0):
        while sum(1 for row in rows if row[axis]) > 1:  # Euclid's algorithm down the column
            pivot = min((row for row in rows if row[axis]), key=lambda row: abs(row[axis]))
            for row in rows:
                if row is not pivot and row[axis]:
                    _subtract(row, row[axis] // pivot[axis], pivot)
        for pivot in [row for row in rows if row[axis]]:
            if pivot[axis] < 0:
                pivot[:] = [-n for n in pivot]
            for row in basis:
                _subtract(row, row[axis] // pivot[axis], pivot)
            basis.append(pivot)
        rows = [row for row in rows if any(row[axis + 1 :]) and not row[axis]]
    return [tuple(row) for row in basis]


def _subtract(row: list[int], times: int, other: list[int]) -> None:
    row[:] = [a - times * b for a, b in zip(row, other, strict=True)]


def _contains(basis: Sequence[Vector], vector: Vector) -> bool:
    rest = list(vector)
    for row in basis:
        axis = next(i for i, n in enumerate(row) if n)
        _subtract(rest, rest[axis] // row[axis], list(row))
    return not any(rest)


def _name(generators: Sequence[tuple[Fraction, ...]], tested: Sequence[bool]) -> str:
    """The lattice as a product of multiples per axis, or by its generators; "?" for an axis never tested."""
    if not generators:
        return NOTHING
    if any(sum(1 for x in row if x) > 1 for row in generators):
        return f"generated by {' and '.join(_vector(row) for row in generators)}"
    steps = [sum((row[i] for row in generators), Fraction(0)) for i in range(len(tested))]
    return " × ".join(_axis(g) if seen else "?" for g, seen in zip(steps, tested, strict=True))


def _axis(step: Fraction) -> str:
    if step == 0:
        return "{0}"
    if step == 1:
        return "Z"
    return f"{step}Z" if step.denominator == 1 else f"({step})Z"


def _vector(t: Sequence[Fraction]) -> str:
    numbers = ", ".join(map(str, t))
    return numbers if len(t) == 1 else f"({numbers})"
