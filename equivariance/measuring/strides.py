"""Strides of maps, read off how their sizes grow with the input's.

A chain of convolutions and poolings makes ⌊(n + p)/s⌋ + q samples of n pixels, s the product of its strides: the size
of a map jumps once in s pixels. Sizes that divide the input's may do so by chance, as those of a wide kernel without
padding; so the strides that they suggest are held against larger inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from equivariance.measuring.layouts import Frame, total_stride

#: Shapes of all outputs (the axis of the batch left out), by name, for inputs so many pixels larger on every axis.
Shapes = Callable[[int], Mapping[str, tuple[int, ...]]]
#: The size of one map along one axis for such an input; None where the model doesn't take it, or makes another output.
Size = Callable[[int], int | None]

#: Enlargements in pixels that may be taken where most sizes aren't.
ENLARGEMENTS = (64, 60, 56, 72)
#: Largest stride whose jumps are looked for.
LARGEST = 128


def settled(frames: Sequence[Frame], ask: Shapes, size: tuple[int, ...]) -> list[Frame]:
    """The frames, with strides that larger inputs confirm.

    Parameters
    ----------
    frames : sequence of Frame
        Their strides are ratios of sizes.
    ask : callable
        Runs the model on an input that is so much larger.
    size : tuple of int
        Of the input.
    """
    seen = {0: {f.name: f.shape for f in frames}}

    def shapes(more: int) -> Mapping[str, tuple[int, ...]]:
        if more not in seen:
            seen[more] = dict(ask(more))
        return seen[more]

    maps = [f for f in frames if len(_axes(f)) == len(size) and not (f.layout and f.layout.lead)]
    if all(_divides(f, size) for f in maps) and _confirmed(maps, shapes):
        return list(frames)
    return [_with_stride(f, shapes, size) if f in maps else f for f in frames]


def _divides(frame: Frame, size: Sequence[int]) -> bool:
    sizes = frame.sizes or ()
    return all(max(n, m) % min(n, m) == 0 for n, m in zip(size, sizes, strict=True))


def _confirmed(maps: Sequence[Frame], shapes: Shapes) -> bool:
    """Whether all maps grow as their strides say for an input that is larger by a multiple of all of them."""
    if not maps:
        return True
    more = math.lcm(*total_stride(maps, len(maps[0].stride)))
    return more <= LARGEST and all(
        confirmed(size_along(shapes, f.name, axis, len(f.shape)), stride, more)
        for f in maps
        for axis, stride in zip(_axes(f), f.stride, strict=True)
    )


def _with_stride(frame: Frame, shapes: Shapes, size: tuple[int, ...]) -> Frame:
    sizes = frame.sizes or ()
    stride = tuple(
        stride_of(size_along(shapes, frame.name, axis, len(frame.shape)), n)
        for axis, n in zip(_axes(frame), size, strict=True)
    )
    wraps = all(math.isclose(m * s, n) for n, m, s in zip(size, sizes, stride, strict=True))
    return replace(frame, stride=stride, wraps=wraps)


def _axes(frame: Frame) -> tuple[int, ...]:
    return () if frame.layout is None else frame.layout.axes


def size_along(shapes: Shapes, name: str, axis: int, axes: int) -> Size:
    """How many samples an output of so many axes has along one of them."""

    def size(more: int) -> int | None:
        shape = shapes(more).get(name, ())
        return shape[axis] if len(shape) == axes else None

    return size


def confirmed(size: Size, stride: float, more: int) -> bool:
    """Whether a map grows as a stride says that its size suggests, as far as it is known to grow at all.

    Parameters
    ----------
    more : int
        A multiple of the stride. In so many pixels there should be as many jumps, the first after one (where sizes are
        rounded up) or after a whole stride (rounded down).
    """
    before, after, soon = size(0), size(more), size(1)
    if before is None or after is None or after <= before:
        return True
    if not math.isclose((after - before) * stride, more):
        return False
    if soon is not None and soon > before:
        return size(more + 1) in (None, soon + after - before)
    return size(max(0, round(stride) - 1)) in (None, before)


def stride_of(size: Size, pixels: int) -> float:
    """Pixels per sample of a map.

    From the distance of jumps in its size where the model takes any input; else from enlargements by which it grows
    evenly; else the nearest whole number to the ratio of sizes.

    Parameters
    ----------
    size : callable
    pixels : int
        Of the input.
    """
    samples = size(0)
    assert samples, "only maps that are there have a stride"
    found = _by_jumps(size)
    if found is None:
        found = _by_enlargements(size, samples)
    return max(1.0, float(round(pixels / samples))) if found is None else found


def _by_jumps(size: Size) -> float | None:
    """Distance over height of two jumps, where the next two are alike."""
    first = _next_jump(size, 0)
    second = None if first is None else _next_jump(size, first)
    if first is None or second is None:
        return None
    step = second - first
    heights = [size(first + k * step + j) for k in range(3) for j in (0, step - 1)]
    at = [h for h in heights if h is not None]
    if len(at) < 6 or at[0::2] != at[1::2] or at[4] - at[2] != at[2] - at[0]:
        return None
    return step / (at[2] - at[0])


def _next_jump(size: Size, start: int) -> int | None:
    """The least enlargement beyond `start` at which a map is larger than there."""
    before, reach = size(start), 1
    while (now := size(start + reach)) is not None and now == before and reach < LARGEST:
        reach *= 2
    if before is None or now is None or now <= before:
        return None
    low, high = start + reach // 2, start + reach
    while high - low > 1:
        middle = (low + high) // 2
        now = size(middle)
        if now is None:
            return None
        low, high = (middle, high) if now == before else (low, middle)
    return high


def _by_enlargements(size: Size, samples: int) -> float | None:
    grown = {more: size(more) for more in ENLARGEMENTS}
    steps = {more: n - samples for more, n in grown.items() if n is not None and n > samples}
    guesses = [more / step for more, step in steps.items()]
    if len(guesses) > 1 and len(set(guesses)) == 1:
        return guesses[0]
    for guess in guesses:
        even = guess == round(guess) or 1 / guess == round(1 / guess)
        if even and all(abs(more - step * guess) < max(1, guess) for more, step in steps.items()):
            return guess
    return None
