"""Bias and nonlinearity: the same vector, the same function at every point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor, nn

from fields import FeatureMap
from fields.checks import as_tensor
from fields.commuting import Commutes
from fields.dtypes import Weak
from layers.inputs import check_feature_map

Map = TypeVar("Map", bound=FeatureMap)


class Bias(Weak):
    """x ↦ F(x) + b, one vector b for all points.

    Parameters
    ----------
    bias : Tensor, shape (c,)
        An nn.Parameter is shared, anything else copied into one.

    Notes
    -----
    A bias field that commutes with all translations is constant; `tests/laws` shows the converse fail.

    Examples
    --------
    >>> from fields import Constant
    >>> from layers import Bias
    >>> Bias([1.0, 2.0])(Constant([0.0, 0.0], dim=1))([3.0]).tolist()
    [1.0, 2.0]
    """

    commutes_with = Commutes.REAL

    bias: nn.Parameter

    def __init__(self, bias: Any) -> None:
        super().__init__()
        vector = as_tensor(bias, "bias")
        if vector.ndim != 1:
            raise ValueError(f"a shared bias has shape (c,), got {tuple(vector.shape)}")
        self._learn("bias", vector, bias)

    def forward(self, f: Map) -> Map:
        """Add the bias to a Field or Samples."""
        check_feature_map(f)
        if len(self.bias) != f.channels:
            raise ValueError(
                f"the bias has {len(self.bias)} channels, the feature map {f.channels}"
            )
        out: Map = f.__add__(
            self._yielding("bias")
        )  # not `f + bias`: torch.compile would ask the tensor first
        return out

    def extra_repr(self) -> str:
        """How many channels."""
        return f"{len(self.bias)} channels"


class Pointwise(nn.Module):
    """x ↦ σ(F(x)), one function σ of the channel vector for all points.

    Parameters
    ----------
    fn : callable or nn.Module
        (…, c) → (…, c'): `torch.relu`, `nn.GELU()`, `nn.Linear(c, c')`, …

    Examples
    --------
    >>> import torch
    >>> from fields import Constant
    >>> from layers import Pointwise
    >>> Pointwise(torch.relu)(Constant([-1.0, 2.0], dim=2))([0.0, 0.0]).tolist()
    [0.0, 2.0]
    """

    commutes_with = Commutes.WHOLE

    def __init__(self, fn: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        if not callable(fn):
            raise TypeError(f"fn must be callable, got {type(fn).__name__}")
        self.fn = fn

    def forward(self, f: Map) -> Map:
        """Apply the function to a Field or Samples."""
        check_feature_map(f)
        return f.map(self.fn)

    def extra_repr(self) -> str:
        """The function's name."""
        return "" if isinstance(self.fn, nn.Module) else getattr(self.fn, "__name__", repr(self.fn))
