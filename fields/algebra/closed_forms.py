"""Closed forms of linear combinations of leaves: integrals, transforms, convolutions, inner products.

Each is a sum over the terms of `fields.algebra.linear_terms`, as far as the leaves know their own; None where one of
them doesn't.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from fields import dtypes
from fields.accuracy import CANCELLED_MEMORY, CANCELLED_RTOL, EXTREME, MOST_PAIRS, ROUNDED, TAIL
from fields.algebra import linear
from fields.algebra.constant import Constant
from fields.algebra.field import FORMS, Field
from fields.algebra.linear_terms import (
    Present,
    Term,
    Weight,
    after,
    applied,
    is_linear,
    is_number,
    mixed,
    plus,
    size,
    terms,
    together,
    transposed,
)
from fields.algebra.pointwise import Product
from fields.checks import tracing
from fields.evaluation.evaluation import evaluate
from fields.evaluation.integrals import integral as quadrature
from fields.evaluation.integrals import multiples
from fields.evaluation.translations import Moves
from fields.interpolation.fourier import turned
from fields.kernels.kernel import MatrixKernel
from fields.lattice import Lattice, LatticeTooLarge, PerAxis, common_period


def integral(field: Field) -> Tensor | None:
    """∫F over its domain, shape (*batch, c)."""
    if not is_linear(field):
        return field._integral()
    parts = []
    for leaf, weight, _ in _one_domain(field, terms(field, None)):
        own = leaf._integral()
        if own is None:
            return None
        own = own.to(field.dtype) * _times(leaf.period, field.period)
        parts.append(applied(weight, own))
    return together(parts).expand(*field.batch, field.channels) if parts else None


def transform(field: Field, frequencies: Tensor) -> Tensor | None:
    """F̂ at frequencies (k, d), shape (*batch, k, c)."""
    if not is_linear(field):
        return field._transform(frequencies)
    moves, parts, kind = Moves(), [], field.dtype.to_complex()
    known: dict[Field, Tensor | None] = {}
    for leaf, weight, moved in _one_domain(field, terms(field, moves)):
        if leaf not in known:
            known[leaf] = _coefficients(leaf, frequencies, field.period)
        own = known[leaf]
        if own is None:
            return None
        if moved:
            own = turned(own, moves.total(moved), frequencies)
        parts.append(applied(weight, own.to(kind)))
    if not parts:
        return None
    return together(parts).expand(*field.batch, len(frequencies), field.channels)


def _one_domain(field: Field, found: list[Term] | None) -> list[Term]:
    """Terms whose integrals add up, all over a period or all over R^d; none where there is no such domain."""
    if found is None or field.period is not None:
        return found or []
    found = [t for t in found if not _vanishes(t.leaf)]
    leaves = {t.leaf for t in found}
    alike = len(leaves) == 1 or all(leaf.support(TAIL) is not None for leaf in leaves)
    return found if alike else []


def _vanishes(leaf: Field) -> bool:
    """Whether it is a constant 0, which has integrals wherever it stands."""
    return isinstance(leaf, Constant) and not tracing() and not bool(leaf.value.any())


def _times(own: PerAxis | None, period: PerAxis | None) -> float:
    """How often a period goes into another one, which may be that of a constant, a box of volume 1."""
    if own is None or period is None:
        return 1.0
    return math.prod((p or 1.0) / (q or 1.0) for p, q in zip(period, own, strict=True))


def _coefficients(leaf: Field, frequencies: Tensor, period: PerAxis | None) -> Tensor | None:
    """The transform of a leaf that may repeat by less than a period: 0 between its own frequencies."""
    own = leaf.period
    if own is None or own == period:
        return leaf._transform(frequencies)
    there = multiples(frequencies, own)
    found = leaf._transform(torch.where(there[:, None], frequencies, 0.0))
    return None if found is None else found * there[:, None]


def averaged(field: Field, lattice: Lattice) -> Tensor | None:
    """Means over the cells around the points of a lattice, shape (*batch, c, X1, …, Xd); values of smooth leaves."""
    moves, parts = Moves(), []
    for leaf, weight, moved in terms(field, moves) or ():
        origin = lattice.origin - moves.total(moved) if moved else lattice.origin
        there = replace(lattice, origin=origin)
        own = leaf._averaged(there) if leaf._jumps() is None else evaluate(leaf, there)
        if own is None:
            return None
        parts.append(applied(weight, own.movedim(-field.dim - 1, -1)))
    return together(parts).movedim(-1, -field.dim - 1) if parts else None


# --- convolutions -----------------------------------------------------------------------------------------------


def convolution(field: Field, kernel: MatrixKernel, present: Present) -> Field | None:
    """K*F of what both hold at present, in the dtype in which they meet."""
    found = _convolved(field, kernel, present)
    if found is not None:
        found = linear.cast(found, dtypes.met(field, kernel))
        found.weak = dtypes.give_way(field, kernel)
    return found


def _convolved(field: Field, kernel: MatrixKernel, present: Present) -> Field | None:
    """A sum of translates of what the kernel makes of the leaves."""
    if not is_linear(field):
        whole: Field | None = field._convolved(kernel.to(field.dtype))
        return whole
    moves, total = Moves(), None
    known: dict[Field, Field | None] = {}
    for leaf, weight, moved in terms(field, moves, present=present) or ():
        plain = is_number(weight)
        source = leaf if plain else mixed(leaf, weight)
        if source is None:
            return None
        if source not in known:
            known[source] = source._convolved(kernel.to(source.dtype))
        part = known[source]
        if part is None:
            return None
        if plain and not (isinstance(weight, float) and weight == 1.0):
            part = linear.Affine(part, weight, 0.0)
        for times, node in moves.parts(moved):
            t, like = (node.t, node) if times == 1 else (times * node.t, None)
            part = linear.Translated(part, t, like)
        total = part if total is None else linear.Sum(total, part)
    return total


# --- inner products ---------------------------------------------------------------------------------------------


def inner(left: Field, right: Field, rtol: float, memory: int) -> Tensor:
    """⟨F, G⟩, shape (*batch,); see `Field.inner`."""
    product = Product(left, right)  # checks that they fit
    found = paired(left, right)
    if found is None:
        return quadrature(product, rtol, memory).sum(-1)
    total, size = (part.to(product.dtype) for part in found)
    if left is right and not tracing():
        total = _uncancelled(product, total, size, rtol, memory)
    return total.expand(product.batch)


def _uncancelled(square: Field, total: Tensor, size: Tensor, rtol: float, memory: int) -> Tensor:
    """‖F‖², a sum of terms of some size, within what their rounding leaves by quadrature where they cancel.

    Values cancel to first order where their products do to second: those of F(x) − F(x − t) are known for t of 1e-9.
    """
    eps = torch.finfo(total.dtype).eps
    slack = ROUNDED * eps * size
    if bool((total.detach() * max(rtol, math.sqrt(eps)) >= slack).all()):
        return total
    try:
        found = quadrature(square, max(rtol, CANCELLED_RTOL), min(memory, CANCELLED_MEMORY)).sum(-1)
    except LatticeTooLarge:
        found = total
    least, most = (total - slack).clamp(min=0), (total + slack).clamp(min=0)
    return torch.minimum(torch.maximum(found, least), most)


def paired(left: Field, right: Field) -> tuple[Tensor, Tensor] | None:
    """⟨F, G⟩ in closed form, a sum over pairs of terms, and the sum of their moduli."""
    moves, period = Moves(), common_period(left.period, right.period)
    mine = _sized(terms(left, moves, _spread(left, right)))
    theirs = mine if left is right else _sized(terms(right, moves, _spread(right, left)))
    if not mine or not theirs or len(mine) * len(theirs) > MOST_PAIRS:
        return None
    mine, theirs = _in_one_dtype(mine, theirs)
    pairs: dict[tuple[Field, Field, int], tuple[Weight, Tensor | None]] = {}
    for a, b in itertools.product(mine, theirs):
        if period is None and (_vanishes(a.leaf) or _vanishes(b.leaf)):
            continue
        key = (a.leaf, b.leaf, b.moves - a.moves)
        weight = after(transposed(a.weight), b.weight)
        if key in pairs:
            pairs[key] = plus(pairs[key][0], weight), pairs[key][1]
        else:
            apart = None if a.moves == b.moves else moves.total(b.moves) - moves.total(a.moves)
            pairs[key] = weight, apart
    parts = []
    for (one, other, _), (weight, apart) in pairs.items():
        own = common_period(one.period, other.period)
        part = None if own and not period else _pair(one, other, weight, apart)
        if part is None:
            return None
        parts.append(part * _times(own, period))
    if not parts:
        return None
    return together(parts), together([p.detach().abs() for p in parts])


def _sized(found: list[Term] | None) -> list[Term] | None:
    """Terms whose weights are far from over- and underflow, as far as leaves take them up."""
    if found is None or tracing():
        return found
    changed: dict[tuple[Field, int], Field] = {}
    sized = []
    for term in found:
        leaf: Field | None = None
        if not 2.0**-EXTREME < size(term.weight) < 2.0**EXTREME:
            key = term.leaf, id(term.weight)
            leaf = changed.get(key) or mixed(term.leaf, term.weight)
        if leaf is not None:
            changed[key] = leaf
        sized.append(term if leaf is None else Term(leaf, 1.0, term.moves))
    return sized


def _in_one_dtype(*sums: list[Term]) -> Sequence[list[Term]]:
    """Terms whose leaves have one dtype, the widest of theirs."""
    leaves = {t.leaf for found in sums for t in found}
    dtype = functools.reduce(torch.promote_types, [leaf.dtype for leaf in leaves])
    if all(leaf.dtype == dtype for leaf in leaves):
        return sums
    changed = {leaf: leaf if leaf.dtype == dtype else leaf._in(dtype) for leaf in leaves}
    return [[t._replace(leaf=changed[t.leaf]) for t in found] for found in sums]


def _spread(field: Field, other: Field) -> Weight:
    """The weight that makes a single channel as many as the other field has."""
    if field.channels == other.channels or field.channels > 1:
        return 1.0
    return torch.ones(other.channels, 1, dtype=field.dtype, device=field.device)


def _pair(one: Field, other: Field, weight: Weight, apart: Tensor | None) -> Tensor | None:
    """⟨L, W (t▷L')⟩ of two leaves, by whichever can be moved and mixed."""
    back = None if apart is None else -apart
    for still, leaf, w, t in ((one, other, weight, apart), (other, one, transposed(weight), back)):
        number = is_number(w)
        changed = leaf if number else mixed(leaf, w)
        changed = changed if t is None or changed is None else changed._moved(t)
        if changed is not None:
            found = still._inner(changed)
            found = changed._inner(still) if found is None else found
            return None if found is None else applied(w if number else 1.0, found)
    return None


FORMS |= {"integrate": integral, "inner": inner, "transform": transform}
