"""Conditions of what comoving grids promise, tested: waves at Nyquist, and origins that are unknown."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from discretize.accuracy import NYQUIST
from discretize.spectrum import AliasingWarning
from fields import arguments, checks, magnitude

#: What to do with waves at Nyquist.
KEEP, DROP = "keep", "drop"


class LowConfidence(UserWarning):
    """The origin of an input is known too badly for what a comoving grid promises."""


def _at_nyquist(values: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The wave (−1)^i of an axis, and its amplitudes in values (n, c, X1, …, Xd)."""
    size = values.shape[axis]
    signs = 1 - 2 * (torch.arange(size, device=values.device) % 2).to(values.dtype)
    signs = signs.reshape(-1, *(1,) * (-1 - axis))
    return signs, (values * signs).mean(axis, keepdim=True)


def without_nyquist(values: Tensor, dim: int) -> Tensor:
    """Values (n, c, X1, …, Xd) without their waves at Nyquist."""
    for axis in range(-dim, 0):
        if values.shape[axis] % 2 == 0:
            wave, amplitude = _at_nyquist(values, axis)
            values = values - wave * amplitude
    return values


def nyquist_share(values: Tensor, dim: int) -> Tensor:
    """Energy of waves at Nyquist in values (n, c, X1, …, Xd), as a part of all: (n,)."""
    values = values.detach()
    values = values / magnitude.unit(values, range(-dim - 1, 0))
    rest = without_nyquist(values, dim)
    total = values.flatten(1).double().square().sum(-1)
    return (values - rest).flatten(1).double().square().sum(-1) / torch.where(total > 0, total, 1.0)


def handling(nyquist: str | None) -> str | None:
    """What to do with waves at Nyquist, checked."""
    return None if nyquist is None else arguments.choice(nyquist, "nyquist", (KEEP, DROP))


def confidence_bound(bound: float | None) -> float | None:
    """The confidence below which to warn, checked; 0 never warns."""
    if bound is None or (isinstance(bound, int | float) and bound == 0):
        return bound
    return checks.positive(bound, 1, "bound")[0]


def warn_of_nyquist(share: Tensor | None, dtype: torch.dtype, stacklevel: int) -> None:
    """Warn where more of the energy than rounding lies in waves at Nyquist."""
    if share is None or not bool((share > max(NYQUIST, 16 * torch.finfo(dtype).eps)).any()):
        return
    warnings.warn(
        f"{100 * float(share.max()):.2g} % of the input's energy lies in waves at Nyquist, of which no array holds all "
        "translates: the output moves along only up to about the square root of that share. Leave them out by "
        "nyquist='drop', or take a finer grid; nyquist='keep' says that they are meant",
        AliasingWarning,
        stacklevel=stacklevel + 1,
    )


def warn_of_confidence(
    confidence: Tensor, dtype: torch.dtype, bound: float | None, meaning: str, stacklevel: int
) -> None:
    """Warn where confidences (*batch, d) are below a bound, √eps unless given."""
    if checks.tracing():
        return
    bound = torch.finfo(dtype).eps ** 0.5 if bound is None else bound
    low = (confidence.detach() < bound).any(-1)
    if bool(low.any()):
        warnings.warn(
            f"{int(low.sum())} of {low.numel()} inputs have no certain origin: the confidence is "
            f"{float(confidence.detach().min()):.1e}, below {bound:.1e}; {meaning}",
            LowConfidence,
            stacklevel=stacklevel + 1,
        )
