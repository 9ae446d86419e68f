"""Finding how the outputs of all layers lie over the input: by what grows with it, and by what moves with it.

x, one input               names, shapes, the model's own outputs
two random inputs          which axis is that of the batch; how much each output varies
one axis doubled           which axes are space, where the model takes other sizes
the two inputs, rolled     which of several layouts moves along, where growth leaves a choice
larger inputs              strides, where sizes don't divide
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from equivariance.measuring.candidates import (
    MOVES,
    UNCLEAR,
    UNRELATED,
    by_growth,
    by_shape,
    moving,
    usual,
)
from equivariance.measuring.layouts import Frame, Layout, Tokens, declared, real
from equivariance.measuring.strides import settled
from equivariance.measuring.translations import rolled
from equivariance.measuring.watched import ModelFailed, Told, owner_is_model, run, watching

#: Waves per period of the random inputs, at most: they survive strides.
WAVES = 2
NO_TENSOR = "it puts out no floating point tensor with an axis for the batch"
NO_BATCH = "has no axis of the batch"
WINDOWS = "the axis of the batch holds parts of the inputs"
NO_VALUES = "puts out NaN or infinite values"

Layers = str | Sequence[str]


@dataclass
class _Output:
    """What is known of one output."""

    name: str
    kind: str
    full: tuple[int, ...]
    is_own: bool
    is_complex: bool = False
    batch: int | None = None
    varies: float = math.nan
    why: str = ""
    options: list[Layout] | None = None  # None: growth isn't known
    difference: Tensor | None = None
    scores: dict[Layout, float] = field(default_factory=dict)
    stays: float = math.nan

    @property
    def shape(self) -> tuple[int, ...]:
        return _without(self.full, self.batch or 0)


def survey(
    module: nn.Module,
    x: Tensor,
    layers: Layers,
    tokens: Tokens | None = None,
    kept: dict[str, Tensor] | None = None,
) -> list[Frame]:
    """The frames of all watched outputs for one input x (1, c, X1, …, Xd), in the order of execution.

    The model's own outputs are put into `kept`, where it is given. What can't be compared has a frame that says why.
    """
    size, seen = tuple(x.shape[2:]), _shapes(module, x, layers, kept=kept)
    outputs = {n: _Output(n, kind, shape, own) for n, (kind, shape, own) in seen.items()}
    said: dict[str, Layout | None] = {}
    noise = _noise(x)
    _vary(module, noise, layers, outputs)
    grown = [_shapes(module, _larger(x, axis), layers, whole=False) for axis in range(len(size))]
    for output in outputs.values():
        if output.why:
            continue
        layout = declared(output.name, output.shape, len(size), tokens or {})
        if not isinstance(layout, bool):
            said[output.name] = layout
        else:
            _grow(output, grown, size)
    if any(o.scores for o in outputs.values()):
        _move(module, noise, layers, outputs)
    frames = [_frame(o, said, size) for o in outputs.values()]
    return _finished(module, x, layers, _adopted(frames))


def require_output(frames: Sequence[Frame], own: Mapping[str, Tensor]) -> None:
    """Raise where none of the model's own outputs can be compared, with the reasons."""
    there = [f for f in frames if f.name in own]
    if all(f.why for f in there):
        reasons = "; ".join(f"{f.name} {('batch', *f.shape)}: {f.why}" for f in there)
        raise Told(f"no output of the model can be compared: {reasons or NO_TENSOR}")


def _shapes(
    module: nn.Module,
    x: Tensor,
    layers: Layers,
    whole: bool = True,
    kept: dict[str, Tensor] | None = None,
) -> dict[str, tuple[str, tuple[int, ...], bool]]:
    """Class, shape and whether the model itself puts it out, of all outputs; those before a failure unless `whole`."""
    seen: dict[str, tuple[str, tuple[int, ...], bool]] = {}

    def look(name: str, layer: nn.Module, value: Tensor) -> None:
        own = owner_is_model(name)
        seen[name] = type(layer).__name__, tuple(real(value).shape), own
        if kept is not None and own:
            kept[name] = value.detach().clone()

    with torch.no_grad(), watching(module, look, layers):
        try:
            run(module, x)
        except ModelFailed:
            if whole:
                raise
    return seen


