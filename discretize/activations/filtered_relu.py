"""Pointwise non-linearities between approximate filters: StyleGAN3's and the convolutional neural operator's.

Karras et al., "Alias-Free Generative Adversarial Networks", NeurIPS 2021
Raonić et al., "Convolutional Neural Operators", NeurIPS 2023
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from discretize.boundary import extend
from discretize.samples import Samples
from discretize.subsampling.subsampling import Subsampling
from discretize.subsampling.upsampling import Upsampling, between_zeros
from fields import Field, arguments, checks
from fields.accuracy import MOST_FILTER
from fields.algebra.pointwise import map_values
from fields.commuting import Commutes
from fields.stencils.correlation import along


class FilteredLeakyReLU(Subsampling):
    """Zeros between samples → FIR filter with gain u^d → gain·leaky ReLU → clamp → FIR filter → every d-th sample.

    Parameters
    ----------
    up, down : int or sequence of int
        u and d. The output's spacing is d/u times the input's.
    cutoff : float
        f_c of both filters, in waves per sample of the input for the first, of the output for the second; 0.5 is
        critical sampling.
    stopband : float, optional
        f_t, where the filters' transition ends, in the same units: 2^0.3·f_c unless given. The half-width of the
        transition is max(f_t, 0.5) − f_c.
    taps : int
        The first filter has taps·u taps per axis, the second taps·d: windowed sines, Kaiser's window.
    slope, gain, clamp : float
        Of the leaky ReLU, and of what follows.
    radial : bool
        In two dimensions, with one `down` for both axes: the second filter is 2J₁(2πf_c r)/r times the outer product of
        Kaiser's windows, as in the paper's rotation-equivariant networks, instead of a product over the axes.

    Notes
    -----
    Promise: none that is exact but for translations by multiples of the output's spacing, on a periodic grid; the error
    between falls with the cutoff. An even number of taps moves the samples by half a fine spacing, which the grid says.
    A bias is a layer of its own. On a Field it is the non-linearity alone.

    Examples
    --------
    >>> import torch
    >>> from discretize import FilteredLeakyReLU, Grid, Samples
    >>> f = FilteredLeakyReLU(up=2, down=4)(Samples(torch.ones(1, 1, 16).double(), Grid(16, 1.0)))
    >>> f.grid.shape, f.grid.spacing, round(float(f.values.mean()), 2)
    ((8,), (2.0,), 1.41)
    """

    commutes_with = Commutes.MULTIPLES

    def __init__(
        self,
        up: Any = 2,
        down: Any = 2,
        cutoff: float = 0.25,
        stopband: float | None = None,
        taps: int = 6,
        slope: float = 0.2,
        gain: float = math.sqrt(2),
        clamp: float = 256.0,
        radial: bool = False,
    ) -> None:
        super().__init__(down)
        self.up = checks.counts(up, "up")
        (self.cutoff,) = checks.positive(cutoff, 1, "cutoff")
        if self.cutoff > 0.5:
            raise ValueError(f"cutoff lies in (0, 0.5] waves per sample, got {cutoff}")
        given = 2**0.3 * self.cutoff if stopband is None else stopband
        (self.stopband,) = checks.positive(given, 1, "stopband")
        if max(self.stopband, 0.5) <= self.cutoff:
            raise ValueError(
                f"stopband must be above the cutoff {cutoff} where that is 0.5, got {self.stopband}"
            )
        (self.taps,) = checks.integers(taps, 1, "taps", most=MOST_FILTER)
        (self.clamp,) = checks.positive(clamp, 1, "clamp")
        (self.slope,), (self.gain,) = (
            checks.per_axis(slope, 1, "slope"),
            checks.per_axis(gain, 1, "gain"),
        )
        self.radial = arguments.flag(radial, "radial")

    def extra_repr(self) -> str:
        """Rates and cutoff."""
        return f"up={self.up}, down={self.s}, cutoff={self.cutoff:g}"

    @property
    def upsampling(self) -> Upsampling:
        """Trigonometric interpolation, where d/u is whole."""
        several = [len(n) for n in (self.up, self.s) if isinstance(n, tuple)]
        dim = several[0] if several else 1
        up, down = checks.integers(self.up, dim, "up"), checks.integers(self.s, dim, "down")
        if any(d % u for d, u in zip(down, up, strict=True)):
            raise ValueError(
                f"an output {self.s}/{self.up} times as coarse has no upsampling partner: "
                "`down` would have to be a multiple of `up`"
            )
        ratios = [d // u for d, u in zip(down, up, strict=True)]
        return Upsampling(ratios if several else ratios[0], "fourier")

    def _filtered(self, f: Field) -> Field:
        return f.map(self._activated)

    def _activated(self, x: Tensor) -> Tensor:
        y = torch.nn.functional.leaky_relu(x, self.slope) * self.gain
        return y.clamp(-self.clamp, self.clamp)

    def _subsampled(self, f: Samples) -> Samples:
        up, down = checks.integers(self.up, f.dim, "up"), checks.integers(self.s, f.dim, "down")
        gain, taps = math.prod(up), [self.taps * m for m in up]
        fine = between_zeros(f, up, taps, lambda g: self._filter(g, up, gain))
        fine = fine._with(self._activated(fine.values))
        if not self.radial:
            return self._filter(fine, down, 1.0).stride(down)
        if f.dim != 2 or down[0] != down[1]:
            raise ValueError(
                f"a radial filter needs two axes with one `down` for both, got {down} in {f.dim} dimensions"
            )
        size, half = self.taps * down[0], max(self.stopband, 0.5) - self.cutoff
        weights = radial_sine(size, 2 * self.cutoff / down[0], 4 * half / down[0])
        return _correlated(fine, weights, (0, 1)).stride(down)

    def _filter(self, f: Samples, factors: tuple[int, ...], gain: float) -> Samples:
        half = max(self.stopband, 0.5) - self.cutoff
        for axis, m in enumerate(factors):
            row = windowed_sine(self.taps * m, 2 * self.cutoff / m, 4 * half / m)
            f = _correlated(f, row if axis else gain * row, (axis,))
        return f


def _correlated(f: Samples, weights: Tensor, axes: tuple[int, ...]) -> Samples:
    """Correlate some axes with centred taps; an even number of them moves the map by half a spacing."""
    taps, grid = len(weights), f.grid
    known = grid.boundary == "none"
    before = 0 if known else (taps - 1) // 2
    after = 0 if known else taps - 1 - before
    first, last = [0] * f.dim, [n - 1 for n in grid.shape]
    move = torch.zeros_like(grid.origin)
    for axis in axes:
        first[axis], last[axis] = -before, last[axis] + after
        move[..., axis] = ((taps - 1) / 2 - before) * grid.spacing[axis]
        if last[axis] - first[axis] + 1 < taps:
            raise ValueError(
                f"a filter of {taps} taps doesn't fit into a grid of shape {grid.shape} of which nothing is known "
                "outside: take fewer taps, a larger grid, or another boundary than 'none'"
            )
    values = extend(f.values, first, last, grid.boundary)
    weights = weights.to(values)
    if len(axes) == 1:
        out = along(values, weights.flip(0), axes[0] - f.dim)
    else:
        flat = values.reshape(-1, 1, *values.shape[-2:])
        out = torch.nn.functional.conv2d(flat, weights[None, None])
        out = out.reshape(*values.shape[:-2], *out.shape[2:])
    return f._with(out, grid.replace(shape=out.shape[-f.dim :], origin=grid.origin + move))


def kaiser(taps: int, width: float) -> Tensor:
    """Kaiser's window for a transition of this width, a part of the Nyquist frequency."""
    attenuation = 2.285 * (taps - 1) * math.pi * width + 7.95
    if attenuation > 50:
        beta = 0.1102 * (attenuation - 8.7)
    elif attenuation > 21:
        beta = 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    else:
        beta = 0.0
    return torch.kaiser_window(taps, periodic=False, beta=beta, dtype=torch.float64)


