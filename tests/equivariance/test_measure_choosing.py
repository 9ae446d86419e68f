"""The translations that `measure` chooses."""

import pytest
import torch

from equivariance.measuring.translations import default_translations
from equivariance.subgroups import subgroup


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_all_differ_and_stay_below_a_period(dim):
    t = default_translations((16,) * dim, [(1.0,) * dim, (2.0,) * dim, (4.0,) * dim], 33)
    assert t.shape == (33, dim)
    assert len(t.unique(dim=0)) == 33
    assert t.min() >= 0
    assert t.max() < 16
    assert (t == t.round()).all(1).sum() >= (10 if dim == 1 else 22)


def test_the_groups_of_all_strides_can_be_told():
    strides = [(float(2**k),) * 2 for k in range(6)]
    t = default_translations((64, 64), strides)
    for s in (2, 4, 8, 16, 32):
        passes = ((t % s) == 0).all(1)
        assert subgroup(t, passes).name == f"{s}Z × {s}Z"
    assert subgroup(t, (t == t.round()).all(1)).name == "Z × Z"


def test_strides_of_less_than_a_pixel_and_small_inputs():
    t = default_translations((3,), [(0.5,)], 7)
    assert t.max() < 3
    assert t[t == t.round()].tolist() == [1.0]
    assert torch.isfinite(t).all()
