"""Random numbers of tests come from generators of their own: what one test draws changes no other's numbers."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DRAWS = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial"}
#: Weights, which their module's tests draw after a seed, as torch draws its own.
WEIGHTS = {"equivariance/models.py", "equivariance/zoo.py"}


def shared_draws(source: str) -> list[str]:
    """Calls that draw from torch's global generator; ruff's NPY002 finds numpy's."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    named = ((ast.unparse(call.func), call) for call in calls)
    return [
        f"{name}, line {call.lineno}"
        for name, call in named
        if name in {f"torch.{draw}{like}" for draw in DRAWS for like in ("", "_like")}
        and not any(given.arg == "generator" for given in call.keywords)
    ]


@pytest.mark.parametrize(
    "path",
    [p for p in TESTS.rglob("*.py") if p.relative_to(TESTS).as_posix() not in WEIGHTS],
    ids=lambda p: p.relative_to(TESTS).as_posix(),
)
def test_no_test_draws_from_the_generator_that_all_share(path: Path) -> None:
    assert shared_draws(path.read_text(encoding="utf-8")) == []


def test_draws_are_found() -> None:
    source = "a = torch.randn(\n    3)\nb = torch.rand(3, generator=g) + torch.rand_like(a)"
    assert shared_draws(source) == ["torch.randn, line 1", "torch.rand_like, line 3"]
