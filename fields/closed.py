"""Inner products: in closed form as far as sums, multiples and translates of leaves have one, else by quadrature."""

from __future__ import annotations

from torch import Tensor

from fields.composed import Affine, Product, Sum, Translated
from fields.field import Field
from fields.integrals import integral


def inner(left: Field, right: Field, rtol: float, memory: int) -> Tensor:
    """⟨F, G⟩, shape (*batch,); see `Field.inner`."""
    product = Product(left, right)  # checks that they fit
    if left.channels == right.channels:
        closed = _closed(left, right)
        if closed is not None:
            return closed.expand(product.batch)
    return integral(product, rtol, memory).sum(-1)


def _closed(left: Field, right: Field) -> Tensor | None:
    """The inner product in closed form, if there is one."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Sum) and all(p.channels == one.channels for p in one.parents):
            parts = [_closed(p, other) for p in one.parents]
            known = [p for p in parts if p is not None]
            return sum(known[1:], start=known[0]) if len(known) == len(parts) else None
        factor = _factor(one)
        if factor is not None:
            part = _closed(one.parents[0], other)
            return None if part is None else factor * part
    if isinstance(left, Translated) and isinstance(right, Translated) and left.moves_like(right):
        found = _closed(left.parent, right.parent)
        return None if found is None else found.expand(Product(left, right).batch)
    one, other = _leaf(left), _leaf(right)
    found = one._inner(other)
    return other._inner(one) if found is None else found


def _factor(field: Field) -> Tensor | float | None:
    """The number that a multiple of a field multiplies it by; None for all other fields."""
    if not isinstance(field, Affine) or field.channels != field.parents[0].channels:
        return None
    if not (isinstance(field.shift, float) and field.shift == 0.0):
        return None
    scale = field.scale
    return scale if isinstance(scale, float) or scale.ndim == 0 else None


def _leaf(field: Field) -> Field:
    """A translate of a leaf as a leaf, where it knows how to be one; otherwise the field itself."""
    if not isinstance(field, Translated):
        return field
    return _leaf(field.parent)._moved(field.t) or field
