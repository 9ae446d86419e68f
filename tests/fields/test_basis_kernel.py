"""Linear combinations of fixed kernels, and kernels that are a network in y: linear, convergent, learnt."""

import pytest
import torch
from torch import Tensor, nn

from discretize import Grid, Samples, sample
from fields import (
    Atoms,
    BallKernel,
    BasisKernel,
    BoxKernel,
    BSplineKernel,
    BumpKernel,
    Field,
    GaussianKernel,
    Gaussians,
    Interpolated,
    Kernel,
    PeriodicKernel,
    PlaneWaves,
    mlp_kernel,
)
from fields.algebra.local import Convolved
from layers import Conv
from tests.compare import assert_close, order, relative_error
from tests.laws.registry import DIMS, points

every_dim = pytest.mark.parametrize("dim", DIMS)
ONE = [[1.0]]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def wave(dim: int, channels: int = 2) -> PlaneWaves:
    f = [[0.4, -0.3, 0.25][:dim], [-0.1, 0.2, 0.3][:dim]]
    return PlaneWaves(f, torch.complex(noise(2, channels), noise(2, channels, seed=1)))


def slope(y: Tensor) -> Tensor:
    """Off-centre, odd and smooth: a derivative of a Gaussian along the first axis, moved."""
    z = y - 0.05
    return (-z[..., 0] * torch.exp(-(z**2).sum(-1) / 0.02))[..., None, None]


def basis(dim: int) -> list[object]:
    """Profiles of all kinds and sizes."""
    return [
        GaussianKernel(0.1, ONE),
        BSplineKernel(0.3, ONE, 2),
        BumpKernel([0.7, 0.5, 0.6][:dim], [[2.0]]),
        BallKernel(0.45, ONE),
        BoxKernel(0.37, ONE),
        Kernel(slope, 1, 1, 0.8),
    ]


@every_dim
def test_it_is_the_sum_of_its_parts(dim: int) -> None:
    """(Σ_m C_m φ_m) * F = Σ_m C_m (φ_m * F), on the nodes of a grid and on those of a field."""
    parts, c = basis(dim), noise(6, 3, 2)
    kernel, field = BasisKernel(parts, c), wave(dim)
    grid = Grid((9, 8, 7)[:dim], [0.15, 0.2, 0.25][:dim], boundary="zero")
    eye = torch.eye(2, dtype=torch.float64)

    def apart(f: Field | Samples, m: int) -> Field | Samples:
        """φ_m on every channel."""
        part = parts[m]
        if isinstance(part, Kernel):
            both = Kernel(lambda y: slope(y) * eye, 2, 2, 0.8)
            return f.convolve(both, exact=False)
        both = part.with_parameters({"matrix": part.matrix * eye})
        both.in_channels = both.out_channels = 2
        return f.convolve(both, exact=False)

    f = Samples(noise(2, *grid.shape), grid)
    expected = sum((apart(f, m).mix(c[m]).values for m in range(6)), start=torch.zeros(()))
    assert_close(f.convolve(kernel).values, expected, 1000)
    whole = sample(field.convolve(kernel, exact=False), grid, refinement=2, prefilter="none")
    pieces = [
        sample(apart(field, m).mix(c[m]), grid, refinement=2, prefilter="none").values
        for m in range(6)
    ]
    assert_close(whole.values, sum(pieces[1:], start=pieces[0]), 1000)


@every_dim
def test_its_transform_is_the_sum_of_transforms(dim: int) -> None:
    """Waves and Fourier fields are convolved in closed form, to which nodes converge at second order or better."""
    kernel, field, x = BasisKernel(basis(dim)[:5], noise(5, 3, 2)), wave(dim), points(dim, 3)
    exact = field.convolve(kernel)
    assert isinstance(exact, PlaneWaves)
    if dim < 3:
        counts = [16, 32, 64]
        found = [
            relative_error(field.convolve(kernel, n, exact=False)(x), exact(x)) for n in counts
        ]
        assert order(found, counts) > 1.5
    image = Interpolated(noise(2, *(6, 5, 4)[:dim]), 0.5)
    closed = image.convolve(kernel)
    assert isinstance(closed, Interpolated)
    by_nodes = image.convolve(kernel, 16 if dim < 3 else 4, exact=False)
    assert relative_error(by_nodes(x), closed(x)) < (2e-2 if dim < 3 else 1e-1)
    unknown = BasisKernel(basis(dim), noise(6, 3, 2))
    assert isinstance(field.convolve(unknown), Convolved)


