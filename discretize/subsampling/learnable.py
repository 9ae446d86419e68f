"""Learnable polyphase sampling (Rojas-Gomez, Lim, Schwing, Do & Yeh, NeurIPS 2022)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from discretize.boundary import extend
from discretize.samples import Samples
from discretize.subsampling.polyphase import PolyphaseSubsampling, best_phase, components, kept
from fields import arguments, checks
from fields.accuracy import MOST_CHANNELS
from fields.commuting import Commutes
from fields.dtypes import Weak


class LearnablePolyphase(Weak, PolyphaseSubsampling):
    """Keep the sublattice with the largest learnt score (LPS; Rojas-Gomez et al. 2022).

    The score of sublattice i is the mean over channels and space of conv₃(ReLU(conv₃(x_i))), the same weights for all.

    Parameters
    ----------
    s : int or sequence of int
        It must divide the shape of a periodic grid; elsewhere the last partial cell is kept, zeros completing it.
    channels : int
        Of the input.
    dim : int, optional
        d: the length of `s`, or 2, unless given.
    hidden : int
        Channels between the two convolutions, and after them.
    temperature : float
        Of the softmax in training.
    seed : int
        Of the initial weights and of the noise in training.
    dtype : torch.dtype, optional
        Of the weights; unless given, float64 that takes the dtype of the samples.

    Notes
    -----
    `with_probability` also gives the probability of the sublattice that was kept; on the way back,
    `layer.upsampling(g, f.grid, weight=probability)`, values are multiplied by it, as in the paper, so that gradients
    reach the scores in evaluation, too. A low-pass with gain s^d behind it is `Upsampling(s, "blur")`, or "fourier".

    Evaluation: the largest score; promise and ties as for AdaptivePolyphase, but bit for bit only as far as the scores
    don't tie to rounding. Training: a mixture of all sublattices with Gumbel-softmax weights, noise from a generator of
    its own, `generator`; gradients reach the weights through it, and it isn't equivariant. The grid then says where the
    sublattice of the largest weight lies. Every forward pass in training draws anew.

    Examples
    --------
    >>> import torch
    >>> from discretize import Grid, LearnablePolyphase, Samples
    >>> down = LearnablePolyphase(2, channels=3).eval()
    >>> down(Samples(torch.ones(1, 3, 8, 8).double(), Grid((8, 8), 1.0))).values.shape
    torch.Size([1, 3, 4, 4])
    """

    commutes_with = Commutes.WHOLE

    def __init__(
        self,
        s: Any,
        channels: int,
        dim: int | None = None,
        hidden: int = 64,
        temperature: float = 1.0,
        seed: int = 0,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(s)
        if dim is None:
            dim = len(self.s) if isinstance(self.s, tuple) else 2
        self.dim = checks.dimension(dim)
        checks.integers(self.s, self.dim, "stride")  # one per axis, where there are several
        (channels,) = checks.integers(channels, 1, "channels", most=MOST_CHANNELS)
        (hidden,) = checks.integers(hidden, 1, "hidden", most=MOST_CHANNELS)
        (self.temperature,) = checks.positive(temperature, 1, "temperature")
        arguments.affordable(
            hidden * max(channels, hidden) * 3**self.dim, "the weights of this network"
        )
        kind = torch.float64 if dtype is None else arguments.real_dtype(dtype)
        self.generator = arguments.generator(seed)
        sides = (3,) * self.dim
        self.first = nn.Parameter(self._draw((hidden, channels, *sides)).to(kind))
        self.bias = nn.Parameter(torch.zeros(hidden, dtype=kind))
        self.second = nn.Parameter(self._draw((hidden, hidden, *sides)).to(kind))
        if dtype is None:
            self._give_way("first", "bias", "second")

    def _draw(self, shape: tuple[int, ...]) -> Tensor:
        """Normal weights that keep the size of rectified features."""
        weights = torch.randn(shape, generator=self.generator, dtype=torch.float64)
        return weights * math.sqrt(2 / math.prod(shape[1:]))

    def extra_repr(self) -> str:
        """Stride and channels."""
        return f"{self.s}, channels={self.first.shape[1]}, hidden={self.first.shape[0]}"

    def scores(self, f: Samples) -> Tensor:
        """Scores (*batch, s1·…·sd) of the sublattices."""
        if f.dim != self.dim or f.channels != self.first.shape[1]:
            raise ValueError(
                f"this layer takes {self.first.shape[1]} channels in {self.dim} dimensions, "
                f"got {f.channels} in {f.dim}"
            )
        dtype = self._meeting(f.dtype, "first")
        parts = components(f.values.to(dtype), self._strides(f)).movedim(-f.dim - 1, -f.dim - 2)
        lead, boundary = parts.shape[: -f.dim - 1], f.grid.boundary
        x = parts.reshape(-1, *parts.shape[-f.dim - 1 :])
        first, bias, second = (p.to(dtype) for p in (self.first, self.bias, self.second))
        x = torch.relu(self._convolved(x, first, bias, boundary))
        x = self._convolved(x, second, None, boundary)
        return x.flatten(1).mean(1).reshape(lead)

    def _convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None, boundary: str) -> Tensor:
        conv = (nn.functional.conv1d, nn.functional.conv2d, nn.functional.conv3d)[self.dim - 1]
        around = extend(
            x,
            [-1] * self.dim,
            list(x.shape[-self.dim :]),
            "zero" if boundary == "none" else boundary,
        )
        return conv(around, weight, bias)

    def phase(self, f: Samples) -> Tensor:
        """The phase with the largest score."""
        strides = checks.integers(self.s, f.dim, "stride")
        return best_phase(self.scores(f).detach(), f, strides)

    def with_probability(self, f: Samples) -> tuple[Samples, Tensor]:
        """The subsampled map, and how probable the sublattice was at which it lies, shape (*batch,).

        The softmax of scores/temperature in evaluation, of (scores + Gumbel noise)/temperature in training.
        """
        strides = self._strides(f)
        scores = self.scores(f)
        if self.training:
            weights = self._drawn(scores)
            return self._mixture(f, strides, weights), weights.amax(-1)
        phase = best_phase(scores.detach(), f, strides)
        index = torch.zeros_like(phase[..., 0])
        for axis, s in enumerate(strides):
            index = index * s + phase[..., axis]
        probability = torch.softmax(scores / self.temperature, dim=-1)
        return kept(f, strides, phase), probability.gather(-1, index[..., None])[..., 0]

    def _subsampled(self, f: Samples) -> Samples:
        return self.with_probability(f)[0] if self.training else super()._subsampled(f)

    def _drawn(self, scores: Tensor) -> Tensor:
        """The softmax of (scores + Gumbel noise)/temperature."""
        uniform = torch.rand(scores.shape, generator=self.generator, dtype=torch.float64)
        noise = -torch.log(-torch.log(uniform.clamp(min=1e-300)))
        return torch.softmax((scores + noise.to(scores)) / self.temperature, dim=-1)

    def _mixture(self, f: Samples, strides: tuple[int, ...], weights: Tensor) -> Samples:
        """Σ_i w_i x_i, where the sublattice of the largest weight lies."""
        if any(n % s for n, s in zip(f.grid.shape, strides, strict=True)):
            raise ValueError(
                f"in training a stride of {strides} must divide the shape, got {f.grid.shape}: sublattices of "
                "different sizes don't mix"
            )
        parts = components(f.values, strides)
        shape = (*weights.shape[:-1], 1, weights.shape[-1], *(1,) * f.dim)
        values = (parts * weights.reshape(shape)).sum(-f.dim - 1)
        phase = torch.stack(torch.unravel_index(weights.detach().argmax(-1), strides), dim=-1)
        return f._with(values, f.grid.stride(strides, phase))
