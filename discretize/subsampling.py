"""Subsampling: which samples are kept, and where they lie.

Every subsampling is a module from Samples to Samples; its output's grid says where the kept points are, one origin per
batch element where they depend on the input. A Field isn't sampled, so a stride leaves it as it is.

    Stride(s)                   every s-th sample from the first one: commutes with translations by multiples of s·h
    BlurPool(s)                 Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019
    EquivariantSubsampling(s)   Xu, Kim, Rainforth & Teh, "Group Equivariant Subsampling", NeurIPS 2021
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from discretize.grid import divides
from discretize.samples import Samples
from fields import checks
from fields.feature_map import FeatureMap
from fields.field import Field
from fields.interpolated import gather
from fields.window import Mask

Map = TypeVar("Map", bound=FeatureMap)


class _Subsampling(nn.Module):
    """Checks its stride; leaves a Field alone."""

    def __init__(self, s: Any) -> None:
        super().__init__()
        self.s = s
        checks.integers(s, len(tuple(s)) if isinstance(s, Iterable) else 1, "stride")

    def extra_repr(self) -> str:
        """The stride."""
        return str(self.s)

    def forward(self, f: Map) -> Map:
        """Subsample Samples."""
        if isinstance(f, Field):
            return self._filtered(f)  # type: ignore[return-value]
        if not isinstance(f, Samples):
            raise TypeError(f"expected a Field or Samples, got {type(f).__name__}")
        return self._subsampled(f)  # type: ignore[return-value]

    def _filtered(self, f: Field) -> Field:
        checks.integers(self.s, f.dim, "stride")
        return f

    def _subsampled(self, f: Samples) -> Samples:
        raise NotImplementedError


class Stride(_Subsampling):
    """Keep every s-th sample per axis, from the first one.

    Parameters
    ----------
    s : int or sequence of int
        It must divide the shape of a periodic grid.

    Notes
    -----
    Commutes with translations by multiples of s spacings, and with no others.
    """

    def _subsampled(self, f: Samples) -> Samples:
        return f.stride(self.s)


class BlurPool(_Subsampling):
    """Binomial low-pass filter, then every s-th sample (Zhang 2019).

    Parameters
    ----------
    s : int or sequence of int
    taps : int
        Length of the filter per axis: row taps − 1 of Pascal's triangle, scaled to sum 1. An even number moves the
        output by half a spacing, which its grid says.
    spacing : float or sequence of float, optional
        Where it is given, a Field is filtered too, with taps that far apart; otherwise a Field is left as it is.

    Notes
    -----
    Commutes with translations by multiples of s spacings; between them it only aliases less.
    """

    def __init__(self, s: Any, taps: int = 4, spacing: checks.VectorLike | None = None) -> None:
        super().__init__(s)
        (self.taps,) = checks.integers(taps, 1, "taps")
        self.spacing = spacing

    def extra_repr(self) -> str:
        """Stride and taps."""
        return f"{self.s}, taps={self.taps}"

    def _window(self, dim: int, spacing: checks.VectorLike) -> Mask:
        row = torch.tensor([math.comb(self.taps - 1, k) for k in range(self.taps)]).double()
        weights = row
        for _ in range(dim - 1):
            weights = weights[..., None] * row
        return Mask(weights, spacing)

    def _filtered(self, f: Field) -> Field:
        checks.integers(self.s, f.dim, "stride")
        return f if self.spacing is None else f.pool(self._window(f.dim, self.spacing))

    def _subsampled(self, f: Samples) -> Samples:
        return f.pool(self._window(f.dim, f.grid.spacing)).stride(self.s)


class EquivariantSubsampling(_Subsampling):
    """Keep the samples at p + s·k, with p predicted from the input so that it moves along (Xu et al. 2021).

    Φ(f) = argmax_x ‖f(x)‖₁ over the grid, p = Φ(f) mod s, f_b[k] = f[p + s·k]. Since Φ(t▷f) = Φ(f) + t for integer
    t, S(t▷f) is S(f) with its grid moved by t: f_b rolled by (t + p − p_t)/s, the index p_t = (p + t) mod s.

    Parameters
    ----------
    s : int or sequence of int
        It must divide the shape of a periodic grid.

    Notes
    -----
    The pair (f_b, p) of the paper is (values, origin of the grid) here. Exact for all translations by integer
    multiples of the spacing on a periodic grid, wherever the maximum is unique; among equal maxima the first in
    row-major order is taken, and where the input's own symmetry makes them equal no choice can be equivariant. The
    index is piecewise constant: gradients flow through the values only.
    """

    def _subsampled(self, f: Samples) -> Samples:
        strides = checks.integers(self.s, f.dim, "stride")
        divides(strides, f.grid.shape, f.grid.boundary)
        phase = largest(f) % torch.tensor(strides, device=f.device)
        grid = f.grid.stride(strides, phase)
        flat = torch.zeros((), dtype=torch.long, device=f.device)
        for axis, (n, s, kept) in enumerate(zip(f.grid.shape, strides, grid.shape, strict=True)):
            index = phase[..., axis, None] + s * torch.arange(kept, device=f.device)
            lead = (*index.shape[:-1], *(1,) * axis, kept, *(1,) * (f.dim - 1 - axis))
            flat = flat * n + index.reshape(lead)
        return f._with(gather(f.values, flat, f.dim), grid)


def largest(f: Samples) -> Tensor:
    """Index (*batch, d) of the sample with the largest ‖f(x)‖₁; the first in row-major order of equals."""
    norm = f.values.detach().abs().sum(-f.dim - 1).flatten(-f.dim)
    return torch.stack(torch.unravel_index(norm.argmax(-1), f.grid.shape), dim=-1)
