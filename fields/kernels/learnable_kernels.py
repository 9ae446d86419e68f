"""Learnable kernels: linear combinations of fixed scalar ones, and a small network in y."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fields import arguments, checks, dtypes
from fields.accuracy import MOST_CHANNELS
from fields.kernels.kernel import Kernel, MatrixKernel
from fields.lattice import PerAxis
from fields.radial import bump
from fields.stencils.stencil import Stencil, nodes, on_nodes, outer


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


def mlp_kernel(
    dim: int,
    out_channels: int,
    in_channels: int,
    radius: checks.VectorLike,
    hidden: Sequence[int] = (32, 32),
    frequency: float = 4.0,
    seed: int | torch.Generator = 0,
    dtype: torch.dtype | None = None,
) -> Kernel:
    """A density that is learnt: K(y) = b(|y/r|)·N(y/r), N a network with sines, b the smooth bump of unit peak.

    Parameters
    ----------
    dim : int
        d of y ∈ R^d.
    out_channels, in_channels : int
    radius : float or sequence of float
        Half-axes r of the ellipsoid outside of which K vanishes, in length units.
    hidden : sequence of int
        Widths of the hidden layers: N = A_L sin(A_{L−1} … sin(A_1 y/r)), A affine.
    frequency : float
        Turns per radius that the first layer makes at most at the start, 2π·frequency being CKConv's ω₀: higher ones
        make rougher kernels, which need more nodes.
    seed : int or torch.Generator
        Of the initial weights.
    dtype : torch.dtype, optional
        Of the weights; unless given, float64 that takes the dtype of the feature map.

    Returns
    -------
    Kernel
        Its density is an nn.Module, whose parameters `Conv(mlp_kernel(…))` learns.

    Notes
    -----
    N is smooth, and b C^∞ with all derivatives 0 at the rim: nodes converge faster than any power of their spacing, and
    a kernel trained on one grid means the same on a finer one. Initial weights are uniform as in SIREN, so that hidden
    layers keep their variance; K starts with values of about 1/(∏r √in), which makes its integrals of order 1/√in.

    References
    ----------
    Romero et al., CKConv: continuous kernel convolution for sequential data, ICLR 2022.
    Sitzmann et al., Implicit neural representations with periodic activation functions, NeurIPS 2020, section 3.2.

    Examples
    --------
    >>> from fields import PlaneWaves, mlp_kernel
    >>> kernel = mlp_kernel(2, out_channels=4, in_channels=1, radius=0.5, seed=1)
    >>> PlaneWaves([[1.0, 0.0]], [[1.0]]).convolve(kernel)([0.2, 0.3]).shape
    torch.Size([4])
    """
    dim = checks.dimension(dim)
    (outs,) = checks.integers(out_channels, 1, "out_channels", most=MOST_CHANNELS)
    (ins,) = checks.integers(in_channels, 1, "in_channels", most=MOST_CHANNELS)
    sides = checks.positive(radius, dim, "radius")
    (frequency,) = checks.positive(frequency, 1, "frequency")
    hidden = arguments.sequence(hidden, "hidden", "widths")
    widths = [w for h in hidden for w in checks.integers(h, 1, "hidden", most=MOST_CHANNELS)]
    if not widths:
        raise ValueError("hidden must have at least one width, got none")
    pairs = itertools.pairwise([dim, *widths, outs * ins])
    arguments.affordable(sum(n * m for n, m in pairs), "the weights of this network")
    kind = torch.float64 if dtype is None else arguments.real_dtype(dtype)
    generator = arguments.generator(seed)
    size = math.prod(sides) * math.sqrt(ins)
    linears = []
    for i, (n, m) in enumerate(itertools.pairwise([dim, *widths, outs * ins])):
        # Variance 2/n keeps that of sines; the first layer spreads over the frequencies, the last one sets the scale.
        bound = math.sqrt(6 / n) if i else 2 * math.pi * frequency / n
        last = i == len(widths)
        linears.append(
            _linear(n, m, bound / (size if last else 1), 0.0 if last else math.pi, generator, kind)
        )
    density = nn.Sequential(_Network(linears, sides), nn.Unflatten(-1, (outs, ins)))
    kernel = Kernel(density, outs, ins, radius)
    kernel.weak = dtype is None
    return kernel


def _linear(
    inputs: int,
    outputs: int,
    weight: float,
    bias: float,
    generator: torch.Generator,
    dtype: torch.dtype,
) -> nn.Linear:
    """A layer with numbers uniform within ± weight and ± bias, drawn in double precision."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs, dtype=dtype)
    with torch.no_grad():
        for parameter, bound in ((layer.weight, weight), (layer.bias, bias)):
            uniform = torch.rand(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(bound * (2 * uniform - 1))
    return layer


class _Network(nn.Module):
    """y ↦ b(|y/r|)·N(y/r), shape (*points, out·in)."""

    def __init__(self, linears: Sequence[nn.Linear], radius: Sequence[float]) -> None:
        super().__init__()
        self.layers, self.radius = nn.ModuleList(linears), tuple(radius)

    def forward(self, y: Tensor) -> Tensor:
        """Values of the density before they are made matrices."""
        arguments.own_dimension("this kernel lives in", len(self.radius), y.shape[-1])
        y = y / y.new_tensor(self.radius)
        cut = bump((y**2).sum(-1, keepdim=True))
        *hidden, last = self.layers
        for layer in hidden:
            y = torch.sin(layer(y))
        values: Tensor = cut * last(y)
        return values
