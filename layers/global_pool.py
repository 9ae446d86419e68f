"""Global pooling to invariants: the layers whose output translations leave alone."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

from discretize import NotResolved, Samples
from discretize.refinement import at_refinement, is_smooth, node_rate
from fields import FeatureMap, Field, LatticeTooLarge, closed
from fields.arguments import fraction, size
from fields.checks import said
from fields.evaluation import MEMORY_BOUND
from fields.integrals import domain, lattice_count
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
        corner, extent = self._domain(f)
        known = closed.integral(f) if self.kind in ("mean", "integral") else None
        if known is not None:
            return (known / math.prod(extent) if self.kind == "mean" else known), 0.0
        smooth = is_smooth(f, self.rtol)
        # Means of waves are exact on a lattice that tells them all.
        linear = smooth and self.kind in ("mean", "integral")
        margin, rates = 2 if smooth and not linear else 1, node_rate(f, self.rtol)
        lengths = zip(rates, extent, strict=True)
        needed = tuple(margin * max(8, math.ceil(r * length) + 1) for r, length in lengths)
        # In fours, so that every fourth point is a lattice of its own.
        count = lattice_count(f, extent, needed, unit=4)
        last: Tensor | None = None
        previous = reached = math.inf
        while True:
            spacing = tuple(e / n for e, n in zip(extent, count, strict=True))
            lattice = Lattice(torch.tensor(corner, dtype=torch.float64), spacing, count)
            try:
                values = at_refinement(f, lattice, 1, self.memory)
            except LatticeTooLarge as too_large:
                raise NotResolved(self._advice(count, reached, too_large)) from too_large
            pooled = self._pooled(values, spacing)
            if last is not None:
                error = self._error(values.detach(), spacing, (pooled - last).detach(), linear)
                reached = error if smooth else _remaining(error, previous)
                previous = error
                if reached <= self.rtol and not smooth:
                    with torch.no_grad():
                        between = at_refinement(f, lattice.between(), 1, self.memory)
                    moved = (self._pooled(between, spacing) - pooled).detach()
                    reached = max(reached, self._relative(moved.abs().amax(-1), values, spacing))
                if reached <= self.rtol:
                    return pooled, reached
                if math.isnan(reached):
                    raise ValueError("the field isn't finite: it has no invariant of this kind")
            last, count = pooled, tuple(2 * n for n in count)

    def _error(
        self, values: Tensor, spacing: tuple[float, ...], change: Tensor, linear: bool
    ) -> float:
        """Estimated relative error: the last change, or a quarter of what a lattice 4 times as coarse can miss.

        A small change may be chance, and is with maxima: half of the points may hold the largest of all. So the
        invariants are also taken from each of the 4^d sublattices, which are what translations of the field would show
        there: an error that shrinks at least as fast as the spacing is a quarter of theirs.
        """
        size = change.abs().amax(-1)
        if not linear:
            size = size.maximum(self._spread(values, spacing) / 4)
        return self._relative(size, values.detach(), spacing)

    def _relative(self, size: Tensor, values: Tensor, spacing: tuple[float, ...]) -> float:
        """The largest of differences (*batch,), relative to max|F|, or ∫|F| for an integral; never below rounding."""
        values = values.detach()
        scale = values.abs().flatten(-len(spacing) - 1).amax(-1)
        if self.kind == "integral":
            scale = self._pooled(values.abs(), spacing).amax(-1)
        relative = float((size / torch.where(scale > 0, scale, 1.0)).amax())
        return max(relative, torch.finfo(values.dtype).eps)

    def _spread(self, values: Tensor, spacing: tuple[float, ...]) -> Tensor:
        """Largest distance (*batch) of a sublattice's invariants, every fourth point, from those of all points."""
        pooled, wide = self._pooled(values, spacing), tuple(4 * h for h in spacing)
        starts = itertools.product(range(4), repeat=len(spacing))
        parts = (take(values, (slice(k, None, 4) for k in start)) for start in starts)
        apart = [(self._pooled(part, wide) - pooled).abs().amax(-1) for part in parts]
        return torch.stack(apart).amax(0)

    def _advice(self, count: tuple[int, ...], reached: float, error: LatticeTooLarge) -> str:
        half, points = ("×".join(str(n // k) for n in count) for k in (2, 1))
        said = f"with {half} points the error is estimated as {reached:.1e}, and "
        return (
            f"rtol = {self.rtol:g} can't be reached: {said if reached < math.inf else ''}with {points} points {error}. "
            "What helps: a larger rtol, a larger memory=…"
        )

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


def _remaining(change: float, previous: float) -> float:
    """Error that the last two changes under doubling leave.

    The change, or a quarter of the one before, the rate of second order, where that is more: a rule whose weights
    depend on where a rim falls between its nodes changes erratically, and one change may be small by chance.
    """
    return max(change, previous / 4)
