"""What is said of opaque functions, that they jump and how fine they are, and what is looked for where nothing is."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from discretize import Grid, NotResolved, Samples, sample
from discretize import refinement as refining
from fields import Box, Constant, Field, Formula, GaussianKernel, Polynomial, random_bandlimited
from fields.evaluation.dither import Dither
from fields.evaluation.questions import finest, jumps, opaque
from layers import PointwiseField

GRID = Grid(8, 1.0, 0.0, "none")
LINE = Polynomial([[1]], [[1.0]])
WAVES = random_bandlimited(1, 1, 0.4, 8.0, seed=3)


def wave(cycles: float) -> Callable[[Tensor], Tensor]:
    return lambda v: torch.cos(2 * math.pi * cycles * v)


def interval(x: Tensor) -> Tensor:
    return ((x - 3.37).abs() <= 2e-3).to(x)


def right_or_refused(field: Field, expected: Tensor, size: float) -> bool:
    """Whether the accuracy holds: True, or refused: False."""
    try:
        found = sample(field, GRID)
    except NotResolved:
        return False
    assert found.accuracy is not None
    error = float((found.values[0] - expected).abs().max())
    assert error <= 3 * found.accuracy * float(found.values.abs().max()) + 1e-10 * size
    return True


KINDS: dict[str, Callable[[float], Field]] = {
    "Formula": lambda f: Formula(wave(f), 1, 1),
    "map": lambda f: LINE.map(wave(f)),
    "PointwiseField": lambda f: PointwiseField(lambda x, v: wave(f)(x) * v)(Constant(1.0, 1)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cycles", [16, 48, 96])
def test_waves_that_are_alike_at_all_nodes(kind: str, cycles: int) -> None:
    """(K * cos 2πfx) = exp(−2π²σ²f²)·cos 2πfx = 0, though 1 at all nodes of some refinements."""
    field = KINDS[kind](cycles).convolve(GaussianKernel(0.3, [[1.0]]))
    right_or_refused(field, torch.zeros(8).double(), 1.0)


def test_what_is_said_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes begin at 1/(2·finest), and nobody asks between them."""

    def asked(*args: object) -> None:
        raise AssertionError("asked between the nodes")

    monkeypatch.setattr(Dither, "of_opaque", asked)
    for field in (LINE.map(wave(16), finest=16.0), Formula(wave(16), 1, 1, finest=16.0)):
        assert finest(field, 1e-3) == (16.0,)
        assert not opaque(field)
        assert right_or_refused(field.pool(Box(0.5)), torch.zeros(8).double(), 1.0)
    with pytest.raises(AssertionError, match="asked between"):
        sample(LINE.map(wave(16)).pool(Box(0.5)), GRID)


def test_small_features_that_are_told_are_met() -> None:
    """An interval of 1/250 of the spacing: its share of a window of two, where it lies in it."""
    expected = torch.tensor([0.0, 0, 0, 1, 1, 0, 0, 0]).double() * 4e-3 / 2
    for field in (Formula(interval, 1, 1, finest=250.0), LINE.map(interval, True, 250.0)):
        found = sample(field.pool(Box(2.0)), GRID, rtol=3e-2)
        assert found.accuracy is not None
        assert float((found.values[0] - expected).abs().max()) <= 3 * found.accuracy * 2e-3


