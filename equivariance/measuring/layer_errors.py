"""How translation equivariant a torch model is, layer by layer, and whether the stride or the border breaks it.

    inputs ── t▷ ──▶ model, watched ──▶ every layer's output ── compared with its own, moved ──▶ errors

Twice: as the model is, and with all its padding made circular. What is left then, between the multiples of a layer's
stride, is aliasing; what the first has more is the border's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
import xarray as xr
from torch import Tensor, nn
from tqdm import tqdm

from equivariance.measuring.comparison import Comparison, dataset
from equivariance.measuring.continuation import settled_border
from equivariance.measuring.layouts import Frame, Tokens, total_stride
from equivariance.measuring.passes import compared, probe_bits
from equivariance.measuring.prepared import Subject, check_precision, prepare
from equivariance.measuring.sources import BOUNDARIES, LIMIT, Source, checked_size
from equivariance.measuring.surveying import require_output, survey
from equivariance.measuring.translations import default_translations, given_translations
from equivariance.measuring.watched import OUTPUT, Told, chosen, owner
from fields import arguments, checks

Padding = Literal["both", "as is", "circular"]
#: Relative difference up to which outputs for one input are alike, whatever batch it is in.
ALIKE = 1e-3
NOT_CHOSEN = "another output was chosen"


def measure(
    module: nn.Module,
    inputs: Any = None,
    translations: Any = None,
    *,
    size: Sequence[int] | None = None,
    layers: str | Sequence[str] = "all",
    boundary: str = "periodic",
    padding: Padding = "both",
    tokens: Tokens | None = None,
    output: str | None = None,
    fixed: Mapping[str, Any] | None = None,
    channels: int | None = None,
    count: int = 33,
    limit: int = LIMIT,
    batch: int = 16,
    probe: bool = True,
    dtype: torch.dtype | None = None,
    seed: int = 0,
    progress: bool = False,
) -> xr.Dataset:
    """Measure the equivariance of every layer of a torch model. The model is copied; it needs no changes.

    Parameters
    ----------
    module : nn.Module
        On tensors (batch, c, X1, …, Xd), d = 1, 2 or 3; on (batch, T); on several.
    inputs : optional
        Fields, which are translated and then sampled on `size` pixels; a tensor (B, c, X1, …, Xd) or (B, T); a tuple or
        a dict of tensors, the model's arguments: those of the size of the first are maps, and move; a folder of images
        or a file with a tensor; a DataLoader. Random band-limited fields unless given. See
        `equivariance.measuring.sources`.
    translations : array-like, shape (T, d), optional
        In pixels, whole or not. Multiples of all strides, other whole ones and parts of pixels unless given, below a
        period, or up to half a window.
    size : sequence of int, optional
        Pixels per axis of what the model sees; those of a tensor unless given.
    layers : {"all", "leaves", "output"} or sequence of str
        Which outputs to compare: patterns of names of submodules. The model's own, "output", is always there.
    boundary : {"periodic", "window"}
        Move inputs around their period, or let the model see a window of what goes on beyond it. Then layers are
        compared where both windows see, at multiples of their strides.
    padding : {"both", "as is", "circular"}
        Measure the model as it is, with all padding made circular (a diagnostic: it is another function), or both.
    tokens : dict, optional
        How outputs are laid out where it isn't found: name patterns → sizes (Y1, …, Yd), for axes of these sizes
        wherever they are, or (batch, tokens, channels), leading tokens left out. None says that an output is no map.
    output : str, optional
        Which of the model's own outputs counts, by its key ("logits") or a pattern; all of them unless given.
    fixed : dict, optional
        Further arguments by name, which don't move: a timestep, say. Tensors may have one entry for each input.
    channels : int, optional
        Of random inputs and pictures; guessed from the weights unless given. 0 for maps without such an axis.
    count, limit : int
        How many translations and inputs are chosen.
    batch : int
        Inputs per pass.
    probe : bool
        See whether integer-valued inputs, rolled, give bitwise equal outputs.
    dtype : torch.dtype, optional
        Precision that the copy is converted to; its own unless given.
    seed : int
        Of random inputs.
    progress : bool
        Show a bar on stderr, where that is a terminal.

    Returns
    -------
    xarray.Dataset
        `error` (padding, layer, translation, input): ‖Φ(t▷F) − t▷Φ(F)‖ / ‖t▷Φ(F)‖, L2 over channels and space; NaN
        where it isn't defined; `interior`: the same over the points whose receptive fields are free of padding, as is;
        `bitwise` (padding, layer): what the probe saw, at multiples of the layer's stride; `stride` (layer, axis) in
        pixels; `verdict` and `subgroup` (padding, layer); the attributes say which layer breaks first, and where all
        this comes from. `equivariance.measuring.measured` reads it.

    Raises
    ------
    ModelFailed
        A ValueError, where the model raises: with the shape of its input.
    ValueError, TypeError
        Where model, inputs and translations don't fit, with what was expected.

    Examples
    --------
    >>> import torch
    >>> from equivariance import measure
    >>> pool = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.MaxPool2d(2))
    >>> data = measure(pool, size=(16, 16), dtype=torch.float64)
    >>> data["subgroup"].sel(padding="circular").values.tolist()
    ['all tested real translations', '2Z × 2Z', '2Z × 2Z']
    """
    arguments.choice(boundary, "boundary", BOUNDARIES)
    arguments.choice(padding, "padding", ("both", "as is", "circular"))
    (count,) = checks.integers(count, 1, "count")
    probe, progress = arguments.flag(probe, "probe"), arguments.flag(progress, "progress")
    size = None if size is None else checked_size(size)
    dim = None if size is None else len(size)
    t = None if translations is None or dim is None else given_translations(translations, dim)
    reach = _reach(t, size, boundary)
    subject = prepare(
        module, inputs, size, layers, boundary, channels, limit, batch, dtype, reach, seed, fixed
    )
    check_precision(subject)
    source = subject.source
    if boundary == "window":
        padding = "as is"
    with torch.no_grad():
        frames, alone, strided = measured_frames(subject, tokens, output)
        t = _translations(translations, source, strided, count)
        kinds = ["as is", "circular"] if padding == "both" else [padding]
        bar = _bar(progress, len(kinds), len(t))
        seen = {k: compared(subject, frames, t, k, bar.update) for k in kinds}
        ways = settled_border(subject, frames, t, seen["circular"]) if "circular" in seen else {}
        bar.close()
        if "as is" in seen:
            _check_alone(seen["as is"], alone)
        probed = {k: probe_bits(subject, frames, k) for k in kinds} if probe else {}
    about = _about(module, subject) | {"seed": seed, "count": len(t)}
    return dataset(frames, t, seen, probed, ways, about, str(subject.dtype).removeprefix("torch."))


def _about(module: nn.Module, subject: Subject) -> dict[str, Any]:
    """Where a measurement comes from."""
    source = subject.source
    about: dict[str, Any] = {"model": type(module).__name__, "inputs": source.about}
    return about | {"boundary": source.boundary, "size": source.size, "dtype": subject.dtype}


def _reach(t: Tensor | None, size: Any, boundary: str) -> list[float] | None:
    """How far inputs are moved on each axis, as far as that is known beforehand."""
    if t is None:
        return [n // 2 for n in size] if boundary == "window" and size is not None else None
    reach: list[float] = t.abs().amax(0).tolist()
    return reach


def _translations(given: Any, source: Source, frames: Sequence[Frame], count: int) -> Tensor:
    """Those given, (T, d), or else such as tell these strides: below a period, or up to half a window."""
    if given is not None:
        return given_translations(given, len(source.size))
    strides = [f.stride for f in frames if f.is_map] + [total_stride(frames, len(source.size))]
    periodic = source.boundary == "periodic"
    below = source.size if periodic else [n // 2 + 1 for n in source.size]
    return default_translations(below, strides, count)


def measured_frames(
    subject: Subject, tokens: Tokens | None, output: str | None = None
) -> tuple[dict[str, Frame], dict[str, Tensor], list[Frame]]:
    """The watched outputs, the model's own that count for the first input alone, and all outputs, watched or not.

    What isn't watched has strides, too: an invariant's is that of the maps before it.
    """
    zero = torch.zeros(1, subject.dim, dtype=torch.float64)
    alone: dict[str, Tensor] = {}
    x = subject.at(zero)[:1]
    everything = survey(subject.module, x, "all", tokens, alone)
    kept = _chosen_outputs(alone, output)
    require_output(everything, kept)
    if subject.source.boundary == "window":
        everything = [replace(f, wraps=False) for f in everything]
    names = chosen(subject.module, subject.layers)
    watched = {f.name: f for f in everything if f.name in names or owner(f.name) in names}
    for name in alone.keys() - kept.keys():
        watched[name] = replace(watched[name], why=NOT_CHOSEN)
    return watched, kept, everything


def _chosen_outputs(alone: dict[str, Tensor], output: str | None) -> dict[str, Tensor]:
    """Those of the model's own outputs whose key, or name, an option fits."""
    if output is None:
        return alone
    found = {n: v for n, v in alone.items() if output in (n, n.removeprefix(OUTPUT).strip("[]"))}
    found = found or {n: v for n, v in alone.items() if fnmatchcase(n, output)}
    if not found:
        raise Told(f"the model puts out no {output!r}: there are {', '.join(alone)}")
    return found


def _check_alone(comparison: Comparison, alone: dict[str, Tensor]) -> None:
    """Raise unless the first input has the same output in a batch as it had alone."""
    for name, value in alone.items():
        frame = comparison.frames.get(name)
        if frame is None:
            continue
        if frame.why or name in comparison.left_out:
            continue
        together, expected = comparison.reference(name)[:1].double(), frame.as_map(value).double()
        difference = float((together - expected).norm())
        if difference > ALIKE * float(expected.norm()):
            raise Told(
                f"the first input alone and in a batch gives outputs that differ by {difference:.1e}: the model is "
                "random in evaluation mode, or depends on what else is in the batch"
            )


def _bar(progress: bool, kinds: int, count: int) -> Any:
    return tqdm(
        total=kinds * count, desc="measure", unit="translation", disable=None if progress else True
    )
