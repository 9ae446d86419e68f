"""Which translations a strided layer commutes with, and that no action on its output helps with the others."""

import numpy as np
import pytest
import torch
from torch import nn

from discretize import BlurPool, Grid, Samples, Stride
from equivariance import (
    commutation,
    convolution_matrix,
    coset_matrix,
    impulse_responses,
    translation_matrix,
)
from equivariance.subgroups import subgroup
from fields import Ball, Box
from layers import AvgPool, Bias, Conv, MaxPool, Pointwise

EPS = np.finfo(float).eps
#: Rounding of a residue: a few products of matrices with up to 128 columns.
ROUND_OFF = 1e3 * EPS


def random(*shape: int, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def strided(s, sides, c_in=1, c_out=1, dtype=torch.float64) -> nn.Module:
    kernel = random(*sides, c_out, c_in, dtype=dtype)
    return nn.Sequential(Conv.from_array(kernel, spacing=0.5), Stride(s))


def by_matrix(matrix, grid, kept=1):
    """A layer on one batch axis from its matrix."""
    dense = torch.as_tensor(matrix.toarray() if hasattr(matrix, "toarray") else matrix)
    out = grid.stride(kept)
    return lambda f: Samples((f.values.flatten(1) @ dense.T).reshape(-1, 1, *out.shape), out)


def names(result) -> tuple[str, str]:
    t = result.t.values
    passes = [result[name].fillna(1).values <= ROUND_OFF for name in ("moved", "any_action")]
    return tuple(subgroup(t, p).name for p in passes)


# --- exactly sZ^d --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "sides", "s", "channels", "name"),
    [
        ((12,), (3,), 1, (1, 1), "Z"),
        ((12,), (3,), 2, (1, 1), "2Z"),
        ((12,), (5,), 3, (2, 2), "3Z"),
        ((12,), (3,), 4, (1, 3), "4Z"),
        ((6, 6), (3, 3), 2, (1, 2), "2Z × 2Z"),
        ((4, 6), (3, 3), (2, 3), (2, 2), "2Z × 3Z"),
        ((4, 6), (3, 1), (1, 2), (1, 1), "Z × 2Z"),
        ((4, 4, 2), (3, 3, 1), (2, 2, 1), (1, 2), "2Z × 2Z × Z"),
    ],
)
def test_a_strided_convolution_commutes_exactly_with_multiples_of_its_stride(
    shape, sides, s, channels, name
):
    result = commutation(strided(s, sides, *channels), Grid(shape, 0.5), channels[0])
    assert result.sizes["translation"] == np.prod(shape)
    assert names(result) == (name, name)
    others = result.any_action.values[result.any_action.values > ROUND_OFF]
    assert (others > 1e-2).all(), "no near misses"


@pytest.mark.parametrize(
    "layer", [BlurPool(2), nn.Sequential(AvgPool(Box(1.5)), Stride(2)), Stride(2)]
)
def test_other_linear_layers_of_stride_2(layer):
    """An even blur moves the output by half a sample, which its grid says."""
    assert names(commutation(layer, Grid((8, 4), 0.5), 1)) == ("2Z × 2Z", "2Z × 2Z")


def test_layers_without_stride():
    grid = Grid((6, 4), 0.5)
    assert names(commutation(AvgPool(Ball(0.6)), grid, 2)) == ("Z × Z", "Z × Z")
    kernels = random(
        2, 1, 3, 3, 1, 1
    ).numpy()  # one for even rows, one for odd ones, on the same grid
    cosets = by_matrix(coset_matrix(kernels, (6, 4)), grid)
    assert names(commutation(cosets, grid, 1))[0] == "2Z × Z"
    unshared = by_matrix(random(24, 24), grid)
    assert names(commutation(unshared, grid, 1))[0] == "none"


def test_an_invertible_layer_lets_every_translation_act():
    """… by L T L⁻¹, which is no translation of the output where the layer isn't shared."""
    grid = Grid(6, 0.5)
    result = commutation(by_matrix(random(6, 6), grid), grid, 1)
    assert result.any_action.max() <= 1e4 * EPS
    assert result.moved[1:].min() > 0.1


@pytest.mark.parametrize(("c_in", "c_out"), [(1, 4), (2, 8), (1, 3)])
def test_with_enough_channels_a_stride_loses_nothing(c_in, c_out):
    """s^d·c_in outputs hold all polyphase components, which translations permute; one less, and they don't."""
    result = commutation(strided(2, (3, 3), c_in, c_out), Grid((4, 6), 0.5), c_in)
    odd = (result.t.values % 2).any(1)
    assert bool(np.isnan(result.moved.values[odd]).all())
    assert (result.moved.values[~odd] <= ROUND_OFF).all()
    lossless = c_out == 4 * c_in
    assert (result.any_action.max() <= 1e5 * EPS) == lossless


