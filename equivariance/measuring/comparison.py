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

from equivariance.measuring.candidates import NOT_FOUND
from equivariance.measuring.layouts import Frame
from equivariance.measuring.measured import judged
from equivariance.measuring.surveying import NO_VALUES
from equivariance.measuring.translations import crop, interpolated, overlap, rolled, whole
from equivariance.measuring.watched import Told, owner_is_model
from equivariance.records import provenance
from fields import checks
from fields.kept import Copy
from fields.magnitude import fits, unit

#: Attributes of what a measurement holds.
ABOUT = {
    "error": {"long_name": "relative equivariance error, L2 norm", "units": "1"},
    "interior": {
        "long_name": "relative equivariance error, as is, over points whose receptive fields are free of padding",
        "units": "1",
    },
    "stride": {"long_name": "input pixels per step of the output", "units": "pixel"},
    "bitwise": {
        "long_name": "whether integer-valued inputs, rolled by multiples of the stride, gave the same bits"
    },
    "varies": {"long_name": "how much the outputs for two inputs differ, relative to their size"},
    "is_sure": {"long_name": "whether it is certain which axes are those of space"},
    "border_by": {"long_name": "how the errors without border were made, under “circular”"},
    "t": {"long_name": "translation", "units": "pixel"},
}


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
        self.left_out = {n: f.why for n, f in self.frames.items() if f.why}
        self.varies = {n: f.varies for n, f in self.frames.items()}
        self._where: slice = slice(0, 0)
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
            raise Told(f"{name} wasn't there at first: the model's course depends on its input")
        if name in self.left_out:
            return
        out = self._unfolded(name, frame, value)
        if name not in self._reference:
            if not self._set_reference(name, out[0]):
                return
            out = out[1:]
        if name in self._units:
            out = out / self._units[name]
        last = self._last
        is_last = last is not None and last[0] is value and last[1].holds(value)
        if last is not None and is_last and self.frames[last[2]].layout == frame.layout:
            self._repeat(name, last[2])
            return
        self._compare(name, frame, out[: self._where.stop - self._where.start])
        self._last = value, Copy.of(value.detach()), name

    def _unfolded(self, name: str, frame: Frame, value: Tensor) -> Tensor:
        """(K, B, c, Y1, …, Yd), or (K, B, …)."""
        out = frame.batched(value.detach()) if value.ndim > frame.batch else value
        if len(out) % self.inputs or tuple(out.shape[1:]) != frame.shape:
            raise Told(
                f"{name} put out {('batch', *frame.shape)} for one input, and {tuple(out.shape)} for a batch of them"
            )
        out = out if frame.layout is None else frame.layout.as_map(out)
        if out.dtype in (torch.float16, torch.bfloat16):
            out = out.float()
        return out.reshape(-1, self.inputs, *out.shape[1:])

    def _set_reference(self, name: str, reference: Tensor) -> bool:
        """Keep what the others are compared with; False for what can't be."""
        if not reference.is_floating_point():
            self._reference[name], self._sizes[name] = reference.clone(), _agreeing(reference)
            return True
        if not checks.all_finite(reference):
            if owner_is_model(name):
                raise Told(f"{name} puts out NaN or infinite values")
            self.left_out[name] = NO_VALUES
            return False
        size = unit(reference, range(1, reference.ndim))
        if not bool(fits(size.square()).all()):
            self._units[name] = size
            reference = reference / size
        self._reference[name] = reference.clone()
        self._sizes[name] = self._over_channels(reference)
        if self.inputs > 1:
            self.varies[name] = float(np.fmax(self.varies[name], _spread(reference)))
        return True

    def _repeat(self, name: str, other: str) -> None:
        """A module that hands on what its last layer put out."""
        for table in (self.error, self.interior):
            table[name][self._where] = table[other][self._where]

    def _compare(self, name: str, frame: Frame, out: Tensor) -> None:
        reference, error = self._reference[name], self.error[name][self._where]
        if reference.device != out.device:
            raise Told(f"{name} put out a tensor on {reference.device}, then one on {out.device}")
        labels = not out.is_floating_point()
        if frame.sizes is None:
            difference = (out != reference).double() if labels else out - reference
            error[:] = self._relative(difference, self._sizes[name], 2)
            return
        steps = self.steps[self._where] / torch.tensor(frame.stride, dtype=torch.float64)
        at_multiple = whole(steps)
        for k in at_multiple.nonzero().flatten().tolist():
            step = [int(s) for s in steps[k].round()]
            self._compare_whole(name, frame, self._where.start + k, step, out[k])
        rest = (~at_multiple).nonzero().flatten()
        if len(rest) and self.periodic and frame.wraps and not (frame.is_small or labels):
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
            first, second = overlap(step, frame.sizes or ())
            return crop(here, first), crop(there, second)

        out, moved = both(out, self._reference[name])
        if moved.numel() == 0:
            return
        sizes = both(sizes, sizes)[1]
        labels = not out.is_floating_point()
        difference = self._over_channels((out != moved).double() if labels else out - moved)
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


