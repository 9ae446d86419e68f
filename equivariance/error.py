"""The equivariance error: how far a layer is from commuting with translations.

           F ───────── L ────────▶ L(F)
           │ t▷                     │ t▷
           ▼                        ▼
          t▷F ──────── L ────────▶  ?

Both ways round the square are computed as they stand; nothing rewrites L(t▷F) into t▷L(F).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from discretize import Grid, Samples, sample
from fields import Field, arguments, checks, magnitude
from fields.arrays import broadcast
from fields.evaluation.evaluation import evaluate_points

#: A layer: a FeatureMap goes in; a FeatureMap, or a tensor of invariants, comes out.
Layer = Callable[[Any], Any]

#: Outputs of so many eps of the largest sample are rounding.
ROUNDING = 16

NORMS = {"l1": 1.0, "l2": 2.0, "max": math.inf}


def equivariance_error(
    layer: Layer,
    field: Field,
    t: Any,
    grid: Grid | None = None,
    points: Any | None = None,
    norm: str = "l2",
    rtol: float = 1e-4,
) -> Tensor:
    """Relative error ‖Φ(t▷F) − t▷Φ(F)‖ / ‖t▷Φ(F)‖.

    Parameters
    ----------
    layer : callable
        Φ, from FeatureMap to FeatureMap or to a tensor of invariants (*batch, c).
    field : Field
    t : Tensor, shape (d,) or (*batch, d)
        Real translations, in length units.
    grid : Grid, optional
        Measure the discretization, Φ = layer ∘ sample(·, grid): the field moves, the sampling grid stays. Both outputs
        are compared on the grid of Φ(t▷F). The other is moved there sample by sample where the lattices coincide. On a
        periodic grid it is resampled exactly, as a trigonometric polynomial, otherwise; under another boundary the two
        are compared on the points that both know, and t must be a multiple of the output's spacing.
    points : Tensor, shape (*points, d), optional
        Measure the continuous layer there: Φ(t▷F) at x against Φ(F) at x − t.
    norm : {"l2", "l1", "max"}
        Over channels and space.
    rtol : float
        Tolerance with which a composed field is sampled on `grid`.

    Returns
    -------
    Tensor, shape (*batch,)
        The batch of field and t, broadcast.

    Raises
    ------
    ValueError
        Where the denominator vanishes, on a grid also where it is but rounding of the samples; where neither grid nor
        points are given for an output with space; where two lattices can't be compared exactly.

    Examples
    --------
    >>> import torch
    >>> from discretize import Grid, Stride
    >>> from equivariance import equivariance_error
    >>> from fields import random_bandlimited
    >>> F = random_bandlimited(1, 1, bandlimit=0.4, period=16.0, seed=0)
    >>> error = equivariance_error(Stride(2), F, [[1.0], [2.0]], grid=Grid(16, 1.0))
    >>> [bool(e > 1e-3) for e in error]
    [True, False]
    """
    arguments.choice(norm, "norm", NORMS)
    arguments.function(layer, "layer", "feature maps")
    if not isinstance(field, Field):
        raise TypeError(
            f"expected a Field, got {type(field).__name__}: samples.interpolate() makes one"
        )
    if grid is not None and points is not None:
        raise ValueError(
            "give a grid, to measure the discretization, or points, to measure the function; not both"
        )
    t = checks.translation(t, field.dim).to(field.device)
    moved_field = field.translate(t)
    if grid is None:
        left, right = layer(moved_field), layer(field)
    else:
        left = layer(sample(moved_field, grid, rtol=rtol))
        given = sample(field, grid, rtol=rtol)
        right = layer(given)
        _check_is_more_than_rounding(layer, right, given)
    if isinstance(left, Tensor):
        return relative(left - right, right, 1, norm)
    if isinstance(left, Samples):
        return compare(left, right.translate(t), norm)
    if points is None or not isinstance(left, Field):
        raise ValueError(
            f"the layer's output is a {type(left).__name__}: give grid=… to measure its discretization, or points=… to "
            "measure it as a function"
        )
    x = checks.as_tensor(points, "points").to(t)
    if x.ndim == 0 or x.shape[-1] != field.dim:
        raise ValueError(
            f"points of a field on R^{field.dim} have shape (*points, {field.dim}), got {tuple(x.shape)}"
        )
    x = x.reshape(-1, field.dim)
    # Every element of the batch has points x − t of its own: L(F) is asked there, not moved.
    batch = (1,) * max(t.ndim - 1, len(right.batch))
    values, expected = left(x), evaluate_points(right, x.reshape(-1, *batch, field.dim) - t)
    return relative(values - expected, expected, 2, norm)


def compare(left: Samples, right: Samples, norm: str = "l2") -> Tensor:
    """Relative difference (*batch,) of two sampled maps on the grid of the first, denominator the second."""
    space = left.dim + 1
    if left.grid.boundary == "periodic":
        right = right.resample(left.grid)
        return relative(left.values - right.values, right.values, space, norm)
    batch = broadcast(left.batch, right.batch)
    lefts, rights = elements(left, batch), elements(right, batch)
    errors = []
    for a, b in zip(lefts, rights, strict=True):
        if a.grid.steps_to(b.grid) is None:
            raise ValueError(
                f"outputs on a grid with boundary {left.grid.boundary!r} and spacing {left.grid.spacing} can only be "
                "compared exactly for translations by multiples of that spacing: take a periodic grid, such "
                "translations, or points=…"
            )
        a, b = a.known(), b.known()
        errors.append(relative(*_on_common_points(a, b), space, norm))
    return torch.stack(errors).reshape(batch)


def _on_common_points(left: Samples, right: Samples) -> tuple[Tensor, Tensor]:
    difference = left - right
    return difference.values, right.resample(difference.grid).values


def _check_is_more_than_rounding(layer: Layer, output: Any, given: Samples) -> None:
    """Raise where an output is nothing but rounding of its input: the mean of waves, a wave that is filtered away.

    An output that is small beside its input may also be that of small weights. It is rounding where it changes by as
    much as it is when the input changes by eps; exactly 0, which it may be by luck, where it changes at all.
    """
    values, dim = (output.values, given.dim) if isinstance(output, Samples) else (output, 0)
    if not isinstance(values, Tensor) or not values.is_floating_point():
        return
    size, largest = _largest(values, dim), _largest(given.values, given.dim)
    eps = torch.finfo(values.dtype).eps
    small = (largest > 0) & (size <= ROUNDING * eps * largest)
    if not bool(small.any()):
        return
    draw = torch.Generator().manual_seed(0)
    up = torch.randint(2, given.values.shape, generator=draw).to(given.values)
    with torch.no_grad():
        again = layer(given._with(given.values * (1 + eps * up)))
    change = _largest((again.values if isinstance(again, Samples) else again) - values, dim)
    rounding = small & (change > size / 10)
    if bool(rounding.any()):
        left = torch.where(rounding, torch.maximum(size, change), 0.0)
        raise ValueError(
            f"the output vanishes up to rounding, {float(left.max()):.1e} for samples up to "
            f"{float(largest.max()):.1e}, so no relative error is defined: take another field"
        )


def _largest(values: Tensor, dim: int) -> Tensor:
    """Of each element's values (*batch, c, X1, …, Xd), shape (*batch,)."""
    return values.detach().abs().flatten(-dim - 1).amax(-1)


def elements(f: Samples, batch: tuple[int, ...]) -> list[Samples]:
    """The maps of a batch, one by one."""
    values = (
        f.values.expand(*batch, *f.values.shape[-f.dim - 1 :]).flatten(0, len(batch) - 1)
        if batch
        else f.values[None]
    )
    origins = f.grid.origin.expand(*batch, f.dim).reshape(-1, f.dim)
    return [Samples(v, f.grid.replace(origin=o)) for v, o in zip(values, origins, strict=True)]


def relative(difference: Tensor, reference: Tensor, axes: int, norm: str) -> Tensor:
    """‖difference‖/‖reference‖ over the last `axes` axes."""
    order, last = NORMS[norm], range(-axes, 0)
    scale = magnitude.norm(reference, order, last)
    if bool((scale == 0).any()):
        raise ValueError(
            "the output vanishes identically, so no relative error is defined: take another field, or other points"
        )
    return magnitude.norm(difference, order, last) / scale
