"""The experiment `nonlinearity`: spectra and errors in closed form, verdicts against the numbers."""

import math

import numpy as np
import pytest
import torch

from equivariance.bad_input import BadInput
from equivariance.experiments import NonlinearitySettings
from equivariance.experiments.nonlinearity import defect, folding, spectrum, tail_beyond
from fields import PlaneWaves
from tests.equivariance.lab import owes, quick, telling

judge = telling("nonlinearity").judge
COSINE = PlaneWaves([[3.0]], [[1.0]], 1.0)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return quick("nonlinearity", tmp_path_factory.mktemp("lab"))


def test_what_it_owes(done):
    owes(done)


def test_the_spectrum_of_a_rectified_cosine():
    """|cos θ| = 2/π + (4/π) Σ_m (−1)^{m+1}/(4m² − 1) cos 2mθ."""
    waves = spectrum(COSINE, torch.abs)[0].real
    for m in range(1, 6):
        expected = 2 / math.pi * (-1) ** (m + 1) / (4 * m * m - 1)
        assert float(waves[6 * m]) == pytest.approx(expected, abs=1e-6)
    assert float(waves[0]) == pytest.approx(2 / math.pi, abs=1e-6)


def test_the_tail_of_a_square():
    """cos² = 1/2 + cos(2·)/2: of the energy 3/8, 1/8 lies beyond the mean."""
    tail = tail_beyond(spectrum(COSINE, torch.square))
    assert tail[:6] == pytest.approx(math.sqrt(1 / 3))
    assert tail[6:].max() <= 1e-15


def test_one_folded_wave_in_closed_form():
    """cos(2π·3x)² has the wave 6, which on 7 points is the wave 1: two waves of amplitude 1/2 apart, over 3/8."""
    expected = math.sqrt((0.5**2 / 2 + 0.5**2 / 2) / (3 / 8))
    assert folding(spectrum(COSINE, torch.square), 7, 1) == pytest.approx(expected, rel=1e-12)
    assert defect(COSINE, torch.square, 7, 1) == pytest.approx(expected, rel=1e-12)


def test_bands_are_those_known(done):
    """Multiples of K = 8 measured elsewhere for tails of 1e-2 and 1e-3 on another field: within a fifth."""
    known = {"softplus": (1.8, 2.9), "GELU": (3.0, 4.6), "tanh": (3.6, 5.9), "ReLU": (6.8, 31)}
    for name, bands in known.items():
        found = done.data["needed"].sel(activation=name).to_numpy()[:2]
        assert found == pytest.approx(bands, rel=0.2)
    assert np.isinf(done.data["needed"].sel(activation="ReLU").to_numpy()[2])


@pytest.mark.parametrize(
    ("key", "cell", "factor", "failing"),
    [
        ("foretold", (6, 1), 1.02, 1),
        ("foretold", (6, 1), math.nan, 1),
        ("measured", (0, 2), 1e6, 1),
        ("tail", (1, slice(9, None)), 1e6, 1),
        ("tail", (3, slice(None)), 1e8, 1),
    ],
)
def test_verdicts_are_those_of_the_numbers(done, key, cell, factor, failing):
    data = done.data.copy(deep=True)
    data[key][cell] = data[key][cell] * factor
    assert sum(not f.holds for f in judge(data)) == failing


def test_a_wrong_order_is_owned_up_to(done):
    data = done.data.copy(deep=True)
    data["tail"][6] = data["tail"][5]
    failing = [f.prediction for f in judge(data) if not f.holds]
    assert failing == ["ReLU: the tail falls like band^−1.5 ± 0.2"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"size": 24}, "--size must be odd, from 2·waves"),
        ({"size": 25}, "--size must be at most 24 for --waves 8"),
        ({"finest": 12}, "--finest must be a power of 2"),
        ({"fields": 0}, "--fields must be at least 1"),
    ],
)
def test_bad_settings(bad, message):
    with pytest.raises(BadInput, match=message):
        NonlinearitySettings(**bad).check()
