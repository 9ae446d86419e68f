"""Trigonometric sums at scattered points, by the non-uniform FFT, differentiable as often as one likes.

    type 2     f_j = Σ_k C_k exp(i s k·x_j)        modes → points
    type 1     C_k = Σ_j f_j exp(i s k·x_j)        points → modes

with modes −K ≤ k ≤ K per axis and s = ±1. Each is the other's adjoint, and a derivative in x is the same sum with k_a
beside the modes: the backward of either is made of both, so that second derivatives (a gradient penalty) work as
first ones do. FINUFFT (Barnett, Magland, af Klinteberg 2019) computes in double precision, cuFINUFFT (the extra `gpu`)
where the values are on a CUDA device.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

#: Accuracy asked for, by dtype of the values. Single-precision transforms are slower than double ones at 1e-7.
ACCURACY = {torch.float32: 1e-7, torch.float64: 1e-13}


def type2(modes: Tensor, points: Tensor, sign: int = 1, eps: float = 1e-13) -> Tensor:
    """f_nj = Σ_k C_nk exp(i s k·x_j).

    Parameters
    ----------
    modes : Tensor, shape (n, 2K1+1, …, 2Kd+1), complex128
        Centred: the mode 0 is in the middle.
    points : Tensor, shape (P, d), float64
        In radians, in (−2π, 2π).
    sign : {1, −1}
    eps : float
        Relative accuracy, in the L2 norm.

    Returns
    -------
    Tensor, shape (n, P), complex128
    """
    out: Tensor = _Type2.apply(modes, points, sign, eps)  # type: ignore[no-untyped-call]
    return out


def type1(
    strengths: Tensor, points: Tensor, sizes: tuple[int, ...], sign: int = 1, eps: float = 1e-13
) -> Tensor:
    """C_nk = Σ_j f_nj exp(i s k·x_j): strengths (n, P) to modes (n, *sizes), sizes odd; otherwise as `type2`."""
    out: Tensor = _Type1.apply(strengths, points, sizes, sign, eps)  # type: ignore[no-untyped-call]
    return out


def _call(kind: int, points: Tensor, data: Tensor, *sizes: Any, sign: int, eps: float) -> Tensor:
    columns = points.detach().t().contiguous()
    dim, count = len(columns), data.shape[0]
    strengths = data.detach().resolve_conj().resolve_neg().contiguous()
    made_for = tuple(sizes[0]) if kind == 1 else (len(points),)
    if data.device.type == "cuda":
        import cufinufft

        transform = getattr(cufinufft, f"nufft{dim}d{kind}")
        made: Tensor = transform(*columns, strengths, *sizes, eps=eps, isign=sign)
        return made.reshape(count, *made_for)
    import finufft

    transform = getattr(finufft, f"nufft{dim}d{kind}")
    small = len(points) < 10_000 and math.prod(sizes[0] if kind == 1 else data.shape[1:]) < 10_000
    threads = 1 if small else torch.get_num_threads()  # to start more takes longer than the sum
    array = transform(
        *columns.numpy(), strengths.numpy(), *sizes, eps=eps, isign=sign, nthreads=threads
    )
    return torch.from_numpy(np.ascontiguousarray(array)).reshape(count, *made_for)


def _times_frequency(modes: Tensor, sign: int) -> Tensor:
    """Products i s k_a C_nk for every axis a, shape (d, n, …)."""
    parts = []
    dim = modes.ndim - 1
    for axis in range(dim):
        half = modes.shape[axis + 1] // 2
        k = torch.arange(-half, half + 1, dtype=torch.float64, device=modes.device)
        parts.append(modes * (1j * sign * k).reshape(-1, *(1,) * (dim - 1 - axis)))
    return torch.stack(parts)


def _slopes(modes: Tensor, points: Tensor, sign: int, eps: float) -> Tensor:
    """∂f_nj/∂x_ja, shape (d, n, P)."""
    dim, count = points.shape[-1], modes.shape[0]
    out = type2(_times_frequency(modes, sign).flatten(0, 1), points, sign, eps)
    return out.reshape(dim, count, len(points))


def _keep(ctx: Any, *tensors: Tensor) -> None:
    """For derivatives of either kind; those that aren't asked for come as None, and cost no transform of zeros."""
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)
    ctx.set_materialize_grads(False)


