"""Comparing a layer's outputs for moved inputs with its moved output, as they come; the errors, labelled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from equivariance.measuring.layouts import Frame
from equivariance.measuring.measured import judged
from equivariance.measuring.translations import crop, interpolated, rolled, whole
from equivariance.measuring.watched import Told
from equivariance.records import provenance
from fields import checks
from fields.kept import Copy
from fields.magnitude import fits, unit


@dataclass
class Comparison:
    """Errors of all layers, filled pass by pass; the first input of the first pass is the reference.

    ‖Φ(t▷F) − t▷Φ(F)‖ / ‖t▷Φ(F)‖ over channels and space, per input. Maps over a period are moved as trigonometric
    polynomials; other maps are compared where both know them, and only at multiples of their stride, as are maps with
    two samples per axis or fewer. Everything else is compared as an invariant. NaN where nothing can be compared, and
    where t▷Φ(F) vanishes.

    Attributes
    ----------
    frames : dict of str to Frame
    steps : Tensor, shape (T, d)
        Translations in input pixels.
    inputs : int
        B.
    periodic : bool
        Whether inputs are moved around a period.
    order : float
        Of the norm.
    borders : dict of str to Tensor, shape (Y1, …, Yd)
        True where the output depends on what is padded: `interior` is the error over the other points.
    """

    frames: Mapping[str, Frame]
    steps: Tensor
    inputs: int
    periodic: bool = True
    order: float = 2.0
    borders: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.steps), self.inputs)
        self.error = {name: torch.full(shape, math.nan).double() for name in self.frames}
        self.interior = {name: torch.full(shape, math.nan).double() for name in self.frames}
        self._reference: dict[str, Tensor] = {}
        self._sizes: dict[str, Tensor] = {}  # ‖Φ(F)‖ over channels, per point
        # Powers of two, (B, 1, …), that outputs are divided by before they are compared. Only those whose squares over-
        # or underflow have one: dividing every output anew, pass by pass, would cost a copy of each.
        self._units: dict[str, Tensor] = {}
        self._where: slice = slice(0, 0)
        self._batch: int | None = None  # of all passes
        self._last: tuple[Tensor, Copy, str] | None = None  # tensor, what it held, whose it was

    def expect(self, where: slice) -> None:
        """The next pass holds the reference, where there is none yet, and these translations."""
        self._where, self._last = where, None

    def reference(self, name: str) -> Tensor:
        """What a layer put out for the untranslated inputs, (B, …)."""
        return self._reference[name] * self._units.get(name, 1)

    def see(self, name: str, layer: nn.Module, value: Tensor) -> None:
        """A layer's output ((1 +) K·B, …)."""
        frame = self.frames.get(name)
        if frame is None:
            if len(value) == self._batch and (name.endswith("]") or "#" in name):
                raise Told(f"{name} wasn't there at first: the model's course depends on its input")
            return  # an output without a batch axis
        self._batch = len(value)
        out = self._unfolded(name, frame, value)
        if name not in self._reference:
            self._set_reference(name, out[0])
            out = out[1:]
        if name in self._units:
            out = out / self._units[name]
        last = self._last
        is_last = last is not None and last[0] is value and last[1].holds(value)
        if last is not None and is_last and self.frames[last[2]].sizes == frame.sizes:
            self._repeat(name, last[2])
            return
        self._compare(name, frame, out[: self._where.stop - self._where.start])
        self._last = value, Copy.of(value.detach()), name

    def _unfolded(self, name: str, frame: Frame, value: Tensor) -> Tensor:
        """(K, B, c, Y1, …, Yd), or (K, B, …)."""
        if len(value) % self.inputs or tuple(value.shape[1:]) != frame.shape:
            raise Told(
                f"{name} put out {('batch', *frame.shape)} for one input, and {tuple(value.shape)} for a batch of them"
            )
        out = frame.as_map(value.detach())
        if out.dtype in (torch.float16, torch.bfloat16):
            out = out.float()
        return out.reshape(-1, self.inputs, *out.shape[1:])

    def _set_reference(self, name: str, reference: Tensor) -> None:
        if not checks.all_finite(reference):
            raise Told(f"{name} puts out NaN or infinite values")
        size = unit(reference, range(1, reference.ndim))
        if not bool(fits(size.square()).all()):
            self._units[name] = size
            reference = reference / size
        self._reference[name] = reference.clone()
        self._sizes[name] = self._over_channels(reference)

    def _repeat(self, name: str, other: str) -> None:
        """A module that hands on what its last layer put out."""
        for table in (self.error, self.interior):
            table[name][self._where] = table[other][self._where]

    def _compare(self, name: str, frame: Frame, out: Tensor) -> None:
        reference, error = self._reference[name], self.error[name][self._where]
        if reference.device != out.device:
            raise Told(f"{name} put out a tensor on {reference.device}, then one on {out.device}")
        if frame.sizes is None:
            error[:] = self._relative(out - reference, self._sizes[name], 2)
            return
        steps = self.steps[self._where] / torch.tensor(frame.stride, dtype=torch.float64)
        at_multiple = whole(steps)
        for k in at_multiple.nonzero().flatten().tolist():
            step = [int(s) for s in steps[k].round()]
            self._compare_whole(name, frame, self._where.start + k, step, out[k])
        rest = (~at_multiple).nonzero().flatten()
        if len(rest) and self.periodic and frame.wraps and not frame.is_small:
            expected = interpolated(reference, steps[rest])
            kept = out if len(rest) == len(out) else out[rest.to(out.device)]
            size = self._norm(expected, 2)
            difference = expected.sub_(
                kept
            )  # in place: fresh memory for large maps costs page faults
            error[rest] = self._ratio(self._norm(difference, 2), size)

    def _compare_whole(
        self, name: str, frame: Frame, at: int, step: Sequence[int], out: Tensor
    ) -> None:
        """At a multiple of the layer's stride."""
        sizes, border = self._sizes[name], self.borders.get(name)
        around = self.periodic and frame.wraps

        def both(here: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
            if around:
                return here, rolled(there, step)
            first, second = _common(step, frame.sizes or ())
            return crop(here, first), crop(there, second)

        out, moved = both(out, self._reference[name])
        if moved.numel() == 0:
            return
        sizes = both(sizes, sizes)[1]
        difference = self._over_channels(out - moved)
        self.error[name][at] = self._relative(difference, sizes, 1)
        if border is None:
            return
        if bool(border.any()):
            inside = ~torch.logical_or(*both(border, border))
            if not bool(inside.any()):
                return
            difference, sizes = difference * inside, sizes * inside
        self.interior[name][at] = self._relative(difference, sizes, 1)

    def _over_channels(self, values: Tensor) -> Tensor:
        return torch.linalg.vector_norm(values, self.order, 1) if values.ndim > 1 else values.abs()

    def _relative(self, difference: Tensor, sizes: Tensor, first: int) -> Tensor:
        """‖difference‖ over the axes from `first` on, by the reference's; NaN where that vanishes."""
        return self._ratio(self._norm(difference, first), self._norm(sizes, 1))

    def _norm(self, values: Tensor, first: int) -> Tensor:
        """Over the axes from `first` on."""
        if values.ndim <= first:
            return values.abs()
        norm: Tensor = torch.linalg.vector_norm(values.flatten(first), self.order, -1)
        return norm

    @staticmethod
    def _ratio(size: Tensor, scale: Tensor) -> Tensor:
        size, scale = size.cpu().double(), scale.cpu().double()
        return torch.where(scale > 0, size / scale, math.nan)


def _common(
    step: Sequence[int], sizes: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where a map and the same one moved by a step lie over each other, in the moved one and in the other."""
    here = [slice(max(s, 0), max(0, n + min(s, 0))) for s, n in zip(step, sizes, strict=True)]
    there = [slice(max(-s, 0), max(0, n - max(s, 0))) for s, n in zip(step, sizes, strict=True)]
    return tuple(here), tuple(there)


def dataset(
    frames: Mapping[str, Frame],
    t: Tensor,
    seen: Mapping[str, Comparison],
    probed: Mapping[str, Mapping[str, bool]],
    about: Mapping[str, Any],
    dtype: str,
) -> xr.Dataset:
    """All that was measured, and the verdicts on it."""
    names, paddings = list(frames), list(seen)
    error = np.stack([[c.error[n].numpy() for n in names] for c in seen.values()])
    data = xr.Dataset(
        {
            "error": (("padding", "layer", "translation", "input"), error),
            "stride": (("layer", "axis"), np.array([f.stride for f in frames.values()])),
            "bitwise": (
                ("padding", "layer"),
                np.array(
                    [[probed.get(p, {}).get(n, False) for n in names] for p in paddings]
                ).astype("i1"),
            ),
        },
        coords={
            "padding": paddings,
            "layer": names,
            "axis": [f"x{i + 1}" for i in range(t.shape[1])],
            "t": (("translation", "axis"), t.numpy()),
            "kind": ("layer", [f.kind for f in frames.values()]),
            "space": ("layer", [_space(f) for f in frames.values()]),
            "shape": ("layer", [" × ".join(map(str, f.shape)) for f in frames.values()]),
        },
        attrs=provenance(about) | {"dtype": dtype, "inputs": str(about["inputs"])},
    )
    if "as is" in seen:
        interior = np.stack([seen["as is"].interior[n].numpy() for n in names])
        data["interior"] = (("layer", "translation", "input"), interior)
        data["interior"].attrs = {
            "long_name": "relative equivariance error, as is, over points whose receptive fields are free of padding",
            "units": "1",
        }
    data["error"].attrs = {"long_name": "relative equivariance error, L2 norm", "units": "1"}
    data["stride"].attrs = {"long_name": "input pixels per step of the output", "units": "pixel"}
    data["bitwise"].attrs = {
        "long_name": "whether integer-valued inputs, rolled by multiples of the stride, gave the same bits"
    }
    data["t"].attrs = {"long_name": "translation", "units": "pixel"}
    return judged(data)


def _space(frame: Frame) -> str:
    """What a layer's output is to be compared as."""
    if not frame.is_map:
        return "invariant"
    return "periodic" if frame.wraps else "window"
