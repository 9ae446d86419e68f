"""Pictures and texts of a measurement: which layers are drawn, when there are maps, and what is said of them."""

import pytest
import torch
import xarray as xr
from torch import nn

from equivariance import measure
from equivariance.cli import main
from equivariance.measuring import report_page as report
from equivariance.measuring.plots import curves_picture, feature_maps, layers_picture
from equivariance.measuring.prepared import prepare
from equivariance.measuring.remedy import proposed_sizes
from equivariance.measuring.report_page import FILES, draw, text
from equivariance.measuring.surveying import survey
from fields import random_bandlimited
from tests.equivariance.models import plain, seeded

POOL = "torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.MaxPool2d(2))"
OPTIONS = {"channels": 1, "limit": 1, "batch": 16, "dtype": torch.float64, "seed": 0}
FEW = ["--translations", "5", "--limit", "1", "--plain"]


@pytest.fixture(scope="module")
def classified():
    """A classifier with maps of stride 1, 2 and 4, then invariants."""
    return measure(seeded(plain), size=(16, 16), count=5, limit=1, layers="all")


def test_curves_are_those_of_the_last_map_of_each_stride_and_of_the_output(classified) -> None:
    axes = curves_picture(classified).axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines) == ["1", "2", "4", "output"]
    error = classified["error"].sel(layer="4", padding="as is").max("input").to_numpy()
    assert sorted(lines["4"].get_ydata()) == pytest.approx(sorted(error), rel=1e-12, abs=1e-17)


def test_every_layer_has_its_worst_errors(classified) -> None:
    axes = layers_picture(classified).axes[0]
    assert {len(line.get_ydata()) for line in axes.get_lines()} == {classified.sizes["layer"]}


def maps_of(model, size):
    subject = prepare(model.double(), None, size, "all", **OPTIONS)
    with torch.no_grad():
        x = subject.at(torch.zeros(1, subject.dim, dtype=torch.float64))[:1]
        frames = {f.name: f for f in survey(subject.module, x, "all")}
    return feature_maps(subject, frames, [1.0] * subject.dim, ["as is"])


@pytest.mark.parametrize(
    ("size", "layer"), [(32, "output"), (16, "1"), (8, "0"), (6, "0"), (4, "0"), (2, None)]
)
def test_the_last_map_that_can_be_looked_at_is_shown(size, layer) -> None:
    """Of sides n, n/2 and n/4 the last of at least 8, or of at least 4, that covers the period."""
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.MaxPool2d(2), nn.AvgPool2d(2, ceil_mode=True))
    found = maps_of(model, (size, size))
    assert (found and found.layer) == layer


def test_maps_of_one_or_three_axes_and_of_windows_are_not_drawn() -> None:
    assert maps_of(nn.Conv1d(1, 1, 1), (16,)) is None
    assert maps_of(nn.Conv3d(1, 1, 1), (4, 4, 4)) is None
    field = random_bandlimited(2, 1, 0.4, 32.0, seed=0)
    data = measure(nn.ReLU(), field, [[1.0, 0.0]], size=(8, 8), boundary="window", limit=1)
    drawn = draw(nn.ReLU(), field, (8, 8), data, "all", OPTIONS | {"boundary": "window"})
    assert set(drawn) == {FILES[1], FILES[2]}
    line = measure(nn.ReLU(), size=(8,), count=3, limit=1)
    drawn = draw(nn.ReLU(), None, (8,), line, "all", OPTIONS | {"boundary": "periodic"})
    assert set(drawn) == {FILES[1], FILES[2]}


@pytest.fixture
def _no_pictures(monkeypatch):
    monkeypatch.setattr(report, "draw", lambda *_: dict.fromkeys(FILES[1:4], b"picture"))


@pytest.mark.usefixtures("_no_pictures")
def test_sizes_that_all_strides_divide_are_told(tmp_path, capsys) -> None:
    """Two numbers are the two sides; nothing is told of the border where one padding is measured."""
    words = ["measure", POOL, "--size", "9", "7", "--translations", "5", "--limit", "1"]
    assert main([*words, "--padding", "as is", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(2))
    sizes = proposed_sizes(model, (9, 7), 1)
    near = ", ".join(f"{a} × {b}" for a, b in sizes)
    assert sizes
    assert f"Not every map covers a period. At these sizes all strides divide: {near}" in said
    assert near in (tmp_path / FILES[-1]).read_text("utf-8")
    assert "order and aliasing" not in said
    with xr.open_dataset(tmp_path / FILES[0], engine="scipy") as data:
        assert data["padding"].to_numpy().tolist() == ["as is"]


@pytest.mark.usefixtures("_no_pictures")
def test_a_tolerance_holds_the_model_as_it_is(tmp_path, capsys) -> None:
    """With either padding, or one of them; nothing can be held against what wasn't compared."""
    ring = "torch.nn.Conv1d(1, 2, 3, padding=1, padding_mode='circular')"
    for padding in ("as is", "circular", "both"):
        words = ["measure", ring, "--size", "8", *FEW, "--padding", padding, "--tolerance", "1e-4"]
        assert main([*words, "--overwrite", "--out", str(tmp_path / "ring")]) == 0
    capsys.readouterr()
    dead = ["measure", "torch.nn.Threshold(1e9, 0.0)", "--size", "8", *FEW, "--tolerance", "1e-4"]
    assert main([*dead, "--out", str(tmp_path / "dead")]) == 2
    assert "--tolerance: output is constant: says nothing" in capsys.readouterr().err


def test_the_text_of_one_padding_has_no_shares() -> None:
    data = measure(nn.ReLU(), size=(8,), count=3, limit=1, padding="as is")
    assert "border" not in text(data, [], []).lower()
