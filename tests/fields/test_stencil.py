"""Stencils on arrays: direct sums are the oracle, however the sum is done."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fields.stencils import correlation, overlap_save
from fields.stencils import stencil as stencils
from fields.stencils.correlation import convolve, maximum
from fields.stencils.stencil import Stencil, cosets, on_nodes
from tests.compare import assert_close
from tests.laws.registry import DIMS


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def windows(values: torch.Tensor, size, dilation, stride):
    """(index of the tap, its values) where output k sees the sample k·stride + dilation·(S−1−j).

    The last tap of a true convolution sees the first sample.
    """
    dim = len(size)
    counts = [
        (n - d * (s - 1) - 1) // p + 1
        for n, s, d, p in zip(values.shape[-dim:], size, dilation, stride, strict=True)
    ]
    for tap in itertools.product(*map(range, size)):
        cut = []
        for j, s, d, p, n in zip(tap, size, dilation, stride, counts, strict=True):
            first = d * (s - 1 - j)
            cut.append(slice(first, first + p * (n - 1) + 1, p))
        yield tap, values[(..., *cut)]


def stencil_of(taps: torch.Tensor | tuple[torch.Tensor, ...], dim: int, matrix=None) -> Stencil:
    return Stencil((0,) * dim, (1,) * dim, (0.0,) * dim, taps, matrix)


GEOMETRY = [
    ((1, 1, 1), (1, 1, 1)),
    ((2, 1, 3), (1, 1, 1)),
    ((1, 1, 1), (2, 3, 1)),
    ((3, 2, 1), (2, 1, 2)),
]
every_dim = pytest.mark.parametrize("dim", DIMS)
every_geometry = pytest.mark.parametrize(("dilation", "stride"), GEOMETRY)


@every_dim
@every_geometry
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_matrix_valued_taps(dim: int, dilation, stride, dtype: torch.dtype) -> None:
    """out[k] = Σ_j w_j v[k·stride + …], every w_j a matrix; batches in front."""
    size, dilation, stride = (3, 2, 4)[:dim], dilation[:dim], stride[:dim]
    values = noise(2, 1, 3, *(13, 12, 14)[:dim], dtype=dtype)
    taps = noise(*size, 4, 3, dtype=dtype)
    expected = sum(
        torch.einsum("oi,bci...->bco...", taps[tap], part)
        for tap, part in windows(values, size, dilation, stride)
    )
    actual = convolve(values, stencil_of(taps, dim), dilation, stride)
    assert_close(actual, expected, 200)


@every_dim
@every_geometry
@pytest.mark.parametrize("out", [None, 2, 5])
def test_scalar_taps(dim: int, dilation, stride, out: int | None) -> None:
    """Taps that are the same for every channel, dense or per axis, before or after a matrix."""
    size, dilation, stride = (3, 1, 4)[:dim], dilation[:dim], stride[:dim]
    values = noise(2, 3, *(150, 12, 14)[:dim])  # more than one block of rows
    rows = tuple(noise(n) for n in size)
    dense = stencils.outer(rows)
    matrix = None if out is None else noise(out, 3)
    mixed = values if matrix is None else torch.einsum("oi,bi...->bo...", matrix, values)
    expected = sum(dense[t] * part for t, part in windows(mixed, size, dilation, stride))
    for taps in (rows, dense):
        actual = convolve(values, stencil_of(taps, dim, matrix), dilation, stride)
        assert_close(actual, expected, 500)


@every_dim
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("matrix", [True, False])
def test_fft_is_the_direct_sum(
    dim: int, stride: int, matrix: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (7, 5, 4)[:dim]
    values, taps = noise(2, 3, *(19, 11, 8)[:dim]), noise(*size, *((4, 3) if matrix else ()))
    results = []
    for pays in (True, False):
        monkeypatch.setattr(correlation, "fft_pays", lambda *_, pays=pays: pays)
        results.append(convolve(values, stencil_of(taps, dim), (1,) * dim, (stride,) * dim))
    assert_close(*results, 500)
    assert not torch.equal(*results)  # they were two ways


def test_large_stencils_go_by_fft(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether an FFT pays depends on sizes only: a large dense stencil does, a small one doesn't."""
    used = []
    by_fft = correlation.by_fft
    monkeypatch.setattr(correlation, "by_fft", lambda *a: used.append(1) or by_fft(*a))
    values, large = noise(1, 2, 64, 64, dtype=torch.float32), noise(31, 31, 2, 2).float()
    convolve(values, stencil_of(large[:3, :3], 2), (1, 1), (1, 1))
    assert used == []
    convolve(values, stencil_of(large, 2), (1, 1), (1, 1))
    assert used == [1]


