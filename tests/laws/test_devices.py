"""What is registered computes on the device of its numbers, stays there, and gives what the processor gives.

Asked for with `--device cuda`; see `tests/conftest.py`. On the processor these are laws of one device with itself.
"""

import pytest
import torch
from torch import nn

from discretize import Samples, sample
from fields import FeatureMap, Field
from tests.compare import assert_close
from tests.laws.modules import LAYERS, UNSHARED, Weights, grid
from tests.laws.modules import Kind as LayerKind
from tests.laws.registry import FIELDS, Draw, points, waves_on_a_grid
from tests.laws.registry import Kind as FieldKind

#: FFTs and sums in another order, and libraries of their own.
OTHER = 5000


def values(f: FeatureMap, device: torch.device) -> torch.Tensor:
    """Where it is a function: at points. What comes out must be on the device."""
    found = f.values if isinstance(f, Samples) else f(points(f.dim).to(device))
    assert found.device.type == device.type
    return found.cpu()


@pytest.mark.parametrize("kind", [k for k in FIELDS if 2 in k.dims], ids=str)
def test_fields(kind: FieldKind, device: torch.device) -> None:
    here, there = kind.build(Draw(2)), kind.build(Draw(2, device=device))
    assert there.device.type == device.type
    expected = here(points(2))
    scale = float(expected.abs().max())
    assert_close(values(there, device), expected, OTHER, scale)
    t = torch.tensor([0.3, -0.7], dtype=torch.float64)
    moved = here(points(2) - t)
    assert_close(values(there.translate(t.to(device)), device), moved, OTHER, scale)


@pytest.mark.parametrize("carrier", ["Field", "Samples"])
@pytest.mark.parametrize("kind", [*LAYERS, *UNSHARED], ids=str)
def test_layers(kind: LayerKind, carrier: str, device: torch.device) -> None:
    def made(draw: Draw) -> FeatureMap:
        field: Field = waves_on_a_grid(draw)
        return field if carrier == "Field" else sample(field, grid(2))

    def layer() -> nn.Module:
        return kind.build(Weights(2))

    with torch.no_grad():
        expected = values(layer()(made(Draw(2))), torch.device("cpu"))
        found = values(layer().to(device)(made(Draw(2, device=device))), device)
    assert_close(found, expected, OTHER)


def test_gradients_stay_on_the_device(device: torch.device) -> None:
    kind = next(k for k in LAYERS if k.name == "deep")
    layer = kind.build(Weights(2)).to(device)
    loss = layer(sample(waves_on_a_grid(Draw(2, device=device)), grid(2))).values.square().mean()
    loss.backward()
    for parameter in layer.parameters():
        assert parameter.grad is not None
        assert parameter.grad.device.type == device.type
