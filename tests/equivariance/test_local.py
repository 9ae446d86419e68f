"""The experiment `local`: interactions where they have to be, distances against geometry."""

import math

import numpy as np
import pytest
import torch

from equivariance.bad_input import BadInput
from equivariance.experiments import LocalSettings
from equivariance.experiments.local import interactions, networks, offset
from layers import Pointwise
from tests.equivariance.lab import owes, quick, telling

judge = telling("local").judge


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return quick("local", tmp_path_factory.mktemp("lab"))


def test_what_it_owes(done):
    owes(done)


@pytest.mark.parametrize("way", [(1.0, 0.0), (1.0, 1.0)])
def test_squares_around_one_disc_touch_the_other(way):
    """The least maximum of coordinate differences between two discs of radius 5, over their points."""
    t = offset(2.5, way, 5.0)
    angle = torch.arange(0, 2 * math.pi, 0.002, dtype=torch.float64)
    rim = 10.0 * torch.stack([angle.cos(), angle.sin()], -1)  # differences of points of both discs
    nearest = (t - rim).abs().amax(-1).min()
    assert float(nearest) == pytest.approx(2.5, abs=0.02)


@pytest.mark.parametrize("continuous", [True, False])
def test_what_is_pointwise_never_notices(continuous):
    settings = LocalSettings(size=40)
    move = [offset(0.5, (1.0, 0.0), settings.radius)]
    with torch.no_grad():
        (found,) = interactions(Pointwise(torch.exp), settings, 0, move, continuous)
    assert found.largest <= 1e-15


def test_interaction_is_where_both_are_seen():
    """Nothing beyond `reach` of the gap's points that both discs are near to."""
    settings = LocalSettings(size=40)
    net = networks(settings)["convolution, ReLU, twice"]
    move = [offset(1.0, (1.0, 0.0), settings.radius)]
    with torch.no_grad():
        (found,) = interactions(net.module, settings, 0, move, continuous=False)
    x = np.arange(40)
    near = [np.abs(x - c) <= settings.radius + net.reach for c in (11.0, 11.0 + float(move[0][0]))]
    seen = found.difference.values[0].abs().numpy() > 1e-12
    assert seen.any()
    assert not seen[~(near[0] & near[1])].any()


@pytest.mark.parametrize(
    ("network", "distance", "value", "failing"),
    [
        (1, -1, 1e-9, 1),
        (1, slice(None), 0.0, 1),
        (0, 0, 0.1, 1),
        (4, 2, 0.0, 1),
        (2, -1, np.nan, 1),
    ],
)
def test_verdicts_are_those_of_the_numbers(done, network, distance, value, failing):
    data = done.data.copy(deep=True)
    data["interaction"][network, :, :, distance] = value
    assert sum(not f.holds for f in judge(data)) == failing


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"radius": 8.0}, r"--radius must lie between 2 and \(size − 20\)/4 = 7"),
        ({"radius": math.nan}, "--radius must lie"),
        ({"size": 300}, "--size must be at most 256"),
        ({"steps": 3}, "--steps must be at least 4"),
    ],
)
def test_bad_settings(bad, message):
    with pytest.raises(BadInput, match=message):
        LocalSettings(**bad).check()
