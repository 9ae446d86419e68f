"""Pooling windows: centred regions, in length units, over which a local pooling aggregates.

For a mean the taps are the shares of the window in each node's cell, which sum to 1. For a maximum of samples they
are 1 at the nodes inside the closed window, 0 elsewhere; a maximum of a field also looks at the rim, between the nodes
(`fields.stencils.maxima`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from fields import checks
from fields.accuracy import SNAP
from fields.kept import Kept
from fields.kernels.kernel import dyadic_nodes
from fields.lattice import PerAxis, split
from fields.profiles import BALL, BOX, summed_squares
from fields.stencils.stencil import (
    Stencil,
    centred,
    chord,
    cosets,
    few,
    nodes,
    on_lattice,
    on_nodes,
    points_of,
)

Kind = Literal["mean", "max"]


class Window(ABC):
    """What a pooling window tells the evaluator."""

    _kept: Kept | None = None

    @abstractmethod
    def reach(self, dim: int) -> PerAxis:
        """Half-widths of a centred box that holds the window, in length units."""

    @abstractmethod
    def stencils(self, pitch: PerAxis, node: PerAxis, kind: Kind) -> list[Stencil]:
        """Scalar taps on a lattice of spacing `pitch`, nodes `node` apart."""

    def taps(
        self, pitch: PerAxis, node: PerAxis, kind: Kind | Literal["rim"], like: Tensor
    ) -> list[Stencil]:
        """The stencils in the dtype and on the device of `like`, kept for the next time."""

        def make() -> list[Stencil]:
            made = self.maxima(pitch, node) if kind == "rim" else self.stencils(pitch, node, kind)
            plain = torch.empty(0, dtype=like.dtype, device=like.device)  # vmap and jvp wrap values
            return [s.to(plain) for s in made]

        if self._kept is None:
            self._kept = Kept()
        key = (pitch, node, kind, self.reach(len(pitch)), like.dtype, like.device)
        found: list[Stencil] = self._kept.of(key, [], make)
        return found

    def maxima(self, pitch: PerAxis, node: PerAxis) -> list[Stencil]:
        """Taps of a field's maximum over the closed window, as `fields.stencils.maxima.highest` reads them."""
        return self.stencils(pitch, node, "max")

    @property
    def is_region(self) -> bool:
        """Whether the window is a region, met by finer and finer nodes, and not a set of points."""
        return True

    def spacings(self, node: PerAxis | None, count: int, dim: int) -> tuple[float | None, ...]:
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

    def reach(self, dim: int) -> PerAxis:
        """Half the sides."""
        return tuple(s / 2 for s in checks.positive(self.sides, dim, "sides"))

    def stencils(self, pitch: PerAxis, node: PerAxis, kind: Kind) -> list[Stencil]:
        """One row of taps per axis."""
        axes, rows = [], []
        for radius, q in zip(self.reach(len(pitch)), node, strict=True):
            few(2 * radius / q, radius)
            count, rest = split(2 * radius / q)
            if count >= 1 and rest == 0:
                y = centred(count, q)
                row = torch.full_like(y, 1 / count)
            else:
                (y,) = nodes([radius], [q])
                row = BOX.row(y, q, 2 * radius)
                if kind == "max":
                    inside = y.abs() <= radius * (1 + SNAP)
                    y, row = y[inside], row[inside]
            axes.append(y)
            rows.append(torch.ones_like(row) if kind == "max" else row)
        return on_nodes(axes, pitch, tuple(rows))

    def maxima(self, pitch: PerAxis, node: PerAxis) -> list[Stencil]:
        """One row of taps per axis, up to the rim."""
        reach = self.reach(len(pitch))
        if not on_lattice(node, pitch):
            lines = [_to_the_rim(r, q) for r, q in zip(reach, node, strict=True)]
            few(math.prod(map(len, lines)), reach)
            return _points(points_of(lines), pitch)
        rows = tuple(chord(r / q) for r, q in zip(reach, node, strict=True))
        axes = [centred(len(row), q) for row, q in zip(rows, node, strict=True)]
        return on_nodes(axes, pitch, rows)


