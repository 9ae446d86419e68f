"""Fields made of parts that move independently: patches that add up, foregrounds over backgrounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fields import arguments
from fields.algebra.field import Field

#: A field that is added, or (field, mask) that covers what lies below.
Part = Field | tuple[Field, Field]


def local_translation(parts: Sequence[Part], translations: Sequence[Any]) -> Field:
    """A field made of parts, each moved by its own translation.

    Parameters
    ----------
    parts : sequence of Field or (Field, Field)
        From back to front. A field is added to what lies below. Of a pair (field, mask) the mask, with one channel
        or as many as the field, moves along and says how much of the field covers what lies below:
        mask·field + (1 − mask)·below, below being 0 for the first part.
    translations : sequence of array-like, each of shape (d,) or (*batch, d)
        One per part, in length units.

    Returns
    -------
    Field

    Raises
    ------
    ValueError
        Without parts, or where there aren't as many translations as parts.

    Examples
    --------
    >>> from fields import Balls, Constant, local_translation
    >>> disc = Balls([[0.0, 0.0]], [[1.0]], [1.0])
    >>> F = local_translation([Constant(5.0, 2), (Constant(2.0, 2), disc)], [[0.0, 0.0], [3.0, 0.0]])
    >>> F([[3.0, 0.0], [0.0, 0.0]]).flatten().tolist()
    [2.0, 5.0]
    """
    parts = arguments.sequence(parts, "parts", "fields")
    translations = arguments.sequence(translations, "translations", "translations (d,)")
    if not parts:
        raise ValueError("local_translation needs at least one part, got none")
    if len(parts) != len(translations):
        raise ValueError(
            f"one translation per part: got {len(parts)} parts and {len(translations)} translations"
        )
    below: Any = None
    for part, t in zip(parts, translations, strict=True):
        field, mask = part if isinstance(part, tuple) and len(part) == 2 else (part, None)
        if not isinstance(field, Field) or not (mask is None or isinstance(mask, Field)):
            raise TypeError(
                f"a part is a Field or a pair (field, mask) of Fields, got {type(part).__name__}"
            )
        moved = field.translate(t)
        if mask is None:
            below = moved if below is None else below + moved
            continue
        cover = mask.translate(t)
        below = cover * moved if below is None else below + cover * (moved - below)
    assert isinstance(below, Field)
    return below
