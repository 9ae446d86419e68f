"""Closed forms, straight from their formulas."""

import math

import numpy as np
import pytest
import torch

import fields.leaves.plane_waves
from fields import Constant, Formula, Gaussians, PlaneWaves, random_bandlimited
from fields.lattice import Lattice
from tests.compare import assert_close
from tests.laws.registry import DIMS, points

every_dim = pytest.mark.parametrize("dim", DIMS)


def noise(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(math.prod(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


# --- Constant -----------------------------------------------------------------------------------


@every_dim
def test_constant(dim: int) -> None:
    """F(x) = value, bit for bit; bare numbers and lists are float64."""
    x = points(dim)
    assert torch.equal(Constant([1.5, -2.0], dim)(x), x.new_tensor([1.5, -2.0]).expand(5, 2))
    assert torch.equal(Constant(3.0, dim)(x), x.new_full((5, 1), 3.0))
    assert Constant(3, dim).dtype == torch.float64
    assert Constant(torch.ones(4, 2), dim).batch == (4,)


# --- Gaussians ----------------------------------------------------------------------------------


@every_dim
@pytest.mark.parametrize("shape", ["()", "(d,)", "(d, d)"])
def test_gaussians(dim: int, shape: str) -> None:
    """F(x) = Σ a exp(−½ (x − c)ᵀ Σ⁻¹ (x − c)) with Σ = w², diag(w²) or as given."""
    centers, amplitudes, x = noise(3, dim), noise(3, 2), points(dim)
    widths = {"()": 0.5 + noise(3) ** 2, "(d,)": 0.5 + noise(3, dim) ** 2}.get(shape)
    if widths is None:
        root = noise(3, dim, dim)
        widths = covariance = root @ root.mT + 0.3 * torch.eye(dim)
    else:
        covariance = torch.diag_embed(widths.reshape(3, -1).expand(3, dim) ** 2)
    z = (x[:, None] - centers)[..., None]
    exponent = -0.5 * (z.mT @ covariance.inverse() @ z)[..., 0, 0]
    expected = torch.exp(exponent) @ amplitudes
    assert_close(Gaussians(centers, amplitudes, widths)(x), expected, 200, 1.0)


@every_dim
def test_gaussians_have_unit_peak(dim: int) -> None:
    """F(c) = a."""
    field = Gaussians([[0.3] * dim], [[2.0, -1.0]], [0.1])
    assert field([0.3] * dim).tolist() == [2.0, -1.0]


@every_dim
@pytest.mark.parametrize("shape", ["()", "(d,)", "(d, d)"])
def test_bandwidth_of_gaussians(dim: int, shape: str) -> None:
    """The spectrum exp(−2π² fᵀΣf) is rtol at its highest point on the plane f_i = bandwidth_i."""
    spread = torch.tensor([0.5, 0.9, 0.7], dtype=torch.float64)[:dim]
    root = noise(dim, dim)
    covariance = {
        "()": 0.25 * torch.eye(dim, dtype=torch.float64),
        "(d,)": torch.diag(spread**2),
        "(d, d)": root @ root.mT + 0.1 * torch.eye(dim),
    }[shape]
    widths = {"()": torch.tensor([0.5]), "(d,)": spread[None], "(d, d)": covariance[None]}[shape]
    rtol = 1e-5
    bands = Gaussians(noise(1, dim), noise(1, 1), widths.double()).bandwidth(rtol)
    for axis, band in enumerate(bands):
        # The highest point has f ∝ Σ⁻¹ e_i: there, fᵀΣf is least for a given f_i.
        f = covariance.inverse()[:, axis]
        f = f * band / f[axis]
        assert math.exp(-2 * math.pi**2 * float(f @ covariance @ f)) == pytest.approx(rtol)


def test_widths_of_a_batch_are_read_with_the_batch() -> None:
    """Widths (2, 2): of a batch of two with two terms, not of two terms in two dimensions."""
    widths = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    field = Gaussians(torch.zeros(2, 2, 2).double(), torch.ones(2, 2, 1).double(), widths)
    x = torch.tensor([1.0, 0.0])
    expected = torch.exp(-0.5 / widths**2).sum(-1, keepdim=True)
    assert_close(field(x), expected, 10)


# --- PlaneWaves ---------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [(), (3,)])
def test_waves_on_a_line_are_summed_in_parts(batch, monkeypatch) -> None:
    """Waves × points at once would take m/c times the memory of the values."""
    F, asked = random_bandlimited(1, 2, 4.0, 2.0, seed=0), []
    lattice = Lattice(
        torch.rand(*batch, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0)),
        (0.01,),
        (1000,),
    )
    whole, waves = F._values(lattice), fields.leaves.plane_waves._waves
    monkeypatch.setattr(fields.leaves.plane_waves, "WORKSPACE", 1 << 16)
    monkeypatch.setattr(
        fields.leaves.plane_waves,
        "_waves",
        lambda x, f: (asked.append(x.numel() * f.numel()), waves(x, f))[1],
    )
    assert_close(F._values(lattice), whole, 10)
    assert whole.shape == (*batch, 2, 1000)
    assert 64 * max(asked) <= 1 << 16


@every_dim
def test_plane_waves(dim: int) -> None:
    """F(x) = Re Σ a exp(2πi f·x) = Σ |a| cos(2πf·x + arg a)."""
    frequencies, amplitudes, x = noise(4, dim), torch.complex(noise(4, 2), noise(4, 2)), points(dim)
    phase = 2 * math.pi * x @ frequencies.mT
    expected = torch.cos(phase[..., None] + amplitudes.angle()) * amplitudes.abs()
    assert_close(PlaneWaves(frequencies, amplitudes)(x), expected.sum(1), 200)


@every_dim
def test_a_product_grid_of_waves_is_the_same_sum(dim: int) -> None:
    """Frequencies on a grid, repeated ones too, factorise over the axes: a shortcut, no change."""
    axis = torch.tensor([-0.3, 0.1, 0.25], dtype=torch.float64)
    frequencies = torch.cartesian_prod(*(axis,) * dim).reshape(-1, dim)
    frequencies = torch.cat([frequencies, frequencies[:1]])
    amplitudes = torch.complex(noise(len(frequencies), 2), noise(len(frequencies), 2))
    whole = PlaneWaves(frequencies, amplitudes)
    parts = [PlaneWaves(f[None], a[None]) for f, a in zip(frequencies, amplitudes, strict=True)]
    x = points(dim)
    assert_close(whole(x), torch.stack([p(x) for p in parts]).sum(0), 200)


def test_phases_stay_exact_far_away() -> None:
    """cos(2π·x/4) = 1, 0, −1, 0 at integers as large as 10¹²."""
    x = 1e12 + torch.arange(4, dtype=torch.float64)[:, None]
    assert_close(PlaneWaves([[0.25]], [[1.0]])(x)[:, 0], np.array([1.0, 0.0, -1.0, 0.0]), 10)


@pytest.mark.parametrize(
    ("frequencies", "period"),
    [
        ([[0.25]], (4.0,)),
        ([[0.25], [1 / 6]], (12.0,)),
        ([[0.0]], (0.0,)),
        ([[1.0], [math.sqrt(2)]], None),
        ([[0.5, 0.0], [0.0, -0.2]], (2.0, 5.0)),
        ([[0.5, 0.0]], (2.0, 0.0)),
    ],
)
def test_period_of_waves(frequencies: list[list[float]], period: tuple[float, ...] | None) -> None:
    """The shortest common period: 1/gcd of the frequencies, axis by axis."""
    field = PlaneWaves(frequencies, torch.ones(len(frequencies), 1))
    assert field.period == (None if period is None else pytest.approx(period))
    assert field.bandlimit == tuple(np.abs(frequencies).max(0))


@every_dim
def test_random_bandlimited(dim: int) -> None:
    """All waves of a period below the limit, once; mean 0 and mean square 1 per channel."""
    period, limit = (8.0, 6.0, 4.0)[:dim], 0.26
    field = random_bandlimited(dim, 3, limit, period, seed=4)
    highest = [math.floor(limit * p) for p in period]
    assert len(field.frequencies) == (math.prod(2 * n + 1 for n in highest) - 1) / 2
    shape = [2 * n + 2 for n in highest]  # resolves the band: sums over it are integrals
    axes = [
        torch.arange(n, dtype=torch.float64) * p / n for n, p in zip(shape, period, strict=True)
    ]
    values = field(torch.cartesian_prod(*axes).reshape(-1, dim))
    assert_close(values.mean(0), torch.zeros(3, dtype=torch.float64), 100, 1.0)
    assert_close((values**2).mean(0), torch.ones(3, dtype=torch.float64), 100)
    # every wave of the band, and its mirror image, has its share
    content = torch.fft.fftn(values.T.reshape(3, *shape), dim=tuple(range(1, dim + 1)))
    assert int((content.abs() > 1e-9).sum()) == 3 * 2 * len(field.frequencies)


def test_random_fields_depend_on_their_seed_only() -> None:
    x = points(2)
    first, again, other = (random_bandlimited(2, 1, 0.3, 8.0, s)(x) for s in (1, 1, 2))
    by_generator = random_bandlimited(2, 1, 0.3, 8.0, torch.Generator().manual_seed(1))
    assert torch.equal(first, again)
    assert torch.equal(first, by_generator(x))
    assert not torch.equal(first, other)


# --- Formula ------------------------------------------------------------------------------------


@every_dim
def test_formula(dim: int) -> None:
    """F(x) = fn(x); fn sees points (*points, d)."""
    field = Formula(lambda x: x * 2, dim, dim)
    assert torch.equal(field(points(dim)), 2 * points(dim))
    assert field.bandlimit is None
    assert field.period is None


# --- bad input ----------------------------------------------------------------------------------

ONE = [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (lambda: Gaussians([0.0], [1.0], [1.0]), ValueError, r"centers must have shape \(m, d\)"),
        (lambda: Gaussians(ONE, [[1.0]] * 2, [1.0]), ValueError, "same number m ≥ 1 of terms"),
        (lambda: Gaussians(ONE, [[1.0]], [1.0] * 3), ValueError, "widths must have shape"),
        (lambda: Gaussians(ONE, [[1.0]], [0.0]), ValueError, "widths must be positive"),
        (lambda: Gaussians(ONE, [[1.0]], [-1.0]), ValueError, "the least is -1"),
        (
            lambda: Gaussians(ONE, [[1.0]], [[[1.0, 2.0], [2.0, 1.0]]]),
            ValueError,
            "positive definite, the least eigenvalue is -1",
        ),
        (
            lambda: Gaussians(ONE, [[1.0]], [[[1.0, 0.5], [0.0, 1.0]]]),
            ValueError,
            "must be symmetric",
        ),
        (lambda: Gaussians([[math.nan]], [[1.0]], [1.0]), ValueError, "centers must be finite"),
        (lambda: Gaussians([[0.0]], [[math.inf]], [1.0]), ValueError, "amplitudes must be finite"),
        (lambda: Gaussians([[0.0] * 4], [[1.0]], [1.0]), ValueError, "got dim = 4"),
        (lambda: PlaneWaves([0.5], [[1.0]]), ValueError, r"frequencies must have shape \(m, d\)"),
        (lambda: PlaneWaves([[0.5]], [[1.0]] * 2), ValueError, r"must have shape \(1, c\)"),
        (lambda: PlaneWaves([[0.5]], [[1.0]], period=3.0), ValueError, "no multiples of 1/period"),
        (lambda: PlaneWaves([[0.5]], [[1.0]], period=-2.0), ValueError, "must be positive"),
        (lambda: PlaneWaves([["a"]], [[1.0]]), TypeError, "frequencies must be numbers"),
        (lambda: random_bandlimited(1, 1, 0.1, 5.0, 0), ValueError, "below the band limit"),
        (lambda: random_bandlimited(2, 0, 0.3, 5.0, 0), ValueError, "channels must be integers"),
        (lambda: random_bandlimited(2, 1, (0.3,), 5.0, 0), ValueError, "a number or 2 numbers"),
        (lambda: Constant(math.nan, 2), ValueError, "value must be finite"),
        (lambda: Constant(1.0, 0), ValueError, "dim must be integers of at least 1"),
        (lambda: Constant(1.0, 1.5), ValueError, "dim must be integers"),
        (lambda: Formula(3.0, 1, 1), TypeError, "fn must be callable, got float"),
        (
            lambda: Formula(torch.sin, 1, 1, device="meta"),
            ValueError,
            "device 'meta' holds no values: take another one, 'cpu' say",
        ),
        (
            lambda: Formula(lambda x: x[..., 0], 2, 1)([0.0, 0.0]),
            ValueError,
            "the formula must return shape",
        ),
        (lambda: Formula(lambda x: None, 2, 1)([0.0, 0.0]), ValueError, "got NoneType"),
        (
            lambda: Formula(lambda x: x.float(), 1, 1)([0.0]),
            TypeError,
            "the formula's value is torch.float32",
        ),
    ],
)
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()


@pytest.mark.parametrize(
    ("x", "kind", "message"),
    [
        ([0.0], ValueError, r"points of a field on R\^2 have shape \(\*points, 2\), got \(1,\)"),
        (0.0, ValueError, r"got \(\)"),
        ([[math.nan, 0.0]], ValueError, "points x must be finite"),
        ("ab", TypeError, "points x must be numbers"),
    ],
)
def test_bad_points(x, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        Constant(1.0, 2)(x)


def test_no_points_have_no_values() -> None:
    assert Constant([1.0, 2.0], 3)(torch.zeros(0, 3)).shape == (0, 2)
    assert Constant(torch.zeros(4, 2), 3)(torch.zeros(5, 0, 3)).shape == (4, 5, 0, 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_waves_have_single_or_double_precision(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match="must be in single or double precision"):
        PlaneWaves([[0.25]], torch.ones(1, 1).to(dtype))
