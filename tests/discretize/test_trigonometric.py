"""Trigonometric interpolation of short axes, by matrices, and of long ones, by FFT: one map."""

import math

import pytest
import scipy.signal
import torch
from torch import Tensor

from discretize import Grid, Samples, Upsampling, trigonometric
from discretize.accuracy import DENSE
from discretize.trigonometric import filtered
from tests.compare import assert_close


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=dtype)


@pytest.mark.parametrize("size", [DENSE - 1, DENSE, DENSE + 1, DENSE + 2])
@pytest.mark.parametrize("factors", [(2, 1), (3, 2)])
def test_upsampling_against_scipy(size: int, factors: tuple[int, int]) -> None:
    """scipy.signal.resample along every axis, odd and even sizes, to either side of where the FFT begins."""
    x = noise(2, size, 5)
    expected = x.numpy()
    for axis, m in enumerate(factors, start=1):
        expected = scipy.signal.resample(expected, m * expected.shape[axis], axis=axis)
    found = Upsampling(factors, "fourier")(Samples(x, Grid((size, 5), 0.5)))
    assert_close(found.values, expected, 500)
    assert found.grid.spacing == tuple(0.5 / m for m in factors)


@pytest.mark.parametrize(
    ("size", "up", "down"),
    [(7, 1, 1), (9, 1, 3), (6, 2, 1), (9, 2, 3), (6, 3, 2), (5, 3, 5)],
)
@pytest.mark.parametrize("lead", [(), (4,)])
def test_filters_are_multipliers_of_waves(
    size: int, up: int, down: int, lead: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zeros between, irfft(multiplier·rfft), every down-th; one filter for all elements or one each."""
    n = up * size
    multiplier = noise(*lead, n // 2 + 1, dtype=torch.complex128)
    x = noise(4, 2, size, 5)
    wide = torch.zeros(4, 2, n, 5, dtype=torch.float64)
    wide[:, :, ::up] = x
    k = torch.arange(n // 2 + 1, dtype=torch.float64)
    turns = 2 * math.pi * (torch.arange(n)[:, None] * k) / n
    twice = torch.where((k == 0) | (2 * k == n), 1.0, 2.0)  # a wave and its conjugate, but for two
    spectrum = torch.einsum("bcxy,xk->bcky", wide.cdouble(), torch.exp(-1j * turns))
    product = spectrum * multiplier.reshape(-1, 1, n // 2 + 1, 1)
    waves = torch.exp(1j * turns) * twice
    expected = torch.einsum("bcky,xk->bcxy", product, waves).real[:, :, ::down] / n
    for dense in (0, DENSE):
        monkeypatch.setattr(trigonometric, "DENSE", dense)
        assert_close(filtered(x, multiplier, -2, 2, up, down), expected, 200)
