"""Global pooling to invariants: the layers whose output translations leave alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from discretize import Samples
from discretize.refinement import at_refinement, is_smooth, node_rate
from fields import FeatureMap, Field
from fields.accuracy import MEMORY_BOUND
from fields.algebra import closed_forms
from fields.arguments import fraction, size
from fields.checks import said
from fields.evaluation.integrals import domain, lattice_count, least_points
from fields.evaluation.settling import Counts, OverRegion, Region, Taken, relative
from fields.lattice import Lattice, take


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
        region = self._domain(f)
        known = closed_forms.integral(f) if self.kind in ("mean", "integral") else None
        if known is not None:
            return (known / math.prod(region[1]) if self.kind == "mean" else known), 0.0
        found, error, _ = _Pooling(self, f, region).settle()
        return found.total, error

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

    def _domain(self, f: Field) -> Region:
        """Corner and extent of what is pooled over."""
        region = domain(f)
        if region is None or (f.period is None and self.kind not in ("integral", "max")):
            raise ValueError(
                f"a global {self.kind!r} pooling needs a period, or a decaying field and kind 'integral' or 'max': "
                "this field has no known period; use field.periodize(period), or sample it first"
            )
        return region


class _Pooling(OverRegion):
    """The invariants over a region, and those of its sublattices."""

    def __init__(self, pool: GlobalPool, field: Field, region: Region) -> None:
        super().__init__(field, region, pool.rtol, pool.memory, is_smooth(field, pool.rtol))
        # Means of waves are exact on a lattice that tells them all.
        self.pool, self.linear = pool, self.smooth and pool.kind in ("mean", "integral")
        self.enough, self.before = 2, math.inf

    def first(self) -> Counts:
        least = least_points(self.field, self.rtol)
        margin = 2 if self.smooth and not self.linear else 1
        rates = node_rate(self.field, self.rtol, self.pool.kind == "max")
        needed = tuple(
            margin * max(least, math.ceil(r * e) + 1)
            for r, e in zip(rates, self.extent, strict=True)
        )
        # In fours, so that every fourth point is a lattice of its own.
        return lattice_count(self.field, self.extent, needed, unit=4)

    def take(self, lattice: Lattice) -> tuple[Tensor, Tensor]:
        values, pool = at_refinement(self.field, lattice, 1, self.memory), self.pool._pooled
        self.values = values.detach()
        sizes = self.values.abs()
        if self.pool.kind == "integral":
            return pool(values, lattice.spacing), pool(sizes, lattice.spacing).amax(-1)
        return pool(values, lattice.spacing), sizes.flatten(-lattice.dim - 1).amax(-1)

    def error(self, known: Sequence[tuple[Counts, Taken]]) -> float:
        """By changes, or a quarter of what a lattice 4 times as coarse can miss.

        A small change may be chance, and is with maxima: half of the points may hold the largest of all. So the
        invariants are also taken from each of the 4^d sublattices, which are what translations of the field would show
        there: an error that shrinks at least as fast as the spacing is a quarter of theirs.
        """
        error = super().error(known)
        if not self.linear:
            error = max(error, self._missed(known[-1][1]))
        before, self.before = self.before, error
        return error if self.smooth else max(error, before / 4)

    def _missed(self, value: Taken) -> float:
        wide = tuple(4 * h for h in value.lattice.spacing)
        starts = itertools.product(range(4), repeat=self.field.dim)
        parts = (take(self.values, (slice(k, None, 4) for k in start)) for start in starts)
        apart = [(self.pool._pooled(p, wide) - value.total).detach().abs().amax(-1) for p in parts]
        return relative(torch.stack(apart).amax(0) / 4, value.size, self.rounding)
