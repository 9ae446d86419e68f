"""Translations act on fields as a group, linearly, and on the torus isometrically.

Those that Hypothesis draws are multiples of π/1000, so that no point lands on a jump of the field by design: there
rounding decides.
"""

import functools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fields import Field
from tests.compare import assert_close
from tests.laws.registry import (
    COMPOSED,
    DIMS,
    INTERPOLANTS,
    LAYERS,
    LEAVES,
    PERIOD,
    Draw,
    Kind,
    points,
)

#: Errors of equations between evaluations at positions computed differently, in eps of the largest value.
LAW = 4000

layered = tuple(layer.name for layer in LAYERS)
KINDS = [*LEAVES, *INTERPOLANTS, *(k for k in COMPOSED if not k.name.startswith(layered))]
#: Fields whose norm over the period is a finite sum.
ISOMETRIC = [k for k in KINDS if k.periodic and k.bandlimited]
#: Sums of hundreds of images, whose laws are checked in fewer dimensions, and by `test_fields` for one translation.
SLOW = [(3, "periodized")]

steps = st.integers(-3000, 3000).map(lambda k: k * math.pi / 1000)
numbers = st.integers(-40, 40).map(lambda k: k / 16)
dtypes = st.sampled_from([torch.float64, torch.float32])
few = settings(max_examples=5, deadline=None)


def every(kinds: list[Kind]) -> pytest.MarkDecorator:
    cases = [
        pytest.param(kind, dim, id=f"{dim}-{kind}")
        for dim in DIMS
        for kind in kinds
        if dim in kind.dims and (dim, kind.name) not in SLOW
    ]
    return pytest.mark.parametrize(("kind", "dim"), cases)


def vectors(dim: int) -> st.SearchStrategy[torch.Tensor]:
    return st.tuples(*[steps] * dim).map(lambda t: torch.tensor(t, dtype=torch.float64))


@functools.cache
def built(name: str, dim: int, dtype: torch.dtype, element: int) -> Field:
    (kind,) = (k for k in KINDS if k.name == name)
    return kind.build(Draw(dim, dtype, element))


@every(KINDS)
def test_translations_act_linearly(kind: Kind, dim: int) -> None:
    """0▷F = F, (t▷F)(x) = F(x − t), t▷(s▷F) = (t + s)▷F, t▷(aF + bG) = a t▷F + b t▷G."""
    x = points(dim, 2)

    @few
    @given(vectors(dim), vectors(dim), numbers, numbers, dtypes)
    def law(t: torch.Tensor, s: torch.Tensor, a: float, b: float, dtype: torch.dtype) -> None:
        f, g = (built(kind.name, dim, dtype, element) for element in (0, 1))
        here, there, further, other = f(x), f(x - t), f(x - t - s), g(x - t)
        size = 1 + max(float(v.abs().max()) for v in (here, there, further, other))
        assert torch.equal(f.translate(torch.zeros(dim))(x), here)
        assert_close(f.translate(t)(x), there, LAW, size)
        assert_close(f.translate(s).translate(t)(x), further, LAW, size)
        assert_close(f.translate(t + s)(x), further, LAW, size)
        assert_close((a * f + b * g).translate(t)(x), a * there + b * other, LAW, size)

    law()


@every(ISOMETRIC)
def test_translations_are_isometries_of_the_torus(kind: Kind, dim: int) -> None:
    """‖t▷F‖ = ‖F‖ and ⟨t▷F, t▷G⟩ = ⟨F, G⟩ over the period."""

    @settings(max_examples=3, deadline=None)
    @given(vectors(dim), dtypes)
    def law(t: torch.Tensor, dtype: torch.dtype) -> None:
        f, g = (built(kind.name, dim, dtype, element) for element in (0, 1))
        rtol = 1e-9 if dtype == torch.float64 else 1e-5
        norms = f.norm(rtol), g.norm(rtol)
        assert_close(f.translate(t).norm(rtol), norms[0], LAW)
        moved = f.translate(t).inner(g.translate(t), rtol)
        assert_close(moved, f.inner(g, rtol), LAW, float(norms[0] * norms[1]))

    law()


@pytest.mark.parametrize(
    "kind", [k for k in KINDS if k.periodic and not k.bandlimited], ids=lambda k: k.name
)
def test_norms_of_rough_fields_are_invariant_to_their_accuracy(kind: Kind) -> None:
    """‖t▷F‖ = ‖F‖ to rtol, for fields with kinks and jumps."""
    field = built(kind.name, 1, torch.float64, 0)
    assert field.is_periodic(PERIOD[0])
    norm = float(field.norm(1e-4))

    @settings(max_examples=3, deadline=None)
    @given(vectors(1))
    def law(t: torch.Tensor) -> None:
        assert float(field.translate(t).norm(1e-4)) == pytest.approx(norm, rel=2e-4)

    law()