@every_dim
@pytest.mark.parametrize("maps", [1, 1 << 19])
def test_gradients_go_through_the_fft(dim: int, maps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """First and second derivatives in values and taps are the direct sum's, over tiles and over maps in turns."""
    monkeypatch.setattr(overlap_save, "FFT_ELEMENTS", maps)
    values, taps = noise(2, 3, *(140, 9, 8)[:dim]), noise(*(3, 4, 2)[:dim], 4, 3)
    results = []
    for pays in (True, False):
        monkeypatch.setattr(correlation, "fft_pays", lambda *_, pays=pays: pays)
        inputs = values.clone().requires_grad_(), taps.clone().requires_grad_()
        out = convolve(inputs[0], stencil_of(inputs[1], dim), (1,) * dim, (2,) * dim)
        slopes = torch.autograd.grad(out.square().sum(), inputs, create_graph=True)
        again = torch.autograd.grad(sum(s.square().sum() for s in slopes), inputs)
        results.append((out, *slopes, *again))
    for by_fft, direct in zip(*results, strict=True):
        assert_close(by_fft, direct, 500)


@every_dim
@pytest.mark.parametrize("channels", [(8, 8), (9, 8)])
def test_many_channels_by_fft(
    dim: int, channels: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to 64 products of channels are summed one by one, more as matrix products: the same sums."""
    outs, ins = channels
    values, taps = noise(2, ins, *(19, 11, 8)[:dim]), noise(*(7, 5, 4)[:dim], outs, ins)
    expected = sum(
        torch.einsum("oi,bi...->bo...", taps[tap], part)
        for tap, part in windows(values, taps.shape[:dim], (1,) * dim, (1,) * dim)
    )
    monkeypatch.setattr(correlation, "fft_pays", lambda *_: True)
    assert_close(convolve(values, stencil_of(taps, dim), (1,) * dim, (1,) * dim), expected, 500)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_directly(dtype: torch.dtype) -> None:
    """torch has no FFT of these on a processor: a large stencil is the direct sum, to the rounding of its result."""
    values, taps = noise(1, 2, 40, 40, dtype=dtype), noise(31, 31, 2, 2, dtype=dtype)
    found = convolve(values, stencil_of(taps, 2), (1, 1), (1, 1))
    expected = convolve(values.double(), stencil_of(taps.double(), 2), (1, 1), (1, 1))
    assert found.dtype == dtype
    assert_close(found, expected.to(dtype), 2)


@every_dim
@every_geometry
@pytest.mark.parametrize("shape", ["all", "some", "one", "rows"])
def test_maximum(dim: int, dilation, stride, shape: str) -> None:
    """out[k] = max over the taps that aren't zero, bit for bit."""
    size, dilation, stride = (5, 3, 4)[:dim], dilation[:dim], stride[:dim]
    values = noise(2, 3, *(19, 17, 14)[:dim])
    mask = torch.ones(size)
    if shape == "some":
        mask = (noise(*size) > 0).double()
        mask[(0,) * dim] = 1
    if shape == "one":
        mask = torch.zeros(size)
        mask[(1,) * dim] = 1
    taps = tuple(torch.ones(n) for n in size) if shape == "rows" else mask
    seen = [p for tap, p in windows(values, size, dilation, stride) if mask[tap]]
    expected = torch.stack(seen).amax(0)
    assert torch.equal(maximum(values, stencil_of(taps, dim), dilation, stride), expected)


def test_maximum_over_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="a pooling window needs at least one tap"):
        maximum(noise(1, 1, 5), stencil_of(torch.zeros(3), 1), (1,), (1,))


@pytest.mark.parametrize("dim", DIMS)
def test_gradients_of_sums_and_maxima(dim: int) -> None:
    values = noise(1, 2, *(6, 5, 4)[:dim]).requires_grad_()
    taps, rows = noise(*(2,) * dim, 2, 2).requires_grad_(), tuple(noise(2) for _ in range(dim))
    matrix, ones = noise(3, 2).requires_grad_(), (1,) * dim
    for call, inputs in [
        (lambda v, w: convolve(v, stencil_of(w, dim), ones, (2,) * dim), (values, taps)),
        (lambda v, w: convolve(v, stencil_of(w, dim), (2,) * dim, ones), (values, taps)),
        (lambda v, m: convolve(v, stencil_of(rows, dim, m), ones, ones), (values, matrix)),
        (lambda v: maximum(v, stencil_of(rows, dim), ones, ones), (values,)),
    ]:
        torch.autograd.gradcheck(call, inputs, fast_mode=True)


# --- cosets -------------------------------------------------------------------------------------


def spread(found: list[Stencil], pitch: tuple[float, ...]) -> dict[tuple[float, ...], float]:
    """Weight per position of all taps that aren't zero."""
    weights: dict[tuple[float, ...], float] = {}
    for s in found:
        for index in itertools.product(*map(range, s.size)):
            place = tuple(
                round((r + f + p * i) * q, 9) + 0.0
                for r, f, p, i, q in zip(s.remainder, s.first, s.step, index, pitch, strict=True)
            )
            if float(s.taps[index]):
                weights[place] = weights.get(place, 0.0) + float(s.taps[index])
    return weights


numbers = st.one_of(
    st.integers(-8, 8).map(lambda n: n / 4),
    st.sampled_from([0.1, 1 / 3, math.sqrt(2), 100.0]),
)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=8))
def test_cosets_hold_every_tap_once(offsets: list[tuple[float, float]]) -> None:
    """The stencils' taps are the given points with the given weights, repeated ones added."""
    pitch = (0.5, 0.25)
    expected: dict[tuple[float, ...], float] = {}
    for weight, offset in enumerate(offsets, start=1):
        place = tuple(round(o, 9) + 0.0 for o in offset)
        expected[place] = expected.get(place, 0.0) + weight
    weights = torch.arange(1.0, len(offsets) + 1)
    found = cosets(torch.tensor(offsets, dtype=torch.float64), weights, pitch)
    assert spread(found, pitch) == expected
    assert all(0 <= r < 1 for s in found for r in s.remainder)


