"""`equivariance sweep FILE.toml`: measure a product of layers, fields, strides, grids, seeds and translations."""

from __future__ import annotations

import logging
import math
import shlex
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from equivariance.bad_input import BadInput

if TYPE_CHECKING:
    from equivariance.sweeping.building import Parts
    from equivariance.sweeping.configuration import SweepConfiguration
    from equivariance.sweeping.distributed import Work
    from equivariance.sweeping.division import Done, Index
    from equivariance.sweeping.store import SweepStore

INCOMPLETE = 3
#: Seconds that a task of a new store takes, about; the cost of storing it is some milliseconds.
TASK = 0.25

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SweepSettings:
    """Measure a product of layers, fields, strides, grids, seeds and translations, as a TOML file says.

    The same command goes on where it was stopped, however that was, and ends with the same numbers. Exit code 0 when
    done, 2 where the file or the store can't be worked with, 3 where some of the work is left, 130 after Ctrl-C.
    """

    config: tyro.conf.Positional[Path]
    """The TOML file; its form is in the documentation."""

    out: Path = Path("sweep.zarr")
    """The store, made where it is missing."""

    workers: int = 0
    """Processes on this machine, reachable from this machine only; 0 works here, in order."""

    scheduler: str | None = None
    """Address of a running Dask scheduler, tcp://… or tls://…; its workers must see the store at the same path."""

    tls_ca: Path | None = None
    """Certificate of the authority that signed all others, PEM; encrypts what goes between processes."""

    tls_cert: Path | None = None
    """Certificate, PEM."""

    tls_key: Path | None = None
    """Its key, PEM."""

    batch: int = 0
    """Cells of a task in a new store; as many as take a quarter of a second unless given."""

    retry: bool = False
    """Compute again what raised before, or wasn't finite."""

    @property
    def command(self) -> str:
        """What to type for the same numbers."""
        return shlex.join(["equivariance", "sweep", str(self.config), "--out", str(self.out)])

    @property
    def tls(self) -> dict[str, Path] | None:
        """The TLS files that are given."""
        files = {"ca": self.tls_ca, "cert": self.tls_cert, "key": self.tls_key}
        return {k: path for k, path in files.items() if path is not None} or None

    def check(self) -> None:
        """Raise BadInput where these settings can't be run."""
        if self.workers < 0 or self.batch < 0:
            raise BadInput(
                f"--workers and --batch are at least 0, got {self.workers}, {self.batch}"
            )
        if self.workers and self.scheduler:
            raise BadInput("give --workers or --scheduler, not both")
        if self.scheduler is None and not self.workers and self.tls:
            raise BadInput("TLS needs --workers or --scheduler")
        if self.scheduler and self.tls and not self.scheduler.startswith("tls://"):
            raise BadInput(f"TLS needs a --scheduler at tls://…, got {self.scheduler}")


def run(settings: SweepSettings) -> tuple[str, int]:
    """Do what is left of a sweep: what there is to say, and the exit code.

    Raises
    ------
    BadInput
        Before anything is computed.
    """
    try:
        import zarr  # noqa: F401
    except ImportError as error:
        raise BadInput(
            f"sweeps need Zarr: pip install 'feature-fields[sweep]' ({error})"
        ) from error
    from equivariance.sweeping.building import Parts
    from equivariance.sweeping.configuration import read
    from equivariance.sweeping.distributed import Work
    from equivariance.sweeping.division import NOT_FINITE, RAISED
    from equivariance.sweeping.store import StoreTrouble

    settings.check()
    configuration = read(settings.config)
    parts = Parts(configuration, settings.config.parent)
    store = _store(settings, configuration, parts)
    pending = store.pending((RAISED, NOT_FINITE) if settings.retry else ())
    log.info(
        "%s: %s cells, %d tasks to do", store.path, f"{math.prod(store.shape):,}", len(pending)
    )
    trouble = None
    if pending:
        work = Work.on(store, configuration, settings.config.parent)
        try:
            with store.alone():
                _follow(store, pending, settings, work)
            store.require()
        except StoreTrouble as error:
            trouble = error
    return _outcome(store, trouble)


