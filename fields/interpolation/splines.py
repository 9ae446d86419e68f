"""Samples continued beyond the grid, made coefficients of a piecewise interpolant, and summed over a few taps.

Boundaries say how samples continue to all of Z^d; the spline is that through the continued samples. Periodic and
mirrored sequences are filtered by one FFT, exactly. Zeros and repeated edges are continued by so many samples that
what the filter spreads beyond them is below 1e-17 of the largest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from fields.accuracy import FEW_SAMPLES, SPLINE_BYTES, SPLINE_CHUNK, SPLINE_SHARE
from fields.arrays import empty, tracked
from fields.interpolation.piecewise import Method


def continued(index: Tensor, size: int, boundary: str) -> Tensor:
    """Index of the sample that continues at `index`; −1 where zero does."""
    if boundary == "periodic":
        return index % size
    if boundary == "reflect":
        period = max(1, 2 * (size - 1))
        folded = index % period
        return torch.where(folded < size, folded, period - folded)
    if boundary == "nearest":
        return index.clamp(0, size - 1)
    return torch.where((index >= 0) & (index < size), index, torch.full_like(index, -1))


def widened(values: Tensor, axis: int, before: int, after: int, boundary: str) -> Tensor:
    """Samples with so many more along one axis, counted from its front, as the boundary continues them."""
    size = values.shape[axis]
    if not before and not after:
        return values
    index = torch.arange(-before, size + after, device=values.device)
    source = continued(index, size, boundary)
    out = values.index_select(axis, source.clamp(min=0))
    if boundary == "zero":
        known = (source >= 0).to(out.dtype)
        out = out * known.reshape(-1, *(1,) * (values.ndim - 1 - axis))
    return out


def filtered(values: Tensor, axis: int, taps: Sequence[float], mirrored: bool) -> Tensor:
    """The sequence c with Σ_j w(j) c[i − j] = values[i], on the circle of the values, or of a mirrored pair."""
    size = values.shape[axis]
    if mirrored and size > 2:
        values = torch.cat([values, values.narrow(axis, 1, size - 2).flip(axis)], dim=axis)
    length = values.shape[axis]
    angle = 2 * math.pi * torch.fft.rfftfreq(length, dtype=torch.float64, device=values.device)
    symbol = torch.full_like(angle, taps[0])
    for j, w in enumerate(taps[1:], start=1):
        symbol = symbol + 2 * w * torch.cos(j * angle)
    symbol = symbol.to(values.dtype).reshape(-1, *(1,) * (values.ndim - 1 - axis))
    spectrum = torch.fft.rfft(values, dim=axis) / symbol
    out: Tensor = torch.fft.irfft(spectrum, length, dim=axis).narrow(axis, 0, size)
    return out


def pays(method: Method, points: int, sizes: Sequence[int]) -> bool:
    """Whether samples are laid out for looking them up: not for so few points that it would take longer."""
    return bool(method.filter) or points * method.taps ** len(sizes) > math.prod(sizes)


class Table:
    """The coefficients of a piecewise interpolant, laid out for gathering where that takes less than it saves.

    Parameters
    ----------
    values : Tensor, shape (n, X1, …, Xd)
        Samples, n maps on one grid.
    method : Method
    boundary : {"periodic", "zero", "reflect", "nearest"}

    Notes
    -----
    `padded`, (M1, …, Md, n), has the coefficients continued by so many that no tap needs its index wrapped. `wide` has
    the taps of axis d − 1 side by side, (…, M_{d−1}, Md, taps, n): the taps² samples around a point of a plane are one
    run of memory. Samples that are the coefficients themselves are looked up where they are, on lattices, by scipy, and
    at so few points that the others would take longer.
    """

    def __init__(self, values: Tensor, method: Method, boundary: str) -> None:
        self.method, self.boundary = method, boundary
        self.sizes = tuple(values.shape[1:])
        self.margin = method.reach if boundary in ("zero", "nearest") else 0
        self.differentiable = values.requires_grad
        self.lengths = tuple(n + 2 * self.margin for n in self.sizes)
        self._samples = values.movedim(0, -1)
        self._padded = self._continued(values) if method.filter else None
        self._wide: Tensor | None = None

    def _continued(self, values: Tensor) -> Tensor:
        """Coefficients of the samples, continued."""
        method, boundary = self.method, self.boundary
        for axis in range(1, values.ndim):
            values = widened(values, axis, self.margin, self.margin, boundary)
            if method.filter:
                values = filtered(values, axis, method.filter, boundary != "periodic")
        for axis in range(1, values.ndim):
            values = widened(values, axis, method.before, method.taps // 2, boundary)
        return values.movedim(0, -1).contiguous()

    @property
    def padded(self) -> Tensor:
        """The coefficients, continued."""
        if self._padded is None:
            self._padded = self._continued(self._samples.movedim(-1, 0))
        return self._padded

    @property
    def dim(self) -> int:
        """Number of axes."""
        return len(self.sizes)

    def _taps(self, position: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        """Indices into `_known` and weights, (…, taps), at positions counted in samples from the first one."""
        start, weights = self.folded(position, axis)
        first = 0 if self.method.filter else -self.method.before - self.margin
        index = start[..., None] + torch.arange(
            first, first + self.method.taps, device=start.device
        )
        if self.method.filter:
            return index, weights
        source = continued(index, self.sizes[axis], self.boundary)
        if self.boundary == "zero":
            return source.clamp(min=0), weights * (source >= 0)
        return source, weights

    @property
    def _known(self) -> Tensor:
        """The coefficients, continued where that takes a filter."""
        return self.padded if self.method.filter else self._samples

    def folded(self, position: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        """Index of the first tap, and weights (…, taps), at positions counted in samples from the first one."""
        size, length = self.sizes[axis], self.lengths[axis]
        if self.boundary == "periodic":
            position = position - size * torch.floor(position.detach() / size)
        elif self.boundary == "reflect":
            period = max(1, 2 * (size - 1))
            position = position - period * torch.floor(position.detach() / period)
            mirrored = torch.where(position > size - 1, period - position, position)
            position = mirrored if size > 1 else 0 * position
        else:
            position = (position + self.margin).clamp(0, length - 1)
        half = 0.5 if self.method.taps == 1 else 0.0
        base = torch.floor(position.detach() + half)
        index = base.long()
        if self.method.taps == 1:  # rounded up to the sample behind the last one
            index = index % length if self.boundary == "periodic" else index.clamp(max=length - 1)
        else:
            base = base.clamp(0, length - 1)
            index = base.long()
        return index, self.method.weights((position - base).to(self._samples.dtype))

    def at(self, origin: Tensor, spacing: Tensor, points: Tensor, first: int, last: int) -> Tensor:
        """Maps first ≤ m < last at points (Q, d), as (Q, last − first); the first sample lies at `origin`."""
        compiled = self.method.order and last - first <= FEW_SAMPLES and points.device.type == "cpu"
        if compiled and not tracked(self._known, points, origin):
            return self._compiled(origin, spacing, points, first, last)
        few = not pays(self.method, points.shape[0], self.sizes)
        run = self.method.taps ** min(self.dim, 2) * self._samples.shape[-1]
        parts = []
        for chunk in points.split(max(256, SPLINE_CHUNK // run)):
            positions = (chunk - origin) / spacing
            if self.differentiable or few or self._too_wide:
                parts.append(self._by_taps(positions, first, last))
            else:
                parts.append(self._by_runs(positions)[:, first:last])
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def on_axes(self, positions: Sequence[Tensor], first: int, last: int) -> Tensor:
        """Maps first ≤ m < last on the lattice with positions (X_i,) along each axis, as (last − first, X1, …, Xd)."""
        out = self._known[..., first:last]
        for axis, position in enumerate(positions):
            index, weights = self._taps(position, axis)
            tail = (1,) * (self.dim - axis)
            total = None
            for k in range(self.method.taps):
                part = out.index_select(axis, index[:, k]) * weights[:, k].reshape(-1, *tail)
                total = part if total is None else total + part
            assert total is not None
            out = total
        return out.movedim(-1, 0)

    def _compiled(
        self, origin: Tensor, spacing: Tensor, points: Tensor, first: int, last: int
    ) -> Tensor:
        """The same by scipy, map by map, a few points at a time on as many threads as torch takes."""
        from scipy import ndimage  # takes long to import

        modes = {"periodic": "grid-wrap", "reflect": "mirror", "nearest": "nearest"}
        mode, margin = modes.get(self.boundary, "grid-constant"), 0
        maps = self._known.detach()
        if self.method.filter:
            mode, margin = "nearest" if self.margin else mode, self.margin
            maps = maps[
                tuple(slice(self.method.before, self.method.before + n) for n in self.lengths)
            ]
        out = empty((last - first, len(points)), maps)

        def part(start: int) -> None:
            chunk = points.detach()[start : start + SPLINE_SHARE]
            columns = ((chunk - origin) / spacing + margin).t().numpy()
            for m, target in enumerate(out[:, start : start + SPLINE_SHARE]):
                ndimage.map_coordinates(
                    maps[..., first + m].numpy(),
                    columns,
                    output=target.numpy(),
                    order=self.method.order,
                    mode=mode,
                    prefilter=False,
                )

        starts = range(0, len(points), SPLINE_SHARE)
        with ThreadPoolExecutor(min(len(starts), torch.get_num_threads()) or 1) as pool:
            list(pool.map(part, starts))
        return out.t()

    # --- sums over the taps -----------------------------------------------------------------------------------

    @property
    def _too_wide(self) -> bool:
        return self.padded.numel() * self.padded.itemsize * self.method.taps > SPLINE_BYTES

    def _by_taps(self, positions: Tensor, first: int, last: int) -> Tensor:
        """Σ over all taps, looked up one by one: differentiable in the coefficients, too."""
        known = self._known[..., first:last]
        flat = known.reshape(-1, last - first)
        index, weight = positions.new_zeros(len(positions), 1, dtype=torch.long), None
        for axis in range(self.dim):
            each, own = self._taps(positions[:, axis], axis)
            index = index[..., None] * known.shape[axis] + each[:, None, :]
            index = index.flatten(1)
            weight = own if weight is None else (weight[..., None] * own[:, None, :]).flatten(1)
        assert weight is not None
        found = flat.index_select(0, index.flatten()).reshape(index.shape[0], -1)
        return summed(found, weight, last - first)

    def _runs(self) -> Tensor:
        """All runs of samples that a point needs, overlapping in memory: (starts, run)."""
        taps, maps = self.method.taps, self.padded.shape[-1]
        if self._wide is None:
            source = self.padded
            if self.dim > 1:
                axis = self.dim - 2
                count = source.shape[axis] - taps + 1
                moved = [source.narrow(axis, k, count) for k in range(taps)]
                source = torch.stack(moved, dim=-2)
            self._wide = source.contiguous()
        step = maps * (taps if self.dim > 1 else 1)
        starts = self._wide.numel() // step - taps + 1
        return self._wide.as_strided((starts, step * taps), (step, 1))

    def _by_runs(self, positions: Tensor) -> Tensor:
        """Σ over all taps, those of the last two axes looked up as one run."""
        taps, maps, count = self.method.taps, self.padded.shape[-1], len(positions)
        found = [self.folded(p, axis) for axis, p in enumerate(positions.t().contiguous())]
        runs = self._runs()
        if self.dim == 1:
            (index, weight), *_ = found
            block = runs.index_select(0, index).reshape(count, taps, maps)
            return torch.einsum("qbn,qb->qn", block, weight)
        *front, (row, row_weight), (column, column_weight) = found
        shape = self.padded.shape
        rows = shape[self.dim - 2] - taps + 1
        weight = (column_weight[:, :, None] * row_weight[:, None, :]).flatten(1)
        total = None
        for offsets in itertools.product(range(taps), repeat=len(front)):
            start = row
            for (index, _), k in zip(front, offsets, strict=True):
                start = start + (index + k) * rows
            block = runs.index_select(0, start * shape[self.dim - 1] + column)
            part = summed(block, weight, maps)
            for (_, own), k in zip(front, offsets, strict=True):
                part = part * own[:, k, None]
            total = part if total is None else total + part
        assert total is not None
        return total


def summed(block: Tensor, weight: Tensor, maps: int) -> Tensor:
    """Σ_k block[q, k·maps + n] weight[q, k], as (q, maps)."""
    if maps == 1:
        return (block * weight).sum(-1, keepdim=True)
    return torch.einsum("qkn,qk->qn", block.reshape(len(block), -1, maps), weight)
