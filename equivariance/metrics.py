"""The figures that people publish, under their names and by their definitions.

    relative_l2           ‖Φ(T_t f) − T_t Φ(f)‖ / ‖T_t Φ(f)‖, as `equivariance.equivariance_error`
    crop_consistency      Zhang, ICML 2019: 100 · mean[argmax f(crop₁) = argmax f(crop₂)] over random crops
    roll_consistency      Chaman & Dokmanić, CVPR 2021: the same over random circular rolls
    fractional_consistency    Michaeli et al., CVPR 2023: the same over real circular translations, and mean |Δp|
    eq_t, eq_t_frac       Karras et al., NeurIPS 2021 (StyleGAN3): PSNR in dB over what didn't wrap around
    worst_case            the largest relative L2 error over translations; whether the class stays under all of them
    lie_derivative        Gruver et al., ICLR 2023: in `equivariance.published`

All take any torch model and copy it. Translations of inputs are exact, by bits for whole pixels, as trigonometric
polynomials otherwise: there is no interpolation floor under any of these figures.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from equivariance.measuring.asserting import not_judged
from equivariance.measuring.layer_errors import measure
from equivariance.measuring.measured import own_outputs
from equivariance.measuring.prepared import OF_INPUTS, Subject, outputs, prepare
from equivariance.measuring.rewriting import Rewriting
from equivariance.measuring.sources import LIMIT
from equivariance.measuring.translations import crop as cut
from equivariance.measuring.translations import given_translations, rolled
from equivariance.measuring.watched import run, watchable
from equivariance.published import LieDerivative as LieDerivative
from equivariance.published import eq_t as eq_t
from equivariance.published import eq_t_frac as eq_t_frac
from equivariance.published import lie_derivative as lie_derivative


@dataclass(frozen=True)
class WorstCase:
    """The worst over all translations.

    Attributes
    ----------
    error : Tensor, shape (B,)
        Largest relative L2 error of each input; NaN where it was compared under no translation.
    at : Tensor, shape (B, d)
        The translation, in pixels, where it is reached.
    stays : float
        Per cent of the inputs whose strongest output is the same under all translations; NaN unless outputs are
        (batch, classes).
    """

    error: Tensor
    at: Tensor
    stays: float


@dataclass(frozen=True)
class FractionalConsistency:
    """Classification under real circular translations.

    Attributes
    ----------
    consistency : float
        Per cent of pairs with the same strongest output.
    probability_change : float
        Mean |Δp| of the class that is strongest for the untranslated input, p = softmax of the output.
    """

    consistency: float
    probability_change: float


def relative_l2(
    module: nn.Module,
    inputs: Any,
    translations: Any,
    size: Sequence[int] | None = None,
    **options: Any,
) -> Tensor:
    """Relative L2 error of the output for each translation and input, (T, B): `measure` without the layers.

    Of several outputs the worst, unless `output=` names one. What doesn't depend on the input is warned of.

    Parameters
    ----------
    module, inputs, translations, size, **options
        As for `equivariance.measure`.

    Examples
    --------
    >>> import torch
    >>> from equivariance.metrics import relative_l2
    >>> x = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    >>> relative_l2(torch.nn.ReLU(), x, [[1.0, 3.0]], dtype=torch.float64).tolist()
    [[0.0, 0.0]]
    """
    given = {"layers": "output", "padding": "as is", "probe": False, **options}
    data = measure(module, inputs, translations, size=size, **given)
    if unjudged := not_judged(data):
        warnings.warn(f"the error says nothing: {unjudged}", stacklevel=2)
    error = own_outputs(data)["error"].squeeze("padding").max("layer")
    return torch.from_numpy(error.transpose("translation", "input").to_numpy())


def worst_case(
    module: nn.Module,
    inputs: Any,
    translations: Any,
    size: Sequence[int] | None = None,
    **options: Any,
) -> WorstCase:
    """The worst over translations; arguments as for `relative_l2`."""
    if isinstance(inputs, Iterator):  # two passes over the same inputs
        inputs = list(islice(inputs, options.get("limit", LIMIT)))
    given = {key: options[key] for key in OF_INPUTS if key in options}
    subject = prepare(module, inputs, size, **given)
    t = given_translations(translations, subject.dim)
    errors = relative_l2(module, inputs, translations, size, **options)
    worst, where = errors.nan_to_num(nan=-math.inf).max(0)
    worst = worst.where(worst >= 0, math.nan)
    stays = math.nan
    with Rewriting(subject.dim, "circular" if options.get("padding") == "circular" else None):
        labels = _classes(subject, torch.cat([torch.zeros(1, subject.dim).double(), t]))
    if labels is not None:
        stays = 100 * float((labels == labels[0]).all(0).double().mean())
    return WorstCase(worst, t[where], stays)


def crop_consistency(
    module: nn.Module,
    images: Tensor,
    crop: Sequence[int],
    pairs: int = 8,
    seed: int = 0,
) -> float:
    """Zhang's classification consistency, in per cent.

    Parameters
    ----------
    module : nn.Module
        Outputs (batch, classes).
    images : Tensor, shape (B, c, X1, …, Xd)
        Larger than the crops.
    crop : sequence of int
        Sides of the crops. Their corners are drawn uniformly among all that fit.
    pairs : int
        Pairs of crops of each image.
    seed : int

    Examples
    --------
    >>> import torch
    >>> from equivariance.metrics import crop_consistency
    >>> mean = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    >>> crop_consistency(mean, torch.ones(4, 3, 40, 40) * torch.arange(3.0)[:, None, None], (32, 32))
    100.0
    """
    _check_images(images, pairs)
    room = [n - m for n, m in zip(images.shape[2:], crop, strict=False)]
    if len(crop) != images.ndim - 2 or min(room) < 0 or min(crop) < 1:
        raise ValueError(f"crops of {tuple(crop)} don't fit images of {tuple(images.shape[2:])}")
    draw = torch.Generator().manual_seed(seed)

    def cropped(x: Tensor) -> Tensor:
        first = [int(torch.randint(r + 1, (1,), generator=draw)) for r in room]
        return cut(x, [slice(a, a + n) for a, n in zip(first, crop, strict=True)])

    return _agreement(module, images, cropped, pairs)


def roll_consistency(
    module: nn.Module, images: Tensor, reach: int | None = None, pairs: int = 8, seed: int = 0
) -> float:
    """Consistency over two random circular rolls (APS), in per cent.

    Parameters
    ----------
    module, images, pairs, seed
        As for `crop_consistency`.
    reach : int, optional
        Rolls are drawn from 0 … reach − 1 on every axis; the whole period unless given.
    """
    _check_images(images, pairs)
    draw = torch.Generator().manual_seed(seed)

    def at_random(x: Tensor) -> Tensor:
        step = [int(torch.randint(reach or n, (1,), generator=draw)) for n in x.shape[1:]]
        return rolled(x, step)

    return _agreement(module, images, at_random, pairs)


def fractional_consistency(
    module: nn.Module, images: Tensor, pairs: int = 8, seed: int = 0
) -> FractionalConsistency:
    """Consistency and mean |Δp| under real circular translations, uniform over the period (AFC).

    Each translate is compared with the untranslated image. Arguments as for `crop_consistency`.
    """
    _check_images(images, pairs)
    subject = prepare(module, images, None)
    draw = torch.Generator().manual_seed(seed)
    t = torch.rand(pairs, subject.dim, generator=draw, dtype=torch.float64)
    t = t * torch.tensor(subject.source.size)
    out = outputs(subject, torch.cat([torch.zeros(1, subject.dim).double(), t]))
    _expect_classes(out)
    chances = out.double().softmax(-1)
    label = chances[0].argmax(-1)
    of_label = chances.gather(-1, label.expand(len(out), -1)[..., None])[..., 0]
    same = (chances[1:].argmax(-1) == label).double().mean()
    return FractionalConsistency(
        100 * float(same), float((of_label[1:] - of_label[0]).abs().mean())
    )


def _classes(subject: Subject, t: Tensor) -> Tensor | None:
    """The strongest of the outputs (K, B), where they are (batch, classes)."""
    out = outputs(subject, t)
    return out.argmax(-1) if out.ndim == 3 else None


def _expect_classes(out: Tensor) -> None:
    if out.ndim != 3:
        raise ValueError(f"expected outputs (batch, classes), got {('batch', *out.shape[2:])}")


def _check_images(images: Tensor, pairs: int) -> None:
    if images.ndim < 3 or len(images) == 0 or pairs < 1:
        raise ValueError(
            f"expected images (B, c, X1, …, Xd) and one pair at least, got {tuple(images.shape)} and {pairs}"
        )


def _agreement(module: nn.Module, images: Tensor, vary: Any, pairs: int) -> float:
    """Per cent of pairs of variants, of every image, whose strongest outputs are the same."""
    copied, same = watchable(module), []
    with torch.no_grad():
        for _ in range(pairs):
            one, other = (run(copied, torch.stack([vary(x) for x in images])) for _ in range(2))
            _expect_classes(one[None])
            same.append((one.argmax(-1) == other.argmax(-1)).double())
    return 100 * float(torch.stack(same).mean())
