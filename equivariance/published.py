"""Published figures that need more than translated inputs: the Lie derivative, and EQ-T.

The Lie derivative of a model along translations is the local equivariance error (Gruver et al., ICLR 2023),

    L f = d/dt|₀ T_{−t} f(T_t x),        LEE = ‖L f‖² per output

by forward-mode differentiation through the field's own translation. Nothing is interpolated, so that a model that
commutes with translations has 0 to rounding; moving images bilinearly puts a floor of .06 … .39 there.

EQ-T and EQ-T_frac of StyleGAN3 (Karras et al., NeurIPS 2021) are PSNR over what didn't wrap around.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from equivariance.measuring.layouts import Frame, Tokens
from equivariance.measuring.prepared import outputs, prepare
from equivariance.measuring.surveying import require_output, survey
from equivariance.measuring.translations import derivative, moved
from equivariance.measuring.watched import run, watching


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
    >>> from equivariance.published import lie_derivative
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
        found_frames = survey(subject.module, x[:1], layers, tokens, own)
    floats = {n: v for n, v in own.items() if v.is_floating_point() or v.is_complex()}
    require_output(found_frames, floats)
    frames = {f.name: f for f in found_frames if not f.why}
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


#: Largest |t| of EQ-T as a part of the image's side.
REACH = 0.125
#: Half the taps of the windowed sinc that StyleGAN3's own EQ-T_frac translates with.
LOBES = 3


def eq_t(
    module: nn.Module,
    inputs: Any,
    size: Sequence[int] | None = None,
    count: int = 16,
    peak_to_peak: float = 2.0,
    seed: int = 0,
    **options: Any,
) -> float:
    """EQ-T in dB: 20 log₁₀ R − 10 log₁₀(Σ mask·err² / Σ mask).

    Parameters
    ----------
    module : nn.Module
        Outputs (batch, c', Y1, …, Yd), Y dividing X.
    inputs, size, **options
        As for `equivariance.measure`.
    count : int
        Translations: uniform in ±12.5 % of the output's sides, rounded to its samples; the input moves by as many
        strides.
    peak_to_peak : float
        R, the range of the signal: 2 for outputs in [−1, 1].
    seed : int

    Notes
    -----
    The mask leaves out the samples that were moved across the border. An exact model has +∞.
    """
    return _eq_t(module, inputs, size, count, peak_to_peak, seed, None, options)


def eq_t_frac(
    module: nn.Module,
    inputs: Any,
    size: Sequence[int] | None = None,
    count: int = 16,
    peak_to_peak: float = 2.0,
    seed: int = 0,
    reference: str = "exact",
    **options: Any,
) -> float:
    """EQ-T_frac in dB: as `eq_t`, with translations that aren't rounded.

    Parameters
    ----------
    module, inputs, size, count, peak_to_peak, seed, **options
        As for `eq_t`.
    reference : {"exact", "sinc6"}
        How the untranslated output is moved: as a trigonometric polynomial, or as StyleGAN3 does, with 6 taps of a
        Lanczos-windowed sinc, scaled to sum 1. Those put a floor of 62 / 54 / 44 / 28 dB under the figure, for bands of
        .125 / .234 / .36 / .48 cycles per sample.
    """
    if reference not in ("exact", "sinc6"):
        raise ValueError(f'reference must be "exact" or "sinc6", got {reference!r}')
    return _eq_t(module, inputs, size, count, peak_to_peak, seed, reference, options)


def _eq_t(
    module: nn.Module,
    inputs: Any,
    size: Sequence[int] | None,
    count: int,
    peak_to_peak: float,
    seed: int,
    fractional: str | None,
    options: dict[str, Any],
) -> float:
    subject = prepare(module, inputs, size, **options)
    zero = torch.zeros(1, subject.dim, dtype=torch.float64)
    still = outputs(subject, zero)[0].double()
    sizes = tuple(still.shape[2:])
    if len(sizes) != subject.dim or any(
        n % m for n, m in zip(subject.source.size, sizes, strict=True)
    ):
        raise ValueError(
            f"EQ-T is for outputs (batch, c, Y1, …, Yd) whose sizes divide {subject.source.size}, "
            f"got {('batch', *still.shape[1:])}"
        )
    draw = torch.Generator().manual_seed(seed)
    steps = (2 * torch.rand(count, subject.dim, generator=draw, dtype=torch.float64) - 1) * REACH
    steps = steps * torch.tensor(sizes)
    if fractional is None:
        steps = steps.round()
    stride = torch.tensor([n / m for n, m in zip(subject.source.size, sizes, strict=True)])
    out = outputs(subject, steps * stride).double()
    total, weight = 0.0, 0.0
    for k, step in enumerate(steps):
        if fractional == "sinc6":
            expected, mask = sinc_translated(still, step)
        else:
            expected = moved(still, step[None])[0]
            mask = unwrapped(sizes, step).to(still.device)
        total += float(((out[k] - expected).square() * mask).sum())
        weight += float(mask.sum()) * math.prod(still.shape[:2])
    if total == 0:
        return math.inf
    return 20 * math.log10(peak_to_peak) - 10 * math.log10(total / weight)


def unwrapped(sizes: Sequence[int], step: Tensor) -> Tensor:
    """1 for samples that a translation didn't move across the border, 0 for others, shape `sizes`."""
    mask = torch.ones(tuple(sizes), dtype=torch.float64)
    for axis, (n, s) in enumerate(zip(sizes, step.tolist(), strict=True)):
        x = torch.arange(n) - s
        inside = ((x >= 0) & (x <= n - 1)).double()
        mask = mask * inside.reshape(-1, *(1,) * (len(sizes) - 1 - axis))
    return mask


def sinc_translated(values: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """Maps (…, Y1, …, Yd) moved by 6 taps of a Lanczos-windowed sinc per axis, and where all taps were inside."""
    mask = torch.ones(values.shape[-len(step) :], dtype=torch.float64, device=values.device)
    for axis, s in enumerate(step.tolist(), start=-len(step)):
        first, n = math.floor(s), values.shape[axis]
        taps = torch.arange(1 - LOBES, LOBES + 1)
        away = taps.double() - (s - first)  # y(x) = Σ w(k) values(x − first − k)
        weights = torch.sinc(away) * torch.sinc(away / LOBES)
        weights = weights / weights.sum()
        x = torch.arange(n)
        inside = torch.ones(n, dtype=torch.bool)
        total = torch.zeros_like(values)
        for k, w in zip(taps.tolist(), weights.tolist(), strict=True):
            index = x - first - k
            inside &= (index >= 0) & (index < n)
            total = total + w * values.index_select(axis, index.to(values.device) % n)
        values = total
        mask = mask * inside.to(mask).reshape(-1, *(1,) * (-axis - 1))
    return values, mask
