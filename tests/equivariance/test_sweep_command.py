"""Sweeps from files: the numbers are those of `equivariance_error`, whatever runs, stops or kills them."""

import json
import logging
import os
import random
import shutil
import signal
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

from discretize import BlurPool, EquivariantSubsampling, Grid
from equivariance import equivariance_error
from equivariance.cli import main
from equivariance.cli.sweep import INCOMPLETE
from equivariance.sweeping.configuration import read
from equivariance.sweeping.distributed import Work, connected, on_cluster
from equivariance.sweeping.division import DONE, NOT_FINITE, RAISED, Done, cell_seed
from equivariance.sweeping.store import SweepStore, read_dataset
from fields import random_bandlimited
from layers import Pointwise
from tests.equivariance import killing

PLAIN = """
strides = [3, 2]
seeds = [5, 1]
[translations]
line = { to = [5.0], count = 21 }
[grids.z]
shape = [12]
[grids.a]
shape = [24]
spacing = 0.5
[grids.points]
points = 7
extent = [12.0]
[fields.smooth]
random = { bandlimit = 0.1, period = 12.0 }
[fields.noise]
random = { bandlimit = 0.4, period = 12.0 }
[layers.equivariant]
chain = ["square", "equivariant"]
[layers.blur]
chain = ["square", "blur"]
"""
ODD = """
from pathlib import Path
def raises(stride, seed):
    def layer(f):
        if (Path(__file__).parent / "mended").exists():
            return f
        raise RuntimeError(f"stride {stride} is too much" + "!" * 500)
    return layer
def nan(stride, seed):
    return lambda f: f.map(lambda v: v * float("nan"))
def single(stride, seed):
    def layer(f):
        if f.values.ndim == 3 and len(f.values) > 1:
            raise ValueError("one at a time")
        return f
    return layer
"""


def run(folder, text: str, *flags: str, out: str = "s.zarr") -> int:
    (folder / "sweep.toml").write_text(text)
    return main(["sweep", str(folder / "sweep.toml"), "--out", str(folder / out), *flags])


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    assert run(folder, PLAIN, "--batch", "40") == 0
    return folder


def test_every_number_is_one_measurement(plain) -> None:
    """Labels belong to their numbers, though no table is in the order of its names."""
    data = read_dataset(plain / "s.zarr")
    grids = {"z": Grid(12, 1.0), "a": Grid(24, 0.5)}
    bands = {"smooth": 0.1, "noise": 0.4}
    assert (data["status"] == DONE).all()
    for layer, make in (("equivariant", EquivariantSubsampling), ("blur", BlurPool)):
        for name, band in bands.items():
            for seed in (5, 1):
                field = random_bandlimited(1, 1, band, 12.0, cell_seed(field=name, seed=seed))
                for stride in (2, 3):
                    for grid, where in grids.items():
                        expected = equivariance_error(
                            nn.Sequential(Pointwise(torch.square), make(stride)),
                            field,
                            data["t"].to_numpy(),
                            where,
                        )
                        found = data["error"].sel(
                            layer=layer, field=name, seed=seed, stride=stride, grid=grid
                        )
                        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-14)
    assert float(data["error"].sel(grid="points").max()) <= 1e-12


def test_task_sizes_and_the_trial_change_no_bit(plain) -> None:
    for flags in ([], ["--batch", "1"], ["--batch", "100000"]):
        out = f"b{''.join(flags)}.zarr"
        assert run(plain, PLAIN, *flags, out=out) == 0
        assert killing.differences(plain / "s.zarr", plain / out) == []
    sides = {SweepStore(plain / f"b--batch{n}.zarr").sides for n in (1, 100000)}
    assert sides == {(1, 1, 1, 1, 1, 16), (2, 2, 2, 3, 2, 21)}


def test_threads_and_the_global_generator_change_nothing(tmp_path) -> None:
    """Every cell runs on one thread with a generator of its own; both are given back."""
    killing.write(tmp_path, seeds=1, pause=0.0)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    for out, count in (("a.zarr", 1), ("b.zarr", 2)):
        torch.set_num_threads(count)
        torch.manual_seed(count)
        assert main(["sweep", str(tmp_path / "sweep.toml"), "--out", str(tmp_path / out)]) == 0
        assert torch.get_num_threads() == count
    torch.set_num_threads(threads)
    torch.set_rng_state(before)
    assert killing.differences(tmp_path / "a.zarr", tmp_path / "b.zarr") == []


