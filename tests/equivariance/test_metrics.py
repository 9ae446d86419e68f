"""Published figures against straightforward computations of their definitions, and against closed forms."""

import math
import re

import numpy as np
import pytest
import torch
from torch import nn

from discretize import Grid, Samples, sample
from equivariance import equivariance_error, lie_derivative
from equivariance.metrics import (
    crop_consistency,
    eq_t,
    eq_t_frac,
    fractional_consistency,
    relative_l2,
    roll_consistency,
    worst_case,
)
from equivariance.published import sinc_translated
from fields import PlaneWaves, random_bandlimited
from layers import TorchModel
from tests.equivariance.models import MODELS, seeded

GRID = Grid((16, 16), 1.0)


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def by_hand(x, t):
    """Arrays (B, c, X1, X2) translated as their trigonometric interpolants, by the package's own Samples."""
    grid = Grid(x.shape[2:], 1.0)
    return Samples(x, grid).translate(t).resample(grid).values


def sliding(stride=1):
    """A map to maps that is no equivariant one: zero padding and ReLU."""
    return nn.Sequential(nn.Conv2d(2, 3, 3, stride, 1), nn.ReLU(), nn.Conv2d(3, 2, 3, 1, 1))


class Attending(nn.Module):
    """Patches of 4 × 4 that attend to each other from places of their own, back on their grid."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(2, 4, 4, stride=4)
        self.places = nn.Parameter(torch.randn(64, 4, generator=torch.Generator().manual_seed(0)))
        self.block = nn.TransformerEncoderLayer(4, 2, 8, 0.0, "gelu", batch_first=True)

    def forward(self, x):
        y = self.embed(x)
        tokens = self.block(y.flatten(2).mT + self.places)
        return tokens.mT.unflatten(2, y.shape[2:])


IMAGES = {
    "plain": sliding,
    "strided": lambda: sliding(2),
    "attending": Attending,
    "pooled": lambda: nn.AvgPool2d(2),
}


# --- relative L2, the worst case -------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_the_worst_case_is_the_largest_by_hand(name):
    model, x = seeded(MODELS[name]).eval(), noise(3, 2, 16, 16)
    t = torch.tensor([[1.0, 0.0], [0.5, 2.5], [4.0, 4.0]], dtype=torch.float64)
    with torch.no_grad():
        still = model(x)
        after = torch.stack([model(by_hand(x, by)) for by in t])
    errors = (after - still).norm(dim=2) / still.norm(dim=1)
    found = worst_case(model, x, t)
    torch.testing.assert_close(found.error, errors.max(0).values, rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(found.at, t[errors.argmax(0)])
    same = (after.argmax(2) == still.argmax(1)).all(0)
    assert found.stays == pytest.approx(100 * same.double().mean().item())
    torch.testing.assert_close(relative_l2(model, x, t), errors, rtol=1e-6, atol=1e-12)


def test_the_worst_case_of_maps_has_no_classes():
    assert math.isnan(worst_case(nn.ReLU(), noise(1, 1, 8, 8), [[1.0, 0.0]]).stays)


class Channels(nn.Module):
    """Classes by the mean of each channel, over the left half of the map."""

    def forward(self, x):
        return x[..., : x.shape[-1] // 2].mean((2, 3))


def test_errors_and_classes_of_the_worst_case_are_of_the_same_inputs():
    x, t = noise(6, 3, 8, 8), [[0.0, 2.0], [0.0, 4.0]]
    for limit in (1, 2, 6):
        expected = worst_case(Channels(), x[:limit], t)
        one_by_one = worst_case(Channels(), (each[None] for each in x), t, limit=limit)
        assert one_by_one.stays == expected.stays
        torch.testing.assert_close(one_by_one.error, expected.error)
    drawn = worst_case(Channels(), None, t, (8, 8), limit=5, seed=7, channels=3)
    fields = [random_bandlimited(2, 3, 0.25, 8.0, 7 + i) for i in range(5)]
    again = worst_case(Channels(), fields, t, (8, 8))
    assert drawn.stays == again.stays


def test_what_is_not_compared_has_no_worst_case():
    pool = nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2))
    assert worst_case(pool, noise(2, 1, 8, 8), [[1.0, 0.0]]).error.isnan().all()


# --- consistency -----------------------------------------------------------------------------------


class Corner(nn.Module):
    """Classes by the sign of the first pixel."""

    def forward(self, x):
        return torch.stack([x[:, 0, 0, 0], -x[:, 0, 0, 0]], 1)


def test_consistency_of_a_coin():
    """A class that half of all pixels have: pairs of independent crops or rolls agree half the time."""
    board = torch.ones(1, 1, 32, 32, dtype=torch.float64)
    board[..., 1::2] = -1
    for found in (
        crop_consistency(Corner(), board.expand(40, -1, -1, -1), (16, 17), pairs=50),
        roll_consistency(Corner(), board.expand(40, -1, -1, -1), pairs=50),
    ):
        assert found == pytest.approx(50, abs=4 * 50 / math.sqrt(2000))


def test_consistency_of_a_constant_and_of_one_crop_only():
    assert roll_consistency(Corner(), torch.ones(2, 1, 8, 8)) == 100
    assert crop_consistency(Corner(), noise(2, 1, 8, 8), (8, 8)) == 100
    assert roll_consistency(Corner(), noise(2, 1, 8, 8), reach=1) == 100


@pytest.mark.parametrize("name", MODELS)
def test_roll_consistency_by_hand(name):
    model, x = seeded(MODELS[name]).eval(), noise(5, 2, 16, 16)
    draw, same = torch.Generator().manual_seed(7), []

    def rolled():
        out = []
        for image in x:
            step = [int(torch.randint(16, (1,), generator=draw)) for _ in range(2)]
            out.append(torch.roll(image, step, (1, 2)))
        return torch.stack(out)

    with torch.no_grad():
        for _ in range(3):
            one, other = model(rolled()).argmax(1), model(rolled()).argmax(1)
            same.append((one == other).double())
    expected = 100 * float(torch.stack(same).mean())
    assert roll_consistency(model, x, pairs=3, seed=7) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_crop_consistency_by_hand(name):
    model, x = seeded(MODELS[name]).eval(), noise(5, 2, 21, 19)
    draw, same = torch.Generator().manual_seed(3), []

    def cropped():
        out = []
        for image in x:
            a, b = (int(torch.randint(room, (1,), generator=draw)) for room in (6, 4))
            out.append(image[:, a : a + 16, b : b + 16])
        return torch.stack(out)

    with torch.no_grad():
        for _ in range(4):
            one, other = model(cropped()).argmax(1), model(cropped()).argmax(1)
            same.append((one == other).double())
    expected = 100 * float(torch.stack(same).mean())
    assert crop_consistency(model, x, (16, 16), 4, seed=3) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_fractional_consistency_by_hand(name):
    model, x = seeded(MODELS[name]).eval(), noise(3, 2, 16, 16)
    t = 16 * torch.rand(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        p = torch.stack([model(by_hand(x, by)).softmax(1) for by in [torch.zeros(2), *t]])
    label = p[0].argmax(1)
    change = np.mean(
        [abs(float(p[k, j, label[j]] - p[0, j, label[j]])) for k in range(1, 7) for j in range(3)]
    )
    found = fractional_consistency(model, x, pairs=6, seed=2)
    assert found.probability_change == pytest.approx(change, rel=1e-6)
    same = (p[1:].argmax(2) == label).double().mean()
    assert found.consistency == pytest.approx(100 * float(same))


@pytest.mark.parametrize("metric", [roll_consistency, fractional_consistency])
def test_consistency_needs_classes(metric):
    with pytest.raises(ValueError, match=r"expected outputs \(batch, classes\)"):
        metric(nn.ReLU(), noise(2, 1, 8, 8))


@pytest.mark.parametrize(("shape", "pairs"), [((0, 1, 8, 8), 3), ((2, 1, 8, 8), 0), ((8, 8), 3)])
@pytest.mark.parametrize(
    ("metric", "options"),
    [
        (crop_consistency, {"crop": (4, 4)}),
        (roll_consistency, {}),
        (fractional_consistency, {}),
    ],
)
def test_consistency_needs_images_and_pairs(metric, options, shape, pairs):
    message = rf"one pair at least, got {re.escape(str(shape))} and {pairs}"
    with pytest.raises(ValueError, match=message):
        metric(Corner(), torch.zeros(shape), **options, pairs=pairs)


def test_crops_must_fit():
    for crop in ((9, 8), (8,), (8, 8, 8), (8, 0), ()):
        message = rf"crops of {re.escape(str(crop))} don't fit images of \(8, 8\)"
        with pytest.raises(ValueError, match=message):
            crop_consistency(Corner(), noise(2, 1, 8, 8), crop)


# --- EQ-T ------------------------------------------------------------------------------------------


def psnr_by_hand(model, x, steps, stride, moving):
    """20 log10 2 − 10 log10(Σ mask·err² / Σ mask), pixel by pixel."""
    with torch.no_grad():
        still = model(x)
        total = weight = 0.0
        n1, n2 = still.shape[2:]
        for s in steps.tolist():
            err = (model(by_hand(x, [stride * v for v in s])) - moving(still, s)).square()
            for i in range(n1):
                for j in range(n2):
                    if 0 <= i - s[0] <= n1 - 1 and 0 <= j - s[1] <= n2 - 1:
                        total += float(err[..., i, j].sum())
                        weight += err.shape[0] * err.shape[1]
    return 20 * math.log10(2) - 10 * math.log10(total / weight)


def steps_by_hand(count, n):
    draw = torch.Generator().manual_seed(0)
    return (2 * torch.rand(count, 2, dtype=torch.float64, generator=draw) - 1) * 0.125 * n


@pytest.mark.parametrize(("name", "stride"), [("plain", 1), ("strided", 2), ("attending", 4)])
def test_eq_t_by_hand(name, stride):
    model, x = seeded(IMAGES[name]).eval(), noise(2, 2, 32, 32)
    steps = steps_by_hand(5, 32 // stride).round()

    def rolled(y, s):
        return torch.roll(y, [int(v) for v in s], (2, 3))

    expected = psnr_by_hand(model, x, steps, stride, rolled)
    assert eq_t(model, x, count=5) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "stride"), [("plain", 1), ("strided", 2), ("attending", 4), ("pooled", 2)]
)
def test_eq_t_frac_by_hand(name, stride):
    model, x = seeded(IMAGES[name]).eval(), noise(2, 2, 32, 32)
    steps = steps_by_hand(5, 32 // stride)
    expected = psnr_by_hand(model, x, steps, stride, by_hand)
    assert eq_t_frac(model, x, count=5) == pytest.approx(expected, abs=1e-6)


def test_eq_t_of_exact_layers():
    x = noise(2, 2, 32, 32)
    assert eq_t(nn.ReLU(), x) == math.inf
    conv = nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular", dtype=torch.float64)
    assert eq_t_frac(conv, x) > 250
    wide = eq_t(seeded(sliding), x, peak_to_peak=20.0)
    assert wide == pytest.approx(eq_t(seeded(sliding), x) + 20)


@pytest.mark.parametrize(("band", "floor"), [(0.125, 62), (0.234, 54), (0.36, 44), (0.48, 28)])
def test_the_sinc_of_six_taps_has_a_floor_that_ours_has_not(band, floor):
    """On signals that fill [−1, 1]; floors as measured for these bands, ± 2 dB for another spectrum."""
    x = sample(random_bandlimited(2, 2, band, 64.0, 0), Grid((64, 64), 1.0)).values[None]
    x = x / x.abs().max()
    assert eq_t_frac(nn.Identity(), x, reference="sinc6") == pytest.approx(floor, abs=2)
    assert eq_t_frac(nn.Identity(), x) > 250


@pytest.mark.parametrize("step", [[2.0, -1.0], [0.3, -2.6], [-1.5, 0.0]])
def test_the_sinc_leaves_out_what_its_taps_do_not_reach(step):
    """y(x) takes values at x − ⌊s⌋ + 2, …, x − ⌊s⌋ − 3 of each axis: the mask is 1 where all of them are samples."""
    _, mask = sinc_translated(noise(1, 1, 12, 10), torch.tensor(step))
    for i, j in np.ndindex(12, 10):
        taps = [
            (x - math.floor(s) - k, n)
            for x, s, n in ((i, step[0], 12), (j, step[1], 10))
            for k in range(-2, 4)
        ]
        assert bool(mask[i, j]) == all(0 <= at < n for at, n in taps)


def test_the_sinc_is_the_identity_at_whole_steps_and_keeps_constants():
    x = noise(1, 1, 12, 12)
    out, mask = sinc_translated(x, torch.tensor([2.0, -1.0]))
    inside = mask.bool()
    torch.testing.assert_close(out[..., inside], x.roll((2, -1), (2, 3))[..., inside])
    out, _ = sinc_translated(torch.ones(1, 1, 12, dtype=torch.float64), torch.tensor([0.3]))
    torch.testing.assert_close(out, torch.ones_like(out))


def test_eq_t_needs_maps():
    with pytest.raises(ValueError, match="EQ-T is for outputs"):
        eq_t(nn.Flatten(), noise(1, 1, 8, 8))
    with pytest.raises(ValueError, match="reference must be"):
        eq_t_frac(nn.ReLU(), noise(1, 1, 8, 8), reference="bilinear")


# --- the Lie derivative ----------------------------------------------------------------------------


def lie_by_differences(model, field, axis, stride, step=1e-4):
    """d/dt T_{−t} f(T_t x) by central differences of fourth order, from the field itself."""
    total = 0
    for k, w in ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12)):
        t = [0.0, 0.0]
        t[axis] = k * step
        with torch.no_grad():
            out = model(sample(field.translate(t), GRID).values[None])
        if out.ndim == 4:
            coarse = Grid(out.shape[2:], float(stride))
            out = Samples(out, coarse).translate([-v for v in t]).resample(coarse).values
        total = total + w * out / step
    return total


@pytest.mark.parametrize("name", ["transformer", "smooth map", "smooth classifier"])
@pytest.mark.parametrize("axis", [0, 1])
def test_the_lie_derivative_is_that_of_central_differences(name, axis):
    smooth = nn.Sequential(nn.Conv2d(2, 3, 3, 2, 1), nn.Tanh(), nn.Conv2d(3, 2, 3, 1, 1)).double()
    models = {
        "transformer": seeded(MODELS["transformer"]),
        "smooth map": smooth,
        "smooth classifier": nn.Sequential(smooth, nn.GELU(), nn.Flatten(), nn.Linear(128, 3)),
    }
    model = models[name].double().eval()
    field = random_bandlimited(2, 2, 0.25, 16.0, 4)
    expected = lie_by_differences(model, field, axis, 2)
    with torch.no_grad():
        size = model(sample(field, GRID).values[None]).norm()
    found = lie_derivative(model, field, size=(16, 16))["output"]
    assert float(found.error[0, axis]) == pytest.approx(float(expected.square().mean()), rel=1e-6)
    assert float(found.relative[0, axis]) == pytest.approx(float(expected.norm() / size), rel=1e-6)


def test_the_lie_derivative_of_a_square_of_one_wave():
    """f = cos 2πkx/N: f² = ½ + ½cos 2π2kx/N commutes below Nyquist and folds above, where its slope turns round."""

    class Square(nn.Module):
        def forward(self, x):
            return x.square()

    for k in (3, 5):
        wave = PlaneWaves([[k / 16]], [[1.0]])
        found = lie_derivative(Square(), wave, size=(16,), dtype=torch.float64)["output"]
        # true slope −½ω sin, ω = 2π·2k/16; the folded wave moves with ω − 2π: what is left is ½·2π sin
        expected = 0.0 if k == 3 else (math.pi**2) / 2
        assert float(found.error) == pytest.approx(expected, rel=1e-12, abs=1e-26)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_equivariant_layers_have_none(dim):
    conv = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dim]
    pool = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}[dim]
    net = nn.Sequential(conv(1, 2, 3, padding=1, padding_mode="circular"), nn.Flatten(2), nn.Tanh())
    found = lie_derivative(net, size=(8,) * dim, layers="0", dtype=torch.float64, limit=2)
    assert found["0"].error.shape == (2, dim)
    assert found["0"].relative.max() < 1e-14
    blocks = PlaneWaves([[1 / 8] * dim], [[1.0]])
    found = lie_derivative(pool(2), blocks, size=(8,) * dim, dtype=torch.float64)["output"]
    assert found.relative.max() < 1e-13


def test_lie_derivatives_of_layers_come_in_their_order():
    model = seeded(MODELS["residual"])
    found = lie_derivative(model, size=(16, 16), layers="all", limit=1)
    assert list(found) == ["first", "relu", "second", "short", "relu#2", "head", "output"]


def test_arrays_and_fields_have_the_same_lie_derivative():
    field = random_bandlimited(2, 2, 0.4, 16.0, 1)
    model = seeded(MODELS["transformer"])
    one = lie_derivative(model, field, size=(16, 16))["output"].error
    other = lie_derivative(model, sample(field, GRID).values[None])["output"].error
    torch.testing.assert_close(one, other)


def test_an_operation_without_a_forward_derivative_is_named():
    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return 2 * g

    class Net(nn.Module):
        def forward(self, x):
            return Custom.apply(x)

    with pytest.raises(ValueError, match="the model raised"):
        lie_derivative(Net(), size=(8, 8))


def test_models_with_several_outputs_have_lie_derivatives():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")

        def forward(self, x):
            y = self.conv(x)
            return y, y.mean((2, 3))

    found = lie_derivative(Two(), size=(8, 8), dtype=torch.float64)
    assert list(found) == ["output[0]", "output[1]"]
    assert found["output[0]"].relative.max() < 1e-13


def test_models_without_a_floating_point_output_have_none():
    class Indices(nn.Module):
        def forward(self, x):
            return x.argmax(1)

    with pytest.raises(ValueError, match="no floating point tensor"):
        lie_derivative(Indices(), size=(8, 8))


@pytest.mark.parametrize("size", [8, 9])
def test_one_definition_of_the_relative_error(size):
    """Also where the output has waves at Nyquist, whose size changes as they are moved by parts of a sample."""
    field = random_bandlimited(2, 1, 0.49, float(size), seed=3)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), torch.nn.Hardtanh(-1e-3, 1e-3)
    ).double()
    t = [[0.5, 0.5], [0.3, 0.0], [1.0, 2.0]]
    grid = Grid((size, size), 1.0)
    with torch.no_grad():
        expected = equivariance_error(TorchModel(model), field, t, grid)
    found = relative_l2(model, field, t, size=(size, size), dtype=torch.float64)[:, 0]
    # Rounding of the convolution, whose values are of size 1, before they are clipped at 1e-3.
    rounding = 64 * torch.finfo(torch.float64).eps / 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=rounding)
    assert float(found[0]) > 0.1
