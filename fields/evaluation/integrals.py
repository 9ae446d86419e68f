"""Integrals, inner products and Fourier transforms by quadrature, for fields without a closed form.

Over one period of a periodic field, or over the support of a decaying one, equal weights on a lattice are the
trapezoidal rule: spectrally accurate for smooth fields, first order for fields with jumps. The number of points is
doubled until the result settles, and, unless the band is known, agrees with that between the points, and what jumps
between them may hide (`evaluation.roughness`) is small. Values are summed tile by tile, so that memory stays bounded
whatever their number.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fields import arguments
from fields.accuracy import MOST_MEMORY, OFF_FACES, TAIL, TILE, WIDENINGS
from fields.evaluation.evaluation import evaluate
from fields.evaluation.plan import Plan, graph
from fields.evaluation.questions import finest, jumps, unsaid
from fields.evaluation.roughness import Roughness
from fields.evaluation.settling import Counts, OverRegion, Region, Taken, relative
from fields.lattice import Lattice, LatticeTooLarge, split

if TYPE_CHECKING:
    from fields.evaluation.node import Node

#: Points per axis to begin with, in one to three dimensions, for functions of which nobody says how fine they are.
UNSAID = {1: 1024, 2: 64, 3: 16}

Corner = tuple[float, ...]


def domain(field: Node) -> Region | None:
    """Corner and extent of one period (1 along axes where the field is constant), or of the support; or None."""
    period = field.period
    if period is not None:
        return (0.0,) * field.dim, tuple(p or 1.0 for p in period)
    support = field.support(TAIL)
    if support is None:
        return None
    low, high = support
    return low, tuple(b - a for a, b in zip(low, high, strict=True))


def points_needed(field: Node, extent: Corner, rtol: float) -> tuple[int, ...]:
    """Points per axis that tell all waves of a field, or those of its leaves, where they are known."""
    band = field.bandwidth(rtol) or finest(field, rtol)
    lengths = zip(band, extent, strict=True)
    least = least_points(field, rtol)
    return tuple(max(least, 2 * math.ceil(k * length) + 1) for k, length in lengths)


def least_points(field: Node, rtol: float) -> int:
    """Points per axis that meet what counts at a tolerance of a function of which nobody says how fine it is.

    As far as they can be afforded: features in so small a part of the domain may be all that there is.
    """
    return max(8, min(UNSAID[field.dim], math.ceil(4 / rtol))) if unsaid(field) else 8


def lattice_count(
    field: Node, extent: Corner, needed: tuple[int, ...], unit: int = 1
) -> tuple[int, ...]:
    """So many points per axis or more, a multiple of `unit`, on a lattice that holds the atoms' spacings."""
    counts = []
    for axis, (length, least) in enumerate(zip(extent, needed, strict=True)):
        atoms = (n._spacings(None)[axis] for n in graph(field) if not n.is_quadrature)
        base = unit
        for spacing in (h for h in atoms if h is not None):
            cells, rest = split(length / spacing)
            base = math.lcm(base, cells) if not rest else base
        while base % (2 * unit) == 0 and base // 2 >= least:
            base //= 2
        counts.append(base * 2 ** max(0, math.ceil(math.log2(least / base))))
    return tuple(counts)


def integral(field: Node, rtol: float, memory: int) -> Tensor:
    """∫F over its domain, shape (*batch, c), to `rtol` of ∫|F|."""

    def total(values: Tensor, lattice: Lattice) -> Tensor:
        return values.flatten(-field.dim).sum(-1) * math.prod(lattice.spacing)

    return _settled(field, total, rtol, memory)


def transform(field: Node, frequencies: Tensor, rtol: float, memory: int) -> Tensor:
    """∫F(x) exp(−2πi f·x) dx, shape (*batch, k, c), to `rtol` of ∫|F|; divided by the period's volume, if any."""
    period = field.period
    volume = 1.0
    if period is not None:
        check_multiples(frequencies, period)
        volume = math.prod(p or 1.0 for p in period)

    def total(values: Tensor, lattice: Lattice) -> Tensor:
        parts = [_waves_sum(values, lattice, f) for f in frequencies.split(64)]
        return torch.cat(parts, dim=-2) * (math.prod(lattice.spacing) / volume)

    return _settled(field, total, rtol, memory, 1 / volume)


