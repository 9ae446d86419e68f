"""Every public callable, fed arguments that no caller should pass: it refuses them in words, or gives finite results.

HOSTILE_EXAMPLES=500 looks longer; unset, a few seconds' worth of the same examples is tried on every run.
"""

from __future__ import annotations

import os

import hypothesis
import pytest
from hypothesis import strategies as st

import discretize
import equivariance
import fields
import layers
from tests.hostile.law import check
from tests.hostile.registry import ENTRIES, REASONS, Entry
from tests.hostile.values import hostile

EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", "0"))
PACKAGES = {m.__name__: m for m in (fields, discretize, layers, equivariance)}
ALL = [(package, entry) for package, entries in ENTRIES.items() for entry in entries]


def public(package: str) -> set[str]:
    """Names that a package exports."""
    module = PACKAGES[package]
    known = getattr(module, "__all__", None) or vars(module)
    kind = type(pytest)  # of modules
    return {n for n in known if not n.startswith("_") and not isinstance(getattr(module, n), kind)}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_tried_or_excused(package: str) -> None:
    """A new name needs an entry here, or a reason why it has none."""
    tried = {entry.name.split(".")[0].split(",")[0] for entry in ENTRIES[package]}
    names = public(package)
    assert names <= tried | set(REASONS[package])
    assert set(REASONS[package]) <= names, "a reason for a name that isn't there"


@pytest.mark.parametrize("package", ["fields.Field", "discretize.Grid", "discretize.Samples"])
def test_every_public_method_is_tried(package: str) -> None:
    """What can be called on fields, grids and samples."""
    module, name = package.split(".")
    cls = getattr(PACKAGES[module], name)
    methods = {
        n
        for n in vars(cls)
        if not n.startswith("_")
        and (callable(getattr(cls, n)) or isinstance(vars(cls)[n], classmethod))
    }
    tried = {e.name.removeprefix(f"{name}.") for e in ENTRIES[module]}
    assert methods - tried <= {"points", "known"}, "methods without arguments need no entry"


@pytest.mark.parametrize(("package", "entry"), ALL, ids=str)
def test_the_arguments_that_are_right_are_taken(package: str, entry: Entry) -> None:
    """Otherwise nothing hostile would come further than the first check."""
    assert check(entry.call, entry.good, entry.use) == "done"


@pytest.mark.parametrize(("package", "entry"), ALL, ids=str)
def test_hostile_arguments(package: str, entry: Entry) -> None:
    """One or two of the arguments are hostile, the others right."""

    @hypothesis.settings(max_examples=EXAMPLES or (3 if entry.slow else 12))
    @hypothesis.given(st.data())
    def attack(data: st.DataObject) -> None:
        names = data.draw(st.lists(st.sampled_from(sorted(entry.good)), min_size=1, max_size=2))
        arguments = {n: data.draw(hostile(entry.good[n]), label=n) for n in set(names)}
        check(entry.call, {**entry.good, **arguments}, entry.use)

    attack()
