"""Laws of all fields: a field is a function, translations act on it, and what it says of itself
is true.

Positions are rounded to eps·|x|, which the field's slope turns into errors of some hundred eps:
LAW is the constant for equations between two evaluations at positions computed differently.
"""

import itertools
import math
from collections.abc import Iterable

import pytest
import torch

from fields.algebra.field import Field
from fields.evaluation.evaluation import evaluate
from fields.lattice import Lattice
from tests.compare import assert_close, error
from tests.laws.registry import BATCH, FIELDS, PERIOD, Draw, Kind, points

LAW = 2000


def every(kinds: Iterable[Kind]) -> pytest.MarkDecorator:
    """Those of which a law speaks, in all their dimensions."""
    cases = [(kind, dim) for kind in kinds for dim in kind.dims]
    each = [pytest.param(kind, dim, id=f"{dim}-{kind}") for kind, dim in cases]
    return pytest.mark.parametrize(("kind", "dim"), each)


every_field = every(FIELDS)


def line(field: Field, axis: int, first: float, spacing: float, count: int) -> torch.Tensor:
    """Values (c, count) along one axis, off the others' zero."""
    origin = torch.full((field.dim,), 0.37, dtype=torch.float64)
    origin[axis] = first
    shape = [1] * field.dim
    shape[axis] = count
    values = evaluate(field, Lattice(origin, (spacing,) * field.dim, tuple(shape)))
    return values.flatten(1)


@every_field
def test_translation_group(kind: Kind, dim: int) -> None:
    """0▷F = F, (t▷F)(x) = F(x − t), t▷(s▷F) = (s + t)▷F."""
    field, x = kind.build(Draw(dim)), points(dim)
    s, t = points(dim, 2, seed=2)
    assert torch.equal(field.translate(torch.zeros(dim))(x), field(x))
    scale = float(field(x).abs().max())
    assert_close(field.translate(t)(x), field(x - t), LAW, scale)
    assert_close(field.translate(s).translate(t)(x), field.translate(s + t)(x), LAW, scale)
    assert_close(field.translate(s).translate(t)(x), field(x - t - s), LAW, scale)


@every_field
def test_values_do_not_depend_on_other_points(kind: Kind, dim: int) -> None:
    """F((x, y))₀ = F(x)."""
    field, x = kind.build(Draw(dim)), points(dim, 6)
    alone = torch.stack([field(p) for p in x])
    scale = float(alone.abs().max())
    assert_close(field(x), alone, 100, scale)
    assert_close(field(x.reshape(2, 3, dim)).reshape(6, -1), alone, 100, scale)


@every_field
def test_lattice_evaluation_equals_scattered_evaluation(kind: Kind, dim: int) -> None:
    """F(origin + h·i) by the lattice = F(x) at x = origin + h·i."""
    field = kind.build(Draw(dim))
    spacings = itertools.product((0.25, 0.3), ((3, 2, 2), (1, 4, 2)))
    for spacing, shape in spacings:
        lattice = Lattice(points(dim, 1)[0], (spacing,) * dim, shape[:dim])
        expected = field(lattice.points())
        values = evaluate(field, lattice).movedim(0, -1)
        assert_close(values, expected, LAW, float(expected.abs().max()))


@every_field
def test_batch_is_a_loop(kind: Kind, dim: int) -> None:
    """A batch of fields has the values of its elements, at points and on a batch of lattices."""
    batch = kind.build(Draw(dim, element=None))
    single = [kind.build(Draw(dim, element=i)) for i in range(BATCH)]
    x, origins = points(dim), points(dim, BATCH, seed=3)
    if kind.batched:
        looped = torch.stack([f(x) for f in single])
        assert batch.batch == (BATCH,)
        assert_close(batch(x), looped, 100)
    grids = [Lattice(o, (0.3,) * dim, (2,) * dim) for o in (origins, *origins)]
    looped = torch.stack([evaluate(f, g) for f, g in zip(single, grids[1:], strict=True)])
    assert_close(evaluate(batch, grids[0]), looped, 100, float(looped.abs().max()))
    # A batch of translations makes a batch of one field.
    looped = torch.stack([single[0].translate(t)(x) for t in origins])
    assert_close(single[0].translate(origins)(x), looped, 100)


@every_field
def test_single_precision_agrees_with_double(kind: Kind, dim: int) -> None:
    """F₃₂(x) = F₆₄(x) up to 500 eps₃₂ of the largest value."""
    x = points(dim)
    single, double = kind.build(Draw(dim, torch.float32)), kind.build(Draw(dim))
    values = single(x)
    assert values.dtype == single.dtype == torch.float32
    scale = max(1.0, float(double(x).abs().max()))
    assert_close(values, double(x).float(), 500, scale)


@every_field
def test_gradients_in_points(kind: Kind, dim: int) -> None:
    """∂F/∂x by autograd, and by `gradient`, is the limit of differences."""
    field, x = kind.build(Draw(dim)), points(dim, 2).requires_grad_()
    torch.autograd.gradcheck(field, x, fast_mode=True)
    backward = torch.autograd.functional.jacobian(lambda p: field(p).sum(0), x)
    assert_close(field.gradient(x.detach()), backward.movedim(1, 0), LAW, 10.0)


