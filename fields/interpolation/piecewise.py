"""The table of piecewise interpolants: how many samples each sees, and with which weights.

F(x) = Σ_i c_i ∏_a w(u_a − i_a), u = (x − origin)/h, where w has the support of `taps` samples. Where w(i) is not that
of the unit pulse, as for B-splines of order 3 and 5, the coefficients c are the samples with the inverse of the filter
w(i) applied (Unser, Aldroubi, Eden 1993), so that the samples are interpolated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Method:
    """One row of the table of piecewise interpolants.

    Attributes
    ----------
    taps : int
        Samples that a value depends on, per axis.
    weights : callable
        Their weights (…, taps) at a fraction (…,) in [0, 1] behind the sample at the floor of the position.
    filter : tuple of float
        w(0), w(1), …, where the coefficients are not the samples themselves.
    pole : float
        Modulus by which the inverse filter falls off, per sample.
    order : int
        Of the B-spline, where it is one of order 1 or more.
    """

    taps: int
    weights: Callable[[Tensor], Tensor]
    filter: tuple[float, ...] = ()
    pole: float = 0.0
    order: int = 0

    @property
    def before(self) -> int:
        """Taps before the sample at the floor of the position."""
        return (self.taps - 1) // 2

    @property
    def reach(self) -> int:
        """Samples beyond the first and the last one from where zeros, or repeated edges, are all that is seen."""
        tail = math.ceil(math.log(1e-17) / math.log(self.pole)) if self.pole else 0
        return max(1, self.taps // 2) + tail


def nearest(t: Tensor) -> Tensor:
    """One sample, whole."""
    return torch.ones_like(t)[..., None]


def linear(t: Tensor) -> Tensor:
    """The two samples around a position."""
    return torch.stack([1 - t, t], dim=-1)


def cubic(t: Tensor) -> Tensor:
    """B-spline of order 3 at 1 + t, t, 1 − t, 2 − t."""
    s = 1 - t
    inner = [2 / 3 - x * x * (1 - x / 2) for x in (t, s)]
    return torch.stack([s * s * s / 6, *inner, t * t * t / 6], dim=-1)


def quintic(t: Tensor) -> Tensor:
    """B-spline of order 5 at 2 + t, 1 + t, t, 1 − t, 2 − t, 3 − t."""
    s = 1 - t
    inner, middle, outer = [], [], []
    for x in (t, s):
        square, y = x * x, 1 - x
        inner.append(11 / 20 - square * (1 / 2 - square * (1 / 4 - x / 12)))
        # at 1 + x, in powers of y = 1 − x
        middle.append((1 + y * (5 + y * (10 + y * (10 + y * (5 - 5 * y))))) / 120)
        outer.append(y**5 / 120)
    return torch.stack([outer[0], middle[0], *inner, middle[1], outer[1]], dim=-1)


def lanczos3(t: Tensor) -> Tensor:
    """sinc(x)·sinc(x/3) at six samples, divided by their sum, so that constants are reproduced."""
    x = t[..., None] - torch.arange(-2, 4, dtype=t.dtype, device=t.device)
    raw = torch.sinc(x) * torch.sinc(x / 3)
    return raw / raw.sum(-1, keepdim=True)


#: Every piecewise interpolant.
PIECEWISE: dict[str, Method] = {
    "nearest": Method(1, nearest),
    "linear": Method(2, linear, order=1),
    "cubic": Method(4, cubic, (4 / 6, 1 / 6), 2 - math.sqrt(3), 3),
    "quintic": Method(6, quintic, (66 / 120, 26 / 120, 1 / 120), 0.430575347099974, 5),
    "lanczos3": Method(6, lanczos3),
}
