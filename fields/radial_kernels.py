"""Kernels whose profile depends on |y| alone, times a matrix: the smooth bump, and the uniform ball."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from fields import checks
from fields.product_kernels import ProfileKernel
from fields.radial import ball_wave, bump, bump_bandwidth, bump_wave
from fields.stencil import Stencil, nodes, on_nodes
from fields.window import Ball


class BumpKernel(ProfileKernel):
    """M · exp(−1/(1 − |y/r|²)) / Z inside the ellipsoid |y/r| < 1, 0 outside: C^∞, of compact support.

    Parameters
    ----------
    radius : float or sequence of float
        Half-axes r, in length units; |y/r|² = Σ_i (y_i/r_i)².
    matrix : Tensor, shape (out_channels, in_channels)
        The kernel's integral: Z makes that of the profile 1.

    Notes
    -----
    Nodes converge faster than any power of their spacing h: the error at frequency f is the transform at 1/h − f, and
    that falls like exp(−√(2πr|f|)): 7e-3, 2e-4, 4e-6, 2e-7 with 4, 8, 16, 32 nodes per radius for low f. Weights are
    scaled to sum to 1, so constants are met at any spacing. The transform, for closed convolutions, is integrated to
    rounding error.

    Examples
    --------
    >>> from fields import BumpKernel, Constant
    >>> round(float(Constant(3.0, dim=2).convolve(BumpKernel(0.5, [[2.0]]))([0.0, 0.0])), 9)
    6.0
    """

    def __init__(self, radius: checks.VectorLike, matrix: Any) -> None:
        super().__init__(matrix)
        self.radius = checks.lengths(radius, "radius")

    def reach(self, dim: int) -> tuple[float, ...]:
        """The radius per axis."""
        return checks.positive(self.radius, dim, "radius")

    def bandwidth(self, rtol: float, dim: int) -> tuple[float, ...]:
        """Where the transform has fallen to `rtol` for good."""
        fall = bump_bandwidth(rtol, dim) / (2 * math.pi)
        return tuple(fall / r for r in self.reach(dim))

    def stencils(self, pitch: tuple[float, ...], node: tuple[float, ...]) -> list[Stencil]:
        """The profile at the nodes, and the matrix."""
        radius = self.reach(len(pitch))
        axes = nodes(radius, node)
        squares = torch.zeros((), dtype=torch.float64)
        for y, r in zip(axes, radius, strict=True):
            squares = squares[..., None] + (y / r) ** 2
        weights = bump(squares)
        weights = (weights / weights.sum()).to(self.matrix)
        return on_nodes(axes, pitch, weights, self.matrix, spacing=node)

    def profile_transform(self, frequencies: Tensor) -> Tensor:
        """That of the unit bump at |r f|."""
        radius = frequencies.new_tensor(self.reach(frequencies.shape[-1]))
        return bump_wave(2 * math.pi * (radius * frequencies).norm(dim=-1), len(radius))


class BallKernel(ProfileKernel):
    """M / volume on the ball |y| ≤ radius, 0 outside: a shared average over a ball times a matrix.

    Parameters
    ----------
    radius : float
        In length units.
    matrix : Tensor, shape (out_channels, in_channels)
        The kernel's integral.

    Notes
    -----
    Weights are the shares of the ball in each node's cell, those of the pooling window `Ball`: second order in the
    spacing of the nodes in spite of the jump. The transform, Γ(d/2 + 1)(2/k)^{d/2} J_{d/2}(k), k = 2πr|f|, is closed.

    Examples
    --------
    >>> from fields import BallKernel, Constant
    >>> Constant(3.0, dim=2).convolve(BallKernel(0.5, [[2.0]]))([0.0, 0.0]).tolist()
    [6.0]
    """

    def __init__(self, radius: float, matrix: Any) -> None:
        super().__init__(matrix)
        (self.radius,) = checks.positive(radius, 1, "radius")
        self._window = Ball(self.radius)

    def reach(self, dim: int) -> tuple[float, ...]:
        """The radius on every axis."""
        return (self.radius,) * dim

    def stencils(self, pitch: tuple[float, ...], node: tuple[float, ...]) -> list[Stencil]:
        """The shares of the cells, and the matrix."""
        shares = self._window.taps(pitch, node, "mean", self.matrix)  # kept: they take time
        return [replace(s, matrix=self.matrix) for s in shares]

    def profile_transform(self, frequencies: Tensor) -> Tensor:
        """Mean of exp(−2πi f·y) over the ball."""
        turns = 2 * math.pi * self.radius * frequencies.norm(dim=-1)
        return ball_wave(turns, frequencies.shape[-1])
