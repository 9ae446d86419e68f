"""Laws of symmetry: windows and kernels whose shape is one of the cube's have weights with the cube's symmetries."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fields import (
    Ball,
    BallKernel,
    Balls,
    BasisKernel,
    Box,
    BoxKernel,
    BSplineKernel,
    BumpKernel,
    FieldKernel,
    GaussianKernel,
    Kernel,
    Mask,
    MatrixKernel,
)
from fields.radial import ball_in_cells
from fields.stencils.stencil import Stencil, nodes, outer

ONE = [[1.0]]


def window(shape: Ball | Box | Mask) -> Callable[[float, int], list[Stencil]]:
    return lambda h, dim: shape.stencils((h,) * dim, (h,) * dim, "mean")


def kernel(make: Callable[[], MatrixKernel]) -> Callable[[float, int], list[Stencil]]:
    return lambda h, dim: make().stencils((h,) * dim, (h,) * dim)


#: All kinds of windows and kernels, with the symmetries of the cube.
SHAPES = {
    "Ball": window(Ball(1.0)),
    "Box": window(Box(1.7)),
    "BallKernel": kernel(lambda: BallKernel(1.0, ONE)),
    "BoxKernel": kernel(lambda: BoxKernel(1.7, ONE)),
    "BumpKernel": kernel(lambda: BumpKernel(1.0, ONE)),
    "GaussianKernel": kernel(lambda: GaussianKernel(0.3, ONE)),
    "BSplineKernel": kernel(lambda: BSplineKernel(0.5, ONE)),
    "BasisKernel": kernel(
        lambda: BasisKernel([BallKernel(0.8, ONE), BumpKernel(1.0, ONE)], [ONE, ONE])
    ),
    "FieldKernel": lambda h, dim: FieldKernel(Balls([[0.0] * dim], ONE, [1.0]), ONE).stencils(
        (h,) * dim, (h,) * dim
    ),
    "Kernel": kernel(lambda: Kernel(lambda y: (1 + y.norm(dim=-1))[..., None, None], 1, 1, 1.0)),
}


def dense(stencils: list[Stencil], dim: int) -> Tensor:
    (stencil,) = stencils
    taps = outer(stencil.taps) if isinstance(stencil.taps, tuple) else stencil.taps
    return taps.detach().double().reshape(taps.shape[:dim])


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("spacing", [1.0, 0.37, 0.25])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_weights_have_the_symmetries_of_their_shape(
    shape: Callable[[float, int], list[Stencil]], spacing: float, dim: int
) -> None:
    """w(A y) = w(y) for axes exchanged and turned around, to 1e-12 of the largest."""
    w = dense(shape(spacing, dim), dim)
    for order in itertools.permutations(range(dim)):
        assert w.permute(order).shape == w.shape
        assert float((w.permute(order) - w).abs().max()) <= 1e-12 * float(w.abs().max())
    for axis in range(dim):
        assert float((w.flip(axis) - w).abs().max()) <= 1e-12 * float(w.abs().max())


def volume(dim: int) -> float:
    return math.pi ** (dim / 2) / math.gamma(dim / 2 + 1)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize(
    "spacing", [(2.5, 3.0, 2.1), (0.9, 0.5, 1.3), (0.31, 0.17, 0.23), (0.05,) * 3]
)
def test_cells_add_up_to_the_ball(spacing: tuple[float, ...], dim: int) -> None:
    h = spacing[:dim]
    shares = ball_in_cells(1.0, nodes((1.0,) * dim, h), h)
    assert float(shares.sum()) == pytest.approx(volume(dim), rel=1e-13)
    assert float(shares.min()) >= 0
    assert float(shares.max()) <= math.prod(h) * (1 + 1e-13)


def beyond(low: Tensor) -> Tensor:
    """Volume of the unit ball with x ≥ a, y ≥ b, z ≥ c, for a, b, c ≥ 0, (n, 3).

    A third of the flux of x through its faces: (A − a A_a − b A_b − c A_c)/3. The spherical face has, by Gauss and
    Bonnet, A = 2π − Σ exterior angles − Σ a·φ_a, its sides being circles of curvature a/√(1 − a²), seen
    under φ_a.
    """
    squares = low**2
    some = squares.sum(-1) < 1
    low = low[some]
    flux, face = 0.0, 2 * math.pi
    for i in range(3):
        a, b, c = (low[:, (i + k) % 3] for k in range(3))
        r = (1 - a**2).sqrt()
        angle = (math.pi / 2 - torch.asin(b / r) - torch.asin(c / r)).clamp(min=0)
        top, side = (r**2 - b**2).sqrt(), (r**2 - c**2).sqrt()
        flux = flux - a * (r**2 * angle - b * (top - c) - c * (side - b)) / 2
        # What the border turns by where the circles x = a and y = b meet: the angle between the gradients of x and y.
        corner = torch.acos((-a * b / ((1 - a**2) * (1 - b**2)).sqrt()).clamp(-1, 1))
        face = face - corner - a * angle
    out = squares.new_zeros(len(squares))
    out[some] = (face + flux) / 3
    return out


def test_cells_of_space_by_the_theorem_of_gauss_and_bonnet() -> None:
    """An independent closed form of every share, with eight corners: to 1e-12 of a cell."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        h = (0.15 + 0.6 * torch.rand(3, generator=generator, dtype=torch.float64)).tolist()
        axes = nodes((1.0,) * 3, h)
        shares = ball_in_cells(1.0, axes, h)
        edges = [
            (torch.arange(-1, len(y) // 2 + 1) + 0.5).clamp(min=0).double() * q
            for y, q in zip(axes, h, strict=True)
        ]
        corners = torch.stack(torch.meshgrid(*edges, indexing="ij"), -1)
        octant = -beyond(corners.reshape(-1, 3)).reshape(corners.shape[:-1])
        for axis in range(3):
            octant = octant.diff(dim=axis)
            octant.narrow(axis, 0, 1).mul_(2)
        ours = shares[tuple(slice(n // 2, None) for n in shares.shape)]
        assert float((ours - octant).abs().max()) <= 1e-12 * math.prod(h)


def test_cells_of_the_plane_by_fine_sums() -> None:
    """∫∫ over a cell as a midpoint sum of chords, whose error falls off with the power 3/2 of their distance."""
    h, count = (0.31, 0.17), 1 << 16
    axes = nodes((1.0, 1.0), h)
    shares = ball_in_cells(1.0, axes, h)
    x = axes[0][:, None] + h[0] * ((torch.arange(count).double() + 0.5) / count - 0.5)
    half = (1 - x**2).clamp(min=0).sqrt()
    for j, y in enumerate(axes[1]):
        low, high = y - h[1] / 2, y + h[1] / 2
        length = (torch.minimum(half, high) - torch.maximum(-half, low)).clamp(min=0)
        sums = length.mean(-1) * h[0]
        assert float((shares[:, j] - sums).abs().max()) <= 1e-6 * math.prod(h)
