"""Small stand-ins for the layouts of today's architectures, with circular paddings where these can be exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def ring(c_in: int, c_out: int, k: int = 3, d: int = 2, **options: Any) -> nn.Module:
    """A convolution around the period."""
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[d - 1]
    return kind(c_in, c_out, k, padding=k // 2, padding_mode="circular", **options)


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, then LayerNorm and Linear with channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise = ring(6, 6, 7, groups=6)
        self.norm, self.linear, self.last = nn.LayerNorm(6), nn.Linear(6, 6), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.last(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.linear(self.norm(y)).permute(0, 3, 1, 2)


class SwinBlock(nn.Module):
    """Attention within windows of 4 × 4 patches of 2 × 2 pixels, shifted by 2: commutes with multiples of 8."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix, self.whole = nn.Conv2d(3, 8, 2, 2), nn.Linear(8, 8), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.embed(x).permute(0, 2, 3, 1).roll((-2, -2), (1, 2))
        b, h, w, c = y.shape
        parts = y.reshape(b, h // 4, 4, w // 4, 4, c).transpose(2, 3).reshape(-1, 16, c)
        parts = self.mix(parts)
        parts = (parts @ parts.mT).softmax(-1) @ parts
        y = parts.reshape(b, h // 4, w // 4, 4, 4, c).transpose(2, 3).reshape(b, h, w, c)
        return self.whole(y.roll((2, 2), (1, 2))).permute(0, 3, 1, 2)


class VisionTransformer(nn.Module):
    """Patches of 4 × 4 behind class tokens, with learned positions or without: tokens and logits."""

    def __init__(self, tokens: int = 1, positions: bool = False) -> None:
        super().__init__()
        self.embed, self.head = nn.Conv2d(3, 16, 4, 4), nn.Linear(16, 10)
        self.tokens = nn.Parameter(torch.randn(1, tokens, 16))
        self.positions = nn.Parameter(0.1 * torch.randn(1, 64 + tokens, 16)) if positions else None
        self.block = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.embed(x).flatten(2).mT
        y = torch.cat([self.tokens.expand(len(x), -1, -1), y], 1)
        y = self.block(y if self.positions is None else y + self.positions)
        return {"tokens": y, "logits": self.head(y[:, 0])}


class SequenceFirst(nn.Module):
    """The axis of the batch second, as transformers have had it."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 4, 4)
        self.block = nn.TransformerEncoderLayer(16, 2, 32, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        y = self.embed(x)
        return self.block(y.flatten(2).permute(2, 0, 1)).permute(1, 2, 0).reshape(y.shape)


class PositionBias(nn.Module):
    """MaxViT-like: a table made anew from (1, 5), added to a map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.table = ring(3, 4), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.table(torch.ones(1, 5).to(x))[:, :, None, None]


class Waves(nn.Module):
    """wav2vec-like: (batch, T) → (batch, T/2, channels)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = ring(1, 8, 5, 1, stride=2), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.conv(x[:, None]).mT)


class Depth(nn.Module):
    """A map without channels, (batch, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = ring(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).squeeze(1)


class UNet(nn.Module):
    """Down by 2 and up again, with a skip; upsampling "nearest", "bilinear" (linear, trilinear) or "transposed"."""

    def __init__(self, up: str, d: int = 2) -> None:
        super().__init__()
        self.down, self.middle = ring(3, 4, 3, d, stride=2), ring(4, 4, 3, d)
        if up == "transposed":
            self.up: nn.Module = (nn.ConvTranspose2d, nn.ConvTranspose3d)[d - 2](4, 4, 2, 2)
        else:
            self.up = nn.Upsample(scale_factor=2, mode=up)
        self.last = ring(7, 2, 3, d)

    def forward(self, x: Tensor) -> Tensor:
        y = self.up(self.middle(torch.relu(self.down(x))))
        return self.last(torch.cat([x, y], 1))


class Pyramid(nn.Module):
    """FPN-like: a dict of maps at strides 2 and 4."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = ring(3, 4, stride=2), ring(4, 4, stride=2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        fine = torch.relu(self.one(x))
        coarse = self.two(fine)
        return {"fine": fine + functional.interpolate(coarse, scale_factor=2), "coarse": coarse}


@dataclass
class Denoised:
    """What a diffusion model returns."""

    sample: Tensor


class Denoiser(nn.Module):
    """A map and a timestep: a time embedding is added to the map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.time, self.last = ring(3, 4), nn.Linear(1, 4), ring(4, 3)

    def forward(self, x: Tensor, timestep: Tensor) -> Denoised:
        shift = self.time(timestep.to(x).reshape(-1, 1) / 1000)
        return Denoised(self.last(torch.relu(self.conv(x) + shift[:, :, None, None])))


class Flow(nn.Module):
    """Two images, one map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = ring(6, 2)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.conv(torch.cat([first, second], 1))


class Spectral(nn.Module):
    """FNO-like: a product in the frequency domain, complex in between."""

    def __init__(self, size: int = 32) -> None:
        super().__init__()
        self.spectrum = nn.Identity()
        self.weight = nn.Parameter(torch.randn(3, size, size // 2 + 1, 2))

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.view_as_complex(self.weight)
        weight = torch.complex(weight.real.contiguous(), weight.imag.contiguous())
        mixed = self.spectrum(torch.fft.rfft2(x)) * weight
        mixed = mixed * (torch.fft.rfftfreq(x.shape[-1]) < 0.5).to(x)  # without Nyquist's
        mixed = mixed * (torch.fft.fftfreq(x.shape[-2]).abs() < 0.5).to(x)[:, None]
        return torch.fft.irfft2(mixed, s=x.shape[-2:])


class Segmenter(nn.Module):
    """Labels, and complex scores."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = ring(3, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.conv(x)
        return y.argmax(1), torch.complex(y, y.square())


class Autoencoder(nn.Module):
    """A bottleneck without space: the output isn't moved by anything that moves the input."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(ring(3, 4, stride=2), nn.Flatten(), nn.Linear(1024, 20))
        self.decode = nn.Sequential(
            nn.Linear(20, 256), nn.Unflatten(1, (4, 8, 8)), nn.Upsample(scale_factor=4), ring(4, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))