def test_another_configuration_is_refused(plain, capsys) -> None:
    before = read_dataset(plain / "s.zarr")
    assert run(plain, PLAIN.replace("21", "22")) == 2
    assert "holds a sweep of another configuration (translations differ)" in capsys.readouterr().err
    assert read_dataset(plain / "s.zarr").equals(before)


def test_a_done_sweep_has_nothing_to_do(plain, caplog) -> None:
    with caplog.at_level(logging.INFO):
        assert run(plain, PLAIN) == 0
    assert "0 tasks to do" in caplog.text


def odd(name: str) -> str:
    made = PLAIN.partition("[layers.equivariant]")[0].replace(
        "[grids.points]\npoints = 7\nextent = [12.0]\n", ""
    )
    return f'{made}[layers.{name}]\nmake = "odd.py:{name}"\n[layers.blur]\nchain = ["blur"]\n'


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("raises", RAISED, "RuntimeError: stride 2 is too much!!"),
        ("nan", NOT_FINITE, "the error is nan"),
    ],
)
def test_cells_that_fail_are_recorded_and_stop_nothing(
    tmp_path, capsys, name, status, message
) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    assert run(tmp_path, odd(name)) == 0
    data = read_dataset(tmp_path / "s.zarr")
    found = data["status"].sel(layer=name)
    # NaN maps are refused, too, where they would have to be resampled
    assert set(np.unique(found)) == {status, RAISED}
    assert (found.isel(translation=0) == status).all()
    assert (data["status"].sel(layer="blur") == DONE).all()
    assert data["message"].sel(layer=name, stride=2).to_numpy().ravel()[0].startswith(message)
    assert data["error"].sel(layer=name).isnull().all()
    assert "raised (why is in `message`)" in (out := capsys.readouterr().out) or "not finite" in out


def test_a_block_that_fails_is_run_cell_by_cell(tmp_path) -> None:
    """A layer that takes no batches is measured one translation at a time."""
    (tmp_path / "odd.py").write_text(ODD)
    assert run(tmp_path, odd("single")) == 0
    status = read_dataset(tmp_path / "s.zarr")["status"]
    assert (status.sel(layer="single") == DONE).all()


def test_retry_computes_again_what_raised(tmp_path) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    assert run(tmp_path, odd("raises")) == 0
    (tmp_path / "mended").touch()
    for flags, raised in (([], True), (["--retry"], False)):
        assert run(tmp_path, odd("raises"), *flags) == 0
        status = read_dataset(tmp_path / "s.zarr")["status"].to_numpy()
        assert (status == RAISED).any() == raised


def test_a_retry_that_cannot_be_stored_ends_incomplete(tmp_path, monkeypatch, capsys) -> None:
    """Every cell has a status, but those to compute again haven't been."""
    (tmp_path / "odd.py").write_text(ODD)
    assert run(tmp_path, odd("raises")) == 0
    (tmp_path / "mended").touch()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("zarr.storage._local._put", full)
    assert run(tmp_path, odd("raises"), "--retry") == INCOMPLETE
    monkeypatch.undo()
    assert "the disk is full" in capsys.readouterr().err
    assert run(tmp_path, odd("raises"), "--retry") == 0


def test_a_store_that_is_deleted_meanwhile_is_told_of(tmp_path, monkeypatch, capsys) -> None:
    run_, count = Work.__call__, []

    def deleted(work, task):
        count.append(task)
        if len(count) == 3:
            shutil.rmtree(work.store)
        return run_(work, task)

    monkeypatch.setattr(Work, "__call__", deleted)
    assert run(tmp_path, PLAIN, "--batch", "40") == INCOMPLETE
    said = capsys.readouterr()
    assert "s.zarr was deleted while the sweep ran: start it again" in said.err
    assert said.out.strip() == ""
    assert not (tmp_path / "s.zarr").exists()


