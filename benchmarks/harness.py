"""Timing: candidates take turns in one process, and what is reported is the ratio of their medians. Peak memory."""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch


def alternate(candidates: Mapping[str, Callable[[], object]], rounds: int = 9) -> dict[str, float]:
    """Median time in seconds of each candidate; all take a turn in every round, after one round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, run in candidates.items():
            gc.collect()
            begin = time.perf_counter()
            run()
            if turn:
                times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(taken) for name, taken in times.items()}


def show(
    title: str,
    medians: Mapping[str, float],
    most: float | None = None,
    least: float | None = None,
) -> None:
    """Print the medians, and the ratio of the first to the second, where there are two of them or it was promised."""
    print(f"\n{title}  ({torch.get_num_threads()} threads)")
    width = max(map(len, medians))
    for name, seconds in medians.items():
        print(f"  {name:<{width}}  {1e3 * seconds:10.2f} ms")
    words = {"at most": most, "at least": least}
    promise = "".join(f"  (promised: {w} {b:g})" for w, b in words.items() if b is not None)
    if len(medians) == 2 or promise:
        first, second, *_ = medians
        print(f"  {first} / {second} = {medians[first] / medians[second]:.2f}{promise}")


def peak() -> int:
    """Largest resident set of this program so far, in bytes.

    Linux's getrusage counts what the process was before it became this program, too: the parent's copy.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    import resource  # Windows has none, and needs it for nothing else here

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
