"""Unshared layers against closed forms, and their projection on the shared ones."""

import math

import pytest
import torch
from torch import Tensor, nn

from discretize import Grid, Samples, Stride, sample
from fields import Ball, Box, Constant, FeatureMap, Field, Gaussians, Mask, PlaneWaves
from layers import (
    AvgPool,
    Bias,
    BiasField,
    Conv,
    GlobalPool,
    IntegralOperator,
    MaxPool,
    PointwiseField,
    PoolField,
    shared,
)
from layers.sharing import TranslationAverage
from tests.compare import assert_close, relative_error
from tests.laws.registry import Draw, waves_on_a_grid

PERIOD = (4.0, 5.0, 3.0)
SHAPE = (8, 10, 6)

every_dim = pytest.mark.parametrize("dim", [1, 2, 3])
carriers = pytest.mark.parametrize("carrier", ["Field", "Samples"])


def noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def phases(x: Tensor) -> Tensor:
    return 2 * math.pi * x / torch.tensor(PERIOD[: x.shape[-1]]).to(x)


def grid(dim: int, origin: float = 0.0) -> Grid:
    return Grid(SHAPE[:dim], [p / n for p, n in zip(PERIOD[:dim], SHAPE, strict=False)], origin)


def waves(dim: int, carrier: str = "Field", element: int | None = 0) -> FeatureMap:
    """Two channels of random waves, of the lowest modes."""
    field = waves_on_a_grid(Draw(dim, element=element))
    return field if carrier == "Field" else sample(field, grid(dim, 0.1))


def values(f: FeatureMap) -> Tensor:
    return f.values if isinstance(f, Samples) else f(noise(6, f.dim, seed=5)).mT


class Kappa(nn.Module):
    """κ(x, y) = A cos(θ(x) − θ(y)) + B cos(θ(x) + θ(y)), A and B learnt: one part is a convolution."""

    def __init__(self, moving: float = 1.0) -> None:
        super().__init__()
        self.fixed = nn.Parameter(noise(3, 2))
        self.moving = nn.Parameter(moving * noise(3, 2, seed=1))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        p, q = phases(x).sum(-1), phases(y).sum(-1)
        a, b = torch.cos(p - q), torch.cos(p + q)
        return a[..., None, None] * self.fixed + b[..., None, None] * self.moving


def local(x: Tensor, v: Tensor) -> Tensor:
    """σ(x, v) = tanh(v + sin θ(x))."""
    return torch.tanh(v + torch.sin(phases(x).sum(-1, keepdim=True)))


def window_at(x: Tensor) -> Ball:
    return Ball(0.8 if float(x[0]) % 4 < 1.5 else 1.3)


def bias_field(dim: int) -> Field:
    return Constant([0.5, -1.0], dim=dim) + waves_on_a_grid(Draw(dim, element=1))


def unshared(dim: int) -> dict[str, nn.Module]:
    period = PERIOD[:dim]
    return {
        "IntegralOperator": IntegralOperator(Kappa(), period, nodes=7),
        "BiasField": BiasField(bias_field(dim)),
        "PointwiseField": PointwiseField(local, period),
        "PoolField": PoolField(window_at, "mean", period, nodes=2),
        "PoolField, max": PoolField(window_at, "max", period, nodes=2),
    }


NAMES = list(unshared(1))
every_layer = pytest.mark.parametrize("name", NAMES)


# --- what they compute --------------------------------------------------------------------------


@carriers
@every_dim
def test_an_integral_operator_in_closed_form(carrier: str, dim: int) -> None:
    """F = cos θ(y), θ the sum of phases: ∫κF = V/2 (A + B) cos θ(x)."""
    kappa = Kappa()
    wave = PlaneWaves([[1 / p for p in PERIOD[:dim]]], [[1.0, 0.5]], period=PERIOD[:dim])
    f = wave if carrier == "Field" else sample(wave, grid(dim, 0.2))
    result = IntegralOperator(kappa)(f)
    assert result.channels == 3
    expected = (math.prod(PERIOD[:dim]) / 2) * wave.mix((kappa.fixed + kappa.moving).detach())
    reference = expected if carrier == "Field" else sample(expected, grid(dim, 0.2))
    assert_close(values(result), values(reference), 2000)


