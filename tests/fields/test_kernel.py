"""Kernels: what they do to plane waves is their Fourier transform; how fast nodes converge."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from fields import Atoms, BoxKernel, Constant, Field, GaussianKernel, Gaussians, Kernel, PlaneWaves
from fields.evaluation.evaluation import evaluate
from fields.lattice import Lattice
from tests.compare import assert_close, error, order, relative_error
from tests.laws.registry import DIMS, points

every_dim = pytest.mark.parametrize("dim", DIMS)
FREQUENCY = (0.4, -0.3, 0.25)


def wave(dim: int) -> PlaneWaves:
    """cos(2πf·x + 1)."""
    return PlaneWaves([FREQUENCY[:dim]], [[complex(math.cos(1), math.sin(1))]])


def on_nodes(field: Field, spacing: float, origin: float = 0.1) -> torch.Tensor:
    """Values (c, 4, …, 4) half a unit apart, all quadratures on nodes `spacing` apart."""
    dim = field.dim
    lattice = Lattice(torch.full((dim,), origin).double(), (0.5,) * dim, (4,) * dim)
    return evaluate(field, lattice, (spacing,) * dim)


def errors(
    layer: Callable[[Field], Field], field: Field, exact: Field, refinements: list[int]
) -> list[float]:
    expected = on_nodes(exact, 0.5)
    return [relative_error(on_nodes(layer(field), 0.5 / m), expected) for m in refinements]


def transfer(field: PlaneWaves, factor: complex) -> PlaneWaves:
    """The wave times the kernel's transform at its frequency."""
    return PlaneWaves(field.frequencies, field.amplitudes * factor)


# --- against closed forms -----------------------------------------------------------------------


@every_dim
@pytest.mark.parametrize("refinement", [2, 4, 8, 16, 32])
def test_box_kernel_is_second_order(dim: int, refinement: int) -> None:
    """Its transform is ∏ sinc(s_i f_i); error ≤ h² Σ_i (|∂_i² F|/24 + |∂_i F|/(4 s_i)).

    Midpoint rule inside; the part δh of a cell at the rim is δ(1 − δ)h²/2 ≤ h²/8 off its middle.
    """
    sides, h = np.array([0.83, 1.1, 0.6][:dim]), 0.5 / refinement
    factor, slopes = (
        np.prod(np.sinc(sides * FREQUENCY[:dim])),
        2 * math.pi * np.abs(FREQUENCY)[:dim],
    )
    found = on_nodes(wave(dim).convolve(BoxKernel(sides.tolist(), [[1.0]]), exact=False), h)
    bound = h**2 * float((slopes**2 / 24 + slopes / (4 * sides)).sum())
    assert error(found, on_nodes(transfer(wave(dim), factor), h)) <= bound


@every_dim
def test_gaussian_kernel_converges_spectrally(dim: int) -> None:
    """Its transform is exp(−2π² Σ w_i² f_i²): 1e-11 with nodes a width apart or less.

    What is cut off beyond seven widths is 3e-12 of the integral per axis.
    """
    widths = [0.3, 0.4, 0.25][:dim]
    factor = math.exp(
        -2 * math.pi**2 * sum((w * f) ** 2 for w, f in zip(widths, FREQUENCY, strict=False))
    )
    kernel = GaussianKernel(widths, [[1.0]])
    found = errors(
        lambda f: f.convolve(kernel, exact=False), wave(dim), transfer(wave(dim), factor), [1, 2, 4]
    )
    assert found[0] > 1e-7
    assert found[2] < 1e-11


@every_dim
def test_gaussian_kernel_widens_gaussians(dim: int) -> None:
    """Peak times ∏ w_i/√(w_i² + v_i²), widths √(w_i² + v_i²)."""
    v, w = torch.tensor([0.3, 0.4, 0.25])[:dim].double(), torch.tensor([0.5, 0.4, 0.6])[:dim]
    w = w.double()
    centers = points(dim, 1)
    field = Gaussians(centers, [[1.0]], w[None])
    wide = (v**2 + w**2).sqrt()
    exact = Gaussians(centers, [[float((w / wide).prod())]], wide[None])
    layer = GaussianKernel(v.tolist(), [[1.0]])
    assert errors(lambda f: f.convolve(layer, exact=False), field, exact, [4])[0] < 1e-11


def one_sided(y: torch.Tensor) -> torch.Tensor:
    """exp(y₁ + … + y_d): larger ahead than behind, with jumps at the rim."""
    return torch.exp(y.sum(-1))[..., None, None]