class _Type2(torch.autograd.Function):
    @staticmethod
    def forward(modes: Tensor, points: Tensor, sign: int, eps: float) -> Tensor:
        return _call(2, points, modes, sign=sign, eps=eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        modes, points, ctx.sign, ctx.eps = inputs
        _keep(ctx, modes, points)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None) -> Any:
        if g is None:
            return (None,) * 4
        modes, points = ctx.saved_tensors
        sizes = tuple(modes.shape[1:])
        to_modes = to_points = None
        if ctx.needs_input_grad[0]:
            to_modes = type1(g, points, sizes, -ctx.sign, ctx.eps)
        if ctx.needs_input_grad[1]:
            slopes = _slopes(modes, points, ctx.sign, ctx.eps)
            to_points = (g.conj() * slopes).real.sum(1).t()
        return to_modes, to_points, None, None

    @staticmethod
    def jvp(ctx: Any, modes_t: Any, points_t: Any, *_: Any) -> Tensor:
        modes, points = ctx.saved_tensors
        out = torch.zeros((), dtype=modes.dtype)
        if modes_t is not None:
            out = out + type2(modes_t, points, ctx.sign, ctx.eps)
        if points_t is not None:
            slopes = _slopes(modes, points, ctx.sign, ctx.eps)
            out = out + (slopes * points_t.t()[:, None, :]).sum(0)
        return out


class _Type1(torch.autograd.Function):
    @staticmethod
    def forward(
        strengths: Tensor, points: Tensor, sizes: tuple[int, ...], sign: int, eps: float
    ) -> Tensor:
        return _call(1, points, strengths, sizes, sign=sign, eps=eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        strengths, points, ctx.sizes, ctx.sign, ctx.eps = inputs
        _keep(ctx, strengths, points)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None) -> Any:
        if g is None:
            return (None,) * 5
        strengths, points = ctx.saved_tensors
        to_strengths = to_points = None
        if ctx.needs_input_grad[0]:
            to_strengths = type2(g, points, -ctx.sign, ctx.eps)
        if ctx.needs_input_grad[1]:
            slopes = _slopes(g, points, -ctx.sign, ctx.eps)
            to_points = (strengths * slopes.conj()).real.sum(1).t()
        return to_strengths, to_points, None, None, None

    @staticmethod
    def jvp(ctx: Any, strengths_t: Any, points_t: Any, *_: Any) -> Tensor:
        strengths, points = ctx.saved_tensors
        sizes, sign, eps = ctx.sizes, ctx.sign, ctx.eps
        out = torch.zeros((), dtype=strengths.dtype)
        if strengths_t is not None:
            out = out + type1(strengths_t, points, sizes, sign, eps)
        if points_t is not None:
            for axis in range(points.shape[-1]):
                moved = type1(strengths * points_t[:, axis], points, sizes, sign, eps)
                out = out + _times_frequency(moved, sign)[axis]
        return out


def pays(lattices: int, shape: Sequence[int], sizes: Sequence[int], device: torch.device) -> bool:
    """Whether the non-uniform FFT is there for a device, and faster than the sum.

    For so many lattices of one shape and modes of the given sizes, from times in nanoseconds, measured on two cores:
    per wave and per product of the sum, which goes axis by axis; per call, mode and point of the FFT.
    """
    if device.type != "cpu" and not (device.type == "cuda" and _on_gpu()):
        return False
    modes, points = math.prod(sizes), lattices * math.prod(shape)
    waves = sum(n * size for n, size in zip(shape, sizes, strict=True))
    products, rest = 0, modes
    for n, size in zip(shape, sizes, strict=True):
        rest = rest * n
        products += rest
        rest //= size
    direct = lattices * (40 * waves + 0.12 * products)
    return direct > 1e6 + 50 * modes + (300, 400, 2200)[len(sizes) - 1] * points


@functools.cache
def _on_gpu() -> bool:
    return importlib.util.find_spec("cufinufft") is not None


def centred(values: Tensor) -> Tensor:
    """Modes −⌊N/2⌋ ≤ k ≤ ⌊N/2⌋ of samples (n, X1, …, Xd), real channels packed in pairs as re + i·im.

    The wave at Nyquist of an even N is halved between ±N/2, that is, its cosine is kept.
    """
    dim = values.ndim - 1
    if len(values) % 2:
        values = torch.cat([values, torch.zeros_like(values[:1])])
    packed = torch.complex(values[::2].double(), values[1::2].double())
    axes = tuple(range(1, dim + 1))
    out = torch.fft.fftshift(torch.fft.fftn(packed, dim=axes, norm="forward"), dim=axes)
    for axis in axes:
        if out.shape[axis] % 2 == 0:
            edge, rest = out.narrow(axis, 0, 1) / 2, out.narrow(axis, 1, out.shape[axis] - 1)
            out = torch.cat([edge, rest, edge], dim=axis)
    centre: Tensor = out.contiguous()
    return centre


def waves_at(modes: Tensor, points: Tensor, maps: int, eps: float) -> Tensor:
    """Σ_k C_k exp(i k·x) of packed modes at points x (Q, d), as `type2` takes them, as real values (Q, maps)."""
    values = torch.view_as_real(type2(modes, points, 1, eps))
    out: Tensor = values.permute(1, 0, 2).flatten(1)[:, :maps]
    return out
