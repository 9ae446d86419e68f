"""Fields given by a formula: Polynomial, and any torch function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fields import arguments, checks, dtypes
from fields.accuracy import MAX_DEGREE
from fields.algebra.field import Field
from fields.arrays import separable_sum
from fields.lattice import Lattice, PerAxis


class Polynomial(Field):
    """F(x) = Σ_m a_m ∏_i x_i^{k_mi}.

    Parameters
    ----------
    exponents : array-like of int, shape (m, d)
        One multi-index k per term, static.
    coefficients : Tensor, shape (m, c) or (*batch, m, c)

    Raises
    ------
    ValueError
        For exponents that aren't integers ≥ 0; and by `integrate`, `norm`, `inner`, `transform`, since it neither
        decays nor repeats: multiply it by a decaying field.

    Examples
    --------
    >>> from fields import Polynomial
    >>> F = Polynomial([[0, 0], [2, 1]], [[1.0], [3.0]])  # 1 + 3x²y
    >>> F([2.0, 0.5]).tolist()
    [7.0]
    """

    def __init__(self, exponents: Any, coefficients: Any) -> None:
        given = checks.as_tensor(exponents, "exponents").detach().cpu().double()
        self.coefficients = checks.as_tensor(coefficients, "coefficients")
        self.weak = dtypes.is_weak(coefficients)
        if given.ndim != 2 or 0 in given.shape:
            raise ValueError(f"exponents must have shape (m, d), m ≥ 1, got {tuple(given.shape)}")
        if not bool(((given >= 0) & (given == given.round())).all()):
            raise ValueError(f"exponents must be integers ≥ 0, the least is {float(given.min()):g}")
        if float(given.max()) > MAX_DEGREE:
            raise ValueError(
                f"exponents go up to {MAX_DEGREE}, the largest is {float(given.max()):g}"
            )
        sizes = self.coefficients.shape
        if len(sizes) < 2 or sizes[-2] != len(given) or 0 in sizes:
            raise ValueError(
                f"coefficients must have shape ({len(given)}, c), got {tuple(self.coefficients.shape)}"
            )
        self.exponents = given.long()
        self.dim, self.channels = checks.dimension(given.shape[1]), self.coefficients.shape[-1]
        self.batch = tuple(self.coefficients.shape[:-2])
        self.dtype, self.device = self.coefficients.dtype, self.coefficients.device

    def _finest(self, rtol: float) -> PerAxis:
        """It has no scale of its own."""
        return (0.0,) * self.dim

    def _jumps(self) -> bool:
        return False

    def _values(self, lattice: Lattice) -> Tensor:
        factors = []
        for x, exponents in zip(lattice.axes(), self.exponents.T, strict=True):
            powers = [torch.ones_like(x)]
            for _ in range(int(exponents.max())):
                powers.append(powers[-1] * x)
            factors.append(torch.stack(powers, -1)[..., exponents.to(x.device)].to(self.dtype))
        return separable_sum(self.coefficients, factors)


class Formula(Field):
    """Any torch function of position.

    Parameters
    ----------
    fn : callable
        x (*points, d) → F(x) (*points, c), a value per point that depends on that point only.
    dim, channels : int
    bandlimit : float or sequence of float, optional
        Largest frequency per axis, where it is known, in cycles per unit length.
    finest : float or sequence of float, optional
        Frequency per axis of the finest that there is to see, where there is no band limit: points 1/(2·finest) apart
        meet every feature. Without either, quadratures start with few nodes and look between them.
    jumps : bool, optional
        Whether it jumps, or bends: quadratures look for steps between their nodes unless none of the functions that
        are summed does, and always take them into account where one does.
    period : float or sequence of float, optional
        A period per axis, where there is one.
    dtype, device : optional
        Of the points that `fn` is called with; its values must have the same dtype. float64 and the CPU unless given;
        beside fields of another dtype it is then converted to theirs.

    Examples
    --------
    >>> import torch
    >>> from fields import Formula
    >>> disc = Formula(lambda x: (x.norm(dim=-1, keepdim=True) < 1).to(x), dim=2, channels=1)
    >>> disc([[0.0, 0.5], [2.0, 0.0]]).flatten().tolist()
    [1.0, 0.0]
    """

    def __init__(
        self,
        fn: Callable[[Tensor], Tensor],
        dim: int,
        channels: int,
        bandlimit: checks.VectorLike | None = None,
        period: checks.VectorLike | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str = "cpu",
        finest: checks.VectorLike | None = None,
        jumps: bool | None = None,
    ) -> None:
        self.fn = arguments.function(fn, "fn", "points (*points, d)")
        self.dim = checks.dimension(dim)
        (self.channels,) = checks.integers(channels, 1, "channels")
        self.weak = dtype is None
        self.dtype = torch.float64 if dtype is None else arguments.real_dtype(dtype)
        self.device = arguments.on_device(device)
        if bandlimit is not None:
            self.bandlimit = checks.per_axis(bandlimit, self.dim, "bandlimit")
        self._period = None if period is None else checks.positive(period, self.dim, "period")
        self.jumps, self.finest = arguments.known_of_function(jumps, finest, self.dim)
        if self.jumps and self.bandlimit is not None:
            raise ValueError(
                f"a function with the band limit {self.bandlimit} has no jumps: leave out bandlimit=…, or jumps=True; "
                "finest=… says how fine a function with jumps is"
            )

    def _finest(self, rtol: float) -> PerAxis | None:
        return self.finest or self.bandlimit

    def _jumps(self) -> bool | None:
        return super()._jumps() if self.jumps is None else self.jumps

    @property
    def period(self) -> PerAxis | None:
        """As given."""
        return self._period

    def _values(self, lattice: Lattice) -> Tensor:
        points = lattice.points().to(self.dtype)
        values = self.fn(points)
        expected = (*points.shape[:-1], self.channels)
        if not isinstance(values, Tensor) or tuple(values.shape) != expected:
            got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise ValueError(
                f"the formula must return shape {expected} for points of shape {tuple(points.shape)}, got {got}"
            )
        return checks.same_dtype(values, self.dtype, "the formula's value").movedim(
            -1, -self.dim - 1
        )
