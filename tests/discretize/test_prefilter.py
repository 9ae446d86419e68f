"""Prefilters: transfer functions, integrals in closed form, and that they commute with translations."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from discretize import Grid, Prefilter, aliasing, sample
from fields import (
    BoxKernel,
    Field,
    Formula,
    Gaussians,
    Interpolated,
    PlaneWaves,
    random_bandlimited,
)
from tests.compare import assert_close, relative_error

KINDS = [
    Prefilter("ideal"),
    Prefilter("gaussian", width=0.7),
    Prefilter("bspline", order=3),
    Prefilter("bspline", order=1),
    Prefilter("box"),
    Prefilter("none"),
]


def transfer(prefilter: Prefilter, turns: float) -> float:
    """H at frequency turns/spacing, by the formulas of the module's documentation."""
    sinc = math.sin(math.pi * turns) / (math.pi * turns) if turns else 1.0
    return {
        "ideal": float(abs(turns) < 0.5),
        "gaussian": math.exp(-2 * (math.pi * prefilter.width * turns) ** 2),
        "bspline": sinc ** (prefilter.order + 1),
        "box": sinc,
        "none": 1.0,
    }[prefilter.kind]


def hidden(wave: PlaneWaves) -> Formula:
    """The same function, with its period and band limit, but not its closed form."""
    assert wave.bandlimit is not None
    return Formula(lambda x: wave(x), wave.dim, wave.channels, wave.bandlimit, wave.period)


@pytest.mark.parametrize("prefilter", KINDS, ids=str)
def test_waves_are_scaled_by_the_transfer_function(prefilter: Prefilter) -> None:
    """cos(2πf·x + φ) becomes H(f₁)H(f₂)cos(2πf·x + φ), by closed form and through the spectrum alike."""
    spacing, period = (0.5, 0.25), (4.0, 2.0)
    for modes in ((1, 0), (2, 3), (3, 2), (5, 7), (0, 4)):
        f = [m / p for m, p in zip(modes, period, strict=True)]
        wave = PlaneWaves([f], torch.tensor([[0.6 - 0.8j]], dtype=torch.complex128), period)
        factor = math.prod(transfer(prefilter, g * h) for g, h in zip(f, spacing, strict=True))
        grid = Grid((8, 8), spacing, torch.tensor([0.1, 0.2]).double())
        expected = factor * sample(wave, grid, prefilter="none").values
        for field in (wave, hidden(wave)):
            f_ = sample(field, grid, prefilter=prefilter)
            assert_close(f_.values, expected, 200, 1.0)
            assert f_.accuracy == 0.0


def test_the_wave_at_nyquist_is_cut() -> None:
    values = sample(PlaneWaves([[0.5]], [[1.0]]), Grid(8, 1.0), prefilter="ideal").values
    assert_close(values, torch.zeros(1, 8, dtype=torch.float64), 10, 1.0)


@pytest.mark.parametrize(
    ("prefilter", "width"),
    [("gaussian", 0.5), ("box", None), ("bspline", None)],
)
def test_gaussians_are_averaged_in_closed_form(prefilter: str, width: float | None) -> None:
    """∫ K(y) exp(−(x − y)²/2w²) dy: a Gaussian again, a difference of error functions, one cut in four."""
    w, h = 0.8, 0.5
    field = Gaussians([[0.2]], [[1.5]], [w])
    grid = Grid(9, h, -2.0, boundary="none")
    x = grid.points()[..., 0] - 0.2
    if prefilter == "gaussian":
        wide = math.hypot(w, 0.5 * h)
        expected = 1.5 * w / wide * torch.exp(-(x**2) / (2 * wide**2))
    elif prefilter == "box":
        edges = [torch.erf((x + s * h / 2) / (w * math.sqrt(2))) for s in (1, -1)]
        expected = 1.5 * w * math.sqrt(math.pi / 2) / h * (edges[0] - edges[1])
    else:
        nodes = (torch.arange(20000, dtype=torch.float64) + 0.5) / 5000 - 2  # in spacings
        piece = torch.where(
            nodes.abs() < 1,
            2 / 3 - nodes**2 + nodes.abs() ** 3 / 2,
            (2 - nodes.abs()) ** 3 / 6,
        )
        shifted = torch.exp(-((x[:, None] - h * nodes) ** 2) / (2 * w**2))
        expected = 1.5 * (shifted * piece).sum(-1) / 5000
    rtol = 1e-6
    f = sample(field, grid, rtol=rtol, prefilter=prefilter)
    assert relative_error(f.values[0], expected) <= rtol
    assert f.accuracy is not None
    assert f.accuracy <= rtol


