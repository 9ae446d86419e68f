"""The equivariance error against its definition, and what it says of layers."""

import pytest
import torch
from torch import nn

from discretize import BlurPool, EquivariantSubsampling, Grid, Stride, sample
from equivariance import equivariance_error
from fields import Ball, Box, Constant, Field, Formula, GaussianKernel, random_bandlimited
from layers import AvgPool, Conv, GlobalPool, MaxPool, Pointwise

SIZE = 32
GRID = Grid((SIZE, SIZE), 1.0)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def field(dim: int = 2) -> Field:
    return random_bandlimited(dim, 1, 15 / 64, float(SIZE), seed=dim)


def conv(dim: int = 2) -> nn.Module:
    return nn.Sequential(Conv.from_array(noise(*(3,) * dim, 4, 1), 1.0), Pointwise(torch.relu))


def local_layers(dim: int) -> dict[str, nn.Module]:
    return {
        "atoms": conv(dim),
        "density": Conv(GaussianKernel(0.6, noise(2, 1)), nodes=2, exact=False),
        "mean": AvgPool(Ball(1.1), nodes=2),
        "maximum": MaxPool(Box(1.7), nodes=2),
        "chain": nn.Sequential(conv(dim), MaxPool(Box(1.0), nodes=1), AvgPool(Box(1.0), nodes=1)),
    }


@pytest.mark.parametrize("name", local_layers(1))
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_continuous_layers_commute_with_real_translations(name, dim) -> None:
    count, points = (200, 10) if dim < 3 else (40, 3)
    layer, x = local_layers(dim)[name], 11.3 * noise(points, dim, seed=2)
    with torch.no_grad():
        for t in (9.7 * noise(count, dim, seed=1)).split(50):
            assert equivariance_error(layer, field(dim), t, points=x).max() <= 1e-12


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_an_unshared_bias_is_found_out(dim) -> None:
    ramp = Formula(lambda x: torch.sin(x).sum(-1, keepdim=True), dim, 1)
    layer = nn.Sequential(conv(dim))
    error = equivariance_error(
        lambda f: layer(f) + ramp, field(dim), noise(20, dim), points=5 * noise(30, dim, seed=1)
    )
    assert error.min() > 1e-3


def test_definition_on_points() -> None:
    """‖[Φ(t▷F)](x) − [Φ(F)](x − t)‖ / ‖Φ(F)(x − t)‖."""
    layer, x, t = (lambda f: f * Formula(lambda y: y[..., :1].cos(), 2, 1)), noise(7, 2), noise(2)
    left, right = layer(field().translate(t))(x), layer(field())(x - t)
    for norm, order in (("l1", 1), ("l2", 2), ("max", torch.inf)):
        size = [torch.linalg.vector_norm(v, order) for v in (left - right, right)]
        error = equivariance_error(layer, field(), t, points=x, norm=norm)
        assert torch.allclose(error, size[0] / size[1], rtol=1e-12)


def test_definition_on_a_grid() -> None:
    """At multiples of the stride the other output is rolled; between them, moved as a trigonometric polynomial."""
    layer, t = nn.Sequential(conv(), Stride(2)), torch.tensor([4.0, -2.0])
    with torch.no_grad():
        left = layer(sample(field().translate(t), GRID)).values
        right = layer(sample(field(), GRID)).values.roll((2, -1), (-2, -1))
        expected = (left - right).norm() / right.norm()
        assert torch.equal(equivariance_error(layer, field(), t, GRID), expected)
        odd = torch.tensor([1.0, 0.0])
        left = layer(sample(field().translate(odd), GRID))
        right = layer(sample(field(), GRID)).interpolate().translate(odd)
        right = sample(right, left.grid).values
        expected = (left.values - right).norm() / right.norm()
        assert torch.allclose(equivariance_error(layer, field(), odd, GRID), expected, rtol=1e-12)


MULTIPLES = [[2.0, 0.0], [0.0, -4.0], [6.0, 2.0]]
ODD = [[1.0, 0.0], [0.0, 3.0], [5.0, -2.0]]
FRACTIONS = [[0.5, 0.0], [0.0, 1.3], [2.7, 0.1]]


@pytest.mark.parametrize(
    ("tail", "odd"),
    [
        ([Stride(2)], False),
        ([MaxPool(Box(2.0)), Stride(2)], False),
        ([BlurPool(2)], False),
        ([EquivariantSubsampling(2)], True),
        ([], True),
    ],
)
def test_a_stride_leaves_the_subgroup_of_strided_translations(tail, odd) -> None:
    layer = nn.Sequential(conv(), *tail)
    with torch.no_grad():
        assert equivariance_error(layer, field(), MULTIPLES, GRID).max() <= 1e-13
        between = equivariance_error(layer, field(), ODD, GRID)
        assert (between.max() <= 1e-13) if odd else (between.min() > 1e-3)
        assert equivariance_error(layer, field(), FRACTIONS, GRID).min() > 1e-3


def test_batches_of_fields_and_translations() -> None:
    layer, t = nn.Sequential(conv(), Stride(2)), torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.3, 0.2]])
    both = field().translate(torch.tensor([[0.0, 0.0], [0.5, 0.1]])[:, None])
    errors = equivariance_error(layer, both, t, GRID)
    assert errors.shape == (2, 3)
    for b, move in enumerate(([0.0, 0.0], [0.5, 0.1])):
        for i in range(3):
            one = equivariance_error(layer, field().translate(move), t[i], GRID)
            assert torch.allclose(one, errors[b, i], rtol=1e-9, atol=1e-15)


def test_without_period_the_common_interior_is_compared() -> None:
    grid = Grid((20, 20), 1.0, boundary="none")
    layer = nn.Sequential(conv(), Stride(2))
    assert equivariance_error(layer, field(), MULTIPLES, grid).max() <= 1e-13
    with pytest.raises(ValueError, match="compared exactly for translations by multiples"):
        equivariance_error(layer, field(), [1.0, 0.0], grid)


def test_invariants_compare_as_vectors() -> None:
    layer = nn.Sequential(conv(), Stride(2), GlobalPool("mean"))
    errors = equivariance_error(layer, field(), [[2.0, 0.0], [1.0, 0.0]], GRID)
    assert errors[0] <= 1e-14
    assert errors[1] > 1e-6


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="norm must be one of"):
        equivariance_error(conv(), field(), [1.0, 0.0], GRID, norm="l3")
    with pytest.raises(TypeError, match="expected a Field, got Samples"):
        equivariance_error(conv(), sample(field(), GRID), [1.0, 0.0], GRID)
    with pytest.raises(ValueError, match="not both"):
        equivariance_error(conv(), field(), [1.0, 0.0], GRID, points=[[0.0, 0.0]])
    with pytest.raises(ValueError, match=r"give grid=… .* or points=…"):
        equivariance_error(conv(), field(), [1.0, 0.0])
    with pytest.raises(ValueError, match="vanishes identically"):
        equivariance_error(lambda f: f, Constant([0.0], 2), [1.0, 0.0], GRID)
    with pytest.raises(ValueError, match=r"has shape \(2,\) or \(\*batch, 2\)"):
        equivariance_error(conv(), field(), [1.0, 0.0, 0.0], GRID)
