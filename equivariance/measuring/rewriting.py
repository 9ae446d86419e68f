"""The same network with other paddings, or with blurred strides: its calls of torch's functions are rewritten.

Modules and functional calls end in the same functions, so that neither needs changes to the network's code.

    fill "circular"   everything padded is padded with the map's own other end: commutes with circular shifts
    fill "nan"        what is padded isn't a number, nor is anything that depends on it; but for circular padding
    fill "nan everywhere"     circular padding isn't either
    blur f            strides s become stride 1, a binomial filter of f taps, and every s-th sample (Zhang 2019)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Fill = Literal["circular", "nan", "nan everywhere"]

_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_TRANSPOSED = (
    "input",
    "weight",
    "bias",
    "stride",
    "padding",
    "output_padding",
    "groups",
    "dilation",
)
_MAX = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
_AVERAGE = (
    "input",
    "kernel_size",
    "stride",
    "padding",
    "ceil_mode",
    "count_include_pad",
    "divisor_override",
)
#: Functions with a window: the names of their arguments in order, by name without "1d", "2d", "3d".
WINDOWED: Mapping[str, tuple[str, ...]] = {
    "conv": _CONV,
    "max_pool": _MAX,
    "avg_pool": _AVERAGE,
    "conv_transpose": _TRANSPOSED,
}


class Rewriting(TorchFunctionMode):
    """While it is entered, torch's convolutions, poolings and paddings act as its arguments say.

    Parameters
    ----------
    dim : int
        Only functions with so many axes of space are rewritten.
    fill : {"circular", "nan", "nan everywhere"}, optional
        What paddings are filled with; as the network has it unless given.
    blur : int, optional
        Taps of the filter in front of every stride; none unless given.

    Notes
    -----
    Max pooling that returns indices, and scripted modules, which torch runs by itself, stay as they are. A transposed
    convolution pads nothing, but cuts off: with "circular" what it cuts off is added at the other end.
    """

    def __init__(self, dim: int, fill: Fill | None = None, blur: int | None = None) -> None:
        super().__init__()
        self.dim, self.fill, self.blur = dim, fill, blur
        self._rewritten = {f"{name}{dim}d": names for name, names in WINDOWED.items()}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = getattr(func, "__name__", "")
        if isinstance(func, torch._ops.OpOverload):  # of exported graphs
            name = name.partition(".")[0]
            same = getattr(functional, name, None) if name in ("pad", *self._rewritten) else None
            if same is not None:
                func, kwargs = (
                    same,
                    {"input" if k == "self" else k: v for k, v in (kwargs or {}).items()},
                )
        if name == "pad" and self.fill is not None:
            return self._pad(func, args, dict(kwargs or {}))
        names = self._rewritten.get(name)
        given = dict(kwargs or {})
        if names is None or len(args) > len(names) or given.get("return_indices"):
            return func(*args, **given)
        given |= dict(zip(names, args, strict=False))
        if "transpose" in name:
            return self._transposed(func, given)
        return self._windowed(func, given)

    def _windowed(self, func: Callable[..., Any], given: dict[str, Any]) -> Any:
        x, before = given["input"], _window(given, self.dim)
        kernel, stride, pads = before
        rewrites_stride = self.blur is not None and any(s > 1 for s in stride)
        padded = any(p for pair in pads for p in pair)
        if not rewrites_stride and (self.fill is None or not padded):
            return func(**given)
        if self.fill is not None or given.get("padding") == "same":
            if rewrites_stride and self.fill == "circular":
                sizes = x.shape[-self.dim :]
                pads = [
                    (lo, hi + _missing(n + lo + hi - k + 1, s))
                    for n, (lo, hi), k, s in zip(sizes, pads, kernel, stride, strict=True)
                ]
            given |= {"input": extended(x, pads, self.fill or "zero"), "padding": 0}
        if not rewrites_stride:
            return func(**given)
        assert self.blur is not None
        given["stride"] = 1
        return blurred(func(**given), stride, self.blur, self.fill or "reflect")

    def _transposed(self, func: Callable[..., Any], given: dict[str, Any]) -> Any:
        x, pads = given["input"], _per_axis(given.get("padding", 0), self.dim)
        if self.fill != "circular":
            return func(**given)
        periods = [
            n * s
            for n, s in zip(
                x.shape[-self.dim :], _per_axis(given.get("stride", 1), self.dim), strict=True
            )
        ]
        plain = given | {"padding": 0, "output_padding": 0, "bias": None}
        full = func(**plain)
        for axis, (period, p) in enumerate(zip(periods, pads, strict=True)):
            full = _wrapped(full, axis - self.dim, period, p)
        bias = given.get("bias")
        return full if bias is None else full + bias.reshape(-1, *(1,) * self.dim)

    def _pad(self, func: Callable[..., Any], args: Sequence[Any], given: dict[str, Any]) -> Any:
        given |= dict(zip(("input", "pad", "mode", "value"), args, strict=False))
        x, flat = given["input"], list(given["pad"])
        spatial = flat[: 2 * self.dim]
        kept = () if self.fill == "nan everywhere" else ("circular",)
        is_map = x.ndim == self.dim + 2 and not any(flat[2 * self.dim :])
        if not is_map or given.get("mode") in kept or min(flat) < 0 or not any(spatial):
            return func(**given)
        spatial += [0] * (2 * self.dim - len(spatial))
        pads = [(spatial[2 * i], spatial[2 * i + 1]) for i in range(self.dim)][::-1]
        assert self.fill is not None
        return extended(x, pads, self.fill)


def extended(x: Tensor, pads: Sequence[tuple[int, int]], fill: str) -> Tensor:
    """Maps (…, X1, …, Xd) with `pads` samples more in front and behind, per axis.

    Parameters
    ----------
    fill : {"zero", "nan", "nan everywhere", "circular", "reflect"}
    """
    if fill == "zero" or fill.startswith("nan"):
        flat = [p for pair in reversed(pads) for p in pair]
        return functional.pad(x, flat, value=0.0 if fill == "zero" else math.nan)
    for axis, (low, high) in enumerate(pads, start=-len(pads)):
        if low or high:
            n = x.shape[axis]
            index = torch.arange(-low, n + high, device=x.device)
            if fill == "reflect":
                index = (index % max(1, 2 * n - 2)).clamp(0)
                index = torch.where(index < n, index, 2 * n - 2 - index)
            x = x.index_select(axis, index % n)
    return x


def blurred(x: Tensor, stride: Sequence[int], taps: int, fill: str) -> Tensor:
    """A binomial filter, then every s-th sample (Zhang 2019): pads by ⌊(f−1)/2⌋ in front, ⌈(f−1)/2⌉ behind."""
    row = torch.tensor([math.comb(taps - 1, i) for i in range(taps)], dtype=torch.float64)
    weights = (row / row.sum()).to(x)
    dim = len(stride)
    for axis, s in enumerate(stride, start=-dim):
        if s == 1:
            continue
        pads = [(0, 0)] * dim
        pads[axis] = ((taps - 1) // 2, taps // 2)
        wide = extended(x, pads, fill)
        length = x.shape[axis]
        parts = (
            w * wide.narrow(axis, i, length)[_every(axis, s)]
            for i, w in enumerate(weights.unbind())
        )
        x = sum(parts, start=x.new_zeros(()))
    return x


def _every(axis: int, s: int) -> tuple[Any, ...]:
    return (..., slice(None, None, s), *(slice(None),) * (-axis - 1))


def _missing(length: int, s: int) -> int:
    """What a length lacks to a multiple of s."""
    return -length % s


def _window(given: dict[str, Any], dim: int) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Sizes of the window with its dilation, strides, and paddings in front and behind, per axis."""
    weight = given.get("weight")
    size = tuple(weight.shape[-dim:]) if weight is not None else given["kernel_size"]
    dilation = _per_axis(given.get("dilation", 1), dim)
    kernel = [d * (k - 1) + 1 for k, d in zip(_per_axis(size, dim), dilation, strict=True)]
    default = 1 if weight is not None else size
    stride = given.get("stride")
    strides = _per_axis(default if stride is None or stride == () else stride, dim)
    padding = given.get("padding", 0)
    if padding == "same":
        pads = [((k - 1) // 2, k // 2) for k in kernel]
    else:
        pads = [(p, p) for p in _per_axis(0 if padding == "valid" else padding, dim)]
    return kernel, strides, pads


def _per_axis(value: Any, dim: int) -> list[int]:
    values = [value] if isinstance(value, int) else [int(v) for v in value]
    return values * dim if len(values) == 1 else values


def _wrapped(x: Tensor, axis: int, period: int, first: int) -> Tensor:
    """Sum of all pieces of length `period` of an axis, the sample `first` coming first."""
    n = x.shape[axis]
    index = (torch.arange(n, device=x.device) - first) % period
    shape = list(x.shape)
    shape[axis] = period
    return x.new_zeros(shape).index_add(axis, index, x)
