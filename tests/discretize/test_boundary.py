"""How samples continue: numpy.pad is the oracle."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discretize.boundary import extend, outside

MODES = {"periodic": "wrap", "zero": "constant", "reflect": "reflect", "nearest": "edge"}

every_boundary = pytest.mark.parametrize("boundary", MODES)


@every_boundary
@given(st.integers(1, 6), st.integers(0, 20), st.integers(0, 20))
def test_outside(boundary: str, size: int, before: int, after: int) -> None:
    """Index of the sample that stands at i, −1 for a zero."""
    index = torch.arange(-before, size + after)
    options = {"constant_values": -1} if boundary == "zero" else {}
    expected = np.pad(np.arange(size), (before, after), mode=MODES[boundary], **options)
    assert outside(index, size, boundary).tolist() == expected.tolist()


@every_boundary
@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.integers(-3, 8), st.integers(-3, 8)),
        min_size=1,
        max_size=3,
    )
)
def test_extend(boundary: str, axes: list[tuple[int, int, int]]) -> None:
    """Wider by any number of samples on either side, narrower where it is negative."""
    sizes = [n for n, _, _ in axes]
    axes = [(n, b, a) if n + b + a > 0 else (n, 0, 0) for n, b, a in axes]
    values = torch.arange(2.0 * np.prod(sizes)).reshape(2, *sizes) + 1
    wide = values.numpy()
    for axis, (n, before, after) in enumerate(axes, start=1):
        pads = [(0, 0)] * wide.ndim
        pads[axis] = (max(before, 0), max(after, 0))
        wide = np.pad(wide, pads, mode=MODES[boundary])
        length = n + before + after
        first = max(-before, 0)
        wide = wide.take(range(first, first + length), axis)
    first, last = zip(*((-b, n + a - 1) for n, b, a in axes), strict=True)
    assert extend(values, first, last, boundary).tolist() == wide.tolist()


def test_nothing_is_known_outside_of_none() -> None:
    assert outside(torch.arange(-1, 4), 3, "none").tolist() == [-1, 0, 1, 2, -1]


@every_boundary
def test_gradients_flow_through(boundary: str) -> None:
    """Every sample gets as much as it is repeated."""
    values = torch.arange(4.0, dtype=torch.float64)[None].requires_grad_()
    extend(values, [-9], [11], boundary).sum().backward()
    index = outside(torch.arange(-9, 12), 4, boundary)
    assert values.grad[0].tolist() == [float((index == i).sum()) for i in range(4)]