@every_dim
def test_density_with_a_jump_is_second_order(dim: int) -> None:
    """∫ exp(y − 2πi f y) over [−r, r] is 2 sinh(r(1 − 2πi f))/(1 − 2πi f), per axis.

    A correlation in place of the convolution would conjugate it.
    """
    radius = [0.71, 0.5, 0.64][:dim]
    rates = 1 - 2j * math.pi * np.array(FREQUENCY[:dim])
    factor = np.prod(2 * np.sinh(radius * rates) / rates)
    kernel = Kernel(one_sided, 1, 1, radius)
    refinements = [2, 4, 8]
    found = errors(
        lambda f: f.convolve(kernel, exact=False),
        wave(dim),
        transfer(wave(dim), complex(factor)),
        refinements,
    )
    assert order(found, refinements) >= 1.9
    assert found[-1] < 2e-2
    assert (
        errors(
            lambda f: f.convolve(kernel, exact=False),
            wave(dim),
            transfer(wave(dim), factor.conjugate()),
            [8],
        )[0]
        > 0.1
    )


def bump(y: torch.Tensor) -> torch.Tensor:
    """Smooth on R^d, with compact support."""
    inside = (1 - y**2).clamp(min=1e-9)
    return torch.exp(-1 / inside).prod(-1)[..., None, None]


@pytest.mark.parametrize("dim", [1, 2])
def test_smooth_density_converges_faster(dim: int) -> None:
    """Beyond fourth order, where no derivative jumps at the rim."""
    field, kernel = wave(dim), Kernel(bump, 1, 1, 1.0)
    reference = on_nodes(field.convolve(kernel, exact=False), 0.5 / 32)
    coarse, fine = (
        relative_error(on_nodes(field.convolve(kernel, exact=False), 0.5 / m), reference)
        for m in (2, 8)
    )
    assert order([coarse, fine], [2, 8]) > 4
    assert fine < 1e-5


def test_a_tent_is_a_box_twice() -> None:
    """B * (B * F) = T * F, B the box of side 1 and T(y) = 1 − |y|."""
    tent = Kernel(lambda y: (1 - y.abs()).clamp(min=0)[..., None], 1, 1, 1.0)
    box = BoxKernel(1.0, [[1.0]])
    twice, once = (
        wave(1).convolve(box, exact=False).convolve(box, exact=False),
        wave(1).convolve(tent, exact=False),
    )
    assert relative_error(on_nodes(twice, 0.5 / 64), on_nodes(once, 0.5 / 64)) < 1e-3


# --- matrices and integrals ---------------------------------------------------------------------


@every_dim
@pytest.mark.parametrize("nodes", [1, 2, 5])
def test_integral_of_kernels(dim: int, nodes: int) -> None:
    """On a constant field a kernel is its matrix: the box at every spacing, to rounding error."""
    matrix = torch.tensor([[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]], dtype=torch.float64)
    value = torch.tensor([0.7, -0.2], dtype=torch.float64)
    field, x = Constant(value, dim), points(dim, 2)
    box = field.convolve(BoxKernel([0.83, 1.1, 0.6][:dim], matrix), nodes, exact=False)
    assert_close(box(x), (matrix @ value).expand(2, 3), 100)
    smooth = field.convolve(
        GaussianKernel(0.4, matrix), nodes=14 * nodes, exact=False
    )  # nodes at most 0.71 widths apart
    assert relative_error(smooth(x), (matrix @ value).expand(2, 3)) < 1e-11


@every_dim
@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (1, 1)])
def test_channels_mix_by_the_matrix(dim: int, shape: tuple[int, int]) -> None:
    """(K M) * F = M (K * F): matrix and profile commute."""
    matrix = torch.arange(1.0, 1 + math.prod(shape), dtype=torch.float64).reshape(shape)
    field = PlaneWaves([FREQUENCY[:dim]], [[1.0 + 1j, -0.5, 2.0j][: shape[1]]])
    kernel, plain = GaussianKernel(0.3, matrix), GaussianKernel(0.3, torch.eye(shape[1]).double())
    x = points(dim, 3)
    expected = field.convolve(plain, 3, exact=False)(x) @ matrix.mT
    assert_close(field.convolve(kernel, 3, exact=False)(x), expected, 100)


@every_dim
def test_nodes_are_those_of_a_dyadic_lattice(dim: int) -> None:
    """A density of radius r takes about r/nodes, a power of two: layers share their lattice."""
    for radius in (0.3, 1.0, 1.7):
        kernel = BoxKernel(2 * radius, [[1.0]])
        for count in (1, 3, 16):
            for spacing in kernel.spacings(None, count, dim):
                assert math.log2(spacing).is_integer()
                assert count / 2 < radius / spacing < 2 * count


