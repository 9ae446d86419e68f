"""Comoving grids: every real translation, index by index and as functions, and continuity where no origin exists."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from discretize import (
    ComovingSubsampling,
    EquivariantSubsampling,
    Grid,
    Samples,
    comoving_grid,
    sample,
)
from discretize.origins import predictors
from equivariance.error import compare
from fields import Field, Formula, Gaussians, PlaneWaves, random_bandlimited
from tests.compare import assert_close

SIDE = 64
GRID = Grid((SIDE, SIDE), 1.0)
both_dtypes = pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float64, 1e-10), (torch.float32, 1e-4)], ids=str
)


def comoving(s=2, predictor=None) -> ComovingSubsampling:
    """Without warnings: waves at Nyquist, and origins that are unknown, are what is tested."""
    return ComovingSubsampling(s, predictor, nyquist="keep", bound=0)


def white(band: int, dim: int = 2, seed: int = 0, **options) -> PlaneWaves:
    """Waves up to `band` per period of 64, which is 16 in 3-D."""
    period = 64.0 if dim < 3 else 16.0
    return random_bandlimited(dim, 2, (band + 0.01) / period, period, seed, **options)


def translations(count: int, dim: int = 2, size: float = SIDE) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return size * torch.rand(count, dim, generator=generator, dtype=torch.float64)


def moved_by_index(before: Samples, after: Samples, t: Tensor) -> float:
    """Relative L2 distance of the values of a moved map from the rolled ones, index by index."""
    steps = (before.grid.origin + t - after.grid.origin) / torch.tensor(before.grid.spacing)
    assert float((steps - steps.round()).abs().max()) < 1e-3  # the grid moves along
    rolled = before.values.roll(steps.round().long().tolist(), tuple(range(-before.dim, 0)))
    return float((rolled - after.values).norm() / after.values.norm())


@both_dtypes
@pytest.mark.parametrize("band", [20, 24, 31])
def test_values_stay_index_by_index(band: int, dtype: torch.dtype, bound: float) -> None:
    """S(t▷F) = roll(S(F)) for 200 real translations of white spectra up to 20, 24, 31 of 64 at stride 2."""
    field, layer = white(band, dtype=dtype), comoving()
    before = layer(sample(field, GRID))
    for part in translations(200).split(50):
        after = layer(sample(field.translate(part), GRID))
        for i, t in enumerate(part):
            one = Samples(after.values[i], after.grid.replace(origin=after.grid.origin[i]))
            assert moved_by_index(before, one, t) <= bound


@both_dtypes
@pytest.mark.parametrize("band", [5, 15, 24, 31])
def test_the_function_moves_along(band: int, dtype: torch.dtype, bound: float) -> None:
    """As interpolated fields, also below the coarse Nyquist frequency, where there is no origin."""
    field, layer = white(band, dtype=dtype), comoving()
    before = layer(sample(field, GRID))
    for part in translations(200).split(50):
        after = layer(sample(field.translate(part), GRID))
        assert float(compare(after, before.translate(part)).max()) <= bound


@pytest.mark.parametrize(
    ("dim", "s", "shape"),
    [
        (1, 2, (64,)),
        (1, 4, (64,)),
        (1, 3, (48,)),
        (2, (2, 4), (64, 32)),
        (2, (3, 1), (48, 20)),
        (3, 2, (16, 16, 16)),
        (3, (2, 1, 4), (16, 12, 16)),
    ],
    ids=str,
)
def test_other_dimensions_strides_and_batches(dim: int, s, shape: tuple[int, ...]) -> None:
    """Batches have an origin per element; strides differ per axis, down to 1; shapes may be odd."""
    period = tuple(0.5 * n for n in shape)
    fields = [random_bandlimited(dim, 2, 0.93, period, seed) for seed in range(3)]
    field = PlaneWaves(
        fields[0].frequencies, torch.stack([f.amplitudes for f in fields]), period=period
    )
    grid, layer = Grid(shape, 0.5, [0.3, -2.0, 1.0][:dim]), comoving(s)
    before = layer(sample(field, grid))
    assert before.grid.origin.shape == (3, dim)
    steps = (s,) * dim if isinstance(s, int) else s
    for t in translations(5, dim, 10.0):
        after = layer(sample(field.translate(t), grid))
        assert float(compare(after, before.translate(t)).max()) <= 1e-10
        for i in range(3 if 1 not in steps else 0):  # axes without a stride keep their grid
            one, two = (
                Samples(f.values[i], f.grid.replace(origin=f.grid.origin[i]))
                for f in (before, after)
            )
            assert moved_by_index(one, two, t) <= 1e-10


def test_rivals_break() -> None:
    """Teeth: at real translations the same number of Xu's subsampling is above 0.1, and that of an unblended grid is
    not small below the coarse Nyquist frequency, index by index."""
    t = translations(5)
    xu = EquivariantSubsampling(2)
    error = compare(
        xu(sample(white(24).translate(t), GRID)), xu(sample(white(24), GRID)).translate(t)
    )
    assert float(error.min()) > 0.1
    low = comoving()
    before, after = (low(sample(white(15).translate(t), GRID)) for t in (t[0] * 0, t[0]))
    shift = (before.grid.origin + t[0] - after.grid.origin) / 2
    assert float((shift - shift.round()).abs().max()) > 1e-3


def test_values_are_those_of_the_field_there() -> None:
    """S(F)[k] = F(Φ + s·h·k) up to (ε/c)² of what lies above the coarse Nyquist frequency."""
    field = white(30, seed=3)
    result, confidence = ComovingSubsampling(2).with_confidence(sample(field, GRID))
    exact = sample(field, result.grid, prefilter="none").values
    share = (predictors.EPSILON / float(confidence.min())) ** 2
    assert share < 1e-6
    assert float((result.values - exact).abs().max()) <= 4 * share * float(exact.abs().max())


def test_low_maps_lose_nothing() -> None:
    """Below the coarse Nyquist frequency the output determines the field."""
    field = white(15)
    f = comoving()(sample(field, GRID))
    assert_close(f.resample(GRID).values, sample(field, GRID).values, 500)


# --- where there is no origin -------------------------------------------------------------------


def planted(strength: float) -> Field:
    """C(1/2) runs through 0 with `strength`: waves 17 and 20 of 64 alone have none, 12 + 20 = 32 has."""
    waves = torch.tensor([[17.0], [20.0], [12.0], [3.0]], dtype=torch.float64) / 64
    amplitudes = [[1.0], [0.7 + 0.2j], [strength * (1 + 1j)], [0.5j]]
    return PlaneWaves(waves, amplitudes, period=64.0)


def largest_jump(layer: ComovingSubsampling, steps: int) -> float:
    """Of the output, as a function, along a path of so many steps, relative to its size."""
    fine, grid = Grid(SIDE, 1.0), Grid(SIDE, 1.0)
    strengths = torch.linspace(-4e-6, 4e-6, steps + 1, dtype=torch.float64)
    outputs = [layer(sample(planted(float(a)), grid)).resample(fine).values for a in strengths]
    jumps = [float((a - b).norm()) for a, b in itertools.pairwise(outputs)]
    return max(jumps) / float(outputs[0].norm())


def test_continuous_through_a_planted_zero() -> None:
    """The largest jump falls in proportion to the step, the origin jumps by half a period all the same."""
    layer = comoving()
    jumps = [largest_jump(layer, steps) for steps in (60, 120, 240)]
    assert jumps[0] < 0.2
    for coarse, fine in itertools.pairwise(jumps):
        assert 1.8 < coarse / fine < 2.2
    grids = [comoving_grid(sample(planted(a), Grid(SIDE, 1.0)), 2)[0].origin for a in (-1e-3, 1e-3)]
    assert abs(float(grids[0] - grids[1])) > 0.1


def test_without_blending_it_would_jump() -> None:
    """Teeth: the values at the same predicted grids, unblended, jump as functions however small the step."""
    outputs = []
    for strength in (-1e-9, 1e-9):
        field = planted(strength)
        grid, _ = comoving_grid(sample(field, Grid(SIDE, 1.0)), 2)
        kept = sample(field, grid, prefilter="none")
        outputs.append(kept.resample(Grid(SIDE, 1.0)).values)
    assert float((outputs[0] - outputs[1]).norm() / outputs[0].norm()) > 0.5


def test_a_vanishing_confidence_is_flagged() -> None:
    """Waves 17 and 20 of 64 have no wave of length 2 in their energy, though they aren't low."""
    f, confidence = ComovingSubsampling(2).with_confidence(sample(planted(0.0), Grid(SIDE, 1.0)))
    assert float(confidence) < 1e-14
    low = sample(PlaneWaves([[3 / 64]], [[0.5j]], period=64.0), f.grid)
    assert_close(f.values, low.values, 1e3)
    zero, confidence = ComovingSubsampling(2).with_confidence(
        Samples(torch.zeros(1, 8).double(), Grid(8, 1.0))
    )
    assert float(confidence) == 0.0
    assert not zero.values.any()


