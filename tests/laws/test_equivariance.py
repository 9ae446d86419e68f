"""Every layer, on both carriers, commutes with the translations that it promises; unshared layers don't."""

import functools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from equivariance import equivariance_error
from fields import Field
from tests.laws.modules import LAYERS, SPACING, UNSHARED, Kind, Weights, grid
from tests.laws.registry import DIMS, Draw, points, waves_on_a_grid

every_dim = pytest.mark.parametrize("dim", DIMS)
every_layer = pytest.mark.parametrize("kind", LAYERS, ids=str)
every_unshared = pytest.mark.parametrize("kind", UNSHARED, ids=str)
few = settings(max_examples=5, deadline=None)

#: Real translations of all sizes from 1e-6 to 10.
real = st.tuples(st.floats(-6, 1), st.integers(-1000, 1000)).map(
    lambda p: 10 ** p[0] * math.sin(p[1])
)
whole = st.integers(-40, 40)
BY_NAME = {kind.name: kind for kind in (*LAYERS, *UNSHARED)}


@functools.cache
def built(name: str, dim: int) -> nn.Module:
    return BY_NAME[name].build(Weights(dim))


@functools.cache
def waves(dim: int, element: int) -> Field:
    return waves_on_a_grid(Draw(dim, element=element))


def real_translations(dim: int) -> st.SearchStrategy[Tensor]:
    return st.tuples(*[real] * dim).map(lambda t: torch.tensor(t, dtype=torch.float64))


def whole_translations(dim: int, step: int) -> st.SearchStrategy[Tensor]:
    spacing = torch.tensor(SPACING[:dim], dtype=torch.float64)
    return st.tuples(*[whole] * dim).map(
        lambda k: step * torch.tensor(k, dtype=torch.float64) * spacing
    )


@every_dim
@every_layer
@few
@given(data=st.data(), element=st.integers(0, 1))
@torch.no_grad()
def test_on_fields(kind: Kind, dim: int, data: st.DataObject, element: int) -> None:
    """[L(t▷F)](x) = [L(F)](x − t) to 1e-12 for every real t."""
    t = data.draw(real_translations(dim))
    error = equivariance_error(
        built(kind.name, dim), waves(dim, element), t, points=points(dim, 12)
    )
    assert float(error) <= 1e-12


@every_dim
@every_layer
@few
@given(data=st.data(), element=st.integers(0, 1))
@torch.no_grad()
def test_on_samples(kind: Kind, dim: int, data: st.DataObject, element: int) -> None:
    """L(sample(t▷F)) = t▷L(sample(F)) to 1e-12 for t by multiples of the layer's step."""
    t = data.draw(whole_translations(dim, kind.step))
    error = equivariance_error(built(kind.name, dim), waves(dim, element), t, grid=grid(dim))
    assert float(error) <= 1e-12


@every_dim
@every_unshared
@torch.no_grad()
def test_unshared_layers_break_both(kind: Kind, dim: int) -> None:
    """Teeth: the same numbers are > 1e-3 for translations that aren't tiny."""
    layer, f = built(kind.name, dim), waves(dim, 0)
    steps = torch.tensor([[1, 2, 1], [3, -1, 2], [-2, 3, -1]], dtype=torch.float64)[:, :dim]
    t = steps * torch.tensor(SPACING[:dim], dtype=torch.float64)
    on_fields = equivariance_error(layer, f, 1.1 * t, points=points(dim, 40))
    on_samples = equivariance_error(layer, f, t, grid=grid(dim))
    assert float(on_fields.min()) > 1e-3
    assert float(on_samples.min()) > 1e-3
