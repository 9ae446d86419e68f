"""Timing: candidates take turns in one process, and what is reported is the ratio of their medians."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping

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


def show(title: str, medians: Mapping[str, float], bound: float | None = None) -> float | None:
    """Print the medians, and the ratio of the first candidate to the second against the bound promised for it."""
    print(f"\n{title}  ({torch.get_num_threads()} threads)")
    width = max(map(len, medians))
    for name, seconds in medians.items():
        print(f"  {name:<{width}}  {1e3 * seconds:10.2f} ms")
    if len(medians) < 2:
        return None
    first, second, *_ = medians.values()
    ratio = first / second
    names = list(medians)
    promise = "" if bound is None else f"  (promised: at most {bound:g})"
    print(f"  {names[0]} / {names[1]} = {ratio:.2f}{promise}")
    return ratio