# --- gradients ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "s"), [((8,), 2), ((6, 4), 2), ((4, 4, 2), (2, 4, 1))], ids=str)
def test_gradients(shape: tuple[int, ...], s) -> None:
    """∂values/∂input and ∂origin/∂input are limits of differences."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(2, 2, *shape, generator=generator, dtype=torch.float64).requires_grad_()
    layer = comoving(s)

    def result(values: Tensor) -> tuple[Tensor, Tensor]:
        f = layer(Samples(values, Grid(shape, 1.0)))
        return f.values, f.grid.origin

    torch.autograd.gradcheck(result, (x,), fast_mode=True)


def test_gradients_are_cut_off_where_there_is_no_origin() -> None:
    """A map below the coarse Nyquist frequency, and 0: finite, and none through the origin."""
    for values in (sample(white(5), GRID).values, torch.zeros(2, SIDE, SIDE).double()):
        x = values.clone().requires_grad_()
        f = comoving()(Samples(x, GRID))
        (through_origin,) = torch.autograd.grad(f.grid.origin.sum(), x, retain_graph=True)
        assert not through_origin.any()
        f.values.square().sum().backward()
        assert bool(torch.isfinite(x.grad).all())


# --- other predictors, long axes, chunks --------------------------------------------------------


@pytest.mark.parametrize(
    "predictor",
    [
        predictors.Phase("strongest"),
        predictors.Phase(4),
        predictors.Centroid(),
        predictors.RefinedArgmax(),
    ],
    ids=repr,
)
def test_other_predictors(predictor) -> None:
    field, layer = white(24, seed=2), comoving(2, predictor)
    t = translations(3)
    after = layer(sample(field.translate(t), GRID))
    before = layer(sample(field, GRID)).translate(t)
    assert float(compare(after, before).max()) <= 1e-10


def test_long_axes_go_through_the_fft() -> None:
    """The same law where filters are no matrices."""
    field = random_bandlimited(1, 1, 0.45, 512.0, seed=0)
    grid, layer = Grid(512, 1.0), comoving()
    t = translations(3, 1, 512.0)
    after, before = (layer(sample(f, grid)) for f in (field.translate(t), field))
    assert float(compare(after, before.translate(t)).max()) <= 1e-10


def test_large_batches_are_those_of_their_elements() -> None:
    """Chunks of the batch don't show."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 3, 16, SIDE, SIDE, generator=generator, dtype=torch.float64)
    layer = comoving()
    whole = layer(Samples(x, GRID))
    assert whole.grid.origin.shape == (5, 3, 2)
    for i, j in ((0, 0), (4, 2), (2, 1)):
        one = layer(Samples(x[i, j], GRID))
        assert_close(whole.values[i, j], one.values, 1e4)


