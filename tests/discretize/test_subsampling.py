"""Subsampling: what is kept, where it lies, and which translations it commutes with."""

import pytest
import torch

from discretize import BlurPool, EquivariantSubsampling, Grid, Samples, Stride, sample
from fields import random_bandlimited
from tests.compare import assert_close

CASES = [(1, 2), (1, 3), (1, 4), (2, 2), (2, 3), (2, 4), (2, (2, 3)), (3, 2), (3, 3), (3, 4)]


def strides(dim: int, s: int | tuple[int, ...]) -> tuple[int, ...]:
    return (s,) * dim if isinstance(s, int) else s


def noise(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def grid_of(dim: int) -> Grid:
    return Grid((12,) * dim, 0.5, origin=0.25)


@pytest.mark.parametrize(("dim", "s"), CASES)
def test_stride_keeps_every_sth_sample(dim, s) -> None:
    f = Samples(noise(2, 3, *(12,) * dim), grid_of(dim))
    kept = Stride(s)(f)
    steps = strides(dim, s)
    assert torch.equal(kept.values, f.values[(..., *(slice(None, None, q) for q in steps))])
    assert kept.grid.spacing == tuple(0.5 * q for q in steps)
    assert kept.grid.origin.tolist() == [0.25] * dim


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
@pytest.mark.parametrize(("dim", "s"), CASES)
def test_law_of_equivariant_subsampling(dim, s, scale, dtype) -> None:
    """S(T_t f) = (roll(f_b, q), p_t), p_t = (p + t) mod s, q = (t + p − p_t)/s, bit for bit."""
    steps = torch.tensor(strides(dim, s))
    grid = grid_of(dim)
    layer = EquivariantSubsampling(s)
    draw = torch.Generator().manual_seed(dim)
    for trial in range(20):
        values = scale * noise(3, *grid.shape, dtype=dtype, seed=trial)
        t = torch.randint(-30, 30, (dim,), generator=draw)
        axes = tuple(range(-dim, 0))
        kept = layer(Samples(values, grid))
        moved = layer(Samples(values.roll(t.tolist(), axes), grid))
        p, p_t = ((g.grid.origin - 0.25) / 0.5 for g in (kept, moved))
        assert torch.equal(p_t, (p + t) % steps)
        q = ((t + p - p_t) / steps).long().tolist()
        assert torch.equal(moved.values, kept.values.roll(q, axes))


def test_every_element_of_a_batch_has_its_own_origin() -> None:
    f = Samples(noise(5, 2, 12, 12), grid_of(2))
    kept = EquivariantSubsampling(3)(f)
    assert kept.grid.origin.shape == (5, 2)
    assert len(kept.grid.origin.unique(dim=0)) > 1
    for b in range(5):
        one = EquivariantSubsampling(3)(Samples(f.values[b], f.grid))
        assert torch.equal(one.values, kept.values[b])
        assert torch.equal(one.grid.origin, kept.grid.origin[b])


def test_the_largest_sample_is_kept() -> None:
    """Φ is the argmax of ‖f(x)‖₁ over channels; it lies on the sublattice that it chooses."""
    values = torch.zeros(2, 8, 8)
    values[:, 3, 6] = torch.tensor([-2.0, 2.0])
    values[0, 1, 1] = 3.0
    kept = EquivariantSubsampling(4)(Samples(values.double(), Grid((8, 8), 1.0)))
    assert kept.grid.origin.tolist() == [3.0, 2.0]
    assert kept.values[:, 0, 1].tolist() == [-2.0, 2.0]


def test_of_equal_maxima_the_first_is_taken() -> None:
    constant = Samples(torch.ones(1, 6, 6).double(), Grid((6, 6), 1.0))
    assert EquivariantSubsampling(2)(constant).grid.origin.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("taps", [1, 2, 3, 4, 5, 7])
def test_blurpool_is_a_padded_depthwise_correlation(dim, taps) -> None:
    """Zhang: pad (⌊(f−1)/2⌋, ⌈(f−1)/2⌉) circularly, correlate with the binomial row, stride."""
    values = noise(2, 3, *(12,) * dim)
    row = torch.tensor([1.0], dtype=torch.float64)
    for _ in range(taps - 1):
        row = (torch.cat([row, row.new_zeros(1)]) + torch.cat([row.new_zeros(1), row])) / 2
    weights = row if dim == 1 else row[:, None] * row
    pads = [(taps - 1) // 2, taps // 2] * dim
    padded = torch.nn.functional.pad(values, pads, mode="circular")
    conv = torch.conv1d if dim == 1 else torch.conv2d
    expected = conv(padded, weights.expand(3, 1, *weights.shape), stride=2, groups=3)
    blurred = BlurPool(2, taps)(Samples(values, grid_of(dim)))
    assert_close(blurred.values, expected, 200)
    half = 0.25 if taps % 2 == 0 else 0.0
    assert blurred.grid.origin.tolist() == [0.25 + half] * dim


def test_a_field_is_left_alone_or_filtered() -> None:
    """sample ∘ BlurPool = BlurPool ∘ sample, where the field is told the spacing of the taps."""
    field = random_bandlimited(2, 2, 0.3, 16.0, seed=0)
    assert Stride(2)(field) is field
    assert BlurPool(2)(field) is field
    assert EquivariantSubsampling(2)(field) is field
    layer = BlurPool(2, taps=4, spacing=1.0)
    discrete = layer(sample(field, Grid((16, 16), 1.0)))
    assert_close(sample(layer(field), discrete.grid, prefilter="none").values, discrete.values, 500)


@pytest.mark.parametrize("layer", [Stride(3), BlurPool(3), EquivariantSubsampling(3)])
def test_bad_input(layer) -> None:
    with pytest.raises(ValueError, match=r"doesn't divide the periodic grid.*6 or 9"):
        layer(Samples(noise(1, 8, 9), Grid((8, 9), 1.0)))
    with pytest.raises(TypeError, match="expected a Field or Samples, got Tensor"):
        layer(noise(1, 9, 9))


@pytest.mark.parametrize("s", [0, -2, 1.5, (2, 0)])
@pytest.mark.parametrize("kind", [Stride, BlurPool, EquivariantSubsampling])
def test_strides_that_are_none(kind, s) -> None:
    with pytest.raises(ValueError, match="stride must be integers of at least 1"):
        kind(s)