@pytest.mark.parametrize(
    ("said", "drawn"), [(None, True), (False, False), (True, True)], ids=["unsaid", "no", "yes"]
)
def test_steps_are_looked_for_unless_there_are_none(
    said: bool | None, drawn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bend is found where nothing is said; the error is honest without draws, too: second order is seen."""
    field = WAVES.map(torch.relu, jumps=said).pool(Box(1.3))
    reference = refining.at_refinement(field, GRID.lattice, 3001)
    draws, evaluated = [], refining.at_refinement

    def counted(*args: Any) -> Tensor:
        draws.extend([d for d in args if isinstance(d, Dither) and d.draw is not None])
        return evaluated(*args)

    monkeypatch.setattr(refining, "at_refinement", counted)
    found = sample(field, GRID, rtol=1e-3)
    assert found.accuracy is not None
    error = (found.values - reference).abs().max() / reference.abs().max()
    assert float(error) <= 3 * found.accuracy <= 3e-3
    assert bool(draws) is drawn


def test_functions_are_known_to_jump_if_one_does() -> None:
    step = Formula(interval, 1, 1, jumps=True)
    assert jumps(WAVES) is False
    assert jumps(WAVES.map(torch.tanh)) is None
    assert jumps(WAVES.map(torch.tanh, jumps=False)) is False
    assert jumps(WAVES.map(torch.tanh, jumps=False).pool(Box(1.0))) is False
    assert jumps(WAVES.pool(Box(1.0), "max")) is None
    assert jumps(WAVES.map(torch.tanh) + step) is True
    assert jumps(Formula(torch.cos, 1, 1, bandlimit=0.2)) is False
    assert jumps(Formula(torch.cos, 1, 1)) is None


def test_integrals_of_bends_that_count_for_nothing() -> None:
    """∫|cos 2πx| = 2/π over a period."""
    for said in (None, False, True):
        field = Formula(wave(1.0), 1, 1, bandlimit=1.0, period=1.0).map(torch.abs, jumps=said)
        assert float(field.integrate(1e-5)) == pytest.approx(2 / math.pi, abs=3e-5)


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        ({"jumps": "yes"}, TypeError, "jumps must be True or False, got 'yes'"),
        ({"jumps": 1}, TypeError, "jumps must be True or False, got 1"),
        ({"finest": 0.0}, ValueError, "finest must be positive"),
        ({"finest": [1.0, 2.0]}, ValueError, "finest"),
        ({"finest": math.inf}, ValueError, "finest"),
    ],
)
def test_bad_words_are_refused(said: dict[str, Any], kind: type[Exception], message: str) -> None:
    samples = Samples(torch.zeros(1, 8), Grid(8, 1.0))
    with pytest.raises(kind, match=message):
        Formula(torch.cos, 1, 1, **said)
    for map_ in (WAVES, samples):
        with pytest.raises(kind, match=message):
            map_.map(torch.relu, **said)


def test_band_limits_and_jumps_exclude_each_other() -> None:
    with pytest.raises(ValueError, match=r"band limit \(1.0,\) has no jumps: leave out bandlimit"):
        Formula(torch.cos, 1, 1, bandlimit=1.0, jumps=True)


def test_samples_take_functions_as_they_are() -> None:
    samples = Samples(torch.arange(8.0)[None], Grid(8, 1.0))
    told = samples.map(torch.square, jumps=False, finest=2.0)
    assert torch.equal(told.values, samples.map(torch.square).values)


def pulse(half: float, wave: float, **known: object) -> Formula:
    """1 within `half` of 2.217, on a period of 8, plus a wave: ∫ = 2·half."""

    def fn(x: Tensor) -> Tensor:
        near = ((x - 2.217 + 4) % 8 - 4).abs() < half
        return near.to(x) + wave * torch.sin(2 * math.pi * x / 8)

    return Formula(fn, 1, 1, period=8.0, **known)


@pytest.mark.parametrize("jumps", [None, True])
@pytest.mark.parametrize("wave", [0.0, 0.1])
@pytest.mark.parametrize("half", [0.03, 0.01])
def test_what_few_points_miss_is_looked_for(half: float, wave: float, jumps: bool | None) -> None:
    """A pulse between all coarse nodes: its integral is 2·half, its largest mean over a box of 2 is half."""
    field = pulse(half, wave, jumps=jumps)
    integral = float(field.integrate(1e-2))
    assert abs(integral - 2 * half) <= 3e-2 * (2 * half + 4 * wave)
    if not wave:
        found = sample(field.pool(Box(2.0)), Grid(16, 0.5), 1e-2)
        assert 0 < found.accuracy <= 1e-2
        assert abs(float(found.values.max()) - half) <= 3 * found.accuracy * half


def test_a_function_that_vanishes_is_no_closed_form() -> None:
    nothing = pulse(0.03, 0.0).map(lambda v: torch.relu(v - 2))
    found = sample(nothing.pool(Box(2.0)), Grid(16, 0.5), 1e-3)
    assert not found.values.any()
    assert found.accuracy == torch.finfo(torch.float64).eps
    assert float(nothing.integrate(1e-3)) == 0


def test_nodes_that_all_see_zero_are_believed_where_finer_ones_are_seen_or_spoken_for() -> None:
    """A needle between all nodes is looked for 4 times as fine, or refused, unless there is said to be none."""

    def needle(x: Tensor) -> Tensor:
        return 1e3 * ((x - 3.37).abs().amax(-1, keepdim=True) < 1e-5).to(x)

    def found(memory: int, finest: float | None = None) -> Samples:
        field = Formula(needle, 2, 1, finest=finest).pool(Box(2.0))
        return sample(field, Grid((8, 8), 1.0, 0.0, "none"), 1e-2, memory=memory)

    said = (
        r"rtol = 0.01 can't be reached: no error is known, since at refinement 3 all nodes see 0, and no finest=… of "
        r"the functions says that nothing lies between them; at refinement 12, to look, this needs .* the bound is .* "
        r"What helps: .*a larger memory=…"
    )
    with pytest.raises(NotResolved, match=said) as caught:
        found(1 << 13)
    assert caught.value.tail is None
    for looked in (found(1 << 14), found(1 << 13, 0.5)):
        assert looked.accuracy == torch.finfo(torch.float64).eps
        assert not looked.values.any()


@pytest.mark.parametrize("start", [6.084, 6.09, 6.1, 6.13])
def test_maxima_ask_between_the_nodes_at_every_refinement(start: float) -> None:
    """A piece .145 long lies between all nodes .5, .333 and .25 apart, and the first ones in between, too."""
    field = Formula(
        lambda x: (((x - 2.63).abs() < 1.43) | ((x - start - 0.0725).abs() < 0.0725)).to(x), 1, 1
    ).pool(Box(1.0), "max")
    origin = 0.4
    grid = Grid(9, 1.0, origin, "none")
    points = grid.points()[:, 0]
    expected = ((points - 2.63).abs() < 1.93) | ((points - start - 0.0725).abs() < 0.5725)
    assert torch.equal(sample(field, grid, 1e-2).values[0], expected.to(torch.float64))
