"""Sweeps on a Dask cluster that was started elsewhere: what is asked of it, and what is said where it fails."""

import gc
import itertools
import logging
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import dask
import pytest
from distributed import LocalCluster
from distributed.utils import LoopRunner

from equivariance.bad_input import BadInput
from equivariance.cli import main
from equivariance.cli.sweep import INCOMPLETE
from equivariance.sweeping import distributed
from equivariance.sweeping.configuration import read
from equivariance.sweeping.distributed import ATTEMPTS, Work, connected, on_cluster
from equivariance.sweeping.division import DONE, RAISED
from equivariance.sweeping.store import StoreTrouble, SweepStore, read_dataset
from tests.equivariance import killing

LAYERS = """
import os, signal
from pathlib import Path
from discretize import Stride

def kills(stride, seed):
    def layer(f):
        if stride == 3:
            with open(Path(__file__).parent / "killed", "a") as file:
                print(os.getpid(), file=file)
            os.kill(os.getpid(), signal.SIGKILL)
        return Stride(stride)(f * f)
    return layer

def raises(stride, seed):
    def layer(f):
        raise ArithmeticError(f"no stride {stride}")
    return layer
"""
CONFIGURATION = """
strides = [2, 3]
[translations]
list = [[0.0], [0.5], [1.0]]
[grids.a]
shape = [12]
[fields.noise]
random = {{ bandlimit = 0.4, period = 12.0 }}
[layers.one]
{layer}
"""
TASK = (0,) * 6


def test_what_is_left_behind_is_not_collected_while_a_loop_starts(monkeypatch) -> None:
    """Dask starts and stops loops under one lock: a client that is collected in between stops its own, for ever."""
    start, seen = LoopRunner.start, []

    def watched(runner: LoopRunner) -> None:
        seen.append((gc.isenabled(), LoopRunner._lock.locked()))
        start(runner)

    monkeypatch.setattr(LoopRunner, "start", watched)
    distributed._event_loop().stop()
    assert seen == [(False, False)]
    assert gc.isenabled()


def test_an_event_loop_that_starts_late_is_waited_for(monkeypatch) -> None:
    """Where it didn't start in time, Dask has an AssertionError."""
    start, late = LoopRunner.start, iter([True] * 3)

    def slow(runner) -> None:
        assert not next(late, False)
        start(runner)

    monkeypatch.setattr(LoopRunner, "start", slow)
    with connected(workers=1) as client:
        assert sum(client.nthreads().values()) == 1
    late = itertools.repeat(True)
    with (
        pytest.raises(StoreTrouble, match="event loop didn't start within 120 s"),
        connected(workers=1),
    ):
        pass


CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
OPENSSL = shutil.which("openssl")
tls = pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificates")


def write(folder, layer: str = 'chain = ["square", "stride"]'):
    (folder / "layers.py").write_text(LAYERS)
    (folder / "sweep.toml").write_text(CONFIGURATION.format(layer=layer))
    return folder / "sweep.toml"


def run(config, *flags: str, out: str = "s.zarr") -> int:
    return main(["sweep", str(config), "--out", str(config.parent / out), "--batch", "3", *flags])


def openssl(folder, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(autouse=True)
def _no_traces():
    """What else computes with Dask in this process, as xarray does, is left to its own scheduler."""
    yield
    assert dask.config.get("scheduler", None) is None


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """An authority, a certificate that it signed with its key, and another authority that signed nothing."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("ca", "other"):
        out = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2")
        openssl(folder, "req", "-x509", *CURVE, *out, "-subj", f"/CN={name}")
    openssl(folder, "req", *CURVE, "-keyout", "key.pem", "-out", "wanted.pem", "-subj", "/CN=end")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
    openssl(folder, "x509", "-req", "-in", "wanted.pem", *signed, "-out", "cert.pem")
    (folder / "no.pem").write_text("nothing")
    return folder


def ends(files, **other: str):
    names = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"} | other
    return {end: files / name for end, name in names.items()}


@pytest.fixture(scope="module")
def cluster(request):
    """The flags for a cluster that gives up at once on a task that kills its worker; encrypted, if that can be."""
    impatient = {
        "distributed.scheduler.allowed-failures": 0,
        "distributed.deploy.lost-worker-timeout": "0.1s",  # `connected` knows better
    }
    tls = ends(request.getfixturevalue("files")) if OPENSSL else {}
    with dask.config.set(impatient), connected(1, tls=tls) as client:
        flags = [word for end, path in tls.items() for word in (f"--tls-{end}", str(path))]
        yield ["--scheduler", client.scheduler.address, *flags]


@tls
def test_encrypted_sweeps_are_those_of_this_process(tmp_path, files, cluster) -> None:
    """On a cluster at tls://…, which shows the authority's certificate and asks for one."""
    config = write(tmp_path)
    assert run(config, out="here.zarr") == 0
    assert cluster[1].startswith("tls://127.0.0.1:")
    assert run(config, *cluster) == 0
    assert killing.differences(tmp_path / "here.zarr", tmp_path / "s.zarr") == []


def test_what_cells_raise_on_workers_is_told_once(tmp_path, cluster, caplog) -> None:
    config = write(tmp_path, 'make = "layers.py:raises"')
    assert run(config, *cluster) == 0
    assert caplog.text.count("the first: ArithmeticError: no stride 2") == 1
    assert (read_dataset(tmp_path / "s.zarr")["status"] == RAISED).all()


def local(workers: int):
    """A cluster of threads of this process."""
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )


