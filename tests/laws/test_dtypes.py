"""Precision where things meet: tensors in the wider of two, numbers in that of the map that they meet."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from discretize import Grid, LearnablePolyphase, PolynomialActivation, Samples, Upsampling, sample
from fields import (
    Atoms,
    BallKernel,
    Balls,
    BasisKernel,
    Box,
    Boxes,
    BoxKernel,
    BSplineKernel,
    BumpKernel,
    Bumps,
    Constant,
    Field,
    FieldKernel,
    Formula,
    Gabors,
    GaussianKernel,
    Gaussians,
    Interpolated,
    Kernel,
    PeriodicKernel,
    PlaneWaves,
    Polynomial,
    Sprites,
    local_translation,
    mlp_kernel,
    random_bandlimited,
    stack,
)
from layers import Bias, Conv, OnGrid, Pointwise, SoftMaxPool, TorchModel
from tests.compare import assert_close, eps
from tests.laws import modules
from tests.laws.registry import FIELDS, Draw, points

SINGLE, DOUBLE = torch.float32, torch.float64
MATRIX = [[1.0, -0.3], [0.2, 0.1]]
PERIOD = 4.0

#: Fields of two channels on R (Sprites: on R²), given as numbers.
NUMBERS: dict[str, Callable[[], Field]] = {
    "Constant": lambda: Constant([0.1, 0.2], 1),
    "Gaussians": lambda: Gaussians([[0.1]], [[0.3, 1.0]], [0.7]),
    "Gabors": lambda: Gabors([[0.1]], [[0.3, 1.0]], [0.7], [[0.2]]),
    "Bumps": lambda: Bumps([[0.1]], [[0.3, 1.0]], [0.7]),
    "Balls": lambda: Balls([[0.1]], [[0.3, 1.0]], [0.7]),
    "Boxes": lambda: Boxes([[0.1]], [[0.3, 1.0]], [[0.7]]),
    "Polynomial": lambda: Polynomial([[0], [2]], [[0.1, 0.2], [0.3, 0.4]]),
    "Sprites": lambda: Sprites("heart", [[0.1, 0.2]], [[0.3, 1.0]], [0.7], [0.3], 0.2),
    "PlaneWaves": lambda: PlaneWaves([[0.25]], [[0.3, 1.0]]),
    "Interpolated": lambda: Interpolated([[0.1, 0.2, 0.3], [0.4, 0.5, 0.7]], 0.5),
    "Formula": lambda: Formula(lambda x: torch.cat([x / 3, x], -1), 1, 2),
    "multiple": lambda: 0.1 * Gaussians([[0.1]], [[0.3, 1.0]], [0.7]) + [0.1, 0.2],
    "quotient": lambda: Gaussians([[0.1]], [[0.3, 1.0]], [0.7]) / [3.0, 7.0],
    "channel": lambda: Gaussians([[0.1]], [[0.3, 1.0, 2.0]], [0.7])[:2],
    "mixed": lambda: Gaussians([[0.1]], [[0.3, 1.0]], [0.7]).mix(MATRIX).map(torch.tanh),
    "stacked": lambda: stack([Constant(0.1, 1), Gaussians([[0.1]], [[0.3]], [0.7])]),
    "periodized": lambda: Gaussians([[0.1]], [[0.3, 1.0]], [0.7]).periodize(PERIOD),
    "convolved": lambda: Bumps([[0.1]], [[0.3, 1.0]], [0.7]).convolve(BoxKernel(0.5, MATRIX)),
    "closed": lambda: Gaussians([[0.1]], [[0.3, 1.0]], [0.7]).convolve(GaussianKernel(0.5, MATRIX)),
    "layers": lambda: net()(Gaussians([[0.1]], [[0.3, 1.0]], [0.7])),
    "scene": lambda: local_translation([Constant([0.1, 0.2], 1)] * 2, [[0.0], [1.0]]),
}
#: Layers on two channels on R whose weights are given as numbers.
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "Bias": lambda: Bias([0.1, 0.2]),
    "Conv, Gaussian": lambda: Conv(GaussianKernel(0.3, MATRIX)),
    "Conv, nodes": lambda: Conv(GaussianKernel(0.3, MATRIX), exact=False),
    "Conv, box": lambda: Conv(BoxKernel(1.0, MATRIX)),
    "Conv, spline": lambda: Conv(BSplineKernel(0.5, MATRIX)),
    "Conv, ball": lambda: Conv(BallKernel(0.6, MATRIX)),
    "Conv, bump": lambda: Conv(BumpKernel(0.6, MATRIX)),
    "Conv, field": lambda: Conv(FieldKernel(Gaussians([[0.1]], [[0.3]], [0.2]), MATRIX)),
    "Conv, basis": lambda: Conv(BasisKernel([GaussianKernel(0.3, [[1.0]])], [MATRIX])),
    "Conv, period": lambda: Conv(
        PeriodicKernel([MATRIX, [[1.0, 0.0], [0.0, 1.0]], MATRIX], PERIOD)
    ),
    "Conv, transfer": lambda: Conv(PeriodicKernel.from_transfer([MATRIX] * 3, PERIOD)),
    "Conv, atoms": lambda: Conv(Atoms([[0.0], [0.5]], [MATRIX] * 2)),
    "Conv, array": lambda: Conv.from_array([MATRIX] * 3, 0.5),
    "Conv, network": lambda: Conv(mlp_kernel(1, 2, 2, 0.6, hidden=(3,))),
    "SoftMaxPool": lambda: SoftMaxPool(Box(1.0), [0.5, 2.0]),
    "PolynomialActivation": lambda: Pointwise(PolynomialActivation([0.1, 1.0, 0.2])),
    "Conv, bias": lambda: Conv.from_array([MATRIX] * 3, 0.5, bias=[0.1, 0.2]),
}


def net() -> nn.Module:
    return nn.Sequential(Conv(GaussianKernel(0.3, MATRIX)), Bias([0.1, 0.2]), Pointwise(torch.relu))


def wave(dtype: torch.dtype, dim: int = 1) -> Field:
    return random_bandlimited(dim, 2, 0.5, PERIOD, seed=0, dtype=dtype)


def samples(dtype: torch.dtype) -> Samples:
    return Samples(wave(DOUBLE)(Grid(8, 0.5).points()).mT.to(dtype), Grid(8, 0.5))


def numbers(out: Samples | Tensor) -> Tensor:
    return out.values if isinstance(out, Samples) else out


# --- tensors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FIELDS, ids=str)
def test_fields_meet_in_the_wider_dtype(kind) -> None:
    dim = kind.dims[0]
    wide, narrow = (kind.build(Draw(dim, dtype)) for dtype in (DOUBLE, SINGLE))
    x = points(dim)
    for total in (wide + narrow, narrow + wide):
        assert (total.dtype, total.weak) == (DOUBLE, False)
        assert_close(total(x), wide(x) + narrow(x).double(), 4)
    assert (wide * narrow).dtype == narrow.to(DOUBLE).dtype == DOUBLE
    assert torch.equal(narrow.to(DOUBLE)(x), narrow(x).double())
    assert torch.equal(wide.to(SINGLE)(x), wide(x).float())


@pytest.mark.parametrize("name", NUMBERS)
def test_closed_forms_of_sums_of_two_dtypes(name: str) -> None:
    field = NUMBERS[name]()
    narrow = Gaussians(torch.zeros(1, field.dim), torch.ones(1, 2), torch.ones(1))
    if field.support(1e-9) is None:
        narrow = PlaneWaves(torch.full((1, field.dim), 0.25), torch.ones(1, 2, dtype=torch.cfloat))
        if field.period is None:
            return  # neither decays nor repeats: it has no inner products
    total, same = field.to(DOUBLE) + narrow, field.to(DOUBLE) + narrow.to(DOUBLE)
    assert total.norm().dtype == DOUBLE
    assert_close(total.norm(1e-5), same.norm(1e-5), 1e3 * eps(SINGLE) / eps(DOUBLE))
    assert (field + narrow).norm(1e-4).dtype == SINGLE


#: torch's own modules, which convert nothing, are inside.
OWN = ("Pointwise, linear", "deep", "TorchModel", "Conv, network", "Conv, density")


@pytest.mark.parametrize(
    "kind", [k for k in [*modules.LAYERS, *modules.MORE] if k.name not in OWN], ids=str
)
def test_layers_meet_samples_in_the_wider_dtype(kind) -> None:
    grid = Grid(modules.SHAPE[:1], modules.SPACING[:1])
    values = wave(DOUBLE)(grid.points()).mT
    layer = kind.build(modules.Weights(1, dtype=SINGLE))
    wide = copy.deepcopy(layer).to(DOUBLE)
    out, expected = layer(Samples(values, grid)), wide(Samples(values, grid))
    found, wanted = map(numbers, (out, expected))
    assert found.dtype == DOUBLE
    if "training" not in kind.name:  # noise is drawn anew
        assert_close(found, wanted, 100)
    narrow = layer(Samples(values.float(), grid))
    assert numbers(narrow).dtype == SINGLE


def test_tensors_beside_maps() -> None:
    vector, matrix = torch.tensor([0.1, 0.2]), torch.tensor(MATRIX)
    for f in (wave(DOUBLE), samples(DOUBLE)):
        for out in (f + vector, f * vector, f / vector, f - vector, vector + f, f.mix(matrix)):
            assert out.dtype == DOUBLE
    for f in (wave(SINGLE), samples(SINGLE)):
        for out in (f + vector.double(), f * vector.double(), f.mix(matrix.double())):
            assert out.dtype == DOUBLE
        for out in (f * torch.tensor(0.1, dtype=DOUBLE), f * 0.1, f[0], f - (0.1, 0.2)):
            assert out.dtype == SINGLE  # what has no axes gives way, as in torch
    x = torch.tensor([[0.3]], dtype=DOUBLE)
    assert_close((wave(SINGLE) + vector.double())(x), wave(SINGLE)(x).double() + vector.double(), 4)


def test_tensors_of_a_leaf_meet_and_stay_theirs() -> None:
    amplitudes = torch.ones(1, 1)
    field = Gaussians(torch.zeros(1, 1, dtype=DOUBLE), amplitudes, [1.0])
    assert field.dtype == field.amplitudes.dtype == DOUBLE
    amplitudes.fill_(3.0)
    assert field([[0.0]]).item() == 3.0
    for same in (copy.deepcopy(field), pickle.loads(pickle.dumps(field)), field.translate([0.0])):
        assert same([[0.0]]).item() == 3.0
    weight = torch.ones(1, 1, requires_grad=True)
    Gaussians(torch.zeros(1, 1, dtype=DOUBLE), weight, [1.0])([[0.0]]).sum().backward()
    assert torch.equal(weight.grad, torch.ones(1, 1))
    with pytest.raises(AttributeError, match="'Gaussians' object has no attribute 'radii'"):
        field.radii  # noqa: B018


def test_weights_of_samples_meet() -> None:
    layer = LearnablePolyphase(2, 2, 1, dtype=DOUBLE).eval()
    assert layer.first.dtype == DOUBLE
    coarse, p = layer.with_probability(samples(SINGLE))
    assert p.dtype == DOUBLE
    assert LearnablePolyphase(2, 2, 1).eval()(samples(SINGLE)).dtype == SINGLE
    assert LearnablePolyphase(2, 2, 1)(samples(SINGLE)).dtype == SINGLE
    assert Upsampling(2)(coarse, weight=p).dtype == DOUBLE


# --- numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_take_the_dtype_that_they_meet(name: str) -> None:
    field = NUMBERS[name]()
    x = points(field.dim)
    assert field.weak
    assert field.dtype == field(x).dtype == DOUBLE
    narrow = wave(SINGLE, field.dim)
    for total in (field + narrow, narrow + field, narrow - field):
        assert total.dtype == total(x).dtype == SINGLE
        assert not total.weak
    assert torch.equal((narrow + field)(x), narrow(x) + field(x).float())
    assert (field + wave(DOUBLE, field.dim)).dtype == DOUBLE
    assert (field.to(DOUBLE) + narrow).dtype == DOUBLE
    assert all(f.weak for f in (field + field, field.translate(x[0])))


@pytest.mark.parametrize("name", LAYERS)
def test_weights_that_are_numbers_keep_the_dtype_of_the_map(name: str) -> None:
    layer = LAYERS[name]()
    copies = (layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), layer.to("cpu"))
    for same in copies:
        for dtype in (SINGLE, DOUBLE):
            assert same(wave(dtype)).dtype == same(samples(dtype)).dtype == dtype
            for other in (SINGLE, DOUBLE):
                assert (
                    same(wave(dtype).to(other)).dtype
                    == same(samples(dtype).to(other)).dtype
                    == other
                )
    weak = PlaneWaves([[0.25]], [[0.3, 1.0]])
    assert layer(weak).weak
    expected = layer(samples(DOUBLE)).values
    assert_close(layer(samples(SINGLE)).values, expected.float(), 32)
    x = points(1)
    assert_close(layer(wave(SINGLE))(x), layer(wave(DOUBLE))(x).float(), 64)
    out = OnGrid(layer, Grid(8, 0.5))(samples(SINGLE).values)
    assert out.dtype == SINGLE
    out.sum().backward()
    assert all(p.grad is not None and p.grad.dtype == DOUBLE for p in layer.parameters())


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_is_a_dtype_that_is_told(name: str, kind: torch.dtype) -> None:
    layer = LAYERS[name]().to(kind)
    assert {p.dtype for p in layer.parameters()} == {kind}
    assert not any(getattr(part, "_weak", None) for part in layer.modules())


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("way", ["to", "double", "state", "assigned", "within"])
def test_weights_that_are_told_a_dtype_keep_it(name: str, way: str) -> None:
    layer = LAYERS[name]()
    if way == "to":
        layer.to(DOUBLE)
    elif way == "double":
        layer.double()
    elif way == "within":
        nn.Sequential(layer).to(DOUBLE)
    elif way == "state":
        layer.load_state_dict(LAYERS[name]().state_dict())
    else:
        for part in layer.modules():
            for key, value in list(part.named_parameters(recurse=False)):
                setattr(part, key, nn.Parameter(value.detach().clone()))
            for key, child in list(part.named_children()):
                setattr(part, key, copy.deepcopy(child))
    assert layer(wave(SINGLE)).dtype == layer(samples(SINGLE)).dtype == DOUBLE


@pytest.mark.parametrize("name", LAYERS)
def test_a_state_gives_its_dtype(name: str) -> None:
    layer, narrow = LAYERS[name](), LAYERS[name]().float()
    layer.load_state_dict(narrow.state_dict())
    assert {p.dtype for p in layer.parameters()} == {SINGLE}
    assert layer(samples(DOUBLE)).dtype == DOUBLE
    weak = PlaneWaves([[0.25]], [[0.3, 1.0]])
    if name != "PolynomialActivation":  # it sees the values, which are tensors
        assert layer(weak).dtype == SINGLE


def test_a_network_of_numbers_commutes_with_sampling_in_either_dtype() -> None:
    for dtype in (SINGLE, DOUBLE):
        values = sample(net()(wave(dtype)), Grid(8, 0.5), rtol=1e-2)
        assert values.dtype == dtype


# --- torch's own modules ------------------------------------------------------------------------------------------


def test_torch_models_convert_nothing() -> None:
    model = TorchModel(nn.Conv1d(2, 2, 3, padding="same", padding_mode="circular"))
    assert model(samples(SINGLE)).dtype == SINGLE
    with pytest.raises(RuntimeError, match=r"(?s)should be the same.*model\.to\(torch\.float64\)"):
        model(samples(DOUBLE))
    with pytest.raises(RuntimeError, match=r"^(?!.*convert one of them)"):  # torch's own words
        TorchModel(nn.Conv1d(3, 2, 3))(samples(SINGLE))


@pytest.mark.parametrize("name", LAYERS)
def test_on_grid_converts_no_layer_that_was_told_a_dtype(name: str) -> None:
    with pytest.raises(RuntimeError, match=r"values\.to\(torch\.float64\) or layer\.to"):
        OnGrid(LAYERS[name]().to(DOUBLE), Grid(8, 0.5))(samples(SINGLE).values)


def test_on_grid_converts_nothing() -> None:
    layer = OnGrid(Conv(GaussianKernel(0.3, torch.tensor(MATRIX, dtype=DOUBLE))), Grid(8, 0.5))
    assert layer(samples(DOUBLE).values).dtype == DOUBLE
    with pytest.raises(RuntimeError, match=r"values\.to\(torch\.float64\) or layer\.to"):
        layer(samples(SINGLE).values)


def test_kernels_in_another_dtype() -> None:
    weights = torch.tensor(MATRIX, requires_grad=True)
    kernel = GaussianKernel(0.3, weights).to(DOUBLE)
    assert (kernel.dtype, kernel.weak) == (DOUBLE, False)
    kernel.matrix.sum().backward()
    assert weights.grad is not None
    density = Kernel(lambda y: torch.ones(*y.shape[:-1], 2, 2), 2, 2, 0.5).to(DOUBLE)
    assert density.dtype is None
