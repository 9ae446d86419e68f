"""What a model does far from its border, whatever makes the border: it is run on the input continued by whole periods.

    f, periodic ── continued by a period on each side ──▶ model ──▶ the middle of every output

The middle is what a border-free model puts out, once the margin exceeds the receptive field; that is seen by putting
noise into the rim of the margin. Functions that pad are rewritten where they are known, which is cheaper
(`equivariance.measuring.rewriting`); this is for layers that commute with no whole translation even so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from equivariance.measuring.border import NOT_TOLD
from equivariance.measuring.comparison import Comparison
from equivariance.measuring.layouts import Frame, Layout
from equivariance.measuring.passes import run_passes
from equivariance.measuring.prepared import Subject
from equivariance.measuring.rewriting import extended
from equivariance.measuring.translations import crop, whole
from equivariance.measuring.watched import ModelFailed, run, watching
from equivariance.verdicts import tolerance

REWRITTEN, CONTINUED = "rewritten", "continued"
#: Part of the margin, from the outside, that holds noise to see whether it is wide enough.
RIM = 0.25


@dataclass(frozen=True)
class _Middle:
    """The middle period of one output, for an input that is continued by a period on each side.

    Attributes
    ----------
    frame : Frame
        Of the output itself.
    """

    frame: Frame

    def of(self, value: Tensor) -> Tensor | None:
        """(n, c, Y1, …, Yd), or (n, …) without space; None for what didn't grow as it should."""
        frame, out = self.frame, self.frame.batched(value.detach())
        if frame.layout is None:
            return out if tuple(out.shape[1:]) == frame.shape else None
        layout = replace(frame.layout, sizes=tuple(3 * m for m in frame.layout.sizes))
        if _grown(frame.shape, frame.layout) != tuple(out.shape[1:]):
            return None
        out = layout.as_map(out)
        for axis, m in enumerate(frame.layout.sizes):
            out = out.narrow(2 + axis, m, m)
        return out

    @property
    def as_frame(self) -> Frame:
        """The frame of what `of` gives."""
        frame = self.frame
        if frame.layout is None:
            return replace(frame, batch=0)
        like = frame.layout.as_map(torch.empty(1, *frame.shape, device="meta"))
        sizes, axes = frame.layout.sizes, tuple(range(1, 1 + len(frame.layout.sizes)))
        return replace(frame, shape=tuple(like.shape[1:]), layout=Layout(sizes, axes), batch=0)


def _grown(shape: tuple[int, ...], layout: Layout) -> tuple[int, ...]:
    """The shape of an output for an input of three periods on every axis."""
    sizes = list(shape)
    if layout.is_flat:
        axis, dim = layout.axes[0], len(layout.sizes)
        sizes[axis] = layout.lead + (sizes[axis] - layout.lead) * 3**dim
    else:
        for axis in layout.axes:
            sizes[axis] *= 3
    return tuple(sizes)


def settled_border(
    subject: Subject,
    frames: Mapping[str, Frame],
    t: Tensor,
    circular: Comparison,
    done: Callable[[int], Any] = lambda n: None,
) -> dict[str, str]:
    """How each layer's errors without border were made: rewritten, continued, or not told, and why.

    Errors of layers that rewritten paddings leave without any whole translation are replaced by those of the continued
    input, of the first input alone, where its margin is wide enough.
    """
    ways = dict.fromkeys(frames, REWRITTEN)
    left = _left(subject, frames, t, circular)
    if not left:
        return ways
    middles = {name: _Middle(frames[name]) for name in left}
    try:
        far, near = (_values(subject, middles, noisy) for noisy in (False, True))
    except ModelFailed:
        return ways | dict.fromkeys(left, f"{NOT_TOLD}: the model takes no larger inputs")
    limit = tolerance(str(subject.dtype).removeprefix("torch."))
    found = [n for n in left if n in far and n in near and _alike(far[n], near[n], limit)]
    unseen = [name for name in left if name not in found]
    ways |= dict.fromkeys(unseen, f"{NOT_TOLD}: {unseen[0]} sees everything" if unseen else "")
    if found:
        ways |= dict.fromkeys(found, CONTINUED)
        again = _continued(subject, {n: middles[n] for n in found}, t, done)
        for name in found:
            circular.error[name][:] = torch.nan
            circular.error[name][:, :1] = again.error[name]
    return ways


def _left(
    subject: Subject, frames: Mapping[str, Frame], t: Tensor, circular: Comparison
) -> list[str]:
    """The layers that, with rewritten paddings, commute with none of the whole translations along some axis.

    A border spares none; a stride, or another thing that repeats, spares its multiples.
    """
    limit = tolerance(str(subject.dtype).removeprefix("torch."))
    step = torch.where(whole(t)[:, None], t.round() % torch.tensor(subject.source.size), 0) != 0
    left = []
    for name, frame in frames.items():
        error = circular.error[name]
        spared = step[(error <= limit).all(1)].any(0)
        breaks = bool((step.any(1) & (error > limit).any(1)).any()) and not bool(spared.all())
        if breaks and not frame.why and (frame.wraps or not frame.is_map):
            left.append(name)
    return left


def _values(subject: Subject, middles: Mapping[str, _Middle], noisy: bool) -> dict[str, Tensor]:
    """The middles of the outputs for the first input, with noise in the rim of the margin or without."""
    found: dict[str, Tensor] = {}

    def look(name: str, layer: nn.Module, value: Tensor) -> None:
        middle = middles[name].of(value) if name in middles else None
        if middle is not None:
            found[name] = middle.clone()

    x = continued(subject.at(torch.zeros(1, subject.dim, dtype=torch.float64))[:1])
    if noisy:
        x = _with_rim(x)
    with watching(subject.module, look, subject.layers):
        run(subject.module, x)
    return found


def continued(x: Tensor) -> Tensor:
    """Periodic inputs (n, c, X1, …, Xd) on three periods along every axis."""
    return extended(x, [(n, n) for n in x.shape[2:]], "circular")


def _with_rim(x: Tensor) -> Tensor:
    """The same, noise where the margin ends."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x)
    noise = noise * x.std(correction=0) + x.mean()
    inner = [int(n / 3 * RIM) for n in x.shape[2:]]
    place = [slice(r, n - r) for r, n in zip(inner, x.shape[2:], strict=True)]
    crop(noise, place).copy_(crop(x, place))
    return noise


def _alike(one: Tensor, other: Tensor, limit: float) -> bool:
    if one.shape != other.shape or not one.is_floating_point():
        return torch.equal(one, other)
    return float((one - other).double().norm()) <= limit * float(one.double().norm())


def _continued(
    subject: Subject,
    middles: Mapping[str, _Middle],
    t: Tensor,
    done: Callable[[int], Any],
) -> Comparison:
    """Errors of the middles, of the first input alone."""
    source = subject.source
    first = replace(source, count=1, moved=lambda by: source.moved(by)[:, :1])
    narrow = replace(subject, source=first, batch=max(2, subject.batch // 3**subject.dim))
    comparison = Comparison({n: m.as_frame for n, m in middles.items()}, t, 1)

    def see(name: str, layer: nn.Module, value: Tensor) -> None:
        middle = middles[name].of(value) if name in middles else None
        if middle is not None:
            comparison.see(name, layer, middle)

    run_passes(narrow, t, comparison, see, done, continued)
    return comparison
