"""Unshared layers and their shared parts on a grid: averages over the torus against projections on the null space."""

import math

import numpy as np
import pytest
import torch

from discretize import Grid, Samples
from equivariance import (
    biases,
    impulse_responses,
    intertwiners,
    is_convolution,
    shared_nonlinearity,
    shared_window,
)
from fields import Box, PlaneWaves
from layers import BiasField, IntegralOperator, PointwiseField, PoolField, shared

EPS = np.finfo(float).eps
PERIOD = 3.5


def grid_of(n: int, dim: int = 1) -> Grid:
    return Grid((n,) * dim, PERIOD / n)


def phase(x: torch.Tensor) -> torch.Tensor:
    return 2 * math.pi * x.sum(-1, keepdim=True) / PERIOD


def kappa(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Smooth on the torus, 1 → 2 channels, no function of x − y."""
    first = torch.exp(torch.sin(phase(x)) * torch.cos(phase(y)))
    second = torch.sin(phase(x - y)) + 0.5 * torch.cos(phase(x) + 2 * phase(y))
    return torch.stack([first, second + 0 * first], dim=-2)


@pytest.mark.parametrize(("n", "dim"), [(7, 1), (5, 2)])
def test_the_average_of_an_integral_operator_is_the_projection(n, dim):
    grid = grid_of(n, dim)
    layer = IntegralOperator(kappa, (PERIOD,) * dim)
    matrix = impulse_responses(layer, grid, 1)
    average = impulse_responses(shared(layer, nodes=n), grid, 1)
    space = intertwiners(grid.shape, 1, 2)
    np.testing.assert_allclose(average, space.project(matrix), atol=256 * EPS * abs(matrix).max())
    assert is_convolution(average, grid.shape)
    lost = np.linalg.norm(matrix - average) / np.linalg.norm(matrix)
    assert space.residue(matrix) == pytest.approx(lost, rel=1e-12)
    assert lost > 0.1


def test_a_bias_field():
    grid = grid_of(6, 2)
    layer = BiasField(2.0 + PlaneWaves([[1 / PERIOD, 2 / PERIOD]], [[1.0]]))
    table = layer(Samples(torch.zeros(1, 6, 6, dtype=torch.float64), grid)).values.detach().numpy()
    constant = biases((6, 6), 1).project(table.reshape(-1, 1))
    bias = float(shared(layer).bias.detach())
    np.testing.assert_allclose(constant, bias + 0 * constant, atol=64 * EPS)


def test_a_pointwise_field():
    grid, values = grid_of(9), torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
    layer = PointwiseField(lambda x, v: torch.relu(v - torch.sin(phase(x))), PERIOD)
    found = shared_nonlinearity(layer, grid, values)
    average = shared_nonlinearity(shared(layer, nodes=9), grid, values)
    np.testing.assert_allclose(found.part, average.part, atol=64 * EPS)
    assert (average.residue <= 64 * EPS, average.commutator <= 64 * EPS) == (True, True)
    assert min(found.residue, found.commutator) > 0.1


@pytest.mark.parametrize("kind", ["max", "mean"])
def test_a_pool_field(kind):
    grid, step = grid_of(7), PERIOD / 7
    layer = PoolField(lambda x: Box(step if x[0] < PERIOD / 2 else 3 * step), kind, PERIOD)
    found = shared_window(layer, grid)
    average = shared_window(shared(layer, nodes=7), grid)
    np.testing.assert_allclose(found.part, average.part, atol=64 * EPS)
    assert (average.residue <= 64 * EPS, average.commutator <= 64 * EPS) == (True, True)
    assert min(found.residue, found.commutator) > 0.1
