"""Continuous kernels that are a small network in y."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fields import arguments, checks
from fields.kernel import Kernel
from fields.radial import bump


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
    (outs,) = checks.integers(out_channels, 1, "out_channels", most=arguments.MOST_CHANNELS)
    (ins,) = checks.integers(in_channels, 1, "in_channels", most=arguments.MOST_CHANNELS)
    sides = checks.positive(radius, dim, "radius")
    (frequency,) = checks.positive(frequency, 1, "frequency")
    hidden = arguments.sequence(hidden, "hidden", "widths")
    widths = [
        w for h in hidden for w in checks.integers(h, 1, "hidden", most=arguments.MOST_CHANNELS)
    ]
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
