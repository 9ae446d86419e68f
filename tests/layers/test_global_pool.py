"""GlobalPool: closed forms, invariance within the accuracy that it reports, and its promises."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from discretize import Grid, NotResolved, Samples, sample
from fields import (
    Atoms,
    BoxKernel,
    Constant,
    Field,
    Formula,
    GaussianKernel,
    Gaussians,
    PlaneWaves,
    random_bandlimited,
)
from layers import Conv, GlobalPool, Pointwise
from tests.compare import assert_close

KINDS = ("mean", "integral", "max", 1, 2, 3.5)
PERIOD = (4.0, 5.0, 3.0)

every_dim = pytest.mark.parametrize("dim", [1, 2, 3])
every_kind = pytest.mark.parametrize("kind", KINDS)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def wave(dim: int, *cycles: float) -> PlaneWaves:
    """(cos(2π k·x), sin(2π k·x)/2) with k per unit length."""
    return PlaneWaves([list(cycles[:dim])], [[1.0, -0.5j]])


# --- samples ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@every_dim
@every_kind
def test_samples_are_pooled_as_numpy_would(kind, dim: int, dtype: torch.dtype) -> None:
    """Over all points of the grid, for each element of the batch; dx is the product of spacings."""
    shape, spacing = (4, 3, 5)[:dim], (0.5, 0.25, 2.0)[:dim]
    values = noise(2, 3, *shape, dtype=dtype)
    flat = values.double().numpy().reshape(2, 3, -1)
    expected = {
        "mean": flat.mean(-1),
        "integral": flat.sum(-1) * np.prod(spacing),
        "max": flat.max(-1),
    }.get(kind)
    if expected is None:
        expected = (np.abs(flat) ** kind).mean(-1) ** (1 / kind)
    result, accuracy = GlobalPool(kind).with_accuracy(Samples(values, Grid(shape, spacing)))
    assert accuracy == 0.0
    assert result.dtype == dtype
    assert_close(result, torch.from_numpy(expected).to(dtype), 100)


# --- fields: closed forms -----------------------------------------------------------------------

CLOSED: dict[str, tuple[Field, object, list[float], float]] = {
    "mean of waves": (wave(2, 1, 2) + 0.25, "mean", [0.25, 0.25], 1),
    "root mean square": (wave(2, 1, 2), 2, [0.5**0.5, 0.125**0.5], 1),
    "mean |cos|": (wave(1, 1), 1, [2 / math.pi, 1 / math.pi], 1),
    "mean relu": (wave(2, 1, 2).map(torch.relu), "mean", [1 / math.pi, 0.5 / math.pi], 1),
    "fourth moment": (wave(1, 2), 4, [0.375**0.25, 0.5 * 0.375**0.25], 1),
    "crest": (wave(2, 1, 1).translate([0.123, 0.457]), "max", [1, 0.5], 1),
    "crest off the lattice": (wave(1, 1).translate([0.3]), "max", [1, 0.5], 1),
    "integral of waves": (wave(2, 0.25, 0.5) + 0.5, "integral", [4.0, 4.0], 12),
    "integral of |cos|": (wave(1, 0.5).map(abs), "integral", [4 / math.pi, 2 / math.pi], 2),
    "constant": (Constant([3.0, -1.0], 3), "mean", [3.0, -1.0], 3),
    "maximum of a constant": (Constant([3.0, -1.0], 3), "max", [3.0, -1.0], 3),
    "one axis only": (wave(2, 0.5, 0), 2, [0.5**0.5, 0.125**0.5], 1),
    "filtered": (
        wave(1, 1).convolve(BoxKernel(0.3, torch.eye(2).double())),
        2,
        [r * math.sin(0.3 * math.pi) / (0.3 * math.pi) for r in (0.5**0.5, 0.125**0.5)],
        1,
    ),
    "high beside low": (
        PlaneWaves([[32.0], [1.0]], [[1.0], [1e-3]]).map(torch.relu),
        "mean",
        [1 / math.pi],
        1,
    ),
}


@pytest.mark.parametrize("rtol", [1e-2, 1e-4])
@pytest.mark.parametrize(("field", "kind", "exact", "scale"), CLOSED.values(), ids=CLOSED.keys())
def test_closed_forms(field: Field, kind, exact: list[float], scale: float, rtol: float) -> None:
    """|P(F) − exact| ≤ reported accuracy·scale ≤ rtol·scale, scale max|F|, or ∫|F| for an integral."""
    result, accuracy = GlobalPool(kind, rtol=rtol).with_accuracy(field)
    assert accuracy <= rtol
    error = float((result - torch.tensor(exact, dtype=torch.float64)).abs().max())
    assert error <= accuracy * scale + 1e-14


@pytest.mark.parametrize("rtol", [1e-4, 1e-8])
@every_dim
def test_integrals_of_gaussians(dim: int, rtol: float) -> None:
    """∫ a exp(−x²/2w²) dx = a ∏ w_i √(2π), over all of R^d."""
    widths = torch.tensor([[0.5, 0.7, 0.4], [0.3, 0.3, 0.6]], dtype=torch.float64)[:, :dim]
    peaks = noise(2, 3).abs()
    field = Gaussians(noise(2, dim, seed=1), peaks, widths)
    expected = (peaks * (widths * math.sqrt(2 * math.pi)).prod(-1, keepdim=True)).sum(0)
    result = GlobalPool("integral", rtol=rtol)(field)
    assert float(((result - expected).abs() / expected).max()) <= rtol


def test_maximum_of_a_gaussian_on_the_plane() -> None:
    field = Gaussians([[0.3, -0.7]], [[2.0, 1.0]], [0.5])
    result, accuracy = GlobalPool("max", rtol=1e-3).with_accuracy(field)
    assert_close(result, torch.tensor([2.0, 1.0]).double(), 1, scale=2 * accuracy / 2.2e-16)


def test_a_field_agrees_with_its_samples() -> None:
    """Below Nyquist, mean and mean square over the period are those over the grid."""
    field = random_bandlimited(2, 3, 0.3, 8.0, seed=0) + torch.tensor([1.0, 2.0, 0.0]).double()
    values = field(Grid((8, 8), 1.0).points()).movedim(-1, 0)
    for kind in ("mean", "integral", 2):
        pool = GlobalPool(kind)
        assert_close(pool(field), pool(Samples(values, Grid((8, 8), 1.0))), 100)


@pytest.mark.parametrize("kind", ["mean", "integral", "max", 2.0], ids=str)
def test_the_accuracy_is_that_of_the_worst_element(kind) -> None:
    """A small and sharp element of a batch isn't hidden behind a large and smooth one."""
    double = torch.float64
    amplitudes = torch.tensor([[[1e3]], [[1.0]]], dtype=double)
    widths = torch.tensor([[4.0], [0.05]], dtype=double)
    field = Gaussians([[0.37]], amplitudes, widths).periodize(8.0).map(torch.relu)
    result, accuracy = GlobalPool(kind, rtol=1e-2).with_accuracy(field)
    truth = {"max": 1.0, "integral": 0.05 * (2 * math.pi) ** 0.5}
    truth |= {"mean": truth["integral"] / 8, 2.0: (0.05 * math.pi**0.5 / 8) ** 0.5}
    scale = truth["integral"] if kind == "integral" else 1.0
    assert accuracy <= 1e-2
    assert abs(float(result[1, 0]) - truth[kind]) <= 3 * accuracy * scale