def test_pixels_are_means() -> None:
    """The mean of x² over [x − h/2, x + h/2] is x² + h²/12."""
    field = Formula(lambda x: x[..., :1] ** 2, 1, 1)
    grid = Grid(7, 0.5, -1.0, boundary="none")
    f = sample(field, grid, rtol=1e-6, prefilter="box")
    assert relative_error(f.values[0], grid.points()[:, 0] ** 2 + 0.25 / 12) <= 1e-6


FIELDS: dict[str, Field] = {
    "waves": random_bandlimited(2, 2, 1.5, (4.0, 2.0), 0),
    "product": random_bandlimited(2, 2, 1.0, (4.0, 2.0), 0)
    * random_bandlimited(2, 2, 1.0, (4.0, 2.0), 1),
    "interpolated": Interpolated(
        torch.randn(2, 16, 9, generator=torch.Generator().manual_seed(0)).double(),
        (4.0 / 16, 2.0 / 9),
    ),
    "tanh": random_bandlimited(2, 2, 0.5, (4.0, 2.0), 0).map(torch.tanh),
}


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("prefilter", KINDS, ids=str)
def test_filters_commute_with_translations(prefilter: Prefilter, name: str) -> None:
    """Filtering and sampling t▷F gives what moving the grid by −t gives, to rounding error."""
    field, grid = FIELDS[name], Grid((6, 6), (4 / 6, 2 / 6))
    t = torch.tensor([[0.313, -0.77], [1.1, 0.2]]).double()
    left = sample(field.translate(t), grid, rtol=1e-2, prefilter=prefilter).values
    right = sample(field, grid.translate(-t), rtol=1e-2, prefilter=prefilter).values
    assert_close(left, right, 2000)


@pytest.mark.parametrize("name", FIELDS)
def test_ideal_prefilters_leave_nothing_to_alias(name: str) -> None:
    """After the ideal filter sampling is equivariant to every real translation; accurate to rtol if measured."""
    field, grid = FIELDS[name], Grid((6, 6), (4 / 6, 2 / 6))
    f = sample(field, grid, rtol=1e-3, prefilter="ideal")
    t = torch.tensor([0.313, -0.77]).double()
    moved = sample(field.translate(t), grid, rtol=1e-3, prefilter="ideal")
    assert_close(moved.values, f.translate(t).resample(grid).values, 2000)
    fine = Grid((96, 96), (4 / 96, 2 / 96))
    spectrum = torch.fft.fftn(sample(field, fine).values, dim=(1, 2), norm="forward")
    kept = (torch.fft.fftfreq(96) * 96).abs() < 3
    expected = (spectrum * (kept[:, None] & kept))[:, ::1, ::1]
    values = torch.fft.ifftn(expected, dim=(1, 2), norm="forward").real[:, ::16, ::16]
    assert relative_error(f.values, values) <= (2e-3 if name == "tanh" else 1e-13)
    assert f.accuracy is not None
    assert f.accuracy <= 1e-3


def test_a_refinement_goes_through_the_filter() -> None:
    """cos(2πf·x) averaged over a box by nodes h/m apart, no more and no fewer: the cosine times their mean."""
    f, side, m = 0.375, 0.75, 4
    field = hidden(PlaneWaves([[f]], [[1.0]])).convolve(BoxKernel(side, [[1.0]]))
    y = torch.arange(-1, 2, dtype=torch.float64) / m  # each stands for the cell of 1/m around it
    factor = torch.cos(2 * math.pi * f * y).mean()
    grid = Grid(8, 1.0)
    wave = torch.cos(2 * math.pi * f * grid.points()).T
    for prefilter in ("ideal", "gaussian"):
        cut = transfer(Prefilter(prefilter), f)
        found = sample(field, grid, refinement=m, prefilter=prefilter)
        assert_close(found.values, cut * factor * wave, 200, 1.0)


