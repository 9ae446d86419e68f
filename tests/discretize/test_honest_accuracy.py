"""Reported accuracies where values agree by chance: windows of whole spacings, small shapes, maxima, aliases."""

import math
from random import Random

import pytest
import torch

from benchmarks import families
from discretize import Grid, NotResolved, sample
from discretize.refinement import at_refinement, fall, refined
from fields import (
    Balls,
    Box,
    Boxes,
    BoxKernel,
    Field,
    Formula,
    GaussianKernel,
    Gaussians,
    PlaneWaves,
    random_bandlimited,
)
from fields.accuracy import MARGIN
from fields.evaluation.dither import Dither
from layers import GlobalPool
from tests.compare import eps

GRID = Grid(8, 1.0, 0.0, "none")
POINTS = torch.arange(8).double()


def overlap(center: float, radius: float, side: float = 2.0) -> torch.Tensor:
    """Share of the intervals of a side around all points that a ball covers."""
    low = torch.clamp(POINTS - side / 2, min=center - radius)
    high = torch.clamp(POINTS + side / 2, max=center + radius)
    return (high - low).clamp(min=0) / side


@pytest.mark.parametrize("radius", [2.0, 1.0, 0.4, 0.1])
def test_windows_of_whole_spacings_on_indicators(radius: float) -> None:
    """Their n nodes say k/n: the error is reported, though it is the same on many lattices."""
    draw = Random(int(10 * radius))
    for center in [4.164, 3.37, *(draw.uniform(1, 6) for _ in range(20))]:
        field = Balls([[center]], [[1.0]], [radius]).pool(Box(2.0))
        found, expected = sample(field, GRID, rtol=1e-3), overlap(center, radius)
        error = float((found.values[0] - expected).abs().max() / expected.max())
        assert found.accuracy is not None
        assert error <= 3 * found.accuracy <= 3e-3


@pytest.mark.parametrize("kind", ["box", "bspline"])
def test_small_discs_are_seen_by_prefilters(kind: str) -> None:
    """Their mass is π r²; what no grid of the filter's nodes had met was said to be 0, exactly."""
    field = Balls([[3.37, 2.2]], [[1.0]], [0.05])
    found = sample(field, Grid((8, 8), 1.0, 0.0, "none"), rtol=3e-2, prefilter=kind)
    assert float(found.values.sum()) == pytest.approx(math.pi * 0.05**2, rel=0.1)


def test_crests_between_the_nodes_of_a_maximum() -> None:
    """exp(−max(|x − c| − 1, 0)²/2w²), c between all nodes."""
    found = sample(Gaussians([[2.61]], [[1.0]], [0.1]).pool(Box(2.0), "max"), GRID)
    expected = torch.exp(-((((POINTS - 2.61).abs() - 1).clamp(min=0) / 0.1) ** 2) / 2)
    assert found.accuracy is not None
    assert float((found.values[0] - expected).abs().max()) <= 3 * found.accuracy <= 3e-4


STRIP = Boxes(
    [[4.0, 4.0], [-0.81, 4.0], [5.185, 4.0]],
    [[-1.0], [0.2], [0.2]],
    [[14.0, 14.0], [4.4, 14.0], [7.63, 14.0]],
)  # the last two overlap from 1.37 to 1.39
LENS = Balls([[0.44, 3.0], [6.38, 3.0]], [[1.0], [1.0]], [3.0, 3.0])  # they do by 0.06 at 3.41


@pytest.mark.parametrize(
    ("shapes", "at", "inside", "outside"), [(STRIP, 1, -0.6, -0.8), (LENS, 3, 2.0, 1.0)]
)
def test_maxima_between_two_shapes(shapes: Field, at: int, inside: float, outside: float) -> None:
    """What two boxes, or balls, have in common holds the largest value, however thin it is."""
    grid = Grid((8, 1), 1.0, [0.0, 3.0], "none")
    found = sample(shapes.pool(Box(1.0), "max"), grid, rtol=1e-2)
    assert float(found.values[0, at, 0]) == pytest.approx(inside)
    assert float(found.values[0, at + 1, 0]) == pytest.approx(outside)
    if shapes is LENS:
        assert float(GlobalPool("max", rtol=1e-2)(shapes)) == pytest.approx(inside)


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        (Boxes([[0.0, 0.0], [5.0, 1.0]], [[1.0]] * 2, [2.0, 2.0]), (1 / 6, 0.0)),
        (Boxes([[0.0, 0.0], [1.5, 1.0]], [[1.0]] * 2, [2.0, 2.0]), (1.0, 0.5)),
        (Boxes([[0.0, 0.0], [0.0, 0.0]], [[1.0]] * 2, [[2.0, 2.0], [2.0, 3.0]]), (0.25, 1.0)),
        (Boxes([[0.0, 0.0], [0.0, 2.001]], [[1.0]] * 2, [2.0, 2.0]), (0.0, 32.0)),
        (Balls([[0.0, 0.0], [0.0, 1.5]], [[1.0]] * 2, [1.0, 1.0]), (2.0, 2.0)),
        (Balls([[0.0, 0.0], [0.0, 0.1]], [[1.0]] * 2, [1.0, 1.0]), (10.0, 10.0)),
        (Balls([[0.0, 0.0], [0.0, 3.0]], [[1.0]] * 2, [1.0, 1.0]), (0.0, 0.0)),
        (Balls([[0.0, 0.0], [0.0, 0.3]], [[1.0]] * 2, [1.0, 0.5]), (0.0, 0.0)),
        (Boxes([[0.0, 0.0]], [[1.0]], [2.0]), (0.0, 0.0)),
    ],
)
def test_what_lies_between_shapes(shapes: Field, expected: tuple[float, float]) -> None:
    """One point per width between edges of boxes that meet on the other axis, two per thickness of a lens."""
    assert shapes._thinnest() == pytest.approx(expected)


