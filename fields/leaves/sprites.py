"""Sprites: the square, the ellipse and the heart of dSprites, at any scale, orientation and position.

Each shape is given by its signed distance function (negative inside), in units of its scale; those of the square and
the heart are exact (I. Quilez, "2D distance functions"), that of the ellipse is exact on the rim, first order near it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fields import arguments, checks
from fields.accuracy import TAIL
from fields.lattice import Lattice, PerAxis
from fields.leaves.localized import Terms

#: Half axes of the ellipse.
HALF_AXES = (0.5, 0.3)
#: Radius of the heart's two half discs, centred at (±1/4, 1/4); below them a square stands on its corner (0, −1/2).
LOBE = math.sqrt(2) / 4


def _root(square: Tensor) -> Tensor:
    """A square root whose gradient at 0 is 0 and not infinite."""
    positive = square > 0
    return torch.where(positive, torch.where(positive, square, 1.0).sqrt(), 0.0)


def _square(u: Tensor) -> Tensor:
    beyond = u.abs() - 0.5
    return _root((beyond.clamp(min=0) ** 2).sum(-1)) + beyond.amax(-1).clamp(max=0)


def _ellipse(u: Tensor) -> Tensor:
    axes = u.new_tensor(HALF_AXES)
    gauge, slope = _root(((u / axes) ** 2).sum(-1)), _root(((u / axes**2) ** 2).sum(-1))
    centre = slope == 0
    near = gauge * (gauge - 1) / torch.where(centre, 1.0, slope)
    return torch.where(centre, -HALF_AXES[1], near)


def _heart(u: Tensor) -> Tensor:
    x, y = u[..., 0].abs(), u[..., 1] + 0.5
    lobe = _root((x - 0.25) ** 2 + (y - 0.75) ** 2) - LOBE
    notch = x**2 + (y - 1) ** 2
    half = 0.5 * (x + y).clamp(min=0)
    side = (x - half) ** 2 + (y - half) ** 2
    return torch.where(x + y > 1, lobe, _root(torch.minimum(notch, side)) * torch.sign(x - y))


#: Signed distance, area, and radius of a disc that holds it, of every shape of scale 1.
SHAPES: dict[str, tuple[Callable[[Tensor], Tensor], float, float]] = {
    "square": (_square, 1.0, math.sqrt(0.5)),
    "ellipse": (_ellipse, math.pi * HALF_AXES[0] * HALF_AXES[1], HALF_AXES[0]),
    "heart": (_heart, 0.5 + math.pi / 8, math.hypot(0.25, 0.25) + LOBE),
}


class Sprites(Terms):
    """F(x) = Σ_m a_m χ(R(−θ_m)(x − p_m)/s_m), χ the indicator of a shape or its smoothed rim, on R².

    Parameters
    ----------
    shape : {"square", "ellipse", "heart"}
        Of scale 1: the unit square; the ellipse with half axes 0.5 and 0.3; the heart of a square of side 1/√2 on its
        corner (0, −1/2) and half discs on its two upper sides, upright along the second axis.
    centers : Tensor, shape (m, 2) or (*batch, m, 2)
        Positions p, in length units.
    amplitudes : Tensor, shape (m, c) or (*batch, m, c)
    scales : Tensor, shape (m,), batch in front or not
        s, in length units.
    orientations : Tensor, shape (m,), batch in front or not
        θ, in radians, from the first axis to the second.
    width : float
        0 for indicators. Otherwise the value at signed distance δ of the rim is ½ erfc(δ/(√2·width)), in length units:
        what a Gaussian of that width makes of a straight edge.

    Raises
    ------
    ValueError
        For an unknown shape, scales that aren't positive, a negative width.

    Notes
    -----
    The integral of indicators is closed (scale² times the shape's area); all else is by quadrature. Gradients in all
    arguments flow where the width isn't 0.

    Examples
    --------
    >>> from fields import Sprites
    >>> F = Sprites("heart", [[0.0, 0.0]], [[1.0]], scales=[2.0], orientations=[0.0])
    >>> F([[0.0, -0.9], [0.9, -0.9]]).flatten().tolist(), round(float(F.integrate()), 6)
    ([1.0, 0.0], 3.570796)
    """

    scales: Tensor
    orientations: Tensor

    def __init__(
        self,
        shape: str,
        centers: Any,
        amplitudes: Any,
        scales: Any,
        orientations: Any,
        width: float = 0.0,
    ) -> None:
        super().__init__(centers, amplitudes, scales=scales, orientations=orientations)
        arguments.choice(shape, "shape", SHAPES)
        if self.dim != 2:
            raise ValueError(f"sprites live on R^2, got centers on R^{self.dim}")
        self._positive("scales", ())
        self._tail("orientations", ())
        (self.width,) = checks.per_axis(width, 1, "width")
        if self.width < 0:
            raise ValueError(f"width must be 0 or positive, got {self.width}")
        self.shape = shape

    def _finest(self, rtol: float) -> PerAxis:
        """Two points per shortest half axis of the smallest shape."""
        return (1 / (2 * HALF_AXES[1] * float(self.scales.detach().amin())),) * self.dim

    def _reach(self, rtol: float) -> Tensor:
        rim = self.scales[..., None] * SHAPES[self.shape][2]
        blur = self.width * math.sqrt(-2 * math.log(max(rtol, TAIL)))
        return rim + blur

    def _values(self, lattice: Lattice) -> Tensor:
        distance = SHAPES[self.shape][0]

        def profile(m: int, z: Tensor) -> Tensor:
            scale, angle = self._of_term(self.scales, m), self._of_term(self.orientations, m)
            cos, sin = torch.cos(angle), torch.sin(angle)
            u = torch.stack(
                [cos * z[..., 0] + sin * z[..., 1], cos * z[..., 1] - sin * z[..., 0]], -1
            )
            inner = distance(u / scale[..., None]) * scale
            if not self.width:
                return (inner <= 0).to(self.dtype)
            smooth: Tensor = torch.special.erfc(inner / (math.sqrt(2) * self.width))
            return 0.5 * smooth

        return self._summed(lattice, profile)

    def _integral(self) -> Tensor | None:
        if self.width:
            return None
        areas = self.scales**2 * SHAPES[self.shape][1]
        return (areas[..., None, :] @ self.amplitudes).squeeze(-2)
