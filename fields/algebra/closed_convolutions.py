"""Convolutions in closed form: fields that are worked out of what field and kernel hold, whenever they are asked."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fields import checks
from fields.algebra import closed_forms
from fields.algebra.field import FORMS, Field
from fields.evaluation import questions
from fields.evaluation.evaluation import evaluate
from fields.evaluation.plan import Task
from fields.evaluation.questions import Answer, held, question, walk
from fields.kept import Kept, keeps
from fields.kernels.kernel import MatrixKernel
from fields.kernels.window import Window
from fields.lattice import PerAxis

#: What a field or a kernel holds and doesn't depend on: what follows from the rest, and what tells translations apart.
BESIDES = ("_kept", "_given")
#: What has no tensors in it.
PLAIN = (int, float, str, bytes, type, type(None), torch.dtype, torch.device)
#: What is looked into.
KERNELS = (MatrixKernel, Window)


class Blurred(Field):
    """K*F for a linear combination F of leaves, of which the kernel makes other leaves.

    What K*F is at present, it is to the outside, too: that of Gaussians is an instance of `Gaussians`, with centers.
    """

    def __init__(self, original: Field, kernel: MatrixKernel) -> None:
        self.original: Field = original
        self.kernel, self._kept = kernel, Kept()
        below = self._below()
        # What doesn't depend on numbers is told by whatever those below were last.
        last = [node._kept.last("now") for node in _blurred(below)]
        with torch.no_grad():
            now, _ = self._look() if None in last else self._made(below, last)
        self.dim, self.channels, self.batch = now.dim, now.channels, now.batch
        self.dtype, self.device, self.weak = now.dtype, now.device, now.weak
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
        return self._look()[0]

    @question
    def _look(self) -> Answer[tuple[Field, bool]]:
        """What it is at present, and whether that is kept: those below first, each of them once."""
        below, known, kept = self._below(), list[Field](), True
        for node in _blurred(below):
            now, same = yield node, "_look"
            known.append(now)
            kept = kept and same
        return self._made(below, known, kept)

    def _below(self) -> list[Field]:
        """The nodes that it depends on by itself, down to other convolutions in closed form."""

        def further(node: Field) -> Sequence[Field]:
            return () if isinstance(node, Blurred) else held(node)

        return [*walk(self.original, further)]

    def _made(
        self, below: list[Field], known: list[Field], keep: bool = True
    ) -> tuple[Field, bool]:
        """What it is, and whether that is kept, where convolutions below are what is known of them."""
        present = dict[Field, Field](zip(_blurred(below), known, strict=True))

        def make(*_: Tensor) -> Field:
            found = closed_forms.convolution(self.original, self.kernel, present)
            if found is None:  # never later on: nothing that a tensor holds decides on it
                raise Unknown
            return found

        own = (node for node in below if not isinstance(node, Blurred))
        tensors = _made_of([self.kernel, *own])
        if tensors is None or not (keep and keeps(tensors)):
            return make(), False
        return self._kept.of("now", tensors, make, known), True

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
        return questions.finest(self.now, rtol)

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


def _blurred(nodes: list[Field]) -> list[Blurred]:
    return [node for node in nodes if isinstance(node, Blurred)]


def _made_of(things: list[Any]) -> list[Tensor] | None:
    """The tensors that fields themselves or kernels hold; None where they may depend on others, as functions do."""
    found: dict[int, Tensor] = {}
    parts = [part for thing in things for part in _parts(thing)]
    for part in parts:  # which grow
        if isinstance(part, PLAIN):
            continue
        if isinstance(part, Tensor):
            found[id(part)] = part
        elif isinstance(part, tuple | list):
            parts += part
        elif isinstance(part, dict):
            parts += part.values()
        elif isinstance(part, functools.partial):
            parts += part.args
        elif isinstance(part, KERNELS):
            parts += _parts(part)
        elif not isinstance(part, Field):  # which is asked itself
            return None
    return [*found.values()]


def _parts(thing: Any) -> list[Any]:
    """What a field or a kernel holds, a kernel with what the fields that it is made of hold."""
    own = [value for name, value in vars(thing).items() if name not in BESIDES]
    if not isinstance(thing, KERNELS):
        return own
    fields = [node for part in own if isinstance(part, Field) for node in walk(part, held)]
    return [*own, *(part for node in fields for part in _parts(node))]


FORMS["convolve"] = blurred
