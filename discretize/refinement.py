"""Values of a field on a grid, its quadratures refined until they settle.

A composed field has nodes fixed at its layers' making. On a grid of spacing h they are put on the lattice of spacing
h/m instead, the same for the whole graph, so that every layer's input is needed once; m grows until the values change
by less than a tolerance. Leaves tell by their band from which m on nodes can be trusted not to alias.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fields.field import Field
from fields.lattice import MEMORY_BOUND, Lattice, LatticeTooLarge, evaluate, graph
from fields.resolved import NotResolved as NotResolved


def relative_change(new: Tensor, old: Tensor) -> float:
    """The larger of the relative change in the maximum norm and in the L2 norm."""
    difference, new = (new - old).detach(), new.detach()
    changes = []
    for norm in (math.inf, 2):
        scale = float(torch.linalg.vector_norm(new, norm))
        change = float(torch.linalg.vector_norm(difference, norm))
        changes.append(change / scale if scale else change)
    return max(changes)


def node_rate(field: Field, rtol: float) -> tuple[float, ...]:
    """Nodes per unit length, per axis, from which on a change under refinement can be trusted.

    They must tell all waves that the leaves are made of, 1/h ≥ 2f; where a kernel's transform is known, they must not
    fold these waves to where it isn't small, 1/h ≥ f + f_K, with a margin of 100 for errors that add up; and they must
    see every kernel and window, h ≤ its reach: a box narrower than h has one node, whatever its width.
    """
    band = kernel = narrow = (0.0,) * field.dim
    for node in graph(field):
        own = node.bandwidth(rtol) if not node.parents else None
        band = tuple(map(max, band, own or band))
        kernel = tuple(map(max, kernel, node._kernel_bandwidth(rtol / 100) or kernel))
        reach = node._node_reach()
        narrow = tuple(map(max, narrow, (1 / r for r in reach) if reach else narrow))
    return tuple(
        max(2 * f, f + g if g else 0, n) for f, g, n in zip(band, kernel, narrow, strict=True)
    )


def first_refinement(field: Field, lattice: Lattice, rtol: float) -> int:
    """The least m for which nodes h/m apart are as many as `node_rate` asks for."""
    rates = zip(lattice.spacing, node_rate(field, rtol), strict=True)
    return max(1, *(math.ceil(h * rate * (1 - 1e-12)) for h, rate in rates))


def at_refinement(field: Field, lattice: Lattice, m: int, memory: int = MEMORY_BOUND) -> Tensor:
    """Values with all nodes on the lattice refined m times."""
    return evaluate(field, lattice, tuple(h / m for h in lattice.spacing), memory)


def remaining_error(change: float, previous: float) -> float:
    """Error that the last two changes under doubling leave.

    The change, or a quarter of the one before, the rate of second order, where that is more: a rule whose weights
    depend on where a rim falls between its nodes changes erratically, and one change may be small by chance.
    """
    return max(change, previous / 4)


def refined(
    field: Field, lattice: Lattice, rtol: float, memory: int = MEMORY_BOUND
) -> tuple[Tensor, float]:
    """Values whose error is estimated to be at most `rtol`, and that estimate, relative; see `remaining_error`."""
    if not field.has_quadrature:
        return at_refinement(field, lattice, 1, memory), 0.0
    m = first_refinement(field, lattice, rtol)
    smooth = all(n._kernel_bandwidth(rtol) for n in graph(field) if n.is_quadrature)
    values, previous, change = None, math.inf, math.inf
    while True:
        try:
            finer = at_refinement(field, lattice, m, memory)
        except LatticeTooLarge as error:
            raise NotResolved(_advice(rtol, m, change, error)) from error
        if values is not None:
            previous, change = change, relative_change(finer, values)
            reached = change if smooth else remaining_error(change, previous)
            if reached <= rtol:
                return finer, reached
            if math.isnan(reached):
                raise ValueError("the field isn't finite on this grid: it can't be sampled")
        values, m = finer, 2 * m


def _advice(rtol: float, m: int, change: float, error: LatticeTooLarge) -> str:
    if change < math.inf:
        said = f"the values still change by {change:.1e} (relative) from refinement {m // 4} to {m // 2}"
    else:
        said = "the coarsest two refinements that the field's band allows don't both fit, so that no change is known"
    return (
        f"rtol = {rtol:g} can't be reached: {said}, and at refinement {m} {error}. What helps: a larger rtol, a finer "
        "or smaller grid, smoother kernels or windows, a larger memory=…; or refinement=m for m nodes per spacing "
        "without any promise"
    )
