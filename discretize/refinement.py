"""Values of a field on a grid, its quadratures refined until they settle.

A composed field has nodes fixed at its layers' making. On a grid of spacing h they are put on the lattice of spacing
h/m instead, the same for the whole graph, so that every layer's input is needed once; m grows by 3/2 and 4/3 in turns
until the values are within a tolerance, as far as three of them tell (`estimated_error`), or two where all is smooth.
Leaves tell by their band from which m on nodes can be trusted not to alias.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from discretize.accuracy import CANCELLED, DRAW_SPREAD, DRAWS, FALLS, FAR, HOPE, LEAST_TRANSFORM
from fields import magnitude
from fields.accuracy import EFFORT, MAX_RATIO, MEMORY_BOUND
from fields.arrays import broadcast
from fields.evaluation.dither import Dither
from fields.evaluation.evaluation import evaluate
from fields.evaluation.node import Node
from fields.evaluation.plan import Plan, graph
from fields.evaluation.questions import finest, jumps, known_within, thinnest, unsaid
from fields.evaluation.settling import Settling
from fields.lattice import Lattice, LatticeTooLarge, common_spacing

#: How much finer a function is looked at that vanishes at all nodes, in one to three dimensions.
FINER = {1: 16, 2: 4, 3: 2}


class Refined(NamedTuple):
    """Values, their estimated relative error, and the refinement that they were taken at."""

    values: Tensor
    error: float
    refinement: int


def relative_change(new: Tensor, old: Tensor, dim: int, rounding: Tensor | None = None) -> float:
    """The larger of the relative changes in the maximum norm and in L2, of the worst element of a batch.

    Each element is measured by itself: all channels and points of values (*batch, c, X1, …, Xd) together. Differences
    up to `rounding`, (*batch, 1) or the same for all, are none.
    """
    new, old = new.detach().flatten(-dim - 1), old.detach().flatten(-dim - 1)
    difference = (new - old).abs()
    if difference.isnan().any():
        return math.nan
    worst = 0.0
    if rounding is not None:
        difference = (difference - rounding).clamp(min=0)
    for order in (math.inf, 2):
        change = magnitude.norm(difference, order, [-1])
        scale = torch.maximum(*(magnitude.norm(v, order, [-1]) for v in (new, old)))
        worst = max(worst, float((change / torch.where(scale > 0, scale, 1.0)).amax()))
    return worst


def node_rate(field: Node, rtol: float, maximum: bool = False) -> tuple[float, ...]:
    """Nodes per unit length, per axis, from which on a change under refinement can be trusted.

    They must tell all waves that the leaves are made of, 1/h ≥ 2f; where a kernel's transform is known, they must not
    fold these waves to where it isn't small, 1/h ≥ f + f_K, with a margin of 100 for errors that add up; and they must
    see every kernel and window, h ≤ its reach: a box narrower than h has one node, whatever its width. Where there is
    a maximum among the nodes, or one is taken of them all, they must tell what lies between shapes, too.
    """
    kernel = narrow = thin = (0.0,) * field.dim
    if maximum or any(node.is_maximum for node in known_within(field)):
        thin = thinnest(field)
    for node in known_within(field):
        kernel = tuple(map(max, kernel, node._kernel_bandwidth(rtol / 100) or kernel))
        reach = node._node_reach()
        narrow = tuple(map(max, narrow, (1 / r for r in reach) if reach else narrow))
    return tuple(
        max(2 * f, 2 * t, f + g if g else 0, n)
        for f, t, g, n in zip(finest(field, rtol), thin, kernel, narrow, strict=True)
    )


def first_refinement(field: Node, lattice: Lattice, rtol: float) -> int:
    """The least m for which nodes h/m apart are as many as `node_rate` asks for."""
    rates = zip(lattice.spacing, node_rate(field, rtol), strict=True)
    return max(1, *(math.ceil(h * rate * (1 - 1e-12)) for h, rate in rates))


def refinements(field: Node, lattice: Lattice, least: int) -> Iterator[int]:
    """1, 2, 3, 4, 6, 8, 12, … times what puts the nodes on the lattice of the atoms, from `least` on.

    Doubling alone may keep the nodes' places at a rim, and with them an error that no change shows.
    """
    base = 1
    for node in graph(field):
        if not node.is_quadrature:
            for h, own in zip(lattice.spacing, node._spacings(None), strict=True):
                common = None if own is None else common_spacing(h, own)
                together = math.lcm(base, round(h / common)) if common else base
                base = together if together <= MAX_RATIO else base
    factors = [1, 2, 3]
    while True:
        if base * factors[0] >= least:
            yield base * factors[0]
        factors = [*factors[1:], 2 * factors[-2]]


def at_refinement(
    field: Node,
    lattice: Lattice,
    m: int,
    memory: int = MEMORY_BOUND,
    dither: Dither | None = None,
) -> Tensor:
    """Values with all nodes on the lattice refined m times."""
    return evaluate(field, lattice, tuple(h / m for h in lattice.spacing), memory, dither)


def refined(field: Node, lattice: Lattice, rtol: float, memory: int = MEMORY_BOUND) -> Refined:
    """Values whose relative error is estimated to be at most `rtol`.

    Raises
    ------
    NotResolved
        Where three refinements, or the last one needed, don't fit into `memory`, see
        `fields.evaluation.evaluation.evaluate`; and as soon as convergence at fourth order from here would ask for one
        that doesn't.
    """
    if not field.has_quadrature:
        return Refined(at_refinement(field, lattice, 1, memory), 0.0, 1)
    return Refined(*_Refining(field, lattice, rtol, memory).settle())


class _Refining(Settling[int, Tensor]):
    """Values on a lattice, with nodes between which jumps are looked for."""

    cures = (
        "a finer or smaller grid, smoother kernels or windows, refinement=m without any promise, "
    )

    def __init__(self, field: Node, lattice: Lattice, rtol: float, memory: int) -> None:
        super().__init__(rtol, field.dtype)
        self.field, self.lattice, self.memory = field, lattice, memory
        self.smooth, self.jumps = is_smooth(field, rtol), jumps(field)
        self.enough = 2 if self.smooth else 3
        self.least, self.floor, self.unsaid = self.floor, 0.0, unsaid(field)
        self.last, self.unseen = math.inf, torch.zeros(1, dtype=field.dtype)
        self.look, self.unit = Dither(), 0.0
        self.look.found = True

    def steps(self) -> Iterator[int]:
        first = first_refinement(self.field, self.lattice, self.rtol)
        return refinements(self.field, self.lattice, first)

    def value(self, step: int) -> Tensor:
        look = Dither(None, self.look.found, not self.smooth, self.jumps)
        values = at_refinement(self.field, self.lattice, step, self.memory, look)
        self.look = look
        self.unit = self.unit or _work(self.field, self.lattice, step) / step**self.lattice.dim
        self.floor = self.least * look.asked
        return values

    def change(self, new: Tensor, old: Tensor) -> float:
        return relative_change(new, old, self.lattice.dim, self.unseen.to(new.device))

    def error(self, known: Sequence[tuple[int, Tensor]]) -> float:
        """Of changes; where they don't fall, they may be rounding of what nearly cancels, which is looked at then."""
        error = super().error(known)
        if error > self.rtol and (self.last == math.inf or error > FALLS * self.last):
            rounding = _rounding(self.field, self.lattice, self.memory, *known[0])
            self.unseen = self.unseen.to(rounding).maximum(rounding)
            error = super().error(known)
        self.last = error
        return max(self._left(known, error), min(error, CANCELLED * self.least))

    def _left(self, known: Sequence[tuple[int, Tensor]], error: float) -> float:
        """Halfway to what errors that fall off faster leave, where they are known to: a change may be small by chance.

        All the way where spectra fall off like bells, and have no zeros. Nodes tell waves to far less than `rtol` soon;
        where nothing jumps, that is all that there is but for the rims. What settles is decided without.
        """
        if error > self.rtol:
            return error
        if self.smooth:
            (before, _), (last, _) = known[-2:]
            part, power = fall(self.field, self.lattice, self.rtol, before, last)
            faster = min(1.0, (last / before - 1) * part / (1 - part))
            return error * math.pow(faster, max(power, 1.0) / 2)
        if self.jumps is False and error <= self.rtol**2:
            return math.sqrt(error * super().error(known[1:]))
        return error

    def hidden(self, step: int, value: Tensor) -> float:
        """By draws of the places of jumps, the first few where it exceeds `rtol`; or where nothing was seen at all."""
        if self.unsaid and self.look.asked and not self.look.nonzero:
            return self._elsewhere(step, value)
        total = 0.0
        for draw in range(DRAWS if self.look.found else 0):
            dither = Dither(draw, self.look.hidden, self.look.bends, self.jumps)
            with torch.no_grad():
                other = at_refinement(self.field, self.lattice, step, self.memory, dither)
            total += self.change(other, value) ** 2 / DRAWS
            if DRAW_SPREAD * math.sqrt(total) > self.rtol:
                break
        return DRAW_SPREAD * math.sqrt(total)

    def _elsewhere(self, step: int, value: Tensor) -> float:
        """Whether finer nodes meet a function that these say vanishes; unless they do, nothing is known of it."""
        try:
            with torch.no_grad():
                finer = step * FINER[self.lattice.dim]
                found = at_refinement(self.field, self.lattice, finer, self.memory)
        except LatticeTooLarge as why:
            raise LatticeTooLarge(
                "all nodes see 0, and no finest=… of the functions says that nothing lies between them; at refinement "
                f"{finer}, to look, {why}"
            ) from why
        return self.change(found, value)

    def hopeless(self, step: int, error: float) -> str:
        """Where even fourth order takes too much."""
        needed = step * (error / self.rtol) ** (1 / HOPE)
        work = self.unit * needed**self.lattice.dim
        return _far(needed, work, self.memory) if work > EFFORT * self.memory else ""


