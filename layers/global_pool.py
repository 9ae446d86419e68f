"""Global pooling to invariants: the layers whose output translations leave alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from discretize import Samples
from discretize.refinement import at_refinement, is_smooth, node_rate
from fields import FeatureMap, Field, closed
from fields.arguments import fraction, size
from fields.checks import said
from fields.evaluation import MEMORY_BOUND
from fields.integrals import Corner, Counts, domain, doublings, lattice_count, over
from fields.lattice import Lattice, take
from fields.settling import Settling, relative


class GlobalPool(nn.Module):
    """Pool a feature map to one vector per batch element, which translations leave unchanged.

    Parameters
    ----------
    kind : {"mean", "integral", "max"} or float
        A number p ≥ 1 means (mean |F|^p)^{1/p}. Over the period of a periodic Field, or over the grid of Samples.
        "integral" and "max" are also defined for a Field that is known to decay on R^d; a mean over R^d raises.
    rtol : float
        For a Field: the number of points per axis is doubled until the error is estimated to be at most rtol·max|F|,
        or rtol·∫|F| for an integral, for each element of a batch by itself. A maximum is second order in their
        distance at best: in 3-D ask for 1e-2, say.
    memory : int
        Bound on the values alive at once, in bytes.

    Raises
    ------
    NotResolved
        Where `rtol` can't be met within `memory`.

    Examples
    --------
    >>> from fields import PlaneWaves
    >>> from layers import GlobalPool
    >>> round(float(GlobalPool(2)(PlaneWaves([[0.25]], [[1.0]]))), 6)
    0.707107
    """

    def __init__(
        self, kind: str | float = "mean", rtol: float = 1e-4, memory: int = MEMORY_BOUND
    ) -> None:
        super().__init__()
        named = isinstance(kind, str) and kind in ("mean", "integral", "max")
        if not named and not (isinstance(kind, int | float) and 1 <= kind < math.inf):
            raise ValueError(
                f"kind must be 'mean', 'integral', 'max' or a number p ≥ 1, got {said(kind)}"
            )
        self.kind, self.rtol, self.memory = kind, fraction(rtol, "rtol"), size(memory)

    def extra_repr(self) -> str:
        """The kind."""
        return repr(self.kind)

    def forward(self, f: FeatureMap) -> Tensor:
        """Invariants (*batch, c)."""
        return self.with_accuracy(f)[0]

    def with_accuracy(self, f: FeatureMap) -> tuple[Tensor, float]:
        """Invariants (*batch, c), and their estimated error relative to max|F|, or to ∫|F|; 0 for Samples.

        And 0 for means and integrals in closed form, which are taken where they are known.
        In the worst element of a batch, each measured by itself, all channels together.
        """
        if isinstance(f, Samples):
            return self._pooled(f.values, f.grid.spacing), 0.0
        if not isinstance(f, Field):
            raise TypeError(f"expected a Field or Samples, got {type(f).__name__}")
        corner, extent = self._domain(f)
        known = closed.integral(f) if self.kind in ("mean", "integral") else None
        if known is not None:
            return (known / math.prod(extent) if self.kind == "mean" else known), 0.0
        found, error, _ = _Pooling(self, f, corner, extent).settle()
        return found.pooled, error

    def _pooled(self, values: Tensor, spacing: tuple[float, ...]) -> Tensor:
        flat = values.flatten(-len(spacing))
        if self.kind == "max":
            return flat.amax(-1)
        if self.kind == "mean":
            return flat.mean(-1)
        if self.kind == "integral":
            return flat.sum(-1) * math.prod(spacing)
        p, sizes = float(self.kind), flat.abs()
        top = sizes.detach().amax(-1, keepdim=True)
        scale = torch.where(top > 0, top, 1.0)  # so that no power overflows
        mean = torch.where(top > 0, (sizes / scale).pow(p).mean(-1, keepdim=True), 1.0)
        return (scale * mean.pow(1 / p) * (top > 0))[..., 0]

    def _domain(self, f: Field) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Corner and extent of what is pooled over."""
        region = domain(f)
        if region is None or (f.period is None and self.kind not in ("integral", "max")):
            raise ValueError(
                f"a global {self.kind!r} pooling needs a period, or a decaying field and kind 'integral' or 'max': "
                "this field has no known period; use field.periodize(period), or sample it first"
            )
        return region


