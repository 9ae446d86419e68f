"""Trigonometric sums at scattered points: the direct sum, and derivatives of first and second order."""

import importlib.util
import math

import pytest
import torch

from fields import Interpolated, PlaneWaves
from fields.evaluation.evaluation import evaluate
from fields.interpolation import nonuniform
from fields.interpolation.nonuniform import type1, type2
from fields.lattice import Lattice
from tests.compare import assert_close
from tests.laws.registry import DIMS

SIZES = (5, 3, 3)
every_dim = pytest.mark.parametrize("dim", DIMS)


def draw(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(math.prod(shape))
    return torch.randn(*shape, generator=generator, dtype=dtype)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small, by the non-uniform FFT."""
    monkeypatch.setattr(nonuniform, "pays", lambda *_: True)


def waves(x: torch.Tensor, sign: int, dim: int) -> torch.Tensor:
    """exp(i s k·x), shape (P, modes)."""
    k = [torch.arange(n).double() - n // 2 for n in SIZES[:dim]]
    grid = torch.stack(torch.meshgrid(*k, indexing="ij"), dim=-1).reshape(-1, dim)
    return torch.exp(1j * sign * (x @ grid.T))


@every_dim
@pytest.mark.parametrize("sign", [1, -1])
def test_against_the_sum(dim: int, sign: int) -> None:
    sizes, x = SIZES[:dim], draw(4, dim)
    modes, strengths = draw(2, *sizes, dtype=torch.complex128), draw(2, 4, dtype=torch.complex128)
    direct = waves(x, sign, dim)
    for actual, expected in (
        (type2(modes, x, sign, 1e-14), modes.flatten(1) @ direct.T),
        (type1(strengths, x, sizes, sign, 1e-14).flatten(1), strengths @ direct),
    ):
        assert_close(torch.view_as_real(actual), torch.view_as_real(expected), 1000)


@every_dim
def test_derivatives(dim: int) -> None:
    """Both transforms, backward, forward, and twice."""
    sizes, x = SIZES[:dim], draw(3, dim).requires_grad_()
    modes = draw(1, *sizes, dtype=torch.complex128).requires_grad_()
    strengths = draw(1, 3, dtype=torch.complex128).requires_grad_()
    for fn, inputs in (
        (lambda m, x: type2(m, x, 1, 1e-14), (modes, x)),
        (lambda f, x: type1(f, x, sizes, -1, 1e-14), (strengths, x)),
    ):
        assert torch.autograd.gradcheck(fn, inputs, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(fn, inputs, fast_mode=True)


@every_dim
def test_derivatives_of_the_field(dim: int, always: None) -> None:
    """Values and points, first and second order, even sizes."""
    values, x = draw(1, *(4, 3, 2)[:dim]).requires_grad_(), draw(2, dim).requires_grad_()

    def at(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return Interpolated(values, (0.5,) * dim, eps=1e-14)(x)

    assert torch.autograd.gradcheck(at, (values, x))
    assert torch.autograd.gradgradcheck(at, (values, x))


def penalty(values: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Gradients of Σ|∇F(x)|² in the values and in the points."""
    field = Interpolated(values, (0.5,) * x.shape[-1])
    (slopes,) = torch.autograd.grad(field(x).sum(), x, create_graph=True)
    return torch.autograd.grad(slopes.square().sum(), (values, x))


@every_dim
def test_a_gradient_penalty_equals_the_sums(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = draw(2, *(6, 5, 4)[:dim]).requires_grad_()
    x = draw(20, dim).requires_grad_()
    direct = penalty(values, x)
    monkeypatch.setattr(nonuniform, "pays", lambda *_: True)
    for found, expected in zip(penalty(values, x), direct, strict=True):
        assert_close(found, expected, 1e4)


def some_derivatives(values: torch.Tensor, x: torch.Tensor) -> list[torch.Tensor]:
    """Of F(x): in the values, in the points; of the first in the points, of the second in the values; twice alike."""
    spacing, ones = (0.5,) * x.shape[-1], torch.ones_like

    def at(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return Interpolated(values, spacing)(x)

    by_values = torch.func.grad(lambda v, x: at(v, x).square().sum())
    linear = torch.func.grad(lambda v, x: at(v, x).sum())
    by_points = torch.func.grad(lambda x, v: at(v, x).square().sum())
    jvp = torch.func.jvp
    return [
        by_values(values, x),
        by_points(x, values),
        jvp(lambda v: at(v, x), (values,), (ones(values),))[1],
        jvp(lambda x: at(values, x), (x,), (ones(x),))[1],
        jvp(lambda v: by_values(v, x), (values,), (ones(values),))[1],
        jvp(lambda x: linear(values, x), (x,), (ones(x),))[1],
        torch.func.grad(lambda v: by_values(v, x).square().sum())(values),
        torch.func.grad(lambda x: linear(values, x).square().sum())(x),
    ]


@every_dim
def test_derivatives_in_some_of_the_arguments(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In values alone, in points alone, backward, forward and one after the other: those of the sums."""
    values, x = draw(2, *(6, 5, 4)[:dim]), draw(7, dim)
    direct = some_derivatives(values, x)
    monkeypatch.setattr(nonuniform, "pays", lambda *_: True)
    for found, expected in zip(some_derivatives(values, x), direct, strict=True):
        assert_close(found, expected, 1e4)


def test_what_has_no_derivative_costs_no_transform(
    always: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A derivative in the points alone takes two calls, the sum and its slopes; one in the values, sum and adjoint."""
    calls = []
    real = nonuniform._call
    monkeypatch.setattr(
        nonuniform, "_call", lambda kind, *a, **k: calls.append(kind) or real(kind, *a, **k)
    )
    values, x = draw(1, 6, 5), draw(7, 2)
    field = Interpolated(values, (0.5, 0.5))
    torch.func.jvp(field, (x,), (torch.ones_like(x),))
    assert calls == [2, 2]
    field(x.requires_grad_()).sum().backward()
    assert calls == [2, 2, 2, 2]
    Interpolated(values.requires_grad_(), (0.5, 0.5))(x.detach()).sum().backward()
    assert calls == [2, 2, 2, 2, 2, 1]


def test_other_devices_sum_unless_cufinufft_is_there() -> None:
    """On CUDA as much pays as on the CPU where cufinufft is installed, nothing elsewhere."""
    large, small = (100_000, (1, 1), (512, 512)), (1, (1, 1), (512, 512))
    installed = importlib.util.find_spec("cufinufft") is not None
    answers = {"cpu": True, "cuda": installed, "mps": False, "xpu": False}
    for device, answer in answers.items():
        assert nonuniform.pays(*large, torch.device(device)) is answer
        assert nonuniform.pays(*small, torch.device(device)) is False


@every_dim
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_field_against_its_waves(
    dim: int, channels: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batched values, batched origins and odd numbers of channels, packed in pairs."""
    values, x = draw(2, 1, channels, *(6, 5, 4)[:dim]).to(dtype), 3 * draw(7, dim)
    field = Interpolated(values, (0.5,) * dim, draw(3, dim))
    together = Interpolated(values, (0.5,) * dim)
    direct = field(x), together(x), field.gradient(x)
    monkeypatch.setattr(nonuniform, "pays", lambda *_: True)
    for actual, expected in zip((field(x), together(x), field.gradient(x)), direct, strict=True):
        assert_close(actual, expected, 1e4 if dtype == torch.float64 else 100)


@pytest.mark.parametrize(
    "sizes", [(4096,), (1025,), (64, 64), (63, 80), (512, 512), (31, 33, 20)], ids=str
)
def test_band_limited_images_to_1e_12(sizes: tuple[int, ...], always: None) -> None:
    """Samples of 20 waves up to the last below Nyquist, at scattered points and on a shifted lattice: the waves."""
    dim, noise = len(sizes), torch.Generator().manual_seed(0)
    highest = torch.tensor([(n - 1) // 2 for n in sizes])
    modes = (2 * torch.rand(20, dim, generator=noise) - 1) * (highest + 0.99)
    modes = torch.cat([modes.trunc(), highest[None]])
    image = PlaneWaves(modes.double(), draw(21, 1, dtype=torch.complex128), period=1.0)
    spacing = tuple(1 / n for n in sizes)
    samples = evaluate(image, Lattice(torch.zeros(dim).double(), spacing, sizes))
    field, bound = Interpolated(samples, spacing), 1e-12 * float(samples.abs().max())
    x = torch.rand(3000, dim, generator=noise, dtype=torch.float64)
    x = (x * 2**20).round() / 2**20  # so that 2000 cycles are counted exactly
    assert float((field(x) - image(x)).abs().max()) <= bound
    shifted = evaluate(field, Lattice(x[0], spacing, sizes))[0]
    index = torch.stack([torch.randint(n, (3000,), generator=noise) for n in sizes])
    expected = image(x[0] + index.T * torch.tensor(spacing, dtype=torch.float64))[:, 0]
    assert float((shifted[tuple(index)] - expected).abs().max()) <= bound
