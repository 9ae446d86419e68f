"""Fresh memory for large results: most of what writing to it costs is the system's giving it out, page by page."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

#: From so many bytes on numpy asks the system for pages of 2 MiB where it has them.
LARGE = 1 << 22


def empty(shape: Sequence[int], like: Tensor) -> Tensor:
    """An uninitialised tensor of the dtype and on the device of `like`.

    On the processor, large ones come from numpy, whose large pages take a quarter of the time to be given out.
    """
    if like.device.type != "cpu" or math.prod(shape) * like.itemsize < LARGE:
        return like.new_empty(tuple(shape))
    array = np.empty(tuple(shape), dtype=np.dtype(str(like.dtype).removeprefix("torch.")))
    return torch.from_numpy(array)
