"""Sweeps: what scheduling and storing cost over the bare computation, and what a second worker gains."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from distributed import Client

from benchmarks.harness import alternate, show
from equivariance.records import provenance
from equivariance.sweeping.building import Parts
from equivariance.sweeping.configuration import SweepConfiguration, read
from equivariance.sweeping.distributed import Work, connected, here, on_cluster
from equivariance.sweeping.division import AXES, blocks, task_shape
from equivariance.sweeping.store import SweepStore

MANY = """
strides = [2, 4]
seeds = 5
[translations]
random = { count = 500, reach = [16.0, 16.0] }
[grids.16]
shape = [16, 16]
[fields.noise]
random = { bandlimit = 0.4, period = 16.0 }
[layers.stride]
chain = [{ conv = 3, channels = 4 }, "relu", "stride"]
[layers.average]
chain = [{ conv = 3, channels = 4 }, "relu", "average"]
[layers.blur]
chain = [{ conv = 3, channels = 4 }, "relu", "blur"]
[layers.ideal]
chain = [{ conv = 3, channels = 4 }, "relu", "ideal"]
[layers.equivariant]
chain = [{ conv = 3, channels = 4 }, "relu", "equivariant"]
[fields.smooth]
random = { bandlimit = 0.1, period = 16.0 }
"""
LARGE = """
strides = [2]
seeds = 1
[translations]
random = { count = 384, reach = [16.0, 16.0] }
[grids.192]
shape = [192, 192]
[fields.noise]
random = { bandlimit = 0.05, period = 192.0 }
[layers.chain]
chain = [{ conv = 5, channels = 8 }, "relu", { conv = 5, channels = 8 }, "relu", "stride"]
"""


@contextmanager
def sweep_of(toml: str) -> Iterator[tuple[Path, SweepConfiguration, Parts]]:
    """A folder with the configuration, read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sweep.toml").write_text(toml)
        configuration = read(folder / "sweep.toml")
        yield folder, configuration, Parts(configuration, folder)


def stored(
    folder: Path, configuration: SweepConfiguration, parts: Parts, cells: int
) -> tuple[SweepStore, Work]:
    """An empty store, and the work on it."""
    path = folder / "sweep.zarr"
    shutil.rmtree(path, ignore_errors=True)
    labels: dict[str, Any] = dict(zip(AXES, parts.labels, strict=False))
    sides = task_shape(parts.shape, cells)
    t, record = parts.translations.numpy(), provenance(configuration.record)
    store = SweepStore.create(path, labels, t, sides, record)
    return store, Work.on(store, configuration, folder)


def overhead(rounds: int = 3) -> None:
    """50,000 cells: in the store, and by one worker, against a plain loop that keeps nothing."""
    with sweep_of(MANY) as (folder, configuration, parts), connected(1) as client:
        whole = [slice(0, n) for n in parts.shape]

        def bare() -> None:
            for index, translations in blocks(whole):
                parts.errors(index, translations)

        def here_stored() -> None:
            store, work = stored(folder, configuration, parts, 640)
            assert sum(done.cells for done in here(work, store.pending())) == 50_000
            assert not store.pending()

        def by_worker() -> None:
            store, work = stored(folder, configuration, parts, 640)
            assert len(list(on_cluster(work, store.pending(), client))) > 1
            assert not store.pending()

        candidates: dict[str, Callable[[], object]] = {
            "stored": here_stored,
            "bare": bare,
            "stored by one worker": by_worker,
        }
        medians = alternate(candidates, rounds)
        show("50,000 cells in one process", medians, 1.1)
        print(f"  by one worker / bare = {medians['stored by one worker'] / medians['bare']:.2f}")


def speed_up(rounds: int = 5) -> None:
    """Two workers against one, both warm."""
    with sweep_of(LARGE) as (folder, configuration, parts), ExitStack() as stack:
        clients = [stack.enter_context(connected(n)) for n in (1, 2)]
        for client in clients:  # torch is imported, and the plans are made
            _, work = stored(folder, configuration, parts, 16)
            hosts = list(client.nthreads())
            client.gather([client.submit(work, (0,) * 6, workers=[h], pure=False) for h in hosts])

        def by(client: Client) -> None:
            store, work = stored(folder, configuration, parts, 16)
            assert len(list(on_cluster(work, store.pending(), client))) == 24

        medians = alternate({"one": lambda: by(clients[0]), "two": lambda: by(clients[1])}, rounds)
        cell = medians["one"] / math.prod(parts.shape)
        show(f"Workers, cells of {1e3 * cell:.0f} ms", medians, least=1.6)


def main() -> None:
    """Both."""
    overhead()
    speed_up()