@pytest.mark.parametrize("cycles", [16, 48, 96])
def test_waves_that_nobody_speaks_of(cycles: int) -> None:
    """cos(2π·48x) is 1 at all nodes of a few refinements; between them it isn't."""
    field = Formula(lambda x: torch.cos(2 * math.pi * cycles * x), 1, 1)
    found = sample(field.convolve(GaussianKernel(0.3, [[1.0]])), GRID)
    assert float(found.values.abs().max()) <= 1e-10  # exp(−2π²·0.3²·cycles²) = 0
    told = Formula(lambda x: torch.cos(2 * math.pi * cycles * x), 1, 1, finest=cycles)
    assert float(sample(told.pool(Box(0.5)), GRID).values.abs().max()) <= 1e-4


@pytest.mark.parametrize("kind", ["mean", 2])
def test_global_pools_look_between_their_points(kind: str | float) -> None:
    field = Formula(lambda x: torch.cos(2 * math.pi * 64 * x), 1, 1, period=1.0)
    found, accuracy = GlobalPool(kind).with_accuracy(field)
    assert float(found) == pytest.approx({"mean": 0.0}.get(str(kind), math.sqrt(0.5)), abs=1e-9)
    assert accuracy > 0


def test_hidden_features_are_integrated() -> None:
    field = Balls([[0.0], [10.37]], [[1.0], [30.0]], [5.0, 1e-3]).map(torch.square)
    assert float(field.integrate(1e-3)) == pytest.approx(11.8, rel=1e-3)
    images = Balls([[3.37]], [[1.0]], [0.01]).periodize(8.0)
    assert float(images.norm(1e-2)) == pytest.approx(math.sqrt(0.02), rel=1e-2)
    with pytest.raises(NotResolved):
        images.resolve(0.1, memory=1 << 26)


NORMAL = math.sqrt(2) * 0.02


def bell(kernel: GaussianKernel | BoxKernel, center: float) -> torch.Tensor:
    """K * exp(−(x − c)²/2w²) at the points, w = .02: a wider bell, or a difference of error functions."""
    if isinstance(kernel, GaussianKernel):
        blurred = Gaussians([[center]], [[1.0]], [0.02]).convolve(kernel)
        return blurred(POINTS[:, None])[:, 0]
    low, high = (torch.erf((POINTS - center + s) / NORMAL) for s in (-1.0, 1.0))
    return (high - low) * (NORMAL * math.sqrt(math.pi) / 4)


@pytest.mark.parametrize("kernel", [GaussianKernel(0.3, [[1.0]]), BoxKernel(2.0, [[1.0]])])
@pytest.mark.parametrize("center", [2.31, 3.37, 4.164, 4.6])
def test_what_nodes_tell_to_rounding_is_not_said_to_err_by_more(
    kernel: GaussianKernel | BoxKernel, center: float
) -> None:
    """The last refinement is far better than the one before, which it is compared with."""
    field = Gaussians([[center]], [[1.0]], [0.02]).convolve(kernel, exact=False)
    for rtol in (1e-1, 1e-2, 1e-3):
        found, expected = sample(field, GRID, rtol), bell(kernel, center)
        true = float((found.values[0] - expected).abs().max() / expected.max())
        assert found.accuracy is not None
        assert true <= 3 * found.accuracy + families.FLOOR
        assert found.accuracy <= 30 * (true + families.FLOOR)


