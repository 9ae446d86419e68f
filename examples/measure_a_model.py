# %% [markdown]
# # Where a residual network stops being translation equivariant
#
# **Question.** A network of ResNet-18's shape, written out below, sees 64 × 64 pixels. Which of its layers commute with
# which translations, and is it the strides or the borders that break it?
#
# **Prediction.** With circular padding, every map commutes exactly with multiples of its own stride (2, 4, 8, 16, 32
# pixels), and with nothing between: its samples alias. With the zero padding that it has, its borders add an error at
# the multiples too, from the first convolution on; away from the border there is none.

# %%
import time

import torch
from torch import Tensor, nn

from equivariance import assert_equivariant, measure
from equivariance.measuring.findings import findings, shares


class Block(nn.Module):
    """Two convolutions and a shortcut, which is a strided convolution where the shape changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride > 1 or before != after:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def resnet() -> ResNet18:
    """Random weights, the seed fixed. Also: equivariance measure examples/measure_a_model.py:resnet."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ResNet18()


# %% [markdown]
# **Run.** A random field with frequencies up to ¼ cycle per pixel, moved by 33 translations before it is sampled: whole
# and real ones.

# %%
if __name__ in ("__main__", "<run_path>"):
    began = time.perf_counter()
    data = measure(resnet(), size=(64, 64), limit=1)
    taken = time.perf_counter() - began
    shown = ("conv1", "maxpool", "layer1", "layer2", "layer3", "layer4", "output")
    found = {p: {f.layer: f for f in findings(data, p)} for p in ("as is", "circular")}
    print(f"{data.sizes['layer']} outputs, {data.sizes['translation']} translations, {taken:.1f} s")
    print(
        "              circular: multiples  between    as is: multiples  interior   equivariant under"
    )
    for name in shown:
        ring, own = found["circular"][name], found["as is"][name]
        print(
            f"{name:>8}, stride {ring.stride_text:>2}:  {ring.worst[0]:9.1e}  {ring.worst[1]:7.2f} "
            f"           {own.worst[0]:9.2f}  {own.interior:8.1e}   {ring.subgroup}"
        )
    border = {s.layer: s for s in shares(data)}["layer2"]
    print(
        f"layer2: border {border.border:.2f} at multiples, aliasing {border.aliasing:.2f} between"
    )

    # %% [markdown]
    # **Verdict.** The same as a test: what `assert_equivariant` says of the strided shortcut.

    # %%
    for name, layer in found["circular"].items():
        own = found["as is"][name]
        if layer.space == "periodic":
            assert layer.worst[0] == 0.0, f"{name} isn't exact at multiples of its stride"
            assert layer.verdict == "exact"
            assert layer.subgroup == " × ".join([f"{layer.stride_text}Z"] * 2)
            assert not max(layer.worst[1:]) <= 0.05, f"{name} doesn't alias"
            assert own.worst[0] > 0.05, f"{name} has no border"
            assert not own.interior > 0.0, f"{name} has an error away from the border"
    assert data.attrs["first_broken_multiples_circular"] == ""
    assert data.attrs["first_broken_multiples_as_is"] == "conv1"
    try:
        assert_equivariant(resnet().layer2[0].downsample, translations=[[1, 0]], size=(16, 16))
    except AssertionError as error:
        print(error)
    print("Strides break the whole pixels between their multiples; borders break the rest.")