def _noise(x: Tensor) -> Tensor:
    """Two inputs of a few waves, with the mean and the deviation of x."""
    draw = torch.Generator().manual_seed(0)
    values = torch.zeros(2, *x.shape[1:], dtype=torch.float64)
    at = torch.meshgrid(*(torch.arange(n) / n for n in x.shape[2:]), indexing="ij")
    for _ in range(4 * WAVES ** len(at)):
        waves = torch.randint(-WAVES, WAVES + 1, (2, x.shape[1], len(at)), generator=draw)
        start = torch.rand(2, x.shape[1], generator=draw, dtype=torch.float64)
        angle = sum(
            w[..., *(None,) * len(at)] * a for w, a in zip(waves.unbind(-1), at, strict=True)
        )
        values += torch.cos(2 * math.pi * (angle + start[..., *(None,) * len(at)]))
    values = values / values.std().clamp_min(1e-9)
    deviation = float(x.double().std(correction=0)) or 1.0
    return (float(x.double().mean()) + deviation * values).to(x)


def _vary(module: nn.Module, noise: Tensor, layers: Layers, outputs: Mapping[str, _Output]) -> None:
    """The axis of the batch, and how much two inputs differ in each output."""

    def look(name: str, layer: nn.Module, value: Tensor) -> None:
        output, is_complex, value = outputs.get(name), value.is_complex(), real(value)
        if output is None or value.ndim != len(output.full):
            return
        output.batch = _batch_axis(output.full, tuple(value.shape), len(noise))
        if output.batch is None:
            return
        output.is_complex = is_complex
        one, other = value.detach().chunk(2, output.batch)
        output.difference = _difference(one, other)
        scale = (float(one.double().norm()) + float(other.double().norm())) / 2
        output.varies = float(output.difference.norm()) / scale if scale else 0.0

    with watching(module, look, layers):
        run(module, noise)
    for output in outputs.values():
        if output.batch is None:
            output.why = NO_BATCH
        elif output.full[output.batch] != 1:
            output.why = WINDOWS


def _difference(one: Tensor, other: Tensor) -> Tensor:
    """How two outputs differ: the difference, of labels where it isn't none."""
    return one - other if one.is_floating_point() else (one != other).float()


def _batch_axis(alone: tuple[int, ...], together: tuple[int, ...], count: int) -> int | None:
    """The only axis whose size differs, by the factor of the batches."""
    axes = [i for i, (a, b) in enumerate(zip(alone, together, strict=True)) if a != b]
    return axes[0] if len(axes) == 1 and together[axes[0]] == count * alone[axes[0]] else None


def _larger(x: Tensor, axis: int) -> Tensor:
    """The input continued to twice its size on one axis."""
    pads = [0] * (2 * (x.ndim - 2))
    pads[2 * (x.ndim - 3 - axis) + 1] = x.shape[2 + axis]
    return functional.pad(x, pads)


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]


def _grow(
    output: _Output,
    grown: Sequence[Mapping[str, tuple[str, tuple[int, ...], bool]]],
    size: Sequence[int],
) -> None:
    """Its layouts as far as growth tells them, and those to be told apart by moving the input."""
    there = [g[output.name][1] if output.name in g else None for g in grown]
    batch = output.batch or 0
    try:
        options = by_growth(output.shape, [t and _without(t, batch) for t in there], size)
    except ValueError as error:
        output.why = str(error)
        return
    output.options = options
    if options is None or not options:
        options = by_shape(output.shape, size)
    output.scores = dict.fromkeys(options, math.nan)


def _move(module: nn.Module, noise: Tensor, layers: Layers, outputs: Mapping[str, _Output]) -> None:
    """Score the layouts that are left by what they say of rolled inputs."""
    size = tuple(noise.shape[2:])
    step = [_roll(n) * (-1) ** axis for axis, n in enumerate(size)]

    def look(name: str, layer: nn.Module, value: Tensor) -> None:
        output = outputs.get(name)
        if output is None or not output.scores or output.difference is None:
            return
        value, batch = real(value).detach(), output.batch or 0
        if value.device != output.difference.device:
            then = f"on {output.difference.device}, then one on {value.device}"
            raise Told(f"{name} put out a tensor {then}")
        if value.ndim != len(output.full):
            return
        after = _difference(*value.chunk(2, batch)).movedim(batch, 0)
        before, output.difference = output.difference.movedim(batch, 0), None
        if after.shape != before.shape:
            return
        output.stays = _score(after, before)
        for layout in output.scores:
            here, there = layout.as_map(after), layout.as_map(before)
            by = [round(s * m / n) for s, m, n in zip(step, layout.sizes, size, strict=True)]
            output.scores[layout] = _score(here, rolled(there, by)) if any(by) else math.nan

    with watching(module, look, layers):
        run(module, rolled(noise, step))


