"""How far tails reach: roots make them longer, products are where both factors are."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fields import Bumps, Constant, Field, Gaussians
from fields.algebra.decay import faint
from tests.compare import assert_close

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "square": torch.square,
    "relu": torch.relu,
    "root": lambda v: v.abs() ** 0.5,
    "tenth": lambda v: v.abs() ** 0.1,
    "tanh": torch.tanh,
    "log": lambda v: torch.log1p(100 * v.abs()),
    "step": lambda v: (v > 1e-30).to(v),
    "length": lambda v: v.norm(dim=-1, keepdim=True) ** 0.25,
    "difference": lambda v: (v[..., :1] - v[..., 1:]).abs() ** 0.25,
}
every = pytest.mark.parametrize("fn", FUNCTIONS.values(), ids=FUNCTIONS.keys())


def blob(dim: int, dtype: torch.dtype = torch.float64, peak: float = 2.0) -> Gaussians:
    amplitudes = peak * torch.tensor([[1.0, -0.5]], dtype=dtype)
    return Gaussians(torch.full((1, dim), 0.3, dtype=dtype), amplitudes, torch.ones(1, dtype=dtype))


@every
@pytest.mark.parametrize("peak", [1e-2, 1.0, 1e2])
def test_outside_of_its_support_a_field_is_faint(fn, peak: float) -> None:
    """|F| < rtol·max|F|, up to the support that numbers end at."""
    field = blob(1, peak=peak).map(fn)
    for rtol in (1e-3, 1e-8, 1e-17):
        (low,), (high,) = field.support(rtol)
        x = torch.linspace(0, 30, 301, dtype=torch.float64)[1:, None]
        top = field([[0.3]]).abs().amax()
        assert float(field(high + x).abs().amax()) <= rtol * float(top) * (1 + 1e-6)
        assert float(field(low - x).abs().amax()) <= rtol * float(top) * (1 + 1e-6)


def test_linear_functions_leave_it_as_it_is() -> None:
    field = blob(2)
    for fn in (torch.relu, torch.abs, torch.square):
        for rtol in (1e-3, 1e-17):
            (low, high), own = field.map(fn).support(rtol), field.support(rtol)
            torch.testing.assert_close(
                torch.tensor([low, high]), torch.tensor(own), rtol=1e-7, atol=0
            )
    assert faint(torch.sqrt, torch.ones(3), 1e-3) == pytest.approx(1e-6)
    assert Constant(0.0, 1).map(torch.abs).support(1e-3) is None


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_periodized_tails_are_all_there(fn, dtype: torch.dtype) -> None:
    """Σ_n fn(F(x − nP)) by a plain sum over all images within 45 widths, where numbers end."""
    for dim in (1,) if fn is FUNCTIONS["step"] else (1, 2):
        source = blob(dim, dtype).map(fn)
        x = torch.rand(20, dim, generator=torch.Generator().manual_seed(0)).double() * 3
        line = torch.arange(-15.0, 16.0).double() * 3
        steps = torch.cartesian_prod(*[line] * dim).reshape(-1, dim)
        expected = source(x[None] + steps[:, None]).sum(0)
        assert_close(source.periodize(3.0)(x), expected, 100)


def test_products_live_where_both_factors_do() -> None:
    def bump(at: float) -> Field:
        return Bumps([[at]], [[1.0]], [1.0])

    wide = Gaussians([[0.0]], [[1.0]], [1.0])
    assert (bump(0.0) * bump(0.5)).support(1e-3) == ((-0.5,), (1.0,))
    (low,), (high,) = (bump(0.0) * bump(5.0)).support(1e-3)
    assert low == high
    assert (wide * bump(20.0)).support(1e-3) == ((19.0,), (21.0,))  # e^-200 is not nothing
    assert (wide * bump(60.0)).support(1e-3)[0] == (wide * bump(60.0)).support(1e-3)[1]
    assert (wide * Constant(1.0, 1)).support(1e-3) == wide.support(1e-3)


def test_tails_that_meet_are_integrated() -> None:
    """Two Gaussians 30 widths apart, by quadrature: √π·exp(−225)."""
    f, g = (Gaussians([[c]], [[1.0]], [1.0]).map(lambda v: v * 1.0) for c in (0.0, 30.0))
    expected = torch.tensor([torch.pi]).double().sqrt() * torch.exp(torch.tensor(-225.0).double())
    assert_close((f * g).integrate(1e-8) / expected, torch.ones(1).double(), 1e9)
