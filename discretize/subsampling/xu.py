"""Group equivariant subsampling for translations (Xu, Kim, Rainforth & Teh, NeurIPS 2021)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from discretize.boundary import extend
from discretize.samples import Samples
from discretize.subsampling.polyphase import PolyphaseSubsampling
from discretize.subsampling.subsampling import is_field
from discretize.ties import highest, pointwise_norm
from fields import FeatureMap, arguments, checks
from fields.accuracy import MOST_FILTER
from fields.commuting import Commutes

Map = TypeVar("Map", bound=FeatureMap)

#: An index map Φ: Samples to integers (*batch, d), with Φ(t▷f) = Φ(f) + t modulo the shape.
IndexMap = Callable[[Samples], Tensor]


@dataclass(frozen=True)
class Peak:
    """Φ(f) = argmax_x of ‖f(x)‖₁, or of a smoothed score.

    Parameters
    ----------
    centred : bool
        Take |f − mean| instead of |f|, the mean over the grid, channel by channel.
    box : int
        Average the score over as many samples per axis; an odd number.
    sigma : float, optional
        Then blur it by a Gaussian of this standard deviation in spacings, on 2⌈1.4σ⌉ + 1 taps.

    Notes
    -----
    The score of the authors' code is Peak(centred=True, box=5, sigma=5); they draw the index at random from its
    softmax, which depends on the input's scale. Here it is the maximum: deterministic, and free of scale. Scores that
    are equal up to rounding are decided by what lies around: the place from which a generic sum over all samples is
    largest. So Φ(t▷f) = Φ(f) + t + u, u a symmetry of f, u▷f = f, for every f and whole t.

    Examples
    --------
    >>> from discretize import Grid, Peak, Samples
    >>> f = Samples([[0.0, 5.0, 0.0, 0.0, 3.0, 3.0, 3.0, 0.0]], Grid(8, 1.0))
    >>> Peak()(f).tolist(), Peak(box=3)(f).tolist()
    ([1], [5])
    """

    centred: bool = False
    box: int = 1
    sigma: float | None = None

    def __post_init__(self) -> None:
        arguments.flag(self.centred, "centred")
        (box,) = checks.integers(self.box, 1, "box", most=MOST_FILTER)
        if box % 2 == 0:
            raise ValueError(f"box must be odd, got {box}")
        if self.sigma is not None:
            checks.positive(self.sigma, 1, "sigma")

    def __call__(self, f: Samples) -> Tensor:
        """Index (*batch, d)."""
        norm = pointwise_norm(f)
        if not self.centred and self.box == 1 and self.sigma is None:
            return highest(f, norm)
        score = pointwise_norm(_centred(f)) if self.centred else norm
        boundary = "zero" if f.grid.boundary == "none" else f.grid.boundary
        for row in self._rows():
            for axis in range(-f.dim, 0):
                score = _averaged(score, row, axis, f.dim, boundary)
        return highest(f, score, norm.flatten(-f.dim).amax(-1))

    def _rows(self) -> list[list[float]]:
        rows = [] if self.box == 1 else [[1.0] * self.box]
        if self.sigma is not None:
            reach = -int(-1.4 * self.sigma // 1)
            offset = range(-reach, reach + 1)
            rows.append([math.exp(-0.5 * (k / self.sigma) ** 2) for k in offset])
        return [[w / sum(row) for w in row] for row in rows]


def _centred(f: Samples) -> Samples:
    """F less its mean over the grid, channel by channel, of whole numbers, whose sum doesn't depend on their order."""
    values = f.values.detach()
    space, count = tuple(range(-f.dim, 0)), math.prod(f.grid.shape)
    size = values.abs().amax(space, keepdim=True).double()
    unit = 2.0 ** (61 - count.bit_length())
    whole = (values.double() / torch.where(size > 0, size, 1.0) * unit).round().long()
    mean = whole.sum(space, keepdim=True).double() / (unit * count) * size
    return f._with(values - mean.to(values.dtype))


def _averaged(score: Tensor, row: list[float], axis: int, dim: int, boundary: str) -> Tensor:
    """Weighted mean along an axis, tap by tap: in the same order everywhere, so that equals stay equal."""
    size, reach = score.shape[axis], len(row) // 2
    first, last = [0] * dim, [n - 1 for n in score.shape[-dim:]]
    first[axis], last[axis] = -reach, size - 1 + reach
    around = extend(score, first, last, boundary)
    total = row[0] * around.narrow(axis, 0, size)
    for k, weight in enumerate(row[1:], 1):
        total = total + weight * around.narrow(axis, k, size)
    return total


