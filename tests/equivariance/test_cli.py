"""The command line in-process, on the smallest experiment there is: exit codes, messages, files."""

import dataclasses
import json
import os
import shlex
import subprocess
import sys
from io import StringIO

import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib.figure import Figure
from skimage import io

import equivariance.error_table
from equivariance.cli import COMMANDS, main
from equivariance.experiments import EXPERIMENTS, RUNNABLE, StrideSettings
from equivariance.experiments.stride import Stride as stride
from equivariance.experiments.stride import photograph

TINY = ["--size", "8", "--steps", "1", "--points", "20"]
PICTURES = ["stride-error.png", "stride-diagram-photograph.png", "stride-diagram-random.png"]
FILES = {"stride.nc", "stride.csv", "stride.html", *PICTURES}


def run(out, *flags):
    return main(["run", "stride", "--out", str(out), *TINY, *map(str, flags)])


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    """Pictures take most of the time; `test_stride` looks at them."""
    names = [name.removesuffix(".png") for name in PICTURES]
    monkeypatch.setattr(stride, "pictures", lambda _: {name: Figure((1, 1)) for name in names})


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def refused(capsys, code) -> str:
    """The one line that a refusal says, after checking that it says nothing else."""
    said = capsys.readouterr()
    assert code == 2
    assert said.out == ""
    assert said.err.startswith("equivariance: ")
    assert said.err.count("\n") == 1, said.err
    assert said.err.endswith("\n")
    return said.err


