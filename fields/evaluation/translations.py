"""Sums of translations, told apart exactly: t + s + t is 2t + s, whatever the tensors t and s hold."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from fields.accuracy import MOVE_BITS


class Move(Protocol):
    """A node that moves its parent by t; `move` is the same for all that move by the same."""

    move: Hashable
    _given: Any

    @property
    def t(self) -> Tensor:
        """The translation, (*batch, d)."""


class Moves:
    """Translations that were met, numbered; a sum of them is an integer, whose digits say how often each is there.

    So that sums of thousands are added, compared and hashed at once.
    """

    def __init__(self) -> None:
        self._known: list[Move] = []
        self._number: dict[Any, int] = {}

    def of(self, node: Move) -> int:
        """The translation of a node."""
        number = self._number.setdefault(node.move, len(self._known))
        if number == len(self._known):
            self._known.append(node)
        return 1 << (MOVE_BITS * number)

    def total(self, moves: int) -> Tensor:
        """A sum of translations, shape (d,) or (*batch, d)."""
        return sum(times * node.t for times, node in self.parts(moves))  # type: ignore[return-value]

    def parts(self, moves: int) -> Iterator[tuple[int, Move]]:
        """How often each translation is in a sum, and a node that has it."""
        size = moves.bit_length() // MOVE_BITS + 1
        digits = np.frombuffer(moves.to_bytes(4 * size, "little"), dtype="<u4")
        for number in np.flatnonzero(digits):
            yield int(digits[number]), self._known[number]
