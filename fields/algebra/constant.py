"""Constant: the same feature vector everywhere, which sums of fields are left with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fields import checks, dtypes
from fields.algebra.field import Field
from fields.arrays import broadcast
from fields.kernels.kernel import MatrixKernel
from fields.lattice import Lattice, PerAxis


class Constant(Field):
    """x ↦ value.

    Parameters
    ----------
    value : float or Tensor, shape (c,) or (*batch, c)
    dim : int
        Number of dimensions of space.

    Notes
    -----
    It has any period: its integral is that over a box of volume 1, the value itself, and its norm |value|.

    Examples
    --------
    >>> from fields import Constant
    >>> Constant([1.0, 2.0], dim=2)([0.5, 0.5]).tolist()
    [1.0, 2.0]
    """

    def __init__(self, value: Any, dim: int) -> None:
        vector, self.weak = checks.as_tensor(value, "value"), dtypes.is_weak(value)
        if 0 in vector.shape:
            raise ValueError(f"value must have shape (c,), c ≥ 1, got {tuple(vector.shape)}")
        self._value = vector
        self.dim = checks.dimension(dim)
        self.channels, self.batch = self.value.shape[-1], tuple(self.value.shape[:-1])
        self.dtype, self.device = self.value.dtype, self.value.device
        self.bandlimit = (0.0,) * self.dim

    @property
    def value(self) -> Tensor:
        """The value, shape (c,) or (*batch, c)."""
        return self._value[None] if self._value.ndim == 0 else self._value

    @value.setter
    def value(self, value: Tensor) -> None:
        self._value = value

    @property
    def period(self) -> PerAxis:
        """Any."""
        return (0.0,) * self.dim

    def _values(self, lattice: Lattice) -> Tensor:
        value = self.value.clone()  # values that are written on leave the field alone
        spread = value.reshape(*value.shape, *(1,) * self.dim)
        batch = broadcast(self.batch, lattice.origin.shape[:-1])
        return spread.expand(*batch, self.channels, *lattice.shape)

    def _integral(self) -> Tensor:
        return self.value.clone()

    def _inner(self, other: Field) -> Tensor | None:
        known = other._integral()
        return None if known is None else (self.value * known).sum(-1)

    def _transform(self, frequencies: Tensor) -> Tensor:
        still = (frequencies == 0).all(-1)
        return (still[:, None] * self.value[..., None, :]).to(dtypes.complex_of(self.dtype))

    def _moved(self, t: Tensor) -> Field:
        batch = broadcast(self.batch, t.shape[:-1])
        return Constant(self.value.expand(*batch, self.channels), self.dim)

    def _mixed(self, matrix: Tensor) -> Field:
        return Constant(self.value @ matrix.mT, self.dim)

    def _convolved(self, kernel: MatrixKernel) -> Field | None:
        total = kernel.transform(torch.zeros(1, self.dim, dtype=torch.float64))
        if total is None:
            return None
        total = total.real if total.is_complex() else total
        return Constant(self.value @ total[0].to(self.value).mT, self.dim)
