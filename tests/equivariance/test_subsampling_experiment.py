"""The experiment `subsampling`: what the table says, and that its three files say the same."""

import csv

import numpy as np
import pytest
import torch
import xarray as xr

from equivariance.bad_input import BadInput
from equivariance.cli import main
from equivariance.experiments import EXPERIMENTS, SubsamplingSettings
from equivariance.experiments.subsampling import averaged, inputs, tabulated, translations
from equivariance.measuring.images import cut
from tests.equivariance.lab import telling

judge = telling("subsampling").judge

QUICK = {"size": 32, "count": 2}
EVERYWHERE = ["alias-free, poly 2", "comoving, linear", "poly 2, comoving", "strongest, then ReLU"]
WHOLE = ["no stride", "ideal low-pass", "APS", "LPS", "Xu et al.", "up 2, GELU, ideal"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    outcome = EXPERIMENTS["subsampling"].run(SubsamplingSettings(out=folder, **QUICK))
    with xr.open_dataset(folder / "subsampling.nc", engine="scipy") as data:
        return folder, outcome, data.load()


def test_what_the_table_says(results) -> None:
    """Zeros where theory has them, and only there."""
    table = tabulated(results[2])
    rounding = 1e-12
    assert float(table.sel(layer=EVERYWHERE).max()) <= rounding
    assert float(table.sel(layer=WHOLE, translations=["multiples", "others"]).max()) <= rounding
    others = [n for n in table["layer"].to_numpy() if n not in [*EVERYWHERE, "comoving, then ReLU"]]
    full = table.sel(source="random", band=15, layer=others)
    assert float(full.sel(translations="real").min()) > 1e-3
    strided = [n for n in others if n not in WHOLE]
    assert float(full.sel(layer=strided, translations="others").min()) > 1e-3
    commuting = [n for n in others if n != "CNO"]
    assert float(full.sel(layer=commuting, translations="multiples").max()) <= rounding
    low = table.sel(source="random", band=2, layer="comoving, then ReLU")
    assert float(low.min()) > 1e-3  # the default has no origin there


def test_files_and_text_agree(results) -> None:
    folder, outcome, data = results
    assert {p.name for p in outcome.files} == {p.name for p in folder.iterdir()}
    assert (folder / "subsampling.png").read_bytes().startswith(b"\x89PNG")
    table = tabulated(data)
    with (folder / "subsampling.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) * 4 == table.size
    for row in rows[:: len(rows) // 20]:
        cell = table.sel(source=row["source"], band=int(row["waves"]), layer=row["layer"])
        for kind in table["translations"].to_numpy():
            assert float(row[kind]) == pytest.approx(float(cell.sel(translations=kind)), rel=0.06)
    assert outcome.text.count("comoving, linear") == 12


def test_verdicts_are_those_of_the_numbers(results) -> None:
    data = results[2]
    assert [f.holds for f in judge(data)] == [True] * 4
    for layer, failing in [("comoving, linear", 0), ("APS", 1), ("stride", 2)]:
        broken = data.copy(deep=True)
        broken["error"].loc[{"layer": layer}] = 0.5
        assert [f.holds for f in judge(broken)] == [i != failing for i in range(4)]
    mended = data.copy(deep=True)
    mended["error"].loc[{"layer": "stride"}] = 0.0
    assert [f.holds for f in judge(mended)] == [True, True, True, False]
    lost = data.copy(deep=True)
    which = (lost["kind"] == "others") & (lost["layer"] == "stride")
    lost["error"] = lost["error"].where(~which)
    assert [f.holds for f in judge(lost)] == [True, True, True, False]


def test_translations_are_of_their_classes() -> None:
    t, kinds = translations(SubsamplingSettings(stride=3, size=48, count=20))
    parts = {kind: t[np.array(kinds) == kind] for kind in dict.fromkeys(kinds)}
    assert not (parts["multiples"] % 3).any()
    assert bool((parts["others"] % 3 != 0).all())
    assert bool((parts["half pixels"] % 1 == 0.5).all())
    assert len(parts["real"]) == 20


def test_photographs_are_cut_at_their_band() -> None:
    values = averaged("camera", 32)
    assert 0 <= float(values.min()) < float(values.max()) <= 1
    waves = torch.fft.fft2(cut(values, 7)).abs()
    k = torch.fft.fftfreq(32, 1 / 32).abs()
    assert float(waves[k > 7].max()) < 1e-12
    torch.testing.assert_close(
        waves[k <= 7][:, k <= 7], torch.fft.fft2(values).abs()[k <= 7][:, k <= 7]
    )
    assert {band for _, band, _ in inputs(SubsamplingSettings(**QUICK)).values()} == {2, 7, 12, 15}


def test_bad_settings(tmp_path) -> None:
    for bad, message in [
        ({"stride": 1}, "--stride must be at least 2"),
        ({"size": 30, "stride": 4}, "--size must be a multiple of the stride 4 from 32 to 256"),
        ({"size": 512}, "take 256, say"),
    ]:
        with pytest.raises(BadInput, match=message):
            SubsamplingSettings(out=tmp_path, **bad).check()
    assert main(["run", "subsampling", "--count", "0", "--out", str(tmp_path)]) == 2
    assert SubsamplingSettings(quick=True, stride=3).effective.size == 30
