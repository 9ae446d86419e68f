"""One test for each kind of defect that hostile arguments once found."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from discretize import BlurPool, Grid, Samples, Stride, sample
from equivariance import Comoving
from fields import (
    Atoms,
    Ball,
    Boxes,
    Constant,
    Formula,
    Gabors,
    GaussianKernel,
    Gaussians,
    Interpolated,
    Mask,
    PeriodicKernel,
    PlaneWaves,
    Polynomial,
    Sprites,
    mlp_kernel,
    random_bandlimited,
    soft_maximum,
    stack,
)
from layers import GlobalPool, OnGrid, TorchModel

GAUSSIAN = Gaussians([[0.0, 0.0]], [[1.0]], [1.0])
SAMPLES = Samples(torch.ones(2, 4, 4).double(), Grid((4, 4), 1.0))
WAVE = PlaneWaves([[0.25, 0.0]], [[1.0]])


def test_read_only_arrays_are_taken_without_a_warning() -> None:
    """torch warns of them, and would write to them."""
    values = np.ones((1, 4, 4))
    values.flags.writeable = False
    assert Samples(values, Grid((4, 4), 1.0)).values.sum() == 16


@pytest.mark.parametrize("turn", [np.flip, lambda a: a.astype(">f8"), np.asfortranarray])
def test_arrays_of_any_layout_are_numbers(turn) -> None:
    """Negative strides and the other byte order, which torch refuses."""
    values = np.arange(6.0).reshape(1, 3, 2)
    found = Samples(turn(values), Grid((3, 2), 1.0)).values.numpy()
    np.testing.assert_array_equal(found, turn(values))


def test_masked_arrays_do_not_lose_their_mask() -> None:
    masked = np.ma.masked_array([1.0, 2.0], [True, False])
    with pytest.raises(TypeError, match="fill what is masked"):
        Constant(masked, dim=1)


@pytest.mark.parametrize("value", [np.array([1 + 2j]), torch.tensor([1 + 2j]), 1j])
def test_imaginary_parts_are_not_dropped(value) -> None:
    with pytest.raises(TypeError, match="must be"):
        Constant(value, dim=1)
    with pytest.raises(TypeError, match="must be"):
        Boxes([[0.0]], [[1 + 2j]], [1.0])


def test_complex_amplitudes_given_as_arrays() -> None:
    """Where they mean something they are kept."""
    amplitudes = np.array([[1 + 2j]])
    assert PlaneWaves([[0.5]], amplitudes).amplitudes.imag.item() == 2
    assert Gabors([[0.0]], amplitudes, [1.0], [[0.5]]).amplitudes.imag.item() == 2


@pytest.mark.parametrize(
    "tensor", [torch.ones(2).to_sparse(), torch.ones(2, device="meta")], ids=["sparse", "meta"]
)
def test_tensors_without_plain_values(tensor: torch.Tensor) -> None:
    with pytest.raises(TypeError, match="must be a plain tensor"):
        Constant(tensor, dim=1)


@pytest.mark.parametrize("value", [10**400, "2", None, {1.0, 2.0}, {"a": 1}, object()])
def test_what_is_no_number(value) -> None:
    with pytest.raises((TypeError, ValueError), match="spacing"):
        Grid((4, 4), value)


def test_endless_iterators_are_not_read_to_their_end() -> None:
    with pytest.raises(ValueError, match="or more of them"):
        Grid((4, 4), itertools.count(1))
    with pytest.raises(ValueError, match="or more of them"):
        Grid(itertools.count(1), 1.0)
    with pytest.raises(ValueError, match="more than"):
        stack(itertools.repeat(GAUSSIAN))


@pytest.mark.parametrize("length", [1e-300, 5e-324, 1e300])
def test_lengths_whose_squares_are_lost(length: float) -> None:
    """They gave NaN."""
    with pytest.raises(ValueError, match="choose another unit"):
        Ball(length)
    with pytest.raises(ValueError, match="choose another unit"):
        GaussianKernel(length, [[1.0]])
    with pytest.raises(ValueError, match="choose another unit"):
        Interpolated(np.ones((1, 4)), length)
    with pytest.raises(ValueError, match="choose another unit"):
        Gaussians([[0.0]], [[1.0]], [length])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Constant([], dim=2),
        lambda: Gaussians([[0.0]], np.ones((1, 0)), [1.0]),
        lambda: PlaneWaves([[0.5]], np.ones((1, 0))),
        lambda: Polynomial([[1]], np.ones((1, 0))),
        lambda: GaussianKernel(1.0, np.ones((0, 2))),
        lambda: Atoms([[0.0]], np.ones((1, 0, 1))),
        lambda: Samples(np.ones((0, 4)), Grid(4, 1.0)),
        lambda: GAUSSIAN.translate(np.ones((0, 2))),
        lambda: Grid(4, 1.0, np.ones((0, 1))),
        lambda: Stride([]),
    ],
)
def test_nothing_is_no_argument(make) -> None:
    """No channels, no axes, no element of a batch: they divided by zero later on."""
    with pytest.raises(ValueError, match=r".{20}"):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: random_bandlimited(2, 1, 1e6, 1e6, seed=0),
        lambda: random_bandlimited(1, 1 << 31, 1.0, 4.0, seed=0),
        lambda: mlp_kernel(2, 1 << 16, 1 << 16, 1.0),
        lambda: PeriodicKernel.from_density(lambda y: y, 1.0, (99_999, 99_999, 99_999), 3),
        lambda: SAMPLES.pool(Ball(1e9)),
        lambda: SAMPLES.pool(Mask(np.ones((2, 2)), 1e9)),
        lambda: GAUSSIAN.periodize(1e-9),
        lambda: BlurPool(2, taps=1 << 30),
        lambda: Polynomial([[10**9]], [[1.0]]),
    ],
)
def test_what_would_take_all_memory_or_all_day(make) -> None:
    """Refused before anything is allocated."""
    with pytest.raises(ValueError, match=r"more than|bound|at most|go up to"):
        make()


def test_results_of_functions_are_looked_at() -> None:
    with pytest.raises(TypeError, match="must return a tensor, got NoneType"):
        PeriodicKernel.from_density(lambda y: None, 1.0, 3, 1)
    with pytest.raises(ValueError, match="must return shape"):
        PeriodicKernel.from_density(lambda y: y.sum(), 1.0, 3, 1)
    with pytest.raises(TypeError, match="must be callable"):
        SAMPLES.map(3)


@pytest.mark.parametrize("bad", ["mean", [], np.ones(2), None, float("nan"), 2.0])
def test_tolerances(bad) -> None:
    """They are compared with numbers, which arrays and words are not."""
    for call in (
        lambda: GAUSSIAN.map(torch.sin).norm(rtol=bad),
        lambda: WAVE.resolve(bad),
        lambda: sample(WAVE, Grid((4, 4), 1.0), rtol=bad),
        lambda: GlobalPool("max", rtol=bad),
        lambda: GAUSSIAN.support(bad),
    ):
        with pytest.raises((TypeError, ValueError), match="rtol must"):
            call()


@pytest.mark.parametrize("bad", ["1 GiB", None, 0, -(10**400), [1, 2]])
def test_bounds_on_memory(bad) -> None:
    with pytest.raises((TypeError, ValueError), match="memory must"):
        GAUSSIAN.map(torch.sin).integrate(memory=bad)


@pytest.mark.parametrize("bad", [[], {}, np.ones(2), 3, "no such"])
def test_words(bad) -> None:
    """A choice is looked up, and what can't be hashed or compared is no choice."""
    for call in (
        lambda: Interpolated(np.ones((1, 4)), 1.0, method=bad),
        lambda: Grid(4, 1.0, boundary=bad),
        lambda: Sprites(bad, [[0.0, 0.0]], [[1.0]], [1.0], [0.0]),
    ):
        with pytest.raises(ValueError, match="must be one of"):
            call()


