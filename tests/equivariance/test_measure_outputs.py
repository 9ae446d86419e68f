"""Outputs of every kind: without a batch axis, of another shape in a batch, in half precision, without space."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from discretize import Grid, Samples, sample
from equivariance import lie_derivative, measure
from equivariance.measuring.border import shares
from equivariance.measuring.measured import findings
from equivariance.metrics import fractional_consistency
from fields import random_bandlimited

F64 = {"dtype": torch.float64}
NOISE = random_bandlimited(1, 1, 0.4, 16.0, seed=0)


class Does(nn.Module):
    """What a function does, after a convolution."""

    def __init__(self, function):
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1, padding_mode="circular")
        self.function = function

    def forward(self, x):
        return self.function(self.conv(x))


class Table(nn.Module):
    """A parameter, whatever comes in."""

    def __init__(self):
        super().__init__()
        self.values = nn.Parameter(torch.ones(5, 16))

    def forward(self, x):
        return self.values


class WithTable(nn.Module):
    """A map, and a table that is no output of any input."""

    def __init__(self):
        super().__init__()
        self.conv, self.table = Does(nn.Identity()), Table()

    def forward(self, x):
        return self.conv(x), self.table(x)


def errors(model, t, **options):
    return measure(model, NOISE, t, size=(16,), padding="as is", **{**F64, **options})["error"]


def test_outputs_without_a_batch_axis_are_not_compared() -> None:
    error = errors(WithTable(), [[0.5], [1.0]])
    assert error["layer"].to_numpy().tolist()[-1] == "output[0]"
    assert "table" not in error["layer"]
    assert float(error.max()) < 1e-13


def test_a_batch_that_becomes_channels_is_found_there() -> None:
    assert float(errors(Does(lambda x: x[None, :, 0]), [[1.0], [2.5]]).max()) < 1e-13


def test_outputs_on_another_device_are_told_of() -> None:
    passes = []

    def wanders(x):
        passes.extend([x] * (len(x) > 1))
        return x.to("meta") if len(passes) > 1 else x

    with pytest.raises(ValueError, match="put out a tensor on cpu, then one on meta"):
        errors(Does(wanders), [[float(t)] for t in range(40)], batch=2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_models_in_half_precision_are_measured_in_another(dtype) -> None:
    """450 eps would be 3.5, or 0.44: any model was equivariant up to rounding."""
    model = Does(nn.Identity()).to(dtype)
    name = str(dtype).removeprefix("torch.")
    message = rf"in {name} rounding hides .*: give dtype=torch.float32 \(--dtype float32\)"
    for options in ({"dtype": None}, {"dtype": dtype}):
        with pytest.raises(ValueError, match=message):
            errors(model, [[1.0]], **options)
    assert float(errors(model, [[1.0], [0.3]], dtype=torch.float32).max()) < 1e-5


def test_layers_that_round_to_half_precision_are_compared_in_single() -> None:
    """Rolls stay exact; between samples the error is that of the rounded maps, by hand in double."""
    model, grid = Does(lambda x: x.bfloat16()), Grid(16, 1.0)
    error = errors(model, [[3.0], [0.3]], dtype=torch.float32)
    whole, between = error.sel(layer="output").to_numpy().ravel()
    assert whole == 0
    with torch.no_grad():
        still, after = (
            Samples(model(sample(f, grid).values[None].float())[0].double(), grid)
            for f in (NOISE, NOISE.translate([0.3]))
        )
    expected = still.translate([0.3]).resample(grid).values
    by_hand = float((after.values - expected).norm() / still.values.norm())
    assert 2**-12 < by_hand < 2**-7
    assert between == pytest.approx(by_hand, rel=1e-3)


def test_an_output_without_channels_is_an_invariant() -> None:
    """One value of the input, the first: |F(x − t) − F(x)| / |F(x)|."""
    model = Does(lambda x: x[:, 0, 0])
    model.conv = nn.Identity()
    t = [[0.7], [3.0]]
    first = Grid(16, 1.0).points()[:1]
    still, *moved = (float(NOISE(first - s)) for s in (0.0, 0.7, 3.0))
    expected = [abs(value - still) / abs(still) for value in moved]
    np.testing.assert_allclose(errors(model, t).sel(layer="output").to_numpy().ravel(), expected)


def test_maps_that_lie_nowhere_over_each_other_are_not_compared() -> None:
    """Of 64 pixels a kernel of 33 leaves 32 samples: moved by 32 or more they share none."""
    t = [[0.0], [31.0], [32.0], [40.0], [-32.0]]
    data = measure(nn.Conv1d(1, 1, 33), None, t, size=(64,), padding="as is", limit=1, **F64)
    error = data["error"].sel(layer="output").to_numpy().ravel()
    assert np.isnan(error).tolist() == [False, False, True, True, True]
    assert error[0] == 0
    assert error[1] < 1e-13


def test_a_model_that_refuses_nan_has_no_interior_that_is_known() -> None:
    class Refuses(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(1, 1, 3, padding=1)

        def forward(self, x):
            y = self.conv(x)
            if y.isnan().any():
                raise ArithmeticError("not a number")
            return y

    t = [[1.0], [2.0]]
    picky = measure(Refuses(), NOISE, t, size=(16,), **F64).sel(padding="as is", layer="output")
    plain = measure(Refuses().conv, NOISE, t, size=(16,), **F64).sel(padding="as is")
    assert np.isnan(picky["interior"]).all()
    assert float(plain["interior"].max()) < 1e-14
    assert float(picky["error"].max()) > 1e-3


def test_translations_that_are_no_fractions_have_words_too() -> None:
    data = measure(nn.ReLU(), NOISE, [[0.0], [math.pi]], size=(16,), padding="as is", **F64)
    (found,) = findings(data, "as is")
    assert (found.commutes_with, found.error_there, found.verdict) == ("none", 0.0, "unknown")
    assert found.error_elsewhere > 1e-3


def test_border_and_aliasing_need_both_paddings() -> None:
    data = measure(nn.ReLU(), NOISE, [[1.0]], size=(16,), padding="as is", **F64)
    with pytest.raises(ValueError, match="by measuring with padding='both'"):
        shares(data)


def test_metrics_need_one_tensor() -> None:
    x = torch.rand(2, 1, 16, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="must return one tensor here, got tuple: wrap it in one"):
        fractional_consistency(WithTable(), x)


def test_maps_that_cover_no_period_have_no_lie_derivative() -> None:
    """14 samples of 16 pixels; their mean is an invariant, which has one: that of the mean is 0 for a period."""
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.AdaptiveAvgPool1d(1))
    found = lie_derivative(model, NOISE, (16,), layers="all", **F64)
    assert list(found) == ["1", "output"]


def test_layers_are_chosen_by_patterns() -> None:
    """One, or several; the output is always there."""
    layers = {"conv1": nn.Conv1d(1, 2, 3, padding=1), "act": nn.ReLU(), "conv2": nn.Conv1d(2, 1, 1)}
    model = nn.Sequential()
    for name, layer in layers.items():
        model.add_module(name, layer)
    for patterns, expected in (
        ("conv*", {"conv1", "conv2", "output"}),
        (["*1", "a?t"], {"conv1", "act", "output"}),
    ):
        data = measure(model, NOISE, [[1.0]], size=(16,), layers=patterns, **F64)
        assert set(data.layer.values) == expected
    with pytest.raises(ValueError, match=r"no layer fits 'pool\*'.*conv1"):
        measure(model, NOISE, [[1.0]], size=(16,), layers="pool*", **F64)


@pytest.mark.parametrize("dim", [1, 2])
def test_layers_are_probed_at_multiples_of_their_own_stride(dim: int) -> None:
    """A layer of stride 1 behind one of stride 2; what lies between its multiples says nothing of it."""
    pool = {1: nn.MaxPool1d, 2: nn.MaxPool2d}[dim]
    model = nn.Sequential(nn.ReLU(), pool(2), pool(2))
    field = random_bandlimited(dim, 1, 0.4, 16.0, seed=0)
    data = measure(model, field, [[1.0] * dim], size=(16,) * dim, layers="all", **F64)
    assert data["bitwise"].all()


def test_windows_are_not_probed() -> None:
    """A window of a larger image isn't rolled: other pixels enter it."""
    x = torch.rand(1, 1, 32, generator=torch.Generator().manual_seed(0))
    data = measure(nn.ReLU(), x, [[1.0]], size=(16,), boundary="window")
    assert not data["bitwise"].any()


def test_layers_are_chosen_by_texts_and_precision_is_that_of_weights() -> None:
    """The first number may be a count, as that of a BatchNorm."""
    model = Does(nn.Identity()).double()
    model.register_parameter("count", nn.Parameter(torch.tensor(3), requires_grad=False))
    model._parameters = dict(reversed(model._parameters.items()))
    assert measure(model, NOISE, [[1.0]], size=(16,)).attrs["dtype"] == "float64"
    with pytest.raises(TypeError, match=r"layers must be names or patterns of names, got 3"):
        measure(model, NOISE, [[1.0]], size=(16,), layers=["conv", 3])
