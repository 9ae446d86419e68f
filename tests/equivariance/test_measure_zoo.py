"""Layouts, strides and errors of today's architectures, with the truth by plain torch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from equivariance import measure
from equivariance.cli import main
from equivariance.verdicts import CONSTANT, NO_LAYOUT
from tests.equivariance.models import seeded
from tests.equivariance.zoo import (
    Autoencoder,
    ConvNeXtBlock,
    Denoiser,
    Depth,
    Flow,
    PositionBias,
    Pyramid,
    Segmenter,
    SequenceFirst,
    Spectral,
    SwinBlock,
    UNet,
    VisionTransformer,
    Waves,
)

#: Of maps that are compared by plain torch: layers' outputs as (n, c, …), by name.
AS_MAP = {
    "usual": lambda y: y,
    "last": lambda y: y.movedim(-1, 1),
    "none": lambda y: y[:, None],
    "tokens": lambda y: y[:, -64:].mT.unflatten(2, (8, 8)),
    "first": lambda y: y.permute(1, 2, 0).unflatten(2, (8, 8)),
}

#: Model, size, layer, how its output lies, stride, the multiples of pixels that it commutes with.
MAPS = [
    (ConvNeXtBlock, (16, 16), "depthwise", "usual", 1, 1),
    (ConvNeXtBlock, (16, 16), "last", "last", 1, 1),
    (ConvNeXtBlock, (16, 24), "linear", "last", 1, 1),
    (SwinBlock, (32, 32), "whole", "last", 2, 8),
    (SwinBlock, (32, 32), "output", "usual", 2, 8),
    (VisionTransformer, (32, 32), "block", "tokens", 4, 4),
    (lambda: VisionTransformer(5), (32, 32), "block", "tokens", 4, 4),
    (SequenceFirst, (32, 32), "block", "first", 4, 4),
    (SequenceFirst, (32, 32), "output", "usual", 4, 4),
    (PositionBias, (16, 16), "output", "usual", 1, 1),
    (Depth, (16, 16), "output", "none", 1, 1),
    (lambda: UNet("nearest"), (16, 16), "output", "usual", 1, 2),
    (lambda: UNet("transposed"), (16, 16), "up", "usual", 1, 2),
    (lambda: UNet("nearest", 3), (8, 8, 8), "output", "usual", 1, 2),
    (lambda: UNet("transposed", 3), (8, 8, 8), "last", "usual", 1, 2),
    (Spectral, (32, 32), "output", "usual", 1, 1),
]


def noise(model: nn.Module, size: tuple[int, ...]) -> Tensor:
    """Two inputs of noise."""
    first = next(m for m in model.modules() if hasattr(m, "in_channels") or m is model)
    channels = getattr(first, "in_channels", 3)
    channels = next((m.in_channels for m in model.modules() if hasattr(m, "in_channels")), channels)
    draw = torch.Generator().manual_seed(1)
    return torch.randn(2, channels, *size, generator=draw, dtype=torch.float64)


def by_torch(model: nn.Module, layer: str, x: Tensor, step: list[int], lies: str, stride: int):
    """‖Φ(t▷f) − t▷Φ(f)‖ / ‖Φ(f)‖ of each input, at a multiple of the stride."""
    seen: list[Tensor] = []
    watched = model if layer == "output" else model.get_submodule(layer)
    handle = watched.register_forward_hook(lambda m, i, out: seen.append(AS_MAP[lies](out)))
    axes = list(range(2, x.ndim))
    with torch.no_grad():
        model(x)
        model(x.roll(step, axes))
    handle.remove()
    expected = seen[0].roll([s // stride for s in step], axes)
    norm = expected.flatten(1).norm(dim=1)
    return (seen[1] - expected).flatten(1).norm(dim=1) / norm


@pytest.mark.parametrize(("make", "size", "layer", "lies", "stride", "group"), MAPS)
def test_maps_are_found_and_their_errors_are_those_of_plain_torch(
    make, size, layer, lies, stride, group
) -> None:
    model = seeded(make).double().eval()
    x = noise(model, size)
    steps = [[group] * len(size), [stride] + [0] * (len(size) - 1), [3 * stride] * len(size)]
    data = measure(model, x, torch.tensor(steps).double(), padding="as is", probe=False)
    cell = data.sel(layer=layer).isel(padding=0)
    assert cell["space"].item() == "periodic"
    assert cell["stride"].to_numpy().tolist() == [stride] * len(size)
    for k, step in enumerate(steps):
        expected = by_torch(model, layer, x, step, lies, stride)
        found = torch.from_numpy(cell["error"].isel(translation=k).to_numpy())
        assert float((found - expected).abs().max()) < 1e-12
    assert float(cell["error"].isel(translation=0).max()) < 1e-12
    if group != stride:
        assert float(cell["error"].isel(translation=1).min()) > 1e-3


@pytest.mark.parametrize("positions", [False, True])
def test_tokens_are_found_where_other_sizes_are_refused_too(positions) -> None:
    model = seeded(lambda: VisionTransformer(1, positions)).double()
    data = measure(model, size=(32, 32), limit=1, count=9, padding="as is")
    assert data.sel(layer="output[tokens]")["space"].item() == "periodic"
    assert data.sel(layer="output[logits]")["space"].item() == "invariant"
    assert data["stride"].sel(layer="output[tokens]").to_numpy().tolist() == [4, 4]


def test_spectra_and_what_a_bottleneck_makes_are_no_maps() -> None:
    spectral = measure(seeded(Spectral).double(), size=(32, 32), channels=3, limit=1, count=6)
    assert spectral["commutes_with"].sel(layer="spectrum", padding="as is").item() == NO_LAYOUT
    inner = measure(seeded(Autoencoder), size=(32, 32), limit=1, count=6, padding="as is")
    space = dict(zip(inner["layer"].to_numpy(), inner["space"].to_numpy(), strict=True))
    assert (space["encode.0"], space["encode.1"], space["encode.2"]) == (
        "periodic",
        "periodic",
        "invariant",
    )
    assert space["decode.2"] == "not found"
    assert space["output"] == "periodic"
    assert inner["is_sure"].sel(layer="output").item() == 0
    assert float(inner["error"].sel(layer="output").max()) > 0.1


def test_magnitudes_of_a_spectrum_are_invariants() -> None:
    class Power(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.fft.rfft2(x).abs()

    data = measure(Power().double(), size=(16, 16), limit=2, count=9, dtype=torch.float64)
    found = data.sel(layer="output", padding="as is")
    assert found["space"].item() == "invariant"
    assert float(found["error"].max()) < 1e-12


def test_labels_are_compared_by_agreement_and_complex_outputs_as_pairs() -> None:
    model = seeded(Segmenter).double()
    data = measure(model, size=(16, 16), limit=2, count=9, padding="as is")
    labels, scores = (data.sel(layer=f"output[{i}]").isel(padding=0) for i in range(2))
    assert labels["space"].item() == scores["space"].item() == "periodic"
    assert float(labels["error"].max()) == 0
    whole = (data["t"] == data["t"].round()).all("axis")
    assert float(scores["error"].where(whole).max()) < 1e-12
    assert scores["shape"].item() == "4 × 16 × 16 × 2"
    broken = nn.Sequential(nn.Conv2d(3, 4, 3, stride=1, padding=1), Labels()).double()
    x = noise(broken, (16, 16))
    found = measure(broken, x, [[1.0, 2.0]], padding="as is", probe=False)
    with torch.no_grad():
        one, other = broken(x.roll((1, 2), (2, 3))), broken(x).roll((1, 2), (1, 2))
    expected = (one != other).double().mean((1, 2)).sqrt()
    error = torch.from_numpy(found["error"].sel(layer="output").to_numpy().squeeze())
    assert float((error - expected).abs().max()) < 1e-12


class Labels(nn.Module):
    """The strongest channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.argmax(1)


