"""A field times a matrix as a kernel: equal to the kernels of the table, to brute-force sums, and as differentiable."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.integrate
import torch
from torch import Tensor

from discretize import Grid, Samples, sample
from fields import (
    BallKernel,
    Balls,
    BasisKernel,
    Boxes,
    BoxKernel,
    BumpKernel,
    Bumps,
    Constant,
    Field,
    FieldKernel,
    Formula,
    Gabors,
    GaussianKernel,
    Gaussians,
    Interpolated,
    MatrixKernel,
    PlaneWaves,
    Sprites,
)
from layers import Conv
from tests.compare import assert_close, eps, error, order
from tests.laws.registry import DIMS, points

every_dim = pytest.mark.parametrize("dim", DIMS)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
DOUBLE = torch.float64
MATRIX = [[1.0, -0.5], [0.3, 2.0], [0.0, 1.5]]
CENTER, WIDTHS, FREQUENCY = (0.7, -0.4, 0.2), (0.3, 0.2, 0.25), (0.4, -0.3, 0.25)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def wave(dim: int, scale: float = 1.0, channels: int = 1) -> PlaneWaves:
    return PlaneWaves([[scale * f for f in FREQUENCY[:dim]]], noise(1, channels) + 0.5j)


def blobs(dim: int, dtype: torch.dtype = DOUBLE, channels: int = 2) -> Gaussians:
    parts = (
        0.5 * noise(3, dim),
        noise(3, channels, seed=1),
        0.4 + 0.1 * noise(3, dim, seed=2) ** 2,
    )
    return Gaussians(*(p.to(dtype) for p in parts))


def origin(dim: int) -> list[list[float]]:
    return [[0.0] * dim]


def twins(dim: int) -> dict[str, tuple[MatrixKernel, FieldKernel]]:
    """Kernels of the table, and the fields of unit integral that they are."""
    widths, ball = WIDTHS[:dim], math.pi ** (dim / 2) / math.gamma(dim / 2 + 1) * 0.7**dim
    bumps = Bumps(origin(dim), [[1.0]], [0.8])
    peak = math.prod(1 / (w * math.sqrt(2 * math.pi)) for w in widths)
    return {
        "Gaussian": (
            GaussianKernel(widths, MATRIX),
            FieldKernel(Gaussians(origin(dim), [[peak]], [widths]), MATRIX),
        ),
        "box": (
            BoxKernel(widths, MATRIX),
            FieldKernel(Boxes(origin(dim), [[1 / math.prod(widths)]], [widths]), MATRIX),
        ),
        "bump": (BumpKernel(0.8, MATRIX), FieldKernel(bumps / float(bumps.integrate()), MATRIX)),
        "ball": (
            BallKernel(0.7, MATRIX),
            FieldKernel(Balls(origin(dim), [[1 / ball]], [0.7]), MATRIX),
        ),
    }


@pytest.mark.every_case
@every_dim
@pytest.mark.parametrize("kind", twins(1))
def test_a_kernel_of_the_table_is_its_field_times_the_matrix(kind: str, dim: int) -> None:
    """In closed form to rounding; by nodes as well, but for the bump, whose weights the table scales to sum to 1."""
    kernel, ours = twins(dim)[kind]
    x, field = points(dim), wave(dim, channels=2)
    assert_close(field.convolve(ours)(x), field.convolve(kernel)(x), 16)
    found, expected = (field.convolve(k, exact=False)(x) for k in (ours, kernel))
    assert error(found, expected) <= (1e-4 if kind == "bump" else 3e-13)
    smooth = (noise(2, *(6,) * dim), (0.5,) * dim)
    assert_close(
        Interpolated(*smooth).convolve(ours)(x), Interpolated(*smooth).convolve(kernel)(x), 100
    )


@every_dim
@every_dtype
def test_gaussians_are_convolved_in_closed_form(dim: int, dtype: torch.dtype) -> None:
    """A Gaussian kernel of the table and as a field agree on Gaussians and Gabors, whose dtype stays."""
    kernel, ours = twins(dim)["Gaussian"]
    x, f = points(dim), torch.tensor([FREQUENCY[:dim]] * 3, dtype=dtype)
    gaussians = blobs(dim, dtype)
    gabors = Gabors(gaussians.centers, gaussians.amplitudes, gaussians.widths, f)
    for field in (gaussians, gabors):
        found = field.convolve(ours)
        assert isinstance(found, type(field))
        assert found.dtype == dtype
        assert_close(found(x), field.convolve(kernel)(x), 16)


def envelopes(dim: int) -> dict[str, Field]:
    """Two terms beside the origin, with widths per axis and with covariances, with and without waves."""
    centers, amplitudes = [CENTER[:dim], WIDTHS[:dim]], [[1.0], [-0.7]]
    turned = torch.eye(dim).double() * 0.08 + 0.02
    f = [FREQUENCY[:dim], WIDTHS[:dim]]
    complex_ones = torch.tensor([[1.0 + 0.5j], [-0.7j]], dtype=torch.complex128)
    return {
        "Gaussians": Gaussians(centers, amplitudes, [WIDTHS[:dim]] * 2),
        "Gaussians, turned": Gaussians(centers, amplitudes, torch.stack([turned, 2 * turned])),
        "Gabors": Gabors(centers, complex_ones, [WIDTHS[:dim]] * 2, f),
        "Gabors, turned": Gabors(centers, amplitudes, torch.stack([turned, 2 * turned]), f),
    }


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("field", envelopes(1))
@pytest.mark.parametrize("kernel", envelopes(1))
def test_envelopes_stay_envelopes(field: str, kernel: str, dim: int) -> None:
    """(K*F)^ = K̂F̂, both in closed form; and nodes come to the same."""
    source, ours = envelopes(dim)[field], FieldKernel(envelopes(dim)[kernel], [[1.5], [0.5]])
    found = source.convolve(ours)
    assert isinstance(found, Gabors if "Gabors" in field + kernel else Gaussians)
    f = 0.7 * noise(6, dim)
    product = ours.transform(f) @ source.transform(f)[..., None]
    assert_close(found.transform(f), product[..., 0], 100)
    x = points(dim, 3)
    assert error(found(x), source.convolve(ours, nodes=32, exact=False)(x)) <= 1e-11


@every_dim
def test_a_gabor_beside_the_origin_by_brute_force(dim: int) -> None:
    """Σ_j w K(y_j)F(x − y_j), K written out, on a lattice of its own."""
    h, n = 0.05, {1: 200, 2: 90, 3: 44}[dim]
    gabor = Gabors([CENTER[:dim]], [[0.8 - 0.6j]], [0.12], [FREQUENCY[:dim]])
    kernel = FieldKernel(gabor, [[2.0], [-1.0]])
    axes = [h * np.arange(-n // 2, n // 2) + round(c / h) * h for c in CENTER[:dim]]
    y = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, dim)
    z = y - np.array(CENTER[:dim])
    turns = np.exp(2j * math.pi * z @ np.array(FREQUENCY[:dim]))
    density = ((0.8 - 0.6j) * np.exp(-(z**2).sum(-1) / (2 * 0.12**2)) * turns).real
    field, x = wave(dim), points(dim, 4)
    values = [float(density @ field(p - torch.from_numpy(y))[:, 0].numpy()) * h**dim for p in x]
    expected = torch.tensor(values, dtype=DOUBLE)[:, None] * torch.tensor([[2.0, -1.0]])
    found = field.convolve(kernel, nodes=16, exact=False)(x)
    assert error(found, expected) <= 1e-10 * 0.12**dim
    assert error(field.convolve(kernel)(x), expected) <= 1e-10 * 0.12**dim


def test_a_gabor_on_samples_is_a_sum() -> None:
    """h Σ_j K(jh) f[i − j], K written out, by numpy."""
    h, n = 0.25, 64
    values = noise(1, n)
    kernel = FieldKernel(Gabors([[0.7]], [[1.0]], [0.2], [[0.4]]), [[1.0]])
    y = h * np.arange(-40, 41)
    taps = np.exp(-((y - 0.7) ** 2) / (2 * 0.2**2)) * np.cos(2 * math.pi * 0.4 * (y - 0.7)) * h
    found = Samples(values, Grid(n, h)).convolve(kernel)
    for i in (0, 3, 40):
        expected = sum(
            t * float(values[0, (i - j) % n]) for j, t in zip(range(-40, 41), taps, strict=True)
        )
        place = float(found.grid.origin[0]) / h
        index = (i - round(place)) % n
        assert abs(float(found.values[0, index]) - expected) <= 1e-10


def test_an_adaptive_quadrature_of_scipy_on_the_line() -> None:
    """∫ K(y)F(x − y) dy for a Gabor and for a ball."""
    f = Formula(lambda x: torch.exp(torch.sin(3 * x)), 1, 1)
    fields = {
        "Gabor": (Gabors([[0.7]], [[1j]], [0.2], [[0.9]]), (-1.0, 2.4), 1e-10),
        "ball": (Balls([[0.7]], [[2.0]], [0.31]), (0.39, 1.01), 1e-3),
    }
    for field, (low, high), bound in fields.values():
        found = f.convolve(FieldKernel(field, [[1.0]]), nodes=64)([0.3]).item()
        expected = scipy.integrate.quad(
            lambda y, k=field: float(k([y])) * math.exp(math.sin(3 * (0.3 - y))),
            low,
            high,
            limit=200,
            epsabs=1e-12,
        )[0]
        assert abs(found - expected) <= bound


# --- shapes with edges ------------------------------------------------------------------------------------------


def edged(dim: int) -> dict[str, Field]:
    """Shapes beside the origin, on no lattice."""
    c = [CENTER[:dim]]
    return {
        "ball": Balls(c, [[1.5]], [0.63]),
        "box": Boxes(c, [[1.5]], [(0.83, 0.57, 0.71)[:dim]]),
        "ball, moved": Balls(origin(dim), [[1.5]], [0.63]).translate(CENTER[:dim]),
        "both": Balls(c, [[1.5]], [0.63]) - 0.5 * Boxes(origin(dim), [[1.0]], [0.9]),
        "with a Gaussian": Boxes(c, [[1.0]], [0.9]) + Gaussians(origin(dim), [[0.5]], [0.3]),
    }


def mass(kernel: FieldKernel, node: float, dim: int) -> float:
    return sum(float(s.taps.sum()) for s in kernel.stencils((node,) * dim, (node,) * dim))


@every_dim
@pytest.mark.parametrize("kind", edged(1))
@pytest.mark.parametrize("node", [0.5, 0.37, 0.11])
def test_cells_add_up_to_the_integral(kind: str, node: float, dim: int) -> None:
    """Σ_j w_j = ∫F to rounding, wherever the nodes lie; with a Gaussian as far as its nodes tell it."""
    field = edged(dim)[kind]
    found = mass(FieldKernel(field, [[1.0]]), node, dim)
    slack = 2e-2 if node > 0.3 and "Gaussian" in kind else 1e-10 if "Gaussian" in kind else 1e-12
    assert found == pytest.approx(float(field.integrate()), rel=slack)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_ball_on_the_lattice_has_the_weights_of_a_centred_one(dim: int) -> None:
    h, steps = 0.1, (3, -2, 5)[:dim]
    moved = Balls([[s * h for s in steps]], [[1.0]], [0.43])
    (found,) = FieldKernel(moved, [[1.0]]).stencils((h,) * dim, (h,) * dim)
    (still,) = BallKernel(0.43, [[1.0]]).stencils((h,) * dim, (h,) * dim)
    assert found.first == tuple(f + s for f, s in zip(still.first, steps, strict=True))
    assert_close(found.taps / found.taps.sum(), still.taps, 1e4, float(still.taps.max()))


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("kind", ["ball", "box", "both"])
def test_edges_converge_at_second_order(kind: str, dim: int) -> None:
    """In the mean over places between the nodes."""
    grid, refinements = Grid((3, 2)[:dim], 0.5, 0.1, boundary="none"), [2, 4, 8, 16]
    total = np.zeros(len(refinements))
    for move in np.linspace(0.0, 0.25, 8, endpoint=False):
        kernel = FieldKernel(edged(dim)[kind].translate([move] * dim), [[1.0]])
        true = sample(wave(dim).convolve(kernel), grid, prefilter="none").values
        by_nodes = wave(dim).convolve(kernel, exact=False)
        for i, m in enumerate(refinements):
            found = sample(by_nodes, grid, refinement=m, prefilter="none").values
            total[i] += error(found, true)
    assert order(list(total), refinements) >= 1.85


def test_other_edges_are_averaged_over_their_cells() -> None:
    """A sprite, a disc by a formula, and a product: the mass, to less than a cell's 64th at every point of the rim."""
    disc = Formula(lambda x: (x.norm(dim=-1, keepdim=True) < 1).to(x), 2, 1, jumps=True)
    cases = {
        "sprite": (Sprites("heart", [[0.3, 0.1]], [[1.0]], [1.0], [0.4]), 0.5 + math.pi / 8),
        "product": (disc * Boxes([[0.0, 0.0]], [[1.0]], [4.0]), math.pi),
    }
    for field, area in cases.values():
        assert mass(FieldKernel(field, [[1.0]]), 0.25, 2) == pytest.approx(area, rel=5e-3)
        (stencil,) = FieldKernel(field, [[1.0]]).stencils((0.25,) * 2, (0.25,) * 2)
        partial = (stencil.taps > 1e-6) & (stencil.taps < 0.25**2 - 1e-6)
        assert int(partial.sum()) > 8


