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


class NotResolved(ValueError):
    """A tolerance can't be met within the memory bound; says what was reached and what would help."""


def relative_change(new: Tensor, old: Tensor) -> float:
    """The larger of the relative change in the maximum norm and in the L2 norm."""
    difference, new = (new - old).detach(), new.detach()
    changes = []
    for norm in (math.inf, 2):
        scale = float(torch.linalg.vector_norm(new, norm))
        change = float(torch.linalg.vector_norm(difference, norm))
        changes.append(change / scale if scale else change)
    return max(changes)


def first_refinement(field: Field, lattice: Lattice, rtol: float) -> int:
    """The least m for which nodes h/m apart tell all waves that the leaves are made of."""
    least = 1
    for leaf in graph(field):
        if not leaf.parents:
            band = leaf.bandwidth(rtol) or (0.0,) * field.dim
            needed = (2 * b * h for b, h in zip(band, lattice.spacing, strict=True))
            least = max(least, *(math.ceil(n * (1 - 1e-12)) for n in needed))
    return least


def at_refinement(field: Field, lattice: Lattice, m: int, memory: int = MEMORY_BOUND) -> Tensor:
    """Values with all nodes on the lattice refined m times."""
    return evaluate(field, lattice, tuple(h / m for h in lattice.spacing), memory)


def refined(
    field: Field, lattice: Lattice, rtol: float, memory: int = MEMORY_BOUND
) -> tuple[Tensor, float]:
    """Values whose change from a refinement to the next is at most `rtol`, and that change.

    The change bounds the error of the values returned wherever refinement halves the error at least: always beyond
    the first order of convergence.
    """
    if not field.has_quadrature:
        return at_refinement(field, lattice, 1, memory), 0.0
    m = first_refinement(field, lattice, rtol)
    values, reached = None, math.inf
    while True:
        try:
            finer = at_refinement(field, lattice, m, memory)
        except LatticeTooLarge as error:
            raise NotResolved(_advice(field, rtol, m, reached, error)) from error
        if values is not None:
            reached = relative_change(finer, values)
            if reached <= rtol:
                return finer, reached
            if math.isnan(reached):
                raise ValueError("the field isn't finite on this grid: it can't be sampled")
        values, m = finer, 2 * m


def _advice(field: Field, rtol: float, m: int, reached: float, error: LatticeTooLarge) -> str:
    if reached < math.inf:
        said = f"the values still change by {reached:.1e} (relative) from refinement {m // 4} to {m // 2}"
    else:
        said = "the coarsest two refinements that the field's band allows don't both fit, so that no change is known"
    return (
        f"rtol = {rtol:g} can't be reached: {said}, and at refinement {m} {error}. What helps: a larger rtol, a finer "
        "or smaller grid, smoother kernels or windows, a larger memory=…; or refinement=m for m nodes per spacing "
        "without any promise"
    )