@given(st.integers(1, 5), st.sampled_from([0.25, 0.5, 0.75, 0.1, 0.3]), numbers)
def test_nodes_keep_their_places(count: int, spacing: float, first: float) -> None:
    """Evenly spaced nodes, on the pitch's lattice or not, dense or as rows: the same taps."""
    axis = first + spacing * torch.arange(count, dtype=torch.float64)
    rows = (torch.arange(1.0, count + 1), torch.tensor([2.0]))
    axes, pitch = [axis, torch.tensor([0.5], dtype=torch.float64)], (0.25, 0.5)
    expected = {(round(float(y), 9) + 0.0, 0.5): 2.0 * (i + 1) for i, y in enumerate(axis)}
    dense = stencils.outer(rows)
    assert spread(on_nodes(axes, pitch, dense), pitch) == expected
    by_rows = [
        replace(s, taps=stencils.outer(s.taps)) if isinstance(s.taps, tuple) else s
        for s in on_nodes(axes, pitch, rows)
    ]
    assert spread(by_rows, pitch) == expected


@pytest.mark.parametrize("spacing", [0.1, 0.25, 1.0, 3.0])
@pytest.mark.parametrize("radius", [0.1, 0.5, 0.83, 1.0])
def test_cells_cover_the_interval(spacing: float, radius: float) -> None:
    """Σ |cell ∩ [−r, r]| = 2r, no cell longer than the spacing, none empty."""
    (axis,) = stencils.nodes([radius], [spacing])
    overlap = stencils.cell_overlap(axis, spacing, radius)
    assert_close(overlap.sum(), overlap.new_tensor(2 * radius), 20)
    assert float(overlap.max()) <= spacing * (1 + 1e-12)
    assert float(overlap.min()) > 0
    assert torch.equal(axis, -axis.flip(0))
