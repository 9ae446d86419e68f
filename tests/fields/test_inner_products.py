"""Inner products and norms: bumps against scipy's quadrature, translates and sums, tiles in bounded memory."""

import functools
import math

import numpy as np
import pytest
import scipy.integrate
import torch

from fields import Balls, Boxes, Bumps, Constant, Gaussians, Interpolated, PlaneWaves
from fields.accuracy import MEMORY_BOUND
from fields.evaluation import integrals
from tests.compare import assert_close
from tests.laws.registry import (
    BATCH,
    DIMS,
    Draw,
    balls,
    boxes,
    bumps,
    constant,
    gabors,
    gaussians,
    gaussians_covariance,
    plane_waves,
    points,
    waves_on_a_grid,
)

every_dim = pytest.mark.parametrize("dim", DIMS)


def profile(square: float, radius: float) -> float:
    rest = 1 - square / radius**2
    return math.exp(1 - 1 / rest) if rest > 0 else 0.0


@every_dim
@pytest.mark.parametrize("radius", [1.0, 0.3])
def test_norm_of_a_bump_against_scipy(dim: int, radius: float) -> None:
    """‖a·B‖² = |a|² |S^{d−1}| ∫ r^{d−1} B(r)² dr, at the default tolerance, in three dimensions too."""
    sphere = 2 * math.pi ** (dim / 2) / math.gamma(dim / 2)
    shells, _ = scipy.integrate.quad(
        lambda r: r ** (dim - 1) * profile(r**2, radius) ** 2, 0, radius, epsabs=1e-15
    )
    field = Bumps([[0.3] * dim], [[3.0, -4.0]], [radius])
    assert float(field.norm() ** 2) == pytest.approx(25 * sphere * shells, rel=1e-12)


@every_dim
@pytest.mark.parametrize(
    ("r", "s", "apart"),
    [(1.0, 1.0, 0.5), (1.3, 0.9, 0.2), (1.0, 0.5, 1.2), (1.0, 0.2, 0.3), (1.0, 1.0, 1.7)],
)
def test_overlaps_of_bumps_against_scipy(dim: int, r: float, s: float, apart: float) -> None:
    """∫B_r(x)B_s(x − d) dx in cylinders about the axis through the centres, by scipy's adaptive quadrature."""
    low, high = max(-r, apart - s), min(r, apart + s)

    def shell(rho: float, z: float) -> float:
        around = {2: 2.0, 3: 2 * math.pi * rho}[dim]
        return around * profile(z**2 + rho**2, r) * profile((z - apart) ** 2 + rho**2, s)

    if dim == 1:
        expected, _ = scipy.integrate.quad(
            lambda z: profile(z**2, r) * profile((z - apart) ** 2, s), low, high, epsabs=1e-14
        )
    else:
        expected, _ = scipy.integrate.dblquad(shell, low, high, 0, min(r, s), epsabs=1e-12)
    one, other = Bumps([[0.0] * dim], [[1.0]], [r]), Bumps([[0.0] * dim], [[1.0]], [s])
    move = apart * torch.nn.functional.normalize(points(dim, 1), dim=-1)[0]
    found = float(one.inner(other.translate(move)))
    assert abs(found - expected) <= 1e-9 * float(one.norm() * other.norm())


@pytest.mark.parametrize("dim", [1, 2])
def test_inner_products_of_bumps_by_quadrature(dim: int) -> None:
    """Batches, channels and pairs that don't meet, against the trapezoidal rule."""
    f, g = bumps(Draw(dim, element=None)), bumps(Draw(dim, element=1))
    far = Bumps(g.centers + 50, g.amplitudes, g.radii)
    expected = integrals.integral(f * g, 1e-9, MEMORY_BOUND).sum(-1)
    assert f.inner(g).shape == (BATCH,)
    size = float(f.norm().max() * g.norm())
    assert float((f.inner(g + far) - expected).abs().max()) <= 1e-9 * size
    assert float(f.inner(far).abs().max()) == 0.0


def test_overlaps_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    f = bumps(Draw(2, element=None))
    whole = f.norm()
    monkeypatch.setattr("fields.leaves.shapes.BUMP_PAIRS", 2)
    assert_close(f.norm(), whole, 10)


@every_dim
def test_gradients_of_norms_of_bumps(dim: int) -> None:
    """∂‖F‖/∂(centres, amplitudes, radii) is the limit of differences, at equal centres too."""
    centers = torch.zeros(3, dim, dtype=torch.float64)
    centers[1:, 0] = torch.tensor([0.4, 0.9])
    amplitudes = torch.tensor([[1.0, 0.5], [-0.7, 1.0], [0.3, 0.2]], dtype=torch.float64)
    radii = torch.tensor([1.0, 0.8, 1.2], dtype=torch.float64)
    numbers = [v.requires_grad_() for v in (centers, amplitudes, radii)]
    assert torch.autograd.gradcheck(lambda *v: Bumps(*v).norm(), numbers)


def test_norms_of_bumps_in_single_precision() -> None:
    f = bumps(Draw(3, torch.float32))
    assert f.norm().dtype == torch.float32
    assert_close(f.norm(), bumps(Draw(3)).norm(), 100)


