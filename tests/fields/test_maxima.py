"""Maxima over regions: second order, and exact where their rim meets the nodes."""

import math

import pytest
import torch

from fields import Ball, Box, Field, Formula, Window, random_bandlimited, soft_maximum
from fields.evaluation.evaluation import evaluate
from fields.lattice import Lattice
from fields.stencils.correlation import maximum
from fields.stencils.maxima import highest
from fields.stencils.stencil import Stencil, chord
from tests.compare import assert_close
from tests.laws.registry import DIMS

every_dim = pytest.mark.parametrize("dim", DIMS)


def grid(dim: int, count: int) -> Lattice:
    return Lattice(torch.full((dim,), 0.1).double(), (0.5,) * dim, (count,) * dim)


def densely(window: Window, dim: int) -> torch.Tensor:
    """So many points of a window, its rim included, that a maximum over them is good to 1e-3."""
    count = {1: 4001, 2: 201, 3: 31}[dim]
    line = torch.linspace(-1, 1, count, dtype=torch.float64)
    cube = torch.cartesian_prod(*[line] * dim).reshape(-1, dim)
    if isinstance(window, Box):
        return cube * torch.tensor(window.reach(dim), dtype=torch.float64)
    surface = cube[cube.abs().amax(-1) == 1]
    inside = cube[cube.norm(dim=-1) <= 1]
    return window.reach(1)[0] * torch.cat([inside, surface / surface.norm(dim=-1, keepdim=True)])


def largest(field: Field, window: Window, lattice: Lattice) -> torch.Tensor:
    offsets = densely(window, field.dim)
    x = lattice.points().reshape(-1, field.dim)
    return torch.stack([field(at - offsets).amax(0) for at in x])[:, 0]


@every_dim
@pytest.mark.parametrize(
    "window", [Box(0.83), Box(1.0), Ball(0.55), Ball(0.31)], ids=["box", "whole", "ball", "small"]
)
def test_maxima_are_second_order(dim: int, window: Window) -> None:
    """Error ≤ C h² at every refinement, C the size of second derivatives, wherever the rim falls between nodes."""
    field, lattice = random_bandlimited(dim, 1, 0.4, 8.0, seed=3), grid(dim, 4 if dim < 3 else 2)
    expected = largest(field, window, lattice)
    curvature = (2 * math.pi * 0.4) ** 2 * float(expected.abs().max()) * dim
    for m in (1, 2, 3, 4, 6, 8, 16) if dim < 3 else (1, 2, 3, 4):
        values = evaluate(field.pool(window, "max"), lattice, (0.5 / m,) * dim).flatten()
        bound = curvature * (0.5 / m) ** 2 / 4 + 1e-3
        assert float((values - expected).abs().max()) <= bound


@every_dim
@pytest.mark.parametrize("window", [Box(1.0), Box(0.5)], ids=str)
def test_a_rim_on_nodes_needs_no_interpolation(dim: int, window: Window) -> None:
    """Where the nodes reach the rim, the maximum is that of the nodes inside, bit for bit."""
    (stencil,) = window.maxima((0.25,) * dim, (0.25,) * dim)
    values = torch.randn(2, *(9,) * dim, generator=torch.Generator().manual_seed(0)).double()
    ones = (1,) * dim
    assert all(bool((row == 1).all()) for row in stencil.taps)
    assert torch.equal(highest(values, stencil, ones, ones), maximum(values, stencil, ones, ones))


@every_dim
@pytest.mark.parametrize("window", [Box(0.83), Ball(0.55), Ball(0.02)], ids=str)
def test_maxima_keep_order_and_bounds(dim: int, window: Window) -> None:
    """F ≤ G gives max F ≤ max G; nothing is above the largest value that was looked at."""
    lattice = grid(dim, 3)
    f = random_bandlimited(dim, 1, 0.4, 8.0, seed=4)
    g = f + random_bandlimited(dim, 1, 0.3, 8.0, seed=5).map(torch.square)
    low, high = (evaluate(h.pool(window, "max"), lattice, (0.2,) * dim) for h in (f, g))
    assert float((high - low).min()) >= 0
    constant = Formula(lambda x: torch.full_like(x[..., :1], 2.5), dim, 1)
    assert_close(
        evaluate(constant.pool(window, "max"), lattice, (0.2,) * dim),
        torch.full((1, *lattice.shape), 2.5).double(),
        4,
    )


