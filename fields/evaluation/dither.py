"""What quadratures may miss between their nodes: the same sums again, with inputs that move as far as nobody knows.

Rules that settle by chance are all wrong alike: windows of n spacings take n nodes, of which across an edge k hold the
larger value, and k/n agrees on many lattices. So what a node of the graph gets is looked at. A step between two
neighbouring nodes that stands out from the steps beside it is a jump, or a kink, somewhere in the cell between them;
where, values don't tell. Draws put it at random places:

    sums        θ uniform in the cell: the node whose cell the jump really divides is off by (½ − θ)·step. One θ for
                all cells of one index of an axis, since edges along the axes are cut alike.
    maxima      by turns at the one and the other end of its cell; and smooth crests lie up to |Δ²|/8 above the nodes

Functions of which nobody says how fine they are, are also asked between the nodes: where they aren't what the nodes
around say, they move by as much. A wave that is 1 at all nodes, since it has a period per node, gives itself away.

The spread of draws of the same graph at the same refinement estimates its error. Nodes stay where they are, fixed in
their kernel's frame, so that what is drawn is as equivariant as the values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fields.accuracy import (
    BETWEEN,
    CREST,
    DITHER_PAIRS,
    DITHER_PART,
    HIDDEN,
    LARGEST_DITHER,
    ROUNDING,
    STANDS_OUT,
)
from fields.lattice import take


class Dither:
    """One draw of the places of jumps; or, without a number, a look at whether there are any.

    Parameters
    ----------
    draw : int, optional
        Its number; None leaves all values as they are.
    between : bool
        Whether opaque functions are asked between the nodes.
    bends : bool
        Whether jumps and crests are looked for at all.
    jumps : bool, optional
        Whether what is summed is known to jump, so that nothing has to be found first, or known not to, so that there
        are only the crests of maxima to look for.
    rounding : bool
        Whether all that quadratures take is moved by what may be rounding of it, and by nothing else.

    Attributes
    ----------
    found : bool
        Whether anything that could move was met since.
    hidden : bool
        Whether opaque functions were found to be other between the nodes than these say.
    asked, nonzero : bool
        Whether quadratures took any numbers, and any but 0.
    """

    def __init__(
        self,
        draw: int | None = None,
        between: bool = True,
        bends: bool = True,
        jumps: bool | None = None,
        rounding: bool = False,
    ) -> None:
        self.draw, self.between = draw, between and not rounding
        self.bends, self.jumps, self.rounding = bends, jumps, rounding
        self.found, self.hidden, self.asked, self.nonzero = False, False, False, False
        self._generator = torch.Generator().manual_seed(draw or 0)

    def of_opaque(self, values: Tensor, between: Tensor, lags: Sequence[int]) -> Tensor:
        """Values moved by what a function is `BETWEEN` nodes, beyond those around it and what they interpolate to."""
        inner: list[slice] = []
        guess = low = high = values
        for axis, lag in enumerate(lags, start=-len(lags)):
            pairs = min(DITHER_PAIRS, guess.shape[axis] // lag // 2)
            if not pairs:
                return values
            guess = _interpolated(guess, axis, lag, pairs)
            inner.append(slice(lag * (pairs - 1), lag * (pairs - 1) + guess.shape[axis]))
            low, high = (
                torch.minimum(*_ends(low, axis, lag)),
                torch.maximum(*_ends(high, axis, lag)),
            )
        low, high = torch.minimum(take(low, inner), guess), torch.maximum(take(high, inner), guess)
        found = take(between, inner)
        beyond = found - torch.minimum(torch.maximum(found, low), high)
        if bool((_sizes(beyond, len(lags)) > HIDDEN * _sizes(values, len(lags))).any()):
            self.found = self.hidden = True
        if self.draw is None:
            return values
        moved = values.clone()
        take(moved, inner).add_(beyond, alpha=1 if self.draw % 2 == 0 else -1)
        return moved

    def of_sum(self, values: Tensor, lags: Sequence[int]) -> Tensor:
        """Values (*batch, c, X1, …, Xd) with the jumps between nodes, `lags` samples apart, in other places."""
        self.found = self.found or bool(self.jumps)
        parts = []
        for axis, lag in enumerate(lags, start=-len(lags)):
            theta = torch.rand(
                max(0, values.shape[axis] - lag), generator=self._generator, dtype=torch.float64
            )
            parts.append((0.5 - theta).to(values).reshape(-1, *(1,) * (-1 - axis)))

        def moved(maps: Tensor, largest: Tensor) -> Tensor:
            out = maps
            for axis, (lag, part) in enumerate(zip(lags, parts, strict=True), start=-len(lags)):
                step = self._jumps(maps, axis, lag, largest)
                if step is not None:
                    out = maps.clone() if out is maps else out
                    near, far = _ends(out, axis, lag)
                    near += part.clamp(min=0) * step
                    far += part.clamp(max=0) * step
            return out

        return self._by_maps(values, len(lags), moved)

    def of_maximum(self, values: Tensor, lags: Sequence[int]) -> Tensor:
        """The same for maxima: jumps at either end of their cell, crests above the nodes."""
        self.found = self.found or self.bends

        def moved(maps: Tensor, largest: Tensor) -> Tensor:
            if self.draw is None:
                return maps
            pick = torch.minimum if self.draw % 2 else torch.maximum
            out, crests = maps.clone(), torch.zeros_like(maps)
            for axis, lag in enumerate(lags, start=-len(lags)):
                _add_bends(crests, maps, axis, lag)
                step = self._jumps(maps, axis, lag, largest)
                if step is None:
                    continue
                ends, others = _ends(out, axis, lag), _ends(maps, axis, lag)[::-1]
                for end, other, crest in zip(ends, others, _ends(crests, axis, lag), strict=True):
                    end.copy_(torch.where(step != 0, pick(end, other), end))
                    crest[step != 0] = -math.inf  # no crest beside a jump
            return out + crests.clamp(min=0) * (CREST / 8)

        return self._by_maps(values, len(lags), moved)

    def _by_maps(
        self, values: Tensor, dim: int, moved: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        """Some maps after the other, unless there is nothing left to look for."""
        largest = _sizes(values, dim)
        self.asked, self.nonzero = True, self.nonzero or bool(largest.any())
        if self.rounding:
            # All in one direction and each in its own: kernels that average keep the one, differences the other.
            ways = 2 * torch.randint(2, values.shape, generator=self._generator)
            return values + ROUNDING * torch.finfo(values.dtype).eps * largest * ways.to(values)
        space = values.shape[-dim:]
        flat, out, part = values.reshape(-1, *space), [], max(1, DITHER_PART // space.numel())
        each = largest.expand(*values.shape[:-dim], *(1,) * dim).reshape(-1, *(1,) * dim)
        for maps, size in zip(flat.split(part), each.split(part), strict=True):
            if not self.bends or (self.draw is None and self.found):
                return values
            out.append(moved(maps, size))
        return values if self.draw is None else torch.cat(out).reshape(values.shape)

    def _jumps(self, values: Tensor, axis: int, lag: int, largest: Tensor) -> Tensor | None:
        """The steps along an axis that stand out, 0 elsewhere; None where there is none, or none is to be moved."""
        near, far = _ends(values, axis, lag)
        if self.jumps is False or near.shape[axis] <= 2 * lag:
            return None
        step = far - near
        size = step.abs()
        count = size.shape[axis] - 2 * lag
        before, here, after = (size.narrow(axis, k * lag, count) for k in range(3))
        stands = here > STANDS_OUT * torch.minimum(before, after)
        stands &= here >= LARGEST_DITHER * torch.maximum(before, after)
        stands &= here > ROUNDING * torch.finfo(values.dtype).eps * largest
        if not bool(stands.any()):
            return None
        self.found = True
        if self.draw is None:
            return None
        jumps = torch.zeros_like(step)
        jumps.narrow(axis, lag, count).copy_(step.narrow(axis, lag, count) * stands)
        return jumps


def _sizes(values: Tensor, dim: int) -> Tensor:
    """The largest of each element's numbers (*batch, c, X1, …, Xd), all these axes kept."""
    sizes: Tensor = values.detach().abs().amax(tuple(range(-dim - 1, 0)), keepdim=True)
    return sizes


