"""Comoving: any torch model becomes equivariant to every real translation, and says where it can't be."""

import warnings

import pytest
import torch
from torch import Tensor, nn

from discretize import Grid, sample
from discretize.origins import Argmax, RefinedArgmax
from equivariance import Comoving, LowConfidence
from equivariance.comoving import moved_back
from fields import random_bandlimited

SIDE = 64
GRID = Grid((SIDE, SIDE), 1.0)
both_dtypes = pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float64, 1e-10), (torch.float32, 1e-3)], ids=str
)


def model(padding: str, dtype: torch.dtype, invariant: bool = True) -> nn.Module:
    """Four stages of 3×3 convolution, ReLU and 2×2 max pooling, then the mean."""
    draw, layers = torch.Generator().manual_seed(0), []
    for channels in (2, 6, 6, 6):
        layer = nn.Conv2d(channels, 6, 3, padding=1, padding_mode=padding, dtype=dtype)
        weight = torch.randn(6, channels, 3, 3, generator=draw, dtype=torch.float64)
        layer.weight.data = (weight * (2 / (9 * channels)) ** 0.5).to(dtype)
        layer.bias.data = (0.1 * torch.randn(6, generator=draw, dtype=torch.float64)).to(dtype)
        layers += [layer, nn.ReLU(), nn.MaxPool2d(2)]
    end = [nn.AdaptiveAvgPool2d(1), nn.Flatten()] if invariant else []
    return nn.Sequential(*layers, *end)


def inputs(band: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """A white input, the same moved by real translations, and these."""
    field = random_bandlimited(2, 2, (band + 0.01) / SIDE, float(SIDE), seed=band, dtype=dtype)
    generator = torch.Generator().manual_seed(1)
    t = SIDE * torch.rand(10, 2, generator=generator, dtype=torch.float64)
    return sample(field, GRID).values[None], sample(field.translate(t), GRID).values, t


def distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).flatten(1).norm(dim=1) / b.flatten(1).norm(dim=1)


CASES = [("circular", None), ("circular", 16), ("zeros", None)]


@both_dtypes
@pytest.mark.parametrize("band", [3, 15, 30])
@pytest.mark.parametrize(("padding", "stride"), CASES)
def test_invariants_stay(
    padding: str, stride: int | None, band: int, dtype: torch.dtype, bound: float
) -> None:
    """≤ 1e-10 in double precision for random real translations, where the plain model shows > 1e-3."""
    x, moved, t = inputs(band, dtype)
    plain, layer = model(padding, dtype), Comoving(model(padding, dtype), stride)
    with torch.no_grad():
        assert float(distance(plain(moved), plain(x)).min()) > 1e-3
        before, origin, confidence = layer(x)
        after, other, same = layer(moved)
    assert before.dtype == dtype
    assert float(distance(after, before).max()) <= bound
    turns = (other - origin - t) / (stride or SIDE)
    assert float((turns - turns.round()).abs().max()) <= bound
    torch.testing.assert_close(same, confidence.expand_as(same), rtol=0, atol=bound)


@both_dtypes
@pytest.mark.parametrize("band", [3, 15, 30])
@pytest.mark.parametrize(("padding", "stride"), CASES)
def test_moved_back_outputs_move(
    padding: str, stride: int | None, band: int, dtype: torch.dtype, bound: float
) -> None:
    """Spatial outputs of x(· − t) are those of x moved by t, exactly."""
    x, moved, t = inputs(band, dtype)
    layer = Comoving(model(padding, dtype, invariant=False), stride, moved_back=True)
    with torch.no_grad():
        before, after = layer(x)[0], layer(moved)[0]
    assert before.shape == (1, 6, 4, 4)
    expected = moved_back(before.expand(len(t), *before.shape[1:]), t, (SIDE, SIDE))
    assert float(distance(after, expected).max()) <= bound


def test_outputs_in_the_frame_stay_as_they_are() -> None:
    """For stride=None the whole map stays; for stride=s it is rolled where the origin passes s."""
    x, moved, t = inputs(15, torch.float64)
    net = model("circular", torch.float64, invariant=False)
    with torch.no_grad():
        before, after = Comoving(net)(x)[0], Comoving(net)(moved)[0]
        assert float(distance(after, before.expand_as(after)).max()) <= 1e-10
        (before, origin, _), (after, other, _) = (Comoving(net, 16)(v) for v in (x, moved))
    for i, shift in enumerate(((origin + t - other) / 16).round().long().tolist()):
        assert float(distance(after[i : i + 1], before.roll(shift, (-2, -1)))) <= 1e-10