def test_a_store_of_other_versions_goes_on_with_a_warning(plain, caplog) -> None:
    """Their last bits may be others."""
    shutil.copytree(plain / "s.zarr", plain / "old.zarr")
    attributes = json.loads((plain / "old.zarr" / ".zattrs").read_text())
    attributes["torch"] = "0.4.1"
    (plain / "old.zarr" / ".zattrs").write_text(json.dumps(attributes))
    assert run(plain, PLAIN, out="old.zarr") == 0
    warned = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warned == [f"{plain / 'old.zarr'} was begun with torch 0.4.1, not {torch.__version__}"]


def test_sweeps_need_zarr(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    assert run(tmp_path, PLAIN) == 2
    assert "sweeps need Zarr: pip install 'feature-fields[sweep]' (" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["sweep.toml"]


def test_an_interrupt_leaves_a_store_that_goes_on(plain, tmp_path, monkeypatch) -> None:
    """Ctrl-C: 130, and the same command ends with the same bits."""
    run_, count = Work.__call__, []

    def interrupted(work, task):
        count.append(task)
        if len(count) == 3:
            raise KeyboardInterrupt
        return run_(work, task)

    monkeypatch.setattr(Work, "__call__", interrupted)
    assert run(tmp_path, PLAIN, "--batch", "40") == 130
    monkeypatch.undo()
    assert 0 < killing.done(tmp_path / "s.zarr") < 2 * 2 * 2 * 3 * 2 * 21
    assert run(tmp_path, PLAIN) == 0
    assert killing.differences(plain / "s.zarr", tmp_path / "s.zarr") == []


def test_a_disk_that_fills_ends_incomplete(tmp_path, monkeypatch, capsys) -> None:
    """3, words that help, and all that was stored before; then the same command goes on."""
    write, count = SweepStore.write, []

    def fills(self, *values):
        count.append(1)
        if len(count) == 3:
            monkeypatch.setattr("zarr.storage._local._put", full)
        write(self, *values)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SweepStore, "write", fills)
    assert run(tmp_path, PLAIN, "--batch", "40") == INCOMPLETE
    monkeypatch.undo()
    assert "the disk is full: make room, and the same command goes on" in capsys.readouterr().err
    assert run(tmp_path, PLAIN) == 0


def test_kills(tmp_path) -> None:
    """SIGKILL for a driver, for a worker, and for all: the bits are those of a serial run."""
    config = killing.write(tmp_path, seeds=4, pause=0.02)
    out, draw = tmp_path / "killed.zarr", random.Random(0)
    driver = killing.start(config, out, 0)
    deadline = time.monotonic() + 60
    while not (out / "status" / "0.0.0.0.1.0").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert killing.kill(driver, "driver", draw)
    driver.communicate()
    assert driver.returncode == -signal.SIGKILL
    assert 0 < killing.done(out) < 512
    store = SweepStore(out)
    work = Work.on(store, read(config), tmp_path)
    with connected(2) as client, store.alone():
        results = []
        for done in on_cluster(work, store.pending(), client):
            results.append(done)
            if len(results) == 2:
                os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
    assert all(isinstance(done, Done) for done in results)
    assert store.pending() == []
    serial = tmp_path / "serial.zarr"
    assert main(["sweep", str(config), "--out", str(serial)]) == 0
    assert killing.differences(out, serial) == []
    assert killing.leftovers(out) == []


BAD = {
    "both": (["--workers", "2", "--scheduler", "tcp://a:1"], "not both"),
    "negative": (["--workers", "-1"], "at least 0"),
    "TLS alone": (["--tls-ca", "ca.pem"], "TLS needs --workers or --scheduler"),
    "TLS in part": (["--workers", "1", "--tls-ca", "ca.pem"], "needs all of --tls-ca, --tls-cert"),
}


@pytest.mark.parametrize(("flags", "message"), BAD.values(), ids=BAD.keys())
def test_bad_flags(tmp_path, capsys, flags, message) -> None:
    assert run(tmp_path, PLAIN, *flags) == 2
    assert message in capsys.readouterr().err
