"""The law of units: whatever unit amplitudes are in, answers are the same, in that unit.

Units are powers of two, so that amplitudes in another unit have the same digits: 2^±100 in float32 and 2^±664 in
float64, whose squares are no numbers. `test_lengths` has the law of lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from discretize import (
    ComovingSubsampling,
    Grid,
    Samples,
    aliasing,
    required_grid,
    sample,
)
from discretize.origins import Argmax, Centroid, Phase, RefinedArgmax
from equivariance import equivariance_error, measure
from fields import Balls, Field, Gaussians
from layers import GlobalPool, Pointwise
from tests.compare import assert_close
from tests.laws.registry import FIELDS, LEAVES, PERIOD, Draw, Kind, points
from tests.laws.test_choices import CHOOSERS

#: u ↦ a field in that unit.
Make = Callable[[float], Field]
UNITS = {torch.float32: 100, torch.float64: 664}
#: Kinds whose norms are closed, of which `fields.algebra.closed_forms.paired` multiplies one factor after the other.
CLOSED = (
    *("Constant", "Gaussians", "Gaussians, widths per axis", "Gaussians, covariances", "Gabors"),
    *("Gabors, covariances", "Bumps", "Balls", "Boxes", "random_gaussian"),
    *("PlaneWaves, all of a period", "Interpolated, linear"),
)
SHAPE = (8, 10)

every_dtype = pytest.mark.parametrize("dtype", UNITS, ids=str)
every_sign = pytest.mark.parametrize("sign", [-1, 1], ids=["small", "large"])


@dataclass(frozen=True)
class Question:
    """What is asked of a field, and the power of the amplitudes' unit that the answer has."""

    ask: Callable[[Field], Tensor]
    degree: int = 0
    periodic: bool = True
    decays: bool = True
    neither: bool = False

    def fits(self, kind: Kind) -> bool:
        if kind.periodic or kind.decays:
            return (self.periodic and kind.periodic) or (self.decays and kind.decays)
        return self.neither


def grid(f: Field) -> Grid:
    spacing = [p / n for p, n in zip(PERIOD[: f.dim], SHAPE, strict=False)]
    boundary = "periodic" if f.is_periodic(PERIOD[: f.dim]) else "none"
    return Grid(SHAPE[: f.dim], spacing, -1.0, boundary)


def sampled(f: Field) -> Samples:
    return sample(f, grid(f), rtol=1e-2, prefilter="none")


def moduli(f: Field) -> list[float]:
    return [p / 2 for p in PERIOD[: f.dim]]


def fading(f: Field) -> Field:
    """A layer that isn't equivariant."""
    window = torch.ones(1, f.dim, dtype=f.dtype)
    return f * Gaussians(window / 2, window[:, :1], window[0, :1])


QUESTIONS = {
    "norm": Question(lambda f: f.norm(1e-2), 1),
    "inner": Question(lambda f: f.inner(f, 1e-2), 0),  # with the other in the inverse unit
    "integral": Question(lambda f: f.integrate(1e-2), 1),
    "values": Question(lambda f: f(points(f.dim)), 1, neither=True),
    "samples": Question(lambda f: sampled(f).values, 1, neither=True),
    "accuracy": Question(lambda f: torch.tensor(sampled(f).accuracy), 0, neither=True),
    "mean": Question(lambda f: GlobalPool("mean", 1e-2)(f), 1, decays=False),
    "power mean": Question(lambda f: GlobalPool(3.5, 1e-2)(f), 1, decays=False),
    "maximum": Question(lambda f: GlobalPool("max", 1e-2)(f), 1, decays=False),
    "share": Question(lambda f: aliasing(f, grid(f), 1e-2).share, 0, decays=False),
    "defect": Question(lambda f: aliasing(f, grid(f), 1e-2).defect, 1, decays=False),
    "resolved": Question(lambda f: f.resolve(1e-2).values, 1, decays=False),
    "required": Question(
        lambda f: torch.tensor(required_grid(f, 1e-2).shape).double(), 0, decays=False
    ),
    "error at points": Question(
        lambda f: equivariance_error(fading, f, [0.3] * f.dim, points=points(f.dim, 40)),
        neither=True,
    ),
    "error on a grid": Question(
        lambda f: equivariance_error(Pointwise(torch.abs), f, [0.3] * f.dim, grid(f), rtol=1e-2),
        decays=False,
    ),
    "phase": Question(lambda f: torch.stack(Phase("strongest", 1e-2)(f, moduli(f))), decays=False),
    "centroid": Question(lambda f: torch.stack(Centroid(1e-2)(f, [4.0] * f.dim)), periodic=False),
}


def answers_agree(questions: Sequence[str], kind: Kind, one: Field, make: Make) -> None:
    """Of u·F, for small and large u: bit by bit, or to a few roundings of sums that are taken in other units."""
    other = kind.build(Draw(one.dim, one.dtype))
    for name in questions:
        question = QUESTIONS[name]
        if not question.fits(kind) or (name == "norm" and kind.name in CLOSED):
            continue
        expected = one.inner(1.0 * other, 1e-2) if name == "inner" else question.ask(one)
        for u in (2.0 ** -UNITS[one.dtype], 2.0 ** UNITS[one.dtype]):
            f = make(u)
            found = f.inner(1 / u * other, 1e-2) if name == "inner" else question.ask(f)
            found = found / u if question.degree else found
            assert_close(found, expected, 32, max(float(expected.abs().max()), 1e-30))


