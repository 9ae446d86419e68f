"""Samples: a feature map known on a grid, with the same vocabulary as a field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from discretize.alignment import aligned
from discretize.grid import Grid
from discretize.neighbours import looked_up, seen_by
from fields import arguments, checks, dtypes
from fields.accuracy import NODES
from fields.algebra.field import Field
from fields.algebra.linear import affine_values
from fields.algebra.local import check_kernel, check_window
from fields.algebra.pointwise import map_values
from fields.arrays import broadcast
from fields.feature_map import FeatureMap
from fields.kernels.aggregation import Aggregate, View, aggregate, weighted_sum
from fields.kernels.kernel import MatrixKernel
from fields.kernels.multipliers import check_period, is_extent
from fields.kernels.multipliers import convolved as spectrally_convolved
from fields.kernels.window import Window
from fields.lattice import take
from fields.leaves.interpolated import METHODS, Interpolated
from fields.stencils.correlation import mix
from fields.stencils.stencil import Stencil

if TYPE_CHECKING:
    import xarray as xr


class Samples(FeatureMap):
    """Values on a grid.

    Parameters
    ----------
    values : Tensor, shape (*batch, c, X1, …, Xd)
    grid : Grid
        Its boundary says how the values continue outside; its origin may differ over the batch.
    accuracy : float, optional
        Relative error that the values are known to, where they approximate a field, in the worst element of a batch; 0
        for rounding error only.

    Notes
    -----
    Samples ⊕ Field samples the field on the samples' grid, to rtol = 1e-4: for another tolerance add
    sample(field, f.grid, rtol) instead. Samples ⊕ Samples need one lattice: on periodic grids one is rolled onto the
    other, with boundary "none" the result lives where both are known, else the grids must be the same.

    Examples
    --------
    >>> import torch
    >>> from discretize import Grid, Samples
    >>> f = Samples(torch.arange(4.0)[None], Grid(4, 0.5))
    >>> (f + 1).stride(2).values.tolist(), f.translate([0.3]).grid.origin.tolist()
    ([[1.0, 3.0]], [0.3])
    """

    def __init__(self, values: Any, grid: Grid, accuracy: float | None = None) -> None:
        if not isinstance(grid, Grid):
            raise TypeError(f"grid must be a Grid, got {type(grid).__name__}")
        values = checks.as_tensor(values, "values")
        sizes = tuple(values.shape)
        if len(sizes) <= grid.dim or sizes[-grid.dim :] != grid.shape or 0 in sizes:
            raise ValueError(
                f"values on this grid have shape (*batch, c, {', '.join(map(str, grid.shape))}), no size 0, "
                f"got {tuple(values.shape)}"
            )
        self._set(values, grid, accuracy)

    #: Samples are tensors, whose dtype counts.
    weak = False

    def _set(self, values: Tensor, grid: Grid, accuracy: float | None) -> None:
        self.values, self.grid, self.accuracy = values, grid, accuracy
        self.dim, self.channels = grid.dim, values.shape[-grid.dim - 1]
        self.dtype, self.device = values.dtype, values.device
        lead = tuple(values.shape[: -grid.dim - 1])
        try:
            self.batch = tuple(broadcast(lead, grid.batch))
        except ValueError as error:
            raise ValueError(
                f"values of batch {lead} don't fit a grid of batch {grid.batch}"
            ) from error

    def _with(self, values: Tensor, grid: Grid | None = None) -> Samples:
        """New values without the checks, which belong to the public boundary."""
        new = Samples.__new__(Samples)
        new._set(values, self.grid if grid is None else grid, None)
        return new

    def __repr__(self) -> str:
        return f"Samples(batch={self.batch}, channels={self.channels}, dtype={self.dtype}, {self.grid})"

    # --- the vocabulary ---------------------------------------------------------------------------------------

    def translate(self, t: checks.VectorLike) -> Samples:
        """The same values on the grid moved by t: exact for every real t, shape (d,) or (*batch, d)."""
        return self._with(self.values, self.grid.translate(t))

    def map(
        self,
        fn: Callable[[Tensor], Tensor],
        jumps: bool | None = None,
        finest: checks.VectorLike | None = None,
    ) -> Samples:
        """`fn` at every sample; it sees channels last, (…, c), and may change their number.

        What `jumps` and `finest` say of it is for quadratures, which samples have none of.
        """
        arguments.known_of_function(jumps, finest, self.dim)
        return self._with(map_values(fn, self.values, self.dim))

    def convolve(self, kernel: MatrixKernel, nodes: int = NODES, exact: bool = True) -> Samples:
        """Σ_j w_j F(x − o_j): atoms, or a density with its nodes on this grid's spacing.

        Where offsets are no multiples of the spacing, their common remainder moves the origin; where they have no
        common remainder, ValueError. A kernel on a whole period acts by FFT, on the trigonometric interpolant.
        """
        check_kernel(kernel, self.channels)
        f = self.to(dtypes.met(self, kernel))
        kernel = kernel.to(f.dtype)
        kernel.reach(self.dim)  # raises where the kernel has other dimensions
        if kernel.period is not None:
            return f._over_a_period(kernel, kernel.period)
        stencils = kernel.stencils(self.grid.spacing, self.grid.spacing)
        return f._stenciled([s.to(f.values) for s in stencils], weighted_sum)

    def pool(
        self, window: Window, kind: str | float | Aggregate = "mean", nodes: int = NODES
    ) -> Samples:
        """Aggregate of the samples in a window: n samples per axis for a box of n spacings."""
        check_window(window)
        window.reach(self.dim)
        chosen, spacing = aggregate(kind), self.grid.spacing
        f = self.to(dtypes.met(self, chosen))
        stencils = window.taps(spacing, spacing, chosen.taps, f.values)
        return f._stenciled(stencils, chosen.combine)

    def mix(self, matrix: Any) -> Samples:
        """M F(x) at every sample, M of shape (c_out, c_in)."""
        weights = checks.matrix(matrix, self.channels, self.values)
        dtype = dtypes.met(self, *dtypes.strong(matrix))
        return self._with(mix(self.values.to(dtype), weights.to(dtype), self.dim))

    def to(self, dtype: torch.dtype) -> Samples:
        """The same samples in another precision: themselves, where they have it."""
        if self.dtype == dtype:
            return self
        new = self._with(self.values.to(arguments.real_dtype(dtype)))
        new.accuracy = self.accuracy
        return new

    def stride(self, s: Any) -> Samples:
        """Every s-th sample."""
        grid = self.grid.stride(s)
        steps = checks.integers(s, self.dim, "stride")
        return self._with(take(self.values, (slice(None, None, q) for q in steps)), grid)

    def _plus(self, other: Any, sign: float) -> Samples:
        if not isinstance(other, Field | Samples):
            return self._affine(
                1.0, sign * checks.channel_vector(other, self.channels, self.values)
            )
        left, right = aligned(self, other)
        return left._with(
            left.values + sign * right.values if sign < 0 else left.values + right.values
        )

    def _times(self, other: Any) -> Samples:
        if not isinstance(other, Field | Samples):
            return self._affine(checks.channel_vector(other, self.channels, self.values), 0.0)
        left, right = aligned(self, other)
        return left._with(left.values * right.values)

    def _affine(self, scale: Tensor | float, shift: Tensor | float) -> Samples:
        return self._with(affine_values(self.values, scale, shift, self.dim))

    def _over_a_period(self, kernel: MatrixKernel, period: Sequence[float]) -> Samples:
        grid = self.grid
        fills = grid.boundary == "periodic" and is_extent(period, grid.shape, grid.spacing)
        check_period(
            kernel, fills, f"samples with boundary {grid.boundary!r} of extent {grid.extent}"
        )
        values = spectrally_convolved(self.values, grid.spacing, kernel)
        assert values is not None  # a kernel on a period always knows its transform
        return self._with(values)

    # --- how it is done ---------------------------------------------------------------------------------------

    def _stenciled(
        self, stencils: list[Stencil], combine: Callable[[Sequence[View]], Tensor]
    ) -> Samples:
        views, grid = seen_by(stencils, self.values, self.grid)
        return self._with(combine(views), grid)

    def known(self) -> Samples:
        """The same samples with nothing assumed outside of them (boundary "none")."""
        return self._with(self.values, self.grid.replace(boundary="none"))

    def crop(self, first: Any, count: Any) -> Samples:
        """The samples first ≤ i < first + count per axis, as a map known only there (boundary "none").

        Parameters
        ----------
        first, count : int or sequence of int
        """
        begin = checks.integers(first, self.dim, "first", least=0)
        size = checks.integers(count, self.dim, "count")
        if any(b + n > m for b, n, m in zip(begin, size, self.grid.shape, strict=True)):
            raise ValueError(
                f"a crop of {size} from {begin} leaves the grid of shape {self.grid.shape}"
            )
        move = self.grid.origin.new_tensor(
            [b * h for b, h in zip(begin, self.grid.spacing, strict=True)]
        )
        grid = self.grid.replace(shape=size, origin=self.grid.origin + move, boundary="none")
        cut = tuple(slice(b, b + n) for b, n in zip(begin, size, strict=True))
        return self._with(take(self.values, cut), grid)

    # --- back to functions ------------------------------------------------------------------------------------

    def interpolate(self, method: str | None = None) -> Interpolated:
        """The field through the samples.

        Parameters
        ----------
        method : str, optional
            As for `Interpolated`; "fourier" for a periodic boundary, "linear" for zeros, unless given.
        """
        boundary = self.grid.boundary
        if method is None:
            method = "fourier" if boundary == "periodic" else "linear"
        return Interpolated(self.values, self.grid.spacing, self.grid.origin, method, boundary)

    def resample(self, grid: Grid, method: str = "fourier") -> Samples:
        """The values on another grid: looked up bit for bit where its points are samples, interpolated otherwise.

        Parameters
        ----------
        grid : Grid
            Where its points lie on this map's lattice, all of them or every s-th, those outside of the map follow its
            boundary, whatever that is; with boundary "none" every point must be known.
        method : str
            As for `Interpolated`.
        """
        arguments.choice(method, "method", METHODS)
        strides, steps, close = self.grid._sublattice(grid)
        if bool(close.all()):
            return self._with(looked_up(self.values, self.grid, steps, grid, strides), grid)
        values = self.interpolate(method)._values(grid.lattice)
        if bool(close.any()):  # elements of a batch that need no interpolation get none
            moved = looked_up(self.values, self.grid, steps, grid, strides)
            close = close.to(self.device).reshape(*close.shape, *(1,) * (self.dim + 1))
            values = torch.where(close, moved, values)
        return self._with(values, grid)

    def to_xarray(
        self, name: str = "feature_map", units: str = "1", length_units: str = "1"
    ) -> xr.DataArray:
        """A labelled copy on the CPU, dimensions (batch …, x1, …, xd, channel); gradients end here.

        Coordinates x1, …, xd are positions; where origins differ over the batch they count from them, which are then
        coordinates origin_x1, …, origin_xd, all spread over the common batch. Spacing, origin, boundary and accuracy
        are attributes; `units` and `length_units` are written as CF has them.

        Examples
        --------
        >>> import torch
        >>> from discretize import Grid, Samples
        >>> f = Samples(torch.zeros(3, 8, 6), Grid((8, 6), 0.5))
        >>> dict(f.to_xarray(length_units="m").sizes)
        {'x1': 8, 'x2': 6, 'channel': 3}
        """
        from discretize.labelled import to_xarray

        return to_xarray(self, name, units, length_units)

    @classmethod
    def from_xarray(
        cls,
        array: xr.DataArray,
        space: Sequence[str] | None = None,
        channel: str = "channel",
        boundary: str | None = None,
    ) -> Samples:
        """What `to_xarray` gave, bit for bit, through NetCDF too; or any array with even, increasing coordinates.

        Parameters
        ----------
        array : xarray.DataArray
        space : sequence of str, optional
            The dimensions of space, in order: x1, x2, x3, as far as there are, unless given.
        channel : str
            The dimension of channels; one channel where it is missing. All other dimensions are batch.
        boundary : str, optional
            As stored unless given; "none" where nothing is, or only a part is left of what was stored.

        Raises
        ------
        ValueError
            Where a coordinate is uneven, decreasing or missing: with the reason.
        """
        from discretize.labelled import from_xarray

        return from_xarray(array, space, channel, boundary)