@every_dim
def test_coefficients_are_learnt_and_the_basis_stays(dim: int) -> None:
    """∂/∂C is the limit of differences on both carriers, and the map C ↦ K*F is linear."""
    layer = Conv(BasisKernel(basis(dim), noise(6, 1, 2)))
    assert list(layer.state_dict()) == ["coefficients"]
    field, x = wave(dim), points(dim, 2)
    f = Samples(noise(2, *(4, 4, 4)[:dim]), Grid((4, 4, 4)[:dim], 0.3))

    def value(c: Tensor) -> tuple[Tensor, Tensor]:
        kernel = layer.kernel.with_parameters({"coefficients": c})
        return f.convolve(kernel).values, field.convolve(kernel, nodes=2, exact=False)(x)

    torch.autograd.gradcheck(value, layer.coefficients, fast_mode=True)
    one, two = noise(6, 1, 2, seed=5), noise(6, 1, 2, seed=6)
    found = [torch.cat([v.flatten() for v in value(c)]) for c in (one, two, 2 * one - 3 * two)]
    assert_close(found[2], 2 * found[0] - 3 * found[1], 100)


def test_a_profile_at_many_places_is_atoms_and_then_the_profile() -> None:
    """φ * Σ_m C_m δ(y − o_m) = Σ_m C_m φ(y − o_m): B-splines on knots, as in B-spline networks."""
    knots, c, field, x = 0.4, noise(9, 3, 2), wave(2), points(2)
    places = Atoms.from_array(c.reshape(3, 3, 3, 2), knots)
    eye = torch.eye(3, dtype=torch.float64)
    chained = field.convolve(places).convolve(BSplineKernel(knots, eye, 3))

    def spline(y: Tensor) -> Tensor:
        """β₃(y/h)/h."""
        t = (y / knots).abs()
        inner = 2 / 3 - t**2 + t**3 / 2
        outer = (2 - t).clamp(min=0) ** 3 / 6
        return torch.where(t < 1, inner, outer) / knots

    def density(y: Tensor) -> Tensor:
        z = y[..., None, :] - places.offsets
        return torch.einsum("...m,moi->...oi", spline(z).prod(-1), c)

    whole = field.convolve(Kernel(density, 3, 2, 3 * knots), nodes=24)
    assert relative_error(whole(x), chained(x)) < 1e-4


# --- networks -----------------------------------------------------------------------------------


@every_dim
def test_a_network_is_drawn_from_its_seed(dim: int) -> None:
    """The same numbers for a seed and its generator, in either precision; others for another seed."""

    def state(seed: int | torch.Generator, dtype: torch.dtype = torch.float64) -> Tensor:
        density = mlp_kernel(dim, 2, 3, 0.5, seed=seed, dtype=dtype).density
        return torch.cat([p.flatten() for p in density.parameters()])

    first = state(1)
    assert torch.equal(first, state(1))
    assert torch.equal(first, state(torch.Generator().manual_seed(1)))
    assert torch.equal(first.float(), state(1, torch.float32))
    assert not torch.equal(first, state(2))
    global_state = torch.get_rng_state()
    state(3)
    assert torch.equal(torch.get_rng_state(), global_state)


@every_dim
def test_a_network_is_a_smooth_density_of_compact_support(dim: int) -> None:
    """K = b(|y/r|) A₃ sin(A₂ sin(A₁ y/r)) by hand, 0 from the rim on."""
    radius = (0.5, 0.8, 0.6)[:dim]
    kernel = mlp_kernel(dim, 2, 3, radius, hidden=(8, 8), seed=4)
    y = 1.2 * (points(dim, 200) / 2.5) * torch.tensor(radius)
    z = y / torch.tensor(radius, dtype=torch.float64)
    square = (z**2).sum(-1, keepdim=True)
    linears = [m for m in kernel.density.modules() if isinstance(m, nn.Linear)]
    for linear in linears[:-1]:
        z = torch.sin(z @ linear.weight.mT + linear.bias)
    z = z @ linears[-1].weight.mT + linears[-1].bias
    inside = square < 1
    cut = torch.where(inside, torch.exp(1 - 1 / (1 - torch.where(inside, square, 0.0))), 0.0)
    assert_close(kernel.density(y), (cut * z).reshape(-1, 2, 3), 100)
    assert 0 < int(inside.sum()) < 200


def test_networks_keep_the_size_of_what_they_act_on() -> None:
    """Integrals of order 1/√in: over 30 kernels the outputs on ones have a mean square of order 1."""
    value = torch.ones(4, dtype=torch.float64)
    for dim in DIMS:
        sizes = []
        for seed in range(30):
            kernel = mlp_kernel(dim, 4, 4, 0.7, frequency=0.5, seed=seed)
            weights = kernel.stencils((0.1,) * dim, (0.1,) * dim)[0].taps.detach()
            sizes.append(float(((weights.sum(tuple(range(dim))) @ value) ** 2).mean()))
        assert 0.02 < sum(sizes) / 30 < 5


@pytest.mark.parametrize("dim", [1, 2])
def test_networks_converge_faster_than_any_power(dim: int) -> None:
    """Trained on one grid, the same on a finer one: the error falls at an order of more than 4."""
    kernel = mlp_kernel(dim, 2, 2, 0.8, hidden=(16,), frequency=1.0, seed=2)
    field, grid = wave(dim), Grid((3, 2)[:dim], 0.4, 0.1, boundary="none")
    with torch.no_grad():
        fine, *coarse = (
            sample(field.convolve(kernel), grid, refinement=m, prefilter="none").values
            for m in (32, 4, 8, 16)
        )
    found = [relative_error(c, fine) for c in coarse]
    assert order(found[1:], [1, 2]) > 4
    assert found[-1] < 1e-4


