"""Pooling windows: centred regions, in length units, over which a local pooling aggregates.

For a mean the taps are the shares of the window in each node's cell, which sum to 1. For a maximum of samples they
are 1 at the nodes inside the closed window, 0 elsewhere; a maximum of a field also looks at the rim, between the nodes
(`fields.maxima`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor

from fields import checks
from fields.cells import ball_in_cells
from fields.kernel import dyadic_nodes
from fields.lattice import SNAP, split
from fields.rims import as_points, in_a_ball, to_the_rim
from fields.stencil import Stencil, cell_overlap, centred, chord, few, nodes, on_lattice, on_nodes

Kind = Literal["mean", "max"]

#: Lattices for which a window keeps its stencils.
KEPT = 8


class Window(ABC):
    """What a pooling window tells the evaluator."""

    _kept: dict[Any, list[Stencil]] | None = None

    @abstractmethod
    def reach(self, dim: int) -> tuple[float, ...]:
        """Half-widths of a centred box that holds the window, in length units."""

    @abstractmethod
    def stencils(
        self, pitch: tuple[float, ...], node: tuple[float, ...], kind: Kind
    ) -> list[Stencil]:
        """Scalar taps on a lattice of spacing `pitch`, nodes `node` apart."""

    def taps(
        self,
        pitch: tuple[float, ...],
        node: tuple[float, ...],
        kind: Kind | Literal["rim"],
        like: Tensor,
    ) -> list[Stencil]:
        """The stencils in the dtype and on the device of `like`, kept for the next time."""
        if self._kept is None:
            self._kept = {}
        kept = self._kept
        key = (pitch, node, kind, self.reach(len(pitch)), like.dtype, like.device)
        if key in kept:
            return kept[key]
        with torch.inference_mode(False):
            made = self.maxima(pitch, node) if kind == "rim" else self.stencils(pitch, node, kind)
            stencils = [s.to(like) for s in made]
        # Within jvp and vmap torch wraps what it makes: such tensors must not outlive the call.
        if not torch.compiler.is_compiling() and not any(map(_is_wrapped, stencils)):
            if len(kept) >= KEPT:
                kept.pop(next(iter(kept)))
            kept[key] = stencils
        return stencils

    def maxima(self, pitch: tuple[float, ...], node: tuple[float, ...]) -> list[Stencil]:
        """Taps of a field's maximum over the closed window, as `fields.maxima.highest` reads them."""
        return self.stencils(pitch, node, "max")

    @property
    def is_region(self) -> bool:
        """Whether the window is a region, met by finer and finer nodes, and not a set of points."""
        return True

    def spacings(
        self, node: tuple[float, ...] | None, count: int, dim: int
    ) -> tuple[float | None, ...]:
        """Spacing of the nodes per axis."""
        return node or dyadic_nodes(self.reach(dim), count)


def _is_wrapped(stencil: Stencil) -> bool:
    taps = stencil.taps if isinstance(stencil.taps, tuple) else (stencil.taps,)
    return any(is_functorch_wrapped_tensor(t) for t in taps)


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
            few(2 * radius / q, radius)
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
            rows.append(torch.ones_like(row) if kind == "max" else row)
        return on_nodes(axes, pitch, tuple(rows))

    def maxima(self, pitch: tuple[float, ...], node: tuple[float, ...]) -> list[Stencil]:
        """One row of taps per axis, up to the rim."""
        reach = self.reach(len(pitch))
        if not on_lattice(node, pitch):
            lines = [to_the_rim(r, q) for r, q in zip(reach, node, strict=True)]
            few(math.prod(map(len, lines)), reach)
            return as_points(torch.cartesian_prod(*lines).reshape(-1, len(lines)), pitch)
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
        share = ball_in_cells(self.radius, axes, node)
        return on_nodes(axes, pitch, share / share.sum())

    def maxima(self, pitch: tuple[float, ...], node: tuple[float, ...]) -> list[Stencil]:
        """A dense array of taps, and how far the ball reaches along the lattice's lines."""
        few(math.prod(2 * self.radius / q + 1 for q in node), self.radius)
        axes = [centred(2 * math.ceil(self.radius / q - SNAP) + 1, q) for q in node]
        squares = [y.reshape(-1, *(1,) * (len(axes) - 1 - i)) ** 2 for i, y in enumerate(axes)]
        inside = sum(squares, torch.zeros(())) <= self.radius**2 * (1 + SNAP)
        chords = []
        for axis, q in enumerate(node):
            others = [s for i, s in enumerate(squares) if i != axis]
            left = self.radius**2 - sum(others, torch.zeros(())).double()
            half = torch.where(left >= 0, left.clamp(min=0).sqrt() / q, -1.0)
            chords.append(half.squeeze(axis) if half.ndim == len(axes) else half)
        if not on_lattice(node, pitch):
            return as_points(in_a_ball(axes, node, inside, chords), pitch)
        (stencil,) = on_nodes(axes, pitch, inside.double())
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
        return on_nodes(axes, pitch, self.mask / self.mask.sum(), spacing=self.spacing)