@every_dim
def test_nodes_are_those_of_the_trapezoidal_rule(dim: int) -> None:
    """Samples and field agree to rounding error where the field's nodes are the samples."""
    operator = IntegralOperator(
        lambda x, y: torch.exp(torch.cos(x - 2 * y)).mean(-1)[..., None, None]
    )
    f = waves(dim)[[0]]
    corner = grid(dim)
    field = sample(operator(f), corner, refinement=1)
    assert_close(operator(sample(f, corner)).values, field.values, 100)


def test_over_a_box() -> None:
    """∫₀¹∫₀² (x₁ + y₁ y₂) dy = 2x₁ + 1 exactly by midpoints; ∫₀¹ y² dy = 1/3 at second order."""
    plane = IntegralOperator(
        lambda x, y: (x[..., 0] + y[..., 0] * y[..., 1])[..., None, None], domain=(0.0, [1.0, 2.0])
    )
    x = noise(5, 2)
    assert_close(plane(Constant(1.0, dim=2))(x), 2 * x[:, :1] + 1, 100)
    errors = []
    for n in (8, 16):
        square = IntegralOperator(
            lambda x, y: (0 * x + y**2)[..., None], domain=(0.0, 1.0), nodes=n
        )
        errors.append(abs(float(square(Constant(1.0, dim=1))([0.0])) - 1 / 3))
    assert 3.9 <= errors[0] / errors[1] <= 4.1
    # Samples count with the part of their cell that lies in the box.
    ones = Samples(torch.ones(1, 40).double(), Grid(40, 0.1, -1.03, boundary="zero"))
    length = IntegralOperator(lambda x, y: (1 + 0 * x * y)[..., None], domain=(0.0, 1.5))
    assert_close(length(ones).values, torch.full((1, 40), 1.5, dtype=torch.float64), 50)


@every_dim
def test_an_operator_refines_to_a_tolerance(dim: int) -> None:
    """A kernel that 2 nodes can't tell from another is resolved by `sample`."""
    operator = IntegralOperator(Kappa(), PERIOD[:dim], nodes=2)
    exact = IntegralOperator(operator.kappa, PERIOD[:dim], nodes=9)
    result = sample(operator(waves(dim)), grid(dim), rtol=1e-9)
    expected = sample(exact(waves(dim)), grid(dim), refinement=2)
    assert relative_error(result.values, expected.values) <= 1e-9


@carriers
def test_a_position_is_what_the_functions_see(carrier: str) -> None:
    """σ(x, v) = x·v + v² in the plane; wrapped into the torus where there is one."""
    f = waves(2, carrier)
    layer = PointwiseField(lambda x, v: x[..., :1] * v + v**2)
    if isinstance(f, Samples):
        x, v = f.grid.points(), f.values.movedim(0, -1)
        assert_close(layer(f).values.movedim(0, -1), x[..., :1] * v + v**2, 10)
    else:
        x = noise(6, 2)
        assert_close(layer(f)(x), x[:, :1] * f(x) + f(x) ** 2, 10)
        torus = PointwiseField(lambda x, v: x[..., :1] * v, period=(4.0, 5.0))(f)
        assert torus.is_periodic((4.0, 5.0))
        assert_close(torus(x + torch.tensor([4.0, -5.0])), torus(x), 100)


@every_dim
@pytest.mark.parametrize("kind", ["mean", "max"])
def test_every_point_has_its_window(kind: str, dim: int) -> None:
    """What PoolField gives at x is what pooling with window(x) gives there, on both carriers."""
    layer = PoolField(window_at, kind, nodes=2)
    field, x = waves(dim), 2 * noise(8, dim)
    result = layer(field)(x)
    for point, value in zip(x, result, strict=True):
        assert_close(value, field.pool(window_at(point), kind, nodes=2)(point), 20)
    f = waves(dim, "Samples")
    pooled = layer(f).values
    for window in (Ball(0.8), Ball(1.3)):
        here = torch.tensor(
            [repr(window_at(p)) == repr(window) for p in f.grid.points().reshape(-1, dim)]
        )
        both = pooled.flatten(1)[:, here], f.pool(window, kind).values.flatten(1)[:, here]
        assert_close(*both, 20)
    open_grid = grid(dim, 0.1).replace(boundary="none")  # how the windows repeat isn't known
    on_grid = sample(layer(field), open_grid, refinement=1).values
    for window in (Ball(0.8), Ball(1.3)):
        whole = sample(field.pool(window, kind), grid(dim, 0.1), refinement=1).values
        here = torch.tensor(
            [repr(window_at(p)) == repr(window) for p in f.grid.points().reshape(-1, dim)]
        )
        assert_close(on_grid.flatten(1)[:, here], whole.flatten(1)[:, here], 20)


