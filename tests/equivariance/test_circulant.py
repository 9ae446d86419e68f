"""Matrices of convolutions, against the layer itself, SciPy, and the null space that knows of no convolution."""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import torch

from discretize import Grid, Samples
from equivariance import (
    convolution_kernel,
    convolution_matrix,
    coset_kernels,
    coset_matrix,
    impulse_responses,
    intertwiners,
    is_convolution,
)
from layers import Conv

EPS = np.finfo(float).eps


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape)


def convolved(kernel: np.ndarray, values: np.ndarray, stride=1) -> np.ndarray:
    """By the layer, on samples of spacing 0.5."""
    grid = Grid(values.shape[1:], 0.5)
    with torch.no_grad():
        out = Conv.from_array(kernel, spacing=0.5)(Samples(values, grid))
        assert out.grid.coincides(grid)
        return out.stride(stride).values.numpy()


# --- kernel → matrix --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "sides", "stride"),
    [
        ((8,), (3,), 1),
        ((7,), (5,), 1),
        ((6,), (3,), 3),
        ((4,), (9,), 2),  # wider than two periods
        ((6, 5), (3, 5), 1),
        ((6, 4), (5, 1), (3, 2)),
        ((4, 3, 2), (3, 3, 1), 1),
        ((4, 3, 2), (1, 3, 5), (2, 3, 1)),
    ],
)
def test_the_matrix_is_the_layer(shape, sides, stride):
    kernel, values = random(*sides, 3, 2), random(2, *shape)
    out = convolved(kernel, values, stride)
    matrix = convolution_matrix(kernel, shape, stride)
    np.testing.assert_allclose(matrix @ values.ravel(), out.ravel(), atol=64 * EPS * abs(out).max())
    assert is_convolution(matrix, shape, stride)


def test_scipy_agrees():
    column = random(6)
    kernel = np.append(np.roll(column, 3), 0).reshape(7, 1, 1)  # taps −3 … 2, and none at 3
    np.testing.assert_allclose(
        convolution_matrix(kernel, 6).toarray(), scipy.linalg.circulant(column), atol=EPS
    )
    plane, image = random(3, 5), random(6, 7)
    matrix = convolution_matrix(plane[..., None, None], (6, 7))
    expected = scipy.ndimage.convolve(image, plane, mode="wrap")
    np.testing.assert_allclose(
        (matrix @ image.ravel()).reshape(6, 7), expected, atol=64 * EPS * abs(expected).max()
    )


# --- matrix → kernel → layer -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5,), (6,), (3, 4), (3, 2, 3)])
def test_every_basis_element_is_a_convolution_layer(shape):
    """The theorem: what commutes is a convolution, with the layer's own arithmetic."""
    values = random(2, *shape)
    space = intertwiners(shape, 2, 3)
    for matrix in space:
        assert is_convolution(matrix, shape)
        kernel = convolution_kernel(matrix, shape)
        assert kernel.shape == (*(n | 1 for n in shape), 3, 2)
        out = convolved(kernel, values)
        np.testing.assert_allclose(matrix @ values.ravel(), out.ravel(), atol=64 * EPS)


@pytest.mark.parametrize(("shape", "stride"), [((6,), 2), ((6,), 3), ((4, 6), (2, 3))])
def test_commuting_maps_to_a_strided_output_are_convolutions_before_a_stride(shape, stride):
    values = random(1, *shape)
    space = intertwiners(shape, 1, 2, stride, output_stride=stride)
    assert space.dimension == 2 * math.prod(shape)
    for matrix in space:
        kernel = convolution_kernel(matrix, shape, stride)
        out = convolved(kernel, values, stride)
        np.testing.assert_allclose(matrix @ values.ravel(), out.ravel(), atol=64 * EPS)


@pytest.mark.parametrize(
    ("shape", "sides", "stride"), [((8,), (3,), 1), ((6, 4), (3, 5), 2), ((3, 4, 2), (3, 1, 3), 1)]
)
def test_convolutions_commute(shape, sides, stride):
    """The converse."""
    matrix = convolution_matrix(random(*sides, 2, 2), shape, stride)
    assert intertwiners(shape, 2, 2, stride, stride).residue(matrix) <= 64 * EPS


def test_all_basis_elements_of_a_large_space():
    assert all(is_convolution(matrix, (16, 16)) for matrix in intertwiners((16, 16), 2, 3))


def test_the_kernel_is_that_of_the_nearest_convolution():
    matrix = random(10, 15)
    nearest = convolution_matrix(convolution_kernel(matrix, 5), 5).toarray()
    projected = intertwiners(5, 3, 2).project(matrix)
    np.testing.assert_allclose(nearest, projected, atol=16 * EPS)