def _store(settings: SweepSettings, configuration: SweepConfiguration, parts: Parts) -> SweepStore:
    """The store there is, if it is of this configuration, or a new one."""
    from equivariance.records import provenance
    from equivariance.sweeping.configuration import difference
    from equivariance.sweeping.division import AXES, task_shape
    from equivariance.sweeping.store import SweepStore, same

    if settings.out.exists():
        store = SweepStore(settings.out)
        if not same(store.record, configuration.record):
            keys = difference(store.record, configuration.record)
            raise BadInput(
                f"--out {settings.out} holds a sweep of another configuration ({keys} differ): choose another --out"
            )
        _warn_of_versions(store)
        return store
    taken = trial(parts)
    cells = settings.batch or max(1, math.ceil(TASK / taken))
    attributes = provenance(configuration.record, settings.command) | {
        "title": f"Sweep {settings.config.stem}",
        "folder": str(settings.config.parent.resolve()),
        "toml": settings.config.read_text(encoding="utf-8"),
        "threads": "1",
    }
    labels: dict[str, Any] = dict(zip(AXES, parts.labels, strict=False))
    sides = task_shape(parts.shape, cells)
    return SweepStore.create(settings.out, labels, parts.translations.numpy(), sides, attributes)


def trial(parts: Parts) -> float:
    """Seconds that a cell takes, from one block of every layer; all fields and layers are made once.

    Raises
    ------
    BadInput
        Where one of them can't be made.
    """
    layers, fields, strides, grids, seeds = parts.labels
    first = {"field": fields[0], "seed": seeds[0]}
    for field in fields:
        parts.field(field, seeds[0])
    for layer in layers:
        for stride in strides:
            for grid in grids:
                parts.parts({**first, "layer": layer, "stride": stride, "grid": grid})
    from equivariance.sweeping.division import BLOCK

    taken, count = [], min(BLOCK, parts.shape[-1])
    for i in range(len(layers)):
        for _ in range(2):  # the first time, plans are made that later ones find
            begin = time.perf_counter()
            try:
                parts.errors((i, 0, 0, 0, 0), slice(0, count))
            except Exception as error:  # recorded when its turn comes
                log.debug("%s", error)
        taken.append((time.perf_counter() - begin) / count)
    return statistics.fmean(taken)


def _warn_of_versions(store: SweepStore) -> None:
    """Other versions may compute other last bits."""
    from equivariance.records import provenance

    now = provenance({})
    for name in ("feature_fields", "torch", "numpy"):
        before = store.attributes.get(name)
        if before != now[name]:
            log.warning("%s was begun with %s %s, not %s", store.path, name, before, now[name])


def _follow(store: SweepStore, pending: list[Index], settings: SweepSettings, work: Work) -> None:
    """Run the tasks with a bar that says how long it will take."""
    from tqdm import tqdm

    from equivariance.sweeping.division import Done

    cells = math.prod(store.shape)
    left = sum(store.size(task) for task in pending)
    bar = tqdm(total=cells, initial=cells - left, desc="sweep", unit="cell", disable=None)
    told = False
    with bar, _done(work, pending, settings) as results:
        try:
            for done in results:
                if not isinstance(done, Done):
                    log.warning("task %s ended its worker again and again: left undone", done)
                    continue
                bar.update(done.cells)
                if done.why and not told:
                    told = True
                    log.warning("cells without an error, the first: %s", done.why)
        except KeyboardInterrupt:
            log.warning("stopped: what was done is in %s, the same command goes on", store.path)
            raise


@contextmanager
def _done(
    work: Work, pending: list[Index], settings: SweepSettings
) -> Iterator[Iterable[Done | Index]]:
    """What becomes of the tasks, as it does."""
    from equivariance.sweeping.distributed import connected, here, on_cluster

    if not settings.workers and settings.scheduler is None:
        yield here(work, pending)
        return
    with connected(settings.workers, settings.scheduler, settings.tls) as client:
        yield on_cluster(work, pending, client)


def _outcome(store: SweepStore, trouble: Any) -> tuple[str, int]:
    """What the store holds now, in words."""
    import numpy as np

    from equivariance.sweeping.division import DONE, NOT_FINITE, RAISED
    from equivariance.sweeping.store import StoreTrouble

    try:
        store.require()
        status = store.status()
    except StoreTrouble as error:
        print(f"equivariance: {error}", file=sys.stderr)
        return "", INCOMPLETE
    if trouble:
        print(f"equivariance: {trouble}", file=sys.stderr)
    count = {k: int(np.count_nonzero(status == k)) for k in (0, DONE, RAISED, NOT_FINITE)}
    text = f"{store.path}: {count[DONE]:,} of {status.size:,} cells measured"
    if count[RAISED]:
        text += f", {count[RAISED]:,} raised (why is in `message`)"
    if count[NOT_FINITE]:
        text += f", {count[NOT_FINITE]:,} not finite"
    if count[0]:
        text += f", {count[0]:,} left: the same command goes on"
    return text, INCOMPLETE if count[0] or trouble else 0
