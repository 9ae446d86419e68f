"""`measure`: errors against closed forms and against a straightforward computation; what is watched, and how."""

import math

import numpy as np
import pytest
import torch
import xarray as xr
from skimage.io import imsave
from torch import nn
from torch.nn import functional

from discretize import Grid, Samples, sample
from equivariance import judge, measure, sweep
from equivariance.measuring.border import shares
from equivariance.measuring.measured import findings, first_broken, table
from equivariance.verdicts import CONSTANT
from fields import Constant, Gaussians, PlaneWaves, random_bandlimited
from layers import TorchModel
from tests.equivariance.models import MODELS, SmallTransformer, plain, seeded

EPS = np.finfo(float).eps
F64 = {"dtype": torch.float64}


@pytest.fixture(autouse=True)
def _seeded():
    """Weights of every test are the same, whatever ran before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


class Nothing(nn.Module):
    """Zeros."""

    def forward(self, x):
        return 0 * x


class Every(nn.Module):
    """Every s-th sample."""

    def __init__(self, s):
        super().__init__()
        self.s = s

    def forward(self, x):
        return x[(..., *(slice(None, None, self.s),) * (x.ndim - 2))]


def row(data, layer, padding="as is"):
    return next(f for f in findings(data, padding) if f.layer == layer)


def values(data, layer="output", padding="as is"):
    cell = data["error"].sel(layer=layer, padding=padding)
    return cell.transpose("translation", "input").to_numpy()


# --- closed forms ------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [0.25, 0.5, 1.0, 1.7, 2.0, 3.0])
def test_a_folded_wave_under_a_stride_of_two(t):
    """cos 2πfx, ¼ < f < ½, folds: moving its samples by t/2 turns it by πt too much, an error of 2|sin πt/2|."""
    wave = PlaneWaves([[6 / 16]], [[1.0 + 0.5j]])
    data = measure(Every(2), wave, [[t]], size=(16,), padding="as is", **F64)
    assert values(data)[0, 0] == pytest.approx(2 * abs(math.sin(math.pi * t / 2)), abs=100 * EPS)


@pytest.mark.parametrize("t", [0.25, 1.0, 2.0])
def test_a_slow_wave_under_a_stride_of_two(t):
    wave = PlaneWaves([[3 / 16]], [[1.0 + 0.5j]])
    assert values(measure(Every(2), wave, [[t]], size=(16,), **F64)).max() < 100 * EPS


def test_the_border_of_a_constant():
    """Weights (1, 1, 1) on ones, zeros around: (2, 3, …, 3, 2), which moved by one differs by 1 in two places."""
    layer = nn.Conv1d(1, 1, 3, padding=1, bias=False)
    layer.weight.data.fill_(1)
    data = measure(layer, Constant([1.0], 1), [[1.0], [3.0]], size=(8,), **F64)
    assert values(data)[0, 0] == pytest.approx(math.sqrt(2 / 62), rel=1e-14)
    assert values(data)[1, 0] == pytest.approx(math.sqrt(4 / 62), rel=1e-14)
    found = row(data, "output")
    assert found.interior == 0
    assert found.verdict == "broken"
    assert row(data, "output", "circular").worst[0] == 0
    (share,) = shares(data)
    assert share.border == pytest.approx(math.sqrt(4 / 62))
    assert share.border_share == 1


def test_pointwise_products_alias_only_above_nyquist():
    """x² doubles frequencies: 3/16 → 6/16 is below Nyquist, 5/16 → 10/16 above it and folds."""

    class Square(nn.Module):
        def forward(self, x):
            return x.square()

    for k, bound in ((3, 1e-13), (5, 10.0)):
        wave = PlaneWaves([[k / 16, 0.0]], [[1.0]])
        error = values(measure(Square(), wave, [[0.3, 0.0], [1.0, 0.0]], size=(16, 4), **F64))
        assert error[1, 0] < 1e-13
        assert error[0, 0] < bound
        assert k == 3 or error[0, 0] > 0.1


# --- against a straightforward computation ----------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("batch", [1, 7])
def test_the_output_agrees_with_translating_and_sampling_by_hand(name, batch):
    model = seeded(MODELS[name])
    fields = [random_bandlimited(2, 2, 0.3, 16.0, seed) for seed in (1, 2)]
    t = [[1.0, 0.0], [4.0, 8.0], [0.3, -2.6], [0.0, 0.0]]
    data = measure(model, fields, t, size=(16, 16), layers="output", batch=batch, padding="as is")
    model.eval()
    grid = Grid((16, 16), 1.0)
    for j, f in enumerate(fields):
        still = model(sample(f, grid).values[None])
        for i, by in enumerate(t):
            after = model(sample(f.translate(by), grid).values[None])
            expected = float(((after - still).norm() / still.norm()).detach())
            assert values(data)[i, j] == pytest.approx(expected, rel=1e-6, abs=1e-13)


def test_every_layer_agrees_with_resampling_its_maps():
    model = seeded(plain)
    x = torch.randn(2, 2, 24, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    t = torch.tensor([[1.0, 0.0], [4.0, 8.0], [0.3, -2.6], [2.0, 1.5]], dtype=torch.float64)
    data = measure(model, x, t, layers="leaves", padding="as is")
    grid = Grid((24, 16), 1.0)
    for i, by in enumerate(t):
        still, after = x.clone(), Samples(x, grid).translate(by).resample(grid).values
        for layer, module in model.eval().named_children():
            still, after = module(still.clone()), module(after.clone())
            if still.ndim == 4 and still.shape[-1] > 1:
                coarse = Grid(still.shape[2:], 24 / still.shape[2])
                expected = Samples(still, coarse).translate(by).resample(coarse).values
            else:
                expected = still
            error = (after - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1)
            found = torch.from_numpy(values(data, layer)[i])
            torch.testing.assert_close(found, error.detach(), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_circular_convolutions_and_strides_in_every_dimension(dim):
    conv = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dim]
    pool = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}[dim]
    model = nn.Sequential(conv(1, 2, 3, padding=1), nn.ReLU(), pool(2), conv(2, 2, 3, 1, 2, 2))
    data = measure(model, size=(12,) * dim, count=24, limit=2)
    assert {row(data, n, "circular").verdict for n in "0123"} <= {"exact", "round-off"}
    assert row(data, "3", "circular").subgroup == " × ".join(["2Z"] * dim)
    assert row(data, "1", "circular").subgroup == " × ".join(["Z"] * dim)
    assert row(data, "output").verdict == "broken"
    assert data["stride"].sel(layer="3").values.tolist() == [2.0] * dim
    assert first_broken(data) == "0"
    assert first_broken(data, "others", "circular") == "2"
    assert first_broken(data, "between", "circular") == "1"


def test_a_linear_layer_is_equivariant_between_pixels_too():
    conv = nn.Conv2d(1, 3, 5, padding=2, padding_mode="circular")
    data = measure(conv, size=(10, 12), **F64)
    found = row(data, "output")
    assert found.verdict == "exact"
    assert found.subgroup == "every real translation tested"
    assert max(found.worst) < 1e-14
    assert found.interior < 1e-14
    assert found.words[::2] == ("every real translation tested", "–")


def test_what_a_layer_commutes_with_has_the_same_words_everywhere():
    """A circular net without stride is as good here as in a sweep: Z × Z, and not broken for what lies between."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), nn.ReLU()).double()
    field = random_bandlimited(2, 1, 0.4, 16.0, seed=0)
    t = [[i / 2, j / 2] for i in range(5) for j in range(5)]
    here = row(measure(net, field, t, size=(16, 16), padding="as is", **F64), "output")
    swept = sweep({"net": TorchModel(net)}, {"F": field}, t, {"grid": Grid((16, 16), 1.0)})
    (there,) = judge(swept, 1)
    assert (
        here.commutes_with == there.verdict.commutes_with == swept.commutes_with.item() == "Z × Z"
    )
    assert {here.verdict, there.verdict.kind} <= {"exact", "round-off"}
    assert here.error_elsewhere == pytest.approx(there.verdict.error_elsewhere, rel=1e-6)
    assert here.error_elsewhere > 1e-3
    assert here.error_there <= 1e-14


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.AdaptiveAvgPool2d(1), "invariant under every real translation tested"),
        (nn.Sequential(nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1)), "invariant under 2Z × 2Z"),
        (Nothing(), "constant: says nothing"),
    ],
)
def test_invariants_and_constants_are_said_to_be_such(model, words):
    t = [[i / 2, j / 2] for i in range(5) for j in range(5)]
    model = nn.Sequential(model, nn.Flatten())
    field = random_bandlimited(2, 1, 0.4, 16.0, seed=0) + Constant([1.0], 2)
    found = row(measure(model, field, t, size=(16, 16), padding="as is", **F64), "output")
    assert found.commutes_with == words


