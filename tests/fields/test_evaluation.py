"""Evaluation in parts: tiles, runs of points and of a batch give what the whole gives, in bounded memory."""

import math

import pytest
import torch

from fields import Atoms, Ball, BoxKernel, Field, Formula, Gaussians, Kernel, LatticeTooLarge
from fields.evaluation.evaluation import evaluate, evaluate_points
from fields.evaluation.plan import Plan
from fields.lattice import Lattice
from tests.compare import assert_close
from tests.laws.registry import DIMS, points

every_dim = pytest.mark.parametrize("dim", DIMS)


class Counted:
    """A formula that notes how many points it is asked for at once."""

    def __init__(self, dim: int) -> None:
        self.calls: list[int] = []
        self.field = Formula(self, dim, 1)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append(x.shape[:-1].numel())
        return torch.sin(x.sum(-1, keepdim=True))


def network(field: Field) -> Field:
    """Two layers and a residual branch, wide enough for tiles to overlap."""
    kernel = BoxKernel(1.3, torch.eye(field.channels, dtype=torch.float64))
    inner = field.convolve(kernel, nodes=4, exact=False).map(torch.tanh)
    return field + inner.pool(Ball(0.6), "max", nodes=2)


# --- tiles --------------------------------------------------------------------------------------


@every_dim
@pytest.mark.parametrize("share", [0.9, 0.5, 0.3])
def test_tiles_give_what_the_whole_gives(dim: int, share: float) -> None:
    """Whatever the sides, with a batch of origins, and translations inside."""
    shape = ((61,), (23, 31), (11, 7, 9))[dim - 1]
    field = network(Gaussians(points(dim, 2), torch.ones(2, 2).double(), [0.5, 0.9]))
    field = field.translate(points(dim, 1)[0])
    for origin in (points(dim, 1)[0], points(dim, 2)):
        lattice = Lattice(origin, (0.25,) * dim, shape)
        batch = origin.shape[:-1].numel()
        needed = Plan(field, lattice.spacing, shape).peak(batch)
        whole = evaluate(field, lattice)
        result = 2 * whole.numel() * 8
        memory = int(result + share * (needed - result))
        tiled = evaluate(field, lattice, memory=memory)
        assert tiled.shape == whole.shape
        assert_close(tiled, whole, 200)


def test_tiles_ask_for_less_at_once() -> None:
    """One call per tile, each smaller than the lattice, and no more of them than tiles with their halos need."""
    counted, shape = Counted(2), (200, 200)
    field = counted.field.convolve(BoxKernel(2.0, [[1.0]]), nodes=4).map(torch.relu)
    lattice = Lattice(torch.zeros(2).double(), (0.25, 0.25), shape)
    whole = evaluate(field, lattice)
    (everything,) = counted.calls
    counted.calls.clear()
    tiled = evaluate(field, lattice, memory=whole.numel() * 8 * 3)
    assert_close(tiled, whole, 50)
    assert len(counted.calls) > 1
    assert max(counted.calls) < everything / 2
    assert sum(counted.calls) < 3 * everything


def test_gradients_flow_through_tiles() -> None:
    """∂Σ values/∂(centers) in tiles and as a whole."""
    gradients = []
    for memory in (1 << 30, 60_000):
        centers = points(2, 3).requires_grad_()
        field = network(Gaussians(centers, torch.ones(3, 1).double(), [0.5, 0.9, 0.7]))
        lattice = Lattice(torch.zeros(2).double(), (0.25, 0.25), (24, 24))
        evaluate(field, lattice, memory=memory).square().sum().backward()
        gradients.append(centers.grad)
    assert_close(gradients[1], gradients[0], 1000)


