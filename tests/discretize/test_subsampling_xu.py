"""Xu et al.'s subsampling: index maps, chains of strides from one index, and the way back."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from benchmarks.subsampling import law
from discretize import EquivariantChain, EquivariantSubsampling, Grid, Peak, Samples, Stride
from tests.compare import assert_close


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


CASES = [(d, s) for d in (1, 2, 3) for s in (2, 3, 4)] + [(2, (2, 3))]


@pytest.mark.parametrize(("dim", "s"), CASES, ids=str)
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_law_on_white_noise(dim: int, s, scale: float, dtype: torch.dtype) -> None:
    """No failure among random whole translations; `python -m benchmarks subsampling` counts 1,000 of each."""
    assert law(dim, s, scale, dtype, count=40) == 0


def test_the_law_has_teeth() -> None:
    """An index drawn at random, or one that doesn't move along, breaks it."""
    draw = torch.Generator().manual_seed(0)
    x = noise(1, 8)

    def drawn(f: Samples) -> Tensor:
        return torch.randint(0, 8, (1,), generator=draw)

    def fixed(f: Samples) -> Tensor:
        return torch.zeros(1, dtype=torch.long)

    for index_map in (drawn, fixed):
        layer = EquivariantSubsampling(2, index_map)
        moved = [layer(Samples(x.roll(t, -1), Grid(8, 1.0))).grid.origin - t for t in range(8)]
        assert any(float((m - moved[0]) % 2) for m in moved)


@pytest.mark.parametrize(
    "peak", [Peak(), Peak(centred=True), Peak(box=3), Peak(True, 5, 5.0), Peak(sigma=0.7)], ids=repr
)
@pytest.mark.parametrize(("dim", "shape"), [(1, (12,)), (2, (12, 18)), (3, (6, 12, 6))])
def test_every_peak_moves_along(peak: Peak, dim: int, shape: tuple[int, ...]) -> None:
    """Φ(t▷f) = Φ(f) + t modulo the shape, at any scale."""
    x, grid, sizes = noise(2, 3, *shape) + 2.0, Grid(shape, 0.5), torch.tensor(shape)
    index = peak(Samples(x, grid))
    assert index.shape == (2, dim)
    for t in torch.randint(-20, 20, (5, dim), generator=torch.Generator().manual_seed(1)):
        for scale in (1.0, -1e-3):
            moved = Samples(scale * x.roll(t.tolist(), tuple(range(-dim, 0))), grid)
            assert torch.equal(peak(moved), (index + t) % sizes)


