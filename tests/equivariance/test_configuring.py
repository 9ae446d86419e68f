"""Settings from TOML files: what is read, what is refused and how; and `run all`."""

import json
from dataclasses import replace

import pytest
import xarray as xr

from equivariance import cli
from equivariance.bad_input import BadInput
from equivariance.cli import main
from equivariance.experiments import EXPERIMENTS, Everything, StrideSettings
from equivariance.experiments import experiment as everything_module
from equivariance.experiments.experiment import AllSettings
from equivariance.experiments.settings import command, configuration, configured, stored_settings
from equivariance.experiments.study import Study
from equivariance.records import as_json


def toml(tmp_path, text):
    path = tmp_path / "settings.toml"
    path.write_text(text, "utf-8")
    return str(path)


def test_a_file_gives_the_settings_and_flags_have_the_last_word(tmp_path):
    path = toml(tmp_path, 'finest = 32\nwaves = 256\nband = 5\nquick = true\nout = "elsewhere"\n')
    out = str(tmp_path / "out")
    assert main(["run", "resolution", "--config", path, "--band", "7", "--out", out]) == 0
    with xr.open_dataset(tmp_path / "out" / "resolution.nc", engine="scipy") as data:
        stored = json.loads(data.attrs["configuration"])
        assert (stored["finest"], stored["waves"], stored["band"]) == (32, 256, 7)
        assert "--waves 256" in data.attrs["command"]
        assert "--config" not in data.attrs["command"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sizes = 3", "there is no setting 'sizes': did you mean 'size'?"),
        ("band-limit = 0.2", "there is no setting 'band-limit': did you mean 'bandlimit'?"),
        ("zzz = 1", "there is no setting 'zzz': there are out, overwrite"),
        ("size = 3.5", "size must be a whole number, got 3.5"),
        ("size = true", "size must be a whole number, got True"),
        ('bandlimit = "x"', "bandlimit must be a number, got 'x'"),
        ("quick = 1", "quick must be true or false, got 1"),
        ("image = 3", "image must be a text, the name of a file, got 3"),
        ("size = ", "is no TOML file"),
        ("[table]\nsize = 3", "there is no setting 'table'"),
    ],
)
def test_what_is_wrong_in_a_file_is_refused_in_one_line(tmp_path, capsys, text, message):
    assert main(["run", "stride", f"--config={toml(tmp_path, text)}"]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""


@pytest.mark.parametrize("words", [["--config", "missing.toml"], ["--config"], ["--config", "."]])
def test_a_file_that_cannot_be_read_is_refused(words, capsys):
    assert main(["run", "stride", *words]) == 2
    assert "--config" in capsys.readouterr().err


def test_what_results_carry_gives_the_settings_again():
    settings = StrideSettings(size=16, bandlimit=0.1, seed=3)
    data = xr.Dataset(attrs={"configuration": as_json(configuration("stride", settings))})
    assert stored_settings(StrideSettings(), data) == settings


def test_names_may_have_hyphens_and_whole_numbers_may_be_numbers():
    made = configured(AllSettings(), {"quick": True}, "x")
    assert made == AllSettings(quick=True)
    assert configured(StrideSettings(), {"bandlimit": 0, "seed": 1}, "x").bandlimit == 0.0


def test_commands_leave_defaults_out():
    assert command("stride", StrideSettings()) == "equivariance run stride"
    told = command("stride", StrideSettings(size=16, quick=True, overwrite=True))
    assert told == "equivariance run stride --quick --size 16"


# --- run all -----------------------------------------------------------------------------------

FEW = {name: EXPERIMENTS[name] for name in ("resolution", "boundary")}


def test_all_are_run_and_led_to(tmp_path):
    outcome = Everything(FEW).run(AllSettings(out=tmp_path, quick=True))
    index = (tmp_path / "index.html").read_text("utf-8")
    for name, experiment in FEW.items():
        assert f'<a href="{name}.html">{name}</a>' in index
        assert experiment.summary in index
        assert (tmp_path / f"{name}.html").exists()
        assert name in outcome.text
    assert "equivariance run all" in index
    assert outcome.files[-1] == tmp_path / "index.html"
    assert len(outcome.findings) > 10
    assert index.count('class="badge exact"') == 2


def test_nothing_is_run_where_one_cannot_write(tmp_path, monkeypatch):
    (tmp_path / "boundary.nc").write_bytes(b"something else")
    monkeypatch.setattr(Study, "run", lambda *_: pytest.fail("has begun"))
    with pytest.raises(BadInput, match="can't be read"):
        Everything(FEW).run(AllSettings(out=tmp_path))


def test_nothing_is_run_where_the_index_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "index.html").mkdir()
    monkeypatch.setattr(Study, "run", lambda *_: pytest.fail("has begun"))
    with pytest.raises(BadInput, match="there is a folder of that name"):
        Everything(FEW).run(AllSettings(out=tmp_path))


def test_settings_for_all_leave_what_is_not_said_to_each(tmp_path):
    own = everything_module._for(EXPERIMENTS["autoencoder"].settings, AllSettings(out=tmp_path))
    assert own == replace(EXPERIMENTS["autoencoder"].settings, out=tmp_path)
    assert everything_module._for(own, AllSettings(threads=5)).threads == 5


def test_the_command_line_knows_all():
    words, settings = cli.with_file(["run", "all", "--quick"], cli.RUNNABLE)
    assert cli._parse(words, settings).experiment == AllSettings(quick=True)