@pytest.mark.parametrize("bad", ["cuda:99", "no such", "", 0, None])
def test_devices(bad) -> None:
    with pytest.raises((TypeError, ValueError), match="device"):
        Formula(torch.sin, 1, 1, device=bad)


@pytest.mark.parametrize("bad", [1.5, "0", None, 2**64])
def test_seeds(bad) -> None:
    with pytest.raises((TypeError, ValueError), match="seed must be an integer"):
        random_bandlimited(1, 1, 1.0, 4.0, seed=bad)


def test_temperatures_of_other_channels() -> None:
    pool = soft_maximum([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="temperatures for 3 channels"):
        SAMPLES.pool(Ball(1.0), pool)


def test_offsets_beyond_what_a_lattice_counts() -> None:
    with pytest.raises(ValueError, match="check the units"):
        SAMPLES.convolve(Atoms([[0.0, 1e30]], torch.ones(1, 2, 2).double()))


def test_half_precision_where_there_is_no_transform() -> None:
    with pytest.raises(TypeError, match=r"float32 or torch\.float64"):
        Interpolated(torch.ones(1, 4).half(), 1.0)


def test_models_that_refuse_their_input_say_it_themselves() -> None:
    """What a model raises is its own; what it returns is looked at."""
    with pytest.raises(TypeError, match="must return one tensor"):
        TorchModel(nn.LSTM(4, 2).double())(Samples(torch.ones(1, 1, 4).double(), Grid(4, 1.0)))
    with pytest.raises(TypeError, match="expected a tensor"):
        OnGrid(nn.Identity(), SAMPLES.grid)([1.0])
    with pytest.raises((TypeError, ValueError), match=r"tensor|shape"):
        Comoving(nn.Identity())([1.0])