@pytest.mark.parametrize(("shape", "pool"), [((24,), nn.MaxPool1d), ((8, 12, 6), nn.MaxPool3d)])
def test_other_dimensions(shape: tuple[int, ...], pool: type[nn.Module]) -> None:
    dim = len(shape)
    field = random_bandlimited(dim, 3, 0.45, tuple(map(float, shape)), seed=0)
    t = torch.tensor([[0.3, -1.7, 2.2], [5.1, 0.4, 3.3]], dtype=torch.float64)[:, :dim]
    layer = Comoving(pool(2), moved_back=True)
    before = layer(sample(field, Grid(shape, 1.0)).values[None])[0]
    after = layer(sample(field.translate(t), Grid(shape, 1.0)).values)[0]
    expected = moved_back(before.expand_as(after), t, shape)
    assert float(distance(after, expected).max()) <= 1e-10


def test_other_predictors() -> None:
    x, moved, _ = inputs(15, torch.float64)
    net = model("zeros", torch.float64)
    with torch.no_grad():
        layer = Comoving(net, predictor=RefinedArgmax())
        assert float(distance(layer(moved)[0], layer(x)[0]).max()) <= 1e-10
        teeth = Comoving(net, predictor=Argmax())
        assert float(distance(teeth(moved)[0], teeth(x)[0]).max()) > 1e-3


# --- where nothing is promised ------------------------------------------------------------------


def test_it_warns_where_there_is_no_origin() -> None:
    """A constant, and an input of period 32: with the confidence, which is 0."""
    x, _, _ = inputs(3, torch.float64)
    periodic = sample(random_bandlimited(2, 2, 0.1, 32.0, seed=0), GRID).values[None]
    batch = torch.cat([x, torch.ones_like(x), periodic])
    with pytest.warns(LowConfidence, match=r"2 of 3 inputs have no certain origin") as caught:
        _, _, confidence = Comoving(nn.Identity())(batch)
    assert caught[0].filename == __file__
    assert bool((confidence[0] > 1e-3).all())
    assert float(confidence[1:].max()) < 1e-12
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Comoving(nn.Identity())(x)
        Comoving(nn.Identity(), bound=0.0)(batch)
    with pytest.warns(LowConfidence):
        Comoving(nn.Identity(), bound=0.9)(x)


def test_outputs_that_are_no_maps_stay() -> None:
    """Invariants, and whatever isn't a tensor, aren't moved back."""
    x, _, _ = inputs(15, torch.float64)

    class Pair(nn.Module):
        def forward(self, y: Tensor) -> tuple[Tensor, int]:
            return y, 3

    assert Comoving(nn.Flatten(), moved_back=True)(x)[0].ndim == 2
    assert Comoving(Pair(), moved_back=True)(x)[0][1] == 3


# --- gradients and errors -----------------------------------------------------------------------


@pytest.mark.parametrize("moved", [False, True])
def test_gradients(moved: bool) -> None:
    """Through the frame, the module and the way back."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, 2, 6, 5, generator=generator, dtype=torch.float64).requires_grad_()
    layer = Comoving(nn.Tanh(), moved_back=moved, nyquist="keep")
    torch.autograd.gradcheck(lambda v: layer(v)[:2], (x,), fast_mode=True)


def test_the_module_is_trained() -> None:
    x, _, _ = inputs(3, torch.float64)
    layer = Comoving(model("zeros", torch.float64))
    layer(x)[0].square().sum().backward()
    assert all(bool(p.grad.any()) for p in layer.parameters())


def test_bad_input() -> None:
    layer = Comoving(nn.Identity(), moved_back=True)
    for x in (torch.zeros(3, 8), torch.zeros(1, 1, 8, dtype=torch.long), [1.0]):
        with pytest.raises(TypeError, match=r"expected a real tensor \(batch, c, X1, …, Xd\)"):
            layer(x)
    with pytest.raises(ValueError, match="must be finite"):
        layer(torch.full((1, 1, 8), float("nan")))
    with pytest.raises(ValueError, match="without empty axes"):
        layer(torch.zeros(1, 0, 8))
    with pytest.raises(
        TypeError, match="module must be callable, got int: expected a function of tensors"
    ):
        Comoving(3)
    x = inputs(3, torch.float64)[0]
    with pytest.raises(ValueError, match="doesn't divide the period 64"):
        Comoving(nn.Identity(), stride=3)(x)
    with pytest.raises(
        ValueError, match=r"an output of sizes \(62, 62\) doesn't lie on the input's grid"
    ):
        Comoving(nn.AvgPool2d(3, 1), moved_back=True)(x)


def test_it_is_printed_with_its_stride() -> None:
    assert "stride=2, moved_back=True" in repr(Comoving(nn.MaxPool1d(2), 2, moved_back=True))
