"""Comoving: any torch model, seen from the input's own comoving grid, hence equivariant to every real translation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from torch import Tensor, nn

from discretize import Grid, Samples
from discretize.origins import Phase, Predictor
from discretize.promises import LowConfidence as LowConfidence
from discretize.promises import (
    confidence_bound,
    handling,
    warn_of_confidence,
    warn_of_nyquist,
)
from discretize.subsampling.comoving import comoved
from discretize.trigonometric import below, resampled
from fields import arguments, checks
from fields.interpolation.fourier import phase


class Comoving(nn.Module):
    """Resample the input to a grid that moves along with it, then apply a module.

    x ─▶ Φ(x), confidence ─▶ y[k] = x(Φ + k), the trigonometric interpolant ─▶ module(y)

    Parameters
    ----------
    module : nn.Module
        On tensors (batch, c, X1, …, Xd), d = 1, 2 or 3.
    stride : int or sequence of int, optional
        None: Φ modulo the whole period, and any module whatever. s: Φ modulo s samples, for modules that commute with
        circular shifts by s, which then roll their output where Φ passes s; s divides the input's sizes.
    moved_back : bool
        Resample outputs with as many axes as the input, (batch, c', Y1, …, Yd), to the input's frame, as the
        trigonometric polynomial through them, with Y_i dividing X_i or X_i dividing Y_i; in tuples, lists, dicts and
        dataclasses each of them. Their wave at Nyquist, of which no array holds all translates, is left out. Other
        outputs, invariants and labels, stay as they are.
    predictor : Predictor, optional
        Of Φ: `origins.Phase("strongest")` unless given.
    bound : float, optional
        Confidence below which the promise isn't made: √eps of the input's dtype, 1.5e-8 or 3.5e-4, unless given.
    nyquist : {"keep", "drop"}, optional
        "drop" leaves the input's waves at Nyquist out first: no array holds all their translates. "keep" says that they
        are meant. Unless given they are kept, with a warning.

    Warns
    -----
    AliasingWarning
        Where more than 1e-8 of the input's energy (2e-6 in float32) lies at Nyquist: with its share.
    LowConfidence
        Where the confidence is below the bound.

    Notes
    -----
    Promise: x periodic, with waves strictly below Nyquist, t any real circular translation, every confidence c above
    the bound. Then module(y) stays as it was (for stride=s up to a roll), moved-back outputs move by t exactly, and
    the origin moves by t; all up to a relative error of about L·eps/c, L the samples per period, times the module's own
    sensitivity. Zero padding in the module is fine for stride=None, since its frame is the input's own.

    Below the bound (an input with a translational symmetry of its own, a constant, say) it warns, LowConfidence, and
    returns the confidence: results are those of some frame, without any claim. Gradients flow through the frame, and
    are cut off where the confidence is below 1e-6.

    Examples
    --------
    >>> import torch
    >>> from discretize import Grid, sample
    >>> from equivariance import Comoving
    >>> from fields import random_bandlimited
    >>> F = random_bandlimited(1, 1, bandlimit=0.4, period=16.0, seed=0)
    >>> model = Comoving(torch.nn.Sequential(torch.nn.MaxPool1d(2), torch.nn.ReLU()))
    >>> (y, a, _), (z, b, _) = (model(sample(F.translate([t]), Grid(16, 1.0)).values[None]) for t in (0.0, 0.7))
    >>> bool((y - z).abs().max() < 1e-12), round(float((b - a) % 16.0), 9)
    (True, 0.7)
    """

    def __init__(
        self,
        module: nn.Module,
        stride: Any | None = None,
        moved_back: bool = False,
        predictor: Predictor | None = None,
        bound: float | None = None,
        nyquist: str | None = None,
    ) -> None:
        super().__init__()
        self.module = arguments.function(module, "module", "tensors (batch, c, X1, …, Xd)")
        self.stride = None if stride is None else checks.counts(stride, "stride")
        self.moved_back = arguments.flag(moved_back, "moved_back")
        given = Phase("strongest") if predictor is None else predictor
        self.predictor = arguments.function(given, "predictor", "a feature map and a modulus")
        self.bound, self.nyquist = confidence_bound(bound), handling(nyquist)

    def extra_repr(self) -> str:
        """The stride."""
        return f"stride={self.stride}, moved_back={self.moved_back}"

    def forward(self, x: Tensor) -> tuple[Any, Tensor, Tensor]:
        """Output, origin and confidence.

        Parameters
        ----------
        x : Tensor, shape (batch, c, X1, …, Xd)

        Returns
        -------
        output
            Of the module, or moved back.
        origin : Tensor, shape (batch, d), float64
            Φ, in samples: where the frame of the output begins.
        confidence : Tensor, shape (batch, d), float64
        """
        f = _as_samples(x)
        strides = (1,) * f.dim
        modulus = None
        if self.stride is not None:
            modulus = checks.integers(self.stride, f.dim, "stride")
        values, origin, confidence, share = comoved(
            f, strides, self.predictor, modulus or f.grid.extent, nyquist=self.nyquist
        )
        warn_of_nyquist(share, x.dtype, stacklevel=4)
        unkept = "equivariance is not promised for them"
        warn_of_confidence(confidence, x.dtype, self.bound, unkept, stacklevel=4)
        output = self.module(values)
        if self.moved_back:
            output = _each_map(output, x.ndim, lambda y: moved_back(y, origin, f.grid.shape))
        return output, origin, confidence


def _each_map(output: Any, ndim: int, move: Callable[[Tensor], Tensor]) -> Any:
    """The output, its maps (batch, c', Y1, …, Yd) moved, in nested tuples, lists, dicts and dataclasses."""

    def again(value: Any) -> Any:
        return _each_map(value, ndim, move)

    if isinstance(output, Tensor):
        return move(output) if output.ndim == ndim and output.is_floating_point() else output
    if is_dataclass(output) and not isinstance(output, type):
        return replace(output, **{f.name: again(getattr(output, f.name)) for f in fields(output)})
    if isinstance(output, Mapping):
        return {name: again(value) for name, value in output.items()}
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return type(output)(*map(again, output))
    return type(output)(map(again, output)) if type(output) in (list, tuple) else output


def _as_samples(x: Any) -> Samples:
    if not isinstance(x, Tensor) or not x.is_floating_point() or not 3 <= x.ndim <= 5:
        got = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"expected a real tensor (batch, c, X1, …, Xd), d = 1, 2 or 3, got {got}")
    if 0 in x.shape:
        raise ValueError(f"expected a tensor without empty axes, got {tuple(x.shape)}")
    return Samples(x, Grid(x.shape[2:], 1.0))


def moved_back(output: Tensor, origin: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The output (batch, c', Y1, …, Yd) of a frame that begins at `origin`, in the frame that begins at 0."""
    sizes = tuple(output.shape[2:])
    if any(max(n, m) % min(n, m) for n, m in zip(shape, sizes, strict=True)):
        raise ValueError(
            f"an output of sizes {sizes} doesn't lie on the input's grid of shape {shape}, or one that refines it: one "
            "must divide the other"
        )
    steps = origin * origin.new_tensor([m / n for n, m in zip(shape, sizes, strict=True)])

    waves = [
        phase(-steps[:, i], m, True, True) * below(m, m).to(steps.device)
        for i, m in enumerate(sizes)
    ]
    return resampled(output, waves, (1,) * len(sizes))
