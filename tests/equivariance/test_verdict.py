"""Verdicts on synthetic errors, whose group and size are known beforehand."""

import math

import numpy as np
import pytest

from equivariance.verdict import ROUND_OFF, judge, tolerance, verdict
from tests.equivariance.synthetic import synthetic

T = [[k / 8] for k in range(33)]


def curve(period: float, size: float, floor: float = 0.0) -> list[float]:
    """Errors of a map that commutes with the multiples of `period` only."""
    return [floor + size * abs(math.sin(math.pi * t / period)) for (t,) in T]


def test_zeros_are_exact():
    v = verdict(T, np.zeros(33))
    assert (v.kind, v.worst, v.subgroup.name) == ("exact", 0.0, "all tested real translations")


def test_the_least_number_is_not_exact():
    errors = np.zeros(33)
    errors[5] = 5e-324
    v = verdict(T, errors)
    assert (v.kind, v.at) == ("round-off", (0.625,))


@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-13), ("float32", 5.4e-5)])
def test_round_off_ends_at_its_bound(dtype, bound):
    assert tolerance(dtype) == ROUND_OFF * np.finfo(dtype).eps == pytest.approx(bound, rel=0.01)
    at_bound = verdict([[0], [1]], [0, tolerance(dtype)], dtype)
    beyond = verdict([[0], [1]], [0, tolerance(dtype) * (1 + 1e-15)], dtype)
    assert (at_bound.kind, beyond.kind) == ("round-off", "broken")
    assert (at_bound.subgroup.name, beyond.subgroup.name) == ("Z", "only 0")


@pytest.mark.parametrize(
    ("period", "name"), [(0.5, "(1/2)Z"), (1, "Z"), (2, "2Z"), (4, "4Z"), (16, "only 0")]
)
def test_a_broken_map_keeps_its_group(period, name):
    v = verdict(T, curve(period, 0.3, floor=2e-16))
    assert v.kind == "broken"
    assert v.worst == pytest.approx(0.3, rel=0.3)
    assert v.subgroup.name == name


def test_small_but_real_errors_are_broken():
    """What a loose tolerance would pass: a defect of 1e-12 in float64."""
    assert verdict(T, curve(1, 1e-12)).kind == "broken"
    assert verdict(T, curve(1, 1e-12), "float32").kind == "round-off"


def test_errors_that_no_group_explains():
    errors = curve(1, 0.3)
    errors[16] = 0.1  # 2 fails, 1 and 3 pass
    v = verdict(T, errors)
    assert not v.subgroup.is_subgroup
    assert v.subgroup.name == "no subgroup: 2 is missing"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1e-20])
def test_there_is_no_verdict_on_what_is_no_error(bad):
    with pytest.raises(ValueError, match="finite and not negative"):
        verdict([[0], [1]], [0, bad])


def test_shapes_must_fit():
    with pytest.raises(ValueError, match="must fit"):
        verdict([[0], [1]], [0])


def test_a_sweep_is_judged_cell_by_cell():
    rows = judge(synthetic(stride=2), stride=2)
    assert len(rows) == 8
    names = {(r.field, r.layer, r.grid): r.verdict.subgroup.name for r in rows}
    for field in ("photograph", "random"):
        assert names[field, "strided", "grid"] == "2Z × 2Z"
        assert names[field, "fine", "grid"] == "Z × Z"
        assert names[field, "fine", "continuous"] == "all tested real translations"


def test_errors_are_told_apart_by_the_kind_of_translation():
    row = next(r for r in judge(synthetic(stride=2), 2) if (r.layer, r.grid) == ("strided", "grid"))
    multiples, others, between = row.classes
    assert multiples == 2e-16
    assert others == 0.5
    assert between == 0.25
    assert row.verdict.worst == 0.5


def test_each_kind_of_translation_has_its_own_worst():
    """Also where errors are larger at multiples of the stride than elsewhere."""
    data = synthetic(stride=2)
    t = data["t"]
    data["error"][:] = 0.25
    data["error"][..., (t % 1 == 0).all("axis").to_numpy()] = 0.5
    data["error"][..., (t % 2 == 0).all("axis").to_numpy()] = 0.75
    assert {row.classes for row in judge(data, 2)} == {(0.75, 0.5, 0.25)}


def test_units_of_length_do_not_matter():
    data = synthetic(stride=2)
    scaled = data.assign_coords(t=0.3 * data["t"])
    assert judge(scaled, 2, spacing=0.3) == judge(data, 2)


def test_a_kind_of_translation_that_was_not_tested_is_no_number():
    whole = synthetic(stride=2)
    whole = whole.isel(translation=(whole["t"] % 1 == 0).all("axis").to_numpy())
    for row in judge(whole, 2):
        assert math.isnan(row.classes[2])
        assert not math.isnan(row.classes[1])
