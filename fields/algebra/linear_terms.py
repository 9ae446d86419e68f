"""What linear nodes make of their leaves: F = Σ_k W_k (t_k ▷ L_k), a weight and a translation each.

Weights are pushed backwards through the graph, each node once, and terms of one leaf and one translation are one. A
weight is a number, one number per channel (c,), or a matrix (c_out, c_in), whichever is the least that will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fields.accuracy import MOST_TERMS
from fields.algebra.constant import Constant
from fields.algebra.field import Field
from fields.algebra.linear import Linear, Translated
from fields.evaluation.node import Node
from fields.evaluation.questions import walk
from fields.evaluation.translations import Moves

#: Closed forms that a leaf may have.
FORMS = ("_integral", "_inner", "_transform", "_convolved")

Weight = Tensor | float
#: What closed convolutions are at present.
Present = dict[Field, Field]


class Term(NamedTuple):
    """A leaf, moved by translations that `Moves` knows, times a weight."""

    leaf: Field
    weight: Weight
    moves: int


def terms(
    field: Field, moves: Moves | None, weight: Weight = 1.0, present: Present | None = None
) -> list[Term] | None:
    """The terms of weight·F, a constant last; None where they are too many, or no closed form is known of a leaf.

    Without `moves` translations are left out. Closed convolutions stand for what they are at present, which is looked
    up where it isn't given.
    """
    present = {} if present is None else present
    order = _linear(field, present)
    if order is None:
        return None
    arrived: dict[Field, dict[int, Weight]] = {node: {} for node in order}
    arrived[field][0] = weight
    found: list[Term] = []
    constant: Weight = 0.0
    for node in reversed(order):
        here = arrived.pop(node)
        if len(here) + len(found) > MOST_TERMS:
            return None
        if not is_linear(node):
            found.extend(Term(node, w, m) for m, w in here.items())
            continue
        further = moves.of(node) if moves and isinstance(node, Translated) else 0
        weights, shift = (node._weights(), node.shift) if isinstance(node, Linear) else ([1.0], 0.0)
        weights, shift = [_in(field.dtype, w) for w in weights], _in(field.dtype, shift)
        for m, w in here.items():
            if isinstance(shift, Tensor):
                constant = constant + applied(w, shift.expand(node.channels))
            for parent, v in zip(_below(node, present), weights, strict=True):
                there, moved, made = arrived[parent], m + further, after(w, v)
                there[moved] = plus(there[moved], made) if moved in there else made
    if isinstance(constant, Tensor):
        everywhere = Constant(constant.to(field.dtype), field.dim)
        everywhere.weak = field.weak
        found.append(Term(everywhere, 1.0, 0))
    return found


def is_linear(node: Field) -> bool:
    """Whether a node is a linear combination of others: of what it is at present, where it is a closed convolution."""
    return isinstance(node, Linear) or node.original is not None


def _below(node: Field, present: Present) -> tuple[Field, ...]:
    """The fields that a node is a linear combination of."""
    if node.original is None:
        return node.parents if isinstance(node, Linear) else ()
    if node not in present:
        present[node] = node.now  # type: ignore[attr-defined]
    return (present[node],)


def _linear(root: Field, present: Present) -> list[Field] | None:
    """Linear nodes and the leaves below them, parents first; None once a leaf is met that knows no closed form."""
    order = []
    for node in walk(root, lambda node: _below(node, present)):
        if not is_linear(node) and not _knows(type(node)):
            return None
        order.append(node)
    return order


def _knows(kind: type[Field]) -> bool:
    return any(getattr(kind, form) is not getattr(Node, form) for form in FORMS)


# --- weights --------------------------------------------------------------------------------------------------


def _rank(weight: Weight) -> int:
    return weight.ndim if isinstance(weight, Tensor) else 0


def size(weight: Weight) -> float:
    """The largest modulus in a weight."""
    return float(weight.detach().abs().max()) if isinstance(weight, Tensor) else abs(weight)


def is_number(weight: Weight) -> bool:
    """Whether a weight is the same for all channels, and mixes none."""
    return _rank(weight) == 0


def _in(dtype: torch.dtype, weight: Weight) -> Weight:
    return weight.to(dtype) if isinstance(weight, Tensor) else weight


def after(weight: Weight, first: Weight) -> Weight:
    """The weight that stands for one after another."""
    if not _rank(weight) or _rank(first) < 2:
        return weight * first
    assert isinstance(weight, Tensor)
    assert isinstance(first, Tensor)
    return weight[:, None] * first if weight.ndim == 1 else weight @ first


def plus(weight: Weight, other: Weight) -> Weight:
    """The sum of two weights."""
    if _rank(weight) == _rank(other) or max(_rank(weight), _rank(other)) < 2:
        return weight + other
    full, rest = (weight, other) if _rank(weight) == 2 else (other, weight)
    assert isinstance(full, Tensor)
    return full + torch.eye(len(full), dtype=full.dtype, device=full.device) * rest


def transposed(weight: Weight) -> Weight:
    """The weight that acts on the other side of an inner product."""
    return weight.mT if isinstance(weight, Tensor) and weight.ndim == 2 else weight


def applied(weight: Weight, values: Tensor) -> Tensor:
    """A weight times values (…, c), real or complex."""
    if isinstance(weight, Tensor) and weight.ndim == 2:
        return values @ weight.mT.to(values.dtype)
    return values if isinstance(weight, float) and weight == 1.0 else weight * values


def mixed(leaf: Field, weight: Weight) -> Field | None:
    """A leaf times a weight as a leaf of its kind, if it can be one."""
    if isinstance(weight, float) and weight == 1.0:
        return leaf
    weight = _in(leaf.dtype, weight)
    if _rank(weight) < 2:
        weight = torch.eye(leaf.channels, dtype=leaf.dtype, device=leaf.device) * weight
    assert isinstance(weight, Tensor)
    found: Field | None = leaf._mixed(weight)
    if found is not None:
        found.weak = leaf.weak
    return found


def together(parts: Sequence[Tensor]) -> Tensor:
    """The sum of at least one tensor."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
