"""Aggregates over the taps of a window: means, maxima, and what lies between them.

    mean            Σ_j w_j F_j                          the shares w_j of a window sum to 1
    power mean      (Σ_j w_j |F_j|^p)^{1/p}              Lp; p → ∞ gives max |F|
    soft maximum    T log Σ_j w_j exp(F_j/T)             T → ∞ gives the mean, T → 0 the maximum
    maximum         max_j F_j

A sum of powers or exponentials is taken relative to the largest value under the taps of the same output point. That
is part of what is computed there, not of how many points are asked at once, and the value doesn't depend on it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from fields import checks
from fields.accuracy import TAP_ELEMENTS
from fields.dtypes import is_weak, strong
from fields.kernels.window import Kind
from fields.stencils.correlation import convolve, maximum
from fields.stencils.maxima import highest
from fields.stencils.stencil import Stencil


class View(NamedTuple):
    """A stencil and the values that it is applied to; distances of taps and outputs in samples of these."""

    values: Tensor
    stencil: Stencil
    dilation: Sequence[int]
    stride: Sequence[int]


@dataclass(frozen=True)
class Aggregate:
    """What a pooling makes of the values under its window.

    Attributes
    ----------
    name : str
    combine : callable
        From the views of all stencils of a window to the values at the output points.
    taps : {"mean", "max", "rim"}
        Whether it weighs the nodes by their cells' shares, or asks which nodes are in the window, or which are and
        where the rim runs between them.
    linear : bool
        Whether it keeps band limits.
    on_fields : Aggregate, optional
        What stands for it on a Field, where that is another one.
    workspace : int
        Temporaries, in multiples of the output.
    dtype : torch.dtype, optional
        Of the tensors that it computes with, where that counts: of those with axes, unless they were given as numbers.
    """

    name: str
    combine: Callable[[Sequence[View]], Tensor]
    taps: Kind | Literal["rim"] = "mean"
    linear: bool = False
    on_fields: Aggregate | None = None
    workspace: int = 2
    dtype: torch.dtype | None = None
    weak: ClassVar[bool] = False

    def __repr__(self) -> str:
        return self.name

    @property
    def continuous(self) -> Aggregate:
        """The same of a function between its nodes."""
        return self.on_fields or self


def weighted_sum(views: Sequence[View]) -> Tensor:
    """Σ_j w_j F_j."""
    parts = [convolve(*view) for view in views]
    return functools.reduce(torch.add, parts)


def largest(views: Sequence[View]) -> Tensor:
    """max_j F_j over the taps that aren't zero."""
    return functools.reduce(torch.maximum, [maximum(*view) for view in _with_taps(views)])


def _highest(views: Sequence[View]) -> Tensor:
    """The maximum over a region, its rim included."""
    return functools.reduce(torch.maximum, [highest(*view) for view in _with_taps(views)])


def _with_taps(views: Sequence[View]) -> Sequence[View]:
    """The views that reach anything: off the lattice every node is a stencil of its own, those outside a ball, too."""
    found = [v for v in views if isinstance(v.stencil.taps, tuple) or v.stencil.runs]
    return found or views


def power_mean(p: float) -> Aggregate:
    """(Σ_j w_j |F_j|^p)^{1/p}, p ≥ 1: no overflow, however large |F|^p.

    Examples
    --------
    >>> from fields import Box, Constant, power_mean
    >>> Constant([-3.0], dim=1).pool(Box(1.0), power_mean(2))([0.0]).tolist()
    [3.0]
    """
    if isinstance(p, bool) or not isinstance(p, int | float) or not 1 <= p < math.inf:
        raise ValueError(f"a power mean needs a finite number p ≥ 1, got {checks.said(p)}")
    combine = functools.partial(_by_axes, _power_mean, float(p))
    return Aggregate(f"power_mean({p:g})", combine, workspace=8)


def soft_maximum(temperature: float | Tensor) -> Aggregate:
    """T log Σ_j w_j exp(F_j/T), T > 0: no overflow, however large F/T, and the mean to rounding error for large T.

    Parameters
    ----------
    temperature : float or Tensor, shape () or (c,)
        In the units of F; one number, or one per channel, which can be learnt.

    Examples
    --------
    >>> import torch
    >>> from fields import Mask, soft_maximum
    >>> from discretize import Grid, Samples
    >>> f = Samples(torch.tensor([[0.0, 0.0, 1e4]]), Grid(3, 1.0))
    >>> f.pool(Mask([1, 1, 1], 1.0), soft_maximum(1.0)).values[0, 0].item() - 1e4 + 1.0986 < 1e-3
    True
    """
    return at_temperature(checked_temperature(temperature), is_weak(temperature))


def at_temperature(temperature: float | Tensor, weak: bool = False) -> Aggregate:
    """`soft_maximum` of a temperature that was checked."""
    name = "soft_maximum" if isinstance(temperature, Tensor) else f"soft_maximum({temperature:g})"
    combine = functools.partial(_by_axes, _soft_maximum, temperature)
    kinds = [] if weak else strong(temperature)
    return Aggregate(name, combine, workspace=10, dtype=kinds[0].dtype if kinds else None)


