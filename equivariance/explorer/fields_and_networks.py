"""The fields and the networks of the explorer.

Fields are periodic over the window of N × N pixels, of mean near 0 and size near 1. Uploaded images are bounded in
size, of three formats only, and decoded by `fields.image` without touching a disk. Networks have random weights, fixed
by the seed, one channel in, one channel out.
"""

from __future__ import annotations

import functools
import io
import math
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from skimage import data
from torch import Tensor, nn

from discretize import AliasFreeActivation, Grid, Samples, sample
from equivariance.bad_input import BadInput
from equivariance.explorer.state import METHODS, PICTURE, State
from fields import (
    FeatureMap,
    Field,
    Gaussians,
    Interpolated,
    Mask,
    PlaneWaves,
    Sprites,
    random_bandlimited,
)
from fields.reading import images
from layers import BiasField, Conv, MaxPool, Pointwise

#: Highest frequency of the noise, in cycles per pixel: above Nyquist behind a stride of 2, below it before.
BAND = 0.35
#: How soft the rims of sprites are, in pixels, and samples per pixel that hold them: their spectrum, a factor
#: exp(−2π²·RIM²·f²), is 2e-17 at 2 cycles per pixel.
RIM = 0.7
HELD = 4
PHOTOGRAPHS: dict[str, Callable[[], Any]] = {
    "camera": data.camera,
    "cat": data.chelsea,
    "coins": data.coins,
}
SPRITES = ("square", "ellipse", "heart")
#: Bytes of a file.
FILE_BOUND = 8 * 2**20
#: Bytes that the decoded image may take: about 13 million pixels in colour.
DECODED_BOUND = 320 * 2**20
#: How files of the formats begin.
SIGNATURES = {"PNG": b"\x89PNG\r\n\x1a\n", "JPEG": b"\xff\xd8\xff", "WebP": b"RIFF"}


def field(state: State) -> Field:
    """The field of a state, before it is translated."""
    return _field(state.field, state.size, state.seed, state.picture)


@functools.lru_cache(16)
def _field(kind: str, size: int, seed: int, picture: bytes) -> Field:
    with torch.inference_mode(False):  # it is kept, and serves outside of it as well
        if kind == "noise":
            band = max(1, math.floor(BAND * size)) / size
            noise = random_bandlimited(2, 1, band, float(size), seed)
            return sample(noise, Grid((size, size), 1.0)).interpolate()
        if kind == "gaussians":
            return _gaussians(size, seed)
        if kind == "sprites":
            return _sprites(size, seed)
        grey = np.frombuffer(picture, np.uint8).reshape(PICTURE, PICTURE) if picture else None
        return _pictured(photograph(kind) if grey is None else grey, size)


def _gaussians(size: int, seed: int) -> Field:
    generator = torch.Generator().manual_seed(seed)
    count = 12
    centers = torch.rand(count, 2, generator=generator, dtype=torch.float64) * size
    widths = 1.0 + 3.0 * torch.rand(count, generator=generator, dtype=torch.float64)
    signs = 1 - 2.0 * (torch.arange(count) % 2)
    return Gaussians(centers, 2.5 * signs.double()[:, None], widths).periodize(float(size))


def _sprites(size: int, seed: int) -> Field:
    generator = torch.Generator().manual_seed(seed)
    shapes: list[Field] = []
    for i, shape in enumerate(SPRITES):
        center = torch.tensor([[0.28 + 0.24 * i, (0.3, 0.7, 0.35)[i]]], dtype=torch.float64) * size
        nudge = torch.rand(1, 2, generator=generator, dtype=torch.float64) * 0.1 * size
        angle = torch.rand(1, generator=generator, dtype=torch.float64) * 2 * math.pi
        scale = torch.tensor([0.26 * size], dtype=torch.float64)
        height = torch.tensor([[(2.0, -2.0, 1.5)[i]]], dtype=torch.float64)
        shapes.append(Sprites(shape, center + nudge, height, scale, angle, width=RIM))
    total: Field = shapes[0] + shapes[1] + shapes[2]
    total = total.periodize(float(size))
    return sample(total, Grid((size, size), 1.0).refine(HELD), prefilter="none").interpolate()


