"""Inner products: in closed form as far as sums, multiples and translates of leaves have one, else by quadrature."""

from __future__ import annotations

from torch import Tensor

from fields.blurred import Blurred
from fields.composed import Affine, Product, Sum, Translated
from fields.field import Field
from fields.integrals import integral
from fields.questions import Answer


def inner(left: Field, right: Field, rtol: float, memory: int) -> Tensor:
    """⟨F, G⟩, shape (*batch,); see `Field.inner`."""
    product = Product(left, right)  # checks that they fit
    if left.channels == right.channels:
        closed = left._paired(right)
        if closed is not None:
            return closed.expand(product.batch)
    return integral(product, rtol, memory).sum(-1)


def paired(left: Field, right: Field) -> Answer[Tensor | None]:
    """The inner product in closed form, if there is one: what `Node._paired` answers."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Sum) and all(p.channels == one.channels for p in one.parents):
            first = yield one.parents[0], "_paired", other
            second = None if first is None else (yield one.parents[1], "_paired", other)
            return None if second is None else first + second
        factor = _factor(one)
        if factor is not None:
            part: Tensor | None = yield one.parents[0], "_paired", other
            return None if part is None else factor * part
    if isinstance(left, Translated) and isinstance(right, Translated) and left.moves_like(right):
        found: Tensor | None = yield left.parent, "_paired", right.parent
        return None if found is None else found.expand(Product(left, right).batch)
    one, other = present(_leaf(left)), present(_leaf(right))
    found = one._inner(other)
    return other._inner(one) if found is None else found


def present(field: Field) -> Field:
    """The leaf that a closed convolution is at present; any other field as it is."""
    return field.now if isinstance(field, Blurred) else field


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
    moved, moves = field, []
    while isinstance(moved, Translated):
        moves.append(moved.t)
        moved = moved.parent
    for t in reversed(moves):
        leaf = moved._moved(t)
        if leaf is None:
            return field
        moved = leaf
    return moved
