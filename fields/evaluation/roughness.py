"""What a trapezoidal rule may miss where values jump, or bend, between its points.

A jump a between two points h apart moves a sum by some part of a·h, wherever its place between them. So rules on other
lattices may agree by chance, and all be wrong. Differences of a high order k tell a jump at once, wherever it is:
Σ|Δᵏ| = 2ᵏ⁻¹|a|, whereas what is smooth leaves hᵏ⁻¹ of its k-th derivative, and a kink h of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fields import magnitude
from fields.accuracy import ORDER
from fields.lattice import Lattice


class Roughness:
    """Bound on the error that jumps between a lattice's points leave in the sum over them, twice as large as it may be.

    In one dimension of all jumps together. In more, sums over all axes but one leave a function on each, with fewer
    and smaller jumps than the field has lines; those are taken to lie at unrelated places, so that their squares add.

    Parameters
    ----------
    lattice : Lattice
        Of the sum.
    wraps : bool
        Whether the last points have the first ones for neighbours. Otherwise what is cut off at the ends is no jump: it
        is for the region to be widened.
    """

    def __init__(self, lattice: Lattice, wraps: bool) -> None:
        self.lattice, self.wraps = lattice, wraps
        self._sums: list[Tensor] = []
        self._ends: tuple[Tensor, Tensor] | None = None  # the first points, and the last ones
        self._total: Tensor | None = None

    def add(self, values: Tensor, start: Sequence[int]) -> None:
        """Take in the values (*batch, c, X1, …, Xd) of a tile that begins at point `start`; tiles come in order."""
        values, dim = values.detach(), self.lattice.dim
        if dim == 1:  # as long as all values are: none is kept but the last ones
            self._follow(values)
            return
        if not self._sums:
            lead = values.shape[:-dim]
            self._sums = [values.new_zeros(*lead, n) for n in self.lattice.shape]
        for axis, (total, first) in enumerate(zip(self._sums, start, strict=True)):
            part = values.sum(tuple(a for a in range(-dim, 0) if a != axis - dim))
            total[..., first : first + part.shape[-1]] += part

    def _follow(self, values: Tensor) -> None:
        first = run = values
        if self._ends is not None:
            first, run = (torch.cat([end, values], -1) for end in self._ends)
        self._ends = first[..., :ORDER], self._differences(run)

    def _differences(self, run: Tensor) -> Tensor:
        """Add those of a run of points; returns the points that the next run goes on from."""
        if run.shape[-1] > ORDER:
            part = run.diff(n=ORDER).abs().sum(-1)
            self._total = part if self._total is None else self._total + part
        return run[..., -ORDER:]

    def bound(self) -> Tensor:
        """Of the channel that it is largest of, as ∫ is measured, shape (*batch,)."""
        cell = math.prod(self.lattice.spacing)
        if self.lattice.dim == 1:
            assert self._ends is not None
            if self.wraps:
                self._differences(torch.cat(self._ends[::-1], -1))
            if self._total is None:  # too few points to tell
                return self._ends[0].new_full(self._ends[0].shape[:-2], math.inf)
            total: Tensor = self._total.amax(-1) * (cell / 2 ** (ORDER - 1))
            return total
        single = math.sqrt(math.comb(2 * ORDER - 2, ORDER - 1))
        found = sum((self._line(total) for total in self._sums), self._sums[0].new_zeros(()))
        bound: Tensor = found.amax(-1) * (cell / single)
        return bound

    def _line(self, line: Tensor) -> Tensor:
        count = line.shape[-1]
        if self.wraps:
            line = line[..., torch.arange(count + ORDER, device=line.device) % count]
        elif count <= ORDER:  # too few points to tell
            return line.new_full(line.shape[:-1], math.inf)
        return magnitude.norm(line.diff(n=ORDER), 2, [-1])