@pytest.mark.parametrize(("dilation", "stride"), [(1, 1), (2, 1), (1, 2), (3, 2)])
@pytest.mark.parametrize("window", [Box((0.83, 1.3)), Ball(0.55)], ids=str)
def test_dilated_and_strided(window: Window, dilation: int, stride: int) -> None:
    """Taps apart, and every s-th output: the oracle goes through all lines by hand."""
    (stencil,) = window.maxima((0.25,) * 2, (0.25,) * 2)
    values = torch.randn(1, 40, 37, generator=torch.Generator().manual_seed(1)).double()
    out = highest(values, stencil, (dilation,) * 2, (stride,) * 2)
    every = highest(values, stencil, (dilation,) * 2, (1, 1))
    assert torch.equal(out, every[:, ::stride, ::stride])
    for i, j in ((0, 0), (dilation, dilation - 1)):
        cut = values[:, i::dilation, j::dilation]
        plain = highest(cut, stencil, (1, 1), (1, 1))
        assert torch.equal(
            every[:, i::dilation, j::dilation][:, : plain.shape[1], : plain.shape[2]], plain
        )


def test_gradients_go_to_the_two_nodes_around_the_rim() -> None:
    values = torch.tensor([[0.0, 0.1, 0.2, 0.3, 1.0]]).double().requires_grad_()
    row = Stencil((-2,), (1,), (0.0,), (chord(1.25),))
    highest(values, row, (1,), (1,)).sum().backward()
    assert values.grad is not None
    assert_close(values.grad, torch.tensor([[0.0, 0.0, 0.0, 0.75, 0.25]]).double(), 4)


def test_few_nodes_off_the_lattice() -> None:
    """One node along an axis, whose spacing fits no common lattice: x₂ is largest on the rim, half a side away."""
    field = Formula(lambda x: x[..., 1:], dim=2, channels=1).pool(Box((1.5, 2.6)), "max", nodes=1)
    lattice = Lattice(torch.zeros(2).double(), (math.sqrt(2) * 0.61, 1.0), (3, 3))
    expected = torch.arange(3.0, dtype=torch.float64).expand(1, 3, 3) + 1.3
    assert_close(evaluate(field, lattice), expected, 100)


@pytest.mark.parametrize("kind", ["max", 2.0, soft_maximum(0.3)], ids=["max", "power", "soft"])
def test_nodes_outside_a_ball_are_left_out_off_the_lattice(kind) -> None:
    """Where no lattice holds all nodes, each is a stencil of its own; that of one outside the ball has no taps."""
    field = random_bandlimited(2, 1, 0.9, 3.0, seed=0).pool(Ball(0.5), kind, nodes=4)
    origin = torch.tensor([0.1, 0.2], dtype=torch.float64)
    lattice = Lattice(origin, (math.sqrt(2) / 10, math.sqrt(3) / 10), (4, 4))
    found, expected = evaluate(field, lattice), field(lattice.points()).movedim(-1, 0)
    if kind == "max":  # second order: the rim's values themselves, and not those interpolated to it
        curvature = (
            (2 * math.pi * 0.9) ** 2 * 2 * float(field.parents[0](lattice.points()).abs().max())
        )
        assert float((found - expected).abs().max()) <= curvature * 0.125**2 / 8
    else:
        assert_close(found, expected, 1000, 1.0)


@pytest.mark.every_case
@every_dim
@pytest.mark.parametrize("window", [Box(0.83), Box(0.5), Ball(0.55)], ids=str)
def test_off_the_lattice_of_the_nodes_maxima_are_as_good(dim: int, window: Window) -> None:
    """Error ≤ C q² at every spacing q of the nodes, on a lattice that has none in common with them."""
    field, shape = random_bandlimited(dim, 1, 0.4, 8.0, seed=3), (3,) if dim == 1 else (2,) * dim
    lattice = Lattice(torch.full((dim,), 0.1).double(), (math.sqrt(2) / 4,) * dim, shape)
    expected = largest(field, window, lattice)
    curvature = (2 * math.pi * 0.4) ** 2 * float(expected.abs().max()) * dim
    for m in (2, 4, 8) if dim < 3 else (2, 4):
        pooled = field.pool(window, "max")
        found = evaluate(pooled, lattice, (0.5 / m,) * dim).flatten()
        assert float((found - expected).abs().max()) <= curvature * (0.5 / m) ** 2 / 4 + 1e-3