@carriers
@every_dim
@every_layer
def test_batches_and_origins(name: str, carrier: str, dim: int) -> None:
    """A batch of maps, and of translations of one map, is a loop."""
    layer = unshared(dim)[name]
    batch = values(layer(waves(dim, carrier, element=None)))
    singles = [values(layer(waves(dim, carrier, element=i))) for i in range(2)]
    assert_close(batch, torch.stack(singles), 100)
    t = noise(3, dim, seed=2)
    moved = values(layer(waves(dim, carrier).translate(t)))
    assert_close(
        moved, torch.stack([values(layer(waves(dim, carrier).translate(s))) for s in t]), 100
    )
    both = values(layer(waves(dim, carrier, element=None).translate(t[:2])))
    each = [values(layer(waves(dim, carrier, element=i).translate(t[i]))) for i in range(2)]
    assert_close(both, torch.stack(each), 100)


@carriers
def test_kappa_is_learnt(carrier: str) -> None:
    layer = IntegralOperator(Kappa(), PERIOD[:1])
    assert sorted(layer.state_dict()) == ["kappa.fixed", "kappa.moving"]
    parameters = dict(layer.named_parameters())

    def result(*weights: Tensor) -> Tensor:
        given = dict(zip(parameters, weights, strict=True))
        return values(torch.func.functional_call(layer, given, waves(1, carrier)))

    torch.autograd.gradcheck(result, tuple(parameters.values()), fast_mode=True)


@carriers
@every_layer
def test_single_precision(name: str, carrier: str) -> None:
    layer = unshared(2)[name]
    f = waves_on_a_grid(Draw(2, torch.float32))
    if name == "BiasField":
        layer = BiasField(Constant([0.5, -1.0], 2).map(lambda v: v.float()))
        expected = values(BiasField(Constant([0.5, -1.0], 2))(waves(2, carrier)))
    else:
        expected = values(layer(waves(2, carrier)))
        layer = layer.to(torch.float32)
    result = layer(f if carrier == "Field" else sample(f, grid(2, 0.1)))
    assert result.dtype == values(result).dtype == torch.float32
    assert_close(values(result), expected.float(), 500)


# --- their shared part --------------------------------------------------------------------------


def defect(layer: nn.Module, f: Field, t: Tensor) -> Tensor:
    """[L(t▷F)](x) − [L(F)](x − t)."""
    x = noise(6, f.dim, seed=5)
    return layer(f.translate(t))(x) - layer(f)(x - t)


class Remainder(nn.Module):
    def __init__(self, layer: nn.Module, part: nn.Module) -> None:
        super().__init__()
        self.layer, self.part = layer, part

    def forward(self, f: FeatureMap) -> FeatureMap:
        return self.layer(f) - self.part(f)


@every_dim
@every_layer
@torch.no_grad()
def test_the_remainder_is_what_breaks_the_law(name: str, dim: int) -> None:
    """Shared(L) commutes to 1e-12 with real t, L doesn't, and L − shared(L) fails by as much as L."""
    layer, f = unshared(dim)[name], waves(dim)
    part = shared(layer, nodes={1: 21, 2: 9, 3: 5}[dim])
    for t in (noise(dim, seed=3), 1e-3 * noise(dim, seed=4)):
        scale = float(values(layer(f)).abs().max())
        assert float(defect(part, f, t).abs().max()) <= 1e-12 * scale
        broken = defect(layer, f, t)
        remainder = defect(Remainder(layer, part), f, t)
        assert_close(remainder, broken, 1e4, scale)
    assert float(defect(layer, f, noise(dim, seed=3)).abs().max()) > 1e-3 * scale