def windowed_sine(taps: int, cutoff: float, width: float) -> Tensor:
    """A low-pass FIR filter with sum 1: sin(πcn)/πn times Kaiser's window, float64.

    Parameters
    ----------
    taps : int
    cutoff, width : float
        c, the middle of the transition, and its width, as parts of the Nyquist frequency.
    """
    n = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    row = torch.sinc(cutoff * n) * kaiser(taps, width)
    return row / row.sum()


def radial_sine(taps: int, cutoff: float, width: float) -> Tensor:
    """The same in two dimensions, for waves in a disk: J₁(πcr)/r times the windows, sum 1, shape (taps, taps)."""
    n = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    r = torch.hypot(n[:, None], n)
    disk = torch.special.bessel_j1(math.pi * cutoff * r) / torch.where(r > 0, r, 1.0)
    disk = torch.where(r > 0, disk, math.pi * cutoff / 2)
    window = kaiser(taps, width)
    weights = disk * window[:, None] * window
    return weights / weights.sum()


class CNOActivation(Subsampling):
    """Interpolate to a grid u times as fine → σ → interpolate to a grid s times as coarse (Raonić et al. 2023).

    Parameters
    ----------
    s : int or sequence of int
        It must divide the shape; 1 keeps the grid.
    fn : callable, optional
        σ, channels last: leaky ReLU with slope 0.01 unless given.
    up : int or sequence of int
        u.

    Notes
    -----
    Both interpolations are Keys' cubic one (a = −½), widened where it goes to a coarser grid ("anti-aliased"), cut off
    and scaled at the edge of the array, whatever the grid's boundary. Samples are the centres of cells, so that the
    output lies (s − 1)/2 spacings further in. Promise: none; even for translations by multiples of s on a periodic grid
    it errs near the edge. On a Field it is σ alone.

    Examples
    --------
    >>> import torch
    >>> from discretize import CNOActivation, Grid, Samples
    >>> f = CNOActivation(2)(Samples(torch.ones(1, 1, 8).double(), Grid(8, 1.0)))
    >>> f.grid.origin.tolist(), round(float(f.values.mean()), 9)
    ([0.5], 1.0)
    """

    commutes_with = Commutes.NONE

    def __init__(
        self, s: Any = 1, fn: Callable[[Tensor], Tensor] | None = None, up: Any = 2
    ) -> None:
        super().__init__(s)
        given = torch.nn.functional.leaky_relu if fn is None else fn
        self.fn = arguments.function(given, "fn", "values (…, c)")
        self.up = checks.counts(up, "up")

    @property
    def upsampling(self) -> Upsampling:
        """Every value all over its cell."""
        return Upsampling(self.s, "hold")

    def _filtered(self, f: Field) -> Field:
        return f.map(self.fn)

    def _subsampled(self, f: Samples) -> Samples:
        up, down = checks.integers(self.up, f.dim, "up"), checks.integers(self.s, f.dim, "stride")
        if any(n % s for n, s in zip(f.grid.shape, down, strict=True)):
            raise ValueError(
                f"a stride of {down} doesn't divide the shape {f.grid.shape}: f.crop(first, count) makes it fit"
            )
        fine = [n * u for n, u in zip(f.grid.shape, up, strict=True)]
        coarse = [n // s for n, s in zip(f.grid.shape, down, strict=True)]
        values = map_values(self.fn, _resized(f.values, fine), f.dim)
        spacing = [h * s for h, s in zip(f.grid.spacing, down, strict=True)]
        move = [(s - 1) / 2 * h for s, h in zip(down, f.grid.spacing, strict=True)]
        origin = f.grid.origin + f.grid.origin.new_tensor(move)
        grid = f.grid.replace(shape=coarse, spacing=spacing, origin=origin)
        return f._with(_resized(values, coarse), grid)


def _resized(values: Tensor, sizes: list[int]) -> Tensor:
    """Cells resized, one axis after the other, as rows of pictures: torch has no bicubic in one or three dimensions."""
    for axis, size in enumerate(sizes, start=-len(sizes)):
        rows = values.movedim(axis, -1)
        flat = rows.reshape(1, 1, -1, rows.shape[-1])
        out = torch.nn.functional.interpolate(
            flat, (flat.shape[2], size), mode="bicubic", antialias=True
        )
        values = out.reshape(*rows.shape[:-1], size).movedim(-1, axis)
    return values
