"""Graphs of a hundred residual blocks and of 3,000 nodes: every node is asked once, and nothing recurses."""

import copy
import math
import pickle
from collections import Counter
from collections.abc import Callable

import pytest
import torch

from discretize import Grid, sample
from equivariance import equivariance_error
from fields import Atoms, Box, Field, GaussianKernel, Gaussians, PlaneWaves, random_bandlimited
from fields.accuracy import NOTHING
from fields.algebra import closed_forms
from fields.algebra.decay import rung
from fields.evaluation import integrals
from fields.evaluation.questions import graph
from layers import PointwiseField, PoolField
from tests.compare import assert_close

BLOCKS, CHAIN = 100, 3000
#: Node visits per node that a question may take: each tolerance of a support counts, of which there are few.
TOLERANCES = 41


def wave() -> PlaneWaves:
    return random_bandlimited(1, 1, bandlimit=0.3, period=8.0, seed=0)


def blob() -> Gaussians:
    return Gaussians([[0.3]], [[1.0]], [1.0])


def residual(f: Field, blocks: int = BLOCKS) -> Field:
    """f + relu(K*f), again and again, K so small that values stay."""
    taps = Atoms([[0.0], [1.0]], [[[0.02]], [[-0.01]]])
    for _ in range(blocks):
        f = f + f.convolve(taps).map(torch.relu)
    return f


def tangents(f: Field, blocks: int = BLOCKS) -> Field:
    """Functions of another tolerance at every block."""
    for _ in range(blocks):
        f = 0.5 * (f + f.map(torch.tanh))
    return f


def products(f: Field, blocks: int = BLOCKS) -> Field:
    """Products of what hardly meets."""
    t = torch.tensor([30.0], dtype=torch.float64)
    for _ in range(blocks):
        f = 0.5 * (f + f.translate(t) * f.map(torch.square))
    return f


def chain(f: Field, nodes: int = CHAIN) -> Field:
    """Every kind of linear node, one after the other; the function is F(x − nodes/4·1e-3)."""
    steps: list[Callable[[Field], Field]] = [
        lambda f: f.translate([1e-3]),
        lambda f: -1 * f,
        lambda f: f.mix([[-1.0]]),
        lambda f: f + 0.0,
    ]
    for i in range(nodes):
        f = steps[i % 4](f)
    return f


FIELDS = {
    "residual, waves": lambda: residual(wave()),
    "residual, Gaussians": lambda: residual(blob()),
    "tangents": lambda: tangents(blob()),
    "products": lambda: products(blob(), 20),
    "chain of waves": lambda: chain(wave()),
    "chain of Gaussians": lambda: chain(blob()),
}
deep = pytest.mark.parametrize("build", FIELDS.values(), ids=FIELDS.keys())

QUESTIONS: dict[str, Callable[[Field], object]] = {
    "period": lambda f: f.period,
    "is_periodic": lambda f: f.is_periodic(8.0),
    "bandwidth": lambda f: f.bandwidth(1e-6),
    "support": lambda f: f.support(1e-6),
}


