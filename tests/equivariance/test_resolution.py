"""The experiment `resolution`: its numbers against closed forms, its verdicts against made-up errors."""

import math

import numpy as np
import pytest
import torch

from discretize import Grid, sample
from equivariance.bad_input import BadInput
from equivariance.experiments import ResolutionSettings
from equivariance.experiments.resolution import defect, fields, orders
from fields import PlaneWaves
from tests.equivariance.lab import owes, quick, telling

judge = telling("resolution").judge


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return quick("resolution", tmp_path_factory.mktemp("lab"))


def test_what_it_owes(done):
    owes(done)


def test_one_folded_wave_in_closed_form():
    """cos(2π·5x) on 8 points becomes cos(2π·3x): the two moved apart have a mean square of 1 over all translations."""
    assert defect(PlaneWaves([[5.0]], [[1.0]]), Grid(8, 1 / 8), 5) == pytest.approx(1.0, rel=1e-12)


def test_the_mean_over_one_spacing_is_that_over_many_random_translations():
    field, grid = fields(ResolutionSettings(waves=512))["kink"], Grid(16, 1 / 16)
    t = torch.rand(2000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moved = sample(field.translate(t), grid, prefilter="none").interpolate()
    still = sample(field, grid, prefilter="none").interpolate().translate(t)
    fine = grid.refine(2)
    squares = (sample(moved, fine).values - sample(still, fine).values).square().sum(1).mean(-1)
    spread = float(squares.std()) / math.sqrt(len(t))
    assert float(squares.mean()) == pytest.approx(defect(field, grid, 512) ** 2, abs=4 * spread)


def test_rough_fields_have_the_spectrum_of_boxes():
    """A box of side a is 1 over a part a of the period."""
    settings = ResolutionSettings(waves=2048)
    values = fields(settings)["jump"].values
    high = values > values.mean(-1, keepdim=True)
    assert high.double().mean(-1).tolist() == pytest.approx(
        [0.2 + 0.1 * (i * 0.618034 % 1) for i in range(1, 9)], abs=2e-3
    )


def test_orders_are_fitted_beyond_round_off(done):
    error = done.data["measured"].copy(deep=True)
    h = 1 / error["size"].to_numpy()
    error[:] = np.maximum(h**3, 0)
    assert orders(error) == pytest.approx(3 * np.ones(5))
    error[:] = 1e-16
    assert np.isnan(orders(error)).all()


@pytest.mark.parametrize(
    ("name", "factor", "failing"),
    [
        ("foretold", 1.02, ["the spectrum foretells the error of sampling to 1%"]),
        ("foretold", math.nan, ["the spectrum foretells the error of sampling to 1%"]),
    ],
)
def test_verdicts_are_those_of_the_numbers(done, name, factor, failing):
    data = done.data.copy(deep=True)
    data[name][0] = data[name][0] * factor
    assert [f.prediction for f in judge(data) if not f.holds] == failing


def test_a_wrong_order_is_owned_up_to(done):
    data = done.data.copy(deep=True)
    data["error"].loc[{"layer": "max pooling"}] = data["error"].sel(layer="average pooling")
    assert [f.prediction for f in judge(data) if not f.holds] == ["max pooling: order 1 ± 0.15"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"finest": 48}, "--finest must be a power of 2"),
        ({"waves": 100}, "--waves must lie between 8 times --finest, 2048"),
        ({"band": 128}, "--band must be below half of --finest"),
        ({"band": 0}, "--band must be at least 1"),
    ],
)
def test_bad_settings(bad, message):
    with pytest.raises(BadInput, match=message):
        ResolutionSettings(**bad).check()
