"""Sphinx: `make docs` builds docs/_build/html, and fails on any warning."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

HERE = Path(__file__).parent
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the pages' kernels, several of which run at once
sys.path.insert(0, str(HERE.parent))  # the packages, and `tests`, which the guides name

project = "Feature fields"
author = "The Feature Fields authors"
copyright = author
release = version = installed("feature-fields")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
# Scripts without cells are tools, not pages.
TOOLS = [p.name for p in HERE.glob("*.py") if "\n# %%" not in f"\n{p.read_text('utf-8')}"]
exclude_patterns = ["_build", "**/.ipynb_checkpoints", *TOOLS]
templates_path = ["_templates"]
html_math_renderer = "mathml"
html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]

# Scripts in percent cells are pages: the same files that the tests run.
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "force"
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_merge_streams = True
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_imported_members = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say types, shapes and units
autodoc_inherit_docstrings = False
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style")]
maximum_signature_line_length = 90
viewcode_line_numbers = True

PACKAGES = ("fields", "discretize", "layers", "equivariance")
PUBLIC = {name: package for package in PACKAGES for name in dir(importlib.import_module(package))}
#: Parts of a docstring in which signs mean what they are: code between backticks.
CODE = re.compile(r"(`+[^`]+`+)")
#: What reStructuredText would read as markup in a formula: (*batch, c), |F|, F_.
MARKUP = re.compile(r"([*|\\]|(?<=\w)_(?!\w))")


def plain(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text: signs stand for themselves, `name` is a link where it is public, and code if not."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = CODE.split(line)
            parts[::2] = [MARKUP.sub(r"\\\1", part) for part in parts[::2]]
            parts[1::2] = [_code(part.strip("`")) for part in parts[1::2]]
            lines[i] = "".join(parts)


def _code(text: str) -> str:
    home = PUBLIC.get(text.partition(".")[0])
    return f":py:obj:`~{home}.{text}`" if home and "." not in text else f"``{text}``"


def formula(writer: Any, node: Any) -> None:
    """A formula as MathML, which browsers show by themselves: the pages need no network."""
    block = isinstance(node, nodes.math_block)
    try:
        math = tex2mathml(node.astext(), as_block=block)
    except MathError as error:
        logging.getLogger(__name__).warning("%s: %s", node.astext(), error, location=node)
        raise nodes.SkipNode from error
    writer.body.append(f'<div class="math">{math}</div>' if block else math)
    raise nodes.SkipNode


def copy_examples() -> None:
    """Put the scripts of examples/ among the pages, where Sphinx looks for them."""
    pages = HERE / "examples"
    pages.mkdir(exist_ok=True)
    scripts = sorted((HERE.parent / "examples").glob("*.py"))
    for stale in set(pages.glob("*.py")) - {pages / s.name for s in scripts}:
        stale.unlink()
    for script in scripts:
        if not (page := pages / script.name).exists() or page.read_bytes() != script.read_bytes():
            shutil.copy(script, page)


copy_examples()


def setup(app: Any) -> None:
    """Connect what is above."""
    app.add_html_math_renderer("mathml", (formula, None), (formula, None))
    app.connect("autodoc-process-docstring", plain, priority=400)  # before napoleon
