"""`--tolerance` as a gate: models of which exactly one output is broken fail, and each of them mended passes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from equivariance.cli import main
from equivariance.measuring import report_page
from equivariance.measuring.watched import tensors
from tests.equivariance import zoo
from tests.equivariance.models import seeded

#: Model, the output that is spoiled, its axis of space, flags.
MODELS: dict[str, tuple[Any, str, int, list[str]]] = {
    "ConvNeXt": (zoo.ConvNeXtBlock, "", 2, ["--size", "8"]),
    "depth": (zoo.Depth, "", 1, ["--size", "8"]),
    "tokens": (zoo.VisionTransformer, "[tokens]", 1, ["--size", "32"]),
    "sequence": (zoo.SequenceFirst, "", 3, ["--size", "32"]),
    "bias": (zoo.PositionBias, "", 3, ["--size", "8"]),
    "scores": (zoo.Segmenter, "[1]", 2, ["--size", "8"]),
    "timestep": (zoo.Denoiser, "[sample]", 2, ["--size", "8", "--fixed", "timestep=10"]),
    "signal": (zoo.Waves, "", 1, ["--size", "32", "--channels", "0"]),
    "spectral": (zoo.Spectral, "", 2, ["--size", "32"]),
    "volume": (lambda: zoo.ring(1, 2, 3, 3), "", 4, ["--size", "6"]),
}


def spoiled(y: Tensor, how: str, axis: int) -> Tensor:
    """A border, a gain or a bias that depends on where one is; "… mended": the same everywhere."""
    place = torch.arange(y.shape[axis]).reshape(-1, *(1,) * (y.ndim - axis - 1))
    if how.endswith("mended"):
        place = torch.full_like(place, 3)
    if how.startswith("border"):
        return y * (place != y.shape[axis] - 1)
    if how.startswith("gain"):
        return y * (1 + 0.01 * (place % 5))
    return y + 0.01 * (place % 3)


class Spoiled(nn.Module):
    """A model of which one output is spoiled."""

    def __init__(self, model: nn.Module, key: str, axis: int, how: str) -> None:
        super().__init__()
        self.model, self.key, self.axis, self.how = model, key, axis, how

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        out = self.model(*args, **kwargs)
        if dataclasses.is_dataclass(out):
            out = {"sample": out.sample}
        parts = dict(tensors(out))
        parts[self.key] = spoiled(parts[self.key], self.how, self.axis)
        return {key.strip("[]") or "only": value for key, value in parts.items()}


MADE: dict[str, nn.Module] = {}


def made() -> nn.Module:
    """What the command measures."""
    return MADE["model"]


@pytest.mark.parametrize("how", ["border", "gain", "bias"])
@pytest.mark.parametrize("name", MODELS)
def test_one_broken_output_fails_and_mended_it_passes(
    name, how, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(report_page, "draw", lambda *args, **options: {})
    monkeypatch.setattr(report_page, "page", lambda *args, **options: b"")
    make, key, axis, flags = MODELS[name]
    words = ["measure", f"{__name__}:made", "--plain", "--limit", "1", "--translations", "9"]
    words += ["--tolerance", "1e-8", "--only-multiples", "--padding", "as is", *flags]
    codes = []
    for kind in (how, f"{how}, mended"):
        MADE["model"] = Spoiled(seeded(make).double(), key, axis, kind)
        codes.append(main([*words, "--overwrite", "--out", str(tmp_path / "out")]))
    assert codes == [1, 0]
    capsys.readouterr()