def test_spectra_tell_how_errors_fall() -> None:
    """exp(−2π²m²(wv/(w + v))²) of bells of widths w and v; what is left of the error is less."""
    w, v = 0.1, 0.3
    kernel, leaf = GaussianKernel(v, [[1.0]]), Gaussians([[3.37]], [[1.0]], [w])
    field, expected = leaf.convolve(kernel, exact=False), leaf.convolve(kernel)(POINTS[:, None])
    both = 2 * (math.pi * w * v / (w + v)) ** 2
    for before, last in ((4, 6), (6, 8)):
        told, power = fall(field, GRID.lattice, 1e-2, before, last)
        assert power == pytest.approx(2)
        assert told == pytest.approx(math.exp(-both * (last**2 - before**2)))
        one, two = (
            float((at_refinement(field, GRID.lattice, m)[0] - expected[:, 0]).abs().max())
            for m in (before, last)
        )
        assert two <= told * one


def test_only_closed_forms_are_exact() -> None:
    """An estimate is never below rounding, even where three refinements agree bit by bit."""
    wave = PlaneWaves([[0.125]], [[1.0]])
    assert sample(wave, GRID).accuracy == 0
    assert sample(wave.convolve(GaussianKernel(1.0, [[1.0]])), GRID).accuracy == 0
    for field in (Balls([[3.5]], [[1.0]], [0.5]).pool(Box(1.0)), (0 * wave + 1).pool(Box(1.0))):
        accuracy = sample(field, GRID).accuracy
        assert accuracy is not None
        assert accuracy >= eps(torch.float64)


def test_advice_that_a_person_can_follow() -> None:
    field = random_bandlimited(2, 1, 0.4, 8.0, seed=0).map(lambda v: (v > 0).to(v)).pool(Box(0.7))
    with pytest.raises(NotResolved) as caught:
        sample(field, Grid((8, 8), 1.0), rtol=1e-12, memory=1 << 20)
    assert not any(len(word) > 9 and word.isdigit() for word in str(caught.value).split())


# --- the draws ----------------------------------------------------------------------------------


def test_looking_changes_nothing() -> None:
    """Bit by bit, in one and two dimensions, for sums and maxima."""
    for dim in (1, 2):
        field = Balls([[3.3] * dim], [[1.0]], [1.2])
        lattice = Grid((8, 6)[:dim], 1.0, 0.0, "none").lattice
        for made in (field.pool(Box(2.0)), field.pool(Box(1.3), "max")):
            look = Dither()
            assert torch.equal(
                at_refinement(made, lattice, 3, dither=look), at_refinement(made, lattice, 3)
            )
            assert look.found


def test_what_is_smooth_is_left_alone() -> None:
    """No step of a resolved wave stands out, a jump does, by one cell and no more."""
    x = torch.arange(64).double()
    wave = torch.sin(2 * math.pi * x / 16)[None]
    look = Dither(0)
    assert torch.equal(look.of_sum(wave, (1,)), wave)
    assert not look.found
    step = (x > 30.5).double()[None]
    moved = look.of_sum(step, (1,)) - step
    assert look.found
    assert (moved[0].nonzero()[:, 0] - 30.5).abs().max() <= 0.5
    assert float(moved.abs().max()) <= 0.5
    crest = Dither(0).of_maximum(wave, (1,)) - wave
    assert float(crest.min()) >= 0
    assert MARGIN == 2


def test_units_of_the_field_change_no_estimate() -> None:
    for unit in (1e-150, 1e150):
        field = Balls([[3.37]], [[unit]], [0.4])
        found, one = (
            refined(f.pool(Box(2.0)), GRID.lattice, 1e-2)
            for f in (field, Balls([[3.37]], [[1.0]], [0.4]))
        )
        assert found.refinement == one.refinement
        assert found.error == pytest.approx(one.error, rel=1e-9)


@pytest.mark.parametrize("name", families.families(1))
def test_adversarial_families(name: str) -> None:
    """Some cases of each; `python -m benchmarks honesty` runs them all."""
    with torch.no_grad():
        found, refused = families.outcomes(families.families(1)[name], name, 6, 50_000, 3e-2)
    assert refused <= 1
    assert not any(o.gross for o in found)
    assert sum(o.bounds for o in found) >= len(found) - 1


def test_kernels_with_jumps_on_jumps() -> None:
    """A box over an interval, without its closed form."""
    field: Field = Balls([[4.164]], [[1.0]], [2.0]).convolve(BoxKernel(2.0, [[1.0]]), exact=False)
    found = sample(field, GRID, rtol=1e-3)
    assert found.accuracy is not None
    assert float((found.values[0] - overlap(4.164, 2.0)).abs().max()) <= 3 * found.accuracy