def test_prefilters_lower_the_aliased_share() -> None:
    """The energy above Nyquist after filtering, by Parseval: Σ_{|f| ≥ Nyquist} |H C|² / Σ |H C|²."""
    field = random_bandlimited(1, 1, 4.0, 2.0, 0)
    grid = Grid(8, 0.25)
    f = field.frequencies[:, 0]
    energy = (field.amplitudes.abs() ** 2)[:, 0]
    for prefilter in KINDS:
        squares = [transfer(prefilter, float(g) * 0.25) ** 2 for g in f]
        factor = torch.tensor(squares, dtype=torch.float64)
        assert_close(prefilter.transfer(f, 0.25) ** 2, factor, 100)
    smooth = field.convolve(Prefilter("box").kernel((0.25,), 1, energy))
    weighted = energy * torch.sinc(f * 0.25) ** 2
    share = weighted[f >= 2.0].sum() / weighted.sum()
    assert_close(aliasing(smooth, grid, rtol=1e-6).share, share, 1e-6 / 2e-16)


def test_quadratures_are_resolved_behind_the_filter() -> None:
    """cos(2πf·x) times sin(πsf)/πsf of a box, by a quadrature of second order, times H of the filter."""
    f, side = 0.375, 0.7
    wave = PlaneWaves([[f]], [[1.0]])
    field, grid = hidden(wave).convolve(BoxKernel(side, [[1.0]])), Grid(8, 1.0)
    for prefilter in KINDS:
        factor = transfer(prefilter, f) * math.sin(math.pi * side * f) / (math.pi * side * f)
        out = sample(field, grid, rtol=1e-4, prefilter=prefilter)
        assert relative_error(out.values, factor * sample(wave, grid).values) <= 1e-4
        assert out.accuracy is not None
        assert out.accuracy <= 1.1e-4


def test_refinement_and_precision() -> None:
    field = Gaussians([[0.2]], [[1.5]], [0.8])
    grid = Grid(9, 0.5, -2.0, boundary="none")
    assert sample(field.map(torch.tanh), grid, refinement=4, prefilter="box").accuracy is None
    single = PlaneWaves([[0.25]], torch.ones(1, 1, dtype=torch.complex64))
    for prefilter in KINDS:
        for f in (single, single * single, single.map(torch.tanh)):
            assert sample(f, Grid(8, 1.0), 1e-2, prefilter=prefilter).dtype == torch.float32
        f_ = sample(single * single, Grid(8, 1.0), 1e-6, prefilter=prefilter)
        expected = sample((single * single), Grid(8, 1.0), prefilter="none").values - 0.5
        factor = transfer(prefilter, 0.5)  # of cos² = 1/2 + cos(4πf·x)/2
        assert_close(f_.values, 0.5 + factor * expected, 100)


def test_gradients_reach_the_field() -> None:
    """∂/∂a of the samples of a·cos is H·cos."""
    amplitude = torch.ones(1, 1, dtype=torch.complex128, requires_grad=True)

    def values(a: Tensor, kind: Prefilter) -> Tensor:
        wave = PlaneWaves([[1 / 8]], a)
        return sample(wave * wave, Grid(4, 2.0), prefilter=kind).values

    for kind in KINDS:
        assert torch.autograd.gradcheck(lambda a, k=kind: values(a, k), (amplitude,))


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (lambda: Prefilter("sharp"), ValueError, "one of ideal, gaussian, bspline, box, none"),
        (lambda: Prefilter("bspline", order=-1), ValueError, "order must be integers"),
        (lambda: Prefilter("bspline", order=10), ValueError, "up to order 9"),
        (lambda: Prefilter("gaussian", width=0.0), ValueError, "width must be positive"),
        (lambda: Prefilter("ideal").kernel((1.0,), 1, torch.ones(1)), ValueError, "no kernel of"),
        (
            lambda: sample(PlaneWaves([[0.5]], [[1.0]]), Grid(4, 1.0), prefilter=3),  # type: ignore[arg-type]
            TypeError,
            "prefilter must be one of",
        ),
        (
            lambda: sample(
                Gaussians([[0.0]], [[1.0]], [1.0]), Grid(4, 1.0, boundary="none"), prefilter="ideal"
            ),
            ValueError,
            "the ideal prefilter needs a periodic field",
        ),
    ],
)
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()
