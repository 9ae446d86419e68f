"""Subsampling: which samples are kept, and where they lie.

Every subsampling is a module from Samples to Samples; its output's grid says where the kept points are, one origin per
batch element where they depend on the input. Its `upsampling` puts values back there. A Field isn't sampled, so a
stride leaves it as it is; filters apply to it where they are given a spacing.

    Stride, AveragePooling, MaxPooling   every s-th sample from the first one
    BlurPool                 blur.py          Zhang, ICML 2019
    IdealLowpass             lowpass.py       no aliasing at all
    AdaptivePolyphase        polyphase.py     Chaman & Dokmanić, CVPR 2021
    LearnablePolyphase       learnable.py     Rojas-Gomez et al., NeurIPS 2022
    EquivariantSubsampling   xu.py            Xu, Kim, Rainforth & Teh, NeurIPS 2021
    ComovingSubsampling      comoving.py      all real translations
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, TypeVar

import torch
from torch import nn

from discretize.boundary import extend
from discretize.samples import Samples
from discretize.subsampling.upsampling import Upsampling
from fields import FeatureMap, Field, checks
from fields.accuracy import MOST_FILTER
from fields.commuting import Commutes
from fields.kept import Kept
from fields.kernels.window import Mask

Map = TypeVar("Map", bound=FeatureMap)


class Subsampling(nn.Module, ABC):
    """A map from Samples to Samples on a coarser grid.

    A new kind implements `_subsampled`, and `_filtered` where it also means something to a Field.

    Attributes
    ----------
    s : int or sequence of int
        Stride, one for all axes or one per axis.
    spacing : float or sequence of float, optional
        That of the grid, which a Field doesn't have: for kinds that filter one.
    commutes_with : Commutes or None
        The translations that it promises to commute with; None where it promises nothing.
    """

    commutes_with: Commutes | None = None
    spacing: checks.VectorLike | None = None

    def __init__(self, s: Any) -> None:
        super().__init__()
        self.s = checks.counts(s, "stride")

    def extra_repr(self) -> str:
        """The stride."""
        return str(self.s)

    def forward(self, f: Map) -> Map:
        """Subsample Samples."""
        field = is_field(f)
        checks.integers(self.s, f.dim, "stride")
        if field:
            return self._filtered(f)  # type: ignore[return-value,arg-type]
        assert isinstance(f, Samples)
        self._check_spacing(f)
        return self._subsampled(f)  # type: ignore[return-value]

    def _check_spacing(self, f: Samples) -> None:
        """Raise where samples are filtered whose spacing isn't the one given, by which a Field is filtered."""
        if self.spacing is None:
            return
        given = checks.positive(self.spacing, f.dim, "spacing")
        each = zip(given, f.grid.spacing, strict=True)
        if not all(math.isclose(a, b, rel_tol=1e-9) for a, b in each):
            raise ValueError(
                f"this layer filters fields by a spacing of {given}, and these samples lie {f.grid.spacing} apart: "
                "their filters differ. Give it the grid's spacing, or none where fields aren't filtered"
            )

    @property
    def upsampling(self) -> Upsampling:
        """The partner that puts values back where they came from, zeros between them unless said otherwise."""
        return Upsampling(self.s, "zeros")

    def _filtered(self, f: Field) -> Field:
        return f

    @abstractmethod
    def _subsampled(self, f: Samples) -> Samples:
        """Filter and subsample."""


def is_field(f: Any) -> bool:
    """Whether a layer's input is a Field rather than Samples; raises where it is neither, or empty."""
    if not isinstance(f, Field | Samples):
        raise TypeError(
            f"expected a Field or Samples, got {type(f).__name__}: "
            "a tensor (*batch, c, X1, …, Xd) becomes one by Samples(tensor, Grid(shape, spacing))"
        )
    if isinstance(f, Samples) and 0 in f.values.shape:
        raise ValueError(f"expected samples without empty axes, got shape {tuple(f.values.shape)}")
    return isinstance(f, Field)


