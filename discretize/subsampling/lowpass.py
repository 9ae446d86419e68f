"""Low-pass filters before the stride: BlurPool's binomial one (Zhang, ICML 2019), and the ideal one.

The ideal one leaves no aliasing, and commutes with every real translation (Michaeli et al., CVPR 2023).
"""

from __future__ import annotations

from typing import Any

from discretize.grid import Grid, divides
from discretize.prefilter import Prefilter
from discretize.prefilter import filtered as prefiltered
from discretize.samples import Samples
from discretize.subsampling.subsampling import Subsampling
from discretize.subsampling.upsampling import Upsampling, binomial
from discretize.trigonometric import below, filtered
from fields import Field, checks
from fields.accuracy import MOST_FILTER
from fields.commuting import Commutes


class IdealLowpass(Subsampling):
    """Drop all waves at and above the coarse grid's Nyquist frequency, then keep every s-th sample.

    Parameters
    ----------
    s : int or sequence of int
        It must divide the shape of the grid, which is periodic.
    spacing : float or sequence of float, optional
        That of the fine grid. Where it is given, a Field with a period is filtered too, by its spectrum: exactly where
        that is known, otherwise to 1e-4 of its L2 norm. Without it a Field is left as it is.

    Notes
    -----
    Promise: commutes with all real translations, to rounding error, for periodic samples of waves below Nyquist.
    Linear. It rings at edges, and drops what a comoving grid keeps.

    Examples
    --------
    >>> from discretize import Grid, IdealLowpass, sample
    >>> from fields import PlaneWaves
    >>> f = sample(PlaneWaves([[0.125], [0.375]], [[1.0], [1.0]]), Grid(8, 1.0))
    >>> [round(v, 9) + 0.0 for v in IdealLowpass(2)(f).values[0].tolist()]
    [1.0, 0.0, -1.0, 0.0]
    """

    commutes_with = Commutes.REAL

    def __init__(self, s: Any, spacing: checks.VectorLike | None = None) -> None:
        super().__init__(s)
        self.spacing = spacing

    @property
    def upsampling(self) -> Upsampling:
        """Trigonometric interpolation on the fine grid."""
        return Upsampling(self.s, "fourier")

    def _filtered(self, f: Field) -> Field:
        if self.spacing is None:
            return f
        strides = checks.integers(self.s, f.dim, "stride")
        spacing = checks.positive(self.spacing, f.dim, "spacing")
        steps = [s * h for s, h in zip(strides, spacing, strict=True)]
        coarse = Grid((1,) * f.dim, steps, boundary="none")  # the period is the field's own
        return prefiltered(f, coarse, Prefilter("ideal"))[0]

    def _subsampled(self, f: Samples) -> Samples:
        strides = checks.integers(self.s, f.dim, "stride")
        if f.grid.boundary != "periodic":
            raise ValueError(
                f"an ideal low-pass filter needs periodic samples, got boundary {f.grid.boundary!r}: "
                "BlurPool works with all boundaries"
            )
        divides(strides, f.grid.shape, "periodic")
        values = f.values
        for axis in range(-1, -f.dim - 1, -1):
            n, s = f.grid.shape[axis], strides[axis]
            if s > 1:
                keep = below(n, n // s).to(f.device)
                values = filtered(values, keep, axis, f.dim, down=s)
        return f._with(values.contiguous(), f.grid.stride(strides))


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
        (self.taps,) = checks.integers(taps, 1, "taps", most=MOST_FILTER)
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