def test_impulse_responses_of_a_layer_give_its_kernel_back():
    kernel = random(3, 5, 2, 1)
    matrix = impulse_responses(Conv.from_array(kernel, spacing=1.0), Grid((7, 6), 1.0), 1)
    found = convolution_kernel(matrix, (7, 6))
    np.testing.assert_allclose(found[2:5, 1:6], kernel, atol=8 * EPS)
    assert abs(found).sum() == pytest.approx(abs(kernel).sum())


@pytest.mark.parametrize(
    "matrix",
    [
        np.diag([1.0, 2, 1, 2]),
        np.diag([1.0, 0, 0, 0]),
        np.eye(4)[::-1],
        np.eye(4) + 1e-12 * np.diag([1.0, -1, 0, 0]),
        scipy.linalg.toeplitz([1.0, 2, 3, 4]),
    ],
)
def test_others_are_no_convolutions(matrix):
    assert not is_convolution(matrix, 4)


def test_no_convolution_on_channels_in_another_order():
    kernel = random(3, 2, 2)
    matrix = convolution_matrix(kernel, 4).toarray()
    mixed = np.arange(8).reshape(2, 4).T.ravel()
    assert is_convolution(matrix, 4)
    assert not is_convolution(matrix[mixed], 4)


# --- strides: one kernel for each coset ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "stride", "kept"),
    [
        ((6,), (2,), (1,)),
        ((4, 6), (2, 3), (1, 1)),
        ((8,), (4,), (2,)),
        ((2, 4, 3), (2, 2, 1), (1, 1, 1)),
    ],
)
def test_each_basis_element_acts_on_one_coset(shape, stride, kept):
    """s^d kernels, each with its own N^d·c_in·c_out entries: together all of the space."""
    space = intertwiners(shape, 2, 1, stride, kept)
    found = np.zeros([s // q for s, q in zip(stride, kept, strict=True)], dtype=int)
    for matrix in space:
        kernels = coset_kernels(matrix, shape, stride, kept)
        sizes = abs(kernels).sum(axis=tuple(range(len(shape), kernels.ndim)))
        assert np.count_nonzero(sizes) == 1
        found[sizes > 0] += 1
        rebuilt = coset_matrix(kernels, shape, kept)
        assert abs(rebuilt - matrix).max() <= 16 * EPS
    assert (found == math.prod(shape) * 2).all()


def test_a_coset_takes_the_convolution_with_its_kernel():
    """x mod s chooses the kernel: the map is the layers' outputs, interleaved."""
    kernels, values = random(2, 3, 3, 5, 2, 1), random(1, 4, 6)
    whole = (coset_matrix(kernels, (4, 6)) @ values.ravel()).reshape(2, 4, 6)
    for phase in itertools.product(range(2), range(3)):
        coset = (slice(None), slice(phase[0], None, 2), slice(phase[1], None, 3))
        out = convolved(kernels[phase], values)
        np.testing.assert_allclose(whole[coset], out[coset], atol=64 * EPS * abs(out).max())


def test_one_kernel_for_all_cosets_is_a_convolution():
    kernel = random(3, 3, 1, 1)
    shared = np.broadcast_to(kernel, (2, 2, *kernel.shape))
    assert is_convolution(coset_matrix(shared, (4, 4)), (4, 4))
    other = shared.copy()
    other[1, 0] += 1e-9
    assert not is_convolution(coset_matrix(other, (4, 4)), (4, 4))


# --- bad input --------------------------------------------------------------------------------------------------------


def test_bad_kernels():
    with pytest.raises(ValueError, match=r"kernel sizes must be odd.*append a row of zeros"):
        convolution_matrix(np.ones((4, 1, 1)), 8)
    with pytest.raises(ValueError, match=r"with 2 axes .* \(S1, …, S2, out, in\), got \(3, 1, 1\)"):
        convolution_matrix(np.ones((3, 1, 1)), (8, 8))
    with pytest.raises(ValueError, match="finite"):
        convolution_matrix(np.full((3, 1, 1), np.nan), 8)
    with pytest.raises(ValueError, match="sizes that work are 6 or 9"):
        convolution_matrix(np.ones((3, 1, 1)), 8, output_stride=3)
    with pytest.raises(ValueError, match=r"with 1 axes .* got \(\)"):
        convolution_matrix(3.0, 8)
    with pytest.raises(ValueError, match=r"m cosets per axis; got \(3, 1, 1\)"):
        coset_matrix(np.ones((3, 1, 1)), 8)


def test_bad_matrices():
    with pytest.raises(ValueError, match=r"\(out·8, in·8\) entries, got \(8, 12\)"):
        convolution_kernel(np.ones((8, 12)), 8)
    with pytest.raises(ValueError, match="must be a multiple of output_stride"):
        coset_kernels(np.eye(8), 8, stride=2, output_stride=4)
    with pytest.raises(ValueError, match="finite"):
        is_convolution(np.full((2, 2), np.nan), 2)
