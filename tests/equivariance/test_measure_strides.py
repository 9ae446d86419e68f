"""Strides are read off how sizes grow, also where sizes divide by chance, and where they don't."""

import pytest
import torch
from torch import nn

from equivariance import Comoving, measure
from equivariance.measuring.surveying import survey


def last(model, size, dim=1):
    """Stride of the model's output, and whether it covers a period."""
    x = torch.zeros(1, 1, *(size,) * dim)
    frame = survey(model.eval(), x, "output")[-1]
    return frame.stride, frame.wraps


@pytest.mark.parametrize("stride", [*range(2, 22), 24, 25, 28, 32])
@pytest.mark.parametrize("size", [64, 100])
def test_every_stride_is_found_at_any_size(stride, size):
    pool = nn.MaxPool1d(stride)
    assert last(pool, size) == ((float(stride),), size % stride == 0)


@pytest.mark.parametrize("size", [33, 64, 100])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_padding_and_ceiling_shift_the_jumps_only(size, padding):
    conv = nn.Conv1d(1, 1, 5, stride=3, padding=padding)
    pool = nn.MaxPool1d(3, 2, ceil_mode=True)
    assert last(conv, size)[0] == (3.0,)
    assert last(nn.Sequential(conv, pool), size)[0] == (6.0,)


@pytest.mark.parametrize("kernel", [33, 49])
def test_a_wide_kernel_without_padding_has_no_stride(kernel):
    # 64 pixels become 32, or 16: their ratios are 2 and 4
    assert last(nn.Conv1d(1, 1, kernel), 64) == ((1.0,), False)


def test_such_a_kernel_commutes_with_whole_pixels_where_both_windows_see():
    data = measure(nn.Conv1d(1, 1, 33), size=(64,), dtype=torch.float64, count=9)
    assert data["stride"].to_numpy().ravel().tolist() == [1.0]
    assert set(data["verdict"].to_numpy().ravel()) <= {"exact", "round-off"}


def test_enlarged_maps_have_strides_below_one():
    assert last(nn.ConvTranspose1d(1, 1, 4, 2, 1), 16) == ((0.5,), True)
    assert last(nn.Upsample(scale_factor=1.5), 16) == ((2 / 3,), True)
    assert last(nn.Sequential(nn.MaxPool1d(2), nn.Upsample(scale_factor=2)), 33) == ((1.0,), False)


def test_a_size_that_is_always_the_same_covers_the_period():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, 2, 1), nn.AdaptiveAvgPool2d(4))
    assert last(model, 32, dim=2) == ((8.0, 8.0), True)


class Picky(nn.Module):
    """Takes multiples of four only."""

    def forward(self, x):
        if x.shape[-1] % 4:
            raise RuntimeError("no")
        return nn.functional.conv1d(x, x.new_ones(1, 1, 4), stride=2)


def test_models_that_take_few_sizes_are_asked_for_those():
    assert last(Picky(), 64) == ((2.0,), False)


class Choosy(nn.Module):
    """A pooling that takes some sizes only."""

    def __init__(self, stride, takes):
        super().__init__()
        self.pool, self.takes = nn.MaxPool1d(stride), takes

    def forward(self, x):
        if not self.takes(x.shape[-1]):
            raise RuntimeError("no")
        return self.pool(x)


@pytest.mark.parametrize("refused", range(66, 98))
def test_a_size_that_is_refused_hides_no_stride(refused):
    # jumps at 72, 80, …; without them, enlargements by 64, 60, 56 and 72 make 8, 7, 7 and 9 more
    assert last(Choosy(8, lambda n: n != refused), 65) == ((8.0,), False)


def test_one_other_size_that_is_no_multiple_leaves_the_ratio_of_sizes():
    # 34 pixels make 11, 98 make 32: 64 more pixels are 21 more samples
    assert last(Choosy(3, (34, 98).__contains__), 34) == ((3.0,), False)


def test_larger_inputs_are_no_zeros():
    """The model's size is told by inputs that it can work with: an origin of zeros isn't known, say."""
    survey(
        Comoving(nn.AvgPool1d(2), nyquist="drop"), torch.arange(8.0).reshape(1, 1, 8).sin(), "all"
    )