def _ends(values: Tensor, axis: int, lag: int) -> tuple[Tensor, Tensor]:
    """The nodes at the lower and at the upper end of all cells along an axis."""
    count = max(0, values.shape[axis] - lag)
    return values.narrow(axis, 0, count), values.narrow(axis, min(lag, values.shape[axis]), count)


def _interpolated(values: Tensor, axis: int, lag: int, pairs: int) -> Tensor:
    """Values `BETWEEN` the middle ones of 2·pairs nodes along an axis, by the polynomial through all of them."""
    count = values.shape[axis] - lag * (2 * pairs - 1)
    nodes = range(1 - pairs, pairs + 1)
    total = torch.zeros_like(values.narrow(axis, 0, count))
    for k, j in enumerate(nodes):
        weight = math.prod((BETWEEN - i) / (j - i) for i in nodes if i != j)
        total.add_(values.narrow(axis, k * lag, count), alpha=weight)
    return total


def _add_bends(crests: Tensor, values: Tensor, axis: int, lag: int) -> None:
    """Add |Δ²| along an axis at the nodes that have both neighbours."""
    count = values.shape[axis] - 2 * lag
    if count > 0:
        before, here, after = (values.narrow(axis, k * lag, count) for k in range(3))
        crests.narrow(axis, lag, count).add_((before - 2 * here + after).abs_())
