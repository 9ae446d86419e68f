"""Sweeps that are killed: a configuration whose cells take a while, and a killer of drivers and workers."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil

from equivariance.sweeping.store import read_dataset

LAYERS = """
import time, torch
from discretize import Stride

def slow(stride, seed):
    def layer(f):
        time.sleep({pause} / 2)  # it runs twice for each block
        return Stride(stride)(f * f)
    return layer

def drawn(stride, seed):
    def layer(f):
        time.sleep({pause} / 2)
        return Stride(stride)(f).map(lambda v: v + torch.rand(()))  # from the global generator
    return layer
"""
CONFIGURATION = """
strides = [2, 4]
seeds = {seeds}
[translations]
random = {{ count = 32, reach = [8.0] }}
[grids.16]
shape = [16]
[fields.noise]
random = {{ bandlimit = 0.4, period = 16.0 }}
[layers.slow]
make = "slow.py:slow"
[layers.drawn]
make = "slow.py:drawn"
"""


def write(folder: Path, seeds: int, pause: float) -> Path:
    """A sweep of 8·seeds blocks of 16 cells that take `pause` seconds each."""
    (folder / "slow.py").write_text(LAYERS.format(pause=pause))
    (folder / "sweep.toml").write_text(CONFIGURATION.format(seeds=seeds))
    return folder / "sweep.toml"


def start(config: Path, out: Path, workers: int) -> subprocess.Popen[bytes]:
    """The command, in a process group of its own."""
    words = ["sweep", str(config), "--out", str(out), "--workers", str(workers), "--batch", "16"]
    return subprocess.Popen(
        [sys.executable, "-m", "equivariance", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def workers_of(driver: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Its worker processes."""
    try:
        children = psutil.Process(driver.pid).children(recursive=True)
        return [c for c in children if "spawn_main" in " ".join(c.cmdline())]
    except psutil.NoSuchProcess:
        return []


def kill(driver: subprocess.Popen[bytes], whom: str, draw: random.Random) -> bool:
    """SIGKILL for the driver, one of its workers, or all at once; whether there was one."""
    workers = workers_of(driver)
    chosen = {"driver": [driver], "worker": draw.sample(workers, min(1, len(workers)))}
    for process in chosen.get(whom, [driver, *workers]):
        try:
            process.send_signal(signal.SIGKILL)
        except (ProcessLookupError, psutil.NoSuchProcess):
            return False
    return bool(chosen.get(whom, workers))


def run_with_kills(config: Path, out: Path, kills: int, seed: int, patience: float) -> list[str]:
    """Start the sweep again and again, with kills at random moments, until it is done."""
    draw, killed = random.Random(seed), list[str]()
    while True:
        driver = start(config, out, workers=2)
        while driver.poll() is None and len(killed) < kills:
            time.sleep(draw.uniform(0, patience))
            whom = draw.choice(("driver", "worker", "worker", "all"))
            if driver.poll() is None and kill(driver, whom, draw):
                killed.append(whom)
                if whom != "worker":
                    break
        _, said = driver.communicate()
        if driver.returncode == 0:
            return killed
        assert driver.returncode in (-signal.SIGKILL, 3), said.decode()


def differences(one: Path, other: Path) -> list[str]:
    """The arrays of two stores that differ in a bit."""
    a, b = read_dataset(one), read_dataset(other)
    return [
        name
        for name in ("error", "message", "status", "t")
        if a[name].to_numpy().tobytes() != b[name].to_numpy().tobytes()
    ]


def leftovers(out: Path) -> list[Path]:
    """Files that are no part of a store, in it and beside it."""
    beside = [p for p in out.parent.iterdir() if p.name.startswith(f".{out.name}")]
    return beside + list(out.rglob("*.partial"))


def done(out: Path) -> int:
    """How many cells have a status."""
    return int(np.count_nonzero(read_dataset(out)["status"]))