def test_what_cannot_be_compared_is_left_out_and_said() -> None:
    swin = measure(seeded(SwinBlock), size=(32, 32), limit=1, count=4, padding="as is")
    assert "mix: the axis of the batch holds parts of the inputs" in swin.attrs["left_out"]
    biased = measure(seeded(PositionBias), size=(16, 16), limit=1, count=4, padding="as is")
    assert biased.attrs["left_out"] == "table: has no axis of the batch"
    infinite = measure(
        nn.Sequential(Masked(), nn.Softmax(1)), size=(8, 8), channels=2, count=4, padding="as is"
    )
    assert infinite.attrs["left_out"] == "0: puts out NaN or infinite values"
    assert float(infinite["error"].sel(layer="output").max()) < 1e-6


class Masked(nn.Module):
    """Nothing of the second channel."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, :1], torch.full_like(x[:, 1:], -torch.inf)], 1)


def test_outputs_at_several_strides() -> None:
    data = measure(seeded(Pyramid).double(), size=(16, 16), count=9, padding="as is")
    strides = {
        n: data["stride"].sel(layer=f"output[{n}]").to_numpy()[0] for n in ("fine", "coarse")
    }
    assert strides == {"fine": 2, "coarse": 4}


def test_an_output_that_does_not_depend_on_its_input_is_constant() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(128, 3))
    nn.init.zeros_(model[2].weight)
    data = measure(model, size=(8, 8), limit=1, count=6, padding="as is")
    assert data["commutes_with"].sel(layer="output").item() == CONSTANT


@pytest.mark.parametrize("bias", [1e3, 1e6])
def test_a_large_bias_hides_nothing(bias) -> None:
    """In float32 an error of 1e-6 of the whole is rounding; of a map that varies by 1e-6 it is everything."""

    class Biased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x) + bias

    data = measure(seeded(Biased), size=(16, 16), limit=1, count=9, padding="as is")
    found = data.sel(layer="output").isel(padding=0)
    if bias > 1e5:  # float32 holds hardly a digit of what varies
        assert found["verdict"].item() in ("broken", "unknown")
    else:
        assert found["verdict"].item() == "broken"
        assert found["error_elsewhere"].item() > 0.01


def test_signals_without_channels() -> None:
    model, t = seeded(Waves).double(), torch.tensor([[2.0], [4.0], [1.0], [0.5]]).double()
    x = torch.randn(2, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    data = measure(model, x, t, padding="as is", probe=False)
    cell = data.sel(layer="output").isel(padding=0)
    assert (cell["space"].item(), cell["stride"].to_numpy().tolist()) == ("periodic", [2])
    assert float(cell["error"][:2].max()) < 1e-12
    with torch.no_grad():
        moved = model(x.roll(2, 1))
        assert float((moved - model(x).roll(1, 1)).abs().max()) < 1e-12
    drawn = measure(model, None, t, size=(32,), channels=0, padding="as is")
    assert drawn["commutes_with"].sel(layer="output").item() == "2Z"


@pytest.mark.parametrize("as_dict", [False, True])
def test_two_images_move_together(as_dict) -> None:
    model, draw = seeded(Flow).double(), torch.Generator().manual_seed(0)
    one, other = (torch.randn(2, 3, 8, 12, generator=draw, dtype=torch.float64) for _ in range(2))
    inputs = {"second": other, "first": one} if as_dict else (one, other)
    data = measure(model, inputs, [[1.0, 2.0], [0.3, 0.0]], padding="as is")
    assert data["commutes_with"].sel(layer="output").item() == "every real translation tested"
    assert data["layer"].to_numpy().tolist() == ["conv", "output"]
    still = measure(model, (one, other), [[1.0, 2.0]], padding="as is", fixed=None)
    with torch.no_grad():
        expected = model(one.roll((1, 2), (2, 3)), other.roll((1, 2), (2, 3)))
        assert float((expected - model(one, other).roll((1, 2), (2, 3))).abs().max()) < 1e-12
    assert float(still["error"].max()) < 1e-12


@pytest.mark.parametrize("timestep", [torch.tensor([10]), torch.tensor([10, 700])])
def test_a_timestep_does_not_move(timestep) -> None:
    model = seeded(Denoiser).double()
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    t = [[1.0, 0.0], [2.0, 3.0]]
    data = measure(model, x, t, fixed={"timestep": timestep}, padding="as is")
    assert data["layer"].to_numpy().tolist()[-1] == "output[sample]"
    assert data.attrs["left_out"] in ("", "time: has no axis of the batch")
    assert float(data["error"].sel(layer="output[sample]").max()) < 1e-12
    same = measure(model, (x, timestep), t, padding="as is")
    assert torch.equal(
        torch.from_numpy(data["error"].to_numpy()), torch.from_numpy(same["error"].to_numpy())
    )


def test_inputs_without_a_map_and_lists_of_images_are_refused_with_the_cure() -> None:
    with pytest.raises(ValueError, match="needs a map among them, a floating point tensor"):
        measure(seeded(Flow), (torch.tensor([1]), torch.tensor([2])))
    images = [torch.zeros(3, 20, 24), torch.zeros(3, 20, 20)]
    with pytest.raises(TypeError, match=r"(?s)as detectors take it.*self.model\(list\(x\)\)"):
        measure(seeded(Flow), images)
    with pytest.raises(ValueError, match="maps share their batch, got 2 and 3 inputs"):
        measure(seeded(Flow), (torch.zeros(2, 3, 8, 8), torch.zeros(3, 3, 8, 8)))


TWO = """
import torch
from torch import nn

