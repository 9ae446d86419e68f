"""The experiment `invariance`: its promises by arguments of their own, verdicts against the numbers."""

import math

import pytest
import torch

from discretize import AveragePooling, BlurPool, Grid, MaxPooling, Samples
from equivariance.bad_input import BadInput
from equivariance.experiments import InvarianceSettings, SubsamplingSettings
from equivariance.experiments.invariance import PROMISES, translations
from equivariance.experiments.rivals import methods
from tests.equivariance.lab import owes, quick, telling

judge = telling("invariance").judge


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return quick("invariance", tmp_path_factory.mktemp("lab"))


def test_what_it_owes(done):
    owes(done)


def test_every_method_but_two_has_a_promise():
    """CNO's border is no torus; the last is another choice of the same origin."""
    missing = {"CNO", "strongest, then ReLU"}
    assert set(methods(SubsamplingSettings())) - missing == set(PROMISES) - {"continuous"}


def test_means_and_maxima_of_pooled_pixels_are_those_of_all_pixels():
    draw = torch.Generator().manual_seed(0)
    f = Samples(torch.randn(1, 8, 8, generator=draw, dtype=torch.float64), Grid((8, 8), 1.0))
    mean, largest = float(f.values.mean()), float(f.values.max())
    assert float(AveragePooling(2)(f).values.mean()) == pytest.approx(mean, abs=1e-15)
    for taps in (4, 5):
        assert float(BlurPool(2, taps)(f).values.mean()) == pytest.approx(mean, abs=1e-15)
    assert float(MaxPooling(2)(f).values.max()) == largest


def test_translations_are_of_their_classes():
    t = translations(InvarianceSettings(count=20))
    assert not (t["even"] % 2).any()
    assert bool((t["odd"] % 2 == 1).all())
    assert bool((t["real"] % 1 != 0).any())


@pytest.mark.parametrize(
    ("layer", "cell", "value", "failing"),
    [
        ("continuous", (0, 2), 0.1, 0),
        ("blur 4", (0, 1), 1e-6, 1),
        ("blur 4", (1, 1), 1e-15, 2),
        ("APS", (2, 1), math.nan, 3),
        ("comoving, linear", (2, 2), 1e-3, 3),
    ],
)
def test_verdicts_are_those_of_the_numbers(done, layer, cell, value, failing):
    data = done.data.copy(deep=True)
    data["error"][(data["layer"].to_numpy().tolist().index(layer), *cell)] = value
    assert [i for i, f in enumerate(judge(data)) if not f.holds] == [failing]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"size": 36}, "multiple of 8"),
        ({"rtol": 0.5}, "--rtol must lie"),
        ({"count": 0}, "--count"),
    ],
)
def test_bad_settings(bad, message):
    with pytest.raises(BadInput, match=message):
        InvarianceSettings(**bad).check()
