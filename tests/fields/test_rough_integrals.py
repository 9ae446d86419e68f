"""Quadrature of fields with jumps: closed forms by their breakpoints; what they may hide counts."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fields import Balls, Boxes, Field, Interpolated, LatticeTooLarge, PlaneWaves, stack
from fields.evaluation.roughness import Roughness
from fields.lattice import Lattice
from fields.leaves.interpolated import METHODS
from tests.compare import assert_close, eps

#: Relative errors are sharp but for rounding.
SLACK = 1 + 1e-6


class Shapes:
    """One to three intervals or boxes with random edges, and where their edges are."""

    def __init__(self, kind: str, dim: int, terms: int, generator: torch.Generator) -> None:
        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, dtype=torch.float64)

        centers, amplitudes = 4 * uniform(terms, dim), 2 * uniform(terms, 1) - 0.7
        half = 0.2 + 1.5 * uniform(terms, dim)
        self.edges = torch.cat([centers - half, centers + half])
        self.field: Field
        if kind == "Balls":  # intervals: used in one dimension
            self.field = Balls(centers, amplitudes, half[:, 0])
        else:
            self.field = Boxes(centers, amplitudes, 2 * half)


def exactly(field: Field, edges: Tensor) -> tuple[float, float]:
    """∫F and ∫|F| of a field that is constant on the cells between all edges (k, d)."""
    cuts = [column.unique() for column in edges.T]
    middles = torch.cartesian_prod(*[(c[1:] + c[:-1]) / 2 for c in cuts]).reshape(-1, field.dim)
    sizes = torch.cartesian_prod(*[c.diff() for c in cuts]).reshape(-1, field.dim).prod(-1)
    values = field(middles)[:, 0]
    return float(values @ sizes), float(values.abs() @ sizes)


def larger(f: Field, g: Field) -> Field:
    return stack([f, g]).map(lambda v: v.amax(-1, keepdim=True))


COMPOSED: dict[str, Callable[[Field, Field], Field]] = {
    "one": lambda f, g: f.map(torch.square),
    "sum": lambda f, g: (f + g).map(torch.abs),
    "product": lambda f, g: f * g,
    "maximum": larger,
    "sum of products": lambda f, g: f * f - f * g.map(torch.tanh),
}


def composed(name: str, seed: int, dim: int) -> tuple[Field, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    kind = "Boxes" if dim > 1 or seed % 2 else "Balls"
    one, two = (Shapes(kind, dim, 1 + n, generator) for n in (seed % 3, seed // 3 % 3))
    return COMPOSED[name](one.field, two.field), torch.cat([one.edges, two.edges])


@pytest.mark.parametrize("rtol", [1e-2, 1e-3])
@pytest.mark.parametrize("name", COMPOSED)
def test_indicators_of_intervals(name: str, rtol: float) -> None:
    """|error| ≤ rtol·∫|F| for sums, products and maxima of one to three intervals, 40 of each."""
    for seed in range(40):
        field, edges = composed(name, seed, 1)
        expected, size = exactly(field, edges)
        assert abs(float(field.integrate(rtol)) - expected) <= rtol * size * SLACK, seed


@pytest.mark.parametrize("name", COMPOSED)
def test_indicators_of_boxes(name: str) -> None:
    """The same in two dimensions, where whole faces lie between two rows of points."""
    for seed in (0, 1, 6, 7):
        field, edges = composed(name, seed, 2)
        expected, size = exactly(field, edges)
        assert abs(float(field.integrate(1e-2)) - expected) <= 1e-2 * size * SLACK, seed


def test_what_lies_between_the_points_of_all_doublings() -> None:
    """An interval of 1 + 2⁻ᵏ that begins behind a point: k lattices agree on 1, and are wrong."""
    for k in range(4, 14):
        length = 1 + 2.0**-k
        frame = Boxes([[0.0]], [[1.0]], [16.0]).map(torch.square)
        field = frame * 1e-9 + Boxes([[-8 + 1e-9 + length / 2]], [[1.0]], [length]).map(
            torch.square
        )
        found = float(field.integrate(1e-4))
        assert abs(found - length - 16e-9) <= 1e-4 * length * SLACK


@pytest.mark.parametrize("seed", range(6))
def test_jumps_of_periodic_fields(seed: int) -> None:
    """Periodic and with jumps, some at the ends of the period; transforms, too: means over the period."""
    generator = torch.Generator().manual_seed(seed)
    shapes = Shapes("Boxes", 1, 2, generator)
    field = shapes.field.periodize(3.0).map(torch.square)
    images = torch.cat([shapes.edges + 3.0 * n for n in range(-4, 5)])
    edges = torch.cat(
        [images[(images > 0) & (images < 3)][:, None], torch.tensor([[0.0], [3.0]]).double()]
    )
    expected, size = exactly(field, edges)
    assert abs(float(field.integrate(1e-3)) - expected) <= 1e-3 * size * SLACK
    (mean,) = field.transform([[0.0]], 1e-3).flatten()
    assert abs(complex(mean) - expected / 3) <= 1e-3 * size / 3 * SLACK


@pytest.mark.parametrize("seed", range(6))
def test_transforms_of_indicators(seed: int) -> None:
    """F̂(f) against the closed form, which the square of an indicator has, too."""
    generator = torch.Generator().manual_seed(seed)
    radii = 0.3 + torch.rand(1, generator=generator).double()
    centers = torch.randn(1, 1, generator=generator).double()
    field = Balls(centers, [[1.0]], radii)
    f = [[0.0], [0.4], [1.7]]
    found, expected = field.map(torch.square).transform(f, 1e-3), field.transform(f)
    assert float((found - expected).abs().max()) <= 1e-3 * 2 * float(radii) * SLACK


def test_every_element_of_a_batch_is_as_accurate() -> None:
    """A small element beside a large one."""
    lengths = torch.tensor([[1.0], [0.01]]).double()
    field = Boxes(torch.zeros(2, 1, 1).double(), torch.ones(2, 1, 1).double(), lengths)
    found = field.map(torch.square).integrate(1e-3)
    assert float(((found - lengths) / lengths).abs().max()) <= 1e-3 * SLACK


def test_products_of_what_hardly_meets() -> None:
    """Intervals that overlap by little, wherever the points of a wider domain lie; by nothing."""
    for overlap in (0.3, 1e-2, 1e-4, 1e-7):
        one, two = Boxes([[0.0]], [[1.0]], [2.0]), Boxes([[6.0 - overlap]], [[1.0]], [10.0])
        assert float((one * two).integrate(1e-3)) == pytest.approx(overlap, rel=1e-3)
    apart = Boxes([[0.0]], [[1.0]], [2.0]) * Boxes([[3.0]], [[1.0]], [2.0])
    assert apart.integrate().tolist() == [0.0]
    assert apart.transform([[0.0], [1.0]]).tolist() == [[0j], [0j]]


def test_tolerances_below_rounding_stop_at_it() -> None:
    """In float32 an indicator is integrated to 64 eps, in some million points, and no further."""
    one = torch.ones(1)
    field = Boxes(0.1 * one[None], one[None], one).map(torch.square)
    bound = 64 * eps(torch.float32)
    assert abs(float(field.integrate(1e-12, memory=1 << 27)) - 1) <= bound
    assert torch.equal(field.integrate(1e-12), field.integrate(0.9 * bound))


def test_out_of_reach_is_said() -> None:
    field = Boxes([[0.0]], [[1.0]], [1.0]).map(torch.square) + Balls([[0.3]], [[1.0]], [0.7])
    with pytest.raises(
        LatticeTooLarge, match=r"rtol = 1e-09 can't be reached: .* is estimated as \d"
    ):
        field.integrate(1e-9, memory=1 << 22)


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_periodic_interpolants_have_the_mean_of_their_samples(method: str, dim: int) -> None:
    """∫F = h^d Σ v in closed form, and by points so many that the rule is exact to rounding or to 1e-4."""
    generator = torch.Generator().manual_seed(dim)
    values = torch.randn(2, 3, *(8, 6)[:dim], generator=generator, dtype=torch.float64)
    field = Interpolated(values, (0.5,) * dim, 0.1, method=method)
    points = 64 * 3
    axes = [0.1 + 0.5 * n * (torch.arange(points) + 0.5).double() / points for n in (8, 6)[:dim]]
    cell = math.prod(0.5 * n / points for n in (8, 6)[:dim])
    summed = field(torch.cartesian_prod(*axes).reshape(-1, dim)).sum(1) * cell
    assert field.integrate().shape == (2, 3)
    tolerance = 1e-4 if method == "lanczos3" else 1e-12
    assert float((field.integrate() - summed).abs().max()) <= tolerance
    assert_close(field.translate([0.3] * dim).integrate(), field.integrate(), 1000)


# --- the bound itself ---------------------------------------------------------------------------


def rough(values: Tensor, spacing: float, wraps: bool, tile: int) -> Tensor:
    dim = values.ndim - 2
    lattice = Lattice(torch.zeros(dim).double(), (spacing,) * dim, tuple(values.shape[2:]))
    found = Roughness(lattice, wraps)
    for first in range(0, values.shape[2], tile):
        found.add(values[:, :, first : first + tile], (first, *(0,) * (dim - 1)))
    return found.bound()


@pytest.mark.parametrize("tile", [7, 40, 200])
@pytest.mark.parametrize("wraps", [False, True])
def test_a_jump_counts_by_its_height(wraps: bool, tile: int) -> None:
    """Two jumps of height a, by h each; a wave hardly counts. In tiles as at once, whatever their length."""
    x = torch.arange(200, dtype=torch.float64)
    step = 3.0 * ((x >= 60) & (x < 120)).double()
    wave = torch.sin(2 * math.pi * x / 20)
    values = torch.stack([step, torch.zeros_like(x)])[:, None]
    assert_close(
        rough(values, 0.1, wraps, tile), torch.tensor([0.6, 0.0], dtype=torch.float64), 1000
    )
    if wraps:
        assert float(rough(wave[None, None], 0.1, wraps, tile)) < 1e-10
    plane = values[..., None] * torch.ones(5).double()
    lines = rough(
        plane, 0.1, True, tile
    )  # the squares of two jumps add up; 5 points along the other axis
    assert_close(lines, torch.tensor([0.15 * math.sqrt(2), 0.0], dtype=torch.float64), 1000)


def test_waves_alone_need_no_more_points_than_before() -> None:
    """A smooth field without a band limit: the bound is far below what doublings settle to."""
    field = PlaneWaves([[0.2]], [[1.0]]).map(torch.exp)
    assert (
        abs(float(field.integrate(1e-10)) - 5 * float(torch.special.i0(torch.tensor(1.0).double())))
        <= 1e-9
    )