def checked_temperature(temperature: Any) -> float | Tensor:
    """A temperature, as a number or a tensor; raise where it is none."""
    value = checks.as_tensor(temperature, "temperature")
    plain = value.detach()
    if value.ndim > 1 or not value.numel() or not bool((plain > 0).all()):
        raise ValueError(
            f"a temperature is a positive number, or one per channel (c,), got {checks.said(temperature)}"
        )
    return value if isinstance(temperature, Tensor) or value.ndim else float(value)


def aggregate(kind: str | float | Aggregate) -> Aggregate:
    """The aggregate of a name, "mean" or "max", or of a number p, the power mean."""
    if isinstance(kind, Aggregate):
        return kind
    named = {"mean": MEAN, "max": MAX}
    if isinstance(kind, str) and kind in named:
        return named[kind]
    if isinstance(kind, int | float) and not isinstance(kind, bool):
        return power_mean(kind)
    raise ValueError(
        "a pooling is 'mean' or 'max', a number p ≥ 1 for the power mean, or soft_maximum(temperature), "
        f"got {checks.said(kind)}"
    )


MEAN = Aggregate("mean", weighted_sum, linear=True)
MAX = Aggregate("max", largest, "max", on_fields=Aggregate("max", _highest, "rim"))


# --- sums over taps -----------------------------------------------------------------------------------------------


def _by_axes(
    reduce: Callable[[Sequence[View], float | Tensor], Tensor],
    parameter: float | Tensor,
    views: Sequence[View],
) -> Tensor:
    """Aggregate along one axis after the other where the taps are rows: these aggregates nest."""
    view = views[0]
    if not isinstance(view.stencil.taps, tuple):
        return reduce(views, parameter)
    values, ones = view.values, (1,) * len(view.stencil.taps)
    for axis, stencil in enumerate(view.stencil.by_axes):
        dilation, stride = list(ones), list(ones)
        dilation[axis], stride[axis] = view.dilation[axis], view.stride[axis]
        values = reduce([View(values, stencil, dilation, stride)], parameter)
    return values


def _power_mean(views: Sequence[View], parameter: float | Tensor) -> Tensor:
    views = [view._replace(values=view.values.abs()) for view in views]
    # The mean is homogeneous, so its value and its derivatives don't depend on what it is divided by.
    top = largest(views).detach()
    some = top > 0
    scale = torch.where(some, top, 1.0)
    total = _sum_over_taps(views, lambda f: (f / scale[..., None]) ** parameter)
    return scale * torch.where(some, total, 1.0) ** (1 / parameter) * some


def _soft_maximum(views: Sequence[View], parameter: float | Tensor) -> Tensor:
    dim = len(views[0].dilation)
    t = parameter
    if isinstance(t, Tensor):
        channels = views[0].values.shape[-dim - 1]
        if t.numel() not in (1, channels):
            raise ValueError(
                f"there are temperatures for {t.numel()} channels, the feature map has {channels}"
            )
        t = t.to(views[0].values).reshape(-1, *(1,) * dim)
    top = largest(views).detach()

    def exponent(f: Tensor) -> Tensor:
        return (f - top[..., None]) / (t[..., None] if isinstance(t, Tensor) else t)

    # exp where few taps are near the top; expm1 keeps the digits of a high temperature, where all are.
    total = _sum_over_taps(views, lambda f: torch.exp(exponent(f)))
    excess = _sum_over_taps(views, lambda f: torch.expm1(exponent(f)))
    near = total > 0.5
    log = torch.where(
        near,
        torch.log1p(torch.where(near, excess, 0.0)),
        torch.log(torch.where(near, 1.0, total)),
    )
    return top + t * log


def _sum_over_taps(views: Sequence[View], fn: Callable[[Tensor], Tensor]) -> Tensor:
    """Σ_j w_j fn(F_j), `fn` of samples (…, M1, …, Md, taps), a few taps at a time."""
    total: Tensor | None = None
    for view in views:
        for weights, samples in _taps(view):
            part = fn(samples) @ weights
            total = part if total is None else total + part
    assert total is not None
    return total


def _taps(view: View) -> Iterator[tuple[Tensor, Tensor]]:
    """Weights (k,) of taps in one row, and the samples (*batch, c, M1, …, Md, k) under them, for all rows."""
    taps = view.stencil.taps
    assert isinstance(taps, Tensor)
    dim = taps.ndim
    windows, lead = view.values, view.values.ndim - dim
    for axis, (size, dilation, stride) in enumerate(
        zip(taps.shape, view.dilation, view.stride, strict=True)
    ):
        length = dilation * (size - 1) + 1
        windows = windows.unfold(lead + axis, length, stride)[..., ::dilation]
    most = taps.shape[-1]
    if not torch.compiler.is_compiling():  # what is traced once holds for batches of any size
        most = max(1, TAP_ELEMENTS // max(1, math.prod(windows.shape[:-dim])))
    taps = taps.flip(tuple(range(dim)))  # the first tap of a true convolution meets the last sample
    for (*row, begin), count in view.stencil.runs:
        for first in range(begin, begin + count, most):
            some: tuple[Any, ...] = (*row, slice(first, min(first + most, begin + count)))
            yield taps[some], windows[(..., *some)]
