"""Laws of all layers: they commute with every real translation, and the linear ones are linear."""

import pytest
import torch

from fields import Field, Gaussians
from tests.compare import assert_close, relative_error
from tests.laws.registry import DIMS, LAYERS, Draw, Layer, gaussians, points, waves_on_a_grid

every_dim = pytest.mark.parametrize("dim", DIMS)
every_layer = pytest.mark.parametrize("layer", LAYERS, ids=str)

#: A net that has a bit of everything, two channels in and out.
CHAINS = {
    "three convolutions": ("Gaussian", "relu", "atoms, odd", "relu", "box"),
    "pooling": ("atoms, even", "max, ball", "density", "mean, ball", "max, box"),
    "off the lattice": ("atoms, scattered", "relu", "max, mask", "biased", "mean, box"),
    "residual blocks": ("residual", "mean, mask", "residual"),
    "deep": ("deep",),
}
BY_NAME = {layer.name: layer for layer in LAYERS}


def chain(names: tuple[str, ...], field: Field, dim: int) -> Field:
    draw = Draw(dim)
    for name in names:
        field = BY_NAME[name].apply(field, draw)
    return field


def translations(dim: int, count: int = 200) -> torch.Tensor:
    """Real translations of all sizes up to ten."""
    generator = torch.Generator().manual_seed(7)
    directions = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    lengths = torch.logspace(-6, 1, count, dtype=torch.float64)[:, None]
    return directions / directions.norm(dim=-1, keepdim=True) * lengths


@every_dim
@pytest.mark.parametrize("names", CHAINS.values(), ids=CHAINS.keys())
def test_chains_commute_with_200_translations(names: tuple[str, ...], dim: int) -> None:
    """[L(t▷F)](x) = [L(F)](x − t) to 1e-12, however coarse the nodes."""
    t, x = translations(dim), points(dim, 2)
    field = gaussians(Draw(dim))
    moved_first = chain(names, field.translate(t), dim)(x)
    moved_last = chain(names, field, dim)(x - t[:, None])
    assert moved_first.shape == (200, 2, 2)
    assert relative_error(moved_first, moved_last) <= 1e-12


@every_dim
def test_an_unshared_bias_does_not_commute(dim: int) -> None:
    """Teeth: L(F) = K*F + B with a bias B that depends on position breaks the law by > 1e-3."""
    t, x = translations(dim)[-50:], points(dim, 5)
    bias = Gaussians([[0.5] * dim], [[0.1, 0.1]], [1.0])
    field = gaussians(Draw(dim))

    def layer(f: Field) -> Field:
        return chain(("Gaussian", "relu"), f, dim) + bias

    broken = relative_error(layer(field.translate(t))(x), layer(field)(x - t[:, None]))
    assert broken > 1e-3


@every_dim
@every_layer
def test_layers_commute_with_translations_of_waves(layer: Layer, dim: int) -> None:
    """L(t▷F) = t▷L(F), one t per element of a batch of fields."""
    t, x = translations(dim, 2), points(dim, 4)
    field = waves_on_a_grid(Draw(dim, element=None))
    moved_first = layer.apply(field.translate(t), Draw(dim))(x)
    moved_last = layer.apply(field, Draw(dim)).translate(t)(x)
    assert relative_error(moved_first, moved_last) <= 1e-12


@every_dim
@pytest.mark.parametrize("layer", [x for x in LAYERS if x.linear], ids=str)
def test_linear_layers_are_linear(layer: Layer, dim: int) -> None:
    """L(aF + bG) = aL(F) + bL(G)."""
    x = points(dim)
    f, g = waves_on_a_grid(Draw(dim)), gaussians(Draw(dim, element=1))
    both = layer.apply(2 * f - 0.7 * g, Draw(dim))(x)
    apart = 2 * layer.apply(f, Draw(dim))(x) - 0.7 * layer.apply(g, Draw(dim))(x)
    assert_close(both, apart, 100)


@every_dim
@pytest.mark.parametrize("name", ["relu", "max, ball", "max, mask", "deep"])
def test_other_layers_are_not_linear(name: str, dim: int) -> None:
    """Teeth: the check above tells relu and maxima from linear layers."""
    x = points(dim)
    f, g = waves_on_a_grid(Draw(dim)), gaussians(Draw(dim, element=1))
    layer = BY_NAME[name]
    both = layer.apply(f - g, Draw(dim))(x)
    apart = layer.apply(f, Draw(dim))(x) - layer.apply(g, Draw(dim))(x)
    assert relative_error(both, apart) > 1e-2


@every_dim
@every_layer
def test_gradients_flow_to_translations(layer: Layer, dim: int) -> None:
    """∂/∂t [L(t▷F)](x) = −∂/∂x [L(F)](x)."""
    x = points(dim, 1)
    t = torch.zeros(dim, dtype=torch.float64, requires_grad=True)
    field = gaussians(Draw(dim))
    layer.apply(field.translate(t), Draw(dim))(x).sum().backward()
    expected = -layer.apply(field, Draw(dim)).gradient(x).sum((0, 1))
    assert t.grad is not None
    assert_close(t.grad, expected, 2000, max(1.0, float(expected.abs().max())))