# --- what is watched -----------------------------------------------------------------------------


def test_repeated_calls_are_told_apart_and_in_place_operations_leave_what_was_seen():
    model = seeded(MODELS["residual"])
    data = measure(model, size=(16, 16), limit=1, count=6)
    names = data["layer"].to_numpy().tolist()
    assert names == ["first", "relu", "second", "short", "relu#2", "head", "output"]
    assert row(data, "first").worst != row(data, "relu").worst
    assert not any(m._forward_hooks for m in model.modules())
    assert model.training


def test_compiled_wrappers_are_taken_off():
    model = seeded(plain)
    reference = measure(model, size=(16, 16), limit=1, count=4)
    wrapped = nn.Sequential(torch.compile(model[:5]), *model[5:])
    data = measure(torch.compile(wrapped), size=(16, 16), limit=1, count=4)
    assert set(data["layer"].to_numpy()) >= {"0.0", "0.4", "1", "output"}
    np.testing.assert_allclose(values(data), values(reference), rtol=1e-10)


def test_a_model_with_several_outputs():
    class Two(nn.Module):
        def forward(self, x):
            return {"map": x, "rest": (x.mean((2, 3)), x.argmax(1))}

    data = measure(Two(), size=(8, 8), count=4, channels=2)
    names = ["output[map]", "output[rest][0]", "output[rest][1]"]
    assert data["layer"].to_numpy().tolist() == names
    assert data["space"].to_numpy().tolist() == ["periodic", "invariant", "periodic"]


