"""Whether a field and a grid fit together, and two feature maps on one grid, to be added or multiplied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discretize.accuracy import FIELD_RTOL
from discretize.refinement import refined
from fields import checks, dtypes
from fields.algebra import linear
from fields.algebra.field import Field

if TYPE_CHECKING:
    from discretize.samples import Samples
import torch

from discretize.grid import Grid


def aligned(left: Samples, right: Samples | Field) -> tuple[Samples, Samples]:
    """Both maps as samples on one grid, which is that of the samples on the left, or a part of it.

    A field is sampled there. Samples on periodic grids of one lattice and shape are rolled, however many spacings apart
    they are; those with boundary "none" are cut down to what both know.

    Raises
    ------
    ValueError
        Where the maps have different dimensions, channels, boundaries or lattices, or the grid is periodic and the
        field isn't.
    """
    if right.dim != left.dim:
        raise ValueError(f"maps in {left.dim} and {right.dim} dimensions don't combine")
    checks.same_channels(left.channels, right.channels)
    dtype = dtypes.met(left, right)
    left = left.to(dtype)
    if isinstance(right, Field):
        right = linear.cast(right, dtype)
        check_pair(right, left.grid)
        return left, left._with(refined(right, left.grid.lattice, FIELD_RTOL).values)
    right = right.to(dtype)
    grid, other = left.grid, right.grid
    if grid.boundary != other.boundary:
        raise ValueError(
            f"samples with boundary {grid.boundary!r} and {other.boundary!r} don't combine"
        )
    if grid.coincides(other):
        return left, right
    steps = grid.steps_to(other)
    if steps is not None and grid.boundary == "periodic" and grid.shape == other.shape:
        return left, right.resample(grid)
    apart = [] if steps is None else steps.reshape(-1, grid.dim).unique(dim=0).tolist()
    if grid.boundary != "none" or len(apart) != 1:
        raise ValueError(
            f"samples on different lattices don't combine: {grid} and {other}; "
            "resample one of them: f.resample(g.grid)"
        )
    return _intersection(left, right, apart[0])


def _intersection(left: Samples, right: Samples, steps: list[int]) -> tuple[Samples, Samples]:
    shapes = zip(left.grid.shape, steps, right.grid.shape, strict=True)
    first = [max(0, k) for k in steps]
    count = [min(n, k + m) - a for (n, k, m), a in zip(shapes, first, strict=True)]
    if min(count) < 1:
        raise ValueError(f"grids {left.grid} and {right.grid} have no point in common")
    there = [a - k for a, k in zip(first, steps, strict=True)]
    return left.crop(first, count), right.crop(there, count)


def check_pair(field: Field, grid: Grid) -> None:
    """Raise where a field can't be sampled on a grid."""
    if not isinstance(field, Field):
        raise TypeError(f"only a Field can be sampled, got {type(field).__name__}")
    if not isinstance(grid, Grid):
        raise TypeError(f"grid must be a Grid, got {type(grid).__name__}")
    if field.dim != grid.dim:
        raise ValueError(
            f"a field on R^{field.dim} can't be sampled on a grid with {grid.dim} axes"
        )
    if torch.compiler.is_compiling():  # whose frequencies, say, can't be read
        return
    if grid.boundary == "periodic" and not field.is_periodic(grid.extent):
        raise ValueError(
            f"the grid is periodic with period {grid.extent}, the field isn't, as far as is known: sum its images by "
            f"field.periodize({grid.extent}), or take a grid with boundary 'none' (or 'zero', 'reflect', 'nearest')"
        )
