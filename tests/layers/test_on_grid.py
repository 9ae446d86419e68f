"""OnGrid: layers under torch's own tools, with the same values."""

import shutil

import pytest
import torch
from torch import Tensor, nn

from discretize import Grid, Samples, Stride
from fields import Ball, Box, FeatureMap, GaussianKernel, Mask
from layers import (
    AvgPool,
    Bias,
    Conv,
    GlobalPool,
    LpPool,
    MaxPool,
    OnGrid,
    Pointwise,
    PointwiseField,
    SoftMaxPool,
    TorchModel,
)
from tests.compare import assert_close

every_dim = pytest.mark.parametrize("dim", [1, 2, 3])


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def grid(dim: int) -> Grid:
    return Grid((8, 6, 5)[:dim], 0.5, 0.25)


def values(dim: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return noise(2, 3, *grid(dim).shape, dtype=dtype)


class Residual(nn.Module):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, f: FeatureMap) -> FeatureMap:
        return f + self.branch(f)


def chain(dim: int, seed: int = 0) -> nn.Sequential:
    """A bit of everything that has taps or parameters."""
    return nn.Sequential(
        Conv.from_array(0.3 * noise(*(3,) * dim, 4, 3, seed=seed), 0.5),
        Bias(noise(4, seed=seed + 1)),
        Pointwise(nn.GELU()),
        Residual(Conv(GaussianKernel(0.4, 0.3 * noise(4, 4, seed=seed + 2)))),
        MaxPool(Box(1.5)),
        AvgPool(Mask(torch.ones((3,) * dim), 0.5)),
        LpPool(Box(1.5), 2),
        SoftMaxPool(Ball(0.6), noise(4, seed=seed).abs() + 0.5),
    )


@every_dim
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_it_is_the_layer_on_samples(dim: int, dtype: torch.dtype) -> None:
    layer = chain(dim).to(dtype)
    on_grid, x = OnGrid(layer, grid(dim)), values(dim, dtype)
    expected = layer(Samples(x, grid(dim)))
    assert torch.equal(on_grid(x), expected.values)
    assert torch.equal(on_grid(x[0]), layer(Samples(x[0], grid(dim))).values)
    assert on_grid.samples(x).grid.coincides(expected.grid)
    assert on_grid(x).dtype == dtype


def test_invariants_and_smaller_grids() -> None:
    net = OnGrid(nn.Sequential(Stride(2), GlobalPool("mean")), grid(2))
    assert_close(net(values(2)), values(2)[..., ::2, ::2].mean((-2, -1)), 10)
    half = OnGrid(Stride(2), grid(2)).samples(values(2)).grid
    assert half.spacing == (1.0, 1.0)


def short_chain(dim: int) -> nn.Sequential:
    """What graphs are traced of, which takes its time."""
    layers = list(chain(dim))
    return nn.Sequential(*layers[:6])


@pytest.mark.parametrize(("backend", "dim"), [("eager", 2), ("aot_eager", 1)])
def test_compiled_in_one_graph(dim: int, backend: str) -> None:
    torch.compiler.reset()
    net, x = OnGrid(short_chain(dim), grid(dim)), values(dim)
    expected = net(x)
    compiled = torch.compile(net, fullgraph=True, backend=backend)
    assert_close(compiled(x), expected, 100)
    assert_close(compiled(x[:1]), expected[:1], 100)
    ours, theirs = (x.clone().requires_grad_() for _ in range(2))
    net(ours).square().sum().backward()
    compiled(theirs).square().sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert_close(theirs.grad, ours.grad, 1000)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch's inductor needs a C++ compiler")
def test_compiled_by_inductor() -> None:
    torch.compiler.reset()
    net = OnGrid(nn.Sequential(Bias(noise(3)), Pointwise(torch.relu)), grid(1))
    x = values(1)
    expected = net(x)
    assert_close(torch.compile(net, fullgraph=True)(x), expected, 100)


def test_other_layers_in_one_graph() -> None:
    torch.compiler.reset()
    others = {
        "a ball's mean": AvgPool(Ball(1.2)),
        "a ball's maximum": MaxPool(Ball(1.2)),
        "a power mean": LpPool(Ball(0.6), 2),
        "a soft maximum": SoftMaxPool(Box(1.5), noise(3).abs() + 0.5),
        "an invariant": GlobalPool(2),
        "a torch model": TorchModel(nn.Conv2d(3, 2, 3, padding=1).double()),
        "a function of position": PointwiseField(lambda x, v: v * torch.sin(x[..., :1])),
    }
    for name, layer in others.items():
        net = OnGrid(layer, grid(2))
        expected = net(values(2))
        compiled = torch.compile(net, fullgraph=True, backend="eager")
        assert torch.equal(compiled(values(2)), expected), name