@pytest.mark.parametrize("tokens", [None, {"blocks*": (4, 4)}])
def test_tokens_are_found_to_be_a_map_as_they_are_declared(tokens):
    model = seeded(lambda: SmallTransformer(positions=False))
    none = measure(model, size=(16, 16), limit=1, count=9, tokens={"blocks*": None})
    assert row(none, "blocks").space == "invariant"
    assert row(none, "blocks").worst[0] > 1e-3
    found = row(measure(model, size=(16, 16), limit=1, count=9, tokens=tokens), "blocks")
    assert (found.space, found.stride) == ("periodic", (4.0, 4.0))
    assert found.worst[0] < 1e-13
    assert found.subgroup == "4Z × 4Z"
    assert found.worst[1] > 0.05


def test_channels_last_maps_and_attention_weights_can_be_declared():
    class Last(nn.Module):
        def forward(self, x):
            return x.movedim(1, -1)

    last = nn.Sequential(nn.AvgPool2d(2), Last())
    data = measure(last, size=(8, 12), channels=2, tokens={"1": (4, 6), "output": (4, 6)})
    assert row(data, "1").stride == (2.0, 2.0)
    assert row(data, "1").worst[0] < 1e-6
    data = measure(nn.ReLU(), size=(8, 12), count=4, tokens={"output": None})
    assert row(data, "output").space == "invariant"


def test_strides_of_layers_that_shrink_their_maps():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 5), nn.MaxPool2d(2), nn.Conv2d(2, 2, 5), nn.MaxPool2d(2), nn.Flatten()
    )
    model.append(nn.Linear(50, 3))
    data = measure(model, size=(32, 32), limit=1, count=12, **F64)
    assert data["stride"].isel(axis=0).values.tolist() == [1, 2, 2, 4, 4, 4, 4]
    assert data["space"].to_numpy().tolist() == ["window"] * 4 + ["not found"] + ["invariant"] * 2
    for layer, group in zip("0123", ("Z × Z", "2Z × 2Z", "2Z × 2Z", "4Z × 4Z"), strict=True):
        assert row(data, layer).subgroup == group
        assert np.isnan(row(data, layer).worst[2])


def test_small_maps_are_compared_at_multiples_only():
    data = measure(
        nn.MaxPool2d(8),
        torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)),
        [[8.0, 0], [4, 0], [0.5, 0]],
    )
    assert np.isnan(values(data)[1:]).all()
    assert values(data)[0, 0] == 0


