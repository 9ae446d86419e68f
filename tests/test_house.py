"""The house: how many files, how long, named how, and which of them import each other in a circle."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("fields", "discretize", "layers", "equivariance")
#: Source files of the four packages; in one folder; in one circle of imports; lines of one function; of one file.
MOST_FILES, MOST_IN_A_FOLDER, MOST_IN_A_CIRCLE, MOST_LINES, LONGEST = 208, 25, 4, 50, 370

#: Numbers that mathematics or a format says, or that only their file could explain.
CONSTANTS = {
    "fields": {"LOBE", "HALF_AXES", "GAUSSIAN_REACH", "BITS_PER_SAMPLE"},
    "discretize": {"ODD", "COEFFICIENTS"},
    "layers": set(),
}


@cache
def sources() -> dict[str, Path]:
    """Every module of the four packages, and where it is."""
    found = {}
    for path in (p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.py"))):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(module: str) -> ast.Module:
    """What a module says."""
    return ast.parse(sources()[module].read_text())


def is_for_types(node: ast.AST) -> bool:
    """Whether it is `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(node: ast.AST, types: bool) -> set[str]:
    """The modules of the four packages that are imported anywhere below, by functions too."""
    found: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            found |= {a.name for a in child.names}
        elif isinstance(child, ast.ImportFrom) and child.module:
            names = {f"{child.module}.{a.name}" for a in child.names}
            found |= (names & set(sources())) or {child.module}
        if types or not is_for_types(child):
            found |= imports(child, types)
    return found & set(sources())


def circles(types: bool) -> list[list[str]]:
    """The modules that reach each other by imports, at least two of them."""
    below = {m: imports(tree(m), types) - {m} for m in sources()}
    reached = {}
    for module in below:
        seen, waiting = set[str](), [module]
        while waiting:
            new = below[waiting.pop()] - seen
            seen |= new
            waiting += new
        reached[module] = seen
    rings = {frozenset({m, *(n for n in reached[m] if m in reached[n])}) for m in reached}
    return sorted(sorted(ring) for ring in rings if len(ring) > 1)


@pytest.mark.parametrize("types", [True, False], ids=["with annotations", "without"])
def test_circles_are_small(types: bool) -> None:
    """No more than four files import each other, whether what only annotations need is counted or not."""
    assert [ring for ring in circles(types) if len(ring) > MOST_IN_A_CIRCLE] == []


def test_files_are_few() -> None:
    """In all, and in every folder."""
    assert len(sources()) <= MOST_FILES
    folders = Counter(path.parent for path in sources().values())
    assert {str(f): n for f, n in folders.items() if n > MOST_IN_A_FOLDER} == {}


@pytest.mark.parametrize("module", sources())
def test_a_file_fits_the_mind(module: str) -> None:
    """Functions fit a screen, files have one subject, and none has the name of a function that it exports."""
    functions = [node for node in ast.walk(tree(module)) if isinstance(node, ast.FunctionDef)]
    long = {f.name: n for f in functions if (n := code_lines(f)) > MOST_LINES}
    assert long == {}
    assert len(sources()[module].read_text().splitlines()) <= LONGEST
    own = {node.name for node in tree(module).body if isinstance(node, ast.FunctionDef)}
    assert module.rpartition(".")[2] not in own


def code_lines(function: ast.FunctionDef) -> int:
    """Lines of a function, without its docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    return (
        (function.end_lineno or 0)
        - function.lineno
        + 1
        - documented * ((first.end_lineno or 0) - first.lineno + 1)
    )


@pytest.mark.parametrize("module", sources())
def test_sizes_and_tolerances_are_on_one_page(module: str) -> None:
    """Numbers that could have been others are in the package's `accuracy.py`, each with its reason."""
    package, _, name = module.partition(".")
    if package in CONSTANTS and name != "accuracy":
        assert own_numbers(module) <= CONSTANTS[package]


def own_numbers(module: str) -> set[str]:
    """Names in capitals that stand for a number, or for numbers."""
    found = set()
    for node in tree(module).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            if values and all(is_number(value) for value in values):
                found |= {n.id for n in names if isinstance(n, ast.Name) and n.id.isupper()}
    return found


def is_number(value: ast.expr) -> bool:
    """Whether an expression is made of numbers only, `math.sqrt(2)` among them."""
    known = [n for n in ast.walk(value) if isinstance(n, ast.Constant)]
    names = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}
    plain = all(type(n.value) in (int, float) for n in known)
    return bool(known) and plain and names <= {"math"} and not isinstance(value, ast.Dict)


def test_every_folder_says_what_it_is_for() -> None:
    """By the docstring of its package."""
    packages = [m for m, path in sources().items() if path.name == "__init__.py"]
    silent = [m for m in packages if not ast.get_docstring(tree(m))]
    assert silent == []