# --- translates, multiples, sums ----------------------------------------------------------------

LEAVES = {
    "Bumps": bumps,
    "Balls": balls,
    "Boxes": boxes,
    "Gaussians": gaussians,
    "Gaussians, covariances": gaussians_covariance,
    "Gabors": gabors,
    "PlaneWaves": waves_on_a_grid,
    "Constant": constant,
}
leaves = pytest.mark.parametrize("leaf", LEAVES.values(), ids=LEAVES.keys())


@every_dim
@leaves
def test_norms_are_invariant(leaf, dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """‖t▷F‖ = ‖F‖ and ⟨t▷F, s▷G⟩ = ⟨(t − s)▷F, G⟩, one t per element, without any quadrature."""
    monkeypatch.setattr(integrals, "evaluate", None)
    f, g = leaf(Draw(dim)), leaf(Draw(dim, element=1))
    s, t = points(dim, 2, seed=5), points(dim, 2, seed=6)
    assert f.translate(t).norm().shape == (2,)
    assert_close(f.translate(t).norm(), f.norm().expand(2), 100)
    moved = f.translate(t).translate(s).inner(g.translate(s))
    assert_close(moved, f.translate(t).inner(g), 2000, float(f.norm() * g.norm()))


@every_dim
@leaves
def test_inner_products_are_bilinear(leaf, dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """⟨aF + t▷G, H − bF⟩ = a⟨F, H⟩ − ab⟨F, F⟩ + ⟨t▷G, H⟩ − b⟨t▷G, F⟩, without any quadrature."""
    monkeypatch.setattr(integrals, "evaluate", None)
    f, g, h = leaf(Draw(dim)), leaf(Draw(dim, element=1)), leaf(Draw(dim)).translate([0.2] * dim)
    moved = g.translate([0.4] * dim)
    found = (2 * f + moved).inner(h - 3 * f)
    expected = 2 * f.inner(h) - 6 * f.inner(f) + moved.inner(h) - 3 * moved.inner(f)
    assert_close(found, expected, 1000, float(6 * f.norm() ** 2 + 9 * g.norm() ** 2))


@pytest.mark.parametrize("dim", [1, 2])
@leaves
def test_translates_by_quadrature(leaf, dim: int) -> None:
    """⟨t▷F, G⟩ as a sum over points of (t▷F)·G."""
    f, g = leaf(Draw(dim)).translate([0.4, -0.3][:dim]), leaf(Draw(dim, element=1))
    rough = leaf in (balls, boxes)
    rtol = 1e-3 if rough else 1e-8
    expected = integrals.integral(f * g, rtol, MEMORY_BOUND).sum(-1)
    size = float(f.norm() * g.norm())
    assert abs(float(f.inner(g) - expected)) <= 2 * rtol * size


def test_waves_of_translates_without_a_common_period() -> None:
    with pytest.raises(ValueError, match="none in common"):
        plane_waves(Draw(1)).translate([0.3]).norm()


# --- quadrature ---------------------------------------------------------------------------------


def test_products_are_integrated_where_both_live() -> None:
    """A Gaussian under a small ball: ∫ = mass of the ball; its tail under a box; nothing where two are apart."""
    wide, small = Gaussians([[0.0, 0.0]], [[1.0]], [30.0]), Balls([[1.0, 2.0]], [[1.0]], [0.01])
    near = float(wide([1.0, 2.0])) * math.pi * 0.01**2
    assert float(wide.inner(small, 1e-4)) == pytest.approx(near, rel=1e-3)
    apart = Boxes([[300.0, 0.0]], [[1.0]], [1.0])
    root = 30 * math.sqrt(2)
    tail, middle = math.erfc(299.5 / root) - math.erfc(300.5 / root), 2 * math.erf(0.5 / root)
    expected = (root * math.sqrt(math.pi) / 2) ** 2 * tail * middle  # 1e-22
    assert float(wide.inner(apart, 1e-3)) == pytest.approx(expected, rel=1e-3)
    assert small.inner(apart).shape == ()
    assert float(small.inner(apart)) == 0.0
    assert float(Constant(2.0, 2).inner(small, 1e-3)) == pytest.approx(2e-4 * math.pi, rel=1e-3)


@pytest.mark.parametrize(("dim", "tile"), [(1, 300), (2, 20_000), (3, 1_000_000)])
def test_tiles_sum_to_the_whole(dim: int, tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Integrals and transforms tile by tile, of a batch, also where tiles don't divide the lattice."""
    field = gaussians(Draw(dim, element=None)).map(torch.tanh)
    f = torch.tensor([[0.3, -0.1, 0.2]], dtype=torch.float64)[:, :dim]
    whole = field.integrate(1e-2), torch.view_as_real(field.transform(f, 1e-2))
    sizes = []
    evaluate = integrals.evaluate

    def counted(field, lattice, *rest):
        sizes.append(math.prod(lattice.shape))
        return evaluate(field, lattice, *rest)

    monkeypatch.setattr(integrals, "evaluate", counted)
    monkeypatch.setattr(integrals, "TILE", tile)
    parts = field.integrate(1e-2), torch.view_as_real(field.transform(f, 1e-2))
    assert len(sizes) > 10
    assert max(sizes) * 2 * BATCH * 8 <= tile
    for part, expected in zip(parts, whole, strict=True):
        assert_close(part, expected, 1000)


def test_quadratures_beyond_the_memory_bound() -> None:
    """3-D values of 128 MiB, in tiles within 64 MiB; with 1/8 MiB it is said how far it went."""
    field = Gaussians([[0.0] * 3], [[1.0]], [1.0]).map(torch.square)
    found = field.integrate(1e-6, memory=1 << 26)
    assert float(found) == pytest.approx(math.pi**1.5, rel=1e-6)
    with pytest.raises(integrals.LatticeTooLarge, match=r"MiB of values, the bound is 0.25 MiB"):
        field.integrate(1e-6, memory=1 << 17)


def test_inner_products_of_unlike_fields() -> None:
    """⟨bump, Gaussian⟩ and ⟨bump, wave⟩ in shells, one dimension, against scipy."""
    bump = Bumps([[0.0]], [[1.0]], [1.0])
    for other in (Gaussians([[0.3]], [[2.0]], [0.7]), PlaneWaves([[0.4]], [[1.0]])):
        expected, _ = scipy.integrate.quad(
            lambda x, g=other: profile(x**2, 1.0) * float(g([x])), -1, 1, epsabs=1e-13
        )
        if isinstance(other, Gaussians):
            assert float(bump.inner(other, 1e-9)) == pytest.approx(expected, rel=1e-8)
            assert float(other.inner(bump, 1e-9)) == pytest.approx(expected, rel=1e-8)
        else:
            transformed = float(bump.transform([[0.4]], 1e-9).real)
            assert transformed == pytest.approx(expected, rel=1e-8)


def test_the_norm_of_nothing_has_gradient_zero() -> None:
    """At F = 0 the subgradient 0, in closed form and by quadrature; beside it ∂‖aB‖/∂a = a/|a|·‖B‖."""
    one = torch.ones(3, 1, 1, dtype=torch.float64)
    amplitudes = (torch.tensor([0.0, 2.0, -3.0]).double()[:, None, None] * one).requires_grad_()
    for field in (
        Gaussians(0 * one, amplitudes, [1.0]),
        Bumps(0 * one, amplitudes, [1.0]),
        Gaussians(0 * one, amplitudes, [1.0]).map(lambda v: v * 1.0),
    ):
        norms = field.norm()
        (slope,) = torch.autograd.grad(norms.sum(), amplitudes)
        zero, two, _ = norms.tolist()
        assert zero == 0.0
        half = two / 2
        expected = torch.tensor([0.0, half, -half], dtype=torch.float64)
        assert_close(slope[:, 0, 0], expected, 1e4)


@pytest.mark.parametrize("method", ["nearest", "linear", "cubic", "quintic", "lanczos3"])
@pytest.mark.parametrize("dim", [1, 2])
def test_interpolants_of_one_lattice(method: str, dim: int) -> None:
    """⟨F, t▷G⟩ against Gauss–Legendre on what lies between the knots of both, point by point."""
    draw = torch.Generator().manual_seed(3)
    h, n = 0.5, 5
    one, other = (torch.rand(2, *(n,) * dim, generator=draw, dtype=torch.float64) for _ in "ab")
    left, right = Interpolated(one, h, method=method), Interpolated(other, h, 0.1, method=method)
    for t in ([0.3, -7.25][:dim], [0.9, 3.4][:dim]):
        moved = right.translate(t)
        nodes, weights = np.polynomial.legendre.leggauss(14)
        half = 0.5 * h if method == "nearest" else 0.0  # whose jumps lie between the samples
        axes, shares = [], []
        for shift in t:
            knots = [
                h * np.arange(n) + half,
                np.remainder(h * np.arange(n) + half + 0.1 + shift, n * h),
            ]
            cuts = np.unique(np.round(np.concatenate([[0.0, n * h], *knots]), 12))
            middle, reach = (cuts[1:] + cuts[:-1]) / 2, (cuts[1:] - cuts[:-1]) / 2
            axes.append((middle[:, None] + reach[:, None] * nodes).ravel())
            shares.append((reach[:, None] * weights).ravel())
        points = torch.from_numpy(np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, dim))
        share = torch.from_numpy(functools.reduce(np.multiply.outer, shares).ravel())
        expected = ((left(points) * moved(points)).sum(-1) * share).sum()
        assert_close(left.inner(moved), expected, 1000)
        assert_close(left.norm().square(), left.inner(left), 100)


def test_norms_of_pixels_are_sums_over_pixels() -> None:
    values = torch.rand(3, 2, 16, 16, generator=torch.Generator().manual_seed(0)).double()
    field = Interpolated(values, (0.5, 0.25), method="nearest")
    assert_close(field.norm(), (values.square().sum((1, 2, 3)) / 8).sqrt(), 100)
