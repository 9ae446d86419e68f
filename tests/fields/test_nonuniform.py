"""Trigonometric sums at scattered points: the direct sum, and derivatives of first and second order."""

import math

import pytest
import torch

from fields import Interpolated, nonuniform, random_bandlimited
from fields.lattice import Lattice, evaluate
from fields.nonuniform import type1, type2
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
        assert torch.autograd.gradcheck(fn, inputs, check_forward_ad=True, fast_mode=True)
        assert torch.autograd.gradgradcheck(fn, inputs, fast_mode=True)


@every_dim
def test_derivatives_of_the_field(dim: int, always: None) -> None:
    """Values and points, first and second order, even sizes."""
    values, x = draw(2, *(4, 3, 2)[:dim]).requires_grad_(), draw(3, dim).requires_grad_()

    def at(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return Interpolated(values, (0.5,) * dim, eps=1e-14)(x)

    assert torch.autograd.gradcheck(at, (values, x), fast_mode=True)
    assert torch.autograd.gradgradcheck(at, (values, x), fast_mode=True)


def penalty(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Gradient of Σ|∇F(x)|² in the values."""
    field = Interpolated(values, (0.5, 0.5))
    (slopes,) = torch.autograd.grad(field(x).sum(), x, create_graph=True)
    (grown,) = torch.autograd.grad(slopes.square().sum(), values)
    return grown


def test_a_gradient_penalty_equals_the_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    values, x = draw(1, 6, 5).requires_grad_(), draw(20, 2).requires_grad_()
    direct = penalty(values, x)
    monkeypatch.setattr(nonuniform, "pays", lambda *_: True)
    assert_close(penalty(values, x), direct, 1e4)


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


def test_band_limited_images_to_1e_12() -> None:
    """64² samples of a band-limited image, at 3000 points: the image."""
    image = random_bandlimited(2, 1, [20.0, 20.0], [1.0, 1.0], seed=0)
    samples = evaluate(image, Lattice(torch.zeros(2).double(), (1 / 64,) * 2, (64, 64)))
    x = torch.rand(3000, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert nonuniform.pays(len(x), 1, 64 * 64)
    error = (Interpolated(samples, (1 / 64,) * 2)(x) - image(x)).abs().max()
    assert error <= 1e-12 * samples.abs().max()