@every_dim
@pytest.mark.parametrize("name", NAMES[:3])
@torch.no_grad()
def test_it_is_the_mean_over_the_torus(name: str, dim: int) -> None:
    """(1/n) Σ_t T₋ₜ L Tₜ F over a lattice of translations that tells all modes involved, to rounding error."""
    layer, f, x = unshared(dim)[name], waves(dim), noise(4, dim, seed=5)
    nodes = {1: 31, 2: 15, 3: 7}[dim]
    if name == "PointwiseField":  # tanh has all modes: take the same nodes for both
        nodes = {1: 61, 2: 31, 3: 11}[dim]
    mean = TranslationAverage(layer, PERIOD[:dim], nodes)(f)(x)
    tolerance = 1e-12 if name != "PointwiseField" else {1: 1e-10, 2: 1e-5, 3: 0.05}[dim]
    assert relative_error(shared(layer, nodes=nodes)(f)(x), mean) <= tolerance


@every_dim
@torch.no_grad()
def test_the_kernel_is_the_mean_of_kappa(dim: int) -> None:
    """Mean over x of κ(x, x − y) = A cos θ(y): what moves drops out."""
    layer = IntegralOperator(Kappa(), PERIOD[:dim], nodes=7)
    part = shared(layer, nodes=7)
    assert isinstance(part, Conv)
    x = noise(5, dim)
    theta = phases(x).sum(-1)[:, None]
    wave = PlaneWaves([[1 / p for p in PERIOD[:dim]]], [[1.0, 0.0]], period=PERIOD[:dim])
    expected = math.prod(PERIOD[:dim]) / 2 * torch.cos(theta) * layer.kappa.fixed[:, 0]
    assert_close(part(wave)(x), expected, 1000)


@every_dim
@torch.no_grad()
def test_it_is_idempotent(dim: int) -> None:
    """A shared layer is its own shared part, also where it comes in an unshared one's clothes."""
    f = waves(dim)
    nodes = {1: 21, 2: 9, 3: 5}[dim]
    for layer in unshared(dim).values():
        part = shared(layer, nodes=nodes)
        assert shared(part) is part
        twice = TranslationAverage(part, PERIOD[:dim], 3)
        assert_close(values(twice(f)), values(part(f)), 1e4)
    disguised = {
        "Conv": IntegralOperator(Kappa(moving=0.0), PERIOD[:dim], nodes=7),
        "Bias": BiasField(Constant([0.5, -1.0], dim=dim)),
        "Pointwise": PointwiseField(lambda x, v: torch.tanh(v) + 0 * x[..., :1], PERIOD[:dim]),
        "Pool": PoolField(lambda x: Ball(0.8), "max", PERIOD[:dim], nodes=2),
    }
    for layer in disguised.values():
        assert_close(values(shared(layer, nodes=7)(f)), values(layer(f)), 1000)


@every_dim
@torch.no_grad()
def test_on_samples_too(dim: int) -> None:
    """The shared part of samples commutes with rolls; the layer itself doesn't."""
    f = waves(dim, "Samples")
    axes, steps = tuple(range(-dim, 0)), (2, 3, 1)[:dim]
    rolled = f._with(f.values.roll(steps, axes))
    for name, layer in unshared(dim).items():
        part = shared(layer, nodes=5)
        expected = part(f).values.roll(steps, axes)
        assert_close(part(rolled).values, expected, 1000)
        if name != "PoolField" or dim < 3:
            assert relative_error(layer(rolled).values, layer(f).values.roll(steps, axes)) > 1e-3


def test_shared_layers_are_left_alone() -> None:
    for layer in (Bias([1.0]), AvgPool(Box(1.0)), MaxPool(Ball(1.0))):
        assert shared(layer) is layer


@torch.no_grad()
def test_of_any_other_module() -> None:
    """A chain: its average commutes with multiples of period/nodes to rounding error, the chain doesn't."""
    chain = nn.Sequential(PointwiseField(local, 4.0), IntegralOperator(Kappa(), 4.0, nodes=16))
    part, f = shared(chain, period=4.0, nodes=8), waves(1)
    t = torch.tensor([1.5], dtype=torch.float64)
    scale = float(values(chain(f)).abs().max())
    assert float(defect(part, f, t).abs().max()) <= 1e-12 * scale
    assert float(defect(chain, f, t).abs().max()) > 1e-3 * scale


# --- bad input ----------------------------------------------------------------------------------

