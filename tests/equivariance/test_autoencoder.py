"""The experiment `autoencoder` with the quick settings: networks, sprites, files, verdicts."""

import json
import math

import numpy as np
import pytest
import torch

from discretize import Samples
from equivariance.bad_input import BadInput
from equivariance.experiments import EXPERIMENTS, AutoencoderSettings
from equivariance.experiments.autoencoder import INSIDE, MARGIN, OUTSIDE, SIZE, grid, images
from equivariance.experiments.autoencoders import STRIDES, Autoencoder
from tests.equivariance.lab import files, quick, telling

told = telling("autoencoder")
judge, table = told.judge, told.table


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return quick("autoencoder", tmp_path_factory.mktemp("lab"), "--tests", "9", "--threads", "1")


def models():
    return [Autoencoder(equivariant, 8, seed=0) for equivariant in (True, False)]


def centroids(values):
    """Centres of mass of images, (n, 2)."""
    x = torch.arange(SIZE, dtype=values.dtype)
    mass = values.sum((1, 2, 3))
    return torch.stack(
        [(values.sum((1, 3)) * x).sum(1) / mass, (values.sum((1, 2)) * x).sum(1) / mass], 1
    )


def test_files_and_table(done):
    assert {p.name for p in done.out.iterdir()} == set(files(EXPERIMENTS["autoencoder"]))
    rows = table(done.data).rows
    assert [row[2] for row in rows] == ["equivariant", "plain"]
    for row in rows:
        cell = done.data["error"].sel(network=row[2]).to_numpy().ravel()
        assert [float(x) for x in row[3:5]] == pytest.approx(cell, rel=0.06)
    page = (done.out / "autoencoder.html").read_text("utf-8")
    assert all(f.measured in page for f in done.findings)


def test_quick_settings_are_what_was_run(done):
    stored = json.loads(done.data.attrs["configuration"])
    assert (stored["images"], stored["tests"], stored["steps"]) == (60, 9, 12)
    assert np.isfinite(done.data["loss"]).all()
    assert done.data.sizes["step"] == 12


def test_training_lowers_the_loss(done):
    loss = done.data["loss"].to_numpy().reshape(2, -1)
    assert (loss[:, -3:].mean(1) < loss[:, :3].mean(1)).all()


def test_both_have_the_same_weights():
    first, second = (dict(m.named_parameters()) for m in models())
    assert sum(p.numel() for p in first.values()) == sum(p.numel() for p in second.values())
    for one, other in zip(first.values(), second.values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("t", [(1, 0), (5, 27), (16, 3)])
def test_the_code_of_the_equivariant_one_is_invariant_and_its_place_moves(t):
    equivariant, plain = models()
    f = images(6, INSIDE, torch.Generator().manual_seed(0))
    moved = f.roll(t, (-2, -1))
    with torch.no_grad():
        one, other = (equivariant.encode(Samples(x, grid())) for x in (f, moved))
        torch.testing.assert_close(other.values, one.values, rtol=1e-4, atol=1e-5)
        place = (one.grid.origin + torch.tensor(t) - other.grid.origin) % math.prod(STRIDES)
        assert float(torch.minimum(place, SIZE - place).abs().max()) < 1e-9
        made = equivariant(Samples(moved, grid())).values
        expected = equivariant(Samples(f, grid())).values.roll(t, (-2, -1))
        torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-5)
        broken = plain(Samples(moved, grid())).values
        assert float((broken - plain(Samples(f, grid())).values.roll(t, (-2, -1))).norm()) > 1e-3


def test_a_code_is_a_single_point():
    f = Samples(images(3, OUTSIDE, torch.Generator().manual_seed(0)), grid())
    with torch.no_grad():
        for model in models():
            code = model.encode(f)
            assert code.values.shape == (3, 8, 1, 1)
            assert model.decode(code, f.grid).values.shape == f.values.shape


@pytest.mark.parametrize("where", [INSIDE, OUTSIDE])
def test_sprites_are_where_they_should_be(where):
    made = images(60, where, torch.Generator().manual_seed(1))
    assert made.shape == (60, 1, SIZE, SIZE)
    assert made.dtype == torch.float32
    assert 0 <= float(made.min()) <= float(made.max()) <= 1
    centres = centroids(made)
    slack = 1.5 if where == INSIDE else -1.5  # a heart's centre of mass isn't its centre
    inside = (centres < SIZE / 2 + slack).all(1)
    assert bool(inside.all() if where == INSIDE else not inside.any())
    assert float(centres.min()) > MARGIN - 1.5


def test_verdicts_are_those_of_the_numbers(done):
    data = done.data.copy(deep=True)
    own = data["error"].dims
    data["error"][:] = 0
    data["error"].loc[{"network": "equivariant", "position": INSIDE}] = 0.1
    data["error"].loc[{"network": "equivariant", "position": OUTSIDE}] = 0.119
    data["error"].loc[{"network": "plain", "position": OUTSIDE}] = 0.36
    assert [f.holds for f in judge(data)] == [True, True]
    data["error"].loc[{"network": "equivariant", "position": OUTSIDE}] = 0.121
    assert [f.holds for f in judge(data)] == [False, False]
    data["error"].loc[{"network": "equivariant", "position": INSIDE}] = np.nan
    assert not judge(data)[0].holds
    assert data["error"].dims == own


def test_full_settings_are_nine_trainings():
    runs = AutoencoderSettings(images=400, full=True, seed=5).runs
    assert runs == [(n, s) for n in (100, 400, 1600) for s in (5, 6, 7)]
    assert AutoencoderSettings(full=True, quick=True).effective.runs == [(60, 0)]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"images": 3}, "--images must be at least 4"),
        ({"latent": 0}, "--latent must be at least 1"),
    ],
)
def test_bad_settings(bad, message):
    with pytest.raises(BadInput, match=message):
        AutoencoderSettings(**bad).check()