# --- gradients, dtypes, what it is made of -----------------------------------------------------------------------


@every_dim
def test_gradients_reach_the_matrix_and_the_field(dim: int) -> None:
    x = points(dim, 2)

    def by_nodes(matrix: Tensor, center: Tensor, amplitude: Tensor, width: Tensor) -> Tensor:
        kernel = FieldKernel(Gaussians(center, amplitude, width), matrix)
        return wave(dim).convolve(kernel, nodes=3, exact=False)(x)

    def closed(matrix: Tensor, center: Tensor, amplitude: Tensor, width: Tensor) -> Tensor:
        kernel = FieldKernel(Gaussians(center, amplitude, width), matrix)
        return blobs(dim, channels=1).convolve(kernel)(x)

    given = (noise(2, 1), noise(1, dim, seed=1), noise(1, 1, seed=2), 0.3 + noise(1, seed=3) ** 2)
    for value in (by_nodes, closed):
        inputs = [v.clone().requires_grad_() for v in given]
        torch.autograd.gradcheck(value, inputs, fast_mode=True, atol=1e-4)


def test_layers_learn_the_matrix_alone() -> None:
    layer = Conv(FieldKernel(Gabors([[0.1]], [[1.0]], [0.3], [[1.0]]), torch.tensor(MATRIX)))
    assert [name for name, _ in layer.named_parameters()] == ["matrix"]
    assert repr(layer) == "Conv(FieldKernel, 2 → 3 channels)"


