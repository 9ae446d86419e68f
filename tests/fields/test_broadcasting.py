"""Batch shapes broadcast as torch's do."""

import itertools

import pytest
import torch

from fields.arrays import broadcast


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_as_torch_does(count: int) -> None:
    """All shapes of up to two axes of 0, 1, 2 or 3, up to three at once."""
    shapes = [s for rank in range(3) for s in itertools.product(range(4), repeat=rank)]
    for chosen in itertools.product(shapes, repeat=count):
        try:
            expected = (
                torch.broadcast_tensors(*(torch.empty(s) for s in chosen))[0].shape
                if chosen
                else torch.Size([])
            )
        except RuntimeError:
            with pytest.raises(ValueError, match="don't broadcast"):
                broadcast(*chosen)
        else:
            assert broadcast(*chosen) == expected
