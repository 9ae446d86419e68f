"""The experiment `boundary`: errors end at the reach, the truth is that of torch, verdicts are those of the numbers."""

import numpy as np
import pytest
import torch
from torch import nn

from equivariance.bad_input import BadInput
from equivariance.experiments import BoundarySettings
from equivariance.experiments.boundary import moved, network, window
from fields import random_bandlimited
from layers import Pointwise
from tests.equivariance.lab import owes, quick, telling

judge = telling("boundary").judge


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return quick("boundary", tmp_path_factory.mktemp("lab"))


def test_what_it_owes(done):
    owes(done)


def test_errors_end_at_the_reach(done):
    for depth in done.data["depth"].to_numpy():
        for padding in ("zero", "reflect", "nearest", "periodic"):
            profile = done.data["profile"].sel(padding=padding, depth=depth).to_numpy()
            assert (profile[:depth] > 1e-3).all()
            assert profile[depth:].max() < 1e-13


def test_what_is_known_without_padding(done):
    known = done.data["known"].sel(padding="none").to_numpy()
    assert known == pytest.approx([(1 - 2 * r / 40) ** 2 for r in done.data["depth"].to_numpy()])


@pytest.mark.parametrize("padding", ["zero", "reflect", "nearest", "periodic"])
def test_paddings_are_those_of_torch(padding):
    field = random_bandlimited(2, 1, 0.2, 60.0, 0)
    seen = window(field, 20, padding)
    with torch.no_grad():
        net = network(1, 0)
        mode = {"zero": "constant", "nearest": "replicate", "periodic": "circular"}
        wide = nn.functional.pad(seen.values[None], (1, 1, 1, 1), mode.get(padding, padding))[0]
        expected = net(window(field, 20, "none", margin=1)._with(wide)).values
        torch.testing.assert_close(net(seen).values, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("t", [(1, 0), (3, 2), (0, 4)])
def test_pointwise_layers_have_no_border(t):
    field = random_bandlimited(2, 1, 0.2, 60.0, 0)
    with torch.no_grad():
        difference, scale = moved(Pointwise(torch.tanh), field, 20, t, "zero")
    assert difference.shape == (1, 20 - t[0], 20 - t[1])
    assert float(difference.abs().max()) <= 1e-14 * scale


@pytest.mark.parametrize(
    ("key", "cell", "value", "failing"),
    [
        ("profile", (0, 1, 2), 1e-9, [1]),
        ("profile", (1, 1, 1), 0.0, [2]),
        ("profile", (4, 0, 0), 1e-9, [3]),
        ("profile", (5, 0, 0), np.nan, [0]),
        ("profile", (3, 1, 4), np.nan, [1]),
        ("profile", (0, 1, 1), np.nan, [2]),
        ("truth", (5, 0), 1e-9, [4]),
        ("truth", (2, 0), 1e-15, [5]),
    ],
)
def test_verdicts_are_those_of_the_numbers(done, key, cell, value, failing):
    data = done.data.copy(deep=True)
    data[key][cell] = value
    assert [i for i, f in enumerate(judge(data)) if not f.holds] == failing


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"size": 20}, "--size must lie between 2·depth"),
        ({"depth": 1}, "--depth must be at least 2"),
    ],
)
def test_bad_settings(bad, message):
    with pytest.raises(BadInput, match=message):
        BoundarySettings(**bad).check()
