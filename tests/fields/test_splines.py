"""Piecewise interpolants: their samples, scipy's splines, orders of convergence, derivatives."""

import itertools
import math

import numpy as np
import pytest
import scipy.ndimage
import torch

from fields import Interpolated
from fields.accuracy import FEW_SAMPLES as FEW
from fields.evaluation.evaluation import evaluate
from fields.interpolation.piecewise import PIECEWISE
from fields.interpolation.splines import Table
from fields.lattice import Lattice
from fields.leaves.interpolated import METHODS
from tests.compare import assert_close, eps
from tests.laws.registry import DIMS, points

BOUNDARIES = ("periodic", "zero", "reflect", "nearest")
SIZES = (6, 5, 4)
ORDERS = {"nearest": 0, "linear": 1, "cubic": 3, "quintic": 5}
every_dim = pytest.mark.parametrize("dim", DIMS)
every_method = pytest.mark.parametrize("method", PIECEWISE)
every_boundary = pytest.mark.parametrize("boundary", BOUNDARIES)


def noise(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(math.prod(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def built(dim: int, method: str, boundary: str, *lead: int) -> Interpolated:
    spacing, origin = (0.5, 0.3, 0.7)[:dim], [0.1, -0.2, 5.0][:dim]
    return Interpolated(noise(*lead, 2, *SIZES[:dim]), spacing, origin, method, boundary)


@every_dim
@every_method
@every_boundary
def test_interpolates_its_samples(dim: int, method: str, boundary: str) -> None:
    """F(origin + h·i) = values[i]; lattices and points give the same off the samples, too."""
    field = built(dim, method, boundary)
    own = Lattice(field.origin, field.spacing, field.shape)
    assert_close(evaluate(field, own), field.values, 200)
    off = Lattice(field.origin - 1.03, tuple(0.37 * h for h in field.spacing), (9, 8, 7)[:dim])
    assert_close(field(off.points()).movedim(-1, 0), evaluate(field, off), 500, 3.0)


@every_dim
@pytest.mark.parametrize("method", ORDERS)
@every_boundary
def test_against_scipy(dim: int, method: str, boundary: str) -> None:
    """The spline through the samples continued; scipy is given them continued by 60 a side."""
    values = noise(1, *SIZES[:dim])
    pad = {1: 60, 2: 60, 3: 50}[dim]
    mode = {"periodic": "wrap", "zero": "constant", "reflect": "reflect", "nearest": "edge"}
    wide = np.pad(values[0].numpy(), pad, mode=mode[boundary])
    x = 4 * points(dim, 30)
    oracle = scipy.ndimage.map_coordinates(
        wide, (x + pad).numpy().T, order=ORDERS[method], mode="mirror"
    )
    field = Interpolated(values, (1.0,) * dim, method=method, boundary=boundary)
    assert_close(field(x)[:, 0], oracle, 2000)


@pytest.mark.parametrize(("boundary", "mode"), [("periodic", "grid-wrap"), ("reflect", "mirror")])
@pytest.mark.parametrize("method", ["linear", "cubic", "quintic"])
def test_against_scipy_boundaries(method: str, boundary: str, mode: str) -> None:
    values, x = noise(1, 12, 9), 9 * torch.rand(50, 2, generator=torch.manual_seed(0)).double()
    oracle = scipy.ndimage.map_coordinates(
        values[0].numpy(), x.numpy().T, order=ORDERS[method], mode=mode
    )
    field = Interpolated(values, (1.0, 1.0), method=method, boundary=boundary)
    assert_close(field(x)[:, 0], oracle, 500)


@every_dim
@every_method
def test_reflected_samples_repeat(dim: int, method: str) -> None:
    """F(2o − x) = F(x) = F(x + 2(N − 1)h): that is the period, half of it is none."""
    field, x = built(dim, method, "reflect"), points(dim)
    period = [2 * (n - 1) * h for n, h in zip(field.shape, field.spacing, strict=True)]
    assert field.period == pytest.approx(period, rel=1e-15)
    assert field.is_periodic(period)
    assert not field.is_periodic([p / 2 for p in period])
    for axis, p in enumerate(period):
        step = p * torch.eye(dim, dtype=torch.float64)[axis]
        mirrored = torch.where(step > 0, 2 * field.origin - x, x)
        assert_close(field(x + step), field(x), 2000, 3.0)
        assert_close(field(mirrored), field(x), 2000, 3.0)


def test_the_integral_of_reflected_samples() -> None:
    """Linear in between: over the period twice the trapezoidal rule; one sample alone is a constant."""
    field = built(1, "linear", "reflect")
    expected = 2 * field.spacing[0] * torch.trapezoid(field.values)
    assert_close(field.integrate(rtol=1e-8), expected, 1e-8 / eps(expected.dtype), 2.0)
    flat = Interpolated(noise(2, 1), 0.5, method="cubic", boundary="reflect")
    assert flat.period == (0.0,)
    assert_close(flat([7.3]), flat.values[:, 0], 10)


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("method", ORDERS)
def test_order_of_convergence(method: str, dim: int) -> None:
    """The error falls by 2^(p+1) at each of four halvings."""
    x = torch.rand(20_000, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    phase = torch.tensor([0.3, 1.1], dtype=torch.float64)[:dim]

    def wave(x: torch.Tensor) -> torch.Tensor:
        return torch.sin(2 * math.pi * x + phase).prod(-1)

    errors = []
    for n in (16, 32, 64, 128, 256):
        lattice = Lattice(torch.zeros(dim).double(), (1 / n,) * dim, (n,) * dim)
        samples = wave(lattice.points())
        field = Interpolated(samples[None], (1 / n,) * dim, method=method)
        errors.append(float((field(x)[:, 0] - wave(x)).abs().max()))
    slopes = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert all(abs(s - (ORDERS[method] + 1)) < 0.15 for s in slopes), slopes


@every_method
@every_boundary
def test_batches(method: str, boundary: str) -> None:
    """Values (3, 1) and origins (3, 2) broadcast, at points, on small lattices and large."""
    values, origins, x = noise(3, 1, 2, 6, 5), noise(3, 2, 2), points(2)
    options = {"spacing": (0.5, 0.5), "method": method, "boundary": boundary}
    field = Interpolated(values, origin=origins, **options)
    lattices = [Lattice(noise(3, 2, 2), (0.2, 0.2), s) for s in ((4, 3), (70, 71))]
    on_grids = [evaluate(field, lattice) for lattice in lattices]
    for i, j in np.ndindex(3, 2):
        alone = Interpolated(values[i, 0], origin=origins[i, j], **options)
        assert_close(field(x)[i, j], alone(x), 200, 1.0)
        for lattice, on_grid in zip(lattices, on_grids, strict=True):
            own = Lattice(lattice.origin[i, j], lattice.spacing, lattice.shape)
            assert_close(on_grid[i, j], evaluate(alone, own), 500, 1.0)


@every_dim
@every_method
def test_constants_are_reproduced(dim: int, method: str) -> None:
    for boundary in ("periodic", "reflect", "nearest"):
        field = Interpolated(
            torch.ones(1, *SIZES[:dim]).double(), (0.5,) * dim, 0.0, method, boundary
        )
        assert_close(field(3 * points(dim)), torch.ones(5, 1), 100)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@every_method
def test_single_samples(method: str, boundary: str) -> None:
    field = Interpolated(torch.full((1, 1), 2.0).double(), 1.0, method=method, boundary=boundary)
    assert_close(field([0.0]), torch.tensor([2.0]), 100)


@every_method
def test_group_law(method: str) -> None:
    """t▷(s▷F) = (t + s)▷F."""
    field, x = built(2, method, "periodic"), points(2)
    s, t = torch.tensor([0.31, 0.17]).double(), torch.tensor([-0.23, 0.59]).double()
    assert_close(field.translate(s).translate(t)(x), field.translate(s + t)(x), 1000)


@every_dim
@pytest.mark.parametrize("boundary", METHODS["cubic"])
@pytest.mark.parametrize("method", ["linear", "cubic", "quintic", "lanczos3"])
def test_derivatives(dim: int, method: str, boundary: str) -> None:
    """In values and points, backward and forward."""
    sizes = (3, 2, 2)[:dim]
    values = noise(1, *sizes).requires_grad_()
    x = (0.77 * points(dim, 2) + 0.13).requires_grad_()

    def at(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return Interpolated(values, (0.5,) * dim, 0.0, method, boundary)(x)

    assert torch.autograd.gradcheck(at, (values, x))
    kept = Interpolated(values.detach(), (0.5,) * dim, 0.0, method, boundary)
    (backward,) = torch.autograd.grad(kept(x).sum(), x)
    assert_close(kept.gradient(x.detach())[:, 0], backward, 1000, 10.0)


@every_dim
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_derivatives_of_steps(dim: int, boundary: str) -> None:
    """The nearest sample: linear in the values, and flat in between."""
    values, x = noise(1, *(3, 2, 2)[:dim]).requires_grad_(), 0.77 * points(dim, 3) + 0.13
    options = {"spacing": (0.5,) * dim, "method": "nearest", "boundary": boundary}
    assert torch.autograd.gradcheck(lambda v: Interpolated(v, **options)(x), (values,))
    assert not Interpolated(values.detach(), **options).gradient(x).any()


@every_dim
@every_method
def test_runs_and_single_taps_agree(dim: int, method: str) -> None:
    table = Table(noise(3, *SIZES[:dim]), PIECEWISE[method], "periodic")
    x = 10 * points(dim, 20)
    assert_close(table._by_runs(x), table._by_taps(x, 0, 3), 50)


def test_single_precision() -> None:
    field = built(2, "cubic", "reflect")
    low = Interpolated(field.values.float(), field.spacing, field.origin, "cubic", "reflect")
    x = points(2)
    assert low(x).dtype == torch.float32
    assert_close(low(x), field(x), 50)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect", "nearest"])
@pytest.mark.parametrize("method", list(PIECEWISE))
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_three_ways_to_sum_agree(method: str, boundary: str, dim: int, dtype: torch.dtype) -> None:
    """Compiled for few maps, by runs of memory for many, tap by tap where gradients are followed."""
    shape = (7, 5, 6)[:dim]
    draw = torch.Generator().manual_seed(dim)
    values = torch.randn(FEW + 1, *shape, generator=draw, dtype=dtype)
    x = 12 * torch.rand(50, dim, generator=draw, dtype=torch.float64) - 3
    options = {"spacing": (0.7,) * dim, "origin": [0.3] * dim}
    many = Interpolated(values, method=method, boundary=boundary, **options)(x)
    few = Interpolated(values[:2], method=method, boundary=boundary, **options)(x)
    tracked = Interpolated(values.requires_grad_(), method=method, boundary=boundary, **options)(x)
    tolerance = 100 * torch.finfo(dtype).eps * float(values.detach().abs().amax())
    assert float((few - many[:, :2]).abs().amax()) <= tolerance
    assert float((tracked - many).detach().abs().amax()) <= tolerance