@every_dim
def test_networks_are_learnt_through_layers(dim: int) -> None:
    """Parameters are registered, a state goes round, gradients are limits of differences on both carriers."""
    layer = Conv(mlp_kernel(dim, 1, 2, 0.6, hidden=(4,), seed=1), nodes=2)
    other = Conv(mlp_kernel(dim, 1, 2, 0.6, hidden=(4,), seed=2), nodes=2)
    parameters = dict(layer.named_parameters())
    assert len(parameters) == 4
    x = points(dim, 2)
    f = Samples(noise(2, *(4, 4, 4)[:dim]), Grid((4, 4, 4)[:dim], 0.3))
    field = wave(dim)
    assert not torch.equal(layer(f).values, other(f).values)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(layer(f).values, other(f).values)

    def value(*weights: Tensor) -> tuple[Tensor, Tensor]:
        given = dict(zip(parameters, weights, strict=True))
        run = torch.func.functional_call
        return run(layer, given, f).values, run(layer, given, field)(x)

    torch.autograd.gradcheck(value, tuple(parameters.values()), fast_mode=True)


def test_a_network_finds_the_kernel_that_made_the_data() -> None:
    """Least squares on samples at one spacing; the error carries over to a finer grid and off it."""
    target = Conv(GaussianKernel(0.15, ONE))
    layer = Conv(mlp_kernel(1, 1, 1, 1.0, hidden=(16,), frequency=0.5, seed=0))
    f = Samples(noise(8, 1, 32), Grid(32, 0.125))
    goal = target(f).values.detach()
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = ((layer(f).values - goal) ** 2).mean()
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        assert float(((layer(f).values - goal) ** 2).mean()) < 1e-3 * float((goal**2).mean())
        bumps, x = Gaussians([[0.0], [0.7]], [[1.0], [-1.0]], [0.3, 0.2]), points(1, 20)
        for found, expected in (
            (layer(bumps)(x), target(bumps)(x)),
            *((sample(m(bumps), Grid(40, 0.05, -1.0, "none")).values for m in (layer, target)),),
        ):
            assert relative_error(found, expected) < 0.05


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (lambda: BasisKernel([], noise(0, 1, 1)), ValueError, "at least one kernel, got none"),
        (lambda: BasisKernel([1.0], noise(1, 1, 1)), TypeError, r"basis\[0\] must be a kernel"),
        (
            lambda: BasisKernel([BumpKernel(1.0, ONE)], noise(2, 1, 1)),
            ValueError,
            r"coefficients must have shape \(m, out, in\) = \(1, …\), got \(2, 1, 1\)",
        ),
        (
            lambda: BasisKernel([BumpKernel(1.0, ONE)], noise(1, 0, 2)),
            ValueError,
            r"coefficients must have no size 0, got \(1, 0, 2\)",
        ),
        (
            lambda: BasisKernel([BumpKernel(1.0, noise(2, 1))], noise(1, 1, 1)),
            ValueError,
            "one channel in and out",
        ),
        (
            lambda: BasisKernel([Atoms([[0.0]], [ONE])], noise(1, 1, 1)),
            ValueError,
            "density of compact support, got Atoms",
        ),
        (
            lambda: BasisKernel([PeriodicKernel(noise(3, 1, 1), 1.0)], noise(1, 1, 1)),
            ValueError,
            "density of compact support, got PeriodicKernel",
        ),
        (
            lambda: BasisKernel([mlp_kernel(1, 1, 1, 1.0)], noise(1, 1, 1)),
            ValueError,
            "wouldn't be learnt",
        ),
        (
            lambda: BasisKernel([BumpKernel(1.0, ONE)], noise(1, 1, 1) / 0),
            ValueError,
            "coefficients must be finite",
        ),
        (lambda: mlp_kernel(4, 1, 1, 1.0), ValueError, "dim = 4"),
        (lambda: mlp_kernel(1, 0, 1, 1.0), ValueError, "out_channels must be integers"),
        (lambda: mlp_kernel(1, 1, 1, -1.0), ValueError, "radius must be positive"),
        (lambda: mlp_kernel(2, 1, 1, (1.0, 1.0, 1.0)), ValueError, "radius must be a number or 2"),
        (lambda: mlp_kernel(1, 1, 1, 1.0, hidden=()), ValueError, "at least one width"),
        (lambda: mlp_kernel(1, 1, 1, 1.0, frequency=0.0), ValueError, "frequency must be positive"),
        (
            lambda: wave(3).convolve(mlp_kernel(2, 1, 2, 1.0))([0.0, 0.0, 0.0]),
            ValueError,
            "lives in 2 dimensions, the feature map has 3",
        ),
    ],
)
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()
