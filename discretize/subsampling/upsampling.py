"""Upsampling: the partners of subsamplings, which put values back where they came from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from discretize.boundary import extend
from discretize.grid import Grid
from discretize.samples import Samples
from discretize.trigonometric import upsampled
from fields import FeatureMap, Field, arguments, checks
from fields.accuracy import MOST_FILTER
from fields.kernels.window import Mask

Map = TypeVar("Map", bound=FeatureMap)

#: How the samples between the known ones are filled.
FILLS = ("zeros", "hold", "fourier", "blur")


class Upsampling(nn.Module):
    """Samples on a grid that is s times as fine, at the places that the coarse grid says.

    Parameters
    ----------
    s : int or sequence of int
    fill : {"zeros", "hold", "fourier", "blur"}
        zeros: the values at their points, 0 between them: U(S(f)) = f there. hold: every value all over its cell of
        s^d samples, whose centre it is (s even: the new grid lies half a spacing off). fourier: the trigonometric
        interpolant of periodic samples. blur: zeros, then the binomial filter of BlurPool, with gain s^d.
    taps : int
        Of the blur.

    Notes
    -----
    Without a `grid` the finer grid begins where the coarse one does. Given the grid that the values came from, they are
    moved there: bit for bit where it is the same lattice, else by interpolation. Since the origin of the coarse grid
    moves along with its values, all fills commute with all translations, given a grid with those that it allows.
    A Field is left as it is.

    Examples
    --------
    >>> from discretize import EquivariantSubsampling, Grid, Samples
    >>> down = EquivariantSubsampling(2)
    >>> f = Samples([[0.0, 4.0, 1.0, 2.0]], Grid(4, 1.0))
    >>> down.upsampling(down(f), f.grid).values.tolist()
    [[0.0, 4.0, 0.0, 2.0]]
    """

    def __init__(self, s: Any, fill: str = "zeros", taps: int = 4) -> None:
        super().__init__()
        (self.taps,) = checks.integers(taps, 1, "taps", most=MOST_FILTER)
        self.s, self.fill = checks.counts(s, "stride"), arguments.choice(fill, "fill", FILLS)

    def extra_repr(self) -> str:
        """Stride and fill."""
        return f"{self.s}, {self.fill!r}"

    def forward(self, f: Map, grid: Grid | None = None, weight: Tensor | None = None) -> Map:
        """Upsample Samples.

        Parameters
        ----------
        f : Samples or Field
        grid : Grid, optional
            Move them onto it.
        weight : Tensor, shape (*batch,), optional
            Multiplies the values of each element, such as the probability of its sublattice (LearnablePolyphase).
        """
        if isinstance(f, Field):
            checks.integers(self.s, f.dim, "stride")
            return f
        if not isinstance(f, Samples):
            raise TypeError(f"expected a Field or Samples, got {type(f).__name__}")
        strides = checks.integers(self.s, f.dim, "stride")
        out = self._finer(f if weight is None else _weighted(f, weight), strides)
        return out if grid is None else out.resample(grid)  # type: ignore[return-value]

    def _finer(self, f: Samples, strides: tuple[int, ...]) -> Samples:
        fine = f.grid.refine(strides)
        if self.fill == "fourier":
            if f.grid.boundary != "periodic":
                raise ValueError(
                    f"fill 'fourier' needs periodic samples, got boundary {f.grid.boundary!r}"
                )
            return f._with(upsampled(f.values, strides), fine)
        if self.fill == "hold":
            values = f.values
            for axis, s in enumerate(strides):
                values = values.repeat_interleave(s, axis - f.dim)
            move = fine.origin.new_tensor(
                [(s - 1) / 2 * h for s, h in zip(strides, fine.spacing, strict=True)]
            )
            return f._with(values, fine.replace(origin=fine.origin - move))
        if self.fill == "zeros":
            return f._with(_stuffed(f.values, strides), fine)
        window, gain = binomial(self.taps, f.dim, fine.spacing), math.prod(strides)
        blurred = between_zeros(f, strides, [self.taps] * f.dim, lambda g: g.pool(window))
        return blurred._with(gain * blurred.values)


def _weighted(f: Samples, weight: Tensor) -> Samples:
    batch = f.values.shape[: -f.dim - 1]
    if not isinstance(weight, Tensor) or weight.shape != batch:
        got = tuple(weight.shape) if isinstance(weight, Tensor) else type(weight).__name__
        raise ValueError(
            f"weight must be a tensor with one number for each element of the batch {tuple(batch)}, got {got}"
        )
    return f._with(weight[(..., *(None,) * (f.dim + 1))] * f.values)


def binomial(taps: int, dim: int, spacing: checks.VectorLike) -> Mask:
    """Row taps − 1 of Pascal's triangle along every axis, as weights of a window."""
    row = torch.ones(1, dtype=torch.float64)
    for _ in range(taps - 1):
        row = torch.nn.functional.pad(row, (0, 1)) + torch.nn.functional.pad(row, (1, 0))
    weights = row
    for _ in range(dim - 1):
        weights = weights[..., None] * row
    return Mask(weights, spacing)


def between_zeros(
    f: Samples,
    strides: tuple[int, ...],
    taps: Sequence[int],
    apply: Callable[[Samples], Samples],
) -> Samples:
    """Apply a filter of so many taps per axis to samples with s − 1 zeros after each of them.

    Zeros lie between the samples outside, too: a boundary that repeats samples mustn't repeat those of the finer array.
    """
    zeros, grid = Upsampling(strides), f.grid
    if grid.boundary not in ("reflect", "nearest"):
        return apply(zeros(f))
    wide = [-(-k // s) for k, s in zip(taps, strides, strict=True)]
    last = [n - 1 + w for n, w in zip(grid.shape, wide, strict=True)]
    around = extend(f.values, [-w for w in wide], last, grid.boundary)
    out = apply(zeros(f._with(around, grid.dilate(wide))))
    first, count = ([n * s for n, s in zip(m, strides, strict=True)] for m in (wide, grid.shape))
    out = out.crop(first, count)
    return out._with(out.values, out.grid.replace(boundary=grid.boundary))


def _stuffed(values: Tensor, strides: Sequence[int]) -> Tensor:
    """Put s − 1 zeros after every sample."""
    dim = len(strides)
    for axis, s in enumerate(strides, start=-dim):
        rows = values.movedim(axis, -1)[..., None]
        values = torch.nn.functional.pad(rows, (0, s - 1)).flatten(-2).movedim(-1, axis)
    return values