@deep
@pytest.mark.parametrize("question", QUESTIONS)
def test_every_node_is_asked_once(build, question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same generator of one node runs once for the same arguments, and for few of them."""
    field, visits = build(), Counter()
    for owner in {owner for node in graph(field) for owner in type(node).__mro__}:
        found = vars(owner).get(question)
        method = found.fget if isinstance(found, property) else found
        steps = getattr(method, "steps", None)
        if steps is not None:

            def counted(node, *args, steps=steps):
                visits[id(node), args] += 1
                return steps(node, *args)

            monkeypatch.setattr(method, "steps", counted)
    QUESTIONS[question](field)
    assert set(visits.values()) <= {1}
    nodes = len(graph(field))
    assert len(visits) <= (TOLERANCES if question == "support" else 1) * nodes


def test_answers_of_deep_graphs() -> None:
    """What the leaves say, carried up."""
    waves, gaussians = residual(wave()), residual(blob())
    assert waves.period == (8.0,)
    assert waves.is_periodic(16.0)
    assert not waves.is_periodic(4.0)
    assert waves.bandwidth(1e-6) is None
    low, high = blob().support(1e-6)
    (left,), (right,) = gaussians.support(1e-6)
    assert (left, right) == (pytest.approx(low[0] - BLOCKS), pytest.approx(high[0] + BLOCKS))
    assert chain(wave()).bandwidth(1e-6) == wave().bandlimit
    (low,), (high,) = chain(blob()).support(1e-6)
    (first,), (last,) = blob().support(1e-6)
    moved = CHAIN / 4 * 1e-3
    assert (low, high) == (pytest.approx(first + moved), pytest.approx(last + moved))


def test_tolerances_on_rungs_are_safe() -> None:
    """No larger than asked, and squares and roots of rungs are rungs."""
    for rtol in (0.9, 0.5, 1e-3, 1e-6, 1e-17, 1e-100, 1e-299):
        assert NOTHING <= rung(rtol) <= rtol
        assert rung(rung(rtol)) == pytest.approx(rung(rtol))
        assert rung(rung(rtol) ** 2) == pytest.approx(max(rung(rtol) ** 2, NOTHING))
    assert len({rung(10.0**-k) for k in range(301)}) <= TOLERANCES


@deep
def test_copies_and_pickles(build) -> None:
    """The same values, and as many nodes: what was shared still is; two that are pickled together share."""
    field, x = build(), torch.linspace(-2, 3, 7, dtype=torch.float64)[:, None]
    expected, nodes = field(x), len(graph(field))
    assert f"{type(field).__name__}(dim=1" in repr(field)
    for made in (copy.copy(field), copy.deepcopy(field), pickle.loads(pickle.dumps(field))):
        assert torch.equal(made(x), expected)
        assert len(graph(made)) == nodes
    one, both = pickle.loads(pickle.dumps((field, 2 * field)))
    assert both.parents[0] is one
    assert copy.copy(field).parents[0] is field.parents[0]
    assert copy.deepcopy(field).parents[0] is not field.parents[0]


def test_sampling_integrals_and_errors() -> None:
    """On a period: samples are the values, means and norms those of the samples; the network is equivariant."""
    grid, x = Grid(32, 0.25), Grid(32, 0.25).points()
    for field in (residual(wave()), chain(wave())):
        values = sample(field, grid, prefilter="none").values
        assert_close(values.mT, field(x), 1e4)
    field = chain(wave())
    dense = field(Grid(64, 0.125).points())
    assert_close(field.norm(), (dense.square().sum() * 0.125).sqrt(), 1e4)
    assert abs(float(field.integrate())) < 1e-12
    assert float(residual(wave()).integrate(1e-3)) == pytest.approx(
        float(residual(wave())(Grid(4096, 8 / 4096).points()).mean() * 8), abs=1e-2
    )
    field = chain(blob())
    assert float(field.integrate()) == pytest.approx(math.sqrt(2 * math.pi), rel=1e-12)
    assert float(field.norm()) == pytest.approx(math.pi**0.25, rel=1e-12)
    coarse = Grid(32, 0.25)
    for layer in (residual, chain):
        assert float(equivariance_error(layer, wave(), [0.5], grid=coarse)) < 1e-11
        assert float(equivariance_error(layer, wave(), [0.3], points=[[0.1], [2.7]])) < 1e-11


def test_closed_forms_of_deep_graphs() -> None:
    """Of 3,000 translates, of multiples, of sums in which every node is there twice."""
    x = torch.tensor([[0.1], [1.7]], dtype=torch.float64)
    t, kernel = torch.tensor([1e-3], dtype=torch.float64), GaussianKernel(0.5, [[2.0]])
    f = [[0.1], [0.0]]
    moved, turned, doubled = blob(), blob(), blob()
    for _ in range(CHAIN):
        moved, turned = moved.translate(t), -1 * turned
    for _ in range(BLOCKS):
        doubled = 0.5 * (doubled + doubled)
    far = blob().translate(CHAIN * t)
    assert_close(moved.integrate(), far.integrate(), 100)
    assert_close(moved.transform(f).abs(), far.transform(f).abs(), 1e4)
    for field, expected in ((moved, far), (turned, blob()), (doubled, blob())):
        assert_close(field.norm(), expected.norm(), 1e4)
        assert_close(field.inner(blob()), expected.inner(blob()), 1e4)
        smooth = field.convolve(kernel)
        assert not smooth.has_quadrature
        assert_close(smooth(x), expected.convolve(kernel)(x), 1e5)


def test_layers_that_depend_on_the_place() -> None:
    """Their questions, too: f + σ(x, f) and nested sources."""
    f = g = wave()
    square = PointwiseField(lambda x, v: 0.01 * v, period=8.0)
    pool = PoolField(lambda x: Box(1.0), period=8.0)
    for _ in range(BLOCKS):
        f = f + square(f)
    for _ in range(16):  # a tree of 2^16 sources
        g = g + pool(g)
    for field in (f, g):
        assert field.period == (8.0,)
        assert field.is_periodic(16.0)
    assert len(graph(g, sources=True)) == 1 + 2 * 16


class Doubled(Field):
    """A node of a user's: plain methods that ask its parent."""

    asked = 0

    def __init__(self, parent: Field) -> None:
        self.parents = (parent,)
        self.dim, self.channels, self.batch = parent.dim, parent.channels, parent.batch
        self.dtype, self.device, self.bandlimit = parent.dtype, parent.device, parent.bandlimit

    def bandwidth(self, rtol: float) -> tuple[float, ...] | None:
        Doubled.asked += 1
        return self.parents[0].bandwidth(rtol)

    def support(self, rtol: float) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        Doubled.asked += 1
        return self.parents[0].support(rtol=rtol)

    def _compute(self, task, inputs):
        return 2 * inputs[0]


class Stated(Field):
    """A leaf of a user's that says what it knows by attributes."""

    dim, channels, batch, dtype, device = 1, 1, (), torch.float64, torch.device("cpu")
    period, bandlimit = (4.0,), (0.25,)

    def _values(self, lattice):
        return torch.cos(math.pi / 2 * lattice.axes()[0])[..., None, :]


def test_nodes_of_users() -> None:
    """Plain methods and attributes are asked once for a walk, wherever they are in a graph."""
    f: Field = blob()
    for _ in range(20):
        f = f + Doubled(f)
    for question in ("bandwidth", "support"):
        Doubled.asked = 0
        assert QUESTIONS[question](f) == QUESTIONS[question](blob())
        assert Doubled.asked == 20
    assert (Stated().translate([1.0]) + wave()).period == (8.0,)
    assert (2 * Stated()).is_periodic(8.0)
    assert not (2 * Stated()).is_periodic(6.0)


def test_terms_that_merge_and_terms_that_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """(1 + t▷)^99 of one t is 100 terms; of as many translations it is 2^99, which nobody counts."""
    blocks = BLOCKS - 1
    t = torch.tensor([1e-2], dtype=torch.float64)
    one = many = blob()
    for k in range(blocks):
        one, many = 0.5 * (one + one.translate(t)), 0.5 * (many + many.translate([1e-3 * k]))
    monkeypatch.setattr(integrals, "evaluate", None)
    f = torch.tensor([[0.2]], dtype=torch.float64)
    factor = math.cos(math.pi * 0.2 * 1e-2) ** blocks  # |(1 + exp(−2πi f t))/2|^99
    assert_close(one.transform(f).abs(), factor * blob().transform(f).abs(), 1e4)
    assert_close(many.integrate(), blob().integrate(), 1e4)  # which knows no translations
    # A binomial mean of translates has the norm of a binomial of twice the order.
    gram = sum(
        math.comb(2 * blocks, k) / 4**blocks * math.exp(-((1e-2 * (k - blocks)) ** 2) / 4)
        for k in range(2 * blocks + 1)
    )
    found = float((0.5 * one + 0.5 * one).norm()) ** 2
    assert found == pytest.approx(math.sqrt(math.pi) * gram, rel=1e-12)
    assert closed_forms.transform(many, f) is None
    assert closed_forms.paired(many, many) is None
