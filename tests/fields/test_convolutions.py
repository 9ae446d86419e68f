"""Convolutions in closed form agree with the quadrature, commute with translations, and are differentiable."""

import pytest
import torch

from fields import (
    Atoms,
    BoxKernel,
    Field,
    Gabors,
    GaussianKernel,
    Gaussians,
    Kernel,
    PlaneWaves,
)
from fields.algebra.local import Convolved
from fields.evaluation.evaluation import evaluate
from fields.kernels.kernel import MatrixKernel
from fields.lattice import Lattice
from tests.compare import assert_close, error
from tests.laws.registry import (
    Draw,
    atoms,
    average,
    blur,
    constant,
    gabors,
    gabors_covariance,
    gaussians,
    gaussians_covariance,
    gaussians_per_axis,
    periodic_gaussians,
    plane_waves,
    points,
    scattered_atoms,
    spiral,
    waves_on_a_grid,
)

CLOSED = {
    "Constant, Gaussian": (constant, blur),
    "Constant, box": (constant, average),
    "Constant, atoms": (constant, scattered_atoms),
    "Gaussians": (gaussians, blur),
    "Gaussians, widths per axis": (gaussians_per_axis, blur),
    "Gaussians, covariances": (gaussians_covariance, blur),
    "Gabors": (gabors, blur),
    "Gabors, covariances": (gabors_covariance, blur),
    "periodized": (periodic_gaussians, blur),
    "PlaneWaves, Gaussian": (plane_waves, blur),
    "PlaneWaves, box": (waves_on_a_grid, average),
    "PlaneWaves, atoms": (waves_on_a_grid, lambda d: atoms(d, 2)),
    "PlaneWaves, scattered atoms": (plane_waves, scattered_atoms),
    "a multiple, moved": (lambda d: -2.5 * gaussians(d).translate([0.3] * d.dim), blur),
    "a sum": (lambda d: gaussians(d) - waves_on_a_grid(d), blur),
    "a channel, mixed": (lambda d: gaussians(d)[1].mix([[1.0], [-2.0]]), blur),
    "biased": (lambda d: gaussians(d) * d.shared(2) + 0.7, blur),
    "a channel for all": (lambda d: waves_on_a_grid(d) + gaussians(d)[0], blur),
}
closed = pytest.mark.parametrize(("leaf", "kernel"), CLOSED.values(), ids=CLOSED.keys())
low_dim = pytest.mark.parametrize("dim", [1, 2])

#: What a Gaussian kernel's cut-off leaves, and the quadrature of a box by nodes of second order.
CUT, RIM = 1e-11, 2e-4


@low_dim
@closed
def test_closed_forms_agree_with_quadrature(leaf, kernel, dim: int) -> None:
    """K*F in closed form = Σ_j w_j F(x − y_j) on fine nodes; a batch of fields stays one."""
    field, k, x = leaf(Draw(dim, element=None)), kernel(Draw(dim)), points(dim, 3)
    nodes = {"BoxKernel": 64, "GaussianKernel": 28}.get(type(k).__name__, 1)
    found, expected = field.convolve(k), field.convolve(k, nodes, exact=False)
    assert not any(isinstance(node, Convolved) for node in (found, *found.parents))
    assert isinstance(expected, Convolved)
    bound = {"BoxKernel": RIM, "GaussianKernel": CUT}.get(type(k).__name__, 1e-13)
    assert found.batch == field.batch
    assert error(found(x), expected(x)) <= bound * (1 + float(expected(x).abs().max()))
    assert found.period == field.period


@low_dim
@closed
def test_closed_forms_commute_with_translations(leaf, kernel, dim: int) -> None:
    """K*(t▷F) = t▷(K*F) to rounding, one t per element too: both sides take the closed form."""
    field, k, x = leaf(Draw(dim, element=None)), kernel(Draw(dim)), points(dim, 3)
    t = points(dim, 2, seed=5)
    first, last = field.translate(t).convolve(k, nodes=1), field.convolve(k, nodes=1).translate(t)
    assert_close(first(x), last(x), 2000)