class _Pooled(NamedTuple):
    """Invariants (*batch, c), how far those of sublattices are off, (*batch,), and what errors are relative to."""

    pooled: Tensor
    spread: Tensor
    scale: Tensor
    lattice: Lattice


class _Pooling(Settling[Counts, _Pooled]):
    """The invariants on twice as many points per axis every time."""

    def __init__(self, pool: GlobalPool, field: Field, corner: Corner, extent: Corner) -> None:
        super().__init__(pool.rtol, field.dtype)
        self.pool, self.field, self.corner, self.extent = pool, field, corner, extent
        self.smooth = is_smooth(field, self.rtol)
        # Means of waves are exact on a lattice that tells them all.
        self.linear = self.smooth and pool.kind in ("mean", "integral")
        self.enough = self.most = 2 if self.smooth else 3

    def steps(self) -> Iterator[Counts]:
        margin = 2 if self.smooth and not self.linear else 1
        lengths = zip(node_rate(self.field, self.rtol), self.extent, strict=True)
        needed = tuple(margin * max(8, math.ceil(r * length) + 1) for r, length in lengths)
        # In fours, so that every fourth point is a lattice of its own.
        return doublings(lattice_count(self.field, self.extent, needed, unit=4))

    def value(self, step: Counts) -> _Pooled:
        lattice, pool = over(self.corner, self.extent, step), self.pool
        values = at_refinement(self.field, lattice, 1, pool.memory)
        pooled, known = pool._pooled(values, lattice.spacing), values.detach()
        scale = known.abs().flatten(-self.field.dim - 1).amax(-1)
        if pool.kind == "integral":
            scale = pool._pooled(known.abs(), lattice.spacing).amax(-1)
        spread = torch.zeros_like(scale) if self.linear else self._spread(known, lattice, pooled)
        return _Pooled(pooled, spread, scale, lattice)

    def _spread(self, values: Tensor, lattice: Lattice, pooled: Tensor) -> Tensor:
        """Largest distance of a sublattice's invariants, every fourth point, from those of all points."""
        wide = tuple(4 * h for h in lattice.spacing)
        starts = itertools.product(range(4), repeat=lattice.dim)
        parts = (take(values, (slice(k, None, 4) for k in start)) for start in starts)
        apart = [(self.pool._pooled(p, wide) - pooled.detach()).abs().amax(-1) for p in parts]
        return torch.stack(apart).amax(0)

    def change(self, new: _Pooled, old: _Pooled) -> float:
        return self._moved(new, old.pooled)

    def _moved(self, new: _Pooled, old: Tensor) -> float:
        return relative((new.pooled - old).detach().abs().amax(-1), new.scale, self.rounding)

    def error(self, known: Sequence[tuple[Counts, _Pooled]]) -> float:
        """By changes, or a quarter of what a lattice 4 times as coarse can miss.

        A small change may be chance, and is with maxima: half of the points may hold the largest of all. So the
        invariants are also taken from each of the 4^d sublattices, which are what translations of the field would show
        there: an error that shrinks at least as fast as the spacing is a quarter of theirs.
        """
        recent = reversed(known[-1:] if self.smooth else known[-2:])
        missed = (
            relative(v.spread / 4**k, v.scale, self.rounding)
            for k, (_, v) in enumerate(recent, start=1)
        )
        return max(super().error(known), *missed)

    def hidden(self, step: Counts, value: _Pooled) -> float:
        """By the invariants between the points."""
        if self.smooth:
            return 0.0
        with torch.no_grad():
            between = at_refinement(self.field, value.lattice.between(), 1, self.pool.memory)
        return self._moved(value, self.pool._pooled(between, value.lattice.spacing))
