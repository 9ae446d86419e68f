"""Subsampling that chooses one of the s^d sublattices from the input: polyphase components.

Chaman & Dokmanić, "Truly Shift-Invariant Convolutional Neural Networks", CVPR 2021
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from discretize.accuracy import ENERGY_TIE
from discretize.grid import divides
from discretize.neighbours import every
from discretize.samples import Samples
from discretize.subsampling.subsampling import Subsampling, is_field
from discretize.subsampling.upsampling import binomial
from discretize.ties import highest, pointwise_norm
from fields import FeatureMap, checks
from fields.accuracy import MOST_FILTER
from fields.arrays import broadcast
from fields.commuting import Commutes
from fields.interpolation.lookup import flat_index, gather
from fields.lattice import take
from fields.magnitude import rescaled

Map = TypeVar("Map", bound=FeatureMap)


class PolyphaseSubsampling(Subsampling):
    """Keep the samples at p + s·k, p chosen from the input.

    A new kind implements `phase`.
    """

    def forward(self, f: Map, anchor: Tensor | None = None) -> Map:
        """Subsample Samples.

        Parameters
        ----------
        f : Samples or Field
        anchor : Tensor, shape (*batch, d), optional
            A position in space: keep the sublattice through it instead of choosing one. The origin of another map's
            grid gives its sublattice (that of a residual branch, say); positions between samples count for the one
            before them.
        """
        if is_field(f):
            return super().forward(f)
        assert isinstance(f, Samples)
        out = self._subsampled(f) if anchor is None else self._through(f, anchor)
        return out  # type: ignore[return-value]

    @abstractmethod
    def phase(self, f: Samples) -> Tensor:
        """The chosen p (*batch, d), integers with 0 ≤ p < s."""

    def _prepared(self, f: Samples) -> Samples:
        """What is subsampled."""
        return f

    def _subsampled(self, f: Samples) -> Samples:
        strides = self._strides(f)
        f = self._prepared(f)
        return kept(f, strides, self.phase(f))

    def _strides(self, f: Samples) -> tuple[int, ...]:
        strides = checks.integers(self.s, f.dim, "stride")
        divides(strides, f.grid.shape, f.grid.boundary)
        return strides

    def _through(self, f: Samples, anchor: Tensor) -> Samples:
        strides = self._strides(f)
        f = self._prepared(f)
        anchor = checks.translation(anchor, f.dim).detach().to(f.grid.origin.device)
        steps = (anchor - f.grid.origin) / f.grid.origin.new_tensor(f.grid.spacing)
        index = (steps + 0.25).floor().long()  # a rounding error below a whole number is none
        return kept(f, strides, index % torch.tensor(strides, device=index.device))


def kept(f: Samples, strides: Sequence[int], phase: Tensor) -> Samples:
    """The samples at p + s·k, p of shape (*batch, d), bit for bit."""
    grid = f.grid.stride(strides, phase)
    lead = f.values.shape[: -f.dim - 1]
    if checks.tracing():
        indices = every(phase.to(f.device), strides, grid.shape)
        return f._with(gather(f.values, flat_index(indices, f.grid.shape), f.dim), grid)
    batch = broadcast(lead, phase.shape[:-1])
    element = f.values.shape[-f.dim - 1 :]
    values = f.values.expand(*batch, *element).reshape(-1, *element)
    phases = phase.expand(*batch, f.dim).reshape(-1, f.dim).tolist()
    parts = []
    for one, first in zip(values.unbind(0), phases, strict=True):
        cuts = zip(first, strides, grid.shape, strict=True)
        parts.append(take(one, (slice(p, p + s * (n - 1) + 1, s) for p, s, n in cuts)))
    return f._with(torch.stack(parts).reshape(*batch, element[0], *grid.shape), grid)


def components(values: Tensor, strides: Sequence[int], fill: float = 0.0) -> Tensor:
    """All sublattices: (*lead, X1, …, Xd) as (*lead, s1·…·sd, Y1, …, Yd), filled up where s doesn't divide X."""
    dim = len(strides)
    sizes = values.shape[-dim:]
    pads = [
        p
        for n, s in zip(reversed(sizes), reversed(tuple(strides)), strict=True)
        for p in (0, -n % s)
    ]
    if any(pads):
        values = torch.nn.functional.pad(values, pads, value=fill)
    for axis, s in enumerate(strides):
        values = values.unflatten(axis - dim, (-1, s)).movedim(axis - dim, -dim - 1)
        if axis:
            values = values.flatten(-dim - 2, -dim - 1)
    return values


