"""The experiment `model`: its shape is ResNet-18's, its maps are those of torch, verdicts are those of the numbers."""

import numpy as np
import pytest
import torch

from equivariance.bad_input import BadInput
from equivariance.cli import main
from equivariance.experiments import ModelSettings
from equivariance.experiments.model import MOVES, SHOWN, STEP, multiples
from equivariance.experiments.residual_network import resnet
from equivariance.experiments.stages import divided
from equivariance.measuring.prepared import prepare
from tests.equivariance.lab import owes, quick, telling

told = telling("model")
judge, stages, table = told.judge, told.stages, told.table

STRIDES = {"conv1": 2, "maxpool": 4, "layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return quick("model", tmp_path_factory.mktemp("lab"))


def test_what_it_owes(done):
    owes(done)


def test_the_network_is_that_of_the_paper():
    """11,689,512 parameters with 1000 classes, 513,000 of them in the classifier; here there are ten."""
    state = torch.random.get_rng_state()
    network = resnet()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert sum(p.numel() for p in network.parameters()) == 11_689_512 - 513_000 + 5_130
    again = resnet(width=4)
    same = zip(again.parameters(), resnet(width=4).parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    assert not torch.equal(again.fc.weight, resnet(1, width=4).fc.weight)
    assert network.eval()(torch.zeros(2, 3, 64, 96)).shape == (2, 10)


def test_zeros_are_where_the_stride_divides(done):
    error, space = divided(done.data), done.data["space"].to_numpy()
    assert error["divisor"].to_numpy().tolist() == [0, 1, 2, 4, 8, 16, 32]
    ring, own = error.sel(padding="circular"), error.sel(padding="as is")
    for name, stride in STRIDES.items():
        divides = ring["divisor"].to_numpy() >= stride
        assert (ring.sel(layer=name).to_numpy()[divides] < 1e-6).all()
        others = ring.sel(layer=name).to_numpy()[~divides]
        assert (np.isnan(others) if name == "layer4" else others > 0.05).all()
        assert (own.sel(layer=name).to_numpy()[divides] > 0.05).all()
    assert (space == "periodic").sum() == 73  # of 76: pooled, classified, put out


def test_the_table_is_the_worst_of_the_errors(done):
    """By hand, for one map and one divisor."""
    t = done.data["t"].transpose("translation", "axis").to_numpy()
    eight = [k for k in range(len(t)) if (t[k] % 8 == 0).all() and (t[k] % 16 != 0).any()]
    cell = done.data["error"].sel(padding="as is", layer="layer3").to_numpy()
    worst = max(float(cell[k].max()) for k in eight)
    assert float(divided(done.data).sel(padding="as is", layer="layer3", divisor=8)) == worst
    whole = table(done.data)
    (row,) = (r for r in whole.rows if r[:2] == ["as is", "layer3"])
    assert row[whole.header.index("8")] == f"{worst:.1e}"
    assert len(whole.rows) == 2 * done.data.sizes["layer"]
    assert row[:-2] in stages(done.data).rows  # both errors are the worst of the others


def test_multiples_are_those_of_each_layer(done):
    found = multiples(done.data)
    t = done.data["t"].transpose("translation", "axis").to_numpy()
    for name, stride in STRIDES.items():
        assert found.sel(layer=name).to_numpy().tolist() == (t % stride == 0).all(1).tolist()


def test_remedies_were_measured_like_the_model(done):
    """With circular padding twice: rewritten for the layers, and as a model of its own."""
    error = done.data["error"].isel(layer=-1)
    for padding, remedy in [("as is", "as is"), ("circular", "circular padding")]:
        mine = error.sel(padding=padding).transpose("translation", "input").to_numpy()
        other = done.data["remedy_error"].sel(remedy=remedy)
        other = other.transpose("translation", "input").to_numpy()
        np.testing.assert_allclose(other, mine, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("move", range(len(MOVES)))
def test_maps_are_those_of_the_network(done, move):
    """Of the translated input by a hook; of the input, rolled, where the step is whole."""
    settings = ModelSettings(quick=True).effective
    network = resnet(settings.seed, settings.width).eval()
    size = (settings.size,) * 2
    subject = prepare(network, None, size, "output", limit=1, seed=settings.seed)
    kept = []
    network.layer1.register_forward_hook(lambda *told: kept.append(told[-1].detach()[0].double()))
    for t in ((0.0, 0.0), MOVES[move]):
        with torch.no_grad():
            network(subject.at(torch.tensor([t], dtype=torch.float64)))
    still, after = kept
    up, down = torch.tensor(done.data["map"].isel(move=move).sel(padding="as is").to_numpy())
    channel = int((after - up).abs().amax((1, 2)).argmin())
    torch.testing.assert_close(after[channel], up, rtol=0, atol=1e-5)
    assert done.data["moved"].isel(move=move).to_numpy().tolist() == list(MOVES[move])
    assert done.data["map"].attrs["layer"] == SHOWN
    steps = MOVES[move][1] / STEP
    if steps == int(steps):
        torch.testing.assert_close(still[channel].roll(int(steps), -1), down, rtol=0, atol=1e-5)
        ring = done.data["map"].isel(move=move).sel(padding="circular").to_numpy()
        np.testing.assert_allclose(ring[0], ring[1], rtol=0, atol=1e-5)


BLUR, FRAME = "BlurPool, 4 taps, circular padding", "comoving frame"


@pytest.mark.parametrize(
    ("key", "place", "value", "failing"),
    [
        ("error", {"padding": "circular", "layer": "layer2.0.conv1"}, 0.2, [0]),
        ("error", {"padding": "circular", "layer": "layer2.0.conv1"}, 0.0, [1]),
        ("error", {"padding": "circular", "layer": "output"}, 0.2, [2]),
        ("error", {"padding": "circular", "layer": "output"}, 0.0, [2]),
        ("error", {"padding": "as is", "layer": "conv1"}, 0.0, [3]),
        ("interior", {"layer": "relu"}, 1e-3, [4]),
        ("remedy_error", {"remedy": BLUR}, 1e-3, [5]),
        ("remedy_error", {"remedy": BLUR}, 0.0, [5]),
        ("remedy_error", {"remedy": FRAME}, 1e-4, [6]),
        ("remedy_error", {"remedy": FRAME}, np.nan, [6]),
    ],
)
def test_verdicts_are_those_of_the_numbers(done, key, place, value, failing):
    data = done.data.copy(deep=True)
    data[key].loc[place] = value
    assert [i for i, f in enumerate(judge(data)) if not f.holds] == failing


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"size": 80}, r"--size must be a multiple of 32, .* from 64 to 256, got 80: take 64, say"),
        ({"size": 32}, "take 64, say"),
        ({"size": 1000}, "take 256, say"),
        ({"count": 20}, "--count must be at least 27, got 20"),
        ({"width": 0}, "--width must be at least 1"),
        ({"inputs": 0}, "--inputs must be at least 1"),
    ],
)
def test_bad_settings(bad, message):
    with pytest.raises(BadInput, match=message):
        ModelSettings(**bad).check()


def test_a_report_can_be_made_of_it(done, tmp_path):
    assert main(["report", str(done.out / "model.nc"), "--out", str(tmp_path)]) == 0
    assert "layer4.1.conv2" in (tmp_path / "report.csv").read_text("utf-8")
