"""The experiment `weight-sharing`: spaces against theory, layers against closed forms, verdicts against the numbers."""

import numpy as np
import pytest
import torch
from torch import nn

from discretize import Grid
from equivariance.bad_input import BadInput
from equivariance.experiments import WeightSharingSettings
from equivariance.experiments.commuting_maps import SIDE, probes
from equivariance.experiments.weight_sharing import cases
from equivariance.theorems.sharing import commutator
from tests.equivariance.lab import owes, quick, telling

judge = telling("weight-sharing").judge


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return quick("weight-sharing", tmp_path_factory.mktemp("lab"))


def test_what_it_owes(done):
    owes(done)


def test_spaces_come_in_all_dimensions(done):
    tried = cases(WeightSharingSettings(size=8))
    assert {len(c.shape) for c in tried} == {1, 2, 3}
    assert done.data["case"].to_numpy().tolist() == [str(c) for c in tried]
    for case, found in zip(tried, done.data["dimension"].to_numpy(), strict=True):
        assert found == np.prod(case.shape) * case.c_in * case.c_out * case.stride ** len(
            case.shape
        )


def test_parameters_are_those_of_torch(done):
    values = dict(
        zip(done.data["kind"].to_numpy(), done.data["parameters"].to_numpy(), strict=True)
    )
    dense, conv = nn.Linear(2 * 64, 3 * 64), nn.Conv2d(2, 3, 3)
    assert values["dense"] == sum(p.numel() for p in dense.parameters())
    assert values["convolution"] == sum(p.numel() for p in conv.parameters())
    assert values["locally connected"] == 64 * values["convolution"]


def test_matrices_add_up_and_the_one_that_commutes_is_constant_along_diagonals(done):
    whole, part, rest = done.data["matrix"].to_numpy()
    assert np.allclose(part + rest, whole, atol=1e-15)
    for k in range(len(part)):
        diagonal = [part[i, (i + k) % len(part)] for i in range(len(part))]
        assert np.allclose(
            diagonal, np.mean([whole[i, (i + k) % len(part)] for i in range(len(part))])
        )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_is_not_shared_in_closed_form(seed):
    grid, draw = Grid((SIDE, SIDE), 1.0), torch.Generator().manual_seed(seed)
    random = torch.randn(1, 1, SIDE, SIDE, generator=draw, dtype=torch.float64)
    with torch.no_grad():
        for name, probe in probes(seed).items():
            assert probe.residue(probe.layer, grid) == pytest.approx(probe.theory, abs=1e-13), name
            assert (commutator(probe.layer, random, grid) > 1e-3) == (probe.theory > 0)


@pytest.mark.parametrize(
    ("key", "index", "value", "failing"),
    [
        ("dimension", 0, 71, 2),
        ("convolutions", 1, 0, 1),
        ("biases", 2, 9, 1),
        ("share", 0, np.nan, 1),
        ("projection", 0, 1e-6, 1),
        ("residue", 1, 0.5, 1),
        ("commutator", 0, 1e-6, 1),
        ("commutator", 1, 0.0, 1),
    ],
)
def test_verdicts_are_those_of_the_numbers(done, key, index, value, failing):
    data = done.data.copy(deep=True)
    data[key][index] = value
    assert sum(not f.holds for f in judge(data)) == failing


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"size": 7}, "--size must be even"),
        ({"kernel": 17}, "--kernel must be at most --size 16"),
        ({"size": 32, "c_in": 3, "c_out": 3}, "too many maps"),
        ({"c_in": 0}, "--c-in must be at least 1"),
    ],
)
def test_bad_settings(bad, message):
    with pytest.raises(BadInput, match=message):
        WeightSharingSettings(**bad).check()
