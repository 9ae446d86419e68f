"""A kernel of one's own: what MatrixKernel asks for is enough for every carrier and every way to convolve."""

import math

import pytest
import torch
from torch import Tensor

from discretize import Grid, Samples, sample
from fields import (
    BasisKernel,
    BSplineKernel,
    GaussianKernel,
    Interpolated,
    Kernel,
    MatrixKernel,
    PlaneWaves,
)
from fields.algebra.local import Convolved
from fields.kernels.kernel import dyadic_nodes
from fields.stencils.stencil import Stencil
from layers import Conv
from tests.compare import assert_close, relative_error
from tests.laws.registry import DIMS, points

every_dim = pytest.mark.parametrize("dim", DIMS)
low_dim = pytest.mark.parametrize("dim", [1, 2])
WIDTH = 0.2


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Moved(MatrixKernel):
    """A normal density around an offset: exp(−|y − o|²/2w²)/(2πw²)^{d/2}, transform exp(−2πi f·o − 2π²w²|f|²).

    The transform is told for so many frequencies at once.
    """

    in_channels = out_channels = 1

    def __init__(self, offset: list[float], most: float = math.inf) -> None:
        self.offset, self.most = torch.tensor(offset, dtype=torch.float64), most

    @property
    def dtype(self) -> torch.dtype:
        return torch.float64

    def reach(self, dim: int) -> tuple[float, ...]:
        return tuple(7 * WIDTH + abs(o) for o in self.offset.tolist()[:dim])

    def spacings(self, node, count: int, dim: int) -> tuple[float | None, ...]:
        return node or dyadic_nodes(self.reach(dim), count)

    def stencils(self, pitch, node) -> list[Stencil]:
        return Kernel(self._density, 1, 1, self.reach(len(node))).stencils(pitch, node)

    def _density(self, y: Tensor) -> Tensor:
        square = ((y - self.offset) ** 2).sum(-1) / (2 * WIDTH**2)
        return (torch.exp(-square) / (2 * math.pi * WIDTH**2) ** (y.shape[-1] / 2))[..., None, None]

    def transform(self, frequencies: Tensor) -> Tensor | None:
        if len(frequencies) > self.most:
            return None
        turns = 2j * math.pi * (frequencies @ self.offset)
        fall = 2 * math.pi**2 * WIDTH**2 * (frequencies**2).sum(-1)
        return torch.exp(-turns - fall)[:, None, None]


def wave(dim: int) -> PlaneWaves:
    f = [[0.4, -0.3, 0.25][:dim], [-0.1, 0.2, 0.3][:dim]]
    return PlaneWaves(f, torch.complex(noise(2, 1), noise(2, 1, seed=1)))


@every_dim
def test_it_moves_and_blurs(dim: int) -> None:
    """On waves, images and grids: the Gaussian blur, moved by the offset."""
    offset = [0.15, -0.3, 0.2][:dim]
    kernel, blur, x = Moved(offset), GaussianKernel(WIDTH, [[1.0]]), points(dim, 3)
    image = Interpolated(noise(1, *(5, 6, 7)[:dim]), 0.5)
    for field in (wave(dim), image):
        expected = field.convolve(blur).translate(offset)(x)
        assert_close(field.convolve(kernel)(x), expected, 1000)
        by_nodes = field.convolve(kernel, 16, exact=False)
        assert isinstance(by_nodes, Convolved)
        assert relative_error(by_nodes(x), expected) < 1e-9
    grid = Grid((16, 16, 8)[:dim], [0.125, 0.125, 0.25][:dim], boundary="zero")
    f = Samples(noise(1, *grid.shape), grid)
    straight = f.convolve(Moved([0.0] * dim)).values
    assert relative_error(straight, f.convolve(blur).values) < 1e-10
    found = Conv(kernel)(sample(wave(dim), grid.dilate(12)).known())
    assert (
        relative_error(found.values, sample(wave(dim).convolve(kernel), found.grid).values) < 1e-4
    )


@every_dim
def test_complex_transforms_are_combined(dim: int) -> None:
    """A basis with an off-centre kernel has a complex transform: C₁ times the moved blur plus C₂ times a spline."""
    offset, c = [0.15, -0.3, 0.2][:dim], noise(2, 3, 1)
    parts = [Moved(offset), BSplineKernel(0.3, [[1.0]])]
    for field in (wave(dim), Interpolated(noise(1, *(5, 6, 7)[:dim]), 0.5)):
        x, blur = points(dim, 3), GaussianKernel(WIDTH, [[1.0]])
        expected = field.convolve(blur).translate(offset).mix(c[0])(x)
        expected = expected + field.convolve(parts[1]).mix(c[1])(x)
        assert_close(field.convolve(BasisKernel(parts, c))(x), expected, 1000)


@low_dim
def test_what_transforms_are_too_dear_goes_by_nodes(
    dim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transform known at a few frequencies only, or too large for all channels, leaves an image to the nodes."""
    image, x = Interpolated(noise(1, *(6, 7)[:dim]), 0.5), points(dim, 3)
    kernel = BasisKernel([Moved([0.15, -0.3][:dim])], noise(1, 2, 1))
    exact = image.convolve(kernel)
    assert isinstance(exact, Interpolated)
    values = exact(x)
    monkeypatch.setattr("fields.kernels.multipliers.MOST_MULTIPLIERS", 12)
    few = Moved([0.15, -0.3][:dim], most=2)
    for found, expected in (
        (image.convolve(few), image.convolve(Moved([0.15, -0.3][:dim]), exact=False)(x)),
        (image.convolve(kernel), values),
    ):
        assert isinstance(found, Convolved)
        assert relative_error(found(x), expected) < 1e-9


def test_the_band_of_a_basis_is_its_widest() -> None:
    """√(−ln ε/2)/πw for the narrowest Gaussian, where the transform has fallen to ε; unknown for splines."""
    widths, eps = (0.5, 0.2, 1.0), 1e-6
    parts = [GaussianKernel(w, [[1.0]]) for w in widths]
    kernel = BasisKernel(parts, torch.ones(3, 1, 1).double())
    expected = math.sqrt(-math.log(eps) / 2) / (math.pi * min(widths))
    assert kernel.bandwidth(eps, 2) == pytest.approx((expected, expected), rel=1e-14)
    at = kernel.transform(torch.tensor([[expected, 0.0]]).double())
    assert float(at) == pytest.approx(eps, rel=1e-9)
    assert (
        BasisKernel([*parts, BSplineKernel(0.3, [[1.0]])], noise(4, 1, 1)).bandwidth(eps, 2) is None
    )
