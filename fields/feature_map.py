"""FeatureMap: the words in which every layer is written, for functions on R^d and for arrays on a grid alike.

FeatureMap
  ├── Field      F: R^d → R^c, evaluated anywhere
  └── Samples    its values on a Grid            (package `discretize`)
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from fields import arguments, checks
from fields.accuracy import NODES
from fields.checks import VectorLike
from fields.dtypes import Number, Typed, strong
from fields.kernels.aggregation import Aggregate
from fields.kernels.kernel import MatrixKernel
from fields.kernels.window import Window


class FeatureMap(ABC):
    """A function from space to feature vectors, continuous or sampled.

    Attributes
    ----------
    dim, channels : int
        d and c of F: R^d → R^c.
    batch : tuple of int
        Shape of independent maps that are carried along.
    dtype, device
        Of the values.
    """

    dim: int
    channels: int
    batch: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    @abstractmethod
    def translate(self, t: VectorLike) -> Self:
        """(t▷F)(x) = F(x − t), t real, shape (d,) or (*batch, d), in length units."""

    @abstractmethod
    def map(
        self,
        fn: Callable[[Tensor], Tensor],
        jumps: bool | None = None,
        finest: VectorLike | None = None,
    ) -> Self:
        """X ↦ fn(F(x)): `fn` sees channels last, (…, c), and may change their number.

        Parameters
        ----------
        fn : callable
        jumps : bool, optional
            Whether fn jumps, or bends, as thresholds and ReLU do. Quadratures of a Field look for steps between their
            nodes unless it is said that none of its functions does, and always take them into account where one does.
        finest : float or sequence of float, optional
            Frequency per axis, in cycles per unit length, of the finest that there is to see of fn(F): points
            1/(2·finest) apart meet every feature. Quadratures of a Field begin with as many; without it they also ask
            between their nodes.
        """

    @abstractmethod
    def convolve(self, kernel: MatrixKernel, nodes: int = NODES, exact: bool = True) -> Self:
        """(K*F)(x) = ∫ K(y) F(x − y) dy, or Σ_j w_j F(x − o_j) for atoms.

        A Field takes about `nodes` quadrature nodes per radius of a density (their spacing is the nearest power of
        two), or a closed form where it knows one and `exact` is True; Samples take the nodes of their grid.
        """

    @abstractmethod
    def pool(
        self, window: Window, kind: str | float | Aggregate = "mean", nodes: int = NODES
    ) -> Self:
        """Aggregate over x − y, y in a centred window.

        `kind` is "mean", "max", a number p ≥ 1 for the power mean (mean |F|^p)^{1/p}, or `soft_maximum(temperature)`.
        """

    @abstractmethod
    def mix(self, matrix: Any) -> Self:
        """X ↦ M F(x), M of shape (c_out, c_in)."""

    @abstractmethod
    def stride(self, s: Any) -> Self:
        """Keep every s-th sample; a Field stays as it is, since a stride belongs to the grid."""

    @abstractmethod
    def _plus(self, other: Any, sign: float) -> Any:
        """Self + sign·other, or NotImplemented."""

    @abstractmethod
    def _times(self, other: Any) -> Any:
        """Pointwise product, or NotImplemented."""

    def __add__(self, other: Any) -> Any:
        return self._plus(other, 1.0)

    def __radd__(self, other: Any) -> Any:
        return self._plus(other, 1.0)

    def __sub__(self, other: Any) -> Any:
        return self._plus(other, -1.0)

    def __rsub__(self, other: Any) -> Any:
        return self._times(-1.0)._plus(other, 1.0)

    def __neg__(self) -> Any:
        return self._times(-1.0)

    def __mul__(self, other: Any) -> Any:
        return self._times(other)

    def __rmul__(self, other: Any) -> Any:
        return self._times(other)

    def __truediv__(self, other: Any) -> Any:
        """Divide by a number, or by a tensor (c,), one number per channel."""
        if isinstance(other, FeatureMap):
            return NotImplemented
        like = torch.empty((), dtype=self.dtype, device=self.device)
        divisor = checks.as_tensor(other, "divisor", like)
        if bool((divisor == 0).any()):
            raise ZeroDivisionError("a feature map can't be divided by 0")
        return self._divided(divisor, strong(other))

    def _divided(self, divisor: Tensor, others: Sequence[Typed]) -> Any:
        """The quotient by a number or one number per channel, none of them 0, and what has a dtype besides."""
        return self._times(1 / divisor)

    def __getitem__(self, channels: int | slice | Sequence[int]) -> Self:
        """Some of the channels: an integer, a slice or a list of integers; the axis of channels stays."""
        index = range(self.channels)[channels] if isinstance(channels, slice) else channels
        try:
            given = [index] if isinstance(index, int) else list(index)
            if any(_is_flag(i) for i in given):
                raise TypeError("True and False are no channels")
            picked = [operator.index(i) for i in given]
        except TypeError as error:
            raise TypeError(
                f"channels are chosen by an integer, a slice or a list of integers, got {channels!r}"
            ) from error
        if not picked or any(not -self.channels <= i < self.channels for i in picked):
            raise IndexError(
                f"channels {channels!r} of a feature map with {self.channels}: none, or out of range"
            )
        identity = torch.eye(self.channels, dtype=self.dtype, device=self.device)
        return self.mix(Number(identity[picked]))

    #: Channels can be picked, but a feature map is no sequence.
    __iter__ = None

    #: Lets `tensor + feature_map` and `array * feature_map` reach the reflected operators above.
    __array_priority__ = 1000

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Leave torch's operators on (tensor, feature map) to the reflected ones, which come next after a TypeError."""
        raise TypeError(
            f"torch's {getattr(func, '__name__', func)} takes tensors, no feature maps: a function of the values at a "
            "point becomes a layer by Pointwise(fn), a convolution by Conv.from_torch(module, spacing), any torch "
            "model by TorchModel(module), on Samples"
        )


def _is_flag(index: Any) -> bool:
    """Whether an index is True or False: lists of these are masks elsewhere, and would be channels 1 and 0 here."""
    return isinstance(index, bool | np.bool_) or (
        isinstance(index, Tensor) and index.dtype == torch.bool
    )


def stack(maps: Sequence[FeatureMap]) -> Any:
    """Put the channels of feature maps behind each other.

    Parameters
    ----------
    maps : sequence of Field, or of Samples on one grid
        A Field beside Samples is sampled, as in a sum.

    Returns
    -------
    FeatureMap
        With as many channels as all of them together.

    Examples
    --------
    >>> from fields import Constant, stack
    >>> stack([Constant([1.0, 2.0], dim=1), Constant(3.0, dim=1)])([0.0]).tolist()
    [1.0, 2.0, 3.0]
    """
    maps = arguments.sequence(maps, "maps", "feature maps")
    if not maps:
        raise ValueError("stack needs at least one feature map, got none")
    for f in maps:
        if not isinstance(f, FeatureMap):
            raise TypeError(f"stack needs feature maps, got {type(f).__name__}")
    total, first = sum(f.channels for f in maps), 0
    out: Any = None
    for f in maps:
        place = torch.zeros(total, f.channels, dtype=f.dtype, device=f.device)
        place[first : first + f.channels] = torch.eye(f.channels, dtype=f.dtype, device=f.device)
        part = f.mix(Number(place))
        out = part if out is None else out + part
        first += f.channels
    return out
