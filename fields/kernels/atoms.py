"""Atoms: kernels made of weighted points, as every weight of a discrete convolution is."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor

from fields import arguments, checks, dtypes
from fields.accuracy import CHEAP, MAX_RATIO, SHORTEST, SNAP
from fields.kept import Kept
from fields.kernels.kernel import MatrixKernel
from fields.lattice import PerAxis, common_spacing
from fields.stencils.stencil import Stencil, centred, layouts, points_of


class Atoms(MatrixKernel):
    """Weighted points: (K*F)(x) = Σ_j w_j F(x − o_j), exact on every field.

    Parameters
    ----------
    offsets : array-like, shape (k, d)
        In length units; static.
    weights : Tensor, shape (k, out_channels, in_channels/groups)
    groups : int
        Channels fall into this many blocks, in order, and each block of outputs sees its own block of inputs only, as
        in torch's `groups`; as many groups as channels is a depthwise convolution. No work is spent on the zeros
        between the blocks.

    Raises
    ------
    ValueError
        Where shapes don't fit, or `groups` doesn't divide the outputs.

    Examples
    --------
    >>> import torch
    >>> from fields import Atoms
    >>> Atoms([[0.0], [0.5]], torch.ones(2, 1, 1)).reach(1)
    (0.5,)
    >>> Atoms([[0.0], [0.5]], torch.ones(2, 8, 1), groups=8).in_channels
    8
    """

    learnt = ("weights",)

    def __init__(self, offsets: Any, weights: Any, groups: int = 1) -> None:
        given = checks.as_tensor(offsets, "offsets").detach().cpu().double().clone()
        self.offsets = torch.where(given.abs() < SHORTEST, 0.0, given)
        self.weights, self.weak = checks.as_tensor(weights, "weights"), dtypes.is_weak(weights)
        (self.groups,) = checks.integers(groups, 1, "groups")
        if self.offsets.ndim != 2 or 0 in self.offsets.shape:
            raise ValueError(
                f"offsets must have shape (k, d), k ≥ 1, got {tuple(self.offsets.shape)}"
            )
        if (
            self.weights.ndim != 3
            or len(self.weights) != len(self.offsets)
            or 0 in self.weights.shape
        ):
            raise ValueError(
                f"weights must have shape (k, out, in) = ({len(self.offsets)}, …), "
                f"got {tuple(self.weights.shape)}"
            )
        self.out_channels, own = self.weights.shape[1:]
        if self.out_channels % self.groups:
            raise ValueError(
                f"{self.groups} groups don't divide {self.out_channels} output channels: weights have shape "
                "(k, out, in/groups), out a multiple of groups"
            )
        self.in_channels = own * self.groups
        self._reach = tuple(self.offsets.abs().amax(0).tolist())
        self._kept = Kept()  # layouts of the offsets on the lattices met last

    @classmethod
    def from_array(cls, array: Any, spacing: checks.VectorLike, groups: int = 1) -> Atoms:
        """Atoms of an array (S1, …, Sd, out, in/groups), tap i at (i − (S − 1)/2)·spacing.

        This is the true convolution: against torch's `conv`, a correlation, the array is flipped. An even S puts its
        taps at odd multiples of half a spacing. A multiple of a grid's spacing is a dilated convolution there.
        """
        weak, array = dtypes.is_weak(array), checks.as_tensor(array, "kernel array")
        dim = array.ndim - 2
        if dim < 1 or 0 in array.shape:
            raise ValueError(
                f"a kernel array has shape (S1, …, Sd, out, in), all sizes ≥ 1, got {tuple(array.shape)}"
            )
        spacing = checks.positive(spacing, dim, "spacing")
        offsets = points_of(list(map(centred, array.shape[:dim], spacing)))
        atoms = cls(offsets, array.reshape(-1, *array.shape[dim:]), groups)
        atoms.weak = weak
        return atoms

    @property
    def is_density(self) -> bool:
        """Atoms need no quadrature."""
        return False

    def reach(self, dim: int) -> PerAxis:
        """Largest offset per axis."""
        arguments.own_dimension("these atoms have offsets in", self.offsets.shape[1], dim)
        return self._reach

    def spacings(self, node: PerAxis | None, count: int, dim: int) -> tuple[float | None, ...]:
        """Largest common divisor of the offsets' differences, per axis, where there is one."""
        self.reach(dim)
        return tuple(_divisor(axis.tolist()) for axis in self.offsets.T)

    def transform(self, frequencies: Tensor) -> Tensor | None:
        """Σ_j w_j exp(−2πi f·o_j), where that is cheaper than the taps."""
        if len(self.offsets) * len(frequencies) > CHEAP:
            return None
        cycles = frequencies.double() @ self.offsets.to(frequencies.device).mT
        waves = torch.exp(-2j * math.pi * (cycles - cycles.detach().round()))
        kind = dtypes.complex_of(self.weights.dtype)
        blocks = torch.einsum("mk,koi->moi", waves.to(kind), self.weights.to(kind))
        return blocks if self.groups == 1 else spread(blocks, self.groups)

    def stencils(self, pitch: PerAxis, node: PerAxis) -> list[Stencil]:
        """One stencil per coset of the pitch."""
        made = self._kept.of(tuple(pitch), [], lambda: layouts(self.offsets, pitch))
        return [layout.stencil(self.weights) for layout in made]


def spread(blocks: Tensor, groups: int) -> Tensor:
    """Matrices (…, out, in/groups) as the block-diagonal ones (…, out, in) that they stand for."""
    outs = blocks.shape[-2]
    group = torch.arange(outs, device=blocks.device) // (outs // groups)
    mask = torch.arange(groups, device=blocks.device) == group[:, None]
    return (mask[:, :, None] * blocks[..., None, :]).flatten(-2)


def _divisor(positions: list[float]) -> float | None:
    ordered = sorted(set(positions))
    gaps = [b - a for a, b in itertools.pairwise(ordered)]
    scale = max(map(abs, ordered))
    gaps = sorted(g for g in gaps if g > SNAP * scale)
    if not gaps:
        return None
    divisor = gaps[0]
    for gap in gaps[1:]:
        common = common_spacing(divisor, gap)
        if common is None or common < gaps[0] / MAX_RATIO:
            return None
        divisor = common
    return divisor
