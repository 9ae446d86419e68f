"""Laws of every layer on both carriers, continuous fields and samples, in one to three dimensions."""

import pytest
import torch
from torch import Tensor, nn

from discretize import Samples, sample
from equivariance import equivariance_error
from fields import FeatureMap, Field, Gaussians, PlaneWaves, random_bandlimited
from tests.compare import assert_close, relative_error
from tests.laws.modules import LAYERS, SPACING, Kind, Weights, conv, grid, relu
from tests.laws.registry import BATCH, DIMS, PERIOD, Draw, points, waves_on_a_grid

every_dim = pytest.mark.parametrize("dim", DIMS)
every_layer = pytest.mark.parametrize("kind", LAYERS, ids=str)
both_carriers = pytest.mark.parametrize("carrier", ["Field", "Samples"])


def build(kind: Kind, dim: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Module:
    return kind.build(Weights(dim, seed, dtype))


def waves(
    dim: int, element: int | None = 0, dtype: torch.dtype = torch.float64, carrier: str = "Field"
) -> FeatureMap:
    """Two channels of random waves, periodic on the grid."""
    field = waves_on_a_grid(Draw(dim, dtype, element))
    return field if carrier == "Field" else sample(field, grid(dim))


def rough(dim: int) -> PlaneWaves:
    """A batch of fields with waves up to 0.9 times the grid's Nyquist frequency."""
    band = [0.45 / h for h in SPACING[:dim]]
    noise = [random_bandlimited(dim, 2, band, PERIOD[:dim], seed) for seed in range(BATCH)]
    amplitudes = torch.stack([f.amplitudes for f in noise])
    return PlaneWaves(noise[0].frequencies, amplitudes, period=PERIOD[:dim])


def values(f: FeatureMap) -> Tensor:
    """Values (*batch, c, …) of a map, at points where it is a function."""
    return f.values if isinstance(f, Samples) else f(points(f.dim)).mT


def real_translations(dim: int, count: int = 200) -> Tensor:
    """Of all directions and of lengths from 1e-6 to 10."""
    generator = torch.Generator().manual_seed(7)
    directions = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    lengths = torch.logspace(-6, 1, count, dtype=torch.float64)[:, None]
    return directions / directions.norm(dim=-1, keepdim=True) * lengths


def whole_translations(dim: int, step: int) -> Tensor:
    """Multiples of `step` spacings, beyond the period too."""
    steps = step * torch.tensor([[1, 0, 0], [0, -3, 1], [2, 7, -1], [13, 5, 4]])[:, :dim]
    return steps * torch.tensor(SPACING[:dim], dtype=torch.float64)


@every_dim
@every_layer
def test_every_layer_commutes_with_real_translations(kind: Kind, dim: int) -> None:
    """[L(t▷F)](x) = [L(F)](x − t) to 1e-12 for 200 real t, however coarse the nodes."""
    layer, t = build(kind, dim), real_translations(dim)
    with torch.no_grad():
        error = equivariance_error(layer, waves(dim), t, points=points(dim, 6))
    assert error.shape == (200,)
    assert float(error.max()) <= 1e-12


@every_dim
def test_an_unshared_bias_breaks_the_law(dim: int) -> None:
    """Teeth: with a bias field B that depends on x, F ↦ relu(K*F + B) breaks it by > 1e-3."""
    w = Weights(dim)
    first, bias = conv(w, 3), Gaussians([[0.5] * dim], [[0.1, 0.1]], [1.0])
    t = real_translations(dim)[-40:]

    def layer(f: Field) -> Field:
        return relu()(first(f) + bias)

    error = equivariance_error(layer, waves(dim), t, points=points(dim, 20))
    assert float(error.detach().min()) > 1e-3


@every_dim
@every_layer
def test_every_layer_commutes_with_its_steps(kind: Kind, dim: int) -> None:
    """L(sample(t▷F)) = t▷L(sample(F)) to 1e-13 for t by multiples of the stride, one per element."""
    t = whole_translations(dim, kind.step)[:, None]
    error = equivariance_error(build(kind, dim), rough(dim), t, grid=grid(dim))
    assert error.shape == (4, BATCH)
    assert float(error.detach().max()) <= 1e-13


@every_dim
@pytest.mark.parametrize("kind", [k for k in LAYERS if k.step > 1], ids=str)
def test_strided_layers_commute_with_nothing_else(kind: Kind, dim: int) -> None:
    """Teeth: between multiples of the stride the same number is > 1e-3."""
    t = torch.tensor(SPACING[:dim], dtype=torch.float64) * torch.tensor([[1.0], [0.5], [-2.7]])
    error = equivariance_error(build(kind, dim), rough(dim), t[:, None], grid=grid(dim))
    assert float(error.detach().min()) > 1e-3


@every_dim
@every_layer
def test_values_do_not_depend_on_the_origin(kind: Kind, dim: int) -> None:
    """L(t▷f) = t▷L(f) for samples and real t: the values stay bit for bit, the origin moves."""
    layer, f = build(kind, dim), waves(dim, carrier="Samples")
    t = real_translations(dim)[-3:]
    moved_first, moved_last = layer(f.translate(t)), layer(f).translate(t)
    assert moved_first.batch == moved_last.batch == (3,)
    assert torch.equal(*torch.broadcast_tensors(moved_first.values, moved_last.values))
    origins = moved_first.grid.origin, moved_last.grid.origin
    torch.testing.assert_close(*origins, rtol=0, atol=1e-14)


@every_dim
@pytest.mark.parametrize("kind", [k for k in LAYERS if k.exact], ids=str)
def test_square_commutes(kind: Kind, dim: int) -> None:
    """sample(L(F), grid of L(f)) = L(f), f = sample(F), where L is one finite sum on both."""
    layer, field = build(kind, dim), waves(dim, element=None)
    discrete = layer(sample(field, grid(dim)))
    continuous = sample(layer(field), discrete.grid)
    assert relative_error(discrete.values, continuous.values) <= 1e-13


@every_dim
@every_layer
@both_carriers
def test_batch_is_a_loop(kind: Kind, dim: int, carrier: str) -> None:
    """L((F₀, F₁)) = (L(F₀), L(F₁)), origins included."""
    layer = build(kind, dim)
    batch = layer(waves(dim, None, carrier=carrier))
    singles = [layer(waves(dim, i, carrier=carrier)) for i in range(BATCH)]
    assert batch.batch == (BATCH,)
    assert_close(values(batch), torch.stack([values(s) for s in singles]), 100)
    if carrier == "Samples":
        origins = torch.stack([s.grid.origin for s in singles])
        together = batch.grid.origin.expand_as(origins)
        if kind.real:  # sums of a batch may be rounded otherwise than those of one map
            assert_close(together, origins, 100)
        else:
            assert torch.equal(together, origins)


@every_dim
@every_layer
@both_carriers
def test_single_precision_agrees_with_double(kind: Kind, dim: int, carrier: str) -> None:
    """L₃₂(F₃₂) = L₆₄(F₆₄) to 500 eps₃₂, by `.to(torch.float32)` or from float32 weights."""
    double = build(kind, dim)(waves(dim, carrier=carrier))
    single = waves(dim, dtype=torch.float32, carrier=carrier)
    expected = values(double).float()
    for layer in (build(kind, dim).to(torch.float32), build(kind, dim, dtype=torch.float32)):
        result = layer(single)
        assert result.dtype == values(result).dtype == torch.float32
        assert_close(values(result), expected, 500, max(1.0, float(expected.detach().abs().max())))


@every_dim
@every_layer
@both_carriers
def test_parameters_are_registered_and_learnt(kind: Kind, dim: int, carrier: str) -> None:
    """A state carries over to another copy bit for bit; every weight gets ∂/∂w as a limit of differences."""
    layer, other = build(kind, dim), build(kind, dim, seed=1)
    f = waves(dim, carrier=carrier)
    parameters = dict(layer.named_parameters())
    assert len(parameters) == kind.learnt
    assert all(p.requires_grad for p in parameters.values())
    assert torch.equal(values(layer(f)), values(other(f))) == (kind.learnt == 0)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(values(layer(f)), values(other(f)))

    def result(*weights: Tensor) -> Tensor:
        given = dict(zip(parameters, weights, strict=True))
        return values(torch.func.functional_call(layer, given, f))

    if parameters:
        torch.autograd.gradcheck(result, tuple(parameters.values()), fast_mode=True)