@functools.lru_cache(8)
def photograph(name: str) -> np.ndarray:
    """A photograph of scikit-image's, its middle square, averaged to 128 × 128 grey bytes."""
    return squared(np.asarray(PHOTOGRAPHS[name]()))


def squared(pixels: np.ndarray) -> np.ndarray:
    """The middle square of an image (rows, columns[, 1 or 3]) in [0, 255], area-averaged to 128 × 128 grey bytes."""
    values = torch.from_numpy(np.array(pixels, np.float64))
    if values.ndim == 3:
        grey = [0.2126, 0.7152, 0.0722] if values.shape[-1] == 3 else [1.0]
        values = values @ values.new_tensor(grey)
    side = min(values.shape)
    top, left = ((n - side) // 2 for n in values.shape)
    square = values[top : top + side, left : left + side]
    small = torch.nn.functional.interpolate(
        square[None, None], (PICTURE, PICTURE), mode="bilinear", antialias=True
    )
    return small[0, 0].round().clamp(0, 255).numpy().astype(np.uint8)


def _pictured(grey: np.ndarray, size: int) -> Field:
    """A picture as a field with all its waves strictly below the Nyquist frequency of `size` pixels.

    An odd number of samples has no wave at Nyquist, of which no array of `size` samples holds all translates.
    """
    values: Tensor = torch.from_numpy(np.array(grey, np.float64))
    values = values - values.mean()
    values = values / max(float(values.std()), 1e-12)
    fine = Interpolated(values[None], size / PICTURE)
    count = size - 1
    return sample(fine, Grid((count, count), size / count), prefilter="ideal").interpolate()


def decoded(data: bytes) -> bytes:
    """An image file as 128 × 128 grey bytes: its middle square, area-averaged.

    Raises
    ------
    BadInput
        Where the file is too long, of another format, broken, animated, or would be too large when decoded.
    """
    if not data:
        raise BadInput("the file is empty: choose an image (PNG, JPEG or WebP)")
    if len(data) > FILE_BOUND:
        raise BadInput(f"the file has more than {FILE_BOUND // 2**20} MiB: choose a smaller one")
    if not _known(data):
        raise BadInput(f"the file is no {', '.join(SIGNATURES)} image: other formats aren't taken")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that palettes and alpha are converted is meant
        try:
            values = images.read(io.BytesIO(data), DECODED_BOUND)
        except ValueError as error:
            raise BadInput(str(error)) from error
    if min(values.shape[1:]) < 2:
        raise BadInput(f"the image has {values.shape[1]} × {values.shape[2]} pixels: too few")
    grey = squared(255 * values.movedim(0, -1).numpy())
    assert grey.shape == (PICTURE, PICTURE)
    return grey.tobytes()


def _known(data: bytes) -> bool:
    if data.startswith(SIGNATURES["WebP"]):
        return data[8:12] == b"WEBP"
    return any(data.startswith(s) for s in SIGNATURES.values())


Map = TypeVar("Map", bound=FeatureMap)

HIDDEN = 4
FUNCTIONS = {"relu": torch.relu, "gelu": nn.functional.gelu, "tanh": torch.tanh}


class Chain(nn.Module):
    """A network with a subsampling behind it or in front of it; on a Field the network alone."""

    def __init__(self, network: nn.Module, subsampling: nn.Module, in_front: bool) -> None:
        super().__init__()
        self.network, self.subsampling, self.in_front = network, subsampling, in_front

    def forward(self, f: Map) -> Map:
        """Apply both, in their order."""
        if self.in_front:
            return self.network(self.subsampling(f))  # type: ignore[no-any-return]
        return self.subsampling(self.network(f))  # type: ignore[no-any-return]


class Residual(nn.Module):
    """f ↦ f + layer(f)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, f: Map) -> Map:
        """Add what the layer makes of the input to it."""
        return f + self.layer(f)  # type: ignore[no-any-return]


def chain(state: State) -> Chain:
    """The network and the subsampling of a state.

    In front of the network, the subsampling leaves a grid of spacing s: the kernels' taps then lie s apart.
    """
    s, in_front = state.stride, state.place == "front"
    network = _network(
        state.network,
        state.nonlinearity,
        state.kernel,
        state.depth,
        state.seed,
        float(s if in_front else 1),
        float(state.size),
    )
    return Chain(network, METHODS[state.method].make(s), in_front)


@functools.lru_cache(32)
def _network(
    kind: str,
    nonlinearity: str,
    kernel: int,
    depth: int,
    seed: int,
    spacing: float,
    period: float,
) -> nn.Module:
    with torch.inference_mode(False):  # it is kept, and serves outside of it as well
        generator = torch.Generator().manual_seed(seed)
        if kind == "identity":
            return nn.Identity()
        layers: list[nn.Module] = []
        channels = 1
        for _ in range(depth):
            layers += _block(kind, channels, nonlinearity, kernel, generator, spacing)
            channels = HIDDEN
        if kind == "unshared":
            layers.append(BiasField(_varying(period)))
        layers.append(_convolution(1, channels, 1, generator, spacing))
        network = nn.Sequential(*layers)
        return _calibrated(network, layers[-1], spacing, period)


def _block(
    kind: str, channels: int, nonlinearity: str, kernel: int, generator: Any, spacing: float
) -> list[nn.Module]:
    bias = kind != "convolution"
    first = _convolution(HIDDEN, channels, kernel, generator, spacing, bias)
    if kind == "convolution":
        return [first]
    if kind == "residual":
        widen = _convolution(HIDDEN, channels, 1, generator, spacing)
        inner = _convolution(HIDDEN, HIDDEN, kernel, generator, spacing, bias)
        return [widen, Residual(nn.Sequential(inner, _activation(nonlinearity)))]
    if kind == "maxpool":
        window = Mask(torch.ones(3, 3), spacing)
        return [first, MaxPool(window)]
    return [first, _activation(nonlinearity)]


def _activation(name: str) -> nn.Module:
    return AliasFreeActivation() if name == "polynomial" else Pointwise(FUNCTIONS[name])


def _convolution(
    out: int, channels: int, kernel: int, generator: Any, spacing: float, bias: bool = False
) -> Conv:
    scale = (2 / (channels * kernel**2)) ** 0.5
    shape = (kernel, kernel, out, channels)
    taps = scale * torch.randn(shape, generator=generator, dtype=torch.float64)
    shift = 0.3 * torch.randn(out, generator=generator, dtype=torch.float64) if bias else None
    return Conv.from_array(taps, spacing, bias=shift)


def _varying(period: float) -> Field:
    """One wave across the window in every channel: a bias that isn't shared."""
    frequencies = torch.tensor([[1 / period, 1 / period]], dtype=torch.float64)
    return PlaneWaves(frequencies, torch.full((1, HIDDEN), 0.5 + 0.5j, dtype=torch.complex128))


def _calibrated(network: nn.Module, last: nn.Module, spacing: float, period: float) -> nn.Module:
    """The network with its last weights scaled, so that noise of size 1 gives an output of size 1."""
    count = round(period / spacing)
    noise = random_bandlimited(2, 1, 4 / period, period, seed=0)
    with torch.no_grad():
        out = network(sample(noise, Grid((count, count), spacing)))
        assert isinstance(out, Samples)
        assert isinstance(last, Conv)
        weights: Tensor = last.weights  # type: ignore[assignment]
        weights.div_(out.values.square().mean().sqrt())
    return network.requires_grad_(False)