def test_tiles_that_repeat_too_much_are_refused() -> None:
    """A halo far larger than the tile that fits beside the result: more work than 64 times the memory."""
    counted = Counted(1)
    field = counted.field.convolve(BoxKernel(200.0, [[1.0]]), exact=False, nodes=200)
    lattice = Lattice(torch.zeros(1).double(), (0.5,), (4000,))
    halo = Plan(field, (0.5,), (1,)).peak()
    with pytest.raises(LatticeTooLarge, match=r"in tiles of \d+ points it would compute .* GiB"):
        evaluate(field, lattice, memory=2 * 4000 * 8 + halo + 100)
    with pytest.raises(LatticeTooLarge, match=r"this needs \d+ MiB, the bound is"):
        evaluate(field, lattice, memory=2 * 4000 * 8 + halo // 2)
    assert counted.calls == []


# --- scattered points ---------------------------------------------------------------------------


@every_dim
def test_a_batch_is_split_where_one_point_is_too_much(dim: int) -> None:
    """Elements of leaves, of translations, and of both, at points that are shared or each element's own."""
    leaf = Gaussians(points(dim, 3)[:, None], torch.ones(3, 1, 2).double(), [0.7])
    single = Gaussians(points(dim, 1), torch.ones(1, 2).double(), [0.7])
    moves = points(dim, 3)
    pair = Gaussians(points(dim, 6).reshape(2, 3, 1, dim), torch.ones(1, 2).double(), [0.7])
    for field in (leaf, single.translate(moves), leaf.translate(moves), pair.translate(moves)):
        deep = network(field)
        x = points(dim, 5).reshape(5, *(1,) * len(field.batch), dim)
        own = points(dim, 15).reshape(5, *(1,) * (len(field.batch) - 1), 3, dim)
        for at in (x, own):
            expected = evaluate_points(deep, at)
            plan = Plan(deep, (1.0,) * dim, (1,) * dim)
            memory = plan.peak(1, partial=True) // 4 + 1
            assert plan.peak(deep.batch_size) > 4 * memory
            assert_close(evaluate_points(deep, at, memory=memory), expected, 100)


def test_a_batch_of_points_is_no_batch_of_the_field() -> None:
    """Points of their own for 1000 elements are taken in runs, as any points are."""
    counted, x = Counted(1), points(1, 3000).reshape(3, 1000, 1)
    field = counted.field.convolve(Atoms([[0.0], [0.5]], torch.ones(2, 1, 1).double()))
    values = evaluate_points(field, x, memory=10 * Plan(field, (1.0,), (1,)).peak())
    assert values.shape == (1000, 3, 1)
    assert max(counted.calls) <= 20
    expected = torch.sin(x[..., 0]) + torch.sin(x[..., 0] - 0.5)
    assert_close(values[..., 0].mT, expected, 50, 2.0)
    assert evaluate_points(field, x[:0]).shape == (1000, 0, 1)


def test_one_element_at_one_point_may_be_too_much() -> None:
    field = Gaussians(points(1, 4)[:, None], torch.ones(4, 1, 1).double(), [0.7])
    deep = field.convolve(BoxKernel(2.0, [[1.0]]), nodes=64, exact=False)
    assert math.prod(deep.batch) == 4
    with pytest.raises(LatticeTooLarge, match="one point of this composition needs"):
        evaluate_points(deep, points(1, 2)[:, None], memory=100)


def test_large_kernels_count_the_transforms_of_their_tiles() -> None:
    """A dense kernel of 65³ taps works on tiles of hundreds of points a side, far more than 8³ outputs."""
    small, large = (
        Gaussians([[0.0] * 3], [[1.0]], [1.0]).convolve(
            Kernel(lambda y: torch.exp(-y.square().sum(-1))[..., None, None], 1, 1, radius)
        )
        for radius in (0.25, 2.0)
    )
    lattice = (0.125,) * 3, (8,) * 3, (0.125 / 2,) * 3
    counted = [Plan(f, *lattice).peak() for f in (small, large)]
    boxes = [
        sum(b.points for d in Plan(f, *lattice).boxes.values() for b in d.values())
        for f in (small, large)
    ]
    assert counted[0] <= 8 * 4 * boxes[0]
    assert counted[1] >= 8 * 5 * boxes[1]