GAUSSIAN = Gaussians([[0.0]], [[1.0, 1.0]], [1.0])
BAD = {
    "kappa": (lambda: IntegralOperator(3), TypeError, "kappa must be callable"),
    "torus and box": (lambda: IntegralOperator(Kappa(), 1.0, (0.0, 1.0)), ValueError, "not both"),
    "no period": (lambda: IntegralOperator(Kappa())(GAUSSIAN), ValueError, "repeats by its period"),
    "other period": (
        lambda: IntegralOperator(Kappa(), 3.0)(waves(1)),
        ValueError,
        r"period \(3.0,\)",
    ),
    "other extent": (
        lambda: IntegralOperator(Kappa(), 3.0)(waves(1, "Samples")),
        ValueError,
        "a grid of that extent",
    ),
    "empty box": (
        lambda: IntegralOperator(Kappa(), domain=(1.0, 0.0))(GAUSSIAN),
        ValueError,
        "sides high − low of the domain must be positive",
    ),
    "channels": (
        lambda: IntegralOperator(Kappa(), 4.0)(waves(1)[[0]]),
        ValueError,
        "kappa takes 2 channels, the feature map has 1",
    ),
    "kappa's shape": (
        lambda: IntegralOperator(lambda x, y: x.sum(-1), 4.0)(waves(1)),
        ValueError,
        "must return a tensor",
    ),
    "a bias": (lambda: BiasField([1.0]), TypeError, "one vector for all points is a Bias"),
    "bias, channels": (lambda: BiasField(GAUSSIAN)(waves(1)[[0]]), ValueError, "has 2 channels"),
    "fn": (lambda: PointwiseField(2.0), TypeError, "fn must be callable"),
    "fn's shape": (
        lambda: PointwiseField(lambda x, v: v.sum(-1))(waves(1)),
        ValueError,
        r"\(\*points, c\)",
    ),
    "window": (lambda: PoolField(Box(1.0)), TypeError, "one window for all points is AvgPool"),
    "window's value": (lambda: PoolField(lambda x: 1.0)(waves(1)), TypeError, "a pooling window"),
    "shared, window's value": (
        lambda: shared(PoolField(lambda x: 1.0, period=4.0)),
        TypeError,
        "a pooling window",
    ),
    "even boxes": (
        lambda: PoolField(lambda x: Box(1.0 if x[0] < 1 else 1.5))(waves(1, "Samples")),
        ValueError,
        "different lattices don't combine",
    ),
    "input": (lambda: PointwiseField(local)(torch.ones(2, 4)), TypeError, "Samples, got Tensor"),
    "shared, no period": (
        lambda: shared(PointwiseField(local)),
        ValueError,
        r"shared\(layer, period=",
    ),
    "shared, module": (lambda: shared(Stride(2)), ValueError, r"shared\(layer, period="),
    "shared, decaying bias": (lambda: shared(BiasField(GAUSSIAN)), ValueError, "periodize"),
    "shared, batch of biases": (
        lambda: shared(BiasField(PlaneWaves([[0.25]], torch.ones(3, 1, 2).cdouble()))),
        ValueError,
        r"one vector, the bias field has a batch \(3,\)",
    ),
    "average of tensors": (
        lambda: TranslationAverage(GlobalPool("mean"), 4.0, 3)(waves(1)),
        TypeError,
        "the layer must return a feature map, got Tensor",
    ),
}


@pytest.mark.parametrize(("build", "kind", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()


def test_operators_say_where_they_integrate() -> None:
    assert repr(IntegralOperator(abs, 4.0)) == "IntegralOperator(period=4.0)"
    assert repr(IntegralOperator(abs, domain=([0.0, 1.0], 2.0))) == (
        "IntegralOperator(domain=((0.0, 1.0), 2.0))"
    )


def test_masks_differ_by_identity() -> None:
    """Two masks print as two objects, and are two windows."""
    one, other = Mask([1, 0, 0], 0.5), Mask([0, 0, 1], 0.5)
    f = Samples(torch.arange(8.0)[None], Grid(8, 0.5))
    result = PoolField(lambda x: one if x[0] < 2 else other)(f)
    expected = torch.cat([f.values.roll(-1)[:, :4], f.values.roll(1)[:, 4:]], 1)
    assert torch.equal(result.values, expected)