def conv(mode):
    torch.manual_seed(0)
    return nn.Conv2d(1, 2, 3, padding=1, padding_mode=mode)

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = conv("zeros"), conv("circular")
    def forward(self, x):
        return {"logits": self.one(x), "aux": self.other(x)}

class Swapped(Two):
    def forward(self, x):
        return {"aux": self.other(x), "logits": self.one(x)}

class Timed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = conv("circular")
    def forward(self, x, timestep):
        return self.conv(x) * timestep.to(x)[:, None, None, None]

class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(1, 4, 4, 4)
        self.signs = nn.Parameter(torch.tensor([1.0, -1.0]).repeat(8)[None, :, None])
    def forward(self, x):
        return self.embed(x).flatten(2).mT * self.signs
"""


@pytest.mark.parametrize(
    ("name", "flags", "code"),
    [
        ("Two", [], 1),
        ("Swapped", [], 1),
        ("Two", ["--output", "aux"], 0),
        ("Swapped", ["--output", "logits"], 1),
        ("Two", ["--output", "depth"], 2),
        ("Timed", ["--fixed", "timestep=10"], 0),
        ("Timed", [], 2),
        ("Tokens", ["--tokens", "output=4x4"], 1),
        ("Tokens", ["--tokens", "output=none"], 1),
        ("Tokens", ["--tokens", "output=5x5"], 2),
        ("Tokens", ["--tokens", "output=4by4"], 2),
        ("Timed", ["--fixed", "10"], 2),
    ],
)
def test_a_tolerance_holds_every_output_or_the_chosen_one(
    name, flags, code, tmp_path, capsys
) -> None:
    (tmp_path / "two.py").write_text(TWO)
    words = ["measure", f"{tmp_path}/two.py:{name}", "--size", "16", "--limit", "1", "--plain"]
    words += ["--translations", "6", "--tolerance", "1e-4", "--only-multiples", *flags]
    assert main([*words, "--out", str(tmp_path / "out")]) == code
    if code == 2:
        assert capsys.readouterr().err.count("\n") == 1
