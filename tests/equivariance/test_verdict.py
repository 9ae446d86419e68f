"""Verdicts on synthetic errors, whose group and size are known beforehand.

Every case says: of this stride, under these errors, the map commutes with that set, so nearly there and
so far off elsewhere.
"""

import math

import numpy as np
import pytest

from equivariance.verdicts import ROUND_OFF, judge, of_compared, tolerance, verdict
from tests.equivariance.synthetic import synthetic

T = [[k / 8] for k in range(33)]


def curve(period: float, size: float, floor: float = 0.0) -> list[float]:
    """Errors of a map that commutes with the multiples of `period` only."""
    return [floor + size * abs(math.sin(math.pi * t / period)) for (t,) in T]


def test_zeros_are_exact():
    v = verdict(T, np.zeros(33))
    assert (v.kind, v.worst, v.subgroup.name) == ("exact", 0.0, "every real translation tested")
    assert v.words == ("every real translation tested", "0", "–")


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
    assert (at_bound.subgroup.name, beyond.subgroup.name) == ("Z", "none")


@pytest.mark.parametrize(
    ("period", "name"), [(0.5, "(1/2)Z"), (1, "Z"), (2, "2Z"), (4, "4Z"), (16, "none")]
)
def test_a_map_is_named_by_what_it_commutes_with(period, name):
    """Broken is one that does less than its stride allows, and none other."""
    errors = curve(period, 0.3, floor=2e-16)
    for stride in (1, 2, 4):
        v = verdict(T, errors, stride=stride)
        assert v.kind == ("broken" if period > stride else "round-off")
        assert v.subgroup.name == v.commutes_with == name
        assert v.worst == v.error_elsewhere == pytest.approx(0.3, rel=0.3)
        assert v.error_there == pytest.approx(2e-16, rel=0.6)  # sin π of a float is 1.2e-16


def test_of_an_unknown_stride_nothing_is_broken_but_the_rest():
    assert verdict(T, curve(16, 0.3), stride=None).kind == "unknown"
    assert verdict(T, curve(4, 0.3), stride=None).kind == "round-off"
    assert verdict(T, np.full(33, 0.1), stride=None).kind == "broken"  # it doesn't repeat itself


@pytest.mark.parametrize(("stride", "kind"), [((1, 2), "exact"), (1, "broken")])
def test_each_axis_has_its_stride(stride, kind):
    t = [(i, j) for i in range(5) for j in range(5)]
    v = verdict(t, [0.5 * (j % 2) for _, j in t], stride=stride)
    assert (v.kind, v.commutes_with) == (kind, "Z × 2Z")


def test_invariants_are_said_to_be_none_that_move():
    errors = curve(2, 0.3)
    assert verdict(T, errors, invariant=True).commutes_with == "invariant under 2Z"
    whole = verdict(T, np.zeros(33), invariant=True)
    assert whole.commutes_with == "invariant under every real translation tested"
    assert verdict(T, curve(16, 0.3), invariant=True).commutes_with == "none"
    assert (
        verdict([[0], [1], [2]], [1, 0, 0], invariant=True).commutes_with
        == "no group: 2 of 3 tested"
    )


def test_random_real_translations_have_a_verdict():
    """Of no fraction of a spacing: they pass all, or none, or are no group."""
    t = np.random.default_rng(1).uniform(0, 9, (12, 2))
    said = [
        (np.full(12, 3e-16), ("every real translation tested", "round-off")),
        (np.full(12, 0.1), ("none", "unknown")),
        (np.where(np.arange(12) < 5, 0, 0.1), ("no group: 5 of 12 tested", "exact")),
    ]
    for errors, expected in said:
        v = verdict(t, errors)
        assert (v.commutes_with, v.kind) == expected


@pytest.mark.parametrize("spacing", [0.1, 0.7, 3.0])
def test_translations_from_float32_have_a_verdict(spacing):
    """Lengths k·spacing in float32: an error as large as what rounding moved them by is rounding's."""
    rounded = (np.array(T) * spacing).astype(np.float32).astype(float) / spacing
    moved_by = np.abs(rounded - T)[:, 0]
    v = verdict(rounded, curve(2, 0.3, 2e-16) + 4 * moved_by, stride=2)
    assert (v.kind, v.commutes_with) == ("round-off", "2Z")
    assert v.error_elsewhere > 0.1
    errors = np.full(33, 1e-3)
    errors[0] = 0
    assert verdict(rounded, errors, stride=2).commutes_with == "none"


def test_small_but_real_errors_are_no_rounding():
    """What a loose tolerance would pass: a defect of 1e-12 in float64."""
    assert verdict(T, curve(2, 1e-12)).kind == "broken"
    assert verdict(T, curve(2, 1e-12), "float32").kind == "round-off"


def test_what_was_not_compared_has_no_say():
    errors = np.array(curve(2, 0.3))
    errors[::2] = np.nan
    errors[1] = np.inf
    v = of_compared(np.array(T), errors)
    assert v is not None
    assert (v.commutes_with, v.error_elsewhere) == ("none", np.finfo(float).max)
    assert of_compared(np.array(T), np.full(33, np.nan)) is None


def test_errors_that_no_group_explains():
    errors = curve(1, 0.3)
    errors[16] = 0.1  # 2 fails, 1 and 3 pass
    v = verdict(T, errors)
    assert not v.subgroup.is_subgroup
    assert v.subgroup.name == "no group: 4 of 33 tested"


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
        assert names[field, "fine", "continuous"] == "every real translation tested"


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
