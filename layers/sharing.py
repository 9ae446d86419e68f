"""The projection of layers on their translation-equivariant part: the mean of T₋ₜ L Tₜ over t in a torus.

    IntegralOperator   on a torus a convolution, K(y) = mean over x of κ(x, x − y)
    BiasField          a Bias, the mean of the field
    PointwiseField     a Pointwise, the mean over x of σ(x, ·)
    PoolField          the mean of poolings over the windows W(x)

The average is linear in L, leaves shared layers alone, and its result commutes with every translation: a projection. So
what breaks the equivariance of L is the remainder L − shared(L), and nothing else. The mean of a group's conjugates is
the classical construction (Maschke); here the group is a torus, and for finite averages a lattice on it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from fields import FeatureMap, Field, Window
from fields.accuracy import MOST_NODES
from fields.checks import VectorLike, integers, lengths, positive
from fields.commuting import Commutes, promised
from fields.lattice import PerAxis, common_period, split
from layers.accuracy import PAIRS_AT_ONCE as PAIRS
from layers.convolution import Conv
from layers.inputs import check_feature_map
from layers.pointwise import Bias, Pointwise
from layers.projected_kernel import shared_kernel, torus_nodes
from layers.unshared import BiasField, IntegralOperator, PointwiseField
from layers.windowed import PoolField, by_window

#: Points of a torus, at most, that an average over pairs of them takes per axis, in one to three dimensions.
MOST = {1: 65, 2: 33, 3: 11}


def shared(
    layer: nn.Module, period: VectorLike | None = None, nodes: int | None = None
) -> nn.Module:
    """The translation-equivariant part of a layer.

    Parameters
    ----------
    layer : nn.Module
        An unshared layer; a shared one, which is returned as it is; or any module from feature maps to feature maps.
    period : float or sequence of float, optional
        Of the torus whose translations are averaged over, one number per axis, where the layer doesn't say it; a
        multiple of the layer's own, or of a bias field's, otherwise, over which the mean is the same. A single number
        is for one dimension, or for layers that don't ask for it.
    nodes : int, optional
        Translations per axis that stand for all, equally spaced; 65, 33 or 11 in one, two or three dimensions unless
        given. For an IntegralOperator odd, and samples of its kernel, too; unless given as many as resolve it to 1e-10
        of κ, or as can be afforded, with an AliasingWarning where they leave more than 1e-8.

    Returns
    -------
    nn.Module
        Conv, Bias, Pointwise, an `Average` of poolings, or a `TranslationAverage`. Conv and Bias have new parameters,
        averages of what `layer` has at present.

    Raises
    ------
    ValueError
        Where the layer's period is needed and neither known nor given, and where one that is given isn't a multiple of
        the layer's own.

    Notes
    -----
    A projection: an operator whose κ depends on x − y alone is its own shared part, to 1e-8, and a function or window
    that doesn't depend on x to rounding error. The averages are trapezoidal sums, as accurate as the layer is smooth in
    x, for means of functions and windows; the parts of the first four commute with every real translation, however few
    the nodes. A `TranslationAverage` does so with multiples of period/nodes, and with others as accurately as it is.

    Examples
    --------
    >>> from fields import PlaneWaves
    >>> from layers import BiasField, shared
    >>> shared(BiasField(2.0 + PlaneWaves([[0.25]], [[1.0]]))).bias.tolist()
    [2.0]
    """
    if not isinstance(layer, nn.Module):
        raise TypeError(f"layer must be an nn.Module, got {type(layer).__name__}")
    if (promised(layer) or Commutes.NONE) >= Commutes.WHOLE:
        return layer
    if isinstance(layer, BiasField):
        return Bias(_mean(layer.field, period))
    sides = _sides(layer, period)
    if nodes is not None:
        (nodes,) = integers(nodes, 1, "nodes", most=MOST_NODES)
    count = nodes or MOST[len(sides)]
    if isinstance(layer, IntegralOperator) and layer.domain is None:
        return Conv(shared_kernel(layer.kappa, sides, nodes))
    if isinstance(layer, PointwiseField):
        return Pointwise(AveragedFunction(layer.fn, torus_nodes(sides, count)))
    if isinstance(layer, PoolField):
        return _pooling(layer, torus_nodes(sides, count))
    return TranslationAverage(layer, sides, count)


def _sides(layer: nn.Module, period: VectorLike | None) -> PerAxis:
    """The period of a layer's parts, as far as they have one, else the one given, which has to be a multiple of it."""
    known = [stated for m in layer.modules() if (stated := _stated(m)) is not None]
    given = None if period is None else _tuple(lengths(period, "period"))
    dim = max(map(len, [*known, given or ()]), default=0)
    known = [p * dim if len(p) == 1 else p for p in known]
    if any(len(p) != dim for p in known):
        raise ValueError(f"parts of this layer have periods in different dimensions: {known}")
    own = functools.reduce(_common, known) if known else None
    if given is None or own is None:
        if given is None and own is None:
            raise ValueError(
                "the average over a torus needs its period: shared(layer, period=…), one number per axis"
            )
        # Any will do along axes on which nothing depends on the place.
        return given if own is None else tuple(p or 1.0 for p in own)  # type: ignore[return-value]
    given = given if len(given) == dim else given * dim
    own = tuple(q or p for p, q in zip(given, own, strict=True))
    if any(split(p / q)[1] or p < q / 2 for p, q in zip(given, own, strict=True)):
        raise ValueError(
            f"the period {given} isn't a multiple of the layer's own, {own}: leave it out, or give the layer another"
        )
    return own


