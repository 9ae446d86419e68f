"""Convolution with a shared matrix-valued kernel: the translation-equivariant linear maps."""

from __future__ import annotations

from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn

from fields import Atoms, FeatureMap
from fields.accuracy import MOST_NODES, NODES
from fields.checks import VectorLike, as_tensor, integers, positive
from fields.commuting import Commutes
from fields.dtypes import Weak, parameter
from fields.kernels.kernel import MatrixKernel
from layers.inputs import check_feature_map
from layers.torch_weights import TorchConv, check_module, dense_taps, flipped, torch_convolution

Map = TypeVar("Map", bound=FeatureMap)


class Conv(Weak):
    """(K*F)(x) = ∫ K(y) F(x − y) dy, or Σ_j w_j F(x − o_j), plus a bias b, if there is one.

    Parameters
    ----------
    kernel : Kernel, GaussianKernel, BumpKernel, FieldKernel, BasisKernel, PeriodicKernel, …, or Atoms
        Matrix-valued, R^d → R^{c_out × c_in}. Its tensors, and its density where that is a module, become the layer's
        parameters, named as in the kernel: matrix, coefficients, values, weights, density.…. Those that are an
        nn.Parameter or nn.Module already are shared with the kernel, tensors are copied.
    nodes : int
        Quadrature nodes per radius of a density on a Field; their spacing is the nearest power of two. `sample`
        replaces it by the spacing that its tolerance needs; Samples take that of their grid.
    exact : bool
        Whether a Field that knows a closed form takes it in place of the nodes; see `Field.convolve`.
    bias : Tensor, shape (c_out,), optional
        Added at every point; the same as a layer `Bias` behind this one, and one parameter more.

    Notes
    -----
    Commutes with every real translation of a Field to rounding error, however few the nodes, since these are fixed in
    the kernel's frame; on Samples with translations by multiples of the spacing.

    How the sum over taps is done is chosen from the sizes alone (`fields.stencils.correlation`): few taps go to torch's
    convolution, in float64 to one matrix product per tap; many taps to an FFT on overlapping tiles, from where its
    cost falls below that of the direct sum on; products of profiles per axis to one pass per axis; a PeriodicKernel
    to one FFT of the whole grid. Groups are never filled up with zeros.

    Examples
    --------
    >>> import torch
    >>> from fields import Gaussians
    >>> from layers import Conv
    >>> layer = Conv.from_array(torch.ones(3, 3, 2, 1), spacing=1.0)
    >>> layer(Gaussians(torch.zeros(1, 2), torch.ones(1, 1), torch.ones(1))).channels
    2
    """

    commutes_with = Commutes.REAL

    def __init__(
        self, kernel: MatrixKernel, nodes: int = NODES, exact: bool = True, bias: Any = None
    ) -> None:
        super().__init__()
        if not isinstance(kernel, MatrixKernel):
            raise TypeError(
                f"expected a kernel (Kernel, GaussianKernel, Atoms, …), got {type(kernel).__name__}: "
                "an array becomes a layer by Conv.from_array(array, spacing)"
            )
        (self.nodes,) = integers(nodes, 1, "nodes", most=MOST_NODES)
        self._kernel, self.exact = kernel, exact
        self._spacing: tuple[float, ...] | None = None
        for name, value in kernel.parameters().items():
            if isinstance(value, Tensor):
                value = parameter(value)
            setattr(self, name, value)
        if kernel.weak:
            self._give_way(*kernel.learnt)
        self.bias: nn.Parameter | None
        if bias is None:
            self.register_parameter("bias", None)
        else:
            self._learn("bias", self._checked_bias(bias), bias)

    def _checked_bias(self, bias: Any) -> Tensor:
        value = as_tensor(bias, "bias")
        if tuple(value.shape) != (self._kernel.out_channels,):
            raise ValueError(
                f"the bias of this kernel has shape ({self._kernel.out_channels},), got {tuple(value.shape)}"
            )
        return value

    @classmethod
    def from_array(cls, array: Any, spacing: VectorLike, groups: int = 1, bias: Any = None) -> Self:
        """Layer of an array (S1, …, Sd, out, in/groups), tap i at (i − (S − 1)/2)·spacing: the true convolution.

        Parameters
        ----------
        array : Tensor, shape (S1, …, Sd, out, in/groups)
        spacing : float or sequence of float
            Distance of the taps: a grid's spacing, or a multiple of it for a dilated convolution.
        groups : int
            As in torch; as many as channels for a depthwise convolution.
        bias : Tensor, shape (out,), optional
        """
        layer = cls(Atoms.from_array(array, spacing, groups), bias=bias)
        layer._spacing = layer._grid_spacing(spacing)
        return layer

    @classmethod
    def from_torch(cls, module: nn.Module, spacing: VectorLike) -> Self:
        """Layer that does on a grid of this spacing what a torch convolution does on its arrays.

        Parameters
        ----------
        module : nn.Conv1d, nn.Conv2d or nn.Conv3d
            Its weights, dilation, groups and bias are copied.
        spacing : float or sequence of float
            Of the grid, in length units; taps lie dilation·spacing apart.

        Raises
        ------
        TypeError
            For other modules. A transposed convolution is `discretize.Upsampling` and `from_array`, the error says how.
        ValueError
            For a stride, which is a layer of its own here (`discretize.Stride`), and for paddings that change the size.

        Notes
        -----
        torch correlates, this layer convolves: the weights are flipped. Padding is the boundary of the grid here:
        "periodic" for padding="same" with padding_mode="circular", "zero", "reflect", "nearest" for "zeros", "reflect",
        "replicate", and "none" for no padding at all. For an even size torch pads one sample more behind than before:
        the values are the same, and the grid of the output says that they lie half a tap's distance further on.

        Examples
        --------
        >>> import torch
        >>> from discretize import Grid, Samples
        >>> from layers import Conv
        >>> module = torch.nn.Conv2d(3, 8, 3, padding="same", padding_mode="circular", dilation=2)
        >>> x = torch.randn(5, 3, 16, 16)
        >>> y = Conv.from_torch(module, 0.5)(Samples(x, Grid((16, 16), 0.5))).values
        >>> bool(torch.allclose(y, module(x), atol=1e-5))
        True
        """
        found = check_module(module)
        dim = found.weight.ndim - 2
        grid = positive(spacing, dim, "spacing")
        apart = [d * h for d, h in zip(found.dilation, grid, strict=True)]
        array = flipped(found.weight.detach())
        bias = None if found.bias is None else found.bias.detach()
        layer = cls.from_array(array, apart, found.groups, bias)
        layer._spacing = grid
        return layer

    def to_torch(
        self, spacing: VectorLike | None = None, padding_mode: str = "circular"
    ) -> TorchConv:
        """The torch convolution that this layer is on a grid: the inverse of `from_torch`.

        Parameters
        ----------
        spacing : float or sequence of float, optional
            Of the grid; that which `from_torch` or `from_array` was given, unless said. A density needs one per axis.
        padding_mode : str
            As for nn.Conv2d: "circular" is a periodic grid, "zeros", "reflect", "replicate" the boundaries "zero",
            "reflect", "nearest".

        Returns
        -------
        nn.Conv1d, nn.Conv2d or nn.Conv3d
            With padding="same", and copies of the weights; taps that aren't placed symmetrically get zeros beside them.

        Raises
        ------
        ValueError
            Where the taps don't lie on the grid, and where no spacing is known.
        """
        grid = self._grid_spacing(self._spacing if spacing is None else spacing)
        with torch.no_grad():
            array, dilation, groups = dense_taps(self.kernel, grid)
        return torch_convolution(array, dilation, groups, self.bias, padding_mode)

    def _grid_spacing(self, spacing: VectorLike | None) -> tuple[float, ...]:
        if spacing is None:
            raise ValueError(
                "the grid's spacing isn't known: to_torch(spacing), one number per axis"
            )
        if isinstance(self._kernel, Atoms):
            return positive(spacing, self._kernel.offsets.shape[1], "spacing")
        numbers = as_tensor(spacing, "spacing")
        if numbers.ndim == 0:
            raise ValueError(
                f"a density lives in any number of dimensions: give one spacing per axis, got {spacing}"
            )
        return positive(numbers, len(numbers), "spacing")

    @property
    def kernel(self) -> MatrixKernel:
        """The kernel with the layer's present parameters."""
        kernel = self._kernel
        kernel = kernel.with_parameters({name: getattr(self, name) for name in kernel.learnt})
        kernel.weak = bool(kernel.learnt) and self._gives_way(*kernel.learnt)
        return kernel

    def forward(self, f: Map) -> Map:
        """Convolve a Field or Samples."""
        check_feature_map(f)
        out: Map = f.convolve(self.kernel, self.nodes, self.exact)
        if self.bias is not None:
            out = out.__add__(
                self._yielding("bias")
            )  # not `out + bias`: torch.compile would ask the tensor first
        return out

    def extra_repr(self) -> str:
        """Kind of kernel, and channels."""
        kernel = self._kernel
        return f"{type(kernel).__name__}, {kernel.in_channels} → {kernel.out_channels} channels"
