"""The law of everything that chooses from its input: Φ(t▷f) = Φ(f) + t + u for whole t, with u a symmetry of f."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from discretize import (
    AdaptivePolyphase,
    EquivariantChain,
    EquivariantSubsampling,
    Grid,
    LearnablePolyphase,
    Peak,
    Samples,
    sample,
)
from discretize.origins import Argmax, Phase, RefinedArgmax, Strongest
from discretize.ties import highest, pointwise_norm
from fields import Gaussians, Interpolated
from tests.laws.pictures import PICTURES, SHAPES, SYMMETRIC, Brush, picture
from tests.laws.registry import DIMS

#: What chooses, of an input of d axes and c channels, and the stride that its law is about, one per axis.
Chooser = tuple[Callable[[int, int], nn.Module], tuple[int, int, int]]


def xu(*peak: object, s: object = 2) -> Callable[[int, int], nn.Module]:
    def build(dim: int, channels: int) -> nn.Module:
        stride = s[:dim] if isinstance(s, tuple) else s
        return EquivariantSubsampling(stride, Peak(*peak))  # type: ignore[arg-type]

    return build


def learnt(dim: int, channels: int) -> nn.Module:
    return LearnablePolyphase(2, channels, dim, hidden=3).eval()


class AtOrigin(nn.Module):
    """The sublattice at a predicted origin."""

    def __init__(self, predictor: Callable[..., tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.predictor, self.keep = predictor, EquivariantSubsampling(2)

    def forward(self, f: Samples) -> Samples:
        return self.keep(f, self.predictor(f, 2.0)[0])


CHOOSERS: dict[str, Chooser] = {
    "Xu, 2": (xu(), (2, 2, 2)),
    "Xu, 3": (xu(s=3), (3, 3, 3)),
    "Xu, per axis": (xu(s=(2, 3, 6)), (2, 3, 6)),
    "Xu, centred": (xu(True), (2, 2, 2)),
    "Xu, smoothed": (xu(False, 3, 1.0), (2, 2, 2)),
    "Xu, centred and smoothed": (xu(True, 3, 0.7), (2, 2, 2)),
    "chain": (lambda d, c: EquivariantChain([nn.Identity()] * 2, [2, 3]), (6, 6, 6)),
    "APS": (lambda d, c: AdaptivePolyphase(2), (2, 2, 2)),
    "APS, l1": (lambda d, c: AdaptivePolyphase(3, 1.0), (3, 3, 3)),
    "LPS": (learnt, (2, 2, 2)),
    "Argmax": (lambda d, c: AtOrigin(Argmax()), (2, 2, 2)),
    "Strongest": (lambda d, c: AtOrigin(Strongest([Argmax()])), (2, 2, 2)),
}

every_dim = pytest.mark.parametrize("dim", DIMS)
every_chooser = pytest.mark.parametrize("chooser", CHOOSERS)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def translations(dim: int, count: int, seed: int = 0) -> Tensor:
    return torch.randint(-60, 60, (count, dim), generator=torch.Generator().manual_seed(seed))


def moved_kept(kept: Samples, t: Tensor, strides: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Values and origin of t▷S(f) on the sublattice's own index range."""
    steps, place = torch.tensor(strides), kept.grid.origin.long() + t
    turns = torch.div(place, steps, rounding_mode="floor").tolist()
    return kept.values.roll(turns, tuple(range(-len(strides), 0))), (place % steps).double()


