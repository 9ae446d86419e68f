"""TorchModel: torch modules as layers, and where their outputs lie."""

import pytest
import torch
from torch import Tensor, nn

from discretize import Grid, Samples, sample
from equivariance import equivariance_error
from fields import PlaneWaves
from layers import Conv, TorchModel
from tests.compare import assert_close
from tests.laws.registry import Draw, waves_on_a_grid

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)

every_dim = pytest.mark.parametrize("dim", [1, 2, 3])


def grid(dim: int, boundary: str = "periodic") -> Grid:
    return Grid((8, 10, 6)[:dim], 0.5, 0.1, boundary)


def samples(dim: int, boundary: str = "periodic", lead: tuple[int, ...] = (2,)) -> Samples:
    generator = torch.Generator().manual_seed(0)
    shape = (*lead, 2, *grid(dim).shape)
    return Samples(
        torch.randn(*shape, generator=generator, dtype=torch.float64), grid(dim, boundary)
    )


def conv(dim: int, stride: int = 1, padding: int = 1) -> nn.Module:
    torch.manual_seed(0)
    return CONVS[dim - 1](2, 3, 3, stride, padding, padding_mode="circular").double()


@every_dim
def test_a_convolution_is_ours(dim: int) -> None:
    """The same weights as atoms give the same samples on the same grid."""
    module, f = conv(dim), samples(dim)
    result = TorchModel(module)(f)
    assert result.grid is f.grid
    array = module.weight.detach().flip(tuple(range(2, dim + 2))).movedim((0, 1), (-2, -1))
    expected = Conv.from_array(array, 0.5)(f) + module.bias.detach()
    assert_close(result.values, expected.values, 100)


@every_dim
@pytest.mark.parametrize("lead", [(), (2,), (2, 3)], ids=str)
def test_batches(dim: int, lead: tuple[int, ...]) -> None:
    module, f = conv(dim), samples(dim, lead=lead)
    result = TorchModel(module)(f)
    assert result.batch == lead
    flat = f.values.reshape(-1, *f.values.shape[len(lead) :])
    assert_close(result.values, module(flat).reshape(result.values.shape), 10)


@every_dim
def test_strided_outputs_lie_on_a_coarser_grid(dim: int) -> None:
    """Stride 2: from the first sample on for a convolution, between the first two for a pooling."""
    f = samples(dim)
    coarse = TorchModel(conv(dim, stride=2))(f).grid
    assert coarse.coincides(f.grid.stride(2))
    assert coarse.boundary == "periodic"
    pooled = TorchModel(POOLS[dim - 1](2), offset=0.5)(f)
    assert pooled.grid.coincides(f.grid.stride(2).translate([0.25] * dim))


@every_dim
def test_a_rim_that_is_cut_off(dim: int) -> None:
    """Without padding the output is known on a smaller part of the same lattice."""
    f = samples(dim, "zero")
    result = TorchModel(conv(dim, padding=0), stride=1, offset=1)(f).grid
    assert result.spacing == f.grid.spacing
    assert result.boundary == "none"
    assert result.origin.tolist() == pytest.approx([0.6] * dim)
    with pytest.raises(ValueError, match="give stride="):
        TorchModel(conv(dim, padding=0))(f)


@every_dim
def test_other_outputs_are_tensors(dim: int) -> None:
    f = samples(dim, lead=(2, 3))
    head = nn.Sequential(conv(dim), nn.Flatten(), nn.LazyLinear(5).double())
    result = TorchModel(head)(f)
    assert isinstance(result, Tensor)
    assert result.shape == (2, 3, 5)


@every_dim
def test_its_equivariance_error(dim: int) -> None:
    """Circular padding commutes with whole steps to rounding error, zero padding doesn't."""
    field = waves_on_a_grid(Draw(dim))
    fine = Grid((16, 20, 12)[:dim], 0.25)
    t = torch.full((dim,), 0.75, dtype=torch.float64)
    zero = CONVS[dim - 1](2, 3, 3, padding=1).double()
    with torch.no_grad():
        assert float(equivariance_error(TorchModel(conv(dim)), field, t, fine)) <= 1e-13
        assert float(equivariance_error(TorchModel(zero), field, t, fine)) > 1e-3


def test_it_learns_and_carries_its_state() -> None:
    layer, other = TorchModel(conv(2)), TorchModel(conv(2))
    nn.init.zeros_(other.module.weight)
    other.load_state_dict(layer.state_dict())
    f = samples(2)
    assert torch.equal(other(f).values, layer(f).values)
    layer(f).values.sum().backward()
    assert layer.module.weight.grad is not None
    assert layer.to(torch.float32)(Samples(f.values.float(), f.grid)).dtype == torch.float32


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class Total(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum()


WAVE = PlaneWaves([[0.25]], [[1.0, 1.0]])
BAD = {
    "a function": (lambda: TorchModel(torch.relu), TypeError, "expected an nn.Module"),
    "a field": (lambda: TorchModel(nn.ReLU())(WAVE), TypeError, r"sample\(field, grid\)"),
    "a tensor": (lambda: TorchModel(nn.ReLU())(torch.ones(1, 2, 4)), TypeError, "got Tensor"),
    "two outputs": (lambda: TorchModel(Pair())(samples(1)), TypeError, "one tensor, got tuple"),
    "no batch": (lambda: TorchModel(Total())(samples(1)), ValueError, "must keep the batch of 2"),
}


@pytest.mark.parametrize(("build", "kind", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()


def test_a_sampled_field_goes_in() -> None:
    assert TorchModel(nn.ReLU())(sample(WAVE, Grid(8, 0.5))).values.min() == 0


@pytest.mark.parametrize("module", [nn.ReLU(), nn.Conv1d(1, 1, 3), nn.Linear(1, 1), nn.Dropout()])
def test_a_torch_module_without_it_says_what_makes_a_layer(module):
    wave = PlaneWaves([[1 / 8]], [[1.0]])
    for f in (wave, sample(wave, Grid(8, 1.0))):
        with pytest.raises(
            TypeError, match=r"takes tensors, no feature maps: .*TorchModel\(module\)"
        ):
            module(f)
