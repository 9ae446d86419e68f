"""BlurPool: a binomial low-pass filter before the stride (Zhang, ICML 2019)."""

from __future__ import annotations

from typing import Any

from discretize.samples import Samples
from discretize.subsampling import Subsampling
from discretize.upsampling import Upsampling, binomial
from fields import Field, arguments, checks
from fields.commuting import Commutes


class BlurPool(Subsampling):
    """Binomial low-pass filter, then every s-th sample (Zhang 2019).

    Parameters
    ----------
    s : int or sequence of int
    taps : int
        Length of the filter per axis: row taps − 1 of Pascal's triangle, scaled to sum 1. An even number moves the
        output by half a spacing, which its grid says.
    spacing : float or sequence of float, optional
        Where it is given, a Field is filtered too, with taps that far apart; otherwise a Field is left as it is.

    Notes
    -----
    Promise: commutes with translations by multiples of s spacings, on a periodic grid; between them it only aliases
    less. After a maximum, `Sequential(MaxPool(window), BlurPool(s))`, it makes the paper's MaxBlurPool.

    Examples
    --------
    >>> from discretize import BlurPool, Grid, Samples
    >>> BlurPool(2, taps=3)(Samples([[0.0, 4.0, 0.0, 0.0]], Grid(4, 1.0))).values.tolist()
    [[1.0, 1.0]]
    """

    commutes_with = Commutes.MULTIPLES

    def __init__(self, s: Any, taps: int = 4, spacing: checks.VectorLike | None = None) -> None:
        super().__init__(s)
        (self.taps,) = checks.integers(taps, 1, "taps", most=arguments.MOST_FILTER)
        self.spacing = None if spacing is None else checks.lengths(spacing, "spacing")

    def extra_repr(self) -> str:
        """Stride and taps."""
        return f"{self.s}, taps={self.taps}"

    @property
    def upsampling(self) -> Upsampling:
        """Zeros between the values, then the same filter with gain s^d."""
        return Upsampling(self.s, "blur", self.taps)

    def _filtered(self, f: Field) -> Field:
        return f if self.spacing is None else f.pool(binomial(self.taps, f.dim, self.spacing))

    def _subsampled(self, f: Samples) -> Samples:
        return f.pool(binomial(self.taps, f.dim, f.grid.spacing)).stride(self.s)
