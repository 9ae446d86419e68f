"""Bias and Pointwise: what they do to one vector they do to all, on both carriers alike."""

import math

import pytest
import torch
from torch import Tensor, nn

from discretize import Grid, Samples
from fields import Constant, FeatureMap, Gaussians
from layers import Bias, Conv, Pointwise
from tests.compare import assert_close

DTYPES = (torch.float32, torch.float64)

carriers = pytest.mark.parametrize("carrier", ["Field", "Samples"])
every_dim = pytest.mark.parametrize("dim", [1, 2, 3])
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def feature_map(carrier: str, dim: int, dtype: torch.dtype = torch.float64) -> FeatureMap:
    """A batch of two maps with three channels."""
    if carrier == "Samples":
        return Samples(noise(2, 3, *(4, 3, 2)[:dim], dtype=dtype), Grid((4, 3, 2)[:dim], 0.5))
    widths = torch.ones(5, dtype=dtype)
    return Gaussians(noise(2, 5, dim, dtype=dtype), noise(2, 5, 3, dtype=dtype), widths)


def vectors(f: FeatureMap) -> Tensor:
    """The vectors of a map, channels last."""
    if isinstance(f, Samples):
        return f.values.movedim(1, -1)
    return f(noise(7, f.dim, seed=2))


@carriers
@every_dim
@every_dtype
def test_bias_adds_its_vector(carrier: str, dim: int, dtype: torch.dtype) -> None:
    f, bias = feature_map(carrier, dim, dtype), noise(3, seed=1, dtype=dtype)
    result = Bias(bias)(f)
    assert result.dtype == dtype
    assert_close(vectors(result), vectors(f) + bias, 10)


@carriers
@every_dim
@every_dtype
@pytest.mark.parametrize(
    "fn", [torch.relu, torch.tanh, nn.GELU(), lambda v: v**2 - 1, lambda v: v.softmax(-1)]
)
def test_pointwise_is_the_function_of_each_vector(
    fn, carrier: str, dim: int, dtype: torch.dtype
) -> None:
    """σ(F(x)), σ seeing all channels of one point."""
    f = feature_map(carrier, dim, dtype)
    result = Pointwise(fn)(f)
    assert result.dtype == dtype
    assert_close(vectors(result), fn(vectors(f)), 10)


@carriers
@every_dim
def test_pointwise_linear_is_mix_and_bias(carrier: str, dim: int) -> None:
    """W F(x) + b, with another number of channels."""
    f, linear = feature_map(carrier, dim), nn.Linear(3, 5).double()
    result = Pointwise(linear)(f)
    assert result.channels == 5
    expected = Bias(linear.bias)(f.mix(linear.weight))
    assert_close(vectors(result), vectors(expected), 100)


@carriers
def test_pointwise_of_pointwise_is_the_composition(carrier: str) -> None:
    """σ∘(τ∘F) = (σ∘τ)∘F."""
    f = feature_map(carrier, 2)
    twice = nn.Sequential(Pointwise(torch.tanh), Pointwise(torch.exp))(f)
    assert torch.equal(vectors(twice), vectors(Pointwise(lambda v: v.tanh().exp())(f)))


@carriers
def test_gradient_of_a_bias_counts_points(carrier: str) -> None:
    """∂/∂b Σ_x (F(x) + b) = the number of points."""
    layer = Bias(torch.zeros(3, dtype=torch.float64))
    result = vectors(layer(feature_map(carrier, 2)))
    result.sum().backward()
    count = result[..., 0].numel()
    assert layer.bias.grad.tolist() == [count] * 3


@carriers
def test_training_a_pointwise_network(carrier: str) -> None:
    """LBFGS finds W, b of x ↦ W F(x) + b to 1e-6 of the loss it starts with."""
    f = feature_map(carrier, 2)
    goal = vectors(f) @ noise(2, 3, seed=3).mT + noise(2, seed=4)
    layer = Pointwise(nn.Linear(3, 2).double())
    assert sorted(layer.state_dict()) == ["fn.bias", "fn.weight"]
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = ((vectors(layer(f)) - goal) ** 2).mean()
        value.backward()
        return value

    first = float(optimizer.step(loss).detach())
    assert float(loss().detach()) <= 1e-6 * first


def test_a_tensor_is_copied_a_parameter_is_shared() -> None:
    tensor, parameter = torch.zeros(1).double(), nn.Parameter(torch.zeros(1).double())
    own, first, second = Bias(tensor), Bias(parameter), Bias(parameter)
    with torch.no_grad():
        own.bias.fill_(2)
        first.bias.fill_(3)
    assert tensor.item() == 0
    assert first.bias is second.bias is parameter
    assert second(Constant([1.0], 1))([0.0]).item() == 4


def test_names_in_a_printed_network() -> None:
    net = nn.Sequential(Pointwise(torch.relu), Pointwise(nn.GELU()))
    assert "Pointwise(relu)" in repr(net)
    assert "GELU" in repr(net)


MAP = feature_map("Samples", 2)
BAD = {
    "bias, a matrix": (lambda: Bias([[1.0, 2.0]]), ValueError, r"shape \(c,\), got \(1, 2\)"),
    "bias, a number": (lambda: Bias(1.0), ValueError, r"shape \(c,\), got \(\)"),
    "bias, text": (lambda: Bias("one"), TypeError, "bias must be numbers or a tensor"),
    "bias, not finite": (lambda: Bias([math.inf]), ValueError, "bias must be finite"),
    "bias, channels": (lambda: Bias([1.0, 2.0])(MAP), ValueError, "2 channels, the feature map 3"),
    "bias, input": (lambda: Bias([1.0])(torch.ones(1, 4)), TypeError, "Samples, got Tensor"),
    "fn": (lambda: Pointwise(3.0), TypeError, "fn must be callable, got float"),
    "fn, input": (lambda: Pointwise(abs)(torch.ones(1, 4)), TypeError, "Samples, got Tensor"),
    "fn, points": (lambda: Pointwise(lambda v: v[:1])(MAP), ValueError, r"\(\*points, c\)"),
    "fn, no tensor": (lambda: Pointwise(lambda v: 1.0)(MAP), ValueError, "got float"),
}


def test_layers_say_what_they_are() -> None:
    assert repr(Bias([1.0, 2.0])) == "Bias(2 channels)"
    assert repr(Conv.from_array(torch.ones(3, 4, 2), 1.0)) == "Conv(Atoms, 2 → 4 channels)"


@pytest.mark.parametrize(("build", "kind", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()