@every_kind
def test_batch_is_a_loop(kind) -> None:
    waves = random_bandlimited(1, 2, 0.5, 4.0, seed=0)
    amplitudes = torch.stack([waves.amplitudes, 2 * waves.amplitudes.flip(0)])
    pool = GlobalPool(kind, rtol=1e-3)
    batch = pool(PlaneWaves(waves.frequencies, amplitudes, period=4.0))
    singles = [pool(PlaneWaves(waves.frequencies, a, period=4.0)) for a in amplitudes]
    assert batch.shape == (2, 2)
    assert_close(batch, torch.stack(singles), 1, scale=8 * 4 * 2e-3 / 2.2e-16)


# --- the law ------------------------------------------------------------------------------------


def network(dim: int) -> nn.Module:
    """Atoms and a density, with a ReLU between."""
    return nn.Sequential(
        Conv.from_array(noise(*(2,) * dim, 2, 2), 0.5),
        Pointwise(torch.relu),
        Conv(GaussianKernel([0.3, 0.5, 0.4][:dim], noise(2, 2, seed=1))),
    )


def waves(dim: int) -> Field:
    return random_bandlimited(dim, 2, [1.6 / p for p in PERIOD[:dim]], PERIOD[:dim], seed=dim)


INPUTS = {
    "waves": lambda dim: waves(dim),
    "relu": lambda dim: waves(dim).map(torch.relu),
    "network": lambda dim: network(dim)(waves(dim)),
}


