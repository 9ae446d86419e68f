"""The experiment `commute`: every layer of the package is in it, and signs are those of the numbers."""

import math

import pytest
import torch

import layers
from discretize import Grid, Stride
from equivariance.bad_input import BadInput
from equivariance.experiments import CommuteSettings
from equivariance.experiments.commute import SQUARES, _worst, kinds, noise, sign, squares
from tests.equivariance.lab import owes, quick, telling

judge = telling("commute").judge


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return quick("commute", tmp_path_factory.mktemp("lab"))


def test_what_it_owes(done):
    owes(done)


def test_every_layer_between_feature_maps_is_in_it():
    held = {type(kind.layer).__name__ for kind in kinds(32.0, 0).values()}
    named = {n for n in vars(layers) if isinstance(getattr(layers, n), type) and n[0].isupper()}
    assert named - held == {"GlobalPool", "OnGrid", "TorchModel"}  # not from map to map


def test_every_layer_has_a_sign_for_every_square():
    for kind in kinds(32.0, 0).values():
        assert len(kind.commutes) == len(SQUARES)
        assert set(kind.commutes) <= set("=≈≠")


def test_multiples_of_the_stride_commute():
    """The same square with translations by 4: what the experiment measures is the translation, not the layer."""
    settings = CommuteSettings()
    four, half = torch.tensor([[4.0, 8.0]]), torch.tensor([[0.5, 0.25]])
    with torch.no_grad():
        found = squares(Stride(4), noise(settings), Grid((32, 32), 1.0), four, half, four)
    assert [sign(e) for e in found] == list("===≠==")


@pytest.mark.parametrize(
    ("error", "expected"),
    [(0.0, "="), (1e-11, "="), (1e-9, "≈"), (1e-6, "≠"), (2.0, "≠"), (math.nan, "?")],
)
def test_signs(error, expected):
    assert sign(error) == expected


@pytest.mark.parametrize(("cell", "value"), [((4, 0), 1e-9), ((4, 3), 1e-12), ((0, 5), math.nan)])
def test_verdicts_are_those_of_the_numbers(done, cell, value):
    data = done.data.copy(deep=True)
    data["error"][cell] = value
    failing = [f.prediction for f in judge(data) if not f.holds]
    assert [f.partition(":")[0] for f in failing] == [list(SQUARES)[cell[1]]]
    assert " !" in "".join(c for row in done.told.table(data).rows for c in row)


@pytest.mark.parametrize(
    ("bad", "message"), [({"size": 40}, "multiple of 16"), ({"count": 0}, "--count must be")]
)
def test_bad_settings(bad, message):
    with pytest.raises(BadInput, match=message):
        CommuteSettings(**bad).check()


def test_what_is_no_number_is_the_worst():
    translations = torch.arange(3.0)
    errors = [torch.tensor(1e-16), torch.tensor(math.nan), torch.tensor(0.5)]
    assert math.isnan(_worst(lambda t: errors[int(t)], translations))
