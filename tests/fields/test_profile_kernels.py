"""Bumps, B-splines and balls: a wave is scaled by their transform, and nodes converge at the promised order."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import torch

from discretize import Grid, sample
from fields import (
    BallKernel,
    BoxKernel,
    BSplineKernel,
    BumpKernel,
    Constant,
    Interpolated,
    MatrixKernel,
    PlaneWaves,
)
from tests.compare import assert_close, error, order, relative_error
from tests.laws.registry import DIMS, points

every_dim = pytest.mark.parametrize("dim", DIMS)
FREQUENCY = (0.4, -0.3, 0.25)
ONE = [[1.0]]


def wave(dim: int, scale: float = 1.0) -> PlaneWaves:
    """cos(2πf·x + 1)."""
    f = [scale * v for v in FREQUENCY[:dim]]
    return PlaneWaves([f], [[complex(math.cos(1), math.sin(1))]])


def turns(dim: int, radius: tuple[float, ...] | float, scale: float = 1.0) -> float:
    """2π|r f|."""
    sides = np.broadcast_to(radius, dim)
    return 2 * math.pi * scale * float(np.linalg.norm(sides * np.array(FREQUENCY[:dim])))


def ball_transform(k: float, dim: int) -> float:
    """Γ(d/2 + 1) (2/k)^{d/2} J_{d/2}(k)."""
    return math.gamma(dim / 2 + 1) * (2 / k) ** (dim / 2) * float(scipy.special.jv(dim / 2, k))


def bump_transform(k: float, dim: int) -> float:
    """∫ b(r) S(kr) r^{d−1} dr / ∫ b(r) r^{d−1} dr, S = cos, J₀ or sin(kr)/kr, by adaptive quadrature."""
    waves = {1: math.cos, 2: scipy.special.j0, 3: lambda z: math.sin(z) / z if z else 1.0}

    def shell(r: float, turn: Callable[[float], float]) -> float:
        return math.exp(-1 / (1 - r * r)) * r ** (dim - 1) * turn(k * r) if r < 1 else 0.0

    top, bottom = (
        scipy.integrate.quad(shell, 0, 1, args=(w,), epsabs=1e-14, epsrel=1e-12, limit=400)[0]
        for w in (waves[dim], lambda _: 1.0)
    )
    return float(top / bottom)


def cases(dim: int) -> dict[str, tuple[MatrixKernel, float]]:
    """Kernels, with what they multiply the wave by."""
    sides, f = (0.5, 0.8, 0.65)[:dim], np.array(FREQUENCY[:dim])
    return {
        "bump": (BumpKernel(0.9, ONE), bump_transform(turns(dim, 0.9), dim)),
        "bump, per axis": (BumpKernel(sides, ONE), bump_transform(turns(dim, sides), dim)),
        "ball": (BallKernel(0.9, ONE), ball_transform(turns(dim, 0.9), dim)),
        **{
            f"spline {n}": (
                BSplineKernel(sides, ONE, n),
                float(np.prod(np.sinc(np.array(sides) * f)) ** (n + 1)),
            )
            for n in (0, 1, 2, 3, 9)
        },
    }


KINDS = list(cases(1))
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_dim
@every_kind
def test_a_wave_is_scaled_by_the_transform(kind: str, dim: int) -> None:
    """K * e = K̂(f) e in closed form, to rounding; K̂ by scipy."""
    kernel, factor = cases(dim)[kind]
    x = points(dim)
    assert_close(wave(dim).convolve(kernel)(x), factor * wave(dim)(x), 1000, 1.0)


@every_dim
@every_kind
def test_nodes_come_close_to_the_closed_form(kind: str, dim: int) -> None:
    """Σ_j w_j F(x − y_j) → K̂(f)F(x): to 1e-3 for jumps, 5e-4 for kinks, 2e-5 for all others."""
    kernel, factor = cases(dim)[kind]
    x, jump = points(dim, 3), kind in ("ball", "spline 0")
    found = wave(dim).convolve(kernel, nodes=24 if dim < 3 else 16, exact=False)(x)
    kink = 5e-4 if kind == "spline 1" else 2e-5
    assert error(found, factor * wave(dim)(x)) <= (1e-3 if jump else kink)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 10.0, 60.0, 250.0])
@every_dim
def test_transforms_of_radial_shapes_at_all_frequencies(scale: float, dim: int) -> None:
    """From 2π|f|r ≈ 0 to where the bump's transform is 1e-15, to 1e-13 of its maximum."""
    k = turns(dim, 1.0, scale)
    f = torch.tensor([FREQUENCY[:dim]], dtype=torch.float64) * scale
    ball = float(BallKernel(1.0, ONE).transform(f))
    assert abs(ball - ball_transform(k, dim)) <= 1e-13
    bump = float(BumpKernel(1.0, ONE).transform(f))
    if k < 200:
        assert abs(bump - bump_transform(k, dim)) <= 1e-13
    else:
        assert abs(bump) <= 2 * math.exp(-math.sqrt(k))


