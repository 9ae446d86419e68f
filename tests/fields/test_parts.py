"""Channels picked and stacked, quotients, and fields whose parts move on their own."""

import pytest
import torch

from discretize import Grid, Samples, sample
from fields import Balls, Boxes, Bumps, Constant, Gaussians, PlaneWaves, local_translation, stack
from tests.compare import assert_close
from tests.laws.registry import Draw, gabors, gaussians, points, waves_on_a_grid


def carriers() -> list:
    field = waves_on_a_grid(Draw(2, element=None))
    return [field, sample(field, Grid((8, 10), 0.5))]


def values(f, x: torch.Tensor) -> torch.Tensor:
    return f.values.movedim(-3, -1) if isinstance(f, Samples) else f(x)


@pytest.mark.parametrize("f", carriers(), ids=["Field", "Samples"])
def test_channels(f) -> None:
    """F[i], F[a:b] and F[[i, j]] have the channels asked for, on both carriers, an axis always."""
    x = points(2)
    whole = values(f, x)
    for channels, expected in [
        (1, [1]),
        (-2, [0]),
        (slice(None, None, -1), [1, 0]),
        ([1, 1, 0], [1, 1, 0]),
        (slice(0, 1), [0]),
    ]:
        assert torch.equal(values(f[channels], x), whole[..., expected])
    both = stack([f[1], f, 2 * f[0]])
    assert both.channels == 4
    expected = torch.cat([whole[..., 1:], whole, 2 * whole[..., :1]], dim=-1)
    assert_close(values(both, x), expected, 10)


@pytest.mark.parametrize("f", carriers(), ids=["Field", "Samples"])
def test_quotients(f) -> None:
    """F / a and F / (a_1, …, a_c)."""
    x, by = points(2), torch.tensor([4.0, -3.0], dtype=torch.float64)
    assert_close(values(f / 3, x), values(f, x) / 3, 10)
    assert_close(values(f / by, x), values(f, x) / by, 10)


def test_what_is_known_stays_known() -> None:
    """Band limit, period and support go through channels, stacks and quotients."""
    waves, blobs = waves_on_a_grid(Draw(1)), gaussians(Draw(1))
    assert stack([waves[0], waves / 2]).bandlimit == waves.bandlimit
    assert stack([waves[0], waves]).period == waves.period
    assert stack([blobs, blobs / 2])[1:].support(1e-6) == blobs.support(1e-6)


def test_local_translation() -> None:
    """Σ F_i(x − t_i) for patches; m·F + (1 − m)·below for a pair, from back to front."""
    x = points(2, 30)
    back, patch, front = gaussians(Draw(2)), gabors(Draw(2)), waves_on_a_grid(Draw(2))
    mask = Bumps([[0.5, 0.5]], [[0.9]], [1.5])
    t = points(2, 3, seed=8)
    scene = local_translation([back, patch, (front, mask)], t)
    cover = mask(x - t[2])
    assert float(cover.max()) > 0.5
    below = back(x - t[0]) + patch(x - t[1])
    assert_close(scene(x), cover * front(x - t[2]) + (1 - cover) * below, 1000)
    assert_close(local_translation([(front, mask)], t[2:])(x), cover * front(x - t[2]), 1000)


def test_an_opaque_foreground_hides() -> None:
    """Under a mask of ones nothing of the background is seen, wherever it moves."""
    card = Boxes([[0.0, 0.0]], [[1.0]], [2.0])
    scenes = [
        local_translation([gaussians(Draw(2)), (Constant([7.0, 8.0], 2), card)], [[s, 0.1], [0, 0]])
        for s in (0.0, 1.0)
    ]
    assert scenes[0]([0.3, -0.9]).tolist() == scenes[1]([0.3, -0.9]).tolist() == [7.0, 8.0]
    assert not torch.equal(scenes[0]([0.3, -1.1]), scenes[1]([0.3, -1.1]))


def test_batches_of_translations() -> None:
    """A part moved by a batch of translations makes a batch of scenes."""
    parts = [gaussians(Draw(2)), gabors(Draw(2))]
    t, x = points(2, 4, seed=9), points(2)
    batch = local_translation(parts, [[0.1, 0.2], t])
    assert batch.batch == (4,)
    looped = torch.stack([local_translation(parts, [[0.1, 0.2], s])(x) for s in t])
    assert_close(batch(x), looped, 100)


WAVE = PlaneWaves([[0.5]], [[1.0, 2.0]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_whole_numbers_divide_as_they_multiply(dtype: torch.dtype) -> None:
    """Integers, in tensors or not, take the dtype of the field."""
    field = Constant(torch.tensor([1.0, 2.0], dtype=dtype), 1)
    for divisor in (2, [2, 2], torch.tensor(2), torch.tensor([2, 2])):
        found = (field / divisor)([0.0])
        assert found.dtype == dtype
        assert found.tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("run", "kind", "message"),
    [
        (lambda: local_translation([], []), ValueError, "at least one part, got none"),
        (lambda: local_translation([WAVE], []), ValueError, "got 1 parts and 0 translations"),
        (lambda: local_translation([3.0], [[0.0]]), TypeError, "a Field or a pair"),
        (lambda: local_translation([(WAVE, 1)], [[0.0]]), TypeError, "a Field or a pair"),
        (
            lambda: local_translation([(WAVE, stack([WAVE, WAVE]))], [[0.0]]),
            ValueError,
            "4 and 2 channels",
        ),
        (lambda: stack([]), ValueError, "at least one feature map"),
        (lambda: stack([WAVE, 2.0]), TypeError, "got float"),
        (lambda: stack([WAVE, Balls([[0.0] * 2], [[1.0]], [1.0])]), ValueError, "R\\^1 and R\\^2"),
        (lambda: WAVE[2], IndexError, "with 2: none, or out of range"),
        (lambda: WAVE[[]], IndexError, "none, or out of range"),
        (lambda: WAVE[5:], IndexError, "none, or out of range"),
        (lambda: WAVE[0.5], TypeError, "an integer, a slice or a list"),
        (lambda: WAVE[[True, False]], TypeError, "an integer, a slice or a list"),
        (lambda: WAVE[torch.tensor([True, False])], TypeError, "an integer, a slice or a list"),
        (lambda: list(WAVE), TypeError, "not iterable"),
        (lambda: WAVE / 0, ZeroDivisionError, "divided by 0"),
        (lambda: WAVE / [1.0, 2.0, 3.0], ValueError, r"shape \(2,\)"),
        (lambda: WAVE / WAVE, TypeError, "unsupported operand"),
        (lambda: Gaussians([[0.0]], [[1.0]], [1.0]) / "a", TypeError, "must be numbers"),
    ],
)
def test_bad_input(run, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        run()