def test_exported() -> None:
    net, x = OnGrid(chain(2), grid(2)), values(2)
    expected = net(x)
    program = torch.export.export(net, (x,), strict=False)
    assert_close(program.module()(x), expected, 100)
    assert set(program.state_dict) == set(net.state_dict())


def test_exported_for_batches_of_any_size() -> None:
    layers = list(chain(1))[:3]
    net, x = OnGrid(nn.Sequential(*layers, MaxPool(Box(1.5))), grid(1)), values(1)
    expected = net(x)
    sizes = ({0: torch.export.Dim("batch", min=2, max=64)},)
    program = torch.export.export(net, (x,), dynamic_shapes=sizes, strict=True)
    assert_close(program.module()(x.repeat(3, 1, 1))[:2], expected, 100)


@every_dim
def test_vmap(dim: int) -> None:
    """Over inputs, and over an ensemble of parameters."""
    net, x = OnGrid(chain(dim), grid(dim)), values(dim)
    several = torch.stack([x, -x, 2 * x])
    each = torch.stack([net(v) for v in several])
    assert_close(torch.vmap(net)(several), each, 100)
    nets = [OnGrid(chain(dim, seed), grid(dim)) for seed in range(3)]
    states = {k: torch.stack([n.state_dict()[k] for n in nets]) for k in net.state_dict()}
    ensemble = torch.vmap(lambda state: torch.func.functional_call(net, state, (x,)))(states)
    assert_close(ensemble, torch.stack([n(x) for n in nets]), 100)


@every_dim
def test_forward_differentiation(dim: int) -> None:
    """Jvp against the reverse mode: ⟨w, J v⟩ = ⟨Jᵀ w, v⟩."""
    net, x = OnGrid(chain(dim), grid(dim)), values(dim)
    tangent = noise(*x.shape, seed=5)
    result, pushed = torch.func.jvp(net, (x,), (tangent,))
    assert_close(result, net(x), 100)
    weights = noise(*result.shape, seed=6)
    (pulled,) = torch.func.vjp(net, x)[1](weights)
    left, right = (weights * pushed).sum(), (pulled * tangent).sum()
    assert_close(left, right, 1000, float((weights * pushed).detach().abs().sum()))


@every_dim
def test_states_carry_over(dim: int) -> None:
    net, other, x = OnGrid(chain(dim), grid(dim)), OnGrid(chain(dim, 7), grid(dim)), values(dim)
    assert not torch.equal(net(x), other(x))
    other.load_state_dict(net.state_dict())
    assert torch.equal(net(x), other(x))
    single = net.to(torch.float32)
    assert all(p.dtype == torch.float32 for p in single.parameters())
    assert_close(single(x.float()), other(x).float(), 500)


class Pair(nn.Module):
    """Two feature maps from one."""

    def forward(self, f: Samples) -> tuple[Samples, Samples]:
        return f, f


BAD = {
    "no module": (lambda: OnGrid(torch.relu, grid(1)), TypeError, "expected an nn.Module"),
    "no grid": (lambda: OnGrid(Stride(1), 8), TypeError, "must be a Grid, got int"),
    "no tensor": (lambda: OnGrid(Stride(1), grid(1))([1.0]), TypeError, "expected a tensor"),
    "shape": (
        lambda: OnGrid(Stride(1), grid(2))(values(1)),
        ValueError,
        r"shape \(\*batch, c, 8, 6\), got \(2, 3, 8\)",
    ),
    "no channels": (
        lambda: OnGrid(Stride(1), grid(2))(values(2)[0, 0]),
        ValueError,
        r"shape \(\*batch, c, 8, 6\), got \(8, 6\)",
    ),
    "what comes out": (
        lambda: OnGrid(Pair(), grid(1))(values(1)),
        TypeError,
        "must return Samples or a tensor on Samples, got tuple",
    ),
    "output": (
        lambda: OnGrid(nn.Identity(), grid(1)).forward(Samples(values(1), grid(1))),
        TypeError,
        "OnGrid takes values",
    ),
}


@pytest.mark.parametrize(("build", "kind", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()