class EquivariantSubsampling(PolyphaseSubsampling):
    """Keep the samples at p + s·k, with p predicted from the input so that it moves along (Xu et al. 2021).

    p = Φ(f) mod s, f_b[k] = f[p + s·k]. Since Φ(t▷f) = Φ(f) + t for integer t, S(t▷f) is S(f) with its grid moved by t:
    f_b rolled by q = (t + p − p_t)/s, the index p_t = (p + t) mod s.

    Parameters
    ----------
    s : int or sequence of int
        It must divide the shape of a periodic grid; elsewhere the last partial cell is kept.
    index_map : callable, optional
        Φ, from Samples to integers (*batch, d): Peak(), the arg-max of ‖f(x)‖₁, unless given.

    Notes
    -----
    The pair (f_b, p) of the paper is (values, origin of the grid) here. Promise: exact, the values bit for bit, for all
    translations by integer multiples of the spacing on a periodic grid, for every input whose own translational
    symmetries lie in s·Z^d, at any scale: maxima that tie are decided by what lies around them (`Peak`). Where an input
    has other symmetries (a constant, stripes) no choice can be equivariant: S(t▷f) = (t + u)▷S(f) for some u with
    u▷f = f. No real translations: see ComovingSubsampling. The index is piecewise constant: gradients flow through the
    values only. Without a period, what lies outside counts as zeros: it commutes with whole translations of what moves
    over zeros within the frame.

    Examples
    --------
    >>> from discretize import EquivariantSubsampling, Grid, Samples
    >>> f = Samples([[0.0, 1.0, 2.0, 9.0]], Grid(4, 1.0))
    >>> g = EquivariantSubsampling(2)(f)
    >>> g.values.tolist(), g.grid.origin.tolist()
    ([[1.0, 9.0]], [1.0])
    """

    commutes_with = Commutes.WHOLE

    def __init__(self, s: Any, index_map: IndexMap | None = None) -> None:
        super().__init__(s)
        if index_map is not None and not callable(index_map):
            raise TypeError(f"index_map must be callable, got {type(index_map).__name__}")
        self.index_map = Peak() if index_map is None else index_map

    def phase(self, f: Samples) -> Tensor:
        """Φ(f) modulo the stride."""
        strides = checks.integers(self.s, f.dim, "stride")
        return index_of(self.index_map, f) % torch.tensor(strides, device=f.device)


def index_of(index_map: IndexMap, f: Samples) -> Tensor:
    """Φ(f), checked."""
    index = index_map(f)
    lead = f.values.shape[: -f.dim - 1]
    if not isinstance(index, Tensor) or index.is_floating_point() or index.shape != (*lead, f.dim):
        got = (
            f"{index.dtype} of shape {tuple(index.shape)}"
            if isinstance(index, Tensor)
            else type(index).__name__
        )
        raise ValueError(
            f"an index map gives integers of shape {(*lead, f.dim)}, (*batch, d), got {got}"
        )
    return index


class EquivariantChain(nn.Module):
    """Layers with equivariant strides between them, all from one index: z = Φ(f) of the input, in mixed radix.

    Stage i is a layer and then a stride s_i, from the digit r_i = z mod s_i on, z ← z div s_i (the paper's recursive
    decomposition). In space: every sublattice goes through the point that the first index names.

    Parameters
    ----------
    stages : sequence of nn.Module
        From Samples to Samples, shift-equivariant; `nn.Identity()` for none.
    strides : sequence of int, or of sequences of int
        One for each stage.
    index_map : callable, optional
        As for EquivariantSubsampling.

    Notes
    -----
    Promise as for EquivariantSubsampling, with the product of all strides for s. The origin of the last grid modulo the
    period is the pose of the input, to the last stride's accuracy: where the strides' product is the whole shape,
    values are an invariant code, and the origin is the pose. To decode, apply the `upsampling` partners of
    `subsamplings` in reverse.

    Examples
    --------
    >>> from torch import nn
    >>> from discretize import EquivariantChain, Grid, Samples
    >>> chain = EquivariantChain([nn.Identity(), nn.Identity()], [2, 3])
    >>> code = chain(Samples([[0.0, 1.0, 2.0, 3.0, 4.0, 9.0]], Grid(6, 1.0)))
    >>> code.values.tolist(), code.grid.origin.tolist()
    ([[9.0]], [5.0])
    """

    commutes_with = Commutes.WHOLE

    def __init__(
        self,
        stages: Iterable[nn.Module],
        strides: Iterable[Any],
        index_map: IndexMap | None = None,
    ) -> None:
        super().__init__()
        stages = arguments.sequence(stages, "stages", "modules")
        strides = arguments.sequence(strides, "strides", "strides")
        for stage in stages:
            if not isinstance(stage, nn.Module):
                raise TypeError(f"stages must be modules, got {type(stage).__name__}")
        self.stages = nn.ModuleList(stages)
        self.subsamplings = nn.ModuleList(EquivariantSubsampling(s, index_map) for s in strides)
        if len(self.stages) != len(self.subsamplings) or not self.stages:
            raise ValueError(
                f"a chain has one stride for each stage, at least one: got {len(self.stages)} stages and "
                f"{len(self.subsamplings)} strides"
            )

    def forward(self, f: Map) -> Map:
        """Apply all stages."""
        anchor = None if is_field(f) else self.anchor(f)  # type: ignore[arg-type]
        for stage, subsampling in zip(self.stages, self.subsamplings, strict=True):
            f = subsampling(stage(f), anchor)
        return f

    def anchor(self, f: Samples) -> Tensor:
        """The point (*batch, d) that all sublattices go through."""
        first = self.subsamplings[0]
        assert isinstance(first, EquivariantSubsampling)
        index = index_of(first.index_map, f)
        origin = f.grid.origin
        anchor: Tensor = origin + index.to(origin.device) * origin.new_tensor(f.grid.spacing)
        return anchor
