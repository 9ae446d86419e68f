"""FeatureMap: the words in which every layer is written, for functions on R^d and for arrays on a grid alike.

FeatureMap
  ├── Field      F: R^d → R^c, evaluated anywhere
  └── Samples    its values on a Grid            (package `discretize`)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor

from fields.checks import VectorLike
from fields.kernel import MatrixKernel
from fields.window import Window

#: Quadrature nodes per radius of a density, unless a layer says otherwise.
NODES = 16


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
    def map(self, fn: Callable[[Tensor], Tensor]) -> Self:
        """X ↦ fn(F(x)): `fn` sees channels last, (…, c), and may change their number."""

    @abstractmethod
    def convolve(self, kernel: MatrixKernel, nodes: int = NODES) -> Self:
        """(K*F)(x) = ∫ K(y) F(x − y) dy, or Σ_j w_j F(x − o_j) for atoms.

        A Field takes about `nodes` quadrature nodes per radius of a density (their spacing is the nearest power of
        two); Samples take those of their grid.
        """

    @abstractmethod
    def pool(self, window: Window, kind: str = "mean", nodes: int = NODES) -> Self:
        """Mean or maximum over x − y, y in a centred window."""

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

    #: Lets `tensor + feature_map` and `array * feature_map` reach the reflected operators above.
    __array_priority__ = 1000

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Leave torch's operators on (tensor, feature map) to the reflected operators."""
        return NotImplemented
