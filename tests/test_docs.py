"""The documentation: its Python runs, it lists all that is public, and every public class is in an example."""

import functools
import importlib
import inspect
import re
import runpy
import textwrap
from pathlib import Path

import pytest

from equivariance import EXPERIMENTS

ROOT = Path(__file__).parent.parent
PACKAGES = ("fields", "discretize", "layers", "equivariance")
PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("[!_]*/*.md"))]
SCRIPTS = [ROOT / "docs" / "tutorial.py", ROOT / "docs" / "experiments" / "autoencoder.py"]
#: Classes that nobody makes by name, and the functions that return them.
MADE_BY = {"equivariance.Intertwiners": "intertwiners", "equivariance.Shared": "shared_window"}
BLOCK = re.compile(r"^([ ]*)```python\n(.*?)^[ ]*```$", re.S | re.M)
WITH_CODE = [page for page in PAGES if BLOCK.search(page.read_text("utf-8"))]


def public(package: str) -> list[str]:
    module = importlib.import_module(package)
    names = getattr(module, "__all__", None) or vars(module)
    return [n for n in names if not n.startswith("_") and not inspect.ismodule(getattr(module, n))]


def classes() -> list[str]:
    return sorted(
        f"{package}.{name}"
        for package in PACKAGES
        for name in public(package)
        if inspect.isclass(getattr(importlib.import_module(package), name))
    )


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda p: p.stem)
def test_code_on_pages_runs(page: Path) -> None:
    """All Python blocks of a page, in order, in one namespace."""
    blocks = [textwrap.dedent(body) for _, body in BLOCK.findall(page.read_text("utf-8"))]
    exec(compile("\n".join(blocks), str(page), "exec"), {"__name__": page.stem})


@pytest.mark.parametrize("page", SCRIPTS, ids=lambda p: p.stem)
def test_pages_that_are_scripts_hold(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They run where they lie, as in the documentation, and what they assert is true."""
    monkeypatch.chdir(page.parent)
    monkeypatch.setenv("MPLBACKEND", "agg")
    import matplotlib.pyplot as plt
    import torch

    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    with torch.enable_grad():  # which the tutorial turns off
        runpy.run_path(str(page))


@pytest.mark.parametrize("package", PACKAGES)
def test_reference_lists_all_public_names(package: str) -> None:
    text = (ROOT / "docs" / "api" / f"{package}.md").read_text("utf-8")
    listed = re.findall(r"^(?:   |.. py:data:: )(\w+)$", text, re.M)
    assert sorted(listed) == sorted(public(package))


@pytest.mark.parametrize("name", classes())
def test_every_public_class_is_in_an_example(name: str) -> None:
    package, _, word = name.partition(".")
    word = MADE_BY.get(name, word)
    scripts = [p.read_text("utf-8") for p in (ROOT / "examples").glob("*.py")]
    imported = rf"from {package} import [^)]*?\b{word}\b"
    assert any(re.search(imported, s) for s in scripts)


ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "theory.md").read_text("utf-8").replace(r"\|", "∣").splitlines()
    if line.startswith("| ") and not line.startswith("| Statement")
]
TICKED = re.compile(r"`([^`]+)`")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_name_in_the_theory_exists(row: list[str]) -> None:
    """Classes and functions, tests, commands, and pictures that these commands write."""
    _, formula, here, test, command, picture = row
    assert formula
    for name in TICKED.findall(here):
        package, *path = name.split(".")
        functools.reduce(getattr, path, importlib.import_module(package))
    (where,) = TICKED.findall(test)
    file, _, function = where.partition("::")
    assert re.search(rf"^def {function}\(", (ROOT / file).read_text("utf-8"), re.M)
    (words,) = TICKED.findall(command)
    if words.startswith("python "):
        assert (ROOT / words.removeprefix("python ")).is_file()
        assert not picture
        return
    pictures = EXPERIMENTS[words.removeprefix("equivariance run ")].study.PICTURES
    assert picture in ("", *(f"`{name}.png`" for name in pictures))
