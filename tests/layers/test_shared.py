"""Shared parts of layers whose average is easily taken wrongly: operators on a box, and ones in single precision."""

import math

import pytest
import torch
from torch import Tensor, nn

from fields import PlaneWaves
from layers import Conv, IntegralOperator, shared
from layers.shared import TranslationAverage
from tests.compare import assert_close


@pytest.mark.parametrize("dim", [1, 2, 3])
@torch.no_grad()
def test_the_shared_part_of_a_mean_over_a_box(dim: int) -> None:
    """∫_box F averaged over all places of the box: |box|/|torus| of the integral over the torus."""
    wave = 1.0 + PlaneWaves([[0.25] * dim], [[1.0]], period=(4.0,) * dim)
    operator = IntegralOperator(
        lambda x, y: (1 + 0 * x + 0 * y)[..., :1, None], domain=([1.0] * dim, [2.0] * dim), nodes=4
    )
    part = shared(operator, period=[4.0] * dim, nodes=4)
    assert isinstance(part, TranslationAverage)
    assert_close(part(wave)([[0.3] * dim]), wave.integrate()[None] / 4**dim, 100)


class Wave(nn.Module):
    """κ(x, y) = a·cos(2π(x − y)/4), a and all that is computed in single precision."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        assert x.dtype == y.dtype == torch.float32
        return self.a * torch.cos(2 * math.pi * (x - y) / 4)[..., None]


@torch.no_grad()
def test_kappa_sees_points_in_the_precision_of_its_parameters() -> None:
    part = shared(IntegralOperator(Wave(), period=4.0), nodes=5)
    assert isinstance(part, Conv)
    wave, x = PlaneWaves([[0.25]], [[1.0]]), torch.tensor([[0.3], [1.7]]).double()
    assert_close(part(wave)(x), wave(x), 1e10)  # ∫ a·cos²: 4a/2 = 1, to single precision