def test_an_ideal_low_pass_leaves_nothing_to_break():
    """Behind it the stride keeps the function: every translation acts, by a Fourier shift of the output."""
    n, s = 12, 2
    waves = np.arange(-2, 3)  # |k| < n/(2s)
    taps = np.cos(2 * np.pi * np.outer(np.arange(n), waves) / n).sum(1) / n
    kernel = np.append(np.roll(taps, n // 2), 0).reshape(n + 1, 1, 1)
    grid = Grid(n, 0.5)
    low_pass = by_matrix(convolution_matrix(kernel, n, s), grid, s)
    result = commutation(low_pass, grid, 1)
    assert result.any_action.max() <= ROUND_OFF
    assert bool(np.isnan(result.moved.values[1::2]).all())


def test_a_layer_of_rank_one_in_closed_form():
    """L = u vᵀ: what no action reaches is the part of T⁻¹v that is orthogonal to v."""
    grid, (u, v) = Grid(6, 0.5), random(2, 6)
    result = commutation(by_matrix(u[:, None] * v, grid), grid, 1)
    cosines = [float(v.roll(-t) @ v / (v @ v)) for t in range(6)]
    expected = np.sqrt(1 - np.square(cosines))
    np.testing.assert_allclose(result.any_action, expected, atol=np.sqrt(16 * EPS))
    assert result.any_action[1:].min() > 0.1


def test_the_least_residue_is_least_squares():
    layer, grid = strided(3, (3,), 2, 2), Grid(6, 0.5)
    matrix = impulse_responses(layer, grid, 2)
    result = commutation(layer, grid, 2)
    for index, t in enumerate(result.t.values):
        before = matrix @ translation_matrix(6, 2, t).toarray()
        action = np.linalg.lstsq(matrix.T, before.T, rcond=None)[0].T
        expected = np.linalg.norm(before - action @ matrix) / np.linalg.norm(matrix)
        assert result.any_action.values[index] == pytest.approx(expected, abs=ROUND_OFF)
        if t % 3 == 0:
            rolled = translation_matrix(2, 2, t // 3) @ matrix
            expected = np.linalg.norm(before - rolled) / np.linalg.norm(matrix)
            assert result.moved.values[index] == pytest.approx(expected, abs=ROUND_OFF)


def test_the_precision_is_that_of_the_parameters():
    layer = strided(2, (3,), dtype=torch.float32)
    result = commutation(layer, Grid(8, 0.5), 1)
    good = result.any_action.values <= 1e3 * torch.finfo(torch.float32).eps
    assert good.tolist() == [True, False] * 4


# --- impulse responses ----------------------------------------------------------------------------------------------


def test_impulse_responses_are_the_matrix():
    layer, f = strided(2, (3, 3), 2, 3), random(2, 4, 6)
    grid = Grid((4, 6), 0.5)
    matrix = impulse_responses(layer, grid, 2)
    with torch.no_grad():
        out = layer(Samples(f, grid)).values
    assert matrix.shape == (3 * 6, 2 * 24)
    np.testing.assert_allclose(matrix @ f.numpy().ravel(), out.numpy().ravel(), atol=256 * EPS)


# --- bad input ------------------------------------------------------------------------------------------------------


def test_bad_layers():
    grid = Grid(6, 0.5)
    for layer in (Pointwise(torch.relu), Bias([1.0]), MaxPool(Box(1.5))):
        with pytest.raises(ValueError, match="the layer isn't linear"):
            commutation(layer, grid, 1)
    with pytest.raises(ValueError, match="vanishes identically"):
        commutation(lambda f: f * 0.0, grid, 1)
    with pytest.raises(TypeError, match="must give Samples, got Tensor"):
        commutation(lambda f: f.values, grid, 1)
    with pytest.raises(ValueError, match="no sublattice"):
        commutation(lambda f: f._with(f.values[..., :3], Grid(3, 0.5)), grid, 1)


def test_bad_grids():
    with pytest.raises(ValueError, match="periodic grid only, got boundary 'zero'"):
        commutation(Stride(2), Grid(6, 0.5, boundary="zero"), 1)
    with pytest.raises(TypeError, match="grid must be a Grid, got int"):
        impulse_responses(Stride(2), 6, 1)
    with pytest.raises(ValueError, match=r"16384 inputs takes 2\.0 GiB, of 1\.0 allowed"):
        impulse_responses(Stride(2), Grid((64, 64), 1.0), 4)
    with pytest.raises(ValueError, match="channels must be integers of at least 1"):
        impulse_responses(Stride(2), Grid(6, 1.0), 0)
