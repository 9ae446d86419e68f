"""The cells of a sweep: a product of named axes, cut into blocks that are computed and tasks that are stored.

    cell    one layer, field, stride, grid, seed and translation: one number
    block   up to `BLOCK` translations of the same others, measured as one batch; always the same ones
    task    a box of cells, whole blocks of them: what is scheduled, and one chunk of the store

The numbers depend on the blocks, which the axes alone fix, and never on how blocks are put together to tasks.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from equivariance.records import as_json

if TYPE_CHECKING:
    from equivariance.sweeping.building import Parts

#: What becomes of a cell: the store's status.
DONE, RAISED, NOT_FINITE = 1, 2, 3
MEANINGS = "0 not done, 1 done, 2 raised, 3 not finite"
#: Bytes kept of a message.
MESSAGE = 400
#: Translations that are measured at once.
BLOCK = 16
#: The axes of a sweep, translations last.
AXES = ("layer", "field", "stride", "grid", "seed", "translation")

Index = tuple[int, ...]


def cell_seed(**key: Any) -> int:
    """The seed of what is drawn for a key: 63 bits of BLAKE2b of the key as JSON with sorted names.

    A thing that is drawn has the part of the cell's key that it depends on, so that all cells of a field and a seed see
    the same field, and differences between layers aren't differences between draws.

    Examples
    --------
    >>> from equivariance.sweeping.division import cell_seed
    >>> cell_seed(field="noise", seed=0) == cell_seed(seed=0, field="noise")
    True
    """
    digest = hashlib.blake2b(as_json(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(**key: Any) -> torch.Generator:
    """A generator with the seed of a key; never torch's global one."""
    return torch.Generator().manual_seed(cell_seed(**key))


def task_shape(shape: Sequence[int], cells: int) -> tuple[int, ...]:
    """Sides of a task of about `cells` cells: the last axes whole, whole blocks along the translations.

    Examples
    --------
    >>> from equivariance.sweeping.division import task_shape
    >>> task_shape((3, 2, 100), 20), task_shape((3, 2, 100), 250)
    ((1, 1, 32), (1, 2, 100))
    """
    sides, left = [], cells
    for axis, n in enumerate(reversed(shape)):
        whole = math.ceil(max(left, 1) / BLOCK) * BLOCK if axis == 0 else max(left, 1)
        sides.append(min(n, whole))
        left //= sides[-1]
    return tuple(reversed(sides))


def tasks(shape: Sequence[int], sides: Sequence[int]) -> Iterator[Index]:
    """The places of all tasks in the grid of tasks, in order."""
    return itertools.product(*(range(math.ceil(n / k)) for n, k in zip(shape, sides, strict=True)))


def box(task: Index, shape: Sequence[int], sides: Sequence[int]) -> tuple[slice, ...]:
    """The cells of a task."""
    return tuple(
        slice(i * k, min((i + 1) * k, n)) for i, n, k in zip(task, shape, sides, strict=True)
    )


def blocks(cells: Sequence[slice]) -> Iterator[tuple[Index, slice]]:
    """The blocks of a box of cells: the place on all axes but the last, and a slice of translations."""
    *others, last = cells
    for index in itertools.product(*(range(s.start, s.stop) for s in others)):
        for start in range(last.start, last.stop, BLOCK):
            yield index, slice(start, min(start + BLOCK, last.stop))


@dataclass(frozen=True)
class Done:
    """What became of a task.

    Attributes
    ----------
    task : tuple of int
    cells, raised, not_finite : int
        How many cells there were, and in how many there is no error to store.
    why : str
        Message of the first such cell.
    """

    task: Index
    cells: int
    raised: int = 0
    not_finite: int = 0
    why: str = ""


def computed(parts: Parts, cells: Sequence[slice]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Error, message and status of a box of cells; what a cell raises is its message."""
    shape = tuple(s.stop - s.start for s in cells)
    error, message = np.full(shape, np.nan), np.zeros(shape, f"S{MESSAGE}")
    status = np.full(shape, DONE, np.uint8)
    first = cells[-1].start
    for index, translations in blocks(cells):
        place = tuple(i - s.start for i, s in zip(index, cells, strict=False))
        for some, found in _measured(parts, index, translations):
            where = (*place, slice(some.start - first, some.stop - first))
            if isinstance(found, Exception):
                status[where], message[where] = RAISED, _said(found)
            else:
                error[where] = found.numpy()
    wrong = ~np.isfinite(error) & (status == DONE)
    status[wrong] = NOT_FINITE
    message[wrong] = [f"the error is {value}".encode() for value in error[wrong]]
    return error, message, status


def _measured(parts: Parts, index: Index, block: slice) -> list[tuple[slice, Tensor | Exception]]:
    """The errors of a block; those of its cells one by one where it raises as a whole."""
    try:
        return [(block, parts.errors(index, block))]
    except Exception as error:
        if block.stop - block.start == 1:
            return [(block, error)]
    cells = [slice(i, i + 1) for i in range(block.start, block.stop)]
    return [pair for cell in cells for pair in _measured(parts, index, cell)]


def _said(error: Exception) -> bytes:
    return f"{type(error).__name__}: {error}".encode()[:MESSAGE]
