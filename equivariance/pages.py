"""One HTML page that holds all of itself: pictures inlined, no script, nothing fetched."""

from __future__ import annotations

import base64
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from equivariance.table import number


def render(template: str, **content: Any) -> bytes:
    """A page from a template of `equivariance/templates`; all that goes in is escaped.

    Parameters
    ----------
    template : str
        File name.
    **content
        Names that the template uses. A missing one raises.
    """
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
