"""The driver under samples, integrals, spectra and global pools: on sequences whose limits are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
import torch

from discretize import Grid, sample
from fields import Balls, BoxKernel, Field, LatticeTooLarge, PlaneWaves
from fields.evaluation.settling import NotResolved, Settled, Settling, attainable, estimated_error
from fields.magnitude import NotFinite
from layers import GlobalPool
from tests.compare import eps

LIMIT = math.pi


class Sequence(Settling[int, float]):
    """π plus an error that the refinement m = 1, 2, 3, 4, 6, 8, … leaves."""

    cures = "a better rule, "

    def __init__(
        self, error: Callable[[int], float], rtol: float, most: int = 1 << 20, alike: float = 0.0
    ) -> None:
        super().__init__(rtol, torch.float64)
        self.off, self.last, self.alike = error, most, alike
        self.seen: list[int] = []

    def steps(self) -> Iterator[int]:
        a, b, c = 1, 2, 3
        while True:
            yield a
            a, b, c = b, c, 2 * b

    def value(self, step: int) -> float:
        if step > self.last:
            raise LatticeTooLarge("this needs 9 MiB, the bound is 8 MiB")
        self.seen.append(step)
        return LIMIT + self.off(step)

    def change(self, new: float, old: float) -> float:
        return abs(new - old) / LIMIT

    def hidden(self, step: int, value: float) -> float:
        return self.alike / step


@pytest.mark.parametrize("order", [1, 2, 4])
def test_estimates_bound_errors_of_any_order(order: int) -> None:
    """C/m^p: exactly for p = 1, from above for more; and the tolerance is met."""
    found = Sequence(lambda m: m**-order, 1e-3).settle()
    true = abs(found.value - LIMIT) / LIMIT
    assert true * (1 - 1e-9) <= found.error <= 1e-3
    assert order > 1 or found.error == pytest.approx(true)
    assert found == Settled(found.value, found.error, found.step)


def test_three_values_are_compared_before_any_is_believed() -> None:
    """Two that agree by chance don't settle; nor do three whose first is far off."""
    run = Sequence(lambda m: 1.0 if m < 3 else 0.0, 1e-3)
    assert run.settle().step == 6
    assert run.seen == [1, 2, 3, 4, 6]
    assert estimated_error((4, 6, 8), (1e-3, 1e-9)) == pytest.approx(1e-3)


def test_what_hides_between_the_points_counts() -> None:
    found = Sequence(lambda m: 0.0, 1e-2, alike=0.5).settle()
    assert found.step == 64
    assert found.error == pytest.approx(0.5 / 64)


def test_no_estimate_is_below_rounding() -> None:
    """One rule: values that agree are known to eps, tolerances below 64 eps stand for it."""
    run = Sequence(lambda m: 0.0, 1e-18)
    assert run.settle().error == eps(torch.float64)
    assert run.rtol == 64 * eps(torch.float64) == attainable(0.0, torch.float64)
    assert attainable(1e-3, torch.float32) == 1e-3


@pytest.mark.parametrize("where", [3, 64])
def test_numbers_that_are_none_are_said(where: int) -> None:
    with pytest.raises(NotFinite, match="the field isn't finite"):
        Sequence(lambda m: math.nan if m == where else 1 / m, 1e-3).settle()


def test_advice_says_what_was_reached_where_and_what_helps() -> None:
    with pytest.raises(NotResolved) as caught:
        Sequence(lambda m: 1 / m, 1e-6, most=48).settle()
    assert str(caught.value) == (
        "rtol = 1e-06 can't be reached: at refinement 48 the error is estimated as 6.6e-03 (relative), and "
        "at refinement 64 this needs 9 MiB, the bound is 8 MiB. What helps: a larger rtol, a better rule, "
        "a larger memory=…"
    )
    assert caught.value.tail == pytest.approx(1 / 48 / LIMIT)
    assert isinstance(caught.value, ValueError)
    with pytest.raises(
        NotResolved, match="no error is known, since at refinement 3 this"
    ) as caught:
        Sequence(lambda m: 1 / m, 1e-6, most=2).settle()
    assert caught.value.tail is None


WAVE = PlaneWaves([[0.25]], [[1.0]], period=4.0).map(torch.abs)
QUESTIONS: dict[str, Callable[[Field], object]] = {
    "sample": lambda f: sample(
        f.convolve(BoxKernel(0.7, [[1.0]])), Grid(8, 0.5), 1e-9, memory=1 << 16
    ),
    "integrate": lambda f: f.integrate(1e-11, memory=1 << 16),
    "norm": lambda f: f.map(lambda v: (v > 0.3).to(v)).norm(1e-11, memory=1 << 16),
    "transform": lambda f: f.transform([[0.25]], 1e-11, memory=1 << 16),
    "resolve": lambda f: f.resolve(1e-8, memory=1 << 16),
    "GlobalPool": lambda f: GlobalPool("max", rtol=1e-11, memory=1 << 19)(f * f.translate([0.3])),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_one_text_for_all(name: str) -> None:
    said = r"rtol = 1e-\d+ can't be reached: .* the error is estimated as \d.*What helps: a larger rtol, .*memory="
    with pytest.raises(NotResolved, match=said) as caught:
        QUESTIONS[name](WAVE)
    assert caught.value.tail is not None
    assert caught.value.tail > 0


def test_spectra_that_fall_off_too_slowly_to_tell_are_doubted() -> None:
    """An interval's energy beyond mode k is as 1/k: no rate says that there is not as much again."""
    small = Balls([[3.37]], [[1.0]], [0.01]).periodize(8.0)
    with pytest.raises(NotResolved, match=r"estimated as \d.*\(relative\), though not safely, and"):
        small.resolve(0.1, memory=1 << 22)
