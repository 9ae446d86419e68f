"""From fields to samples."""

from __future__ import annotations

import torch

from discretize.grid import Grid
from discretize.refinement import NotResolved, at_refinement, refined
from discretize.samples import Samples
from fields import checks
from fields.field import Field
from fields.lattice import MEMORY_BOUND, LatticeTooLarge


def sample(
    field: Field,
    grid: Grid,
    rtol: float = 1e-4,
    refinement: int | None = None,
    memory: int = MEMORY_BOUND,
) -> Samples:
    """Values of a field on a grid.

    Parameters
    ----------
    field : Field
    grid : Grid
        Its origin may be batched; batches of field and grid broadcast.
    rtol : float
        The quadratures of all layers in the field are put on the grid refined m times, m doubled from what the
        bands of leaves and kernels need, until the error, estimated from the last changes, is at most `rtol`,
        relative, in the maximum norm and in L2. The estimate is the `accuracy` of the result; 0 where the field has no
        quadrature.
    refinement : int, optional
        Take this m instead, without any promise: `accuracy` is None unless the field has no quadrature.
    memory : int
        Bound on the values alive at once, in bytes.

    Raises
    ------
    NotResolved
        Where `rtol` can't be met within `memory`: a ValueError that says what was reached and what would help.
    ValueError
        Where the grid is periodic and the field isn't, with the period of the grid.

    Examples
    --------
    >>> from discretize import Grid, sample
    >>> from fields import GaussianKernel, random_bandlimited
    >>> F = random_bandlimited(2, 1, bandlimit=0.2, period=16.0, seed=0)
    >>> f = sample(F.convolve(GaussianKernel(0.8, [[1.0]])), Grid((16, 16), 1.0), rtol=1e-6)
    >>> f.values.shape, f.accuracy < 1e-6
    (torch.Size([1, 16, 16]), True)
    """
    check_pair(field, grid)
    lattice = grid.lattice
    accuracy: float | None
    if refinement is None:
        if not 0 < rtol < 1:
            raise ValueError(f"rtol must lie between 0 and 1, got {rtol}")
        values, accuracy = refined(field, lattice, rtol, memory)
    else:
        (m,) = checks.integers(refinement, 1, "refinement")
        try:
            values = at_refinement(field, lattice, m, memory)
        except LatticeTooLarge as error:
            raise NotResolved(
                f"refinement {m}: {error}; take a smaller refinement or grid, or a larger memory=…"
            ) from error
        accuracy = None if field.has_quadrature else 0.0
    if not bool(torch.isfinite(values).all()):
        raise ValueError("the field isn't finite on this grid: it has NaN or infinite values there")
    samples = Samples(values, grid, accuracy)
    return samples


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
    if grid.boundary == "periodic" and not field.is_periodic(grid.extent):
        raise ValueError(
            f"the grid is periodic with period {grid.extent}, the field isn't, as far as is known: sum its images by "
            f"field.periodize({grid.extent}), or take a grid with boundary 'none' (or 'zero', 'reflect', 'nearest')"
        )