def test_list_names_every_experiment(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(EXPERIMENTS)
    assert all(e.summary in line for e, line in zip(EXPERIMENTS.values(), lines, strict=True))


def test_run_writes_all_files_and_says_so(tmp_path, capsys):
    assert run(tmp_path / "new" / "out") == 0
    assert {p.name for p in (tmp_path / "new" / "out").iterdir()} == FILES
    out = capsys.readouterr().out
    assert all(f"  {tmp_path / 'new' / 'out' / name}\n" in out for name in FILES)


def test_the_same_configuration_is_replaced(tmp_path):
    assert run(tmp_path) == 0
    (tmp_path / "stride.html").write_text("spoilt")
    (tmp_path / "notes.txt").write_text("mine")
    assert run(tmp_path) == 0
    assert set(contents(tmp_path)) == FILES | {"notes.txt"}
    assert b"<!DOCTYPE html>" in (tmp_path / "stride.html").read_bytes()


def test_another_configuration_is_kept_unless_it_may_be_overwritten(tmp_path, capsys):
    assert run(tmp_path) == 0
    before = contents(tmp_path)
    capsys.readouterr()
    message = refused(capsys, run(tmp_path, "--seed", 1))
    assert "seed 0 and not 1" in message
    assert "--overwrite" in message
    assert contents(tmp_path) == before
    assert run(tmp_path, "--seed", 1, "--overwrite") == 0
    with xr.open_dataset(tmp_path / "stride.nc") as data:
        assert data.attrs["seed"] == "1"


def test_where_results_go_is_no_part_of_the_configuration(tmp_path):
    assert run(tmp_path / "a") == run(tmp_path / "b", "--overwrite") == 0
    one, other = (xr.open_dataset(tmp_path / k / "stride.nc") for k in "ab")
    with one, other:
        assert one.attrs["configuration"] == other.attrs["configuration"]
        xr.testing.assert_equal(one, other)


def test_the_command_in_the_results_gives_them_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("out here", "--stride", 4, "--size", 16) == 0
    with xr.open_dataset("out here/stride.nc") as data:
        first = data.load()
    words = first.attrs["command"].split(" ", 1)
    assert words[0] == "equivariance"
    assert main(shlex.split(words[1])) == 0
    with xr.open_dataset("out here/stride.nc") as data:
        xr.testing.assert_equal(data, first)
        assert data.attrs["configuration"] == first.attrs["configuration"]


@pytest.mark.parametrize("below", ["file", "file/below"])
def test_a_folder_that_cannot_be_written_is_refused_before_the_work(
    tmp_path, capsys, monkeypatch, below
):
    (tmp_path / "file").write_text("mine")
    no_work(monkeypatch)
    message = refused(capsys, run(tmp_path / below))
    assert f"can't write to --out {tmp_path / below}" in message


def no_work(monkeypatch):
    """Make any measurement fail the test."""

    def measure(*_):
        raise AssertionError("the work has begun")

    monkeypatch.setattr(stride, "measure", measure)


@pytest.fixture(params=["missing", "text", "folder", "small", "nan", "channels", "broken"])
def bad_image(request, tmp_path):
    path = tmp_path / f"{request.param}.png"
    match request.param:
        case "text":
            path.write_text("this is no image")
        case "folder":
            path.mkdir()
        case "small":
            io.imsave(path, np.zeros((7, 20), np.uint8), check_contrast=False)
        case "nan":
            path = path.with_suffix(".tif")
            io.imsave(path, np.full((16, 16), np.nan, np.float32), check_contrast=False)
        case "channels":
            path = path.with_suffix(".tif")
            io.imsave(path, np.zeros((16, 16, 7), np.uint8), check_contrast=False)
        case "broken":
            whole = tmp_path / "whole.png"
            io.imsave(whole, np.arange(4096, dtype=np.uint8).reshape(64, 64), check_contrast=False)
            path.write_bytes(whole.read_bytes()[:60])
    return path


@pytest.mark.filterwarnings(  # imageio leaves a file that it can't read open
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_an_image_that_cannot_be_used_is_refused(bad_image, tmp_path, capsys, monkeypatch):
    no_work(monkeypatch)
    message = refused(capsys, run(tmp_path / "out", "--image", bad_image))
    assert bad_image.name in message
    assert "--image" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--stride", 3], "--size must be a multiple of the stride 3, at least 12, got 8: take 12"),
        (["--size", 9], "take 8"),
        (["--size", 4], "at least 8, got 4"),
        (["--stride", 1], "--stride must be at least 2, got 1"),
        (["--stride", -2], "--stride must be at least 2, got -2"),
        (["--steps", 0], "--steps must be at least 1"),
        (["--points", 0], "--points must be at least 1"),
        (["--channels", 0], "--channels must be at least 1"),
        (["--threads", 0], "--threads must lie between 1 and"),
        (["--threads", 10**24], "--threads must lie between 1 and"),
        (["--seed", -1], "--seed must lie between 0 and"),
        (["--seed", 10**24], "--seed must lie between 0 and"),
        (["--bandlimit", 0.6], "--bandlimit must lie between 1/size = 0.125 and 0.5"),
        (["--bandlimit", "nan"], "--bandlimit must lie between"),
    ],
)
def test_settings_that_make_no_sense_are_refused(flags, message, tmp_path, capsys):
    assert message in refused(capsys, run(tmp_path / "out", *flags))
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_measured_is_refused(tmp_path, capsys):
    """Nothing is relative to the zeros that a network without bias makes of zeros."""
    io.imsave(tmp_path / "black.png", np.zeros((8, 8), np.uint8), check_contrast=False)
    message = refused(capsys, run(tmp_path / "out", "--image", tmp_path / "black.png"))
    assert "vanishes identically" in message
    assert list((tmp_path / "out").iterdir()) == []


def test_an_unknown_experiment_is_refused(capsys):
    message = refused(capsys, main(["run", "strude"]))
    known = ", ".join(EXPERIMENTS)
    assert message == f"equivariance: there is no experiment 'strude', but: {known}\n"


@pytest.mark.parametrize(
    "words",
    [[], ["run"], ["walk"], ["run", "stride", "--sighs", "3"], ["run", "stride", "--size", "big"]],
)
def test_what_cannot_be_parsed_ends_with_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    said = capsys.readouterr()
    assert stop.value.code == 2
    assert said.out == ""
    assert said.err != ""


def test_help_tells_every_setting(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["run", "stride", "--help"])
    said = capsys.readouterr().out
    assert stop.value.code == 0
    for name in (f.name for f in dataclasses.fields(StrideSettings)):
        assert f"--{name}" in said