class Stride(Subsampling):
    """Keep every s-th sample per axis, from the first one.

    Parameters
    ----------
    s : int or sequence of int
        It must divide the shape of a periodic grid.

    Notes
    -----
    Promise: commutes with translations by multiples of s spacings, and with no others; any input, on a periodic grid
    exactly, under other boundaries where both know.

    Examples
    --------
    >>> from discretize import Grid, Samples, Stride
    >>> Stride(2)(Samples([[0.0, 3.0, 1.0, 2.0]], Grid(4, 1.0))).values.tolist()
    [[0.0, 1.0]]
    """

    commutes_with = Commutes.MULTIPLES

    def _subsampled(self, f: Samples) -> Samples:
        return f.stride(self.s)


class _Pooling(Subsampling):
    """Pool over windows of `size` samples per axis, then keep every s-th."""

    commutes_with = Commutes.MULTIPLES

    kind: str

    def __init__(
        self, s: Any, size: Any | None = None, spacing: checks.VectorLike | None = None
    ) -> None:
        super().__init__(s)
        self.size = checks.counts(s if size is None else size, "size", most=MOST_FILTER)
        self.spacing = None if spacing is None else checks.lengths(spacing, "spacing")
        self._windows = Kept()

    def extra_repr(self) -> str:
        """Stride and size."""
        return f"{self.s}, size={self.size}"

    @property
    def upsampling(self) -> Upsampling:
        """Every value all over its cell."""
        return Upsampling(self.s, "hold")

    def _window(self, dim: int, spacing: checks.VectorLike) -> Mask:
        """The window, kept for the next time: its taps are worked out once."""
        key = checks.positive(spacing, dim, "spacing")
        size = checks.integers(self.size, dim, "size")
        window: Mask = self._windows.of(key, [], lambda: Mask(torch.ones(size), spacing))
        return window

    def _filtered(self, f: Field) -> Field:
        if self.spacing is None:
            return f
        return f.pool(self._window(f.dim, self.spacing), self.kind)

    def _subsampled(self, f: Samples) -> Samples:
        size, grid = checks.integers(self.size, f.dim, "size"), f.grid
        more = 0 if grid.boundary == "none" else 1
        last = [n - 1 + more * (k - 1) for n, k in zip(grid.shape, size, strict=True)]
        values = extend(f.values, [0] * f.dim, last, grid.boundary)
        known = grid.replace(shape=values.shape[-f.dim :], boundary="none")
        pooled = f._with(values, known).pool(self._window(f.dim, grid.spacing), self.kind)
        centres = pooled.grid.replace(boundary=grid.boundary)
        return f._with(pooled.values, centres).stride(self.s)


class AveragePooling(_Pooling):
    """Mean over windows of samples, the first of which begins at the first sample; then every s-th of them.

    Parameters
    ----------
    s : int or sequence of int
        It must divide the shape of a periodic grid.
    size : int or sequence of int, optional
        Samples per window and axis; s unless given. The output lies at the centres of the windows.
    spacing : float or sequence of float, optional
        Where it is given, a Field is averaged too, over points that far apart; otherwise it is left as it is.

    Notes
    -----
    Promise: commutes with translations by multiples of s spacings. Being linear, it is exact for all real translations
    as well where the input's band and stride leave no aliases: waves below 1/2s per spacing, on a periodic grid.

    Examples
    --------
    >>> from discretize import AveragePooling, Grid, Samples
    >>> f = AveragePooling(2)(Samples([[0.0, 3.0, 1.0, 2.0]], Grid(4, 1.0)))
    >>> f.values.tolist(), f.grid.origin.tolist()
    ([[1.5, 1.5]], [0.5])
    """

    kind = "mean"


class MaxPooling(_Pooling):
    """Maximum over windows of samples, the first of which begins at the first sample; then every s-th of them.

    Parameters and promise as for AveragePooling, but not linear: between multiples of s spacings it is not equivariant,
    whatever the input's band.

    Examples
    --------
    >>> from discretize import Grid, MaxPooling, Samples
    >>> MaxPooling(2, size=3)(Samples([[0.0, 3.0, 1.0, 2.0]], Grid(4, 1.0))).values.tolist()
    [[3.0, 2.0]]
    """

    kind = "max"
