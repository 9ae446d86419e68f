"""Pooling windows: centred regions, in length units, over which a local pooling aggregates.

For a mean the taps are the shares of the window in each node's cell, which sum to 1. For a maximum they are 1 at the
nodes inside the closed window, 0 elsewhere: a maximum over nodes is never above the true one, and below it by at most
the field's slope times the distance of two nodes (first order).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from fields import checks
from fields.kernel import dyadic_nodes
from fields.lattice import SNAP, split
from fields.stencil import Stencil, cell_overlap, nodes, on_nodes

Kind = Literal["mean", "max"]


def pooling_kind(kind: str) -> Kind:
    """Check the name of a pooling."""
    if kind not in ("mean", "max"):
        raise ValueError(f"a pooling is 'mean' or 'max', got {kind!r}")
    return kind  # type: ignore[return-value]


class Window(ABC):
    """What a pooling window tells the evaluator."""

    @abstractmethod
    def reach(self, dim: int) -> tuple[float, ...]:
        """Half-widths of a centred box that holds the window, in length units."""

    @abstractmethod
    def stencils(
        self, pitch: tuple[float, ...], node: tuple[float, ...], kind: Kind
    ) -> list[Stencil]:
        """Scalar taps on a lattice of spacing `pitch`, nodes `node` apart."""

    @property
    def is_region(self) -> bool:
        """Whether the window is a region, met by finer and finer nodes, and not a set of points."""
        return True

    def spacings(
        self, node: tuple[float, ...] | None, count: int, dim: int
    ) -> tuple[float | None, ...]:
        """Spacing of the nodes per axis."""
        return node or dyadic_nodes(self.reach(dim), count)


class Box(Window):
    """The centred box |y_i| ≤ sides_i/2.

    Parameters
    ----------
    sides : float or sequence of float
        In length units.

    Notes
    -----
    Where a side is n node spacings, its n nodes lie at (i − (n − 1)/2) spacings with equal weights, so that on a grid
    of spacing h the window of side n·h is the usual pooling of n samples; an even n moves the output by h/2, which
    its grid says. Any other side keeps the nodes on the lattice and weighs them by the share of their cells.

    Examples
    --------
    >>> from fields import Box
    >>> Box(2.0).reach(2)
    (1.0, 1.0)
    """

    def __init__(self, sides: checks.VectorLike) -> None:
        self.sides = checks.lengths(sides, "sides")

    def __repr__(self) -> str:
        return f"Box({self.sides})"

    def reach(self, dim: int) -> tuple[float, ...]:
        """Half the sides."""
        return tuple(s / 2 for s in checks.positive(self.sides, dim, "sides"))

    def stencils(
        self, pitch: tuple[float, ...], node: tuple[float, ...], kind: Kind
    ) -> list[Stencil]:
        """One row of taps per axis."""
        axes, rows = [], []
        for radius, q in zip(self.reach(len(pitch)), node, strict=True):
            count, rest = split(2 * radius / q)
            if count >= 1 and rest == 0:
                y = (torch.arange(count, dtype=torch.float64) - (count - 1) / 2) * q
                row = torch.full_like(y, 1 / count)
            else:
                (y,) = nodes([radius], [q])
                row = cell_overlap(y, q, radius) / (2 * radius)
                if kind == "max":
                    inside = y.abs() <= radius * (1 + SNAP)
                    y, row = y[inside], row[inside]
            axes.append(y)
            rows.append(row)
        return on_nodes(axes, pitch, tuple(rows))


class Ball(Window):
    """The centred ball |y| ≤ radius.

    Parameters
    ----------
    radius : float
        In length units.

    Notes
    -----
    For a mean the share of each cell is exact along the last axis and by 16-point Gauss quadrature along the others;
    the shares are scaled to sum to 1.

    Examples
    --------
    >>> from fields import Ball
    >>> Ball(1.5).reach(3)
    (1.5, 1.5, 1.5)
    """

    def __init__(self, radius: float) -> None:
        (self.radius,) = checks.positive(radius, 1, "radius")

    def __repr__(self) -> str:
        return f"Ball({self.radius})"

    def reach(self, dim: int) -> tuple[float, ...]:
        """The radius on every axis."""
        return (self.radius,) * dim

    def stencils(
        self, pitch: tuple[float, ...], node: tuple[float, ...], kind: Kind
    ) -> list[Stencil]:
        """A dense array of taps."""
        axes = nodes(self.reach(len(pitch)), node)
        if kind == "max":
            squares = [y.reshape(-1, *(1,) * (len(axes) - 1 - i)) ** 2 for i, y in enumerate(axes)]
            inside = sum(squares, torch.zeros(())) <= self.radius**2 * (1 + SNAP)
            return on_nodes(axes, pitch, inside.double())
        share = self._share(axes, node)
        return on_nodes(axes, pitch, share / share.sum())

    def _share(self, axes: list[Tensor], node: tuple[float, ...]) -> Tensor:
        gauss, weight = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(16))
        inner, halves = [], []
        for y, q in zip(axes[:-1], node, strict=False):
            low = torch.clamp(y - q / 2, min=-self.radius)  # a cell may hold the whole ball
            high = torch.clamp(y + q / 2, max=self.radius)
            inner.append(((low + high)[:, None] / 2 + (high - low)[:, None] / 2 * gauss).flatten())
            halves.append((high - low) / 2)
        squares = torch.zeros((), dtype=torch.float64)
        for y in inner:
            squares = squares[..., None] + y**2
        half = torch.clamp(self.radius**2 - squares, min=0).sqrt()
        length = cell_overlap(axes[-1].expand(*half.shape, -1), node[-1], half[..., None])
        for axis, h in enumerate(halves):
            length = length.unflatten(axis, (len(h), 16)).movedim(axis + 1, -1) @ weight
            length = length * h.reshape(-1, *(1,) * (len(axes) - 1 - axis))
        return length


class Mask(Window):
    """The points of an array, each with its own share.

    Parameters
    ----------
    mask : array-like, shape (S1, …, Sd)
        Of bool, for equal shares, or of weights ≥ 0, which are scaled to sum to 1.
    spacing : float or sequence of float
        Distance of the points; point i lies at (i − (S − 1)/2)·spacing.

    Notes
    -----
    A mask is made of points, like `Atoms`: it is exact on every field and needs no quadrature. A maximum is taken over
    the points whose share isn't 0.
    """

    def __init__(self, mask: Any, spacing: checks.VectorLike) -> None:
        self.mask = checks.as_tensor(torch.as_tensor(mask).double(), "mask")
        if self.mask.ndim == 0 or not bool((self.mask >= 0).all()) or not bool(self.mask.any()):
            raise ValueError("a mask needs at least one axis, entries ≥ 0, and one entry > 0")
        self.spacing = checks.positive(spacing, self.mask.ndim, "spacing")

    @property
    def is_region(self) -> bool:
        """A mask is a set of points."""
        return False

    def reach(self, dim: int) -> tuple[float, ...]:
        """Half-widths of the array."""
        if dim != self.mask.ndim:
            raise ValueError(
                f"this mask has {self.mask.ndim} axes, the feature map {dim} dimensions"
            )
        return tuple((n - 1) / 2 * h for n, h in zip(self.mask.shape, self.spacing, strict=True))

    def spacings(
        self, node: tuple[float, ...] | None, count: int, dim: int
    ) -> tuple[float | None, ...]:
        """The mask's own spacing."""
        self.reach(dim)
        return self.spacing

    def stencils(
        self, pitch: tuple[float, ...], node: tuple[float, ...], kind: Kind
    ) -> list[Stencil]:
        """The shares."""
        axes = [
            (torch.arange(n, dtype=torch.float64) - (n - 1) / 2) * h
            for n, h in zip(self.mask.shape, self.spacing, strict=True)
        ]
        return on_nodes(axes, pitch, self.mask / self.mask.sum())
