"""How fine a field can be, by the waves that its leaves are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fields.questions import graph

if TYPE_CHECKING:
    from fields.field import Field
    from fields.node import PerAxis


def known_within(field: Field) -> list[Field]:
    """All nodes of the graph, and of the graphs that leaves sum the images of."""
    return graph(field, sources=True)


def finest(field: Field, rtol: float) -> PerAxis:
    """Highest frequency per axis of the waves of all leaves, 0 where none is known.

    Fewer points than tell these waves say nothing, however little doubling their number changes: cos² is 1 at all of
    them where they are a wavelength apart.
    """
    band = (0.0,) * field.dim
    for leaf in known_within(field):
        own = None if leaf.parents else leaf._finest(rtol)
        band = tuple(map(max, band, own or band))
    return band


def opaque(field: Field) -> bool:
    """Whether a field is a function, without any quadrature in it, of which nobody says how fine it is."""
    nodes = known_within(field)
    return (
        field.bandlimit is None
        and not any(n.is_quadrature for n in nodes)
        and any(n.is_opaque for n in nodes)
    )
