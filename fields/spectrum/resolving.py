"""Resolving: how many Fourier coefficients a periodic field takes.

Where its band limit is known, they are those of a discrete Fourier transform of enough samples, exactly; otherwise the
sampling is doubled, axis by axis, until what the spectrum leaves out is small, as in Chebfun (Battles & Trefethen 2004;
Wright et al. 2015 for periodic functions), and the outcome is checked between the samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from fields import arguments, checks, magnitude
from fields.accuracy import BETWEEN, FIRST_SAMPLES, MEMORY_BOUND, SPECTRUM_WORK
from fields.algebra.field import NODES_OF, Field
from fields.arrays import broadcast
from fields.evaluation.evaluation import evaluate
from fields.evaluation.questions import finest
from fields.evaluation.settling import Counts, Settling, attainable
from fields.evaluation.settling import NotResolved as NotResolved
from fields.lattice import Lattice, PerAxis, check_memory
from fields.leaves.interpolated import Interpolated
from fields.spectrum.coefficients import Spectrum, beyond, coarsest, highest_modes, power
from fields.spectrum.coefficients import enough as enough_samples

#: Values of a field on a lattice, (*batch, c, X1, …, Xd).
Evaluator = Callable[[Lattice], Tensor]


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
    least = attainable(0.0, field.dtype)
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
    if field.bandlimit is None:
        check_tolerance(field, rtol)
    start = torch.zeros(field.dim, dtype=torch.float64) if origin is None else origin
    run = _Resolving(field, period, start.to(field.device), rtol, memory, values)
    found, error, _ = run.settle()
    assert found is not None  # where an axis is rough there is an error, too
    return found if field.bandlimit is not None else replace(found, tail=error)


class _Resolving(Settling[Counts, Spectrum | None]):
    """Samples of one field over a period, and what of their spectrum counts."""

    enough = most = 1
    cures = "a smoother nonlinearity (GELU, softplus, tanh), layers with fewer nodes, "

    def __init__(
        self,
        field: Field,
        period: PerAxis,
        origin: Tensor,
        rtol: float,
        memory: int,
        values: Evaluator | None,
    ) -> None:
        super().__init__(rtol, field.dtype)
        self.field, self.origin, self.memory = field, origin, memory
        self.given, self.period = period, tuple(p or 1.0 for p in period)
        self.values = values or (lambda lattice: evaluate(field, lattice, None, memory))
        batch = broadcast(field.batch, origin.shape[:-1])
        self.each = math.prod(batch) * field.channels * field.itemsize * SPECTRUM_WORK
        #: Per axis: energy beyond Nyquist, and by how much that of the last octaves shrank; and what both leave in L2.
        self.unseen, self.rates, self.tail = [0.0] * field.dim, [math.nan] * field.dim, math.inf
        self.before = self.rates

    @property
    def budget(self) -> float:
        """Energy that may be left out beyond every axis' Nyquist."""
        return (0.9 * self.rtol) ** 2 / self.field.dim

    def steps(self) -> Iterator[Counts]:
        if self.field.bandlimit is not None:
            yield tuple(map(enough_samples, highest_modes(self.field.bandlimit, self.given)))
        counts = _first_counts(self.field, self.given, self.rtol)
        while True:
            yield counts
            rough = self._rough() or range(len(counts))
            counts = tuple(2 * n if i in rough and n > 1 else n for i, n in enumerate(counts))

    def _rough(self) -> list[int]:
        """Axes on which the samples tell too little."""
        return [i for i, u in enumerate(self.unseen) if 8 * u > self.budget]

    def value(self, step: Counts) -> Spectrum | None:
        values, dim = self._sampled(step), self.field.dim
        if self.field.bandlimit is not None:
            return self._coefficients(values, highest_modes(self.field.bandlimit, self.given), 0.0)
        unit = magnitude.unit(values, range(-dim - 1, 0))
        full = power(
            torch.fft.fftn(values.detach() / unit, dim=tuple(range(-dim, 0)), norm="forward")
        )
        seen = [_octaves(beyond(full, i, dim, False)) for i in range(dim)]
        floor = (16 * torch.finfo(self.field.dtype).eps) ** 2
        self.unseen = [_unseen(last, before, floor) for last, before in seen]
        pairs = zip(self.unseen, seen, strict=True)
        self.tail = math.sqrt(sum(2 * min(u, last) for u, (last, _) in pairs))
        self.before, self.rates = self.rates, [a / b if b else math.inf for a, b in seen]
        if self._rough():
            return None
        highest, left = coarsest(full, dim, False, dim * self.budget - 2 * sum(self.unseen))
        self.tail = math.sqrt(left + 2 * sum(self.unseen))
        return self._coefficients(values, highest, self.tail)

    def error(self, known: Sequence[tuple[Counts, Spectrum | None]]) -> float:
        found = known[-1][1]
        return math.inf if found is None else found.tail

    def reached(self, error: float) -> float:
        return self.tail if math.isinf(error) else error

    def hidden(self, step: Counts, value: Spectrum | None) -> float:
        """Relative L2 error of the trigonometric polynomial, measured between the samples."""
        if value is None or self.field.bandlimit is not None:
            return 0.0
        axes = tuple(range(-value.dim - 1, 0))
        with torch.no_grad():
            truth = self._sampled(step, BETWEEN).double()
            error = magnitude.norm(value.values(step, BETWEEN).double() - truth, 2, axes)
            scale = magnitude.norm(truth, 2, axes)
        return float((error / torch.where(scale > 0, scale, 1.0)).amax())

    def hopeless(self, step: Counts, error: float) -> str:
        """Where a spectrum falls off by powers, steadily, and too slowly for the memory there is.

        Twice the order seen is granted to what remains.
        """
        rough = self._rough()
        further = math.log2(self.memory / self._bytes(step)) / max(1, len(rough))
        for i in rough:
            old, new = self.before[i], self.rates[i]
            steady = 0 < new < 0.5 and 0 < old < 1 and math.log(new) > 1.5 * math.log(old)
            gained = new ** (2 * max(0, math.floor(further)))
            if steady and 8 * self.unseen[i] * gained > self.budget:
                more = math.log(8 * self.unseen[i] / self.budget) / -math.log(new)
                return (
                    f"it falls off by the power {-math.log2(new) / 2:.1f} of their number only: axis {i + 1} would "
                    f"need about {step[i] * 2**more:.0e}"
                )
        return ""

    def _bytes(self, counts: Counts) -> int:
        """Memory at work for that many samples per axis."""
        needed: int = self.each * math.prod(counts)
        return needed

    def _sampled(self, counts: Counts, shift: float = 0.0) -> Tensor:
        """Values on that many points per period, from `shift` spacings after the origin on."""
        check_memory(self._bytes(counts), self.memory, " with their spectrum")
        spacing = tuple(p / n for p, n in zip(self.period, counts, strict=True))
        origin = self.origin + shift * self.origin.new_tensor(spacing)
        values = self.values(Lattice(origin, spacing, counts))
        if not checks.all_finite(values):
            raise ValueError("the field isn't finite everywhere: it has no spectrum")
        return values

    def _coefficients(self, values: Tensor, highest: Sequence[int], tail: float) -> Spectrum:
        """The modes up to `highest` of the samples."""
        dim = self.field.dim
        full = torch.fft.fftn(values, dim=tuple(range(-dim, 0)), norm="forward")
        for i, k in enumerate(highest):
            index = torch.arange(-k, k + 1, device=full.device) % full.shape[i - dim]
            full = full.index_select(i - dim, index)
        return Spectrum(full, self.origin, self.period, tail)


def _first_counts(field: Field, period: PerAxis, rtol: float) -> Counts:
    """Twice the samples that the waves of the leaves need."""
    known = (2 * enough_samples(k) if k else 1 for k in highest_modes(finest(field, rtol), period))
    return tuple(max(FIRST_SAMPLES if p else 1, n) for p, n in zip(period, known, strict=True))


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


NODES_OF["resolve"] = resolve
