"""The group of translations, among tested ones, that a property holds for.

Translations under which a map is equivariant form a group: with t and u also t + u and −t. So the tested ones that pass
are compared with the lattice that they generate. Where the lattice has another tested translation, the property was
measured to hold for no group at all, which is said, and never smoothed over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

#: Tested translations are fractions of a spacing with denominators up to this.
MAX_DENOMINATOR = 1024

Vector = tuple[int, ...]


@dataclass(frozen=True)
class Subgroup:
    """Translations that pass, as a group.

    Attributes
    ----------
    name : str
        "all tested real translations", "2Z × 2Z", "only 0", …, in units of the grid's spacing.
    generators : tuple of tuple of Fraction
        A basis of the lattice that the passing translations generate.
    missing : tuple of float or None
        A tested translation that the lattice has and that doesn't pass; None where the passing ones are the lattice.
    """

    name: str
    generators: tuple[tuple[Fraction, ...], ...]
    missing: tuple[float, ...] | None = None

    @property
    def is_subgroup(self) -> bool:
        """Whether the passing translations are exactly the tested ones of a lattice."""
        return self.missing is None

    def __str__(self) -> str:
        return self.name


def subgroup(translations: ArrayLike, passes: ArrayLike) -> Subgroup:
    """Name the group of translations for which a property holds.

    Parameters
    ----------
    translations : array-like, shape (T, d)
        Tested translations in units of the grid's spacing, fractions with a denominator of at most 1024.
    passes : array-like of bool, shape (T,)
        Whether the property holds for each of them.

    Examples
    --------
    >>> t = [[k / 2, 0] for k in range(9)] + [[0, k / 2] for k in range(9)]
    >>> subgroup(t, [sum(v) % 2 == 0 for v in t]).name
    '2Z × 2Z'
    >>> subgroup([[0], [1], [2], [3]], [True, False, True, True]).name
    'no subgroup: 1 is missing'
    """
    tested, unit = _integers(np.asarray(translations, dtype=float))
    held = np.asarray(passes, dtype=bool)
    if held.shape != (len(tested),):
        raise ValueError(f"passes must have shape ({len(tested)},), got {held.shape}")
    basis = _echelon([t for t, ok in zip(tested, held, strict=True) if ok])
    generators = tuple(tuple(Fraction(n) * unit for n in row) for row in basis)
    for t, ok in zip(tested, held, strict=True):
        if not ok and _contains(basis, t):
            missing = [n * unit for n in t]
            return Subgroup(
                f"no subgroup: {_vector(missing)} is missing",
                generators,
                tuple(float(m) for m in missing),
            )
    if bool(held.all()) and unit < 1:
        return Subgroup("all tested real translations", generators)
    return Subgroup(
        _name(generators, [any(axis) for axis in zip(*tested, strict=True)]), generators
    )


def _integers(translations: np.ndarray) -> tuple[list[Vector], Fraction]:
    """The translations as integer multiples of one unit, at most 1."""
    if translations.ndim != 2 or 0 in translations.shape:
        raise ValueError(
            f"translations must have shape (T, d), no size 0, got {translations.shape}"
        )
    if not bool(np.isfinite(translations).all()):
        raise ValueError("translations must be finite")
    fractions = [[Fraction(x).limit_denominator(MAX_DENOMINATOR) for x in t] for t in translations]
    rounded = np.array([[float(x) for x in t] for t in fractions])
    if not np.allclose(rounded, translations, rtol=1e-12, atol=1e-12):
        raise ValueError(
            "translations must be fractions of the grid's spacing with a denominator of at most "
            f"{MAX_DENOMINATOR}, for their group to be told"
        )
    denominator = math.lcm(*(x.denominator for t in fractions for x in t))
    return [tuple(int(x * denominator) for x in t) for t in fractions], Fraction(1, denominator)


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
        return "only 0"
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
