"""How fine a field can be, by the waves that its leaves are made of."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from fields.questions import N, graph

if TYPE_CHECKING:
    from fields.lattice import PerAxis
    from fields.node import Node


#: A tolerance, where it doesn't matter which.
ROUGHLY = 1e-3


def known_within(field: N) -> list[N]:
    """All nodes of the graph, and of the graphs that leaves sum the images of."""
    return graph(field, sources=True)


def finest(field: Node, rtol: float) -> PerAxis:
    """Highest frequency per axis of the waves of all leaves and functions, 0 where none is known.

    Fewer points than tell these waves say nothing, however little doubling their number changes: cos² is 1 at all of
    them where they are a wavelength apart.
    """
    band = (0.0,) * field.dim
    for node in known_within(field):
        band = tuple(map(max, band, node._finest(rtol) or band))
    return band


def thinnest(field: Node) -> PerAxis:
    """Highest frequency per axis that maxima need beyond `finest`."""
    bands = (node._thinnest() for node in known_within(field))
    return functools.reduce(lambda a, b: tuple(map(max, a, b)), bands)


def unsaid(field: Node) -> bool:
    """Whether there is a function in a field of which nobody says how fine it is."""
    return any(node._finest(ROUGHLY) is None for node in known_within(field))


def opaque(field: Node) -> bool:
    """Whether a field is a function, without any quadrature in it, of which nobody says how fine it is."""
    nodes = known_within(field)
    return field.bandlimit is None and not any(n.is_quadrature for n in nodes) and unsaid(field)


def jumps(field: Node) -> bool | None:
    """Whether a function that a field is made of is known to jump, or bend; None where only some are known not to."""
    known = [node._jumps() for node in known_within(field)]
    return True if True in known else None if None in known else False
