"""Resolving: how many Fourier coefficients a periodic field takes.

Where its band limit is known, they are those of a discrete Fourier transform of enough samples, exactly; otherwise the
sampling is doubled, axis by axis, until what the spectrum leaves out is small, as in Chebfun (Battles & Trefethen 2004;
Wright et al. 2015 for periodic functions), and the outcome is checked between the samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from fields import arguments, checks, magnitude
from fields.bands import finest
from fields.broadcasting import broadcast
from fields.evaluation import MEMORY_BOUND, evaluate
from fields.field import Field, PerAxis
from fields.interpolated import Interpolated
from fields.lattice import BETWEEN, Lattice, LatticeTooLarge
from fields.spectral import Spectrum, beyond, coarsest, enough, highest_modes, power

#: Values of a field on a lattice, (*batch, c, X1, …, Xd).
Evaluator = Callable[[Lattice], Tensor]
#: Values, spectrum and its energy: bytes at work per byte of values.
WORK = 6
#: Samples per period to begin with, where nothing is known of the band.
FIRST = 32


class NotResolved(ValueError):
    """A tolerance can't be met within the memory bound; says what was reached and what would help.

    Attributes
    ----------
    tail : float or None
        The relative error reached, where it is known.
    """

    def __init__(self, message: str, tail: float | None = None) -> None:
        super().__init__(message)
        self.tail = tail


def resolve(field: Field, rtol: float, memory: int = MEMORY_BOUND) -> Interpolated:
    """Find the coarsest band-limited field within `rtol` of a periodic one; see `Field.resolve`."""
    period = field.period
    if period is None:
        raise ValueError(
            "only a periodic field can be resolved, and this one has no period that is known: "
            "sum its images by field.periodize(period), or sample it on a grid"
        )
    memory = arguments.size(memory)
    check_tolerance(field, rtol)
    found = spectrum(field, period, rtol, memory)
    return (found.truncated(rtol) if field.bandlimit is not None else found).field()


def check_tolerance(field: Field, rtol: float) -> None:
    """Raise where a tolerance is below what rounding leaves, or no tolerance."""
    (rtol,) = checks.per_axis(rtol, 1, "rtol")
    least = 64 * torch.finfo(field.dtype).eps
    if not least <= rtol < 1:
        raise ValueError(
            f"rtol must lie between {least:.1e}, 64 times the rounding of {field.dtype}, and 1, got {rtol}"
        )


def spectrum(
    field: Field,
    period: PerAxis,
    rtol: float,
    memory: int = MEMORY_BOUND,
    values: Evaluator | None = None,
    origin: Tensor | None = None,
) -> Spectrum:
    """Fourier coefficients of a field of a known period: all of them, or, without a band limit, all but `rtol`.

    Parameters
    ----------
    field : Field
    period : tuple of float
        A period of the field, in length units; 0 along an axis on which it doesn't depend.
    rtol : float
        Bound on what is left out, relative, in L2, per element of a batch; unused where the band limit is known.
    memory : int
        Bound on the values alive at once, in bytes.
    values : callable, optional
        How the field is evaluated on a lattice; by its own nodes unless given.
    origin : Tensor, shape (d,) or (*batch, d), optional
        The point that phases count from; 0 unless given.

    Raises
    ------
    NotResolved
        Where memory doesn't suffice: it says how large a tail is left.
    """
    lengths = tuple(p or 1.0 for p in period)
    start = torch.zeros(field.dim, dtype=torch.float64) if origin is None else origin
    start = start.to(field.device)
    run = _Sampling(field, lengths, start, memory, values)
    if field.bandlimit is not None:
        modes = highest_modes(field.bandlimit, period)
        return run.coefficients(run.sampled([enough(k) for k in modes], math.nan), modes, 0.0)
    check_tolerance(field, rtol)
    return _measured(run, period, rtol)


class _Sampling:
    """Samples of one field over a period, within a memory bound."""

    def __init__(
        self,
        field: Field,
        period: PerAxis,
        origin: Tensor,
        memory: int,
        values: Evaluator | None,
    ) -> None:
        self.field, self.period, self.origin, self.memory = field, period, origin, memory
        self.values = values or (lambda lattice: evaluate(field, lattice, None, memory))
        batch = broadcast(field.batch, origin.shape[:-1])
        self.each = math.prod(batch) * field.channels * field.itemsize * WORK

    def bytes(self, counts: Sequence[int]) -> int:
        """Memory at work for that many samples per axis."""
        needed: int = self.each * math.prod(counts)
        return needed

    def sampled(self, counts: Sequence[int], tail: float, shift: float = 0.0) -> Tensor:
        """Values on that many points per period, from `shift` spacings after the origin on."""
        needed = self.bytes(counts)
        if needed > self.memory:
            said = f" and leaves a tail of {tail:.1e} (relative, L2) with half as many" * (tail > 0)
            raise NotResolved(
                f"this field needs {' × '.join(map(str, counts))} samples over its period, "
                f"{needed / 2**20:.0f} MiB with their spectrum{said}; the bound is {self.memory / 2**20:.0f} MiB. "
                "What helps: a larger rtol, a smoother nonlinearity, a larger memory=…",
                tail if tail > 0 else None,
            )
        spacing = tuple(p / n for p, n in zip(self.period, counts, strict=True))
        origin = self.origin + shift * self.origin.new_tensor(spacing)
        try:
            values = self.values(Lattice(origin, spacing, tuple(counts)))
        except LatticeTooLarge as error:
            raise NotResolved(
                f"this field can't be resolved: {error}. What helps: layers with fewer nodes, a larger memory=…",
                tail if tail > 0 else None,
            ) from error
        if not checks.all_finite(values):
            raise ValueError("the field isn't finite everywhere: it has no spectrum")
        return values

    def coefficients(self, values: Tensor, highest: Sequence[int], tail: float) -> Spectrum:
        """The modes up to `highest` of the samples."""
        dim = self.field.dim
        full = torch.fft.fftn(values, dim=tuple(range(-dim, 0)), norm="forward")
        for i, k in enumerate(highest):
            index = torch.arange(-k, k + 1, device=full.device) % full.shape[i - dim]
            full = full.index_select(i - dim, index)
        return Spectrum(full, self.origin, self.period, tail)


def _measured(run: _Sampling, period: PerAxis, rtol: float) -> Spectrum:
    dim = len(period)
    counts = _first_counts(run.field, period, rtol)
    budget = (0.9 * rtol) ** 2 / dim
    floor = (16 * torch.finfo(run.field.dtype).eps) ** 2
    rates: list[float] = [math.nan] * dim
    reached = 0.0
    while True:
        values = run.sampled(counts, reached)
        scaled = values.detach() / magnitude.unit(values, range(-dim - 1, 0))
        full = power(torch.fft.fftn(scaled, dim=tuple(range(-dim, 0)), norm="forward"))
        tails = [beyond(full, i, dim, False) for i in range(dim)]
        seen = [_octaves(t) for t in tails]
        unseen = [_unseen(last, before, floor) for last, before in seen]
        rough = [i for i, u in enumerate(unseen) if 8 * u > budget]
        reached = math.sqrt(
            sum(2 * min(u, last) for u, (last, _) in zip(unseen, seen, strict=True))
        )
        if not rough:
            highest, left = coarsest(full, dim, False, dim * budget - 2 * sum(unseen))
            tail = math.sqrt(left + 2 * sum(unseen))
            found = run.coefficients(values, highest, tail)
            error = _error_between(run, found, counts)
            if error <= rtol:
                return replace(found, tail=max(tail, error))
            rough, reached = [i for i, n in enumerate(counts) if n > 1], error
        else:
            new = [last / before if before else math.inf for last, before in seen]
            _check_hope(run, counts, rough, unseen, (rates, new), rtol, budget, reached)
            rates = new
        counts = [2 * n if i in rough else n for i, n in enumerate(counts)]


def _first_counts(field: Field, period: PerAxis, rtol: float) -> list[int]:
    """Twice the samples that the waves of the leaves need."""
    known = (2 * enough(k) if k else 1 for k in highest_modes(finest(field, rtol), period))
    return [max(FIRST if p else 1, n) for p, n in zip(period, known, strict=True)]


def _octaves(tails: list[float]) -> tuple[float, float]:
    """Energy of the last octave that the samples show, and of the one before."""
    top = len(tails) - 1
    last = tails[top // 2]
    return last, tails[top // 4] - last


def _unseen(last: float, before: float, floor: float) -> float:
    """Energy beyond the samples' Nyquist if octaves go on to shrink as the last two did; by 16 at most."""
    if last <= floor:
        return last
    rate = max(last / before, 1 / 16) if before > 0 else math.inf
    return last * rate / (1 - rate) if rate < 0.5 else math.inf


