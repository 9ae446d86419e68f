"""Runs the tasks of a stored sweep: here, one after the other, or on the workers of a Dask cluster.

Every task computes its cells and writes them to the store, so that workers need the same file system. A task may be run
twice, or killed half-way: it always writes the same numbers.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import json
import logging
import signal
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equivariance.bad_input import BadInput
from equivariance.records import as_json
from equivariance.sweeping.building import Parts
from equivariance.sweeping.configuration import SweepConfiguration
from equivariance.sweeping.division import DONE, NOT_FINITE, RAISED, Done, Index, box, computed
from equivariance.sweeping.store import StoreTrouble, SweepStore

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

#: Tasks that wait at each worker thread, so that none is idle while results travel.
AHEAD = 3
#: How often a task is given to a cluster that says it killed its workers, each time several of them.
ATTEMPTS = 2
#: How long a scheduler is waited for.
TIMEOUT = "20s"
#: How long processes on this machine may take to answer, and how often an event loop is given ten seconds to start: on
#: a busy machine these are no signs of death.
PATIENCE, LOOPS = "300s", 12
#: A wait that no sweep outlasts.
NEVER = "1000d"
GONE = "the scheduler is gone: the same command goes on"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """What a worker does with a task; it travels to the workers.

    Attributes
    ----------
    store : str
        Path of the store, the same for all workers.
    identity : str
        The store's own.
    configuration : str
        JSON of `SweepConfiguration.record`.
    folder : str
        Where the files lie that the configuration names.
    """

    store: str
    identity: str
    configuration: str
    folder: str

    @classmethod
    def on(cls, store: SweepStore, configuration: SweepConfiguration, folder: Path) -> Work:
        """The work of a sweep."""
        record = as_json(configuration.record)
        return cls(str(store.path.resolve()), store.identity, record, str(folder.resolve()))

    def __call__(self, task: Index) -> Done:
        """Compute and store a task."""
        store, parts = _opened(self)
        if store.identity != self.identity:
            raise StoreTrouble(f"{self.store} isn't the store of this sweep where this worker runs")
        cells = box(task, store.shape, store.sides)
        error, message, status = computed(parts, cells)
        store.write(task, error, message, status)
        wrong = message[status != DONE]
        return Done(
            task,
            status.size,
            int((status == RAISED).sum()),
            int((status == NOT_FINITE).sum()),
            bytes(wrong[0]).decode(errors="replace") if wrong.size else "",
        )


@functools.lru_cache(4)
def _opened(work: Work) -> tuple[SweepStore, Parts]:
    configuration = SweepConfiguration.of_record(json.loads(work.configuration))
    return SweepStore(Path(work.store)), Parts(configuration, Path(work.folder))


def here(work: Work, tasks: Iterable[Index]) -> Iterator[Done]:
    """Run tasks in this process, in order."""
    return map(work, tasks)


def on_cluster(work: Work, tasks: Iterable[Index], client: Client) -> Iterator[Done | Index]:
    """Run tasks on a Dask cluster: what was done, as it is done, and tasks that their workers never survived.

    Raises
    ------
    StoreTrouble
        Of a worker that can't write, or where the scheduler is gone.
    """
    from distributed import CancelledError, Future, as_completed
    from distributed.comm.core import CommClosedError
    from distributed.scheduler import KilledWorker

    left, given = iter(tasks), dict[Any, tuple[Index, int]]()
    running = as_completed(loop=client.loop)

    def give(task: Index, attempt: int = 1) -> None:
        try:
            future = client.submit(work, task, pure=False)
        except Exception as error:  # which, depends on Dask's version
            raise StoreTrouble(GONE) from error
        given[future.key] = task, attempt
        running.add(future)

    for task in itertools.islice(left, AHEAD * max(1, sum(client.nthreads().values()))):
        give(task)
    future: Future[Any]
    for future in running:
        task, attempt = given.pop(future.key)
        try:
            yield future.result()
        except KilledWorker:
            if attempt < ATTEMPTS:
                give(task, attempt + 1)
                continue
            yield task
        except (CancelledError, CommClosedError) as error:
            raise StoreTrouble(GONE) from error
        finally:
            future.release()
        for task in itertools.islice(left, 1):
            give(task)


@contextlib.contextmanager
def connected(
    workers: int = 0, scheduler: str | None = None, tls: Mapping[str, Path] | None = None
) -> Iterator[Client]:
    """A client of new workers on this machine's loopback, or of a cluster that runs already.

    Parameters
    ----------
    workers : int
        Processes to start, of one thread each; they end with this process, however it ends.
    scheduler : str, optional
        Address of a running scheduler, tcp://… or tls://…, instead.
    tls : dict of path, optional
        "ca", "cert" and "key": all that is sent is encrypted, and both ends are verified.

    Raises
    ------
    BadInput
        Without Dask, without such files, and where the scheduler can't be reached.
    StoreTrouble
        Where workers on this machine don't start.
    """
    try:
        import dask
        from distributed import Client, Security
    except ImportError as error:
        raise BadInput(
            f"workers need Dask: pip install 'feature-fields[sweep]' ({error})"
        ) from error
    security = Security(**_tls(tls)) if tls else None
    for name in ("distributed", "distributed.client"):  # those whose level Dask sets
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what is lost is made up for, or told
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            # Where a dead worker isn't back in time, Dask ends what restarts it, and starts no other.
            patient = {f"distributed.comm.timeouts.{name}": PATIENCE for name in ("connect", "tcp")}
            never = {"distributed.deploy.lost-worker-timeout": NEVER}
            stack.enter_context(dask.config.set(patient | never))
            runner = _event_loop()
            stack.callback(runner.stop)
            cluster = stack.enter_context(_loopback_cluster(workers, security, runner.loop))
            client = stack.enter_context(Client(cluster, security=security, set_as_default=False))
            _leave_interrupts(client)
            yield client
            return
        try:
            client = Client(scheduler, security=security, timeout=TIMEOUT, set_as_default=False)
        except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
            keys = "" if tls else "; tls://… needs --tls-ca, --tls-cert and --tls-key"
            hint = keys if scheduler.startswith("tls:") else ""
            raise BadInput(f"can't reach a scheduler at {scheduler}: {error}{hint}") from error
        stack.enter_context(client)
        if not client.nthreads():
            log.warning("there is no worker at %s yet: waiting for one", scheduler)
        yield client


def _leave_interrupts(client: Client) -> None:
    """Let workers, those to come too, leave Ctrl-C to the driver, which ends them."""
    from distributed import WorkerPlugin

    class LeaveInterrupts(WorkerPlugin):
        def setup(self, worker: Any) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    client.register_plugin(LeaveInterrupts())


def _event_loop() -> Any:
    """A running event loop for a cluster: by itself it would wait ten seconds for one, and be left unclosed without."""
    from distributed.utils import LoopRunner

    for _ in range(LOOPS):
        runner = LoopRunner()
        with contextlib.suppress(AssertionError), _no_collection():  # it didn't start in time
            runner.start()
            return runner
    raise StoreTrouble(
        f"Dask's event loop didn't start within {10 * LOOPS} s, so busy is this machine: the same command goes on"
    )


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Nothing is collected meanwhile: a client that was left behind closes itself then, and waits for Dask's lock.

    Loops start and stop under one lock, which isn't reentrant: whoever starts one would wait for themselves.
    """
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _loopback_cluster(workers: int, security: Any, loop: Any) -> LocalCluster:
    from distributed import LocalCluster

    try:
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            security=security,
            silence_logs=logging.CRITICAL,
            loop=loop,
        )
    except (RuntimeError, OSError) as error:  # killed while it started, or too slow to answer
        raise StoreTrouble(f"a worker didn't start: {error}") from error


def _tls(tls: Mapping[str, Path]) -> dict[str, Any]:
    """Options of `Security` for files that are certificates and a key."""
    if set(tls) != {"ca", "cert", "key"}:
        raise BadInput("TLS needs all of --tls-ca, --tls-cert and --tls-key")
    for path in tls.values():
        if not path.is_file():
            raise BadInput(f"there is no file {path}")
    try:
        context = ssl.create_default_context(cafile=tls["ca"])
    except OSError as error:
        raise BadInput(f"--tls-ca {tls['ca']} isn't a certificate (PEM): {error}") from error
    try:
        context.load_cert_chain(tls["cert"], tls["key"], password="")
    except OSError as error:
        raise BadInput(
            f"--tls-cert {tls['cert']} and --tls-key {tls['key']} aren't a certificate and its key (PEM, no password): "
            f"{error}"
        ) from error
    ends = {
        f"tls_{end}_{what}": str(tls[what])
        for end in ("client", "worker", "scheduler")
        for what in ("cert", "key")
    }
    return {"tls_ca_file": str(tls["ca"]), "require_encryption": True, **ends}
