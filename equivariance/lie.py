"""The Lie derivative of a model along translations: the local equivariance error (Gruver et al., ICLR 2023).

    L f = d/dt|₀ T_{−t} f(T_t x),        LEE = ‖L f‖² per output

by forward-mode differentiation through the field's own translation. Nothing is interpolated, so that a model that
commutes with translations has 0 to rounding; moving images bilinearly puts a floor of .06 … .39 there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from equivariance.measuring.layouts import NO_OUTPUT, Frame, Tokens, survey
from equivariance.measuring.subject import prepare
from equivariance.measuring.translations import derivative
from equivariance.measuring.watching import run, watching


@dataclass(frozen=True)
class LieDerivative:
    """The Lie derivative of one output, per input and axis of translation.

    Attributes
    ----------
    error : Tensor, shape (B, d)
        LEE: mean square of L f over the output's entries, per pixel².
    relative : Tensor, shape (B, d)
        ‖L f‖ / ‖f‖, per pixel; NaN where f vanishes.
    """

    error: Tensor
    relative: Tensor


def lie_derivative(
    module: nn.Module,
    inputs: Any = None,
    size: Sequence[int] | None = None,
    layers: str | Sequence[str] = "output",
    tokens: Tokens | None = None,
    **options: Any,
) -> dict[str, LieDerivative]:
    """Lie derivatives of the chosen layers along every axis, by name, in the order of execution.

    Parameters
    ----------
    module, inputs, size, layers, tokens, **options
        As for `equivariance.measure`: options are channels, limit, batch, dtype, seed and boundary.

    Notes
    -----
    For maps (batch, c, Y1, …, Yd) of stride s, L f = Df(x)[∂x/∂t] + (1/s) ∂f/∂y, with the derivative of the
    trigonometric interpolant; maps that don't cover a period (see `measure`) are left out. For outputs without space
    L f = Df(x)[∂x/∂t]. Attention runs on torch's plain kernel, the one with a forward derivative.

    Raises
    ------
    ModelFailed
        A ValueError, where an operation of the model has no forward derivative, with torch's words.

    Examples
    --------
    >>> import torch
    >>> from equivariance.lie import lie_derivative
    >>> conv = torch.nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
    >>> found = lie_derivative(conv, size=(16, 16), dtype=torch.float64)["output"]
    >>> found.error.shape, bool(found.relative.max() < 1e-14)
    (torch.Size([4, 2]), True)
    """
    subject = prepare(module, inputs, size, layers, **options)
    zero = torch.zeros(1, subject.dim, dtype=torch.float64)
    x, slopes = subject.at(zero), subject.source.derivatives()
    own: dict[str, Tensor] = {}
    with torch.no_grad():
        frames = {f.name: f for f in survey(subject.module, x[:1], layers, tokens, own)}
    if not frames.keys() & own.keys():
        raise ValueError(NO_OUTPUT)
    found: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for axis in range(subject.dim):
        tangent = slopes[axis].to(x)
        for name, pair in _pushed(subject.module, x, tangent, layers, frames, axis).items():
            found.setdefault(name, []).append(pair)
    return {
        name: LieDerivative(*(torch.stack(column, 1) for column in zip(*pairs, strict=True)))
        for name, pairs in found.items()
    }


def _pushed(
    module: nn.Module,
    x: Tensor,
    tangent: Tensor,
    layers: str | Sequence[str],
    frames: dict[str, Frame],
    axis: int,
) -> dict[str, tuple[Tensor, Tensor]]:
    """LEE and relative size of every output, for translations along one axis."""
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def look(name: str, layer: nn.Module, value: Tensor) -> None:
        frame = frames.get(name)
        if frame is None or (frame.is_map and not frame.wraps):
            return
        primal, slope = forward_ad.unpack_dual(value)
        y = frame.as_map(primal.detach())
        change = torch.zeros_like(y) if slope is None else frame.as_map(slope.detach())
        if frame.is_map:
            dim = len(frame.stride)
            change = change + derivative(y, axis - dim, dim) / frame.stride[axis]
        flat, whole = change.flatten(1).double(), y.flatten(1).double().norm(dim=1)
        found[name] = flat.square().mean(1).cpu(), (flat.norm(dim=1) / whole).cpu()

    fused = (
        torch.backends.mha.get_fastpath_enabled()
    )  # has no forward derivative, nor has fused attention
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with forward_ad.dual_level(), sdpa_kernel(SDPBackend.MATH), watching(module, look, layers):
            run(module, forward_ad.make_dual(x, tangent))
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return found
