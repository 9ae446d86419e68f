"""Models of different make for the tests of `measure`."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def seeded(make):
    """What `make` makes with torch's seed 0, in float64; the global generator is put back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().double()


def plain() -> nn.Module:
    """A plain Sequential with an in-place ReLU, stride 4, and a classifier."""
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


class Residual(nn.Module):
    """Functional calls, one ReLU called twice, a strided shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, stride=2, bias=False)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.short = nn.Conv2d(2, 4, 1, stride=2)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.first(functional.pad(x, (1, 1, 1, 1))))
        y = self.relu(self.second(y) + self.short(x))
        return self.head(functional.avg_pool2d(y, 2).mean((2, 3)))


class SmallTransformer(nn.Module):
    """Patches of 4 × 4, a class token, learned positions, two blocks of attention."""

    def __init__(self, side: int = 16, width: int = 8, positions: bool = True) -> None:
        super().__init__()
        self.embed = nn.Conv2d(2, width, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        count = (side // 4) ** 2 + 1
        self.positions = nn.Parameter(torch.randn(1, count, width) * positions)
        layer = nn.TransformerEncoderLayer(width, 2, 16, 0.1, "gelu", batch_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).mT
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.head(self.blocks(x)[:, 0])


MODELS = {"plain": plain, "residual": Residual, "transformer": SmallTransformer}
