"""The border's share, whatever makes the border: circular twins, written by hand, are the truth."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from equivariance import measure
from equivariance.measuring.border import shares
from equivariance.measuring.continuation import CONTINUED, REWRITTEN
from tests.equivariance.models import seeded
from tests.equivariance.zoo import UNet

SIZE = (16, 16)


def wrapped(x: Tensor, pad: int = 1) -> Tensor:
    """Padded with its own other end."""
    return functional.pad(x, [pad] * 4, mode="circular")


class Both(nn.Module):
    """A convolution, then what has a border; with `ring`, the same without."""

    def __init__(self, what: str, ring: bool = False) -> None:
        super().__init__()
        mode = "circular" if ring else "zeros"
        self.what, self.ring = what, ring
        self.conv = nn.Conv2d(1, 3, 3, padding=1, padding_mode=mode)
        self.down = nn.Conv2d(3, 3, 3, stride=2, padding=1, padding_mode=mode)

    def forward(self, x: Tensor) -> Tensor:
        return getattr(self, self.what)(self.conv(x))

    def bilinear(self, y: Tensor) -> Tensor:
        y = torch.relu(self.down(y))
        y = wrapped(y) if self.ring else y
        y = functional.interpolate(y, scale_factor=2, mode="bilinear")
        return y[..., 2:-2, 2:-2] if self.ring else y

    def zeros(self, y: Tensor) -> Tensor:
        if self.ring:
            return y.roll(1, 2)
        return torch.cat([torch.zeros_like(y[:, :, :1]), y[:, :, :-1]], 2)

    def unfold(self, y: Tensor) -> Tensor:
        z = functional.unfold(wrapped(y) if self.ring else y, 3, padding=0 if self.ring else 1)
        return z.unflatten(2, y.shape[2:]).cumsum(1)

    def ceil(self, y: Tensor) -> Tensor:
        if self.ring:
            return functional.avg_pool2d(wrapped(y), 3, 1)
        return functional.avg_pool2d(y, 3, 1, 1, ceil_mode=True)

    def attention(self, y: Tensor) -> Tensor:
        z = y.flatten(2)
        return (z @ (z.mT @ z).softmax(-1).mT).reshape(y.shape)

    def squeeze(self, y: Tensor) -> Tensor:
        return y * y.mean((2, 3), keepdim=True).sigmoid()

    def reflect(self, y: Tensor) -> Tensor:
        padded = wrapped(y) if self.ring else functional.pad(y, [1] * 4, mode="reflect")
        return functional.max_pool2d(padded, 3, 1)


WAYS = {
    "bilinear": CONTINUED,
    "zeros": CONTINUED,
    "unfold": CONTINUED,
    "ceil": REWRITTEN,
    "attention": REWRITTEN,
    "squeeze": REWRITTEN,
    "reflect": REWRITTEN,
}


@pytest.mark.parametrize("what", WAYS)
def test_without_border_the_model_is_its_circular_twin(what) -> None:
    ours, twin = (seeded(lambda ring=ring: Both(what, ring)) for ring in (False, True))
    options = {"size": SIZE, "count": 12, "limit": 1, "probe": False}
    data, truth = measure(ours, **options), measure(twin, padding="as is", **options)
    found = data.sel(layer="output")
    assert found["border_by"].item() == WAYS[what]
    error = found["error"].sel(padding="circular").to_numpy()
    expected = truth["error"].sel(layer="output", padding="as is").to_numpy()
    assert abs(error - expected).max() < 1e-12
    assert float(found["error"].sel(padding="as is").max()) > 1e-2
    share = next(row for row in shares(data) if row.layer == "output").border_share
    own = float((found["error"].sel(padding="as is") ** 2).sum())
    assert abs(share - (1 - float((expected**2).sum()) / own)) < 1e-9


def test_where_no_margin_is_enough_it_is_said() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.values = nn.Parameter(torch.arange(256.0).reshape(1, 1, *SIZE).sin())

        def forward(self, x: Tensor) -> Tensor:
            return x + self.values

    class Statistics(nn.Module):
        """The border of the map before goes into every point."""

        def forward(self, x: Tensor) -> Tensor:
            y = torch.cat([torch.zeros_like(x[:, :, :1]), x[:, :, :-1]], 2)
            return y * (y[:, :, :1].abs().mean() + y.square().mean((2, 3), keepdim=True))

    fixed = measure(seeded(Positions), size=SIZE, count=6)
    assert (
        fixed["border_by"].sel(layer="output").item()
        == "not told: the model takes no larger inputs"
    )
    spread = measure(Statistics(), size=SIZE, count=6, limit=1, dtype=torch.float64)
    assert spread["border_by"].sel(layer="output").item() == "not told: output sees everything"


def small() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.ConvTranspose2d(2, 2, 4, 2, 1),
        nn.AvgPool2d(3, 1, 1),
        nn.Conv2d(2, 2, 3, padding="same"),
    )


@pytest.mark.filterwarnings("ignore:.*(deprecated|retain_grad)")
@pytest.mark.parametrize("way", ["export", "script", "trace"])
def test_exported_and_scripted_twins_are_measured_alike(way) -> None:
    model = seeded(small).eval()
    example = torch.zeros(3, 1, *SIZE, dtype=torch.float64)
    if way == "export":
        batch = torch.export.Dim("batch", min=1, max=64)
        program = torch.export.export(model, (example,), dynamic_shapes=({0: batch},))
        twin = program.module()
    else:
        twin = torch.jit.script(model) if way == "script" else torch.jit.trace(model, example)
    t = [[2.0, 0.0], [0.0, 2.0], [4.0, 6.0], [1.0, 0.0], [0.5, 0.3]]
    options = {"translations": t, "size": SIZE, "limit": 1, "probe": False, "channels": 1}
    options |= {"dtype": None if way == "export" else torch.float64, "layers": "output"}
    truth, found = measure(model, **options), measure(twin, **options)
    for padding in ("as is", "circular"):
        one, other = (d["error"].sel(padding=padding, layer="output") for d in (truth, found))
        assert float(abs(one - other).max()) < 1e-12
    expected = REWRITTEN if way == "export" else CONTINUED
    assert found["border_by"].sel(layer="output").item() == expected


@pytest.mark.parametrize("up", ["bilinear", "trilinear"])
def test_unets_with_linear_upsampling_commute_with_multiples_of_two_without_border(up) -> None:
    d = 2 if up == "bilinear" else 3
    data = measure(
        seeded(lambda: UNet(up, d)), size=(8,) * d, count=7, limit=1, layers=["up"], probe=False
    )
    found = data.sel(layer="up", padding="circular")
    assert found["border_by"].item() == CONTINUED
    assert found["commutes_with"].item() == " × ".join(["2Z"] * d)
    assert found["error_there"].item() < 1e-12
