"""Closed forms survive linear nodes: closed = quadrature, for every form × every node."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from fields import Field
from fields.accuracy import MEMORY_BOUND
from fields.algebra import closed_forms
from fields.algebra import closed_forms as closed
from fields.evaluation import integrals
from tests.laws.registry import (
    BATCH,
    LEAVES,
    PERIOD,
    Draw,
    Kind,
    balls,
    boxes,
    bumps,
    gaussians_covariance,
    periodic_gaussians,
)

#: What quadratures are asked for, and twice of it is allowed: smooth fields, and fields with jumps.
SMOOTH, ROUGH = 1e-9, 1e-3
JUMPS = ("Balls", "Boxes", "Sprites", "Interpolated, linear", "images of Balls", "images of Boxes")
VECTOR = torch.tensor([1.5, -0.5], dtype=torch.float64)
MATRIX = torch.tensor([[1.0, -2.0], [0.5, 1.0], [0.3, 0.2]], dtype=torch.float64)


def images(leaf: Callable[[Draw], Field]) -> Callable[[Draw], Field]:
    return lambda draw: leaf(draw).periodize(PERIOD[: draw.dim])


def shift(field: Field, by: float = 0.3) -> torch.Tensor:
    return by * torch.tensor([1.0, -0.7, 0.4], dtype=torch.float64)[: field.dim]


def moved(field: Field) -> Field:
    return field.translate(shift(field))


def each_moved(field: Field) -> Field:
    """A translation per element of the batch."""
    return field.translate(torch.stack([shift(field), shift(field, -0.9)]))


def on_a_pedestal(field: Field) -> Field:
    """Where its integral is one over a period."""
    return field + VECTOR if field.period is not None else field + 0.0


def all_of_them(field: Field) -> Field:
    """Translates, scalings and mixings above each other, of branches that meet."""
    branch = (2 * moved(field) - field * VECTOR).mix(MATRIX)
    return on_a_pedestal((branch + branch.translate(shift(field, 0.5)))[[2, 0]] - field[1])


NODES: dict[str, Callable[[Field], Field]] = {
    "translated": moved,
    "translated, batched": each_moved,
    "scaled": lambda f: -2.5 * f,
    "scaled per channel": lambda f: f * VECTOR,
    "shifted": on_a_pedestal,
    "mixed": lambda f: f.mix(MATRIX),
    "a channel": lambda f: f[1],
    "a sum": lambda f: f + moved(f),
    "all of them": all_of_them,
}
FORMS = [
    *LEAVES,
    Kind("images of Gaussians", periodic_gaussians, periodic=True),
    Kind("images of Gaussians, covariances", images(gaussians_covariance), periodic=True),
    Kind("images of Bumps", images(bumps), periodic=True, dims=(1,)),
    Kind("images of Balls", images(balls), periodic=True),
    Kind("images of Boxes", images(boxes), periodic=True),
]
forms = pytest.mark.parametrize(
    ("kind", "dim"),
    [
        pytest.param(kind, dim, id=f"{dim}-{kind}")
        for dim in (1, 2)
        for kind in FORMS
        if dim in kind.dims
    ],
)
every_node = pytest.mark.parametrize("node", NODES.values(), ids=NODES.keys())


def known(leaf: Field, form: str) -> bool:
    """Whether the leaf itself has a closed form."""
    try:
        return getattr(closed, form)(leaf, *([leaf] if form == "paired" else [])) is not None
    except ValueError:  # waves without a common period
        return False


def frequencies(field: Field) -> torch.Tensor:
    steps = torch.cartesian_prod(*[torch.arange(-1.0, 2.0, dtype=torch.float64)] * field.dim)
    period = (1.0,) * field.dim if field.period == (0.0,) * field.dim else PERIOD[: field.dim]
    return steps.reshape(-1, field.dim) / torch.tensor(period, dtype=torch.float64)


def agree(kind: Kind, field: Field, found: torch.Tensor, compute: Callable) -> None:
    """By quadrature of the graph as it is, to its tolerance of ∫|F|."""
    rtol = ROUGH if kind.name.startswith(JUMPS) else SMOOTH
    if rtol == ROUGH and field.dim > 1:
        rtol = 10 * ROUGH
    expected = compute(field, rtol)
    size = float(integrals.integral(field.map(torch.abs), 0.1, MEMORY_BOUND).abs().max())
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= 2 * rtol * size


@forms
@every_node
def test_integrals(kind: Kind, dim: int, node) -> None:
    """∫ΣW(t▷F) + b."""
    leaf = kind.build(Draw(dim, element=None))
    if not known(leaf, "integral"):
        pytest.skip("no closed form")
    field = node(leaf)
    found = closed_forms.integral(field)
    assert found is not None
    agree(kind, field, found, lambda f, rtol: integrals.integral(f, rtol, MEMORY_BOUND))


@forms
@every_node
def test_transforms(kind: Kind, dim: int, node) -> None:
    """∫(ΣW(t▷F) + b) exp(−2πi f·x) dx, or the mean over a period."""
    leaf = kind.build(Draw(dim, element=None))
    f = frequencies(leaf)
    if closed_forms.transform(leaf, f) is None or not (kind.periodic or kind.decays):
        pytest.skip("no closed form, or no integral")
    field = node(leaf)
    found = closed_forms.transform(field, f)
    assert found is not None
    agree(kind, field, found, lambda g, rtol: integrals.transform(g, f, rtol, MEMORY_BOUND))


@forms
@every_node
def test_inner_products(kind: Kind, dim: int, node) -> None:
    """⟨F, G⟩ and ‖F‖² of a field and of what linear nodes make of it, or of two others of its kind."""
    leaf, other = kind.build(Draw(dim, element=None)), kind.build(Draw(dim, element=1))
    several = kind.name == "Interpolated, linear" and node is each_moved  # one lattice at a time
    if several or not known(leaf, "paired"):
        pytest.skip("no closed form")
    field, single = node(leaf), node(other) if node is not each_moved else moved(other)
    for product, pair in ((field * single, (field, single)), (field * field, (field, field))):
        found = closed_forms.paired(*pair)
        assert found is not None

        def compute(f: Field, rtol: float) -> torch.Tensor:
            return integrals.integral(f, rtol, MEMORY_BOUND).sum(-1)

        agree(kind, product, found[0].expand(BATCH), compute)
