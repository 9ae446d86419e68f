"""Learnable linear combinations of fixed scalar kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fields import arguments, checks, dtypes
from fields.kernel import MatrixKernel
from fields.lattice import PerAxis
from fields.stencil import Stencil, nodes, on_nodes, outer


class BasisKernel(MatrixKernel):
    """K(y) = Σ_m C_m φ_m(y): scalar densities φ_m, which stay, with matrices C_m, which are learnt.

    Parameters
    ----------
    basis : sequence of m kernels
        With one channel in and out, of compact support: GaussianKernel(w, [[1.0]]), BSplineKernel, BumpKernel,
        BallKernel, FieldKernel(F, [[1.0]]) of any field that decays, or Kernel(φ, 1, 1, radius) of any function φ,
        off-centre ones and derivatives too.
    coefficients : Tensor, shape (m, out_channels, in_channels)

    Notes
    -----
    Its integral and its transform are the combinations of the basis', and so is its order of convergence: that of the
    slowest φ_m. All φ_m share one lattice of nodes, and one array of taps, so that the cost doesn't grow with m. For
    one profile at many places take `Atoms` and then the profile: φ(y − o_m) is φ * δ(y − o_m).

    References
    ----------
    Jacobsen et al., Structured receptive fields in CNNs, CVPR 2016 (Gaussian derivatives).
    Bekkers, B-spline CNNs on Lie groups, ICLR 2020.

    Examples
    --------
    >>> import torch
    >>> from fields import BasisKernel, Constant, GaussianKernel
    >>> scales = [GaussianKernel(w, [[1.0]]) for w in (0.5, 1.0, 2.0)]
    >>> kernel = BasisKernel(scales, torch.tensor([[[1.0]], [[-2.0]], [[3.0]]]).double())
    >>> round(float(Constant(1.0, dim=2).convolve(kernel)([0.0, 0.0])), 6)
    2.0
    """

    learnt = ("coefficients",)

    def __init__(self, basis: Sequence[MatrixKernel], coefficients: Any) -> None:
        self.basis = tuple(arguments.sequence(basis, "basis", "kernels"))
        self.coefficients = checks.as_tensor(coefficients, "coefficients")
        self.weak = dtypes.is_weak(coefficients)
        for m, kernel in enumerate(self.basis):
            _check_scalar(kernel, f"basis[{m}]")
        if self.coefficients.ndim != 3 or len(self.coefficients) != len(self.basis):
            raise ValueError(
                f"coefficients must have shape (m, out, in) = ({len(self.basis)}, …), "
                f"got {tuple(self.coefficients.shape)}"
            )
        if not self.basis:
            raise ValueError("a basis needs at least one kernel, got none")
        if 0 in self.coefficients.shape:
            raise ValueError(
                f"coefficients must have no size 0, got {tuple(self.coefficients.shape)}"
            )
        self.out_channels, self.in_channels = self.coefficients.shape[1:]

    def reach(self, dim: int) -> PerAxis:
        """The largest of the basis, per axis."""
        return tuple(map(max, zip(*(k.reach(dim) for k in self.basis), strict=True)))

    def spacings(self, node: PerAxis | None, count: int, dim: int) -> tuple[float | None, ...]:
        """The finest of the basis, per axis: powers of two, of which the others are multiples."""
        each = [k.spacings(node, count, dim) for k in self.basis]
        return tuple(min(filter(None, axis)) for axis in zip(*each, strict=True))

    def bandwidth(self, rtol: float, dim: int) -> PerAxis | None:
        """The largest of the basis, where all are known."""
        bands = [kernel.bandwidth(rtol, dim) for kernel in self.basis]
        known = [band for band in bands if band is not None]
        return tuple(map(max, *known, known[0])) if len(known) == len(bands) else None

    def transform(self, frequencies: Tensor) -> Tensor | None:
        """Σ_m C_m φ̂_m(f), where all φ̂_m are known."""
        parts = [kernel.transform(frequencies) for kernel in self.basis]
        known = [p[:, 0, 0] for p in parts if p is not None]
        if len(known) < len(parts):
            return None
        waves = torch.stack(known, dim=-1)
        kind = (
            dtypes.complex_of(self.coefficients.dtype)
            if waves.is_complex()
            else self.coefficients.dtype
        )
        return torch.einsum("fm,moi->foi", waves.to(kind), self.coefficients.to(kind))

    def stencils(self, pitch: PerAxis, node: PerAxis) -> list[Stencil]:
        """One array of taps: the profiles at the nodes, combined."""
        axes = nodes(self.reach(len(node)), node)
        middle = tuple(len(y) // 2 for y in axes)
        total: Tensor | None = None
        for kernel, matrix in zip(self.basis, self.coefficients, strict=True):
            (stencil,) = kernel.stencils(node, node)
            profile = _profile(stencil).to(matrix)
            place = [
                (c + a, n - c - a - s)
                for c, a, n, s in zip(
                    middle, stencil.first, map(len, axes), profile.shape, strict=True
                )
            ]
            pads = [p for pair in reversed(place) for p in pair]
            part = torch.nn.functional.pad(profile, pads)[..., None, None] * matrix
            total = part if total is None else total + part
        assert total is not None
        return on_nodes(axes, pitch, total, spacing=node)


def _check_scalar(kernel: Any, name: str) -> None:
    """Raise where a kernel can't be part of a basis."""
    if not isinstance(kernel, MatrixKernel):
        raise TypeError(f"{name} must be a kernel (GaussianKernel, …), got {type(kernel).__name__}")
    if (kernel.out_channels, kernel.in_channels) != (1, 1):
        raise ValueError(
            f"{name} must have one channel in and out, a matrix [[1.0]], got {kernel.in_channels} in and "
            f"{kernel.out_channels} out: the coefficients mix the channels"
        )
    if not kernel.is_density or kernel.period is not None:
        raise ValueError(
            f"{name} must be a density of compact support, got {type(kernel).__name__}, whose own weights are such a "
            "combination already"
        )
    if isinstance(kernel.parameters().get("density"), torch.nn.Module):
        raise ValueError(
            f"{name} has a module for its density, whose parameters wouldn't be learnt: a basis is fixed"
        )


def _profile(stencil: Stencil) -> Tensor:
    """The taps of a scalar kernel as one array (S1, …, Sd)."""
    if isinstance(stencil.taps, tuple):
        taps = outer(stencil.taps)
    else:
        taps = stencil.taps if stencil.matrix is not None else stencil.taps[..., 0, 0]
    return (taps if stencil.matrix is None else taps * stencil.matrix[0, 0]).detach()