def _stated(part: nn.Module) -> PerAxis | None:
    """The period of a part by itself, 0 where it doesn't depend on the place."""
    if isinstance(part, BiasField):
        return _known_period(part.field)
    stated = getattr(part, "period", None)
    return None if stated is None else _tuple(lengths(stated, "period"))


def _tuple(period: Any) -> PerAxis:
    return period if isinstance(period, tuple) else (period,)


def _common(a: PerAxis, b: PerAxis) -> PerAxis:
    """The least common multiple of the periods of two parts."""
    found = common_period(a, b)
    if found is None:
        raise ValueError(f"parts of this layer have periods {a} and {b}, without a common multiple")
    return found


def _mean(field: Field, period: VectorLike | None) -> Tensor:
    """Mean (c,) of a periodic field."""
    own = _known_period(field)
    if period is not None and not field.is_periodic(period):
        raise ValueError(
            f"the period {period} isn't a multiple of the bias field's own, {own}: leave it out, or sum the "
            "field's images by field.periodize(period)"
        )
    if field.batch:
        raise ValueError(f"a shared bias is one vector, the bias field has a batch {field.batch}")
    return field.integrate() / math.prod(p or 1.0 for p in own)


def _known_period(field: Field) -> PerAxis:
    """The period of a bias field, which has to have one."""
    if field.period is None:
        raise ValueError(
            "the mean of a bias field needs one that is periodic: field.periodize(period)"
        )
    return field.period


def _pooling(layer: PoolField, x: Tensor) -> Average:
    groups = by_window(layer.window, x)
    poolings = [_Pooling(window, layer.kind, layer.nodes) for window, _ in groups]
    return Average(poolings, [float(mask.double().mean()) for _, mask in groups])


class _Pooling(nn.Module):
    """Pooling of any kind over one window."""

    commutes_with = Commutes.WHOLE

    def __init__(self, window: Window, kind: Any, nodes: int) -> None:
        super().__init__()
        self.window, self.kind, self.nodes = window, kind, nodes

    def forward(self, f: FeatureMap) -> FeatureMap:
        return f.pool(self.window, self.kind, self.nodes)


class Average(nn.Module):
    """F ↦ Σ_i w_i L_i(F): a weighted sum of layers.

    Parameters
    ----------
    layers : sequence of nn.Module
    weights : sequence of float
    """

    def __init__(self, layers: Sequence[nn.Module], weights: Sequence[float]) -> None:
        super().__init__()
        self.layers, self.weights = nn.ModuleList(layers), tuple(weights)

    @property
    def commutes_with(self) -> Commutes | None:
        """What all of the layers do."""
        return promised(nn.Sequential(*self.layers))

    def forward(self, f: Any) -> Any:
        """Sum the layers' outputs."""
        check_feature_map(f)
        parts = [w * layer(f) for w, layer in zip(self.weights, self.layers, strict=True)]
        return functools.reduce(lambda a, b: a + b, parts)


class AveragedFunction(nn.Module):
    """v ↦ mean over x of fn(x, v).

    Parameters
    ----------
    fn : callable or nn.Module
    x : Tensor, shape (m, d)
    """

    x: Tensor

    def __init__(self, fn: Callable[[Tensor, Tensor], Tensor], x: Tensor) -> None:
        super().__init__()
        self.fn = fn
        self.register_buffer("x", x)

    def forward(self, values: Tensor) -> Tensor:
        """Mean of the function at values (…, c)."""
        x = self.x.to(values)
        total = None
        for part in x.split(max(1, PAIRS // max(1, values.numel()))):
            at = part.reshape(-1, *(1,) * (values.ndim - 1), part.shape[-1])
            out = self.fn(at, values[None]).expand(len(part), *values.shape[:-1], -1).sum(0)
            total = out if total is None else total + out
        assert total is not None
        return total / len(x)


class TranslationAverage(nn.Module):
    """F ↦ mean over t of T₋ₜ L Tₜ F, t on a lattice of translations.

    Parameters
    ----------
    layer : nn.Module
        From feature maps to feature maps; it is called once for each translation.
    period : float or sequence of float
        One number per axis.
    nodes : int
        Translations per axis.
    """

    def __init__(self, layer: nn.Module, period: VectorLike, nodes: int) -> None:
        super().__init__()
        sides = lengths(period, "period")
        if not isinstance(layer, nn.Module):
            raise TypeError(f"layer must be an nn.Module, got {type(layer).__name__}")
        self.layer, self.period = layer, sides if isinstance(sides, tuple) else (sides,)
        (self.nodes,) = integers(nodes, 1, "nodes", most=MOST_NODES)

    def forward(self, f: Any) -> Any:
        """Average over the translations."""
        check_feature_map(f)
        translations = torus_nodes(positive(self.period, f.dim, "period"), self.nodes)
        parts = (self._moved_back(f, t) for t in translations)
        return functools.reduce(lambda a, b: a + b, parts) / len(translations)

    def _moved_back(self, f: FeatureMap, t: Tensor) -> FeatureMap:
        out = self.layer(f.translate(t))
        if not isinstance(out, FeatureMap):
            raise TypeError(f"the layer must return a feature map, got {type(out).__name__}")
        return out.translate(-t)
