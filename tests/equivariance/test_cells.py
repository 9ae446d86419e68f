"""Cells, blocks and tasks: every cell once, blocks that don't depend on tasks, seeds that nothing else moves."""

import hashlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equivariance.sweeping.division import (
    BLOCK,
    blocks,
    box,
    cell_seed,
    generator,
    task_shape,
    tasks,
)

SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=3).flatmap(
    lambda others: st.integers(1, 70).map(lambda last: (*others, last))
)


@given(SHAPES, st.integers(1, 400))
def test_tasks_are_whole_blocks_and_have_every_cell_once(shape, cells) -> None:
    sides = task_shape(shape, cells)
    whole = {(i, s.start, s.stop) for i, s in blocks([slice(0, n) for n in shape])}
    count, seen = np.zeros(shape, int), set()
    for task in tasks(shape, sides):
        part = box(task, shape, sides)
        count[part] += 1
        for index, translations in blocks(part):
            seen.add((index, translations.start, translations.stop))
    assert (count == 1).all()
    assert seen == whole
    assert max(stop - start for _, start, stop in whole) <= BLOCK


@given(SHAPES, st.integers(1, 400))
def test_tasks_are_about_as_large_as_asked(shape, cells) -> None:
    """Within a block, and half at least unless there are no more cells to take along an axis."""
    size = math.prod(task_shape(shape, cells))
    assert size <= max(cells + BLOCK, BLOCK)
    assert size > cells / 4 or size == math.prod(shape) or max(shape) <= 5 or size >= BLOCK


def test_a_seed_is_the_digest_of_its_key() -> None:
    text = b'{"field": "noise", "seed": 3}'
    digest = hashlib.blake2b(text, digest_size=8).digest()
    assert cell_seed(seed=3, field="noise") == int.from_bytes(digest, "big") // 2
    assert len({cell_seed(field=f, seed=s) for f in "abcdef" for s in range(50)}) == 300


def test_generators_leave_the_global_one_alone() -> None:
    before = torch.get_rng_state()
    draws = [torch.rand(3, generator=generator(layer="a", seed=0)) for _ in range(2)]
    assert torch.equal(*draws)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("shape", "cells", "sides"), [((3, 2, 100), 1, (1, 1, 16)), ((3, 2, 8), 20, (1, 2, 8))]
)
def test_examples(shape, cells, sides) -> None:
    assert task_shape(shape, cells) == sides