@every_field
def test_gradients_in_numbers(kind: Kind, dim: int) -> None:
    """∂F/∂(centers, amplitudes, values, …, translations) is the limit of differences."""
    x, draw = points(dim, 2), Draw(dim)
    kind.build(draw)
    drawn = [v.requires_grad_() for v in draw.drawn]
    shift = torch.full((dim,), 0.1, dtype=torch.float64, requires_grad=True)

    def value(t: torch.Tensor, *numbers: torch.Tensor) -> torch.Tensor:
        return kind.build(Draw(dim, given=numbers)).translate(t)(x)

    torch.autograd.gradcheck(value, (shift, *drawn), fast_mode=True)


@every_field
def test_it_knows_of_itself_what_is_true_of_its_kind(kind: Kind, dim: int) -> None:
    """A period, a band limit, a support: said where there is one, and of no other field."""
    field = kind.build(Draw(dim))
    assert (field.period is not None) == kind.periodic
    assert field.is_periodic(PERIOD[:dim]) == kind.periodic
    assert (field.bandlimit is not None) == kind.bandlimited
    assert (field.support(1e-6) is not None) == kind.decays


@every(k for k in FIELDS if k.periodic)
def test_period_is_honest(kind: Kind, dim: int) -> None:
    """F(x + P e_i) = F(x)."""
    field, x = kind.build(Draw(dim)), points(dim)
    assert field.is_periodic(PERIOD[:dim])
    scale = float(field(x).abs().max())
    for axis, length in enumerate(field.period):
        moved = x.clone()
        moved[:, axis] += length or 0.711  # 0: constant along this axis
        assert_close(field(moved), field(x), LAW, scale)
    assert field.is_periodic([2 * p for p in PERIOD[:dim]])
    assert field.is_periodic([p / 2 for p in PERIOD[:dim]]) == (kind.name == "Constant")


@every(k for k in FIELDS if k.bandlimited)
def test_bandlimit_is_honest(kind: Kind, dim: int) -> None:
    """A line through F, seen through a Gaussian window, has round-off only beyond the band limit.

    The window's transform is 1e-17 of its peak at a distance of 1.4/width.
    """
    field = kind.build(Draw(dim))
    width, spacing = 4.0, 0.25
    s = spacing * torch.arange(-144, 145, dtype=torch.float64)
    window = torch.exp(-0.5 * (s / width) ** 2)
    for axis, limit in enumerate(field.bandlimit):
        values = line(field, axis, float(s[0]), spacing, len(s))
        f = torch.linspace(limit + 1.4 / width, 0.5 / spacing, 40, dtype=torch.float64)
        waves = torch.exp(-2j * math.pi * f[:, None] * s)
        content = (waves @ (values * window).mT.to(waves)).abs() / window.sum()
        assert float(content.max()) <= 100 * torch.finfo(torch.float64).eps * (
            1 + float(values.abs().max())
        )


@every(k for k in FIELDS if k.decays)
def test_support_is_honest(kind: Kind, dim: int) -> None:
    """|F| < rtol·max|F| outside the box of `support(rtol)`."""
    field = kind.build(Draw(dim))
    low, high = field.support(1e-6)
    peak = float(field(points(dim, 50)).abs().max())
    for axis in range(dim):
        below = line(field, axis, low[axis] - 5.0, 0.1, 50)
        above = line(field, axis, high[axis] + 0.1, 0.1, 50)
        # Three terms, two channels mixed with factors up to 2: 100 leaves room for their sum.
        assert float(below.abs().max()) <= 1e-4 * peak
        assert float(above.abs().max()) <= 1e-4 * peak


@every_field
def test_pointwise_vocabulary(kind: Kind, dim: int) -> None:
    """(aF + bG)(x) = aF(x) + bG(x), (FG)(x) = F(x)G(x), (M F)(x) = M F(x), map likewise."""
    field, x = kind.build(Draw(dim)), points(dim)
    other = kind.build(Draw(dim, element=1))
    f, g = field(x), other(x)
    c = field.channels
    vector = torch.arange(1.0, c + 1, dtype=torch.float64)
    matrix = torch.stack([vector, vector.flip(0) - 3])
    scale = 30 * (1 + float(f.abs().max() + g.abs().max()) ** 2)
    for composed, expected in [
        (2 * field + other * vector, 2 * f + g * vector),
        (field - other, f - g),
        (1 - field, 1 - f),
        (-field, -f),
        (vector + field, vector + f),
        (vector - field, vector - f),
        (vector.numpy() * field, vector * f),
        (field * other, f * g),
        (field.mix(matrix), f @ matrix.mT),
        (field.map(lambda v: v**2), f**2),
        (field.map(lambda v: v.sum(-1, keepdim=True)), f.sum(-1, keepdim=True)),
        (field.stride(3), f),
    ]:
        assert error(composed(x), expected) <= 100 * torch.finfo(torch.float64).eps * scale
        assert composed.channels == expected.shape[-1]
