"""Short tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence


def number(error: float) -> str:
    """An error as two digits and a power of ten; "0" is exactly zero, "–" not measured."""
    if math.isnan(error):
        return "–"
    return "0" if error == 0 else f"{error:.1e}"


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
    """Columns as wide as their widest cell, two spaces apart, under a ruled header."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["─" * w for w in widths]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))
        for row in (header, rule, *rows)
    ]
    return "\n".join((indent + line).rstrip() for line in lines)


def vector(t: Sequence[float]) -> str:
    """A vector as text, "(1, 0.5)"."""
    return f"({', '.join(f'{x:g}' for x in t)})"
