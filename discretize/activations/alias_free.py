"""Pointwise non-linearities between an ideal interpolation and an ideal low-pass filter.

Michaeli, Michaeli & Soudry, "Alias-Free Convnets", CVPR 2023

f ─▶ trigonometric interpolant on a grid u times as fine ─▶ σ ─▶ waves below the first Nyquist frequency ─▶ f's grid
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from discretize.samples import Samples
from discretize.subsampling.subsampling import is_field
from discretize.trigonometric import below, filtered, in_chunks, upsampled
from fields import FeatureMap, checks
from fields.algebra.pointwise import map_values
from fields.commuting import Commutes
from fields.dtypes import Weak

Map = TypeVar("Map", bound=FeatureMap)

#: Those of the paper, which fit GELU.
COEFFICIENTS = (0.01694, 0.5, 0.30784)


class PolynomialActivation(Weak):
    """x ↦ c_0 + c_1 x + … + c_p x^p, one set of coefficients, or one for each channel, learnt.

    Parameters
    ----------
    coefficients : sequence of float, or Tensor (p + 1,) or (c, p + 1)

    Examples
    --------
    >>> import torch
    >>> from discretize import PolynomialActivation
    >>> PolynomialActivation([1.0, 0.0, 2.0])(torch.tensor([3.0])).tolist()
    [19.0]
    """

    coefficients: nn.Parameter

    def __init__(self, coefficients: Any = COEFFICIENTS) -> None:
        super().__init__()
        tensor = checks.as_tensor(coefficients, "coefficients")
        if tensor.ndim not in (1, 2) or 0 in tensor.shape:
            raise ValueError(
                f"coefficients have shape (p + 1,) or (c, p + 1), got {tuple(tensor.shape)}"
            )
        self._learn("coefficients", tensor, coefficients)

    @property
    def degree(self) -> int:
        """The degree p."""
        return self.coefficients.shape[-1] - 1

    def forward(self, x: Tensor) -> Tensor:
        """Values of channels-last x (…, c), by Horner's rule."""
        coefficients = self.coefficients
        if coefficients.ndim == 2 and x.shape[-1] != len(coefficients):
            raise ValueError(
                f"there are coefficients for {len(coefficients)} channels, got {x.shape[-1]}"
            )
        x = x.to(self._meeting(x.dtype, "coefficients"))
        columns = coefficients.to(x.dtype).unbind(-1)
        if self.degree == 0:
            return columns[0].expand_as(x)
        out = torch.addcmul(columns[-2], x, columns[-1])
        for c in reversed(columns[:-2]):
            out = torch.addcmul(c, out, x)
        return out


class AliasFreeActivation(nn.Module):
    """x ↦ σ(F(x)) without aliases: on a grid `oversampling` times as fine, then all waves below the grid's Nyquist.

    Parameters
    ----------
    fn : callable or nn.Module, optional
        σ, channels last, (…, c) → (…, c): the paper's PolynomialActivation() unless given.
    oversampling : int or sequence of int, optional
        u. For a polynomial of degree p the least that is exact, ⌈(p + 1)/2⌉, unless given; 2 for other functions.

    Notes
    -----
    Promise, for periodic samples of waves below Nyquist: commutes with every real translation, exactly (to rounding
    error) if σ is a polynomial of degree p and u ≥ (p + 1)/2. Other functions have no band limit: their error at
    translations by 1/u spacing vanishes too, but in between it only falls with u. The output's waves are strictly below
    Nyquist. On a Field it is σ alone, since no grid bounds its waves.

    Examples
    --------
    >>> from discretize import AliasFreeActivation, Grid, sample
    >>> from fields import random_bandlimited
    >>> F, layer = random_bandlimited(1, 1, bandlimit=0.4, period=16.0, seed=0), AliasFreeActivation()
    >>> f, g = (layer(sample(F.translate([t]), Grid(16, 1.0))) for t in (0.0, 0.7))
    >>> bool((g.values - f.translate([0.7]).resample(g.grid).values).abs().max() < 1e-12)
    True
    """

    def __init__(
        self, fn: Callable[[Tensor], Tensor] | None = None, oversampling: Any | None = None
    ) -> None:
        super().__init__()
        self.fn = PolynomialActivation() if fn is None else fn
        if not callable(self.fn):
            raise TypeError(f"fn must be callable, got {type(fn).__name__}")
        if oversampling is None:
            oversampling = (
                math.ceil((self.fn.degree + 1) / 2)
                if isinstance(self.fn, PolynomialActivation)
                else 2
            )
        self.oversampling = checks.counts(oversampling, "oversampling")

    @property
    def commutes_with(self) -> Commutes:
        """Every real translation for polynomials that the finer grid holds, else whole ones, as far as it is told."""
        if not isinstance(self.fn, PolynomialActivation):
            return Commutes.WHOLE
        given = self.oversampling
        least = min(given) if isinstance(given, tuple) else given
        return Commutes.REAL if 2 * least > self.fn.degree else Commutes.WHOLE

    def extra_repr(self) -> str:
        """The oversampling."""
        return f"oversampling={self.oversampling}"

    def forward(self, f: Map) -> Map:
        """Apply it to a Field or Samples."""
        if is_field(f):
            return f.map(self.fn)
        assert isinstance(f, Samples)
        if f.grid.boundary != "periodic":
            raise ValueError(
                f"an alias-free activation needs periodic samples, got boundary {f.grid.boundary!r}"
            )
        factors = checks.integers(self.oversampling, f.dim, "oversampling")
        element = f.values.shape[-f.dim - 1 :]

        def activated(part: Tensor) -> tuple[Tensor]:
            return (self._activated(part, factors),)

        (values,) = in_chunks(activated, f.values.reshape(-1, *element), math.prod(factors))
        lead = f.values.shape[: -f.dim - 1]
        return f._with(values.reshape(*lead, *values.shape[1:]))  # type: ignore[return-value]

    def _activated(self, values: Tensor, factors: tuple[int, ...]) -> Tensor:
        dim = len(factors)
        out = map_values(self.fn, upsampled(values, factors), dim)
        for axis, u in zip(range(-dim, 0), factors, strict=True):
            size = out.shape[axis]
            keep = below(size, size // u).to(out.device)
            out = filtered(out, keep, axis, dim, down=u)
        return out.contiguous()