def _roll(pixels: int) -> int:
    """A step of about half a period that large strides divide."""
    power = 1
    while pixels % (2 * power) == 0 and 8 * power <= pixels:
        power *= 2
    return power * max(1, int(0.45 * pixels / power))


def _score(one: Tensor, other: Tensor) -> float:
    both = float(one.square().sum() + other.square().sum())
    return float((one - other).square().sum()) / both if both else math.nan


def _frame(output: _Output, said: Mapping[str, Layout | None], size: tuple[int, ...]) -> Frame:
    layout, sure, why = None, True, output.why
    if not why:
        if output.name in said:
            layout = said[output.name]
        else:
            layout, sure, why = _decided(output, size)
    return Frame(
        output.name,
        output.kind,
        output.shape,
        layout,
        (1.0,) * len(size),
        batch=output.batch or 0,
        is_sure=sure,
        why=why,
        varies=output.varies,
    )


def _decided(output: _Output, size: tuple[int, ...]) -> tuple[Layout | None, bool, str]:
    """The layout, whether it is sure, and why there is none."""
    options = output.options
    if options is not None and len(options) == 1:
        return _grown(output, options[0], size)
    found = moving(output.scores, output.stays)
    if found is not None:
        return found, True, ""
    default = usual(output.shape, len(size))
    if output.is_own and default is not None:
        return default, options is not None and len(options) > 0, ""
    if len(output.shape) == 1 or not output.scores or output.varies == 0:
        return default, True, ""
    if options == [] and default is None:  # of one size, whatever the input's
        return None, True, ""
    if output.stays < MOVES:
        return None, True, ""
    if math.isnan(min(output.scores.values(), default=math.nan)) and default is not None:
        return default, False, ""
    return None, False, UNCLEAR


def _grown(
    output: _Output, layout: Layout, size: tuple[int, ...]
) -> tuple[Layout | None, bool, str]:
    """As `_decided`, for the only layout that growth leaves: spectra grow, too."""
    if max(layout.sizes) == 1:
        return None, True, ""
    if not output.scores[layout] > UNRELATED:
        return layout, True, ""
    if output.stays < MOVES:
        return None, True, ""
    divides = all(n % m == 0 or m % n == 0 for n, m in zip(size, layout.sizes, strict=True))
    if output.is_own or (divides and not output.is_complex):
        return layout, False, ""
    return None, False, UNCLEAR


def _adopted(frames: Sequence[Frame]) -> list[Frame]:
    """The frames; those that are unclear are laid out as others of their shape, where these agree."""
    known: dict[tuple[int, ...], set[Layout | None]] = {}
    for f in frames:
        if f.is_sure and not f.why and f.is_map:
            known.setdefault(f.shape, set()).add(f.layout)
    return [
        replace(f, layout=next(iter(known[f.shape])), why="", is_sure=False)
        if f.why == UNCLEAR and len(known.get(f.shape, ())) == 1
        else f
        for f in frames
    ]


def _finished(module: nn.Module, x: Tensor, layers: Layers, frames: Sequence[Frame]) -> list[Frame]:
    """The frames with their strides: of an invariant that of the coarsest map before it."""
    size = tuple(x.shape[2:])
    batch = {f.name: f.batch for f in frames}

    def shapes(more: int) -> Mapping[str, tuple[int, ...]]:
        larger = functional.pad(x, [0, more] * len(size))
        found = _shapes(module, larger, layers, whole=False)
        return {n: _without(s, batch.get(n, 0)) for n, (_, s, _) in found.items()}

    frames = settled([_with_ratio(f, size) for f in frames], shapes, size)
    coarsest, finished = (1.0,) * len(size), []
    for frame in frames:
        if not frame.is_map:
            frame = replace(frame, stride=coarsest)
        elif max(frame.stride) >= 1:
            coarsest = tuple(max(a, b) for a, b in zip(coarsest, frame.stride, strict=True))
        finished.append(frame)
    return finished


def _with_ratio(frame: Frame, size: tuple[int, ...]) -> Frame:
    if frame.sizes is None:
        return frame
    return replace(
        frame, stride=tuple(n / m for n, m in zip(size, frame.sizes, strict=True)), wraps=True
    )
