"""Periods of several fields together."""

from __future__ import annotations

from fields.lattice import common_spacing
from fields.node import PerAxis


def common_period(a: PerAxis | None, b: PerAxis | None) -> PerAxis | None:
    """The least common multiple of two periods per axis, 0 standing for any."""
    if a is None or b is None:
        return None
    common = []
    for p, q in zip(a, b, strict=True):
        if p and q:
            divisor = common_spacing(p, q)
            if divisor is None:
                return None
            common.append(p * q / divisor)
        else:
            common.append(p or q)
    return tuple(common)
