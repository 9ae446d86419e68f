"""Pictures whose highest samples tie, or nearly: what a choice by the order of the array gets wrong."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

#: Of the pictures with d axes; strides 2, 3 and 6 divide them.
SHAPES = {1: (48,), 2: (24, 18), 3: (12, 6, 12)}


class Brush:
    """Random numbers for one picture."""

    def __init__(self, dim: int, seed: int, dtype: torch.dtype) -> None:
        self.shape, self.dtype = SHAPES[dim], dtype
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, channels: int = 1) -> Tensor:
        shape = (channels, *self.shape)
        return torch.rand(shape, generator=self.generator, dtype=torch.float64)

    def places(self, count: int) -> list[int]:
        """Different samples, as flat indices."""
        return torch.randperm(math.prod(self.shape), generator=self.generator)[:count].tolist()

    def constant(self, value: float = 0.7) -> Tensor:
        return torch.full((1, *self.shape), value, dtype=self.dtype)


def eight_bits(b: Brush) -> Tensor:
    return (255 * b.uniform(3)).round() / 255


def binary(b: Brush) -> Tensor:
    return (b.uniform() > 0.5).double()


def clipped(b: Brush) -> Tensor:
    return (3 * b.uniform(2) - 1).clamp(0, 1)


def defect_of_an_ulp(b: Brush) -> Tensor:
    x = b.constant()
    x.view(-1)[b.places(1)] = torch.nextafter(x.flatten()[0], x.new_tensor(2.0))
    return x


def noise_of_ulps(b: Brush) -> Tensor:
    """Many values about as far below the largest as what counts as equal."""
    return b.constant() * (1 + (200 * b.uniform()).round() * torch.finfo(b.dtype).eps)


def hole(b: Brush) -> Tensor:
    x = b.constant()
    x.view(-1)[b.places(1)] = 0.3
    return x


def tiled(b: Brush, side: int = 2) -> Tensor:
    """Of period `side` along every axis."""
    cut = (slice(None), *(slice(side) for _ in b.shape))
    return b.uniform(2)[cut].repeat(1, *(n // side for n in b.shape))


def tiled_with_defect(b: Brush) -> Tensor:
    x = tiled(b)
    x.view(-1)[b.places(1)] += 1 / 255
    return x


def bumps(b: Brush) -> Tensor:
    """Three alike."""
    x = b.constant(0.0)
    x.view(-1)[b.places(3)] = 1.0
    return x + x.roll(1, -1) / 2


def channels_exchanged(b: Brush) -> Tensor:
    """Of the same norm at two places, whose channels differ."""
    x = b.uniform(2)
    i, j = b.places(2)
    x.flatten(1)[:, i], x.flatten(1)[:, j] = torch.tensor([[9.0, -1.0], [-1.0, 9.0]]).double()
    return x


#: Without a translational symmetry of their own.
PICTURES: dict[str, Callable[[Brush], Tensor]] = {
    "noise": lambda b: b.uniform(3) - 0.5,
    "8 bits": eight_bits,
    "2 bits": lambda b: (3 * b.uniform()).round() / 3,
    "binary": binary,
    "sparse": lambda b: (b.uniform() > 0.9).double(),
    "clipped": clipped,
    "defect of an ulp": defect_of_an_ulp,
    "noise of ulps": noise_of_ulps,
    "hole": hole,
    "tiled, with a defect": tiled_with_defect,
    "bumps": bumps,
    "channels exchanged": channels_exchanged,
}

#: With some.
SYMMETRIC: dict[str, Callable[[Brush], Tensor]] = {
    "zero": lambda b: b.constant(0.0),
    "constant": lambda b: b.constant(),
    "stripes": lambda b: (torch.arange(b.shape[-1]) % 2).double().expand(1, *b.shape),
    "tiles of 2": tiled,
    "tiles of 3": lambda b: tiled(b, 3),
}


def picture(paint: Callable[[Brush], Tensor], dim: int, seed: int, dtype: torch.dtype) -> Tensor:
    """Values (c, X1, …, Xd)."""
    return paint(Brush(dim, seed, dtype)).to(dtype)