def _agreeing(labels: Tensor) -> Tensor:
    """What disagreeing labels are relative to: the square root of how many there are, summed over channels."""
    ones = labels.new_ones(labels.shape, dtype=torch.float64)
    return torch.linalg.vector_norm(ones, 2, 1) if labels.ndim > 1 else ones


def _spread(reference: Tensor) -> float:
    """How much the outputs for several inputs differ from the first, relative to their size."""
    size = float(reference.double().flatten(1).norm(dim=1).max())
    apart = float((reference - reference[:1]).double().flatten(1).norm(dim=1).max())
    return apart / size if size else 0.0


def dataset(
    frames: Mapping[str, Frame],
    t: Tensor,
    seen: Mapping[str, Comparison],
    probed: Mapping[str, Mapping[str, bool]],
    ways: Mapping[str, str],
    about: Mapping[str, Any],
    dtype: str,
) -> xr.Dataset:
    """All that was measured, and the verdicts on it."""
    why = {name: reason for c in seen.values() for name, reason in c.left_out.items()}
    left_out = {n: reason for n, reason in why.items() if reason not in NOT_FOUND}
    frames = {n: f for n, f in frames.items() if n not in left_out}
    names, paddings = list(frames), list(seen)
    error = np.stack([[c.error[n].numpy() for n in names] for c in seen.values()])
    bits = [[probed.get(p, {}).get(n, False) for n in names] for p in paddings]
    varies = [np.fmax.reduce([c.varies[n] for c in seen.values()]) for n in names]
    data = xr.Dataset(
        {
            "error": (("padding", "layer", "translation", "input"), error),
            "stride": (("layer", "axis"), np.array([f.stride for f in frames.values()])),
            "bitwise": (("padding", "layer"), np.array(bits).astype("i1")),
            "varies": ("layer", np.array(varies)),
        },
        coords={
            "padding": paddings,
            "layer": names,
            "axis": [f"x{i + 1}" for i in range(t.shape[1])],
            "t": (("translation", "axis"), t.numpy()),
            "kind": ("layer", [f.kind for f in frames.values()]),
            "space": ("layer", [_space(f) for f in frames.values()]),
            "shape": ("layer", [" × ".join(map(str, f.shape)) for f in frames.values()]),
            "is_sure": ("layer", np.array([f.is_sure for f in frames.values()]).astype("i1")),
        },
        attrs=provenance(about) | {"dtype": dtype, "inputs": str(about["inputs"])},
    )
    data.attrs["left_out"] = "\n".join(f"{n}: {reason}" for n, reason in left_out.items())
    if "as is" in seen:
        interior = np.stack([seen["as is"].interior[n].numpy() for n in names])
        data["interior"] = (("layer", "translation", "input"), interior)
    if ways:
        data = data.assign_coords(border_by=("layer", [ways[n] for n in names]))
    for name, about_it in ABOUT.items():
        if name in data:
            data[name].attrs = about_it
    return judged(data)


def _space(frame: Frame) -> str:
    """What a layer's output is to be compared as."""
    if frame.why:
        return "not found"
    if not frame.is_map:
        return "invariant"
    return "periodic" if frame.wraps else "window"
