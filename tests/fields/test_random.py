"""Gaussian random fields have the covariance that their spectrum says."""

import math

import pytest
import torch

from fields import random_gaussian
from tests.laws.registry import DIMS, points


def bell(f: torch.Tensor) -> torch.Tensor:
    """The transform of exp(−|x|²/2w²)/(2πw²)^{d/2}, w = 0.5: covariances are that Gaussian."""
    return torch.exp(-2 * (math.pi * 0.5) ** 2 * (f**2).sum(-1))


@pytest.mark.parametrize("dim", DIMS)
def test_covariance(dim: int) -> None:
    """Over channels, which are independent draws, E[F(0)F(x)] = Σ_k S(k/P) cos(2πk·x/P)/P^d."""
    draws = 20_000
    period, limit = (8.0, 1.0) if dim < 3 else (4.0, 0.8)
    field = random_gaussian(dim, draws, bell, limit, period, seed=5)
    x = torch.zeros(3, dim, dtype=torch.float64)
    x[1:, 0] = torch.tensor([0.4, 1.5])
    steps = torch.arange(-math.floor(limit * period), math.floor(limit * period) + 1)
    f = torch.cartesian_prod(*[steps / period] * dim).reshape(-1, dim).double()
    expected = (torch.cos(2 * math.pi * x @ f.mT) @ bell(f)) / period**dim
    values = field(x)
    found = (values * values[0]).mean(-1)
    spread = float(expected[0]) * 5 / math.sqrt(draws)  # five standard errors
    assert float((found - expected).abs().max()) <= spread
    assert float(values.mean(-1).abs().max()) <= 5 * math.sqrt(float(expected[0]) / draws)
    density = torch.exp(-(x[:, 0] ** 2) / 0.5) / (2 * math.pi * 0.25) ** (dim / 2)
    assert dim == 3 or float((expected - density).abs().max()) < 0.02


def test_seeds() -> None:
    """The same seed or generator gives the same field, bit for bit; another another."""
    x = points(2)
    one, again, other = (random_gaussian(2, 1, bell, 0.5, 8.0, s)(x) for s in (1, 1, 2))
    given = random_gaussian(2, 1, bell, 0.5, 8.0, torch.Generator().manual_seed(1))
    assert torch.equal(one, again)
    assert torch.equal(one, given(x))
    assert not torch.equal(one, other)
    assert random_gaussian(1, 1, bell, 0.5, 8.0, 1, torch.float32).dtype == torch.float32


@pytest.mark.parametrize(
    ("spectrum", "message"),
    [
        (lambda f: -bell(f), "≥ 0, the least is -1"),
        (lambda f: 1 / f.norm(dim=-1), "must be finite"),
        (lambda f: f, "must return shape"),
    ],
)
def test_bad_spectra(spectrum, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        random_gaussian(2, 1, spectrum, 0.5, 8.0, 0)
