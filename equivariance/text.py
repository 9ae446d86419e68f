"""What is told: numbers and short tables for a terminal, pages that hold all of themselves for a browser."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any


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


def render(template: str, **content: Any) -> bytes:
    """A page from a template of `equivariance/templates`: nothing is fetched, all that goes in is escaped.

    Parameters
    ----------
    template : str
        File name.
    **content
        Names that the template uses. A missing one raises.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined  # which a listing does without

    environment = Environment(
        loader=PackageLoader("equivariance"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["inline"] = inline
    return environment.get_template(template).render(**content).encode()


def inline(png: bytes) -> str:
    """A picture as the address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