def best_phase(scores: Tensor, f: Samples, strides: Sequence[int]) -> Tensor:
    """The phase (*batch, d) with the largest score (*batch, s1·…·sd).

    Scores that are equal up to rounding are decided by the largest ‖f(x)‖₁ on their sublattices, and where these tie by
    what lies around, so that the choice moves along (`discretize.ties`).
    """
    size = scores.abs().amax(-1, keepdim=True)
    tied = ~(
        scores < scores.amax(-1, keepdim=True) - ENERGY_TIE * torch.finfo(scores.dtype).eps * size
    )
    if not checks.tracing() and bool((tied.count_nonzero(-1) == 1).all()):
        return torch.stack(torch.unravel_index(scores.argmax(-1), tuple(strides)), dim=-1)
    norm = pointwise_norm(f)
    among = torch.where(tied[..., _phases(f.grid.shape, strides).to(tied.device)], norm, -math.inf)
    index = highest(f, among, norm.flatten(-f.dim).amax(-1))
    return index % torch.tensor(strides, device=index.device)


def _phases(shape: Sequence[int], strides: Sequence[int]) -> Tensor:
    """Which of the s1·…·sd sublattices every sample lies on."""
    flat = torch.zeros((), dtype=torch.long)
    for n, s in zip(shape, strides, strict=True):
        flat = flat[..., None] * s + torch.arange(n) % s
    return flat


class AdaptivePolyphase(PolyphaseSubsampling):
    """Keep the sublattice with the largest norm (APS; Chaman & Dokmanić 2021).

    Parameters
    ----------
    s : int or sequence of int
        It must divide the shape of a periodic grid; elsewhere the last partial cell is kept, zeros completing it.
    norm : float
        p of the ℓp norm over channels and space, 1 ≤ p ≤ inf.
    taps : int
        A binomial filter of that length comes first; 1 is none.

    Notes
    -----
    Promise: commutes with all whole translations on a periodic grid, its grid's origin included, wherever the choice is
    unique: bit for bit, or to rounding error behind a filter. For maps below the coarse Nyquist frequency all ℓ2 norms
    are equal (Parseval): norms equal to 1024 eps are decided by the largest ‖f(x)‖₁ instead, as in
    EquivariantSubsampling. No real translations.

    Examples
    --------
    >>> from discretize import AdaptivePolyphase, Grid, Samples
    >>> f = AdaptivePolyphase(2)(Samples([[0.0, 3.0, 1.0, 2.0]], Grid(4, 1.0)))
    >>> f.values.tolist(), f.grid.origin.tolist()
    ([[3.0, 2.0]], [1.0])
    """

    commutes_with = Commutes.WHOLE

    def __init__(self, s: Any, norm: float = 2.0, taps: int = 1) -> None:
        super().__init__(s)
        if isinstance(norm, bool) or not isinstance(norm, int | float) or not norm >= 1:
            raise ValueError(f"norm must be a number p ≥ 1, inf included, got {checks.said(norm)}")
        (self.taps,) = checks.integers(taps, 1, "taps", most=MOST_FILTER)
        self.norm = float(norm)

    def extra_repr(self) -> str:
        """Stride, norm and taps."""
        return f"{self.s}, norm={self.norm:g}, taps={self.taps}"

    def _prepared(self, f: Samples) -> Samples:
        return f if self.taps == 1 else f.pool(binomial(self.taps, f.dim, f.grid.spacing))

    def phase(self, f: Samples) -> Tensor:
        """The phase whose component has the largest norm."""
        strides = checks.integers(self.s, f.dim, "stride")
        parts = components(f.values.detach(), strides)  # (*batch, c, S, Y…)
        space = tuple(range(-f.dim, 0))
        axes = (-f.dim - 2, *space)
        power = self.norm if self.norm < math.inf else 1.0
        scores = rescaled(
            lambda p: torch.linalg.vector_norm(p, self.norm, axes),
            parts,
            (axes[0], *range(-f.dim - 1, 0)),
            lambda norms: norms**power,
        )
        return best_phase(scores, f, strides)
