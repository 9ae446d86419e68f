"""Same numbers in, same bits out: on repeated runs always, on another number of threads but for the sums named here."""

import pytest
import torch
from torch import Tensor

from discretize import Grid, Samples, sample
from equivariance.records import threads
from fields import random_bandlimited
from fields.evaluation.evaluation import evaluate
from fields.lattice import Lattice
from tests.compare import assert_close
from tests.laws.modules import LAYERS, SPACING, Weights
from tests.laws.modules import Kind as LayerKind
from tests.laws.registry import LEAVES, Draw
from tests.laws.registry import Kind as FieldKind

#: Large enough for torch to share the work out between threads.
SIDE = 160
#: Sums whose order depends on the number of threads: matrix products of the BLAS library, and FFTs that it plans.
BLAS = 64


def values(kind: FieldKind, count: int) -> Tensor:
    lattice = Lattice(torch.tensor([0.1, -0.2]).double(), (0.05, 0.05), (SIDE, SIDE))
    with threads(count):
        return evaluate(kind.build(Draw(2)), lattice)


def outputs(kind: LayerKind, count: int) -> Tensor:
    with threads(count), torch.no_grad():
        noise = torch.randn(2, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).double()
        grid = Grid((SIDE, SIDE), SPACING[:2])
        return kind.build(Weights(2))(Samples(noise, grid)).values


@pytest.mark.parametrize("kind", [k for k in LEAVES if 2 in k.dims], ids=str)
def test_fields(kind: FieldKind) -> None:
    first = values(kind, 1)
    assert torch.equal(first, values(kind, 1))
    assert_close(values(kind, 2), first, BLAS)


@pytest.mark.parametrize(
    "kind",
    [k for k in LAYERS if "on a period" not in k.name],  # its period isn't that of the grid here
    ids=str,
)
def test_layers(kind: LayerKind) -> None:
    first = outputs(kind, 1)
    assert torch.equal(first, outputs(kind, 1))
    assert_close(outputs(kind, 2), first, BLAS)


def test_pointwise_work_is_the_same_on_any_number_of_threads() -> None:
    """Where nothing is summed across threads, bit for bit."""
    for kind in LAYERS:
        if kind.name in ("Bias", "Pointwise, relu", "Stride", "MaxPool, mask", "MaxPooling"):
            assert torch.equal(outputs(kind, 1), outputs(kind, 2)), kind.name


def test_seeds_do_not_share_the_global_generator() -> None:
    """A seed says all: the global generator is neither read nor moved."""
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = random_bandlimited(2, 1, 1.0, 8.0, seed=3)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(2)
    two = random_bandlimited(2, 1, 1.0, 8.0, seed=3)
    assert torch.equal(one.amplitudes, two.amplitudes)
    grid = Grid((16, 16), 0.5)
    assert torch.equal(sample(one, grid).values, sample(two, grid).values)