class Ball(Window):
    """The centred ball |y| ≤ radius.

    Parameters
    ----------
    radius : float
        In length units.

    Notes
    -----
    For a mean every node weighs the volume of its cell that lies in the ball, to 1e-12 of a whole cell; the shares are
    scaled to sum to 1.

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

    def reach(self, dim: int) -> PerAxis:
        """The radius on every axis."""
        return (self.radius,) * dim

    def stencils(self, pitch: PerAxis, node: PerAxis, kind: Kind) -> list[Stencil]:
        """A dense array of taps."""
        reach = self.reach(len(pitch))
        axes = nodes(reach, node)
        shares = [self._inside(axes)] if kind == "max" else BALL.weights(axes, node, reach)
        return on_nodes(axes, pitch, shares[0])

    def _inside(self, axes: list[Tensor]) -> Tensor:
        """1 at the points of the closed ball."""
        return BALL.of(summed_squares(axes), self.radius * math.sqrt(1 + SNAP))

    def maxima(self, pitch: PerAxis, node: PerAxis) -> list[Stencil]:
        """A dense array of taps, and how far the ball reaches along the lattice's lines."""
        few(math.prod(2 * self.radius / q + 1 for q in node), self.radius)
        axes = [centred(2 * math.ceil(self.radius / q - SNAP) + 1, q) for q in node]
        inside, chords = self._inside(axes), []
        for axis, q in enumerate(node):
            left = self.radius**2 - summed_squares(axes[:axis] + axes[axis + 1 :])
            chords.append(torch.where(left >= 0, left.clamp(min=0).sqrt() / q, -1.0))
        if not on_lattice(node, pitch):
            return _points(_in_a_ball(axes, node, inside > 0, chords), pitch)
        (stencil,) = on_nodes(axes, pitch, inside)
        return [replace(stencil, chords=tuple(chords))]


class Mask(Window):
    """The points of an array, each with its own share.

    Parameters
    ----------
    mask : array-like, shape (S1, …, Sd)
        Of bool, for equal shares, or of weights ≥ 0, which are scaled to sum to 1. Copied: what is learnt are `Atoms`.
    spacing : float or sequence of float
        Distance of the points; point i lies at (i − (S − 1)/2)·spacing.

    Notes
    -----
    A mask is made of points, like `Atoms`: it is exact on every field and needs no quadrature. A maximum is taken over
    the points whose share isn't 0.

    Examples
    --------
    >>> from fields import Mask, Polynomial
    >>> Polynomial([[1]], [[1.0]]).pool(Mask([1, 0, 3], spacing=2.0))([10.0]).tolist()
    [9.0]
    """

    def __init__(self, mask: Any, spacing: checks.VectorLike) -> None:
        self.mask = checks.as_tensor(mask, "mask").detach().double().clone()
        known = not checks.tracing()  # numbers can be read
        if not 1 <= self.mask.ndim <= 3 or (
            known and not (bool((self.mask >= 0).all()) and bool(self.mask.any()))
        ):
            raise ValueError("a mask needs one to three axes, entries ≥ 0, and one entry > 0")
        self.spacing = checks.positive(spacing, self.mask.ndim, "spacing")

    def __repr__(self) -> str:
        shape = " × ".join(str(n) for n in self.mask.shape)
        return f"Mask(<{shape} shares>, spacing={self.spacing})"

    @property
    def is_region(self) -> bool:
        """A mask is a set of points."""
        return False

    def reach(self, dim: int) -> PerAxis:
        """Half-widths of the array."""
        if dim != self.mask.ndim:
            raise ValueError(
                f"this mask has {self.mask.ndim} axes, the feature map {dim} dimensions"
            )
        return tuple((n - 1) / 2 * h for n, h in zip(self.mask.shape, self.spacing, strict=True))

    def spacings(self, node: PerAxis | None, count: int, dim: int) -> tuple[float | None, ...]:
        """The mask's own spacing."""
        self.reach(dim)
        return self.spacing

    def stencils(self, pitch: PerAxis, node: PerAxis, kind: Kind) -> list[Stencil]:
        """The shares."""
        axes = list(map(centred, self.mask.shape, self.spacing))
        return on_nodes(axes, pitch, self.mask / self.mask.sum(), spacing=self.spacing)


# --- maxima where no lattice holds the nodes: each is looked at by itself -----------------------------------------
#
# The same nodes and crossings of the rim as in `fields.stencils.maxima`, with the values there instead of those
# interpolated from the nodes around: the two differ by q²|F″|/8 at most, q being the spacing.


def _to_the_rim(reach: float, spacing: float) -> Tensor:
    """Nodes j·spacing within a reach, and both its ends."""
    whole, rest = split(reach / spacing)
    inside = centred(2 * whole + 1, spacing)
    ends = inside.new_tensor([-reach, reach])
    return torch.cat([inside, ends]) if rest else inside


def _in_a_ball(axes: list[Tensor], node: PerAxis, inside: Tensor, chords: list[Tensor]) -> Tensor:
    """Nodes inside of a ball, and the points (k, d) where the lines that they lie on cross its rim."""
    found = [points_of(axes)[inside.flatten()]]
    for axis, half in enumerate(chords):
        line = points_of(axes[:axis] + axes[axis + 1 :])
        ends = half.reshape(-1, 1) * node[axis]
        for side in (-ends, ends):
            crossing = torch.cat([line[:, :axis], side, line[:, axis:]], dim=-1)
            found.append(crossing[half.flatten() >= 0])
    return torch.cat(found)


def _points(offsets: Tensor, pitch: PerAxis) -> list[Stencil]:
    """Stencils of points (k, d) that a maximum is taken over, wherever they lie."""
    return cosets(offsets, torch.ones_like(offsets[:, 0]), pitch)
