"""The shared part of an integral operator on a torus: K(y) = mean over x of κ(x, x − y), resolved.

    m nodes per axis for the mean over x     more, until the mean on other nodes is the same
    n nodes per axis for K(y)                more, until the polynomial through them meets K between them

Both are odd; a kernel of x − y alone is its own mean on any m, and so its own shared part as soon as n resolves it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from discretize import AliasingWarning
from fields.accuracy import BETWEEN
from fields.arguments import affordable
from fields.kernels.periodic_kernel import PeriodicKernel
from fields.lattice import Lattice, PerAxis
from layers.accuracy import (
    FINEST_SAMPLES,
    LOOKS,
    MOST_SAMPLES,
    PROJECTION_ROUNDING,
    PROJECTION_RTOL,
    PROJECTION_TOLD,
)
from layers.accuracy import PAIRS_AT_ONCE as PAIRS
from layers.unshared_fields import as_parameters, wrapped

#: Nodes per axis to begin with, in one to three dimensions: of the mean, and of the kernel.
FIRST = {1: (33, 65), 2: (9, 33), 3: (5, 11)}

Kappa = Callable[[Tensor, Tensor], Tensor]


def torus_nodes(period: PerAxis, count: int, shift: float = 0.0) -> Tensor:
    """Points (j + shift)·period/count of the torus, (m, d)."""
    affordable(count ** len(period) * len(period), "the translations that are averaged")
    step = tuple(p / count for p in period)
    origin = shift * torch.tensor(step, dtype=torch.float64)
    return Lattice(origin, step, (count,) * len(period)).points().reshape(-1, len(period))


def averaged(kappa: Kappa, y: Tensor, x: Tensor, period: PerAxis, modulus: bool = False) -> Tensor:
    """Mean over x of κ(x, x − y), or of its modulus, for y (*points, d) and x (m, d): (*points, out, in)."""
    rows = []
    for part in y.reshape(-1, y.shape[-1]).split(max(1, PAIRS // len(x))):
        to = wrapped(x - part[:, None], period)
        at, to = (as_parameters(z, kappa) for z in (wrapped(x, period).expand_as(to), to))
        matrix = kappa(at, to).expand(*to.shape[:-1], -1, -1).to(y.dtype)
        rows.append((matrix.abs() if modulus else matrix).mean(1))
    out = torch.cat(rows)
    return out.reshape(*y.shape[:-1], *out.shape[-2:])


@torch.no_grad()
def shared_kernel(kappa: Kappa, period: PerAxis, nodes: int | None) -> PeriodicKernel:
    """K, on the nodes given, or on as many as resolve it.

    Warns
    -----
    AliasingWarning
        Where `MOST_SAMPLES` values of κ leave more than `PROJECTION_TOLD`: with the error.
    """
    dim = len(period)
    if nodes is not None:
        return _through(kappa, period, torus_nodes(period, nodes), nodes)
    m, n = FIRST[dim]
    looks = _looks(period, n)
    scale, rtol, size = _scale(kappa, looks, torus_nodes(period, m), period)
    mean = averaged(kappa, looks, torus_nodes(period, m), period)
    while True:
        finer = averaged(kappa, looks, torus_nodes(period, 2 * m - 1, BETWEEN), period)
        gap = float((finer - mean).abs().amax())
        if (
            gap <= rtol * scale
            or size * (n * (2 * m - 1)) ** dim > MOST_SAMPLES
            or 2 * m > FINEST_SAMPLES
        ):
            break
        m, mean = 2 * m - 1, averaged(kappa, looks, torus_nodes(period, 2 * m - 1), period)
    x = torus_nodes(period, m)
    while True:
        kernel, looks = _through(kappa, period, x, n), _looks(period, n)
        error = float((_values(kernel, looks) - averaged(kappa, looks, x, period)).abs().amax())
        if (
            error <= rtol * scale
            or size * ((2 * n - 1) * m) ** dim > MOST_SAMPLES
            or 2 * n > FINEST_SAMPLES
        ):
            break
        n = 2 * n - 1
    if max(gap, error) > max(rtol, PROJECTION_TOLD) * scale:
        what = "the mean over x isn't settled" if gap > error else "the kernel isn't resolved"
        off = max(gap, error) / (scale or 1.0)
        warnings.warn(
            f"the shared kernel is known on {n} nodes per axis, as the mean of {m}, and off by {off:.1e} of the "
            f"mean |κ|: {what}. Take a smoother kappa, or say nodes=…, where that is meant",
            AliasingWarning,
            stacklevel=4,
        )
    return kernel


def _scale(kappa: Kappa, y: Tensor, x: Tensor, period: PerAxis) -> tuple[float, float, int]:
    """The largest mean over x of |κ(x, x − y)|, what counts as nothing beside it, and how many numbers κ has."""
    origin = as_parameters(y[:1], kappa)
    matrix = kappa(origin, origin)
    dtype = matrix.dtype if matrix.is_floating_point() else torch.float64
    sizes = averaged(kappa, y, x, period, modulus=True)
    rtol = max(PROJECTION_RTOL, PROJECTION_ROUNDING * torch.finfo(dtype).eps)
    return float(sizes.amax()), rtol, sizes[0].numel()


def _through(kappa: Kappa, period: PerAxis, x: Tensor, count: int) -> PeriodicKernel:
    return PeriodicKernel.from_density(
        lambda y: averaged(kappa, y, x, period), period, count, len(period)
    )


def _looks(period: PerAxis, count: int) -> Tensor:
    """Points between the nodes, and 0, where most kernels are largest."""
    points = torus_nodes(period, count, BETWEEN)
    chosen = points[:: -(-len(points) // LOOKS)]
    return torch.cat([torch.zeros_like(chosen[:1]), chosen])


def _values(kernel: PeriodicKernel, y: Tensor) -> Tensor:
    """K at points (k, d)."""
    found: Tensor = kernel._coefficients().movedim((-2, -1), (0, 1))
    for axis in range(y.shape[-1] - 1, -1, -1):
        n, p = kernel.shape[axis], kernel.period[axis]
        k = torch.fft.fftfreq(n, 1 / n, dtype=torch.float64)
        wave = torch.exp(2j * math.pi * k * y[:, axis, None] / p)
        last = axis == y.shape[-1] - 1
        found = torch.einsum("...n,qn->...q" if last else "...nq,qn->...q", found, wave)
    return found.real.movedim(-1, 0) / math.prod(kernel.period)
