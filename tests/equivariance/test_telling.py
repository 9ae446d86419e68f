"""What is said of a measurement claims no more than was compared."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from equivariance import measure
from equivariance.measuring.border import shares, shares_table
from equivariance.measuring.measured import compared, findings, firsts
from equivariance.measuring.remedy import judged_remedies, remeasured

F64 = {"dtype": torch.float64}


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def test_what_was_not_compared_is_not_said_to_hold():
    windows = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2))
    own, whole, between = firsts(measure(windows, size=(16, 16), count=9, **F64), "as is")
    assert own.endswith(": nothing breaks")
    # one of three outputs has a stride of one: all whole pixels are multiples of it
    assert whole.endswith(": nothing breaks in the 1 of 3 outputs that were compared")
    assert between.endswith(": nothing was compared")


def test_translations_that_were_not_tried_say_nothing():
    data = measure(nn.ReLU(), size=(8, 8), translations=[[1.0, 0.0]], padding="as is", **F64)
    assert [line.partition(": ")[2] for line in firsts(data, "as is")] == [
        "nothing breaks",
        "nothing breaks",
        "nothing was compared",
    ]
    data = measure(nn.ReLU(), size=(8, 8), translations=[[0.5, 0.0]], padding="as is", **F64)
    assert firsts(data, "as is")[2].endswith("first broken by output (ReLU)")
    (row,) = findings(data)
    assert [compared(row, which) for which in ("multiples", "others", "between")] == [
        False,
        False,
        True,
    ]


class Dead(nn.Module):
    """A layer whose outputs vanish, and one that doesn't."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        self.dead = nn.Threshold(math.inf, 0.0)

    def forward(self, x):
        y = self.conv(x)
        return y + self.dead(y)


def test_a_layer_that_was_not_compared_has_no_border():
    data = measure(Dead(), size=(8, 8), count=6, **F64)
    rows = {row.layer: row for row in shares(data)}
    assert math.isnan(rows["dead"].border)
    assert math.isnan(rows["dead"].border_share)
    assert rows["conv"].border > 1e-3
    line = next(text for text in shares_table(list(rows.values())).splitlines() if "dead" in text)
    assert line.split() == ["dead", "–", "–", "–"]


def test_the_share_of_a_map_of_two_samples_is_not_told():
    """Its translations by multiples alone would be all border."""
    strided = nn.Sequential(nn.Conv1d(1, 2, 3, padding=1), nn.AvgPool1d(4))
    data = measure(strided, size=(8,), channels=1, **F64)
    conv, pool, _ = shares(data)
    assert 0 < conv.border_share <= 1
    assert pool.border > 1e-3
    assert math.isnan(pool.aliasing)
    assert pool.share_text == "–"


class Branches(nn.Module):
    """Means of maps of strides 2 and 3."""

    def __init__(self):
        super().__init__()
        self.two, self.three = nn.MaxPool1d(2), nn.MaxPool1d(3)

    def forward(self, x):
        return torch.cat([self.two(x).mean(-1), self.three(x).mean(-1)], 1)


def test_multiples_of_all_strides_are_those_of_each():
    options = {"limit": 2, "channels": 1, **F64}
    t = [[6.0], [3.0], [2.0], [0.5]]
    data = measure(Branches(), size=(24,), translations=t, **options)
    error = remeasured(Branches(), None, np.array(t), (24,), **options)["error"]
    as_is = judged_remedies(error, data)[0]
    assert as_is.worst[0] < 1e-13
    assert as_is.worst[1] > 1e-3