@every_dtype
def test_the_matrix_says_the_dtype(dtype: torch.dtype) -> None:
    field = Gaussians([[0.1]], [[1.0]], [0.3])
    matrix = torch.tensor(MATRIX, dtype=dtype)
    found = wave(1, channels=2).to(dtype).convolve(FieldKernel(field, matrix), exact=False)
    assert found.dtype == dtype
    exact = wave(1, channels=2).convolve(FieldKernel(field, MATRIX), exact=False)([0.2])
    assert error(found([0.2]).double(), exact) <= 64 * eps(dtype)
    assert FieldKernel(field, MATRIX).weak
    assert not FieldKernel(field, matrix).weak


def test_closed_forms_follow_the_tensors_of_the_kernels_field() -> None:
    """Changed unseen; in a basis, behind a translation, and in a closed convolution of its own, too."""
    amplitude = torch.tensor([[1.0]], dtype=DOUBLE)
    field, x = Gaussians([[0.2]], amplitude, [0.4]), torch.tensor([[0.3], [-0.2]], dtype=DOUBLE)
    blurred = field.convolve(GaussianKernel(0.2, [[1.0]]))
    kernels = [
        FieldKernel(field, [[1.0]]),
        FieldKernel(blurred, [[1.0]]),
        FieldKernel(field.translate([0.1]), [[1.0]]),
        BasisKernel([FieldKernel(field, [[1.0]])], [[[1.0]]]),
    ]
    for kernel in kernels:
        for source in (blobs(1, channels=1), wave(1)):
            found = source.convolve(kernel)
            before = found(x)
            amplitude.data.mul_(2)
            assert_close(found(x), 2 * before, 100)


