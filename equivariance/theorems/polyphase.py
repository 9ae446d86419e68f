"""What a stride does to the cosets: polyphase components, and how translations permute them.

A stride s keeps the samples of one of the s^d cosets p + sZ^d. A translation by t carries the coset p − t into p: it
permutes the components, and rolls each. So a stride commutes with t exactly where the permutation leaves its coset in
place, t ∈ sZ^d.

Vaidyanathan, "Multirate Systems and Filter Banks", 1993, §4.3; Chaman & Dokmanić, "Truly Shift-Invariant Convolutional
Neural Networks", CVPR 2021, choose among the components.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch

from discretize import Samples
from discretize.grid import divides
from discretize.polyphase import kept
from fields import checks

#: Phase of a coset: one integer per axis, 0 ≤ phase < stride.
Phase = tuple[int, ...]


def polyphase(f: Samples, s: Any) -> dict[Phase, Samples]:
    """The polyphase components x_p[k] = f[p + s·k], each on its own grid.

    Parameters
    ----------
    f : Samples
    s : int or sequence of int
        It divides the shape of a periodic grid.

    Returns
    -------
    dict
        Phase p, a tuple of d integers 0 ≤ p < s, in row-major order, to Samples on `f.grid.stride(s, p)`.

    Examples
    --------
    >>> import torch
    >>> from discretize import Grid, Samples
    >>> from equivariance import polyphase
    >>> parts = polyphase(Samples(torch.arange(6.0)[None], Grid(6, 1.0)), 2)
    >>> {p: part.values.tolist() for p, part in parts.items()}
    {(0,): [[0.0, 2.0, 4.0]], (1,): [[1.0, 3.0, 5.0]]}
    """
    if not isinstance(f, Samples):
        raise TypeError(
            f"expected Samples, got {type(f).__name__}: a Field has no phases, sample it first"
        )
    strides = checks.integers(s, f.dim, "stride")
    divides(strides, f.grid.shape, f.grid.boundary)
    phases = itertools.product(*map(range, strides))
    return {phase: kept(f, strides, torch.tensor(phase)) for phase in phases}


def polyphase_action(s: Any, t: Any) -> dict[Phase, tuple[Phase, tuple[int, ...]]]:
    """How a translation of a periodic array by t samples acts on its polyphase components.

    x_p(t▷f) = roll(x_q(f), r) with q = (p − t) mod s and r = (t + q − p)/s.

    Parameters
    ----------
    s : int or sequence of int
        One integer per axis where `t` has several.
    t : int or sequence of int

    Returns
    -------
    dict
        Phase p to (q, r): the component that becomes x_p, and how many coarse samples it is rolled by per axis.

    Examples
    --------
    >>> from equivariance import polyphase_action
    >>> polyphase_action(2, 3)
    {(0,): ((1,), (2,)), (1,): ((0,), (1,))}
    """
    dim = max(1, len(t)) if hasattr(t, "__len__") else 1
    strides = checks.integers(s, dim, "stride")
    steps = checks.per_axis(t, dim, "translation t")
    if any(step != round(step) for step in steps):
        raise ValueError(
            f"only whole samples permute polyphase components, got a translation by {t!r}"
        )
    moves = [round(step) for step in steps]
    action = {}
    for phase in itertools.product(*map(range, strides)):
        source = tuple((p - m) % q for p, m, q in zip(phase, moves, strides, strict=True))
        rolls = tuple(
            (m + a - p) // q for m, a, p, q in zip(moves, source, phase, strides, strict=True)
        )
        action[phase] = source, rolls
    return action