# --- atoms --------------------------------------------------------------------------------------


@every_dim
@pytest.mark.parametrize("offsets", ["lattice", "half", "anywhere", "one", "repeated"])
def test_atoms_are_a_sum(dim: int, offsets: str) -> None:
    """(K*F)(x) = Σ_j w_j F(x − o_j), for any offsets, on lattices and at points."""
    places = {
        "lattice": 0.25 * torch.tensor([[0, 1, 2], [3, -1, 0], [-2, 5, 1]]).double(),
        "half": 0.25 * torch.tensor([[0.5, 0.5, 0.5], [1.5, -0.5, 2.5]]).double(),
        "anywhere": points(3, 4),
        "one": points(3, 1),
        "repeated": torch.tensor([[0.25, 0.5, 0.0]] * 3).double(),
    }[offsets][:, :dim]
    weights = torch.randn(len(places), 3, 2, generator=torch.Generator().manual_seed(0)).double()
    field = PlaneWaves([FREQUENCY[:dim], (0.1,) * dim], [[1.0, 2.0j], [0.3, 1.0]])
    convolved, x = field.convolve(Atoms(places, weights), exact=False), points(dim)
    expected = sum(field(x - o) @ w.mT for o, w in zip(places, weights, strict=True))
    assert_close(convolved(x), expected, 500)
    lattice = Lattice(points(dim, 1)[0], (0.25,) * dim, (3, 2, 2)[:dim])
    x = lattice.points()
    expected = sum(field(x - o) @ w.mT for o, w in zip(places, weights, strict=True))
    assert_close(evaluate(convolved, lattice).movedim(0, -1), expected, 500)


@every_dim
@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_atoms_of_an_array_are_centred(dim: int, side: int) -> None:
    """Tap i lies at (i − (S − 1)/2)·spacing."""
    spacing = [0.5, 0.25, 2.0][:dim]
    array = torch.arange(side**dim, dtype=torch.float64).reshape(*(side,) * dim, 1, 1)
    kernel = Atoms.from_array(array, spacing)
    for index in np.ndindex(*(side,) * dim):
        place = (np.array(index) - (side - 1) / 2) * spacing
        found = np.flatnonzero(np.abs(kernel.offsets.numpy() - place).max(1) < 1e-12)
        assert [float(kernel.weights[j]) for j in found] == [float(array[index])]


def test_convolution_of_atoms_is_convolution_of_arrays() -> None:
    """K * (L * F) = (K * L) * F, arrays convolved by numpy.convolve."""
    left, right = np.array([1.0, 2.0, -1.0]), np.array([0.5, 3.0])

    def kernel(array: np.ndarray) -> Atoms:
        return Atoms.from_array(array[:, None, None], 0.3)

    field, x = wave(1), points(1)
    twice = field.convolve(kernel(right), exact=False).convolve(kernel(left), exact=False)
    assert_close(twice(x), field.convolve(kernel(np.convolve(left, right)), exact=False)(x), 100)


# --- parameters ---------------------------------------------------------------------------------