def _error_between(run: _Sampling, found: Spectrum, counts: list[int]) -> float:
    """Relative L2 error of the trigonometric polynomial, measured between the samples."""
    axes = tuple(range(-found.dim - 1, 0))
    with torch.no_grad():
        truth = run.sampled(counts, found.tail, BETWEEN).double()
        error = magnitude.norm(found.values(counts, BETWEEN).double() - truth, 2, axes)
        scale = magnitude.norm(truth, 2, axes)
    return float((error / torch.where(scale > 0, scale, 1.0)).amax())


def _check_hope(
    run: _Sampling,
    counts: list[int],
    rough: list[int],
    unseen: list[float],
    rates: tuple[list[float], list[float]],
    rtol: float,
    budget: float,
    reached: float,
) -> None:
    """Raise where a spectrum falls off by powers, steadily, and too slowly for the memory there is.

    Twice the order seen is granted to what remains.
    """
    doublings = max(0, math.floor(math.log2(run.memory / run.bytes(counts)) / len(rough)))
    for i in rough:
        old, new = rates[0][i], rates[1][i]
        steady = 0 < new < 0.5 and old < 1 and math.log(new) > 1.5 * math.log(old)
        if steady and 8 * unseen[i] * new ** (2 * doublings) > budget:
            more = math.log(8 * unseen[i] / budget) / -math.log(new)
            raise NotResolved(
                f"rtol = {rtol:g} can't be reached: {' × '.join(map(str, counts))} samples over the period leave a "
                f"tail of {reached:.1e} (relative, L2), which falls off by the power {-math.log2(new) / 2:.1f} of "
                f"their number only: axis {i + 1} would need about {counts[i] * 2**more:.0e}. What helps: a larger "
                "rtol, a smoother nonlinearity (GELU, softplus, tanh), a larger memory=…",
                reached,
            )
