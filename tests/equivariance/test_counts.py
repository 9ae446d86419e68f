"""Parameter counts, against torch's modules and against the spaces of maps themselves."""

import math

import numpy as np
import pytest
from torch import nn

from equivariance import convolution_matrix, intertwiners, parameter_counts

CASES = [
    ((12,), 2, 3, (3,), (1,)),
    ((12,), 1, 2, (5,), (4,)),
    ((6, 8), 3, 2, (3, 3), (1, 1)),
    ((6, 8), 1, 4, (1, 5), (3, 2)),
    ((4, 3, 6), 2, 2, (3, 1, 3), (2, 1, 3)),
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("bias", [True, False])
def test_torch_counts_the_same(case, bias):
    shape, c_in, c_out, kernel, stride = case
    counts = parameter_counts(*case, bias=bias).sel(layer=["dense", "convolution"])
    places = math.prod(n // s for n, s in zip(shape, stride, strict=True))
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(shape) - 1]
    modules = [
        nn.Linear(c_in * math.prod(shape), c_out * places, bias=bias),
        conv(c_in, c_out, kernel, stride, bias=bias),
    ]
    expected = [sum(p.numel() for p in module.parameters()) for module in modules]
    assert counts.parameters.values.tolist() == expected
    assert (counts.weights + counts.biases).equals(counts.parameters)


@pytest.mark.parametrize("case", CASES)
def test_locally_connected_layers_have_a_weight_for_each_entry(case):
    """… of the matrix of a convolution with a kernel of the same size that vanishes nowhere."""
    shape, c_in, c_out, kernel, stride = case
    matrix = convolution_matrix(np.ones((*kernel, c_out, c_in)), shape, stride)
    counts = parameter_counts(*case).sel(layer="locally connected")
    assert counts.weights == matrix.nnz
    assert counts.biases == matrix.shape[0]


@pytest.mark.parametrize("case", CASES)
def test_convolutions_are_the_commuting_maps_in_that_window(case):
    shape, c_in, c_out, kernel, stride = case
    window = convolution_matrix(np.ones((*kernel, c_out, c_in)), shape, stride)
    outside = (window.toarray() == 0).reshape(1, -1).astype(float)
    space = intertwiners(shape, c_in, c_out, stride, stride)
    inside = (abs(space.basis) @ outside.T).ravel() == 0
    assert parameter_counts(*case).weights.sel(layer="convolution") == inside.sum()


def test_a_kernel_as_large_as_the_grid_is_every_commuting_map():
    counts = parameter_counts((3, 5), 2, 2, kernel=(3, 5))
    weights = dict(zip(counts.layer.values.tolist(), counts.weights.values.tolist(), strict=True))
    assert weights["convolution"] == intertwiners((3, 5), 2, 2).dimension
    assert weights["locally connected"] == weights["dense"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((4, 4), 1, 1, 5), r"kernel of \(5, 5\) folds"),
        (((4, 4), 1, 1, 3, 3), "sizes that work are 3 or 6"),
        ((4, 0, 1, 3), "c_in must be integers of at least 1"),
        ((4, 1, 1, 0), "kernel must be integers of at least 1"),
        (((), 1, 1, 3), "1, 2 or 3 axes"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        parameter_counts(*arguments)