@pytest.fixture
def work(tmp_path):
    """That of a sweep that was done here."""
    config = write(tmp_path)
    assert run(config) == 0
    return Work.on(SweepStore(tmp_path / "s.zarr"), read(config), tmp_path)


def test_workers_that_see_another_store_stop_the_sweep(tmp_path, work) -> None:
    """Where the same path is another disk: nothing is written to what lies there."""
    chunk = tmp_path / "s.zarr" / "status" / "0.0.0.0.0.0"
    before = chunk.stat()
    other = replace(work, identity="another")
    with (
        local(1) as workers,
        connected(scheduler=workers.scheduler_address) as client,
        pytest.raises(StoreTrouble, match=r"s\.zarr isn't the store of this sweep where this"),
    ):
        list(on_cluster(other, [TASK], client))
    assert chunk.stat() == before


@pytest.mark.parametrize("closed", ["scheduler", "client"])
def test_a_lost_scheduler_ends_the_sweep_in_words(work, monkeypatch, caplog, closed: str) -> None:
    """It goes while tasks wait; Dask's client waits for it in vain, is closed, and takes no other task."""
    monkeypatch.setattr(distributed, "TIMEOUT", "0.3s")
    with local(0) as scheduler, connected(scheduler=scheduler.scheduler_address) as client:
        assert f"no worker at {scheduler.scheduler_address} yet: waiting for one" in caplog.text

        def tasks():
            yield TASK
            {"scheduler": scheduler, "client": client}[closed].close()
            if closed == "client":
                yield TASK

        with pytest.raises(StoreTrouble, match="the scheduler is gone: the same command goes on"):
            list(on_cluster(work, tasks(), client))
    for name in ("distributed", "distributed.client"):  # whose tracebacks say no more
        assert not logging.getLogger(name).isEnabledFor(logging.ERROR)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("tcp://127.0.0.1:1", "can't reach a scheduler at tcp://127.0.0.1:1: Timed out"),
        ("head:", "can't reach a scheduler at head:: "),
        ("http://127.0.0.1:1", "unknown address scheme 'http'"),
        ("tls://127.0.0.1:1", "; tls://… needs --tls-ca, --tls-cert and --tls-key"),
    ],
)
def test_schedulers_that_cannot_be_reached(tmp_path, monkeypatch, capsys, address, why) -> None:
    monkeypatch.setattr(distributed, "TIMEOUT", "0.3s")
    assert run(write(tmp_path), "--scheduler", address) == 2
    assert why in capsys.readouterr().err


def test_schedulers_must_encrypt_where_dask_is_told_to(monkeypatch) -> None:
    monkeypatch.setattr(distributed, "TIMEOUT", "0.3s")
    told = dask.config.set({"distributed.comm.require-encryption": True})
    message = "can't reach a scheduler at tcp://127.0.0.1:1: encryption required"
    with told, pytest.raises(BadInput, match=message), connected(scheduler="tcp://127.0.0.1:1"):
        pass


@tls
@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"ca": "no.pem"}, "no.pem isn't a certificate (PEM): "),
        ({"cert": "no.pem"}, "no.pem and --tls-key "),
        ({"key": "ca.key"}, "aren't a certificate and its key (PEM, no password): "),
        ({"key": "nowhere"}, "there is no file "),
        ({"ca": "other.pem"}, "a worker didn't start: "),
    ],
)
def test_files_that_encrypt_nothing(files, other, why) -> None:
    with pytest.raises(BadInput, match=re.escape(why)), connected(1, tls=ends(files, **other)):
        pass


def test_encryption_needs_an_encrypted_scheduler(tmp_path, capsys) -> None:
    words = ["--scheduler", "tcp://127.0.0.1:1", "--tls-ca", "ca.pem"]
    assert run(write(tmp_path), *words) == 2
    expected = "TLS needs a --scheduler at tls://…, got tcp://127.0.0.1:1"
    assert expected in capsys.readouterr().err


def test_workers_need_dask(tmp_path, monkeypatch, capsys) -> None:
    """Sweeps in this process don't."""
    config = write(tmp_path)
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert run(config, "--workers", "1") == 2
    assert "workers need Dask: pip install 'feature-fields[sweep]' (" in capsys.readouterr().err
    assert run(config) == 0


def test_a_task_that_kills_its_workers_is_left_undone(tmp_path, cluster, caplog, capsys) -> None:
    """It is tried `ATTEMPTS` times; all others are done, and the command says what is left."""
    config = write(tmp_path, 'make = "layers.py:kills"')
    assert run(config, *cluster) == INCOMPLETE
    assert "task (0, 0, 1, 0, 0, 0) ended its worker again and again: left undone" in caplog.text
    assert "3 of 6 cells measured, 3 left: the same command goes on" in capsys.readouterr().out
    status = read_dataset(tmp_path / "s.zarr")["status"]
    assert (status.sel(stride=2) == DONE).all()
    assert (status.sel(stride=3) == 0).all()
    killed = (tmp_path / "killed").read_text().split()
    assert len(killed) == len(set(killed)) == ATTEMPTS
