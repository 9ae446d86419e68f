"""Bumps, Balls, Boxes, Sprites and Polynomials, straight from their formulas."""

import itertools
import math

import pytest
import scipy.integrate
import torch

from fields import Balls, Boxes, Bumps, Polynomial, Sprites
from fields.evaluation.evaluation import evaluate
from fields.lattice import Lattice
from fields.leaves.shapes import _lens
from fields.leaves.sprites import SHAPES
from tests.compare import assert_close, error
from tests.laws.registry import DIMS, points

every_dim = pytest.mark.parametrize("dim", DIMS)
every_shape = pytest.mark.parametrize("shape", SHAPES)


def noise(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(math.prod(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@every_dim
def test_formulas(dim: int) -> None:
    """Each of three shapes at forty points, by its definition."""
    x, centers, amplitudes = points(dim, 40), noise(3, dim), noise(3, 2)
    radii = torch.tensor([1.0, 1.7, 2.2], dtype=torch.float64)
    sides = 1 + noise(3, dim) ** 2
    z = x[:, None] - centers
    ratio = (z**2).sum(-1) / radii**2
    bumps = torch.where(ratio < 1, torch.exp(1 - 1 / (1 - ratio).clamp(min=1e-300)), 0.0)
    assert_close(Bumps(centers, amplitudes, radii)(x), bumps @ amplitudes, 200, 1.0)
    assert torch.equal(
        Balls(centers, amplitudes[:, :1], radii)(x) != 0, ((ratio <= 1).any(1))[:, None]
    )
    assert_close(Balls(centers, amplitudes, radii)(x), (ratio <= 1).double() @ amplitudes, 10, 1.0)
    inside = (z.abs() <= sides / 2).all(-1).double()
    assert_close(Boxes(centers, amplitudes, sides)(x), inside @ amplitudes, 10, 1.0)


def test_bumps_have_no_edge() -> None:
    """Values and derivatives fade at the rim, and are 0, not NaN, on it and beyond."""
    field = Bumps([[0.0]], [[1.0]], [2.0])
    x = torch.tensor([[1.999], [2.0], [2.1]], dtype=torch.float64, requires_grad=True)
    values = field(x)
    values.sum().backward()
    assert float(values.detach().abs().max()) < 1e-200
    assert x.grad is not None
    assert float(x.grad.abs().max()) < 1e-100
    assert not bool(x.grad.isnan().any())


@every_dim
def test_polynomial(dim: int) -> None:
    """Σ a ∏ x_i^k_i, and its derivative k x^(k−1), at 0 too."""
    exponents = torch.tensor([[0, 0, 0], [1, 2, 0], [3, 0, 1]])[:, :dim]
    a, x = noise(3, 2), torch.cat([points(dim), torch.zeros(1, dim, dtype=torch.float64)])
    expected = (x[:, None] ** exponents).prod(-1) @ a
    assert_close(Polynomial(exponents, a)(x), expected, 100)
    slope = Polynomial([[3]], [[2.0]]).gradient([[0.0], [2.0]]).flatten()
    assert slope.tolist() == [0.0, 24.0]


def sampled(field: Sprites, n: int = 401) -> torch.Tensor:
    axis = torch.tensor([-2.0, -2.0], dtype=torch.float64)
    return evaluate(field, Lattice(axis, (4 / (n - 1),) * 2, (n, n)))[0]


@every_shape
def test_areas_of_sprites(shape: str) -> None:
    """Pixels inside, times their area, is the closed integral; one at a time and turned."""
    for angle in (0.0, 0.7):
        field = Sprites(shape, [[0.1, -0.2]], [[1.0]], [1.8], [angle])
        assert float(sampled(field).sum()) * 0.01**2 == pytest.approx(
            float(field.integrate()), rel=5e-3
        )


@every_shape
def test_signed_distances(shape: str) -> None:
    """|∇δ| = 1 near the rim, the sign tells inside from outside, and δ grows with the scale."""
    distance, _, radius = SHAPES[shape]
    x = points(2, 4000).clamp(-0.9, 0.9).requires_grad_()
    delta = distance(x)
    (slope,) = torch.autograd.grad(delta.sum(), x)
    near = (delta.abs() < 0.02) & (delta.abs() > 1e-6)
    assert int(near.sum()) > 20
    tolerance = 0.1 if shape == "ellipse" else 1e-9  # first order near its rim
    sizes = slope[near].norm(dim=-1)
    assert float((sizes - 1).abs().median()) <= tolerance
    assert float(x.detach()[delta < 0].norm(dim=-1).max()) <= radius
    one, two = (Sprites(shape, [[0.0, 0.0]], [[1.0]], [s], [0.0], 0.1 * s) for s in (1.0, 2.0))
    assert_close(two(2 * x.detach()), one(x.detach()), 100)


def test_orientation_and_position() -> None:
    """Turning the sprite by θ about p is turning x back; a heart's tip points down at θ = 0."""
    x, p, angle = points(2, 40), torch.tensor([0.3, 0.4], dtype=torch.float64), 0.6
    cos, sin = math.cos(angle), math.sin(angle)
    back = (x - p) @ torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)
    for shape in SHAPES:
        turned = Sprites(shape, p[None], [[1.0]], [1.5], [angle], 0.2)
        upright = Sprites(shape, [[0.0, 0.0]], [[1.0]], [1.5], [0.0], 0.2)
        assert_close(turned(x), upright(back), 200)
    heart = Sprites("heart", [[0.0, 0.0]], [[1.0]], [1.0], [0.0])
    assert heart([[0.0, -0.49], [0.0, 0.49], [0.25, 0.55]]).flatten().tolist() == [1.0, 1.0, 1.0]
    assert heart([[0.1, -0.49], [0.0, 0.55]]).flatten().tolist() == [0.0, 0.0]


def test_smoothed_edges_are_blurred_edges() -> None:
    """Far from its corners, a smoothed square is a step under a Gaussian of that width."""
    square = Sprites("square", [[0.0, 0.0]], [[1.0]], [20.0], [0.0], width=0.3)
    x = torch.linspace(9, 11, 9, dtype=torch.float64)
    expected = 0.5 * torch.special.erfc((x - 10) / (0.3 * math.sqrt(2)))
    assert_close(square(torch.stack([x, 0 * x], -1))[:, 0], expected, 100, 1.0)
    sharp = Sprites("square", [[0.0, 0.0]], [[1.0]], [20.0], [0.0])
    narrow = Sprites("square", [[0.0, 0.0]], [[1.0]], [20.0], [0.0], width=1e-6)
    assert error(narrow(points(2, 50)), sharp(points(2, 50))) == 0.0


ZERO, UNIT = [[0.0, 0.0]], [[1.0]]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Balls(ZERO, UNIT, [-1.0]), "radii must be positive, the least is -1"),
        (lambda: Bumps(ZERO, UNIT, [0.0]), "radii must be positive"),
        (lambda: Boxes(ZERO, UNIT, [[1.0, -2.0]]), "sides must be positive, the least is -2"),
        (lambda: Balls(ZERO, UNIT, [1.0, 2.0]), "radii must have shape"),
        (lambda: Balls(torch.zeros(0, 2), torch.zeros(0, 1), []), "same number m ≥ 1 of terms"),
        (lambda: Sprites("star", ZERO, UNIT, [1.0], [0.0]), "one of square, ellipse, heart"),
        (lambda: Sprites("heart", ZERO, UNIT, [-1.0], [0.0]), "scales must be positive"),
        (lambda: Sprites("heart", ZERO, UNIT, [1.0], [0.0], -0.1), "width must be 0 or positive"),
        (lambda: Sprites("heart", [[0.0]], UNIT, [1.0], [0.0]), "sprites live on R\\^2"),
        (lambda: Polynomial([[-1]], UNIT), "integers ≥ 0"),
        (lambda: Polynomial([[0.5]], UNIT), "integers ≥ 0"),
        (lambda: Polynomial([[1], [2]], UNIT), r"coefficients must have shape \(2, c\)"),
        (lambda: Polynomial([1], UNIT), r"exponents must have shape \(m, d\)"),
    ],
)
def test_bad_input(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@every_dim
@pytest.mark.parametrize("apart", [0.2, 0.9, 1.6, 2.4])
def test_balls_of_unlike_radii_overlap_in_a_lens(dim: int, apart: float) -> None:
    """⟨χ_r, χ_s⟩ = ∫ of the smaller of both sections across the line of centres."""
    r, s = 0.7, 1.5

    def section(x: float) -> float:
        square = max(0.0, min(r * r - x * x, s * s - (x - apart) ** 2))
        return {1: float(square > 0), 2: 2 * math.sqrt(square), 3: math.pi * square}[dim]

    edges = sorted({-r, r, apart - s, min(r, max(-r, (r * r - s * s + apart**2) / (2 * apart)))})
    inside = [x for x in edges if -r <= x <= r]
    parts = [
        scipy.integrate.quad(section, a, b, epsabs=1e-12, epsrel=1e-12)[0]
        for a, b in itertools.pairwise(inside)
    ]
    one, other = torch.zeros(1, dim).double(), torch.zeros(1, dim).double()
    other[0, 0] = apart
    peak = torch.ones(1, 1).double()
    found = Balls(one, peak, [r]).inner(Balls(other, peak, [s]))
    assert float(found) == pytest.approx(sum(parts), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [2, 3])
def test_lenses_of_balls_that_nearly_touch(dim: int, dtype: torch.dtype) -> None:
    """Within rounding of a common tangent, from outside or inside, volumes and their slopes are finite, and right."""
    generator = torch.Generator().manual_seed(0)
    r, s = (0.1 + torch.rand(2000, generator=generator, dtype=dtype) for _ in range(2))
    small, none = torch.minimum(r, s), torch.zeros_like(r)
    full = math.pi * small**2 if dim == 2 else 4 / 3 * math.pi * small**3
    for touching, expected in ((r + s, none), ((r - s).abs(), full)):
        for towards in (0.0, math.inf):
            apart = torch.nextafter(touching, torch.full_like(touching, towards)).requires_grad_()
            found = _lens(r, s, apart, dim)
            (slope,) = torch.autograd.grad(found.sum(), apart)
            assert_close(found, expected, 100, 1.0)
            assert bool(slope.isfinite().all())
