"""Which cases of a test run: all of them, enough that every value of every parameter is tried, or one.

The choice is a rule, not a list: a new test runs in any case, and a new value of a parameter unless one case must do.
Where cases are fewer than all, different tests pair the same values differently: a field that one law tries in one
dimension is tried by the next in two.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

import pytest

#: What `--cases` takes.
CHOICES = ("all", "each", "one")
#: Marks a test whose cases take different ways each, all of which run always.
ALWAYS = "every_case"

#: A parameter with its value.
Value = tuple[str, Hashable]


def values(item: pytest.Item) -> frozenset[Value]:
    """The parameters of a case with their values; those of a test without parameters are none."""
    spec = getattr(item, "callspec", None)
    return (
        frozenset((name, _key(value)) for name, value in spec.params.items())
        if spec
        else frozenset()
    )


def _key(value: Any) -> Hashable:
    """Equal for values that are one: what can't be told apart by a hash is told apart by where it is kept."""
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


def covering(name: str, cases: Sequence[frozenset[Value]]) -> list[int]:
    """Numbers of cases that hold every value at least once: always one with most of those that are left.

    Of several the one whose values were tried least; then the next after a place that depends on the test's name.
    """
    start, left = zlib.crc32(name.encode()) % len(cases), set().union(*cases)
    order = [*range(start, len(cases)), *range(start)]
    tried: Counter[Value] = Counter()
    chosen = []
    while left:
        best = max(order, key=lambda k: (len(cases[k] & left), -sum(tried[v] for v in cases[k])))
        chosen.append(best)
        tried.update(cases[best])
        left -= cases[best]
    return sorted(chosen) or [0]


def kept(items: Sequence[pytest.Item], choice: str) -> list[pytest.Item]:
    """The cases that run, in their order."""
    if choice == "all":
        return list(items)
    functions: dict[str, list[pytest.Item]] = {}
    for item in items:
        functions.setdefault(item.nodeid.partition("[")[0], []).append(item)
    chosen: set[str] = set()
    for name, cases in functions.items():
        if cases[0].get_closest_marker(ALWAYS):
            numbers = range(len(cases))
        else:
            found = covering(name, [values(case) for case in cases])
            numbers = found if choice == "each" else found[:1]
        chosen.update(cases[k].nodeid for k in numbers)
    return [item for item in items if item.nodeid in chosen]