def test_upsampling_has_a_stride_below_one():
    model = nn.Sequential(nn.Upsample(scale_factor=2), nn.ConvTranspose2d(1, 1, 4, 2, 1))
    data = measure(model, size=(8, 8), **F64)
    assert data["stride"].values[:, 0].tolist() == [0.5, 0.25, 0.25]
    assert row(data, "0").worst[0] < 1e-14
    assert row(data, "1", "circular").worst[0] < 1e-14


def test_interiors_are_free_of_padding_and_end_where_receptive_fields_cover_everything():
    deep = nn.Sequential(*(nn.Conv1d(1, 1, 3, padding=1) for _ in range(6)))
    data = measure(deep, size=(10,), translations=[[1.0]], **F64)
    interiors = [row(data, str(i)).interior for i in range(6)]
    assert max(interiors[:4]) < 1e-14
    assert np.isnan(interiors[5])
    assert min(values(data, str(i)).min() for i in range(6)) > 1e-3


# --- windows ---------------------------------------------------------------------------------------


def test_a_window_compares_what_both_see():
    F = Gaussians([[9.0, 8.0], [17.0, 30.0]], [[1.0], [-2.0]], [2.0, 3.0])
    conv = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(2))
    t = [[2.0, 0.0], [-4.0, 6.0], [1.0, 0.0]]
    data = measure(conv, F, t, size=(24, 24), boundary="window", **F64)
    assert data["padding"].to_numpy().tolist() == ["as is"]
    error = values(data, "1")
    assert error[1] > 1e-5
    assert np.isnan(error[2])
    assert row(data, "1").interior < 1e-13
    valid = measure(nn.Conv2d(1, 2, 3), F, t, size=(24, 24), boundary="window", **F64)
    assert values(valid).max() < 1e-13


def test_a_window_into_larger_arrays_moves_its_content():
    x = torch.rand(2, 1, 30, 30, generator=torch.Generator().manual_seed(0))
    data = measure(nn.ReLU(), x, [[3.0, -7.0]], size=(16, 16), boundary="window")
    assert values(data).max() == 0
    with pytest.raises(ValueError, match=r"at least \(22, 30\) pixels"):
        measure(nn.ReLU(), x[..., :29], [[3.0, -7.0]], size=(16, 16), boundary="window")


def test_chosen_translations_show_what_arrays_have_beyond_the_window():
    x, relu = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)), nn.ReLU()
    data = measure(relu, x, size=(8, 8), boundary="window", count=20)
    assert np.abs(data["t"]).max() <= 4
    assert np.nanmax(values(data)) == 0
    with pytest.raises(ValueError, match=r"at least \(20, 20\) pixels for a window of \(10, 10\)"):
        measure(relu, x, size=(10, 10), boundary="window")
    with pytest.raises(ValueError, match="boundary='window' needs size="):
        measure(relu, x, [[1.0, 0.0]], boundary="window")


def test_a_folder_seen_through_a_window_goes_on_beyond_it(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (40, 40), dtype=np.uint8)
    imsave(tmp_path / "one.png", image, check_contrast=False)
    data = measure(nn.ReLU(), tmp_path, size=(16, 16), boundary="window", count=8)
    assert np.nanmax(values(data)) == 0
    with pytest.raises(ValueError, match=r"too few for \(41, 41\)"):
        measure(nn.ReLU(), tmp_path, size=(21, 21), boundary="window")


def test_circular_padding_is_a_border_in_a_window():
    conv = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
    F = Gaussians([[3.0, 8.0]], [[1.0]], [2.0])
    data = measure(conv, F, [[1.0, 0.0]], size=(16, 16), boundary="window", **F64)
    assert values(data).max() > 1e-3
    assert row(data, "output").interior < 1e-13


# --- inputs ----------------------------------------------------------------------------------------


