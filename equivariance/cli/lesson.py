"""`equivariance lesson`: write the lesson as one HTML file that needs no server and no network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from equivariance.bad_input import BadInput


@dataclass(frozen=True)
class LessonSettings:
    """Write a lesson for a class: one page, without a server, on which a picture is dragged by half pixels."""

    out: Path = Path("equivariance-lesson.html")
    """The file to write."""


def run(settings: LessonSettings) -> tuple[str, list[Path]]:
    """Compute the frames and write the page: what to say, and the file."""
    if settings.out.is_dir() or not settings.out.resolve().parent.is_dir():
        raise BadInput(f"{settings.out} can't be written: give a file in a folder that there is")
    page = render()
    try:
        settings.out.write_bytes(page)
    except OSError as error:
        raise BadInput(f"{settings.out} can't be written: {error.strerror}") from error
    return f"A lesson of {len(page) / 2**20:.1f} MiB: open it in any browser.", [settings.out]


def render() -> bytes:
    """The page, all in one."""
    from equivariance.lesson import frames
    from equivariance.records import threads

    folder = resources.files("equivariance.lesson") / "page"
    colours = resources.files("equivariance.explorer") / "page" / "colours.js"
    script = colours.read_text("utf-8") + (folder / "lesson.js").read_text("utf-8")
    with threads(1):  # the tensors are small, and threads wait for each other
        computed = frames()
    data = json.dumps(computed).replace("<", "\\u003c")
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(
        (folder / "lesson.html").read_text("utf-8")
    )
    return template.render(
        style=Markup((folder / "lesson.css").read_text("utf-8")),
        data=Markup(data),
        script=Markup(script),
    ).encode()