def test_a_basis_of_fields_is_their_sum() -> None:
    parts = [Gaussians([[0.6, 0.1]], [[1.0]], [0.2]), Balls([[-0.3, 0.4]], [[1.0]], [0.4])]
    coefficients = noise(2, 3, 2)
    basis = BasisKernel([FieldKernel(p, [[1.0]]) for p in parts], coefficients)
    field, x = wave(2, channels=2), points(2, 3)
    for exact in (True, False):
        each = (
            field.convolve(FieldKernel(p, m), nodes=8, exact=exact)(x)
            for p, m in zip(parts, coefficients, strict=True)
        )
        found = field.convolve(basis, nodes=8, exact=exact)(x)
        assert error(found, sum(each)) <= (1e-13 if exact else 2e-3)


def test_constants_are_multiplied_by_the_integral() -> None:
    field = Gabors([[0.3]], [[1.0]], [0.5], [[0.2]])
    found = Constant([2.0], 1).convolve(FieldKernel(field, [[3.0]]))([0.0])
    assert_close(found, 6 * field.integrate(), 16)


def test_it_says_what_it_is() -> None:
    kernel = FieldKernel(Balls([[0.5, 0.0]], [[1.0]], [0.25]), [[1.0]])
    assert repr(kernel) == (
        "FieldKernel(Balls(dim=2, channels=1, batch=(), dtype=torch.float64), 1 → 1 channels)"
    )
    assert kernel.reach(2) == (0.75, 0.25)
    assert kernel.spacings(None, 4, 2) == (0.0625, 0.0625)
    assert kernel.bandwidth(1e-3, 2) is None
    assert kernel.dtype == DOUBLE


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (lambda: FieldKernel(torch.exp, [[1.0]]), TypeError, "made of a Field, got"),
        (lambda: FieldKernel(blobs(1), [[1.0]]), ValueError, r"one channel and no batch, got 2 ch"),
        (
            lambda: FieldKernel(blobs(1, channels=1).translate(torch.zeros(2, 1)), [[1.0]]),
            ValueError,
            r"no batch, got 1 channels and batch \(2,\)",
        ),
        (lambda: FieldKernel(wave(1), [[1.0]]), ValueError, "must be known to decay"),
        (
            lambda: FieldKernel(Balls([[0.0]], [[1.0]], [1.0]), [1.0]),
            ValueError,
            "matrix must have",
        ),
        (
            lambda: wave(2).convolve(FieldKernel(Balls([[0.0]], [[1.0]], [1.0]), [[1.0]])),
            ValueError,
            "this kernel lives in 1 dimensions, the feature map has 2",
        ),
    ],
)
def test_bad_input(build: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()