def test_a_loader_gives_its_first_inputs():
    x = torch.rand(10, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    set_ = torch.utils.data.TensorDataset(x, torch.arange(10))
    loader = torch.utils.data.DataLoader(set_, batch_size=3)
    t = [[1.0, 2.0], [0.5, 0.0]]
    data = measure(nn.Conv2d(2, 2, 3, padding=1), loader, t, limit=5, padding="as is")
    assert data.sizes["input"] == 5


def test_arrays_and_their_fields_agree():
    x = torch.rand(1, 2, 9, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    field = Samples(x[0], Grid((9, 12), 1.0)).interpolate()
    model, t = seeded(lambda: nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU())), [[0.4, 1.0]]
    one, other = measure(model, x, t), measure(model, field, t, size=(9, 12))
    np.testing.assert_allclose(values(one), values(other), rtol=1e-10)


@pytest.mark.parametrize("suffix", [".npy", ".pt"])
def test_a_tensor_in_a_file(tmp_path, suffix):
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    path = tmp_path / f"x{suffix}"
    np.save(path, x.numpy()) if suffix == ".npy" else torch.save(x, path)
    assert measure(nn.ReLU(), path, [[1.0, 0.0]], limit=3).sizes["input"] == 3


def test_a_pickle_of_anything_else_is_refused(tmp_path):
    torch.save(nn.ReLU(), tmp_path / "x.pt")
    with pytest.raises(ValueError, match="can't be read as a tensor"):
        measure(nn.ReLU(), tmp_path / "x.pt")
    torch.save({"a": torch.zeros(1)}, tmp_path / "y.pt")
    with pytest.raises(ValueError, match="holds a dict, expected one tensor"):
        measure(nn.ReLU(), tmp_path / "y.pt")


def test_a_folder_of_images(tmp_path):
    from skimage import io

    draw = np.random.default_rng(0)
    for name in "ab":
        picture = draw.integers(0, 255, (40, 50, 3), dtype=np.uint8)
        io.imsave(tmp_path / f"{name}.png", picture, check_contrast=False)
    (tmp_path / "notes.txt").write_text("no picture")
    conv = nn.Conv2d(3, 2, 3, padding=1)
    data = measure(conv, tmp_path, [[1.0, 0.0]], size=(16, 16))
    assert data.sizes["input"] == 2
    grey = nn.Conv2d(1, 2, 3, padding=1)
    assert values(measure(grey, tmp_path, [[1.0, 0.0]], size=(16, 16))).shape == (1, 2)
    with pytest.raises(ValueError, match="too few"):
        measure(conv, tmp_path, [[1.0, 0.0]], size=(64, 64))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no images"):
        measure(conv, tmp_path / "empty", size=(16, 16))


# --- verdicts --------------------------------------------------------------------------------------


def test_round_off_is_told_from_exact():
    """A mean over the map sums in another order, which rounds otherwise."""

    class Mean(nn.Module):
        def forward(self, x):
            return (x / 3).mean((2, 3))

    model = nn.Sequential(nn.ReLU(), Mean())
    data = measure(
        model,
        torch.rand(3, 4, 33, 35, generator=torch.Generator().manual_seed(0)),
        [[1.0, 0.0], [0.0, 1.0]],
        dtype=torch.float32,
    )
    assert row(data, "0").verdict == "exact"
    assert row(data, "1").verdict == "round-off"
    assert row(data, "1").subgroup == "Z × Z"


def test_the_table_shows_every_layer():
    data = measure(seeded(plain), size=(16, 16), limit=1, count=6)
    lines = table(data, "circular").splitlines()
    assert [line.split()[0] for line in lines[2:]] == data["layer"].to_numpy().tolist()


def test_results_hold_where_they_come_from_and_survive_a_file(tmp_path):
    from equivariance.results import as_bytes

    data = measure(seeded(plain), size=(16, 16), limit=1, count=18, seed=5)
    assert data.attrs["seed"] == "5"
    assert data.attrs["first_broken_multiples_circular"] == ""
    (tmp_path / "m.nc").write_bytes(as_bytes(data))
    with xr.open_dataset(tmp_path / "m.nc", engine="scipy") as stored:
        assert table(stored.load(), "circular") == table(data, "circular")
        assert first_broken(stored, "others", "circular") == "2"


def test_batches_of_another_size_give_the_same():
    model, x = (
        seeded(plain),
        torch.rand(3, 2, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0)),
    )
    one, other = (measure(model, x, count=9, batch=n) for n in (1, 64))
    np.testing.assert_allclose(one["error"], other["error"], rtol=1e-9, atol=1e-14)


# --- what can't be measured ------------------------------------------------------------------------


class Raises(nn.Module):
    def forward(self, x):
        raise RuntimeError("no\nway")


class Dropping(nn.Module):
    def forward(self, x):
        return functional.dropout(x, 0.5, training=True)