def test_upsampling_restores_low_maps() -> None:
    layer, f = comoving(), sample(white(14), GRID)
    assert_close(layer.upsampling(layer(f), GRID).values, f.values, 1e3)


# --- comoving_grid ------------------------------------------------------------------------------


def test_grid_of_samples_and_of_their_field_agree() -> None:
    field = white(24, seed=4)
    grid, confidence = comoving_grid(sample(field, GRID), 2)
    other, same = comoving_grid(field, 2.0)
    assert grid.shape == other.shape == (32, 32)
    steps = (grid.origin - other.origin) / 2
    assert float((steps - steps.round()).abs().max()) <= 1e-10
    torch.testing.assert_close(confidence, same, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dim", [1, 2])
def test_grid_of_a_decaying_field(dim: int) -> None:
    """On R^d the origin is the centre of a Gaussian, modulo the stride; the grid covers where the field is."""
    centre = [0.37, -5.9][:dim]
    field = Gaussians([centre], [[2.0]], [0.4])
    for predictor in (predictors.Phase(), predictors.Centroid()):
        grid, confidence = comoving_grid(field, 0.8, predictor)
        steps = (grid.origin - torch.tensor(centre, dtype=torch.float64)) / 0.8
        assert float((steps - steps.round()).abs().max()) <= 1e-7
        assert grid.boundary == "zero"
        values = sample(field, grid, prefilter="none").values
        assert_close(values.amax(), torch.tensor(2.0).double(), 1e9)
        # the transform of exp(−x²/w²) at 1/0.8
        if isinstance(predictor, predictors.Phase):
            expected = math.exp(-((math.pi * 0.4 / 0.8) ** 2))
            assert float((confidence - expected).abs().max()) <= 1e-7


def test_bad_input() -> None:
    f = sample(white(5), GRID)
    with pytest.raises(ValueError, match="needs periodic samples, got boundary 'zero'"):
        ComovingSubsampling(2)(Samples(f.values, GRID.replace(boundary="zero")))
    with pytest.raises(ValueError, match="sizes that work are 63 or 66"):
        ComovingSubsampling(3)(f)
    with pytest.raises(TypeError, match="expected a Field or Samples, got Tensor"):
        comoving_grid(f.values, 2)
    with pytest.raises(ValueError, match="doesn't divide the period"):
        comoving_grid(white(5), 3.0)
    with pytest.raises(ValueError, match=r"spacing 3 of a comoving grid doesn't divide the period"):
        comoving_grid(white(5), 3.0, bare)
    with pytest.raises(ValueError, match="decay"):
        comoving_grid(Formula(lambda x: x[..., :1], 2, 1), 2.0, bare)


def bare(f, modulus):
    """A predictor that asks for nothing."""
    zero = torch.zeros(f.dim, dtype=torch.float64)
    return zero, zero
