"""Settling: what is taken on finer and finer points until its error is estimated to be within a tolerance.

Sampling, integrals, spectra and global pools differ in what they take, in how they refine, and in what may hide between
their points. The rest is here: how an error is estimated from changes, when it is believed, what rounding leaves, and
what is said where a tolerance is out of reach.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from fields.accuracy import ROUNDING
from fields.lattice import Lattice, LatticeTooLarge
from fields.magnitude import NotFinite

if TYPE_CHECKING:
    from fields.evaluation.node import Node


#: How fine: m of spacings h/m, or numbers of points per axis.
S = TypeVar("S", bound=int | tuple[int, ...])
#: What is taken there.
V = TypeVar("V")
#: Numbers of points per axis; a corner and an extent.
Counts = tuple[int, ...]
Region = tuple[tuple[float, ...], tuple[float, ...]]


class NotResolved(LatticeTooLarge):
    """A tolerance can't be met within the memory bound: a ValueError that says what was reached and what would help.

    Attributes
    ----------
    tail : float or None
        The relative error reached, where it is known.
    """

    def __init__(self, message: str, tail: float | None = None) -> None:
        super().__init__(message)
        self.tail = tail


class Settled(NamedTuple, Generic[S, V]):
    """A value, its estimated relative error, and how fine the points were."""

    value: V
    error: float
    step: S


class Settling(ABC, Generic[S, V]):
    """Abstract: one quantity on its way to a tolerance.

    Parameters
    ----------
    rtol : float
        Below 64 eps of the dtype it stands for that: rounding leaves as much.
    dtype : torch.dtype

    Attributes
    ----------
    enough, most : int
        How many values, the last ones, an estimate takes at least and at most.
    floor : float
        No estimate is less: eps.
    points : str
        What steps per axis are numbers of.
    cures : str
        What helps besides a larger rtol and more memory.
    """

    enough = most = 3
    points, cures = "points", ""

    def __init__(self, rtol: float, dtype: torch.dtype) -> None:
        self.floor, self.rounding = torch.finfo(dtype).eps, attainable(0.0, dtype)
        self.rtol = attainable(rtol, dtype)

    @abstractmethod
    def steps(self) -> Iterator[S]:
        """Finer and finer, without end; every next one may depend on what was found."""

    @abstractmethod
    def value(self, step: S) -> V:
        """What is taken there; raises LatticeTooLarge."""

    def change(self, new: V, old: V) -> float:
        """Relative change of a value."""
        raise NotImplementedError

    def error(self, known: Sequence[tuple[S, V]]) -> float:
        """Relative error of the last of some values, by how far it is from the others."""
        *earlier, (_, last) = known
        return estimated_error(
            [step if isinstance(step, int) else step[0] for step, _ in known],
            [self.change(last, old) for _, old in earlier],
        )

    def hidden(self, step: S, value: V) -> float:
        """Relative error that no change may show, asked for once it counts; raises LatticeTooLarge."""
        return 0.0

    def reached(self, error: float) -> float:
        """What to tell of a value that isn't good enough."""
        return error

    def told(self, step: S, error: float) -> str:
        """That in words."""
        doubt = ", though not safely" * (error <= self.rtol)
        return f"{self._place(step)} the error is estimated as {error:.1e} (relative){doubt}"

    def hopeless(self, step: S, error: float) -> str:
        """Why it is no use to go on, where it isn't."""
        return ""

    def settle(self) -> Settled[S, V]:
        """The first value that is good enough.

        Raises
        ------
        NotResolved
            Where the points don't fit into memory before, or won't.
        NotFinite
            Where values are infinite, or no numbers.
        """
        known: list[tuple[S, V]] = []
        steps, error = self.steps(), math.inf
        while True:
            step = next(steps)
            try:
                value = self.value(step)
                known = [*known, (step, value)][-self.most :]
                if len(known) < self.enough:
                    continue
                error = self.error(known)
                if error <= self.rtol:
                    seen, error = error, math.inf  # nothing is known where what hides can't be
                    error = max(self.hidden(step, value), seen)
            except NotResolved:
                raise
            except LatticeTooLarge as why:
                raise self._refusal(known, error, f"{self._place(step)} {why}") from why
            if math.isnan(error):
                raise NotFinite(
                    "the field isn't finite on this grid of points: it has NaN or infinite values there"
                )
            error = max(error, self.floor)
            if error <= self.rtol:
                return Settled(value, error, step)
            why_not = self.hopeless(step, error)
            if why_not:
                raise self._refusal(known, error, why_not)

    def _place(self, step: S) -> str:
        if isinstance(step, int):
            return f"at refinement {step}"
        return f"with {'×'.join(map(str, step))} {self.points}"

    def _refusal(self, known: Sequence[tuple[S, V]], error: float, why: str) -> NotResolved:
        """Advice that a person can follow."""
        tail, said = None, "no error is known, since"
        reached = self.reached(error)
        if reached < math.inf:
            tail, said = reached, f"{self.told(known[-1][0], reached)}, and"
        return NotResolved(
            f"rtol = {self.rtol:g} can't be reached: {said} {why}. "
            f"What helps: a larger rtol, {self.cures}a larger memory=…",
            tail,
        )