class Shapeless(nn.Module):
    def forward(self, x):
        return x.sum()


class NotANumber(nn.Module):
    def forward(self, x):
        return x / 0 * 0


class Fickle(nn.Module):
    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(x) if len(x) == 1 else self.relu(self.relu(x))


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (Raises(), {}, r"raised on an input of shape \(1, 1, 8, 8\).*RuntimeError: no$"),
        (Dropping(), {}, "random in evaluation mode"),
        (Shapeless(), {}, "no floating point tensor with an axis for the batch"),
        (NotANumber(), {}, "NaN or infinite"),
        (Fickle(), {}, "depends on its input"),
        (nn.Linear(3, 3), {}, r"raised on an input of shape \(1, 1, 8, 8\)"),
        (nn.Conv2d(1, 1, 3, device="meta"), {}, "meta"),
        (nn.ReLU(), {"layers": "layer9"}, "no layer fits 'layer9'"),
        (nn.ReLU(), {"padding": "zero"}, "padding must be"),
        (nn.ReLU(), {"boundary": "torus"}, "boundary must be one of periodic, window"),
        (nn.ReLU(), {"translations": [[1.0]]}, r"translations have shape \(T, 2\)"),
        (nn.ReLU(), {"translations": [[math.nan, 0]]}, "translations must be finite"),
        (nn.ReLU(), {"size": (0, 8)}, "size must be integers of at least 1"),
        (nn.ReLU(), {"size": None}, "give size="),
        (nn.ReLU(), {"count": 0}, "count must be integers of at least 1"),
        (nn.ReLU(), {"limit": 0}, "number of inputs must be integers of at least 1"),
        (nn.ReLU(), {"batch": 0}, "batch must be integers of at least 1"),
        (nn.ReLU(), {"dtype": torch.int32}, "dtype must be a floating point one"),
        (nn.ReLU(), {"inputs": torch.zeros(1, 1, 8, 8).int()}, "must be floating point"),
        (nn.ReLU(), {"inputs": torch.full((1, 1, 8, 8), math.nan)}, "must be finite"),
        (nn.ReLU(), {"inputs": torch.zeros(8, 8)}, r"inputs have shape \(B, c"),
        (nn.ReLU(), {"inputs": torch.zeros(1, 1, 8, 9)}, "don't have the size"),
        (nn.ReLU(), {"inputs": []}, "gives no batches"),
        (nn.ReLU(), {"inputs": Gaussians([[1.0, 1]], [[1.0]], [1.0])}, "isn't periodic"),
        (nn.ReLU(), {"inputs": Constant([1.0], 1)}, r"are on R\^2"),
        (nn.ReLU(), {"inputs": "nowhere"}, "there is no file or folder nowhere"),
        (nn.ReLU(), {"tokens": {"output": (3, 3)}}, "tokens: output puts out"),
    ],
)
def test_what_cannot_be_measured_says_why(model, options, message):
    options = {"size": (8, 8), **options}
    inputs = options.pop("inputs", None)
    with pytest.raises(ValueError, match=message):
        measure(model, inputs, **options)


@pytest.mark.parametrize("model", [torch.relu, "torch.nn.ReLU"])
def test_only_modules_are_measured(model):
    with pytest.raises(TypeError, match=r"expected an nn\.Module"):
        measure(model, size=(8, 8))


def test_inputs_of_another_kind_are_refused():
    with pytest.raises(TypeError, match="inputs must be a Field"):
        measure(nn.ReLU(), 3, size=(8, 8))
    with pytest.raises(TypeError, match="a loader must give tensors"):
        measure(nn.ReLU(), ["x"], size=(8, 8))


def test_a_model_that_cannot_be_copied_is_not_measured_in_place():
    import threading

    model = nn.ReLU()
    model.lock = threading.Lock()
    with pytest.raises(ValueError, match="can't be copied"):
        measure(model, size=(8, 8))


def test_a_dead_layer_has_no_error():
    model = nn.Sequential(nn.Threshold(1e9, 0.0), nn.Flatten(), nn.Linear(64, 2))
    data = measure(model, size=(8, 8), count=3)
    for name in ("0", "1", "2", "output"):
        assert row(data, name).verdict == "unknown"
        assert row(data, name).commutes_with == CONSTANT
