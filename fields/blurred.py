"""Convolutions of leaves in closed form: other leaves, made of what field and kernels hold when they are asked."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fields.field import Field, PerAxis
from fields.kept import Kept
from fields.kernel import MatrixKernel
from fields.lattice import Lattice


class Blurred(Field):
    """K_n * … * K_1 * F for a leaf F that knows it as another leaf.

    What that leaf has, as the `centers` of Gaussians, this field has too.
    """

    def __init__(self, leaf: Field, kernels: tuple[MatrixKernel, ...]) -> None:
        self.leaf, self.kernels, self._kept = leaf, kernels, Kept()
        now = self.now
        self.dim, self.channels, self.batch = now.dim, now.channels, now.batch
        self.dtype, self.device = now.dtype, now.device

    @property
    def now(self) -> Field:
        """The leaf that it is at present."""
        made_of = [kernel.made_of() for kernel in self.kernels]
        known = [tensors for tensors in made_of if tensors is not None]
        if len(known) < len(made_of):
            return self._made()
        tensors = [*_tensors(self.leaf), *(t for tensors in known for t in tensors)]
        leaf: Field = self._kept.of("leaf", tensors, self._made)
        return leaf

    def _made(self, *_: Tensor) -> Field:
        made = self.leaf
        for kernel in self.kernels:
            found = made._convolution(kernel)
            assert found is not None
            made = found
        return made

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "_kept" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.now, name)

    @property
    def bandlimit(self) -> PerAxis | None:  # type: ignore[override]
        """That of the leaf."""
        return self.now.bandlimit

    @property
    def period(self) -> PerAxis | None:
        """That of the leaf."""
        return self.now.period

    def is_periodic(self, period: Any) -> bool:
        """Whether the leaf is known to repeat."""
        return self.now.is_periodic(period)

    def bandwidth(self, rtol: float) -> PerAxis | None:
        """That of the leaf."""
        return self.now.bandwidth(rtol)

    def support(self, rtol: float) -> tuple[PerAxis, PerAxis] | None:
        """That of the leaf."""
        return self.now.support(rtol)

    def _finest(self, rtol: float) -> PerAxis | None:
        return self.now._finest(rtol)

    def _values(self, lattice: Lattice) -> Tensor:
        return self.now._values(lattice)

    def _integral(self) -> Tensor | None:
        return self.now._integral()

    def _inner(self, other: Field) -> Tensor | None:
        return self.now._inner(other)

    def _transform(self, frequencies: Tensor) -> Tensor | None:
        return self.now._transform(frequencies)

    def _moved(self, t: Tensor) -> Field | None:
        return self.now._moved(t)

    def _convolution(self, kernel: MatrixKernel) -> Field | None:
        return self.now._convolution(kernel)

    def _convolved(self, kernel: MatrixKernel) -> Field | None:
        known = self._convolution(kernel)
        return None if known is None else Blurred(self.leaf, (*self.kernels, kernel))


def _tensors(leaf: Field) -> list[Tensor]:
    """What a leaf is made of, and the field whose images it sums."""
    own = [value for value in vars(leaf).values() if isinstance(value, Tensor)]
    return own if leaf.source is None else own + _tensors(leaf.source)
