"""Passes of a watched model over moved inputs: with its own paddings or circular ones, with NaN in them, rolled.

The passes of one measurement have one size, so that sums run in one order.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from equivariance.measuring.comparison import Comparison
from equivariance.measuring.layouts import Frame
from equivariance.measuring.prepared import Subject
from equivariance.measuring.rewriting import Fill, Rewriting
from equivariance.measuring.translations import moved
from equivariance.measuring.watched import ModelFailed, Watcher, run, watching

#: Values of the integer-valued probe: 0 … PROBE − 1.
PROBE = 16


def compared(
    subject: Subject,
    frames: dict[str, Frame],
    t: Tensor,
    padding: str,
    done: Callable[[int], Any] = lambda n: None,
    order: float = 2.0,
) -> Comparison:
    """Run the model on all translates, in passes of one size, and compare as they come."""
    mode, borders = _mode(subject, padding), {}
    if padding == "as is" and order == 2.0 and any(f.is_map for f in frames.values()):
        borders = _borders(subject, frames)
    comparison = Comparison(
        frames, t, subject.source.count, subject.source.boundary == "periodic", order, borders
    )
    run_passes(subject, t, comparison, comparison.see, done, mode=mode)
    return comparison


def run_passes(
    subject: Subject,
    t: Tensor,
    comparison: Comparison,
    see: Watcher,
    done: Callable[[int], Any],
    given: Callable[[Tensor], Tensor] = lambda x: x,
    mode: Rewriting | None = None,
) -> None:
    """Run the model on what is made of all translates, and tell what sees the outputs.

    The reference is the first of all, so that every pass has the same size, and sums run in the same order.
    """
    everything = torch.cat([torch.zeros(1, subject.dim, dtype=torch.float64), t])
    at_once = max(2, subject.batch // subject.source.count)
    at_once = -(-len(everything) // -(-len(everything) // at_once))
    with watching(subject.module, see, subject.layers) as restart:
        for first in range(0, len(everything), at_once):
            part = everything[first : first + at_once]
            filled = torch.cat([part, part[-1:].expand(at_once - len(part), -1)])
            comparison.expect(slice(max(0, first - 1), first - 1 + len(part)))
            restart()
            x = given(subject.at(filled))
            with mode or nullcontext():
                run(subject.module, x)
            done(len(part) - (first == 0))


def _mode(subject: Subject, padding: str) -> Rewriting | None:
    return Rewriting(subject.dim, "circular") if padding == "circular" else None


def _borders(subject: Subject, frames: dict[str, Frame]) -> dict[str, Tensor]:
    """Where each map depends on what is padded: there it isn't a number when the padding isn't."""
    borders: dict[str, Tensor] = {}

    def look(name: str, layer: nn.Module, value: Tensor) -> None:
        frame = frames.get(name)
        if frame is not None and frame.is_map:
            borders[name] = frame.as_map(value)[0].isnan().any(0)

    x = subject.at(torch.zeros(1, subject.dim, dtype=torch.float64))[:1]
    fill: Fill = "nan" if subject.source.boundary == "periodic" else "nan everywhere"
    with watching(subject.module, look, subject.layers), Rewriting(subject.dim, fill):
        try:
            run(subject.module, x)
        except ModelFailed:  # one that checks for NaN has no interior that is known
            return {}
    return borders


def probe_bits(subject: Subject, frames: dict[str, Frame], padding: str) -> dict[str, bool]:
    """Whether outputs for integer-valued inputs, rolled by multiples of the stride, are bitwise equal."""
    source, dim = subject.source, subject.dim
    draw = torch.Generator().manual_seed(0)
    shape = (1, source.channels, *source.size)
    values = torch.randint(0, PROBE, shape, generator=draw).double()
    strides = sorted({tuple(round(max(1, s)) for s in f.stride) for f in frames.values()})
    steps = [tuple(q * e for q, e in zip(s, v, strict=True)) for s in strides for v in _axes(dim)]
    steps = [
        t for t in dict.fromkeys(steps) if any(x % n for x, n in zip(t, source.size, strict=True))
    ]
    if not steps or source.boundary == "window":
        return {}
    t = torch.tensor(steps, dtype=torch.float64)
    rolled = replace(source, count=1, moved=lambda by: moved(values, by))
    seen = compared(replace(subject, source=rolled), frames, t, padding, order=float("inf"))
    found = {}
    for name, frame in frames.items():
        multiple = ((t / torch.tensor(frame.stride)) % 1 == 0).all(1)
        errors = seen.error[name][multiple]
        found[name] = bool(len(errors)) and bool((errors == 0).all())
    return found


def _axes(dim: int) -> list[tuple[int, ...]]:
    """The first axis, and all at once."""
    return list(dict.fromkeys([(1,) + (0,) * (dim - 1), (1,) * dim]))