def same(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> bool:
    return torch.equal(left[0], right[0]) and torch.equal(left[1], right[1])


@every_dim
@every_dtype
@pytest.mark.parametrize("kind", PICTURES)
@every_chooser
def test_choices_move_along(chooser: str, kind: str, dtype: torch.dtype, dim: int) -> None:
    """S(t▷f) = t▷S(f), bit for bit, at scales 1e-20, 1 and 1e20."""
    build, strides = CHOOSERS[chooser]
    for seed, scale in enumerate((1e-20, 1.0, 1e20)):
        x = scale * picture(PICTURES[kind], dim, seed, dtype)
        layer, grid = build(dim, len(x)).to(dtype), Grid(SHAPES[dim], 1.0)
        kept = layer(Samples(x, grid))
        for t in translations(dim, 3, seed):
            moved = layer(Samples(x.roll(t.tolist(), tuple(range(-dim, 0))), grid))
            expected = moved_kept(kept, t, strides[:dim])
            assert same((moved.values, moved.grid.origin), expected), (scale, t)


def symmetries(x: Tensor, dim: int) -> list[Tensor]:
    """All whole u with u▷f = f."""
    axes, near = tuple(range(-dim, 0)), [range(n) for n in x.shape[1:]]
    return [torch.tensor(u) for u in itertools.product(*near) if torch.equal(x.roll(u, axes), x)]


@every_dim
@pytest.mark.parametrize("kind", SYMMETRIC)
@every_chooser
def test_choices_move_along_up_to_symmetries(chooser: str, kind: str, dim: int) -> None:
    """S(t▷f) = (t + u)▷S(f) with u▷f = f."""
    build, strides = CHOOSERS[chooser]
    x = picture(SYMMETRIC[kind], dim, 0, torch.float64)
    layer, grid, group = build(dim, len(x)), Grid(SHAPES[dim], 1.0), symmetries(x, dim)
    assert len(group) > 1
    kept = layer(Samples(x, grid))
    for t in translations(dim, 3):
        moved = layer(Samples(x.roll(t.tolist(), tuple(range(-dim, 0))), grid))
        found = moved.values, moved.grid.origin
        assert any(same(found, moved_kept(kept, t + u, strides[:dim])) for u in group)


@pytest.mark.parametrize("method", ["fourier", "cubic", "lanczos3"])
@pytest.mark.parametrize("kind", sorted(set(PICTURES) - {"defect of an ulp", "noise of ulps"}))
@every_dtype
def test_ties_are_told_up_to_rounding(dtype: torch.dtype, kind: str, method: str) -> None:
    """Values that come through F.translate(t), t whole, tie no more bit for bit; the index is the same."""
    x = picture(PICTURES[kind], 2, 5, dtype)
    field, grid, shape = Interpolated(x, 1.0, method=method), Grid(SHAPES[2], 1.0), SHAPES[2]
    for index_map in (Peak(), Peak(True, 3, 1.0)):
        index = index_map(Samples(x, grid))
        for t in translations(2, 8):
            moved = sample(field.translate(t.double()), grid, prefilter="none")
            assert torch.equal(index_map(moved), (index + t) % torch.tensor(shape)), t


def test_eight_bits_of_a_camera() -> None:
    """Every 8th pixel: 2 of 4,096 are the brightest, and all whole translations are told."""
    import skimage

    x = torch.from_numpy(skimage.data.camera()[::8, ::8].copy()).double()[None]
    grid, layer = Grid((64, 64), 1.0), EquivariantSubsampling(2)
    kept = layer(Samples(x, grid))
    for t in translations(2, 40):
        moved = layer(Samples(x.roll(t.tolist(), (-2, -1)), grid))
        assert same((moved.values, moved.grid.origin), moved_kept(kept, t, (2, 2)))


def test_a_batch_is_a_loop() -> None:
    """Elements with and without ties, and symmetric ones, decide as each does alone."""
    recipes = [*PICTURES.values(), *SYMMETRIC.values()]
    pictures = [recipe(Brush(2, 3, torch.float64))[:1].double() for recipe in recipes]
    grid, peak = Grid(SHAPES[2], 1.0), Peak()
    together = peak(Samples(torch.stack(pictures), grid))
    assert together.tolist() == [peak(Samples(x, grid)).tolist() for x in pictures]


def test_what_is_traced_decides_alike() -> None:
    """Under vmap, and exported, all passes are done."""
    recipes = [*PICTURES.values(), *SYMMETRIC.values()]
    x = torch.stack([recipe(Brush(2, 3, torch.float64))[:1].double() for recipe in recipes])
    grid = Grid(SHAPES[2], 1.0)

    class Index(nn.Module):
        def forward(self, values: Tensor) -> Tensor:
            f = Samples(values, grid)
            return torch.cat([highest(f, pointwise_norm(f)), Peak(True, 3, 1.0)(f)], dim=-1)

    expected = Index()(x)
    assert torch.equal(torch.vmap(Index())(x), expected)
    assert torch.equal(torch.export.export(Index(), (x,)).module()(x), expected)


def test_over_zeros_the_choice_moves_along_on_any_boundary() -> None:
    """Four bumps alike within a frame of zeros."""
    x = torch.zeros(1, 20, 20).double()
    for i, j in ((7, 8), (7, 11), (11, 9), (12, 12)):
        x[0, i, j] = 1.0
    for boundary in ("zero", "none", "reflect", "nearest"):
        grid = Grid((20, 20), 1.0, boundary=boundary)
        for index_map in (Peak(), Peak(box=3)):
            index = index_map(Samples(x, grid))
            for t in itertools.product((-5, 0, 3), (-4, 1, 5)):
                moved = index_map(Samples(x.roll(t, (1, 2)), grid))
                assert moved.tolist() == (index + torch.tensor(t)).tolist()


@every_dtype
def test_refined_maxima_that_tie_move_along(dtype: torch.dtype) -> None:
    """Three Gaussians alike and a faint one: every real translation finds the same of the three."""
    centers = [[2.3, 3.1], [8.7, 4.4], [5.2, 10.9], [12.6, 13.3]]
    bumps = torch.tensor([[1.0], [1.0], [1.0], [0.3]], dtype=dtype)
    field = Gaussians(torch.tensor(centers, dtype=dtype), bumps, [0.7] * 4).periodize(16.0)
    grid, draw = Grid((64, 64), 0.25), torch.Generator().manual_seed(0)
    tolerance = 1e-6 if dtype == torch.float64 else 1e-2
    first, _ = RefinedArgmax()(sample(field, grid, rtol=1e-3))
    for t in 16 * torch.rand(20, 2, generator=draw, dtype=torch.float64):
        origin, _ = RefinedArgmax()(sample(field.translate(t), grid, rtol=1e-3))
        off = torch.remainder(origin - first - t + 8, 16) - 8
        assert float(off.abs().max()) < tolerance


def test_confidences_that_tie_take_the_first() -> None:
    """Of two waves of the energy alike, told apart by rounding alone, the shorter: for all whole translations."""
    grid, x, chosen = Grid(32, 1.0), torch.arange(32).double(), set()
    for t in range(32):
        turns = 2 * torch.pi * (x - t)
        energy = 2 + 0.3 * torch.cos(turns / 4) + 0.3 * torch.cos(turns / 8 + 1)
        origin, _ = Phase("strongest")(Samples(energy[None].sqrt(), grid), 4.0)
        chosen.add(round(float((origin - t) % 4.0), 6) % 4.0)
    assert len(chosen) == 1


def test_rounding_of_confidences_does_not_choose() -> None:
    class Fixed:
        def __init__(self, origin: float, confidence: float) -> None:
            self.pair = torch.tensor([[origin]]).double(), torch.tensor([[confidence]]).double()

        def __call__(self, f: Samples, modulus: object = None) -> tuple[Tensor, Tensor]:
            return self.pair

    for off in (-1e-12, 0.0, 1e-12):
        origin, _ = Strongest([Fixed(0.25, 0.5), Fixed(0.75, 0.5 + off)])(None)  # type: ignore[arg-type]
        assert origin.tolist() == [[0.25]]
    origin, _ = Strongest([Fixed(0.25, 0.5), Fixed(0.75, 0.6)])(None)  # type: ignore[arg-type]
    assert origin.tolist() == [[0.75]]