def mean_errors(
    build: Callable[[float], MatrixKernel], dim: int, refinements: list[int], sizes: int = 8
) -> list[float]:
    """Relative errors on nodes 1/(2m) apart, the mean over kernels of several sizes."""
    grid = Grid((3, 2, 2)[:dim], 0.5, 0.1, boundary="none")
    total = np.zeros(len(refinements))
    for size in np.linspace(0.75, 1.0, sizes):
        exact = sample(wave(dim).convolve(build(float(size))), grid, prefilter="none").values
        field = wave(dim).convolve(build(float(size)), exact=False)
        for i, m in enumerate(refinements):
            found = sample(field, grid, refinement=m, prefilter="none").values
            total[i] += relative_error(found, exact) / sizes
    return list(total)


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_splines_converge_at_order_n_plus_1(n: int, dim: int) -> None:
    refinements = [4, 8, 16]
    found = mean_errors(lambda s: BSplineKernel(s, ONE, n), dim, refinements)
    assert order(found, refinements) >= n + 1 - 0.3


@pytest.mark.parametrize(
    ("build", "dims"),
    [
        (lambda s: BallKernel(s, ONE), (1, 2)),
        (lambda s: BSplineKernel(s, ONE, 0), (1, 2)),
        (lambda s: BoxKernel(s, ONE), (1, 2)),
    ],
    ids=["ball", "spline 0", "box"],
)
def test_jumps_converge_at_second_order(build, dims: tuple[int, ...]) -> None:
    for dim in dims:
        refinements = [4, 8, 16, 32] if dim == 1 else [4, 8, 16]
        assert order(mean_errors(build, dim, refinements), refinements) >= 1.85


def test_balls_in_space_converge_at_second_order() -> None:
    refinements = [2, 4, 6]
    found = mean_errors(lambda s: BallKernel(s, ONE), 3, refinements, sizes=3)
    assert order(found, refinements) >= 1.85


@pytest.mark.parametrize("dim", [1, 2])
def test_bumps_converge_faster_than_any_power(dim: int) -> None:
    """The order grows from one refinement to the next, to more than 4; the docstring's errors hold."""
    refinements = [8, 16, 32, 64][: 5 - dim]  # 4 … 32 nodes per radius of 1
    found = mean_errors(lambda s: BumpKernel(s, ONE), dim, refinements, sizes=8 if dim == 1 else 3)
    slopes = [order([a, b], [1, 2]) for a, b in itertools.pairwise(found)]
    assert slopes[-1] > 4
    assert slopes[-1] > slopes[0]
    assert all(e < b for e, b in zip(found, (1e-2, 5e-4, 2e-5, 1e-6), strict=False))


def test_the_reported_bandwidth_is_where_the_transform_ends() -> None:
    """|K̂| < rtol beyond the band, per axis, and not long before it."""
    radius = (0.5, 2.0)
    kernel = BumpKernel(radius, ONE)
    for rtol in (1e-3, 1e-6, 1e-12):
        for axis, band in enumerate(kernel.bandwidth(rtol, 2)):
            f = torch.zeros(400, 2, dtype=torch.float64)
            f[:, axis] = torch.linspace(0.5 * band, 2 * band, 400)
            size = kernel.transform(f)[:, 0, 0].abs()
            beyond = f[:, axis] > band
            assert float(size[beyond].max()) < rtol
            assert float(size[~beyond].max()) > rtol


# --- integrals, support, matrices ---------------------------------------------------------------


@every_dim
@every_kind
@pytest.mark.parametrize("nodes", [1, 3])
def test_constants_are_met_at_any_spacing(kind: str, dim: int, nodes: int) -> None:
    """∫K = M: on a constant a kernel is its matrix, whatever the nodes, and in closed form."""
    kernel, _ = cases(dim)[kind]
    matrix = torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]], dtype=torch.float64)
    mixed = kernel.with_parameters({"matrix": matrix})
    mixed.out_channels, mixed.in_channels = 3, 2
    value = torch.tensor([0.7, -0.2], dtype=torch.float64)
    for exact in (True, False):
        found = Constant(value, dim).convolve(mixed, nodes, exact=exact)(points(dim, 2))
        assert_close(found, (matrix @ value).expand(2, 3), 100)


@every_dim
@every_kind
def test_nothing_acts_from_beyond_the_reach(kind: str, dim: int) -> None:
    """Taps end half a node's spacing beyond the reach at most, and lie on both sides alike."""
    kernel, _ = cases(dim)[kind]
    reach = kernel.reach(dim)
    for stencil in kernel.stencils((0.1,) * dim, (0.1,) * dim):
        for first, last, r in zip(stencil.first, stencil.last, reach, strict=True):
            assert first == -last
            assert abs(last * 0.1) <= r + 0.05 + 1e-12


def test_a_spline_is_boxes_in_a_row() -> None:
    """β₂ = β₀ * β₀ * β₀ on a field, in closed form and by nodes that divide the knots."""
    box, spline = BoxKernel((0.5, 0.25), ONE), BSplineKernel((0.5, 0.25), ONE, 2)
    field, x = wave(2, 2.0), points(2)
    thrice = field.convolve(box).convolve(box).convolve(box)
    assert_close(thrice(x), field.convolve(spline)(x), 100, 1.0)
    by_nodes = field.convolve(spline, nodes=64, exact=False)(x)
    assert error(by_nodes, thrice(x)) < 1e-5