def _rounding(field: Node, lattice: Lattice, memory: int, m: int, values: Tensor) -> Tensor:
    """What rounding of all that quadratures take may make of each element's values, (*batch, 1)."""
    with torch.no_grad():
        other = at_refinement(field, lattice, m, memory, Dither(rounding=True))
    change: Tensor = (
        (other - values.detach()).abs().flatten(-lattice.dim - 1).amax(-1, keepdim=True)
    )
    return change


def is_smooth(field: Node, rtol: float) -> bool:
    """Whether all that is summed over nodes has a known band: convolutions of waves, with no nonlinearity between.

    Their errors fall off as fast as the spectra from the first refinement on: a change can't be small by chance.
    """
    nodes = (node for node in known_within(field) if node.is_quadrature)
    return field.bandwidth(rtol) is not None and all(n._kernel_bandwidth(rtol) for n in nodes)


def fall(field: Node, lattice: Lattice, rtol: float, before: int, last: int) -> tuple[float, float]:
    """What a refinement leaves of the error at one before, where all is smooth, and the power a of its logarithm.

    That is what nodes fold onto the frequencies f + f_K at which the waves and the transforms of kernels have fallen to
    `rtol`. They are taken to go on falling like exp(−f^a), a ≤ 2, as the slowest does from `rtol` to its square.
    """
    square, nodes, none = max(rtol**2, LEAST_TRANSFORM), known_within(field), (0.0,) * field.dim
    asked = ("_finest", "_kernel_bandwidth")
    one, two = (
        torch.tensor([[getattr(node, ask)(r) or none for node in nodes] for ask in asked]).double()
        for r in (rtol, square)
    )
    folded = float((one.amax(1).sum(0) * torch.tensor(lattice.spacing)).amax()) or 1.0
    slowest = float(torch.where(two > one, two / one, 1.0).nan_to_num(posinf=1.0).amax())
    deeper = math.log(math.log(square) / math.log(rtol))
    power = min(2.0, deeper / math.log(slowest)) if slowest > 1 else 2.0
    depths = [(m / folded) ** power for m in (before, last)]
    return math.pow(rtol, depths[1] - depths[0]), power


def _work(field: Node, lattice: Lattice, m: int) -> int:
    elements = math.prod(broadcast(lattice.origin.shape[:-1], field.batch))
    nodes = tuple(h / m for h in lattice.spacing)
    return Plan(field, lattice.spacing, lattice.shape, nodes).work(elements)


def _far(needed: float, work: float, memory: int) -> str:
    if needed > FAR:
        return (
            "no refinement within reach would do: the field has features much finer than its nodes, "
            "or kinks or jumps that such a tolerance doesn't go with"
        )
    return (
        f"even at fourth order refinement {needed:.0f} is needed, which computes {work / 2**30:.3g} GiB of values, "
        f"more than {EFFORT} times the bound on memory, {memory / 2**30:.3g} GiB"
    )
