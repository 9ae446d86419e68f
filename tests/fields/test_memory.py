"""Leaves that evaluate graphs of their own keep to the bound that their caller said, and say so where they can't."""

import pytest
import torch

from fields import Ball, Field, Gaussians, Kernel, LatticeTooLarge, Mask, Window
from fields.evaluation.evaluation import evaluate, evaluate_points
from fields.evaluation.plan import Plan
from fields.lattice import Lattice
from layers import IntegralOperator, PoolField
from tests.compare import assert_close

BLOB = Gaussians([[0.0, 0.2]], [[1.0]], [0.5])


def smooth(f: Field) -> Field:
    """By quadrature: some 300 values for each that is asked for alone."""
    kernel = Kernel(lambda y: torch.exp(-(y**2).sum(-1))[..., None, None], 1, 1, 1.0)
    return f.convolve(kernel, nodes=8)


def windows(x: torch.Tensor) -> Window:
    return Ball(0.4) if x[0] < 0.5 else Mask(torch.ones(3, 3), 0.25)


def gauss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.exp(-((x - y) ** 2).sum(-1))[..., None, None]


#: Fields, and bounds that they can keep to.
OWN = {
    "Periodized": (smooth(BLOB).periodize(3.0), 1 << 17),
    "Windowed": (PoolField(windows, nodes=4)(smooth(BLOB)), 1 << 19),
    "Integrated": (IntegralOperator(gauss, domain=(-1.0, 1.0), nodes=32)(smooth(BLOB)), 50_000),
}
LATTICE = Lattice(torch.tensor([0.1, -0.3], dtype=torch.float64), (0.125, 0.125), (40, 40))
own = pytest.mark.parametrize(("field", "memory"), OWN.values(), ids=OWN.keys())


@pytest.fixture
def peaks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the plans that are run expect to hold at once, in bytes."""
    found: list[int] = []
    run = Plan.run

    def counted(self, origin, part=()):
        found.append(self.peak(origin[..., 0].numel()))
        return run(self, origin, part)

    monkeypatch.setattr(Plan, "run", counted)
    return found


@own
def test_the_bound_holds_inside(field: Field, memory: int, peaks: list[int]) -> None:
    """On a lattice and at scattered points; the values are those without a bound."""
    x = torch.rand(100, 2, generator=torch.Generator().manual_seed(0)).double()
    values, at_points = evaluate(field, LATTICE), evaluate_points(field, x)
    assert max(peaks) > memory
    peaks.clear()
    assert_close(evaluate(field, LATTICE, None, memory), values, 1000)
    assert_close(evaluate_points(field, x, memory), at_points, 1000)
    assert len(peaks) > 2
    assert max(peaks) <= memory


@own
def test_what_does_not_fit_is_said(field: Field, memory: int) -> None:
    with pytest.raises(LatticeTooLarge, match=r"this needs .* MiB, the bound"):
        evaluate(field, LATTICE, None, 1 << 10)


def test_many_lattices_are_taken_some_at_a_time(peaks: list[int]) -> None:
    """1,000 origins, whose halos don't fit together."""
    field, shape = smooth(BLOB), (3, 2)
    origin = torch.rand(1000, 2, generator=torch.Generator().manual_seed(0)).double()
    whole = evaluate(field, Lattice(origin, (0.1, 0.2), shape))
    assert whole.shape == (1000, 1, 3, 2)
    peaks.clear()
    parts = evaluate(field, Lattice(origin, (0.1, 0.2), shape), None, 1 << 20)
    assert_close(parts, whole, 1000)
    assert max(peaks) <= 1 << 20
