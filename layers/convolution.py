"""Convolution with a shared matrix-valued kernel: the translation-equivariant linear maps."""

from __future__ import annotations

from typing import Any, Self, TypeVar

from torch import Tensor, nn

from fields import Atoms, FeatureMap
from fields.checks import VectorLike, integers
from fields.feature_map import NODES
from fields.kernel import MatrixKernel
from layers.inputs import check_feature_map

Map = TypeVar("Map", bound=FeatureMap)


class Conv(nn.Module):
    """(K*F)(x) = ∫ K(y) F(x − y) dy, or Σ_j w_j F(x − o_j).

    Parameters
    ----------
    kernel : Kernel, GaussianKernel, …, or Atoms
        Matrix-valued, R^d → R^{c_out × c_in}. Its tensors, and its density where that is a module, become the layer's
        parameters.
    nodes : int
        Quadrature nodes per radius of a density on a Field; their spacing is the nearest power of two. `sample`
        replaces it by the spacing that its tolerance needs; Samples take that of their grid.
    exact : bool
        Whether a Field that knows a closed form takes it in place of the nodes; see `Field.convolve`.

    Notes
    -----
    Commutes with every real translation of a Field to rounding error, however few the nodes, since these are fixed in
    the kernel's frame; on Samples with translations by multiples of the spacing.

    Examples
    --------
    >>> import torch
    >>> from fields import Gaussians
    >>> from layers import Conv
    >>> layer = Conv.from_array(torch.ones(3, 3, 2, 1), spacing=1.0)
    >>> layer(Gaussians(torch.zeros(1, 2), torch.ones(1, 1), torch.ones(1))).channels
    2
    """

    def __init__(self, kernel: MatrixKernel, nodes: int = NODES, exact: bool = True) -> None:
        super().__init__()
        if not isinstance(kernel, MatrixKernel):
            raise TypeError(
                f"expected a kernel (Kernel, GaussianKernel, Atoms, …), got {type(kernel).__name__}: "
                "an array becomes a layer by Conv.from_array(array, spacing)"
            )
        (self.nodes,) = integers(nodes, 1, "nodes")
        self._kernel, self.exact = kernel, exact
        for name, value in kernel.parameters().items():
            if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
                value = nn.Parameter(value.detach().clone())
            setattr(self, name, value)

    @classmethod
    def from_array(cls, array: Any, spacing: VectorLike) -> Self:
        """Layer of an array (S1, …, Sd, out, in), tap i at (i − (S − 1)/2)·spacing: the true convolution."""
        return cls(Atoms.from_array(array, spacing))

    @property
    def kernel(self) -> MatrixKernel:
        """The kernel with the layer's present parameters."""
        kernel = self._kernel
        return kernel.with_parameters({name: getattr(self, name) for name in kernel.learnt})

    def forward(self, f: Map) -> Map:
        """Convolve a Field or Samples."""
        check_feature_map(f)
        return f.convolve(self.kernel, self.nodes, self.exact)