def attainable(rtol: float, dtype: torch.dtype) -> float:
    """The tolerance, or 64 times the rounding of a dtype, which one that is less stands for."""
    return max(rtol, ROUNDING * torch.finfo(dtype).eps)


def estimated_error(steps: Sequence[int], changes: Sequence[float]) -> float:
    """Error that is left at the last of some refinements, from how much the values changed since the others.

    An error C/m^p changes from n to m by C/m^p·((m/n)^p − 1). With p = 1 the larger of the two estimates of it is
    returned: right for a rule of first order, and 2 to 3 times the error for one of second order, as most are here. C
    is erratic where it depends on where rims fall between nodes; for two changes on unlike lattices to be small by
    chance is rare.
    """
    *earlier, last = steps
    return max(c / (last / m - 1) for m, c in zip(earlier, changes, strict=True))


def relative(difference: Tensor, size: Tensor, rounding: float) -> float:
    """The largest of differences (*batch,), relative to sizes (*batch,).

    What rounding may leave of the largest element is no difference of the others: some may be zero but for it.
    """
    difference = (difference - rounding * size.amax()).clamp(min=0)
    return float((difference / torch.where(difference > 0, size, 1.0)).amax())


class Taken(NamedTuple):
    """What is taken over a region, (*batch, …), the size that its errors are relative to, (*batch,), and the points."""

    total: Tensor
    size: Tensor
    lattice: Lattice


class OverRegion(Settling[Counts, Taken]):
    """Abstract: what is taken over a region of a field, on twice as many points per axis every time.

    Where it is smooth, the points tell all from the start, and the last change is trusted. Otherwise three are
    compared, and the points between the last ones.
    """

    def __init__(self, field: Node, region: Region, rtol: float, memory: int, smooth: bool) -> None:
        super().__init__(rtol, field.dtype)
        self.field, self.memory, self.smooth = field, memory, smooth
        self.corner, self.extent = region
        self.enough = self.most = 2 if smooth else 3

    @abstractmethod
    def first(self) -> Counts:
        """Points per axis to begin with."""

    @abstractmethod
    def take(self, lattice: Lattice) -> tuple[Tensor, Tensor]:
        """What is taken on some points, and its size."""

    def steps(self) -> Iterator[Counts]:
        """Doublings."""
        counts = self.first()
        while True:
            yield counts
            counts = tuple(2 * n for n in counts)

    def value(self, step: Counts) -> Taken:
        """What is taken on so many points per axis."""
        spacing = tuple(e / n for e, n in zip(self.extent, step, strict=True))
        lattice = Lattice(torch.tensor(self.corner, dtype=torch.float64), spacing, step)
        return Taken(*self.take(lattice), lattice)

    def change(self, new: Taken, old: Taken) -> float:
        """The largest of an element, relative to its size."""
        lead = new.size.shape
        difference = (new.total - old.total).detach().abs().reshape(*lead, -1).amax(-1)
        return relative(difference, new.size, self.rounding)

    def hidden(self, step: Counts, value: Taken) -> float:
        """How far what is taken between the points is off."""
        if self.smooth:
            return 0.0
        with torch.no_grad():
            return self.change(value, Taken(*self.take(value.lattice.between()), value.lattice))