def size_of(field: Field, kind) -> float:
    """max|F|, or ∫|F| for an integral: what accuracies are relative to."""
    period = PERIOD[: field.dim]
    grid = Grid((24,) * field.dim, [p / 24 for p in period])
    values = sample(field, grid, refinement=1).values.abs()
    if kind == "integral":
        return float(values.flatten(1).mean(1).max()) * math.prod(period)
    return float(values.max())


@pytest.mark.parametrize("build", INPUTS.values(), ids=INPUTS.keys())
@every_dim
@every_kind
def test_invariance_within_the_reported_accuracy(kind, dim: int, build) -> None:
    """|P(t▷F) − P(F)| is at most both accuracies together, for random real t."""
    pool = GlobalPool(kind, rtol=1e-2 if dim == 3 else 1e-3)
    with torch.no_grad():
        field = build(dim)
        scale = size_of(field, kind)
        expected, accuracy = pool.with_accuracy(field)
        for t in 5 * noise(6 if dim < 3 else 2, dim, seed=3):
            moved, other = pool.with_accuracy(field.translate(t))
            change = float((moved - expected).abs().max())
            assert change <= (accuracy + other + 1e-14) * scale


@every_kind
def test_accuracy_is_not_idle(kind) -> None:
    """Teeth: on a coarse lattice the invariants do change, by more than a fine lattice's accuracy."""
    field = INPUTS["network"](1)
    grid = Grid(4, PERIOD[0] / 4)
    pool = GlobalPool(kind)
    with torch.no_grad():
        fixed = [
            pool(Samples(field.translate([t])(grid.points()).mT, grid)) for t in (0.0, 0.1, 0.2)
        ]
        change = max(float((f - fixed[0]).abs().max()) for f in fixed[1:])
        assert change > 1e-3 * size_of(field, kind)


# --- gradients ----------------------------------------------------------------------------------


@every_kind
def test_gradients_reach_the_weights(kind) -> None:
    """∂P(K*F)/∂K is the limit of differences."""
    field = waves(1)
    weights = noise(3, 2, 2).requires_grad_()
    pool = GlobalPool(kind, rtol=1e-2)

    def pooled(w: Tensor) -> Tensor:
        return pool(field.convolve(Atoms([[0.0], [0.7], [1.1]], w)))

    torch.autograd.gradcheck(pooled, weights, fast_mode=True)


# --- promises and bad input ---------------------------------------------------------------------

WAVE = wave(1, 1)
DECAYS = Gaussians([[0.0]], [[1.0]], [1.0])
FORMULA = Formula(lambda x: x, 1, 1)
JUMP = Formula(lambda x: (x % 1 < 0.3).to(x), 1, 1, period=1.0)
BAD = {
    "kind": (lambda: GlobalPool("median"), ValueError, "'integral', 'max' or a number p ≥ 1"),
    "p": (lambda: GlobalPool(0.5), ValueError, "a number p ≥ 1, got 0.5"),
    "p, infinite": (lambda: GlobalPool(math.inf), ValueError, "got inf"),
    "rtol": (lambda: GlobalPool(rtol=0), ValueError, "between 0 and 1"),
    "input": (lambda: GlobalPool()(torch.ones(1, 4)), TypeError, "Samples, got Tensor"),
    "mean over R": (lambda: GlobalPool()(DECAYS), ValueError, r"needs a period.*periodize"),
    "norm over R": (lambda: GlobalPool(2)(DECAYS), ValueError, "needs a period"),
    "unknown": (lambda: GlobalPool("max")(FORMULA), ValueError, "needs a period"),
    "not finite": (
        lambda: GlobalPool()(WAVE.map(torch.log)),
        ValueError,
        "isn't finite",
    ),
    "out of reach": (
        lambda: GlobalPool("max", rtol=1e-9, memory=1 << 20)(WAVE),
        NotResolved,
        r"with \d+ points the error is estimated as .*larger rtol",
    ),
    "no memory at all": (
        lambda: GlobalPool(2, memory=100)(WAVE),
        NotResolved,
        r"can't be reached: no error is known, since with \d+ points this needs",
    ),
}


@pytest.mark.parametrize(("build", "kind", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()


def test_a_jump_is_integrated_to_first_order() -> None:
    """A field with a jump is pooled to the tolerance asked for, though nothing is smooth."""
    result, accuracy = GlobalPool(rtol=1e-3).with_accuracy(JUMP)
    assert abs(float(result) - 0.3) <= accuracy <= 1e-3


def test_its_kind_is_printed() -> None:
    assert repr(GlobalPool("max")) == "GlobalPool('max')"
