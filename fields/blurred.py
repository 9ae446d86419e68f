"""Convolutions in closed form: fields that are worked out of what field and kernel hold, whenever they are asked."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from fields import bands, checks, closed
from fields.evaluation import evaluate
from fields.field import Field, PerAxis
from fields.kept import Kept
from fields.kernel import MatrixKernel
from fields.linear import Present
from fields.plan import Task
from fields.questions import Answer, held, question, walk
from fields.window import Window

#: What a field or a kernel holds and doesn't depend on: what follows from the rest, and what tells translations apart.
BESIDES = ("_kept", "_given")
#: What has no tensors in it.
PLAIN = (int, float, str, bytes, type, type(None), torch.dtype, torch.device)


class Blurred(Field):
    """K*F for a linear combination F of leaves, of which the kernel makes other leaves.

    What K*F is at present, it is to the outside, too: that of Gaussians is an instance of `Gaussians`, with centers.
    """

    def __init__(self, original: Field, kernel: MatrixKernel) -> None:
        self.original, self.kernel, self._kept = original, kernel, Kept()
        now = self.now
        self.dim, self.channels, self.batch = now.dim, now.channels, now.batch
        self.dtype, self.device = now.dtype, now.device
        self._kind = type(now) if not now.parents else Blurred

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """The kind of field that it is: what `isinstance` asks for besides the type."""
        return self.__dict__.get("_kind", Blurred)

    def __reduce__(self) -> Any:
        return _shell, (), self.__dict__

    def __getattr__(self, name: str) -> Any:
        if "_kind" not in self.__dict__ or name.startswith("__"):
            raise AttributeError(f"a convolution in closed form has no {name!r}")
        return getattr(self.now, name)

    @property
    def now(self) -> Field:
        """What it is at present: a leaf, or a linear combination of leaves."""
        below, tensors = list(walk(self, held)), dict[int, Tensor]()
        for node in below:
            own = _made_of(node)
            if own is None:
                return _made(below)
            tensors |= {id(t): t for t in own}
        found: Field = self._kept.of("now", [*tensors.values()], lambda *_: _made(below))
        return found

    # --- what is known of the function -------------------------------------------------------------------------

    @property
    @question
    def bandlimit(self) -> Answer[PerAxis | None]:  # type: ignore[override]
        """That of F."""
        band: PerAxis | None = yield self.original, "bandlimit"
        return band

    @property
    @question
    def period(self) -> Answer[PerAxis | None]:
        """That of F."""
        period: PerAxis | None = yield self.original, "period"
        return period

    @question
    def is_periodic(self, period: Any) -> Answer[bool]:
        """Whether F is known to repeat."""
        wanted = checks.positive(period, self.dim, "period")
        repeats: bool = yield self.original, "is_periodic", wanted
        return repeats

    def bandwidth(self, rtol: float) -> PerAxis | None:
        """That of what it is at present."""
        return self.now.bandwidth(rtol)

    def support(self, rtol: float) -> tuple[PerAxis, PerAxis] | None:
        """That of what it is at present."""
        return self.now.support(rtol)

    def _finest(self, rtol: float) -> PerAxis | None:
        return bands.finest(self.now, rtol)

    # --- what becomes of it ------------------------------------------------------------------------------------

    def periodize(self, period: Any) -> Field:
        """The sum of its images, as its kind makes it."""
        kind = Field if self._kind is Blurred else self._kind
        return kind.periodize(self, period)

    def _compute(self, task: Task, inputs: list[Tensor]) -> Tensor:
        now, plan = self.now, task.plan
        if not now.parents:
            return now._compute(task, inputs)
        return evaluate(now, task.lattice, plan.node_spacing, plan.memory)

    @property
    def _workspace(self) -> int:
        return 2


def blurred(field: Field, kernel: MatrixKernel) -> Field | None:
    """K*F in closed form, where there is one."""
    try:
        return Blurred(field, kernel)
    except Unknown:
        return None


class Unknown(Exception):
    """No closed form is known."""


def _shell() -> Blurred:
    """What a copy or a pickle is filled into."""
    return Blurred.__new__(Blurred)


def _made(below: list[Field]) -> Field:
    """What the last of some nodes is at present, the others those below it: in their order, whatever their depth."""
    known: Present = {}
    for node in below:
        if type(node) is Blurred:
            assert node.original is not None
            found = closed.convolution(node.original, node.kernel, known)
            if found is None:  # never later on: nothing that a tensor holds decides on it
                raise Unknown
            known[node] = found
    return known[below[-1]]


def _made_of(thing: Any) -> list[Tensor] | None:
    """The tensors that a field itself or a kernel holds; None where it may depend on others, as a function does."""
    found, parts = [], _parts(thing)
    for part in parts:  # which grow
        if isinstance(part, PLAIN):
            continue
        if isinstance(part, Tensor):
            found.append(part)
        elif isinstance(part, tuple | list):
            parts += part
        elif isinstance(part, functools.partial):
            parts += part.args
        elif isinstance(part, MatrixKernel | Window):
            parts += _parts(part)
        elif not isinstance(part, Field):  # which is asked itself
            return None
    return found


def _parts(thing: Any) -> list[Any]:
    return [value for name, value in vars(thing).items() if name not in BESIDES]