def multiples(frequencies: Tensor, period: Corner) -> Tensor:
    """Which frequencies (k, d) are those of a period; 0 stands for constant along an axis."""
    cycles = frequencies.detach() * frequencies.new_tensor([p or 1.0 for p in period])
    return ((cycles - cycles.round()).abs() <= 1e-9 * (1 + cycles.abs())).all(-1)


def check_multiples(frequencies: Tensor, period: Corner) -> None:
    """Raise where frequencies (k, d) aren't those of a period."""
    if not bool(multiples(frequencies, period).all()):
        raise ValueError(
            f"a field of period {period} has Fourier coefficients at multiples of 1/period only"
        )


def _waves_sum(values: Tensor, lattice: Lattice, frequencies: Tensor) -> Tensor:
    """Σ_x F(x) exp(−2πi f·x), shape (*batch, k, c)."""
    lead = values.shape[: values.ndim - lattice.dim]
    out = values.to(torch.complex64 if values.dtype == torch.float32 else torch.complex128)
    out = out.reshape(lead.numel(), 1, *lattice.shape)
    for x, f in zip(lattice.axes(), frequencies.T, strict=True):
        waves = torch.exp(-2j * torch.pi * f[:, None] * x).to(out)  # (k, X)
        rest = out.shape[3:]
        if out.shape[1] == 1:
            out = torch.matmul(waves, out[:, 0].flatten(2) if rest else out[:, 0].unsqueeze(-1))
        else:
            out = torch.einsum("kx,bkxr->bkr", waves, out.reshape(*out.shape[:3], -1))
        out = out.reshape(lead.numel(), len(f), *rest)
    return out.reshape(*lead, -1).mT


def _settled(
    field: Node,
    reduce: Callable[[Tensor, Lattice], Tensor],
    rtol: float,
    memory: int,
    weight: float = 1.0,
) -> Tensor:
    """What `reduce`, a sum over points, makes of finer and finer lattices, once two doublings change it little.

    Supports are those of the fields that one is composed of: a factor that grows carries the tail further out. So the
    region is widened until little is found on its faces.
    """
    rtol, memory = arguments.fraction(rtol, "rtol"), arguments.size(memory)
    region = domain(field)
    if region is None:
        raise ValueError(
            "an integral needs a field of known period, or one that is known to decay on R^d: this "
            f"{type(field).__name__} is neither; use field.periodize(period), or multiply it by a decaying field"
        )
    if min(region[1]) <= 0:  # factors that are nowhere both other than zero
        one = (1,) * field.dim
        nothing = field._like.new_zeros(*field.batch, field.channels, *one)
        at = Lattice(torch.tensor(region[0], dtype=torch.float64), (1.0,) * field.dim, one)
        return reduce(nothing, at)
    for _ in range(WIDENINGS):
        run = _Summing(field, reduce, rtol, memory, weight, region)
        found = run.settle().value
        if field.period is not None:
            return found.total
        beyond, rounding = _beyond(field, found.lattice, memory), run.rounding * found.size.amax()
        if bool((beyond * weight <= run.rtol * found.size + rounding).all()):
            return found.total
        corner, extent = region
        region = (
            tuple(a - e / 4 for a, e in zip(corner, extent, strict=True)),
            tuple(1.5 * e for e in extent),
        )
    raise ValueError(
        f"this {type(field).__name__} doesn't decay as the fields do that it is made of: it has no integral over R^d"
    )