def test_an_interrupt_ends_quietly(monkeypatch, capsys, tmp_path):
    def measure(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(stride, "measure", measure)
    assert run(tmp_path / "out") == 130
    assert capsys.readouterr().err == "equivariance: interrupted\n"
    assert list((tmp_path / "out").iterdir()) == []


def test_threads_are_as_before(tmp_path):
    before = torch.get_num_threads()
    assert run(tmp_path, "--threads", before + 1) == 0
    assert torch.get_num_threads() == before
    with xr.open_dataset(tmp_path / "stride.nc") as data:
        assert data.attrs["threads"] == str(before + 1)
        assert json.loads(data.attrs["configuration"])["threads"] == before + 1


def test_an_image_is_averaged_over_blocks_in_its_middle(tmp_path):
    """8 × 8 blocks of 4 × 4 pixels between margins of 2 pixels that must not count."""
    blocks = np.arange(64).reshape(8, 8)
    noise = np.tile([[0, 1], [2, 3]], (16, 16))  # of mean 1.5 in each block
    pixels = np.full((32, 36), 255)
    pixels[:, 2:-2] = np.kron(blocks, np.ones((4, 4), int)) + noise
    io.imsave(tmp_path / "i.png", pixels.astype(np.uint8), check_contrast=False)
    made = photograph(StrideSettings(image=tmp_path / "i.png", size=8))
    waves = np.fft.fft2(blocks + 1.5)
    waves[4], waves[:, 4] = 0, 0  # at Nyquist
    assert np.allclose(made.field.values[0] * 255, np.fft.ifft2(waves).real, rtol=1e-12)
    assert "The image i.png, 32 × 36 pixels, averaged over blocks of 4 × 4 to 8 × 8" in made.about


def test_colours_become_grey(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 30, 60, 90
    io.imsave(tmp_path / "i.png", pixels, check_contrast=False)
    made = photograph(StrideSettings(image=tmp_path / "i.png", size=8))
    assert np.allclose(made.field.values[0, :4] * 255, 60, rtol=1e-12)
    assert np.allclose(made.field.values[0, 4:], 0)


def test_the_page_escapes_what_it_is_given(tmp_path):
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    io.imsave(tmp_path / "<b>&.png", pixels, check_contrast=False)
    assert run(tmp_path / "out", "--image", tmp_path / "<b>&.png") == 0
    page = (tmp_path / "out" / "stride.html").read_text()
    assert "<b>&.png" not in page
    assert "The image &lt;b&gt;&amp;.png" in page


def test_predictions_are_of_what_was_tested(tmp_path):
    """Whole pixels only say nothing of real translations, and contradict nothing."""
    assert run(tmp_path) == 0
    assert "24 of 24, as predicted" in (tmp_path / "stride.html").read_text()


@pytest.mark.parametrize(
    "words",
    [["list"], ["--help"], *([name, "--help"] for name in COMMANDS)]
    + [["run", name, "--help"] for name in RUNNABLE],
    ids=" ".join,
)
def test_what_computes_nothing_imports_no_torch(words):
    code = (
        "import contextlib, sys; from equivariance.cli import main\n"
        f"with contextlib.suppress(SystemExit): main({words})\n"
        "sys.exit(sum(m in sys.modules for m in ('torch', 'xarray', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_public_names_are_what_they_are_called():
    """Also where a submodule of the same name was imported before."""
    assert equivariance.sweep is sys.modules["equivariance.error_table"].sweep
    assert all(getattr(equivariance, name) is not None for name in equivariance.__all__)
    with pytest.raises(AttributeError, match="no attribute 'swoop'"):
        _ = equivariance.swoop


def test_a_reader_that_has_gone_is_no_error(monkeypatch):
    """As in `equivariance list | head -0`: nothing is raised, not even when the stream is closed."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["list"]) == 0
        monkeypatch.undo()


def test_results_go_to_whatever_stands_for_the_terminal(monkeypatch):
    """A notebook's stream can't be told what to do with signs that it doesn't know."""
    monkeypatch.setattr(sys, "stdout", StringIO())
    assert main(["list"]) == 0
    assert sys.stdout.getvalue().split()[0] == next(iter(EXPERIMENTS))