@every_dtype
@pytest.mark.parametrize("kind", [k for k in FIELDS if 1 in k.dims], ids=str)
def test_multiples_of_fields(kind: Kind, dtype: torch.dtype) -> None:
    """Everything that is homogeneous, of u·F, in one dimension."""
    field = kind.build(Draw(1, dtype))
    answers_agree(list(QUESTIONS), kind, 1.0 * field, lambda u: u * field)


#: What is asked in two dimensions, where the rest takes long.
QUICK = ("values", "samples", "share", "defect", "error at points", "resolved")


@every_dtype
@pytest.mark.parametrize("kind", [k for k in LEAVES if 2 in k.dims], ids=str)
def test_leaves_in_the_plane(kind: Kind, dtype: torch.dtype) -> None:
    """Leaves whose own amplitudes are in another unit."""
    one = kind.build(Draw(2, dtype))
    answers_agree(QUICK, kind, one, lambda u: in_unit(kind, 2, dtype, u))


@every_sign
@every_dtype
def test_jumps_in_the_plane(dtype: torch.dtype, sign: int) -> None:
    """What jumps may hide of an integral by quadrature."""
    u, one = 2.0 ** (sign * UNITS[dtype]), torch.ones(1, 1, dtype=dtype)
    disc = Balls(torch.zeros(1, 2, dtype=dtype), one, one[0]).map(torch.abs)
    assert_close((u * disc).integrate(0.1) / u, (1.0 * disc).integrate(0.1), 32)


def in_unit(kind: Kind, dim: int, dtype: torch.dtype, u: float) -> Field:
    """A leaf with its amplitudes times u."""
    field = kind.build(Draw(dim, dtype))
    for name in ("amplitudes", "value", "values", "coefficients"):
        if isinstance(getattr(field, name, None), Tensor):
            setattr(field, name, getattr(field, name) * u)
            return field
    return u * field


@every_sign
@every_dtype
@pytest.mark.parametrize("name", CLOSED)
def test_closed_norms(name: str, dtype: torch.dtype, sign: int) -> None:
    kind = next(k for k in FIELDS if k.name == name)
    u = 2.0 ** (sign * UNITS[dtype])
    one, field = kind.build(Draw(1, dtype)), in_unit(kind, 1, dtype, u)
    assert_close(field.norm(1e-2) / u, one.norm(1e-2), 32)


# --- samples --------------------------------------------------------------------------------------


def noise(dim: int, dtype: torch.dtype, boundary: str = "periodic") -> Samples:
    draw = torch.Generator().manual_seed(dim)
    values = torch.randn(2, 2, *(12,) * dim, generator=draw, dtype=dtype)
    return Samples(values, Grid((12,) * dim, 0.5, 0.25, boundary))


@every_sign
@every_dtype
@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("name", CHOOSERS)
def test_choices(name: str, dim: int, dtype: torch.dtype, sign: int) -> None:
    """The same sublattice, bit for bit."""
    u, f = 2.0 ** (sign * UNITS[dtype]), noise(dim, dtype)
    layer = CHOOSERS[name][0](dim, 2).to(dtype)
    found, expected = layer(u * f), layer(f)
    assert torch.equal(found.grid.origin, expected.grid.origin)
    assert torch.equal(found.values / u, expected.values)


PREDICTORS = {
    "Phase": (Phase(), "periodic"),
    "Phase, strongest": (Phase("strongest"), "periodic"),
    "Centroid": (Centroid(), "periodic"),
    "Centroid, zero": (Centroid(), "zero"),
    "Argmax": (Argmax(), "periodic"),
    "RefinedArgmax": (RefinedArgmax(), "periodic"),
}


@every_sign
@every_dtype
@pytest.mark.parametrize("name", PREDICTORS)
def test_origins_of_samples(name: str, dtype: torch.dtype, sign: int) -> None:
    """Origins and confidences, bit for bit."""
    predictor, boundary = PREDICTORS[name]
    u = 2.0 ** (sign * UNITS[dtype])
    for dim in (1, 2):
        f = noise(dim, dtype, boundary)
        for found, expected in zip(predictor(u * f, 3.0), predictor(f, 3.0), strict=True):
            assert torch.equal(found, expected)


@every_sign
@every_dtype
def test_comoving_subsampling(dtype: torch.dtype, sign: int) -> None:
    u, f = 2.0 ** (sign * UNITS[dtype]), noise(2, dtype)
    layer = ComovingSubsampling(2, nyquist="keep", bound=0)
    (found, sure), (expected, known) = layer.with_confidence(u * f), layer.with_confidence(f)
    assert torch.equal(found.grid.origin, expected.grid.origin)
    assert torch.equal(sure, known)
    assert torch.equal(found.values / u, expected.values)


@every_sign
@every_dtype
def test_measured_errors(dtype: torch.dtype, sign: int) -> None:
    """Of a network without biases, which is homogeneous."""
    draw = torch.Generator().manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular", bias=False),
        nn.ReLU(),
        nn.MaxPool2d(2),
    ).to(dtype)
    x = torch.randn(2, 2, 8, 8, generator=draw, dtype=dtype)
    u = 2.0 ** (sign * UNITS[dtype])
    steps = torch.tensor([[1.0, 0.0], [2.0, 2.0], [0.5, 0.3]])
    found, expected = (measure(model, v, steps, probe=False)["error"].values for v in (u * x, x))
    assert_close(torch.tensor(found), torch.tensor(expected), 0)