class Learnt(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        return torch.exp(-self.scale * (y**2).sum(-1))[..., None, None]


@every_dim
@pytest.mark.parametrize("kind", ["Kernel", "GaussianKernel", "BoxKernel", "Atoms"])
def test_gradients_flow_to_weights(dim: int, kind: str) -> None:
    """∂(K*F)(x)/∂K is the limit of differences, by `with_parameters` on both sides."""
    matrix = torch.tensor([[0.5]], dtype=torch.float64, requires_grad=True)
    field, x = wave(dim), points(dim, 2)
    if kind == "Kernel":
        module = Learnt()
        (module(x[:, None, :]).sum() * 0).backward()  # the graph reaches the parameter
        module.zero_grad()
        convolved = field.convolve(Kernel(module, 1, 1, 0.6), nodes=2)
        convolved(x).sum().backward()
        slope = float(module.scale.grad)
        with torch.no_grad():
            module.scale += 1e-6
            above = float(convolved(x).sum())
            module.scale -= 2e-6
            assert slope == pytest.approx((above - float(convolved(x).sum())) / 2e-6, rel=1e-6)
        return
    kernel = {
        "GaussianKernel": GaussianKernel(0.3, matrix),
        "BoxKernel": BoxKernel(0.9, matrix),
        "Atoms": Atoms(points(dim, 3), matrix.expand(3, 1, 1)),
    }[kind]
    name = next(iter(kernel.parameters()))

    def value(weights: torch.Tensor) -> torch.Tensor:
        return field.convolve(kernel.with_parameters({name: weights}), nodes=2, exact=False)(x)

    weights = kernel.parameters()[name].detach().clone().requires_grad_()
    torch.autograd.gradcheck(value, weights, fast_mode=True)
    # weights are what was given, not a copy without gradients
    field.convolve(kernel, nodes=2, exact=False)(x).sum().backward()
    assert matrix.grad is not None
    assert float(matrix.grad.abs()) > 0


# --- bad input ----------------------------------------------------------------------------------

F = wave(2)


class Tent(torch.nn.Module):
    """A density without anything to learn."""

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        return (1 - y.abs()).clamp(min=0).prod(-1)[..., None, None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_module_without_parameters_takes_any_precision(dtype: torch.dtype) -> None:
    """Its kernel has no dtype of its own, and acts as the same function does."""
    kernel, f = Kernel(Tent(), 1, 1, 1.0), Constant(torch.ones(1, dtype=dtype), 2)
    assert kernel.dtype is None
    found = f.convolve(kernel)([0.3, 0.1])
    assert found.dtype == dtype
    assert torch.equal(found, f.convolve(Kernel(Tent().forward, 1, 1, 1.0))([0.3, 0.1]))
    assert (
        error(found, torch.ones(1, dtype=dtype)) < 3e-3
    )  # ∫(1 − |y|) dy = 1, and 1/2n² on n nodes


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (lambda: GaussianKernel(0.0, [[1.0]]), ValueError, "width must be positive"),
        (lambda: GaussianKernel(math.nan, [[1.0]]), ValueError, "width must be finite"),
        (lambda: GaussianKernel(1.0, [1.0]), ValueError, "matrix must have shape"),
        (lambda: BoxKernel((1.0, -1.0), [[1.0]]), ValueError, "sides must be positive"),
        (lambda: BoxKernel(1.0, [[math.inf]]), ValueError, "matrix must be finite"),
        (lambda: Kernel(1.0, 1, 1, 1.0), TypeError, "density must be callable, got float"),
        (lambda: Kernel(bump, 0, 1, 1.0), ValueError, "out_channels must be integers"),
        (lambda: Kernel(bump, 1, 1, 0.0), ValueError, "radius must be positive"),
        (lambda: Atoms([1.0], [[[1.0]]]), ValueError, r"offsets must have shape \(k, d\)"),
        (lambda: Atoms([[1.0]], [[1.0]]), ValueError, r"weights must have shape \(k, out, in\)"),
        (lambda: Atoms([[1.0]], [[[1.0]]] * 2), ValueError, r"\(k, out, in\) = \(1, …\)"),
        (lambda: Atoms([[math.nan]], [[[1.0]]]), ValueError, "offsets must be finite"),
        (lambda: Atoms.from_array(torch.ones(2, 2), 1.0), ValueError, "a kernel array has shape"),
        (lambda: Atoms.from_array(torch.ones(2, 1, 1), 0.0), ValueError, "must be positive"),
        (lambda: F.convolve(torch.ones(3, 3)), TypeError, "expected a kernel .*, got Tensor"),
        (
            lambda: F.convolve(GaussianKernel(1.0, [[1.0, 1.0]])),
            ValueError,
            "the kernel takes 2 channels, the feature map has 1",
        ),
        (
            lambda: F.convolve(GaussianKernel((1.0, 1.0, 1.0), [[1.0]])),
            ValueError,
            "width must be a number or 2 numbers, got 3",
        ),
        (
            lambda: F.convolve(Atoms([[0.0]], [[[1.0]]])),
            ValueError,
            "these atoms have offsets in 1 dimensions, the feature map has 2",
        ),
        (
            lambda: F.convolve(GaussianKernel(1.0, [[1.0]]), nodes=0),
            ValueError,
            "nodes must be integers of at least 1",
        ),
        (
            lambda: F.convolve(Kernel(lambda y: y[..., 0], 1, 1, 1.0), 1)([0.0, 0.0]),
            ValueError,
            r"must return shape \(3, 3, 1, 1\) for points",
        ),
        (
            lambda: F.convolve(Kernel(lambda y: bump(y) / 0, 1, 1, 1.0), 1)([0.0, 0.0]),
            ValueError,
            "the kernel's density must be finite",
        ),
    ],
)
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()
