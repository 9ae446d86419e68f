"""Interpolants: through their samples, exact on what they are made for, equal to their oracles."""

import math

import numpy as np
import pytest
import scipy.interpolate
import scipy.signal
import torch

from fields import Field, Interpolated, PlaneWaves, random_bandlimited
from fields.evaluation.evaluation import evaluate
from fields.interpolation import nonuniform
from fields.interpolation.fourier import commensurate
from fields.lattice import Lattice
from tests.compare import assert_close
from tests.laws.registry import DIMS, points

every_dim = pytest.mark.parametrize("dim", DIMS)
SIZES = (6, 5, 4)


def noise(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(math.prod(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def on_lattice(field: Field, origin: object, spacing: object, shape: tuple[int, ...]):
    dim = field.dim
    origin = torch.as_tensor(origin, dtype=torch.float64).expand(dim)
    return evaluate(field, Lattice(origin, tuple(np.broadcast_to(spacing, dim).tolist()), shape))


@every_dim
@pytest.mark.parametrize("method", ["fourier", "linear"])
@pytest.mark.parametrize("boundary", ["periodic", "zero"])
def test_passes_through_its_samples(dim: int, method: str, boundary: str) -> None:
    """F(origin + h·i) = values[i], on the lattice and at scattered points."""
    values, spacing, shape = noise(2, *SIZES[:dim]), (0.5, 0.3, 0.7)[:dim], SIZES[:dim]
    field = Interpolated(values, spacing, [0.1, -0.2, 5.0][:dim], method, boundary)
    lattice = Lattice(field.origin, spacing, shape)
    assert_close(evaluate(field, lattice), values, 100)
    assert_close(field(lattice.points()).movedim(-1, 0), values, 200)


@every_dim
@pytest.mark.parametrize("sizes", [(6, 8, 4), (7, 5, 3), (6, 5, 4)])
def test_fourier_is_exact_below_nyquist(dim: int, sizes: tuple[int, ...]) -> None:
    """The interpolant of samples of a band-limited field is the field: odd and even sizes."""
    spacing, shape = (0.5, 0.3, 0.7)[:dim], sizes[:dim]
    period = [n * h for n, h in zip(shape, spacing, strict=True)]
    below = [((n - 1) // 2 + 0.1) / p for n, p in zip(shape, period, strict=True)]
    field = random_bandlimited(dim, 2, below, period, seed=0)
    samples = on_lattice(field, 0.3, spacing, shape)
    interpolant = Interpolated(samples, spacing, [0.3] * dim)
    assert_close(interpolant(points(dim)), field(points(dim)), 500)
    assert interpolant.period == pytest.approx(period)


@every_dim
def test_the_wave_at_nyquist_is_its_cosine(dim: int) -> None:
    """Samples (−1)^i of spacing h are those of cos(πx/h), shifted by the origin."""
    spacing, origin = 0.5, 0.2
    axis = (-1.0) ** torch.arange(4, dtype=torch.float64)
    values = axis
    for _ in range(dim - 1):
        values = values[..., None] * axis
    field = Interpolated(values[None], (spacing,) * dim, [origin] * dim)
    x = points(dim)
    expected = torch.cos(math.pi * (x - origin) / spacing).prod(-1, keepdim=True)
    assert_close(field(x), expected, 200)
    lattice = Lattice(torch.full((dim,), 0.31).double(), (spacing,) * dim, (4,) * dim)
    assert_close(evaluate(field, lattice), field(lattice.points()).movedim(-1, 0), 200)
    assert field.bandlimit == (1.0,) * dim


@pytest.mark.parametrize("size", [5, 6, 7, 8])
@pytest.mark.parametrize("refine", [2, 3, 5])
def test_fourier_against_scipy_resample(size: int, refine: int) -> None:
    """On the refined grid, scipy.signal.resample along every axis."""
    values = noise(1, size, size + 1)
    fine = (size * refine, (size + 1) * refine)
    expected = values.numpy()
    for axis, count in enumerate(fine, start=1):
        expected = scipy.signal.resample(expected, count, axis=axis)
    field = Interpolated(values, (1.0, 2.0))
    assert_close(on_lattice(field, 0.0, (1 / refine, 2 / refine), fine), expected, 100)


@every_dim
@pytest.mark.parametrize(
    ("spacing", "shape"),
    [
        (0.5, (6, 5, 4)),  # the samples' own
        (0.25, (12, 10, 8)),  # refined
        (1.0, (3, 5, 4)),  # coarser
        (0.25, (5, 17, 3)),  # refined, part of the period, and more than one
        (0.1, (31, 4, 2)),
        (0.3, (5, 4, 3)),  # no common lattice
    ],
)
@pytest.mark.parametrize("sizes", [(6, 5, 4), (5, 8, 3)])
def test_fast_transforms_are_the_sum_of_waves(
    dim: int, spacing: float, shape: tuple[int, ...], sizes: tuple[int, ...]
) -> None:
    """Every way to evaluate on a lattice gives Σ_k c_k exp(2πi k·x/P), odd and even sizes.

    Batched origins included.
    """
    values = noise(2, *sizes[:dim])
    field = Interpolated(values, (0.5,) * dim, [0.1] * dim)
    origins = torch.stack([torch.full((dim,), 0.1), points(dim, 1)[0]]).double()
    lattice = Lattice(origins, (spacing,) * dim, shape[:dim])
    x = lattice.points() - 0.1
    expected = torch.zeros(2, *shape[:dim], 2, dtype=torch.float64)
    spectrum = torch.fft.fftn(values, dim=tuple(range(1, dim + 1)), norm="forward")
    for index in np.ndindex(*sizes[:dim]):
        wave = torch.ones(2, *shape[:dim], dtype=torch.complex128)
        for axis, (k, n) in enumerate(zip(index, sizes, strict=False)):
            turns = 2 * math.pi * x[..., axis] / (0.5 * n)
            cosine = torch.cos(k * turns) + 0j
            own = torch.exp(1j * (k - n * (2 * k > n)) * turns)
            wave = wave * (cosine if 2 * k == n else own)
        expected += (wave[..., None] * spectrum[(slice(None), *index)]).real
    assert_close(evaluate(field, lattice).movedim(1, -1), expected, 500)


@every_dim
def test_sinc_series(dim: int) -> None:
    """Boundary "zero": F(x) = Σ_i values[i] ∏ sinc((x − x_i)/h)."""
    values, spacing, x = noise(2, *SIZES[:dim]), (0.5, 0.3, 0.7)[:dim], points(dim)
    expected = torch.zeros(5, 2, dtype=torch.float64)
    for index in np.ndindex(*SIZES[:dim]):
        position = torch.tensor(index) * torch.tensor(spacing, dtype=torch.float64)
        weight = torch.sinc((x - position) / torch.tensor(spacing, dtype=torch.float64)).prod(-1)
        expected += weight[:, None] * values[(slice(None), *index)]
    field = Interpolated(values, spacing, boundary="zero")
    assert_close(field(x), expected, 200)
    assert field.bandlimit == tuple(0.5 / h for h in spacing)


@every_dim
@pytest.mark.parametrize("boundary", ["periodic", "zero"])
def test_linear_against_scipy(dim: int, boundary: str) -> None:
    """Multilinear interpolation of the samples continued by wrapping, or by zeros."""
    values, shape = noise(2, *SIZES[:dim]), SIZES[:dim]
    pads = [(3 * n, 3 * n) for n in shape]
    mode = {"periodic": "wrap", "zero": "constant"}[boundary]
    wide = np.pad(values.numpy(), [(0, 0), *pads], mode=mode)
    axes = [0.5 * (np.arange(7 * n) - 3 * n) + 0.2 for n in shape]
    oracle = scipy.interpolate.RegularGridInterpolator(axes, np.moveaxis(wide, 0, -1))
    field = Interpolated(values, (0.5,) * dim, [0.2] * dim, "linear", boundary)
    x = 2 * points(dim, 40)
    assert_close(field(x), oracle(x.numpy()), 200)


@every_dim
@pytest.mark.parametrize("method", ["fourier", "linear"])
@pytest.mark.parametrize("boundary", ["periodic", "zero"])
def test_batches_of_values_and_origins(dim: int, method: str, boundary: str) -> None:
    """Values (3, 1, …) and origins (2, d) broadcast to (3, 2), at points and on moving lattices."""
    values, origins = noise(3, 1, 2, *SIZES[:dim]), noise(2, dim)
    options = {"spacing": (0.5,) * dim, "method": method, "boundary": boundary}
    field, x = Interpolated(values, origin=origins, **options), points(dim)
    lattice = Lattice(noise(3, 2, dim), (0.25,) * dim, (4, 3, 2)[:dim])
    on_grid = evaluate(field, lattice)
    assert field.batch == (3, 2)
    for i, j in np.ndindex(3, 2):
        alone = Interpolated(values[i, 0], origin=origins[j], **options)
        assert_close(field(x)[i, j], alone(x), 200, 1.0)
        own = Lattice(lattice.origin[i, j], lattice.spacing, lattice.shape)
        assert_close(on_grid[i, j], evaluate(alone, own), 200, 1.0)


def test_values_in_single_precision_at_positions_in_double() -> None:
    """Far from zero, float32 values are still interpolated where they should be."""
    values = noise(1, 8).float()
    near, far = (Interpolated(values, 1.0, o) for o in (0.0, 1e7))
    x = torch.tensor([[0.37], [5.21]], dtype=torch.float64)
    assert_close(far(x + 1e7), near(x), 200)


def test_evaluation_in_inference_mode_leaves_no_trace() -> None:
    """What is kept from an evaluation without gradients serves a later one with gradients."""
    field = Interpolated(noise(1, 8), 1.0)
    lattice = Lattice(torch.zeros(1).double(), (1.0,), (8,))
    with torch.inference_mode():
        evaluate(field, lattice)
    origin = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    evaluate(field, Lattice(origin, (1.0,), (8,)))[0, 0].backward()
    assert_close(origin.grad, field.gradient([0.3])[0], 100, 1.0)


def test_period_is_a_multiple_of_the_extent() -> None:
    """P, 2P, … and nothing between or below."""
    field = Interpolated(noise(1, 8), 0.25)
    multiples = {2.0: True, 4.0: True, 1.0: False, 3.0: False, 0.1: False}
    assert {p: field.is_periodic(p) for p in multiples} == multiples
    assert not PlaneWaves([[0.5]], [[1.0]]).is_periodic(1.0)


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Interpolated(noise(4), (1.0,)), r"values must have shape \(\*batch, c, X1, …, X1"),
        (lambda: Interpolated(noise(1, 0, 3), (1.0, 1.0)), "no size 0"),
        (lambda: Interpolated(noise(1, 4), 0.0), "spacing must be positive"),
        (lambda: Interpolated(noise(1, 4), -1.0), "spacing must be positive"),
        (lambda: Interpolated(noise(1, 4, 4), (1.0, math.nan)), "spacing must be finite"),
        (lambda: Interpolated(noise(1, 4) / 0, 1.0), "values must be finite"),
        (lambda: Interpolated(noise(1, 4), 1.0, method="magic"), "one of nearest|fourier"),
        (
            lambda: Interpolated(noise(1, 4), 1.0, boundary="reflect"),
            "method 'fourier' continues samples by boundary periodic or zero, got 'reflect'",
        ),
        (lambda: Interpolated(noise(1, 4, 4, 4, 4), (1.0,) * 4), "1, 2 or 3 axes, got 4"),
        (
            lambda: Interpolated(noise(1, 4, 4), (1.0, 1.0), [0.0, 0.0, 0.0]),
            r"origin must be a number or have shape \(2,\) or \(\*batch, 2\), got \(3,\)",
        ),
        (lambda: Interpolated(noise(1, 4, 4), (1.0, 1.0), torch.zeros(0, 2)), r"got \(0, 2\)"),
    ],
)
def test_bad_input(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


# --- labelled arrays ----------------------------------------------------------------------------


def labelled(**coords: object):
    xarray = pytest.importorskip("xarray")
    rows = noise(4, 6, 2).numpy()[: len(coords.get("x1", range(4)))]
    return xarray.DataArray(rows, coords, ("x1", "x2", "channel"))


def test_from_xarray() -> None:
    """Coordinates give spacing and origin; the channels are last; no coordinates count from 0."""
    array = labelled(x1=0.5 * np.arange(4) + 3)
    field = Interpolated.from_xarray(array, method="linear")
    assert (field.dim, field.channels, field.shape) == (2, 2, (4, 6))
    assert field.spacing == (0.5, 1.0)
    assert field.origin.tolist() == [3.0, 0.0]
    assert_close(field([4.0, 5.0]), array.values[2, 5], 10)
    turned = Interpolated.from_xarray(array.isel(x1=slice(None, None, -1)), method="linear")
    assert torch.equal(turned.values, field.values)
    swapped = Interpolated.from_xarray(array.transpose("channel", "x2", "x1"), ("x1", "x2"))
    assert torch.equal(swapped.values, field.values)
    single = Interpolated.from_xarray(array.isel(channel=0).astype("float32"))
    assert (single.channels, single.dtype) == (1, torch.float32)


@pytest.mark.parametrize(
    ("coords", "options", "message"),
    [
        ({"x1": [0.0, 1.0, 2.5, 3.0]}, {}, "'x1' are uneven: steps lie between 0.5 and 1.5"),
        ({"x1": list("abcd")}, {}, "'x1' must be real numbers"),
        ({"x1": [0.0, 1.0, np.nan, 3.0]}, {}, "must be finite"),
        ({"x1": [2.0]}, {}, r"'x1' has 1 coordinate, two are needed.*array.squeeze\('x1'\)"),
        ({}, {"channel": "colour"}, "no dimension 'colour'"),
        ({}, {"dims": ("x1",)}, "don't name each once"),
        ({}, {"memory": 100}, "the bound is"),
    ],
)
def test_labelled_arrays_that_are_refused(coords, options, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        Interpolated.from_xarray(labelled(**coords), **options)


def test_scattered_points_move_no_spectra(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single point is no lattice as coarse as the period: it costs a sum of waves, and no FFT of the samples."""

    def refuse(*_: object) -> None:
        raise AssertionError("a spectrum was moved for a single point")

    monkeypatch.setattr("fields.leaves.interpolated.translated", refuse)
    field = Interpolated(torch.ones(1, 32, 32).double(), 1 / 32, [0.0, 0.0])
    assert_close(field([[0.3, 0.4]]), torch.ones(1, 1).double(), 100)


@pytest.mark.parametrize("refine", [1, 2])
@pytest.mark.parametrize("lead", [(), (2,), (2, 1)])
def test_large_maps_are_moved_a_few_at_a_time(
    lead: tuple[int, ...], refine: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same values, whether all maps go through one FFT or, being large, through one buffer in turns."""
    values = noise(*lead, 3, 6, 5)
    origin = torch.tensor([0.3, 0.6], dtype=torch.float64)
    lattice = Lattice(origin, (0.5, 0.5 / refine), (6, 5 * refine))
    assert commensurate(lattice, (0.5, 0.5), (6, 5)) == ([1, refine], [1, 1])
    whole = evaluate(Interpolated(values, (0.5, 0.5)), lattice)
    monkeypatch.setattr("fields.interpolation.fourier.FOURIER_CHUNK", 1)
    assert_close(evaluate(Interpolated(values, (0.5, 0.5)), lattice), whole, 10)


def test_a_batch_at_the_same_points_is_one_transform(monkeypatch: pytest.MonkeyPatch) -> None:
    """All maps of a batch on one lattice are asked at once, not one after the other."""
    calls = []
    real = nonuniform.waves_at
    monkeypatch.setattr(nonuniform, "pays", lambda *_: True)
    monkeypatch.setattr(nonuniform, "waves_at", lambda *a: calls.append(a) or real(*a))
    values = noise(3, 2, 6, 5)
    lattice = Lattice(torch.tensor([0.3, 0.6]).double(), (0.37, 0.71), (4, 3))
    found = evaluate(Interpolated(values, (1.0, 1.0)), lattice)
    assert len(calls) == 1
    for each, own in zip(found, values, strict=True):
        assert_close(each, evaluate(Interpolated(own, (1.0, 1.0)), lattice), 1e4, 1.0)