class _Summing(OverRegion):
    """The sum over a region that `reduce` stands for, with errors relative to `weight` times ∫|F|."""

    rough: Roughness | None = None

    def __init__(
        self,
        field: Node,
        reduce: Callable[[Tensor, Lattice], Tensor],
        rtol: float,
        memory: int,
        weight: float,
        region: Region,
    ) -> None:
        super().__init__(field, region, rtol, memory, field.bandwidth(rtol) is not None)
        self.reduce, self.weight, self.steady = reduce, weight, jumps(field) is False

    def first(self) -> Counts:
        needed = points_needed(self.field, self.extent, self.rtol)
        return lattice_count(self.field, self.extent, needed)

    def take(self, lattice: Lattice) -> tuple[Tensor, Tensor]:
        total, size = _by_tiles(self.field, lattice, self.reduce, self.memory, self.rough)
        return total, size * self.weight

    def hidden(self, step: Counts, value: Taken) -> float:
        """By the sum between the points, and by what jumps may hide from both."""
        if not self.smooth and not self.steady:
            self.rough = Roughness(value.lattice, self.field.period is not None)
        found = super().hidden(step, value)
        if self.rough is not None:
            bound = self.rough.bound() * self.weight
            found, self.rough = max(found, relative(bound, value.size, self.rounding)), None
        return found


def _beyond(field: Node, lattice: Lattice, memory: int) -> Tensor:
    """∫|F| outside a lattice's box, shape (*batch,): what lies just off its faces times a quarter of its extent."""
    total = torch.zeros(field.batch, dtype=field.dtype, device=field.device)
    for axis, (n, h) in enumerate(zip(lattice.shape, lattice.spacing, strict=True)):
        shape = (*lattice.shape[:axis], 1, *lattice.shape[axis + 1 :])
        each = math.prod(lattice.spacing) * n / 4
        for place in (-OFF_FACES * n * h, (1 + OFF_FACES) * n * h):
            origin = lattice.origin.clone()
            origin[axis] += place
            with torch.no_grad():
                face = evaluate(
                    field, Lattice(origin, lattice.spacing, shape), lattice.spacing, memory
                )
            total = total + each * face.abs().flatten(-field.dim).sum(-1).amax(-1)
    return total


def _by_tiles(
    field: Node,
    lattice: Lattice,
    reduce: Callable[[Tensor, Lattice], Tensor],
    memory: int,
    rough: Roughness | None = None,
) -> tuple[Tensor, Tensor]:
    """The sum that `reduce` stands for over all points, and ∫|F| of the largest channel, shape (*batch,)."""
    values = math.prod(lattice.shape) * field.channels * field.batch_size * field.itemsize
    if values > MOST_MEMORY * memory:
        raise LatticeTooLarge(
            f"this needs {values / 2**20:.3g} MiB of values, the bound is {MOST_MEMORY * memory / 2**20:.3g} MiB"
        )
    total: Tensor | None = None
    size: Tensor | None = None
    side = _tile(field, lattice, min(TILE, memory))
    starts = itertools.product(*map(range, [0] * lattice.dim, lattice.shape, side))
    for start in starts:
        ends = map(min, map(int.__add__, start, side), lattice.shape)
        shape = tuple(b - a for a, b in zip(start, ends, strict=True))
        moved = [a * h for a, h in zip(start, lattice.spacing, strict=True)]
        tile = Lattice(lattice.origin + lattice.origin.new_tensor(moved), lattice.spacing, shape)
        found = evaluate(field, tile, lattice.spacing, memory)
        if rough is not None:
            rough.add(found, start)
        part, sizes = reduce(found, tile), found.detach().abs().flatten(-field.dim).sum(-1)
        total = part if total is None else total + part
        size = sizes if size is None else size + sizes
    assert total is not None
    assert size is not None
    return total, size.amax(-1) * math.prod(lattice.spacing)


def _tile(field: Node, lattice: Lattice, memory: int) -> tuple[int, ...]:
    """Sides of tiles whose evaluation needs at most `memory` bytes, or of single points."""
    side = list(lattice.shape)
    while Plan(field, lattice.spacing, tuple(side), lattice.spacing).peak() > memory:
        first = next((i for i, n in enumerate(side) if n > 1), None)
        if first is None:
            break
        side[first] = -(-side[first] // 2)
    return tuple(side)
