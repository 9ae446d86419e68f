"""What modules say that they commute with: translations t for which Φ(t▷f) = t▷Φ(f).

A module says it by an attribute `commutes_with`, of samples on a periodic grid, of waves below Nyquist where these are
real translations. What says at least whole ones is shared by all points, and commutes with all real translations of
a Field.
"""

from __future__ import annotations

import enum

from torch import nn


class Commutes(enum.IntEnum):
    """A set of translations; the larger hold the smaller ones.

    Attributes
    ----------
    words : str
        The set, s the stride.
    """

    NONE = 0
    MULTIPLES = 1
    WHOLE = 2
    REAL = 3

    @property
    def words(self) -> str:
        """The set in words."""
        return WORDS[self]


WORDS = {
    Commutes.NONE: "none",
    Commutes.MULTIPLES: "multiples of s",
    Commutes.WHOLE: "whole translations",
    Commutes.REAL: "every real translation",
}


def promised(module: nn.Module) -> Commutes | None:
    """What a module commutes with: a chain with what all of its parts do; None where one doesn't say it.

    Examples
    --------
    >>> import torch
    >>> from discretize import EquivariantSubsampling, IdealLowpass, Stride
    >>> from fields.commuting import promised
    >>> promised(torch.nn.Sequential(IdealLowpass(2), EquivariantSubsampling(2))).words
    'whole translations'
    """
    if isinstance(module, nn.Sequential):
        parts = [promised(part) for part in module]
        known = [part for part in parts if part is not None]
        return min(known, default=Commutes.REAL) if len(known) == len(parts) else None
    if isinstance(module, nn.Identity):
        return Commutes.REAL
    said: Commutes | None = getattr(module, "commutes_with", None)
    return said
