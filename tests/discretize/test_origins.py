"""Predicted origins: they move along with the map, confidences stay, and both are what the formulas say."""

import math

import pytest
import torch
from torch import Tensor

from discretize import Grid, Samples, sample
from discretize.origins import Argmax, Centroid, Phase, RefinedArgmax, Strongest
from fields import Constant, Field, Formula, Gaussians, PlaneWaves, random_bandlimited

REAL = {
    "Phase": Phase(),
    "Phase, twice": Phase(2),
    "Phase, strongest": Phase("strongest"),
    "Centroid": Centroid(),
    "RefinedArgmax": RefinedArgmax(),
    "Strongest": Strongest([Phase(), Centroid(), RefinedArgmax()]),
}
real = pytest.mark.parametrize("predictor", REAL.values(), ids=REAL.keys())
every_dim = pytest.mark.parametrize("dim", [1, 2, 3])
PERIOD = (16.0, 12.0, 8.0)
SPACING = (0.5, 0.5, 1.0)


def waves(dim: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> PlaneWaves:
    """A batch of two, up to 0.8 times the grid's Nyquist frequency."""
    band, period = [0.4 / h for h in SPACING[:dim]], PERIOD[:dim]
    fields = [random_bandlimited(dim, 2, band, period, seed + i, dtype=dtype) for i in range(2)]
    amplitudes = torch.stack([f.amplitudes for f in fields])
    return PlaneWaves(fields[0].frequencies, amplitudes, period=period)


def grid(dim: int) -> Grid:
    shape = [round(p / h) for p, h in zip(PERIOD, SPACING, strict=True)]
    return Grid(shape[:dim], SPACING[:dim], [0.1, -3.0, 7.7][:dim])


def modulus(dim: int) -> list[float]:
    return [2 * h for h in SPACING[:dim]]


def apart(a: Tensor, b: Tensor, period: list[float]) -> float:
    """Largest distance of two origins modulo the period."""
    turns = (a - b) / torch.tensor(period, dtype=torch.float64)
    return float(((turns - turns.round()) * torch.tensor(period)).abs().max())


def translations(dim: int, count: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 20 * torch.randn(count, 1, dim, generator=generator, dtype=torch.float64)


@real
@pytest.mark.parametrize(
    ("carrier", "dim"), [("Samples", 1), ("Samples", 2), ("Samples", 3), ("Field", 1), ("Field", 2)]
)
def test_origins_move_along(predictor, carrier: str, dim: int) -> None:
    """Φ(t▷F) = Φ(F) + t for real t, and the confidence stays: 1e-10 of a spacing."""

    def map_of(f: Field):
        return f if carrier == "Field" else sample(f, grid(dim))

    origin, confidence = predictor(map_of(waves(dim)), modulus(dim))
    assert origin.shape == confidence.shape == (2, dim)
    assert origin.dtype == confidence.dtype == torch.float64
    assert float(confidence.min()) > 1e-4
    for t in translations(dim, 2):
        moved, same = predictor(map_of(waves(dim).translate(t)), modulus(dim))
        assert apart(moved, origin + t, modulus(dim)) <= 1e-10
        torch.testing.assert_close(same, confidence, rtol=0, atol=1e-10)


@real
@pytest.mark.parametrize("dim", [1, 2])
def test_origins_of_samples_are_those_of_their_field(predictor, dim: int) -> None:
    field, size = waves(dim, seed=5), modulus(dim)
    origin, confidence = predictor(sample(field, grid(dim)), size)
    other, same = predictor(field, size)
    assert apart(origin, other, size) <= 1e-7
    torch.testing.assert_close(confidence, same, rtol=0, atol=1e-7)


@real
def test_origins_lie_within_one_modulus_of_the_grid(predictor) -> None:
    f = sample(waves(2), grid(2))
    offset = predictor(f, modulus(2))[0] - f.grid.origin
    assert bool((offset >= 0).all())
    assert bool((offset <= torch.tensor(modulus(2))).all())
    moved = predictor(f.translate([0.3, -0.7]), modulus(2))[0]
    torch.testing.assert_close(
        moved - predictor(f, modulus(2))[0], torch.tensor([[0.3, -0.7]] * 2).double()
    )


@real
def test_single_precision_agrees(predictor) -> None:
    double, confidence = predictor(sample(waves(2), grid(2)), modulus(2))
    single, same = predictor(sample(waves(2, dtype=torch.float32), grid(2)), modulus(2))
    assert apart(single, double, modulus(2)) <= 1e-3
    torch.testing.assert_close(same, confidence, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dim", [1, 2])
@real
def test_fields_in_single_precision(predictor, dim: int) -> None:
    """The default tolerance, 1e-8, is below what single precision has: its rounding is what bounds them."""
    double, confidence = predictor(waves(dim), modulus(dim))
    single, same = predictor(waves(dim, dtype=torch.float32), modulus(dim))
    assert apart(single, double, modulus(dim)) <= 1e-3
    torch.testing.assert_close(same, confidence, rtol=0, atol=1e-4)


@pytest.mark.parametrize("predictor", [Phase(), Centroid()], ids=repr)
def test_decaying_fields_in_single_precision(predictor) -> None:
    blob = [[[0.3, -1.0]], [[2.0]], [0.8]]
    single = Gaussians(*(torch.tensor(x) for x in blob))
    assert apart(predictor(single, 4.0)[0], predictor(Gaussians(*blob), 4.0)[0], [4.0, 4.0]) <= 1e-5


@real
def test_origins_are_free_of_scale(predictor) -> None:
    f = sample(waves(2), grid(2))
    origin, confidence = predictor(f, modulus(2))
    for scale in (1e-6, 1e6):
        scaled, same = predictor(Samples(scale * f.values, f.grid), modulus(2))
        assert apart(scaled, origin, modulus(2)) <= 1e-10
        torch.testing.assert_close(same, confidence, rtol=0, atol=1e-10)


# --- what they are ------------------------------------------------------------------------------


@every_dim
def test_phase_is_that_of_the_energy(dim: int) -> None:
    """Against the sum Σ_x e(x) exp(−2πi x/M) over a grid four times as fine, written out."""
    field, size = waves(dim, seed=2), modulus(dim)
    fine = grid(dim).refine(4)
    e = sample(field, fine).values.square().sum(1)
    x = fine.points()
    for m in (1, 2):
        origin, confidence = Phase(m)(sample(field, grid(dim)), size)
        for axis in range(dim):
            wave = torch.exp(-2j * math.pi * x[..., axis] / (m * size[axis]))
            space = tuple(range(1, dim + 1))
            z, mean = (e * wave).sum(space), e.sum(space)
            torch.testing.assert_close(confidence[:, axis], z.abs() / mean, rtol=0, atol=1e-12)
            expected = -z.angle() * m * size[axis] / (2 * math.pi)
            assert apart(origin[:, axis, None], expected[:, None], [size[axis]]) <= 1e-10


def test_strongest_takes_the_largest_confidence() -> None:
    f = sample(waves(2, seed=7), grid(2))
    size = modulus(2)
    choices = [Phase(m)(f, size) for m in (1, 2, 4)]
    _, confidence = Strongest([Phase(m) for m in (1, 2, 4)])(f, size)
    expected = torch.stack([c for _, c in choices]).amax(0)
    torch.testing.assert_close(confidence, expected)
    _, best = Phase("strongest")(f, size)
    assert bool((best >= confidence - 1e-15).all())


def test_a_low_field_has_no_phase_but_a_strongest_one() -> None:
    """Below 1/2M the wave of length M is missing from the energy; longer ones aren't."""
    field = random_bandlimited(1, 1, 0.2, 32.0, seed=0)
    f = sample(field, Grid(32, 1.0))
    assert float(Phase()(f, 2.0)[1]) < 1e-14
    assert float(Phase("strongest")(f, 2.0)[1]) > 0.05


@pytest.mark.parametrize("centre", [0.0, 3.3, -17.2])
def test_refined_argmax_finds_the_top_between_samples(centre: float) -> None:
    """Σ_{k≤5} cos(2πk(x − a)/32) is highest at a; the second highest place is known to scipy, too."""
    waves = torch.arange(1, 6, dtype=torch.float64)[:, None] / 32
    field = PlaneWaves(waves, torch.ones(5, 1, dtype=torch.complex128)).translate([centre])
    origin, confidence = RefinedArgmax()(sample(field, Grid(32, 1.0)))
    assert apart(origin, torch.tensor([centre], dtype=torch.float64), [32.0]) <= 1e-12
    x = torch.linspace(0, 32, 200_001, dtype=torch.float64)[:, None]
    e = field(x)[:, 0] ** 2
    far = (((x[:, 0] - centre) / 32) - ((x[:, 0] - centre) / 32).round()).abs() > 2 / 32
    assert abs(float(confidence) - (1 - float(e[far].max()) / 25)) < 1e-6


@pytest.mark.parametrize("dim", [1, 2])
def test_centroid_on_r_d(dim: int) -> None:
    """The centre of mass of two Gaussians' squares, in closed form: they don't overlap."""
    centres = torch.tensor([[1.0, 2.0, -1.0], [9.0, -6.0, 7.0]]).double()[:, :dim]
    field = Gaussians(centres, [[1.0], [2.0]], [0.5, 0.5])
    expected = (centres[0] + 4 * centres[1]) / 5
    origin, confidence = Centroid()(field, 100.0)
    assert apart(origin, expected, [100.0] * dim) <= 1e-6
    assert confidence.tolist() == [1.0] * dim


def test_centroid_of_samples_with_zeros_around() -> None:
    values = torch.zeros(1, 6, 4).double()
    values[0, 2, 1], values[0, 4, 3] = 1.0, -2.0
    f = Samples(values, Grid((6, 4), 0.5, [1.0, 0.0], boundary="zero"))
    origin, confidence = Centroid()(f)
    torch.testing.assert_close(
        origin, torch.tensor([1 + 0.5 * (2 + 16) / 5, 0.5 * 13 / 5]).double()
    )
    assert confidence.tolist() == [1.0, 1.0]
    nothing = Centroid()(Samples(0 * values, f.grid))[1]
    assert nothing.tolist() == [0.0, 0.0]


def test_phase_of_samples_with_zeros_around() -> None:
    """Zeros lengthen the map to a multiple of the modulus: more zeros change nothing."""
    generator = torch.Generator().manual_seed(0)
    short = torch.nn.functional.pad(torch.randn(1, 5, generator=generator).double(), (2, 0))
    longer = torch.nn.functional.pad(short, (0, 2))
    a, b = (
        Phase()(Samples(v, Grid(v.shape[1], 1.0, boundary="zero")), 3.0) for v in (short, longer)
    )
    torch.testing.assert_close(a, b)


def test_argmax() -> None:
    """The first largest, its residue, and how far the others are."""
    f = Samples([[0.0, 1.0, 3.0, -4.0, 0.0, 2.0]], Grid(6, 0.5, 10.0))
    origin, confidence = Argmax()(f, 1.0)
    assert origin.tolist() == [10.5]
    assert confidence.tolist() == [1 - 3 / 4]
    assert Argmax()(f)[0].tolist() == [11.5]
    tie = Samples([[0.0, 2.0, -2.0, 0.0]], Grid(4, 1.0))
    assert [float(part) for part in Argmax()(tie, 2.0)] == [1.0, 0.0]
    constant = Samples(torch.zeros(1, 4).double(), Grid(4, 1.0))
    assert [float(part) for part in Argmax()(constant, 2.0)] == [0.0, 0.0]


# --- where there is none ------------------------------------------------------------------------


@real
def test_maps_with_a_symmetry_have_no_confidence(predictor) -> None:
    """Constants, 0, and fields that don't vary along one axis."""
    g = Grid((8, 8), 1.0)
    for value in (1.0, 0.0):
        _, confidence = predictor(Samples(torch.full((1, 8, 8), value).double(), g), 2.0)
        assert float(confidence.abs().max()) <= 1e-14
    along = sample(
        PlaneWaves([[0.125, 0.0], [0.25, 0.0], [0.375, 0.0]], [[1.0], [0.4], [0.9j]], period=8.0), g
    )
    confidence = predictor(along, 2.0)[1]
    assert float(confidence[1].abs()) <= 1e-14
    assert float(confidence[0]) > 1e-3


@every_dim
@pytest.mark.parametrize("side", [7, 8])
def test_a_plateau_has_no_top(dim: int, side: int) -> None:
    """The highest samples of a constant may all lie on one line, which says nothing of the other axes."""
    for modulus in (float(side), side / 2):
        flat = Samples(torch.ones(2, 1, *(side,) * dim).double(), Grid((side,) * dim, 1.0))
        assert float(RefinedArgmax()(flat, modulus)[1].max()) <= 1e-14
    wave = 2 + torch.cos(2 * math.pi * (torch.arange(side).double() - 0.3) / side)
    along = wave.expand(1, *(side,) * dim).contiguous()
    origin, confidence = RefinedArgmax()(Samples(along, flat.grid))
    assert abs(float(origin[-1]) - 0.3) <= 1e-7
    assert confidence.tolist() == pytest.approx([0.0] * (dim - 1) + [1.0], abs=1e-14)


def test_a_constant_field() -> None:
    for predictor in (Phase(), Centroid()):
        assert predictor(Constant([1.0], dim=2), 2.0)[1].tolist() == [0.0, 0.0]


# --- errors -------------------------------------------------------------------------------------


def test_bad_input() -> None:
    f = sample(waves(2), grid(2))
    with pytest.raises(ValueError, match="doesn't divide the period 16"):
        Phase()(f, 3.0)
    with pytest.raises(ValueError, match="3 times the modulus 1 doesn't divide the period 16"):
        Phase(3)(f, 1.0)
    with pytest.raises(ValueError, match=r"multiple of the spacing 0\.5, got 0\.25"):
        Phase()(f, 0.25)
    with pytest.raises(ValueError, match="multiple must be integers"):
        Phase(0)
    with pytest.raises(ValueError, match="'periodic' or 'zero', got 'reflect'"):
        Phase()(Samples(f.values, f.grid.replace(boundary="reflect")), 1.0)
    with pytest.raises(ValueError, match="must be positive"):
        Phase()(f, -1.0)
    decaying = Gaussians([[0.0]], [[1.0]], [1.0])
    with pytest.raises(ValueError, match="no known period: give a modulus"):
        Phase()(decaying)
    with pytest.raises(ValueError, match=r"take Centroid\(\), or periodize"):
        Phase("strongest")(decaying, 1.0)
    with pytest.raises(TypeError, match="take RefinedArgmax"):
        Argmax()(decaying, 1.0)
    with pytest.raises(ValueError, match="multiple of the spacing"):
        Argmax()(f, 0.75)
    with pytest.raises(ValueError, match="needs a field of known period"):
        RefinedArgmax()(decaying, 1.0)
    with pytest.raises(ValueError, match="periodic samples, got boundary 'zero'"):
        RefinedArgmax()(Samples(f.values, f.grid.replace(boundary="zero")), 1.0)
    for g in (f, waves(2)):
        with pytest.raises(ValueError, match="modulus 3 doesn't divide the period 16"):
            Centroid()(g, 3.0)
    with pytest.raises(ValueError, match="at least one predictor"):
        Strongest([])
    for predictor in (*REAL.values(), Argmax()):
        with pytest.raises(TypeError, match="expected"):
            predictor(f.values, 1.0)
    with pytest.raises(ValueError, match="known to decay"):
        Phase()(Formula(lambda x: x, 1, 1), 1.0)


@pytest.mark.parametrize("predictor", [Phase(), Centroid(), RefinedArgmax()], ids=repr)
def test_the_modulus_is_the_period_unless_given(predictor) -> None:
    """On a field as on its samples; an axis along which nothing changes counts as 1 long."""
    field = waves(2)
    for f in (field, sample(field, grid(2))):
        for found, expected in zip(predictor(f), predictor(f, PERIOD[:2]), strict=True):
            assert torch.equal(found, expected)
    along = 0.3 + PlaneWaves([[0.25, 0.0]], [[1.0]]).translate([0.7, 0.0])
    assert along.period == (4.0, 0.0)
    origin, confidence = predictor(along)
    assert torch.equal(origin, predictor(along, (4.0, 1.0))[0])
    assert float(confidence[0]) > 0.01
    moved = origin - predictor(along.translate([-0.4, 0.0]))[0]
    assert apart(moved[:1], torch.tensor([0.4], dtype=torch.float64), [4.0]) <= 1e-9


def test_phase_of_a_field_in_three_dimensions() -> None:
    field, size = waves(3, seed=5), modulus(3)
    origin, confidence = Phase()(field, size)
    other, same = Phase()(sample(field, grid(3)), size)
    assert apart(origin, other, size) <= 1e-7
    torch.testing.assert_close(confidence, same, rtol=0, atol=1e-7)


@pytest.mark.parametrize("predictor", [*REAL.values(), Argmax()], ids=repr)
def test_grids_with_a_batch_of_origins(predictor) -> None:
    """One map on many grids has as many origins, each moved as its grid."""
    f = sample(waves(2), grid(2))
    moves = torch.tensor([[0.0, 0.0], [0.3, -5.0], [7.0, 1.0]]).double()[:, None]
    origin, confidence = predictor(f, modulus(2))
    origins, confidences = predictor(f.translate(moves), modulus(2))
    assert origins.shape == confidences.shape == (3, 2, 2)
    torch.testing.assert_close(origins, origin + moves, rtol=0, atol=1e-12)
    assert torch.equal(confidences, confidence.expand(3, 2, 2))
