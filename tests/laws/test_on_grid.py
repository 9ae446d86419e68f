"""Laws of `OnGrid`: torch's tools work on every layer, but for those that the registry names, on which they don't."""

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import discretize
import layers
from layers import OnGrid
from tests.compare import assert_close
from tests.laws.modules import LAYERS, MORE, SHAPE, TOOLS, UNSHARED, Kind, Weights, grid

#: Dimensions and tools: what two dimensions show of all, and one and three of those that trace.
RUNS = [(2, tool) for tool in TOOLS] + [(dim, tool) for dim in (1, 3) for tool in TOOLS[:2]]


def compiled(net: OnGrid, x: Tensor) -> Tensor:
    torch.compiler.reset()
    return torch.compile(net, fullgraph=True, backend="eager")(x)


def exported(net: OnGrid, x: Tensor) -> Tensor:
    torch.compiler.reset()
    return torch.export.export(net, (x,), strict=False).module()(x)


RUN: dict[str, Callable[[OnGrid, Tensor], Tensor]] = {
    "compile": compiled,
    "export": exported,
    "vmap": lambda net, x: torch.vmap(net)(x),
    "jvp": lambda net, x: torch.func.jvp(net, (x,), (x.flip(0),))[0],
}


ALL = [*LAYERS, *UNSHARED, *MORE]
#: Base classes, and what the laws are about.
NO_LAYERS = {"Subsampling", "PolyphaseSubsampling", "OnGrid"}


def test_every_layer_is_in_the_registry() -> None:
    named = {**vars(discretize), **vars(layers)}
    public = {n for n, c in named.items() if isinstance(c, type) and issubclass(c, nn.Module)}
    found = {type(m).__name__ for kind in ALL for m in kind.build(Weights(2)).modules()}
    assert public - NO_LAYERS <= found


@pytest.mark.parametrize(("dim", "tool"), RUNS)
@pytest.mark.parametrize("kind", ALL, ids=str)
@pytest.mark.filterwarnings("ignore")
def test_torchs_tools_work_on_every_layer(kind: Kind, dim: int, tool: str) -> None:
    """The same values as without, after one call; what is listed as refused raises, or draws anew."""
    net = OnGrid(kind.build(Weights(dim)), grid(dim))
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(3, 2, *SHAPE[:dim], generator=generator, dtype=torch.float64)
    expected = net(x)

    def check() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = RUN[tool](net, x)
        assert_close(found, expected, 1000)

    if tool in kind.refuses:
        with pytest.raises(Exception):  # noqa: B017, PT011
            check()
    else:
        check()