def test_a_ball_in_one_dimension_is_a_box() -> None:
    field, x = wave(1), points(1)
    ball, box = BallKernel(0.4, ONE), BoxKernel(0.8, ONE)
    assert_close(field.convolve(ball)(x), field.convolve(box)(x), 100, 1.0)
    by_nodes = (field.convolve(k, nodes=5, exact=False)(x) for k in (ball, box))
    assert_close(*by_nodes, 1000, 1.0)


@every_dim
@every_kind
@pytest.mark.parametrize("sizes", [(8, 6, 4), (7, 9, 5)], ids=["even", "odd"])
def test_interpolated_fields_are_convolved_by_their_spectra(
    kind: str, dim: int, sizes: tuple[int, ...]
) -> None:
    """K*F = Σ_k K̂(k/P) C_k e_k for a trigonometric polynomial, the cosine at Nyquist too, in either precision."""
    kernel, _ = cases(dim)[kind]
    kernel = kernel.with_parameters({"matrix": torch.tensor([[0.5]], dtype=torch.float64)})
    n = sizes[:dim]
    values = torch.randn(1, *n, generator=torch.Generator().manual_seed(dim)).double()
    spacing = [2.0 / k for k in n]
    field = Interpolated(values, spacing, origin=0.3)
    found = field.convolve(kernel)
    assert isinstance(found, Interpolated)
    spectrum = np.fft.fftn(values[0].numpy(), norm="forward")
    x = points(dim, 4)
    expected = np.zeros(4)
    for index in np.ndindex(*n):
        k = np.array([i if 2 * i <= m else i - m for i, m in zip(index, n, strict=True)])
        f = torch.tensor([[v / 2.0 for v in k]], dtype=torch.float64)
        factor = float(kernel.transform(f)[0, 0, 0])
        phases = np.ones(4, dtype=complex)
        for axis, (v, m) in enumerate(zip(k, n, strict=True)):
            turn = 2 * math.pi * v / 2.0 * (x[:, axis].numpy() - 0.3)
            phases = phases * (np.cos(turn) if 2 * v == m else np.exp(1j * turn))
        expected += (spectrum[index] * factor * phases).real
    assert_close(found(x)[:, 0], torch.from_numpy(expected), 1000, 1.0)
    single = Interpolated(values.float(), spacing, origin=0.3)
    light = kernel.with_parameters({"matrix": torch.tensor([[0.5]])})
    assert_close(single.convolve(light)(x)[:, 0], torch.from_numpy(expected).float(), 500, 1.0)


@every_dim
@every_kind
def test_gradients_reach_matrices_and_frequencies(kind: str, dim: int) -> None:
    kernel, _ = cases(dim)[kind]
    x, amplitudes = points(dim, 2), torch.tensor([[0.6 + 0.8j]], dtype=torch.complex128)

    def value(matrix: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
        return PlaneWaves(f, amplitudes).convolve(kernel.with_parameters({"matrix": matrix}))(x)

    matrix = torch.tensor(ONE, dtype=torch.float64, requires_grad=True)
    f = torch.tensor([FREQUENCY[:dim]], dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(value, (matrix, f), fast_mode=True)


def test_knots_are_told() -> None:
    """As they were given: one number, or one per axis."""
    assert BSplineKernel(0.3, ONE, 2).spacing == 0.3
    kernel = BSplineKernel([0.3, 0.5], ONE, 2)
    assert kernel.spacing == (0.3, 0.5)
    assert kernel.reach(2) == pytest.approx([1.5 * h for h in kernel.spacing])


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (lambda: BumpKernel(0.0, ONE), ValueError, "radius must be positive"),
        (lambda: BumpKernel((1.0, math.inf), ONE), ValueError, "radius must be finite"),
        (lambda: BumpKernel(1.0, [1.0]), ValueError, "matrix must have shape"),
        (lambda: BallKernel(-1.0, ONE), ValueError, "radius must be positive"),
        (lambda: BallKernel((1.0, 2.0), ONE), ValueError, "radius must be a number or 1"),
        (lambda: BallKernel(1.0, [[math.nan]]), ValueError, "matrix must be finite"),
        (lambda: BSplineKernel(0.0, ONE), ValueError, "spacing must be positive"),
        (lambda: BSplineKernel(1.0, ONE, 10), ValueError, "B-splines go up to order 9, got 10"),
        (lambda: BSplineKernel(1.0, ONE, -1), ValueError, "order must be integers of at least 0"),
        (lambda: BSplineKernel(1.0, ONE, 1.5), ValueError, "order must be integers"),
        (
            lambda: wave(2).convolve(BumpKernel((1.0, 1.0, 1.0), ONE)),
            ValueError,
            "radius must be a number or 2 numbers, got 3",
        ),
    ],
)
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()