@low_dim
@closed
def test_gradients_reach_kernels_and_fields(leaf, kernel, dim: int) -> None:
    """∂(K*F)(x)/∂(matrix or weights, the field's tensors) is the limit of differences."""
    draw, x = Draw(dim), points(dim, 2)
    leaf(draw)
    drawn = [v.requires_grad_() for v in draw.drawn]
    k = kernel(Draw(dim))
    (name,) = k.learnt
    weights = getattr(k, name).clone().requires_grad_()

    def value(w: torch.Tensor, *numbers: torch.Tensor) -> torch.Tensor:
        return leaf(Draw(dim, given=numbers)).convolve(k.with_parameters({name: w}))(x)

    torch.autograd.gradcheck(value, (weights, *drawn), fast_mode=True)


def test_convolutions_of_convolutions() -> None:
    """Widths add in squares: G_v * G_w = G_√(v² + w²)."""
    field, x = gaussians_covariance(Draw(2)), points(2)
    twice = field.convolve(blur(Draw(2))).convolve(GaussianKernel(0.4, torch.eye(2).double()))
    wide = [(w**2 + 0.4**2) ** 0.5 for w in (0.3, 0.2)]
    once = field.convolve(GaussianKernel(wide, blur(Draw(2)).matrix))
    assert isinstance(twice, Gaussians)
    assert_close(twice(x), once(x), 2000)


EYE = torch.eye(2, dtype=torch.float64)


@pytest.mark.parametrize(
    ("field", "kernel"),
    [
        (Gaussians([[0.0]], [[1.0, 0.0]], [1.0]), BoxKernel(1.0, EYE)),
        (PlaneWaves([[0.5]], [[1.0, 0.0]]), Kernel(spiral, 2, 2, 0.5)),
        (Gabors([[0.0]], [[1.0, 0.0]], [1.0], [[0.5]]), Atoms([[0.0]], EYE[None])),
        (
            PlaneWaves([[0.5]], [[1.0, 0.0]]),
            Atoms(torch.arange(20000.0)[:, None], EYE.expand(20000, 2, 2)),
        ),
        (
            PlaneWaves([[0.5]], [[1.0, 0.0]]) + Gaussians([[0.0]], [[1.0, 0.0]], [1.0]),
            BoxKernel(1.0, EYE),
        ),
    ],
    ids=["no closed form", "density", "atoms", "many atoms", "half a sum"],
)
def test_all_else_is_quadrature(field: Field, kernel: MatrixKernel) -> None:
    """A kernel or field without a cheap closed form, or a sum with one such part."""
    assert isinstance(field.convolve(kernel), Convolved)


def test_a_channel_for_all_is_convolved_as_all() -> None:
    """K * (F + g) for F with two channels and g with one, which stands beside both."""
    waves, one = PlaneWaves([[0.5]], [[1.0, 0.5j]]), PlaneWaves([[0.25]], [[1.0]])
    k, x = GaussianKernel(0.5, [[1.0, -2.0], [0.5, 1.0]]), points(1, 4)
    both = waves + one.mix([[1.0], [1.0]])
    assert error((waves + one).convolve(k)(x), both.convolve(k)(x)) <= 1e-10


@low_dim
@pytest.mark.parametrize("spacing", [0.1 * 2**0.5, 0.7 / 3])
def test_lattices_that_no_node_fits(dim: int, spacing: float) -> None:
    """Nodes a power of two apart on a lattice that has no common spacing with them: the same sum as at points."""
    kernel = GaussianKernel(0.3, [[1.0, -2.0], [0.5, 1.0]])
    field = gaussians(Draw(dim)).convolve(kernel, nodes=4, exact=False)
    lattice = Lattice(torch.full((dim,), 0.1).double(), (spacing,) * dim, (3, 2)[:dim])
    found = evaluate(field, lattice).movedim(0, -1)
    assert_close(found, field(lattice.points()), 200)


def test_single_precision_stays() -> None:
    """Closed forms have the dtype of the field."""
    for leaf, kernel in CLOSED.values():
        draw = Draw(2, torch.float32)
        found = leaf(draw).convolve(kernel(draw))
        assert found.dtype == found(points(2)).dtype == torch.float32
