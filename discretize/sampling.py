"""From fields to samples."""

from __future__ import annotations

from discretize.alignment import check_pair
from discretize.grid import Grid
from discretize.prefilter import Prefilter, as_prefilter, filtered
from discretize.refinement import at_refinement, refined
from discretize.samples import Samples
from discretize.spectrum import warn_of_aliasing
from fields import arguments, checks
from fields.accuracy import MEMORY_BOUND
from fields.algebra.field import Field
from fields.evaluation.settling import NotResolved
from fields.lattice import LatticeTooLarge


def sample(
    field: Field,
    grid: Grid,
    rtol: float = 1e-4,
    refinement: int | None = None,
    prefilter: str | Prefilter | None = None,
    memory: int = MEMORY_BOUND,
) -> Samples:
    """Values of a field on a grid.

    Parameters
    ----------
    field : Field
    grid : Grid
        Its origin may be batched; batches of field and grid broadcast.
    rtol : float
        The quadratures of all layers in the field are put on the grid refined m times, m growing by 3/2 and 4/3 in
        turns from what the bands of leaves and kernels need, until the error, estimated from the last three, is at
        most `rtol`: relative, in the maximum norm and in L2, for each element of a batch by itself. The estimate for
        the worst element is the `accuracy` of the result; 0 where the field has no quadrature. Below 64 eps of the
        dtype (8e-6 in float32) it stands for that, as everywhere.
    refinement : int, optional
        Take this m instead, without any promise: `accuracy` is None unless the field has no quadrature.
    prefilter : {"ideal", "gaussian", "bspline", "box", "none"} or Prefilter, optional
        Convolve the field with this low-pass filter of the grid's spacing first; "none" doesn't, and says that it is
        meant. Accuracy is then that of the filtered field.
    memory : int
        Bound on the values alive at once, in bytes. What needs more is done in tiles, up to 64 times as many values.

    Warns
    -----
    AliasingWarning
        Without a prefilter, where the field has a band limit that is known, above the grid's Nyquist, and more than
        rtol² of its energy lies there: with that share. To sample so on purpose, take prefilter="none", or filter this
        class of warnings.

    Raises
    ------
    NotResolved
        Where `rtol` can't be met within `memory`, in tiles: a ValueError that says what was reached and what would
        help, as soon as convergence at fourth order from there would take too much.
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
    rtol, memory = arguments.fraction(rtol, "rtol"), arguments.size(memory)
    if refinement is not None:
        (refinement,) = checks.integers(refinement, 1, "refinement")
    chosen, error, approximate = as_prefilter(prefilter), 0.0, field.has_quadrature
    if chosen is None:
        warn_of_aliasing(field, grid, rtol, memory, stacklevel=2)
    else:
        field, error = filtered(field, grid, chosen, rtol, refinement, memory)
    accuracy: float | None
    if refinement is None:
        values, reached, _ = refined(field, lattice, rtol, memory)
        accuracy = reached + error
    else:
        try:
            values = at_refinement(field, lattice, refinement, memory)
        except LatticeTooLarge as too_large:
            raise NotResolved(
                f"refinement {refinement}: {too_large}; take a smaller refinement or grid, or a larger memory=…"
            ) from too_large
        accuracy = None if approximate or field.has_quadrature else error
    if not checks.all_finite(values):
        raise ValueError("the field isn't finite on this grid: it has NaN or infinite values there")
    return Samples(values, grid, accuracy)