def test_peak_is_what_it_says() -> None:
    """argmax of blur(box(Σ_c |f − mean|)), against circular correlations written out with torch."""
    x, (n, m) = noise(3, 14, 10, seed=3) + 1.0, (14, 10)
    score = (x - x.mean((-2, -1), keepdim=True)).abs().sum(0)[None, None]
    offset = torch.arange(-7, 8).double()
    gauss = torch.exp(-0.5 * (offset / 5) ** 2)
    for row in (torch.ones(5).double(), gauss):
        index = [torch.arange(-(len(row) // 2), k + len(row) // 2) % k for k in (n, m)]
        around = score[:, :, index[0]][:, :, :, index[1]]
        score = nn.functional.conv2d(around, row[:, None] * row[None, :][None, None])
    expected = torch.unravel_index(score.argmax(), (n, m))
    assert Peak(True, 5, 5.0)(Samples(x, Grid((n, m), 1.0))).tolist() == [int(i) for i in expected]


def test_a_pluggable_index_map() -> None:
    """Any Φ: here the smallest sample."""

    def least(f: Samples) -> Tensor:
        flat = f.values.sum(-f.dim - 1).flatten(-f.dim).argmin(-1)
        return torch.stack(torch.unravel_index(flat, f.grid.shape), dim=-1)

    x = noise(2, 1, 6, 9)
    f = EquivariantSubsampling(3, least)(Samples(x, Grid((6, 9), 1.0)))
    for i, values in enumerate(x[:, 0]):
        p, q = (int(k) % 3 for k in torch.unravel_index(values.argmin(), (6, 9)))
        assert torch.equal(f.values[i, 0], values[p::3, q::3])
        assert f.grid.origin[i].tolist() == [p, q]


# --- mixed radix --------------------------------------------------------------------------------


def digits(z: int, strides: list[int]) -> list[int]:
    """r_i = z mod s_i, z ← z div s_i."""
    out = []
    for s in strides:
        out.append(z % s)
        z //= s
    return out


@pytest.mark.parametrize("strides", [[2, 3], [3, 2, 2], [2, 2, 4]], ids=str)
def test_chains_split_one_index_into_digits(strides: list[int]) -> None:
    """f[r_1 + s_1(r_2 + s_2(…))], the digits those of one index; the last origin is Σ r_i ∏ s_j modulo the strides."""
    size = 48
    x = noise(1, size, seed=4)
    z = int(x[0].abs().argmax())
    expected, place, step = x, 0, 1
    for r, s in zip(digits(z, strides), strides, strict=True):
        expected, place, step = expected[:, r::s], place + r * step, step * s
    chain = EquivariantChain([nn.Identity() for _ in strides], strides)
    result = chain(Samples(x, Grid(size, 1.0)))
    assert torch.equal(result.values, expected)
    assert result.grid.origin.tolist() == [place]
    assert place == z % step


def test_chains_with_layers_between_commute_with_whole_translations() -> None:
    """Kernels of even size move the grid by half a sample, and the digits still agree."""
    from layers import Conv, Pointwise

    def stage(spacing: float, sides: int, seed: int) -> nn.Module:
        kernel = Conv.from_array(noise(sides, sides, 2, 2, seed=seed), spacing)
        return nn.Sequential(kernel, Pointwise(torch.relu))

    chain = EquivariantChain([stage(1.0, 3, 1), stage(2.0, 2, 2), stage(6.0, 3, 3)], [2, (3, 3), 2])
    x, grid = noise(3, 2, 24, 36), Grid((24, 36), 1.0)
    with torch.no_grad():
        code = chain(Samples(x, grid))
        for t in ([1, 0], [5, -3], [-7, 11]):
            moved = chain(Samples(x.roll(t, (-2, -1)), grid))
            back = moved.resample(code.translate(torch.tensor(t)).grid)
            assert_close(back.values, code.values, 1e3)


def test_the_full_chain_gives_an_invariant_code_and_a_pose() -> None:
    """Strides whose product is the size: one value, which stays, and an origin, which moves."""
    chain = EquivariantChain([nn.Identity()] * 3, [2, 2, 3])
    x, grid = noise(4, 12, 12), Grid((12, 12), 1.0)
    code = chain(Samples(x, grid))
    for t in itertools.product((0, 1, 5), (3, -2)):
        moved = chain(Samples(x.roll(t, (-2, -1)), grid))
        assert torch.equal(moved.values, code.values)
        assert torch.equal(moved.grid.origin, (code.grid.origin + torch.tensor(t)) % 12)


# --- the way back -------------------------------------------------------------------------------


@pytest.mark.parametrize(("dim", "s"), CASES, ids=str)
def test_upsampling_puts_values_back(dim: int, s) -> None:
    """U(f_b, p)[x] = f_b[(x − p)/s] where x ≡ p mod s, else 0; U∘S moves along."""
    sizes, steps = (12, 24, 12)[:dim], (s,) * dim if isinstance(s, int) else s
    x, grid, down = noise(2, *sizes), Grid(sizes, 0.5, 0.25), EquivariantSubsampling(s)
    kept = down(Samples(x, grid))
    back = down.upsampling(kept, grid)
    phase = ((kept.grid.origin - 0.25) / 0.5).round().long().tolist()
    expected = torch.zeros_like(x)
    cut = (slice(None), *(slice(p, None, q) for p, q in zip(phase, steps, strict=True)))
    expected[cut] = x[cut]
    assert torch.equal(back.values, expected)
    assert back.grid.coincides(grid)
    t = [5, -3, 1][:dim]
    moved = Samples(x.roll(t, tuple(range(-dim, 0))), grid)
    again = down.upsampling(down(moved), grid)
    assert torch.equal(again.values, expected.roll(t, tuple(range(-dim, 0))))


def test_a_chain_is_undone_in_reverse() -> None:
    """U_1(U_2(U_3(…))) puts the code back where it came from."""
    chain = EquivariantChain([nn.Identity()] * 3, [2, 3, 2])
    x, grid = noise(2, 3, 24, 12), Grid((24, 12), 1.0)
    code = chain(Samples(x, grid))
    f = code
    for layer in reversed(chain.subsamplings):
        f = layer.upsampling(f)
    back = f.resample(grid).values
    kept = back != 0
    assert torch.equal(back[kept], x[kept])
    assert int(kept.sum()) == code.values.numel()


# --- sizes, batches, errors ---------------------------------------------------------------------


@pytest.mark.parametrize("boundary", ["zero", "reflect", "nearest", "none"])
def test_partial_cells_are_kept_without_a_period(boundary: str) -> None:
    x = torch.arange(7.0).double()[None]
    f = EquivariantSubsampling(3)(Samples(x, Grid(7, 1.0, boundary=boundary)))
    assert f.values.tolist() == [[0.0, 3.0, 6.0]]
    f = EquivariantSubsampling(4)(Samples(x, Grid(7, 1.0, boundary=boundary)))
    assert f.values.tolist() == [[2.0, 6.0]]


def test_sizes_that_work_are_named() -> None:
    with pytest.raises(ValueError, match="sizes that work are 8 or 12, 12"):
        EquivariantSubsampling((4, 3))(Samples(noise(1, 10, 12), Grid((10, 12), 1.0)))


def test_an_anchor_takes_the_place_of_the_index() -> None:
    """A residual branch follows the main one's grid, one batch of grids over shared values too."""
    x, grid = noise(4, 1, 8, 8), Grid((8, 8), 0.5, 1.0)
    down, f = EquivariantSubsampling(2), Samples(noise(4, 2, 8, 8, seed=9), grid)
    main = down(Samples(x, grid))
    branch = down(f, main.grid.origin)
    assert branch.grid.coincides(main.grid)
    assert torch.equal((branch + main[0]).values, branch.values + main.values)
    one = down(Samples(f.values[0], grid), main.grid.origin)
    assert one.batch == (4,)
    for i in range(4):
        alone = down(Samples(f.values[0], grid), main.grid.origin[i])
        assert torch.equal(one.values[i], alone.values)


def test_bad_input() -> None:
    f = Samples(noise(1, 6), Grid(6, 1.0))
    with pytest.raises(TypeError, match="index_map must be callable"):
        EquivariantSubsampling(2, 3)
    with pytest.raises(
        ValueError, match=r"integers of shape \(1,\), \(\*batch, d\), got torch.float64"
    ):
        EquivariantSubsampling(2, lambda f: torch.zeros(1).double())(f)
    with pytest.raises(ValueError, match="got int"):
        EquivariantSubsampling(2, lambda f: 1)(f)
    with pytest.raises(TypeError, match="centred must be True or False"):
        Peak(centred=torch.ones(1))
    with pytest.raises(ValueError, match="box must be odd"):
        Peak(box=4)
    with pytest.raises(ValueError, match="sigma must be positive"):
        Peak(sigma=0.0)
    with pytest.raises(ValueError, match="one stride for each stage"):
        EquivariantChain([nn.Identity()], [2, 2])
    with pytest.raises(ValueError, match="translation in 1 dimensions"):
        EquivariantSubsampling(2)(f, torch.zeros(2))
    assert torch.equal(EquivariantSubsampling(2)(f, torch.zeros(1)).values, Stride(2)(f).values)
