"""The highest of several places, ties decided by what lies around them, so that the choice moves along with the map.

    score ─▶ largest, up to rounding ─▶ Σ_k w(k) Σ_c u_c F_c(x + k) largest, up to rounding ─▶ hash of all bits largest

Each is asked only where several places are left. u and w are generic: the sum tells two places apart unless the
samples, seen from the one, are up to rounding those seen from the other. w is a product over the axes, so that it takes
log2 N passes an axis, g(x) ← g(x) + a·g(x + 2^b), in which every x undergoes the same operations in the same order:
all moves along bit for bit. The hash, folded alike, tells what differs in its last bit. What ties still is a symmetry
of the map (but for one chance in 2^64): no choice among such places moves along, and the first one is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from discretize.accuracy import PHASES, TIE, TIE_BLOCK
from discretize.samples import Samples
from fields.checks import tracing

#: 2^64 divided by the golden ratio, as torch writes it: odd, and without pattern.
ODD = 0x9E3779B97F4A7C15 - (1 << 64)


def pointwise_norm(f: Samples) -> Tensor:
    """‖F(x)‖₁ over the channels at every sample, shape (*batch, X1, …, Xd), without gradient."""
    values = f.values.detach()
    norm = over_channels(values.reshape(-1, f.channels, *f.grid.shape), _norm)
    return norm.reshape(*values.shape[: -f.dim - 1], *f.grid.shape)


def highest(f: Samples, score: Tensor, size: Tensor | None = None) -> Tensor:
    """Index (*batch, d) of the largest score; of equals one that moves along with the map.

    Φ(t▷f) = Φ(f) + t + u for whole t on a periodic grid, with u▷f = f. Without a period what lies outside counts as
    zeros: Φ moves along with what moves over zeros within the frame.

    Parameters
    ----------
    f : Samples
    score : Tensor, shape (*batch, X1, …, Xd)
        Something that moves along with f, without gradient.
    size : Tensor, shape (*batch,), optional
        The largest ‖f(x)‖₁, where the score isn't this norm: the score is known to its rounding.
    """
    lead, shape = score.shape[: -f.dim], f.grid.shape
    values = f.values.detach().reshape(-1, f.channels, *shape)
    flat = score.reshape(len(values), -1)
    first = flat.argmax(-1, keepdim=True)
    top = flat.gather(-1, first)
    size = top if size is None else size.reshape(-1, 1)
    bound = top - rounding(values.dtype) * size
    several = ~(flat.scatter(-1, first, -math.inf).amax(-1, keepdim=True) < bound)
    several, index = several[:, 0], first[:, 0]
    periodic = f.grid.boundary == "periodic"
    if tracing():
        index = _decided(values, ~(flat < bound), size, periodic)
    elif bool(several.any()):
        values, flat, bound, size = _rows(several, values, flat, bound, size)
        index[several] = _decided(values, ~(flat < bound), size, periodic)
    return torch.stack(torch.unravel_index(index.reshape(lead), shape), dim=-1)


def rounding(dtype: torch.dtype) -> float:
    """Relative to the largest, what counts as equal to it."""
    return max(TIE * torch.finfo(dtype).eps, PHASES)


def _decided(values: Tensor, tied: Tensor, size: Tensor, periodic: bool) -> Tensor:
    """Flat index (n,) of one of the places that tie, (n, N)."""
    g = surroundings(values, size, periodic).flatten(1).masked_fill(~tied, -math.inf)
    slack = rounding(values.dtype) * _weight(values.shape[2:])
    tied = tied & ~(g < g.amax(-1, keepdim=True) - slack)
    several = tied.count_nonzero(-1) > 1
    if tracing():
        tied = _by_hash(values, tied, periodic)
    elif bool(several.any()):
        values, among = _rows(several, values, tied)
        tied[several] = _by_hash(values, among, periodic)
    return tied.to(torch.uint8).argmax(-1)


def _by_hash(values: Tensor, tied: Tensor, periodic: bool) -> Tensor:
    code = _folded(over_channels(values, _hash), periodic, _odd).flatten(1)
    code = code.masked_fill(~tied, torch.iinfo(torch.int64).min)
    return tied & (code == code.amax(-1, keepdim=True))


def _rows(which: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
    """These rows of tensors; no copies where it is all of them."""
    return tensors if bool(which.all()) else tuple(t[which] for t in tensors)


def surroundings(values: Tensor, size: Tensor, periodic: bool) -> Tensor:
    """Σ_k w(k) Σ_c u_c F_c(x + k)/size at every x, (n, X1, …, Xd), of values (n, c, X1, …, Xd) and sizes (n, 1)."""
    mixed = over_channels(values, _mixed)
    size = torch.where(size > 0, size, 1.0).reshape(-1, *(1,) * (mixed.ndim - 1))
    scaled = mixed / size.to(mixed.dtype)
    scaled = scaled.to(torch.promote_types(scaled.dtype, torch.float32))
    return _folded(scaled, periodic, _factor)


def _folded(g: Tensor, periodic: bool, factor: Callable[[int], float]) -> Tensor:
    """Σ_k w(k) g(x + k) over all k, by doubling along each axis; the last pass overlaps unless N is a power of 2."""
    shape = g.shape[1:]
    if not periodic:
        g = torch.nn.functional.pad(g, [p for n in reversed(shape) for p in (0, n)])
    g = g.clone()
    for i, (axis, step) in enumerate(_passes(g.shape[1:])):
        far, rest = factor(i) * g, g.shape[axis] - step
        g.narrow(axis, 0, rest).add_(far.narrow(axis, step, rest))
        g.narrow(axis, rest, step).add_(far.narrow(axis, 0, step))
    return g[(slice(None), *(slice(n) for n in shape))]


def _passes(shape: Sequence[int]) -> list[tuple[int, int]]:
    """Axis and step of every pass."""
    steps = []
    for axis, n in enumerate(shape, 1):
        done = 1
        while done < n:
            steps.append((axis, min(done, n - done)))
            done += steps[-1][1]
    return steps


def _generic(i: int) -> int:
    """The i-th of 64-bit numbers without pattern: SplitMix64 (Steele, Lea & Flood, OOPSLA 2014)."""
    z = (i + 1) * (ODD % 2**64) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


def _factor(i: int) -> float:
    """a, away from 1, so that places weigh differently, and of both signs, so that less tells as much as more."""
    return float((-1) ** i * (1.25 + _generic(i) / 2**65))


def _odd(i: int) -> int:
    """The same for hashes: signed, as torch has it."""
    return (_generic(i) | 1) - 2**63


def _norm(channels: Sequence[Tensor]) -> Tensor:
    """Σ_c |F_c|."""
    total = channels[0].abs()
    for channel in channels[1:]:
        total += channel.abs()
    return total


def _mixed(channels: Sequence[Tensor]) -> Tensor:
    """Σ_c u_c F_c, u_c in [½, 1]."""
    first, *others = [(0.5 + _generic(-2 - c) / 2**65) * x for c, x in enumerate(channels)]
    for channel in others:
        first = first + channel
    return first


def _hash(channels: Sequence[Tensor]) -> Tensor:
    """64 bits of all channels' bits."""
    code = torch.zeros_like(channels[0], dtype=torch.int64)
    for channel in channels:
        code = (code ^ _bits(channel)) * ODD
    code = (code ^ code >> 32) * ODD
    return code ^ code >> 29


def _bits(x: Tensor) -> Tensor:
    whole = {2: torch.int16, 4: torch.int32, 8: torch.int64}[x.itemsize]
    return (x + 0.0).view(whole).long()  # without the sign of 0


def _weight(shape: Sequence[int]) -> float:
    """(Σ_k w(k)²)^½, by which rounding of samples counts."""
    return math.prod([math.hypot(1.0, _factor(i)) for i in range(len(_passes(shape)))])


def over_channels(values: Tensor, reduce: Callable[[Sequence[Tensor]], Tensor]) -> Tensor:
    """Values (n, c, X1, …, Xd) reduced over c, a few elements at a time.

    Channel by channel it is several times as fast as torch's sum over an axis that isn't the last, and in the same
    order everywhere, so that equal samples stay equal.
    """
    count = max(1, TIE_BLOCK // math.prod(values.shape[2:]))
    return torch.cat([reduce(part.unbind(1)) for part in values.split(count)])
