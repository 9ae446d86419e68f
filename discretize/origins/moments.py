"""The energy Σ_c F_c² of a map: its Fourier coefficients and its centre of mass, from samples or by quadrature."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from discretize.samples import Samples
from discretize.trigonometric import energy_coefficients, in_chunks
from fields import Field, Polynomial
from fields.lattice import split
from fields.magnitude import of_square, rescaled, unit


def coefficients_of_samples(
    f: Samples, waves: Sequence[Sequence[float]], periods: Sequence[float | None]
) -> list[Tensor]:
    """Per axis the coefficients (*batch, 1 + m) of the energy, up to a factor: C(0), then those of m wavelengths."""
    counts = []
    for p, h, w in zip(periods, f.grid.spacing, waves, strict=True):
        assert p is not None
        n, rest = split(p / h)
        if rest or min(w) < h * (1 - 1e-9):
            raise ValueError(f"the modulus must be a multiple of the spacing {h:g}, got {min(w):g}")
        counts.append(n)
    pads = [
        q for a, n in zip(reversed(counts), reversed(f.grid.shape), strict=True) for q in (0, a - n)
    ]
    values = torch.nn.functional.pad(f.values, pads) if any(pads) else f.values
    lead, dim = values.shape[: -f.dim - 1], f.dim

    def moments(part: Tensor) -> tuple[Tensor, ...]:
        out = []
        for i, (w, p) in enumerate(zip(waves, periods, strict=True)):
            assert p is not None
            cycles = [round(p / length) for length in w]
            out.append(energy_coefficients(part, i - dim, dim, cycles))
        return tuple(out)

    rows = values.reshape(-1, *values.shape[-dim - 1 :])
    columns = rescaled(
        lambda values: in_chunks(moments, values),
        rows,
        range(-dim - 1, 0),
        lambda found: found[0][:, 0].detach().real.to(f.dtype),
    )
    return [column.reshape(*lead, -1) for column in columns]


def coefficients_of_field(
    f: Field, waves: Sequence[Sequence[float]], periods: Sequence[float | None], rtol: float
) -> list[Tensor]:
    """The same for a field, by quadrature, up to a factor for each element, too."""
    frequencies = [[0.0] * f.dim]
    for axis, (w, p) in enumerate(zip(waves, periods, strict=True)):
        for length in w:
            frequencies.append([0.0] * f.dim)
            frequencies[-1][axis] = 0.0 if p == 0 else 1 / length
    found, _ = of_square(lambda g: energy(g).transform(frequencies, rtol=rtol)[..., 0], f)
    found = found.to(torch.complex128)
    mean, rest = found[..., :1], found[..., 1:]
    parts = rest.split([len(w) for w in waves], dim=-1)
    return [
        torch.cat([mean, part * (0 if p == 0 else 1)], dim=-1)
        for part, p in zip(parts, periods, strict=True)
    ]


def energy(f: Field) -> Field:
    """Σ_c F_c², with twice the band of F."""
    total: Field = (f * f).mix(torch.ones(1, f.channels, dtype=f.dtype, device=f.device))
    return total


def centroid_of_samples(f: Samples) -> tuple[Tensor, Tensor]:
    """Σ x e / Σ e, counted from the grid's origin, and the confidence (*batch, d)."""
    size = unit(f.values, range(-f.dim - 1, 0))
    e = (f.values / size).double().square().sum(-f.dim - 1)
    total = e.flatten(-f.dim).sum(-1)
    columns = []
    for axis, (n, h) in enumerate(zip(f.grid.shape, f.grid.spacing, strict=True)):
        others = tuple(a for a in range(-f.dim, 0) if a != axis - f.dim)
        marginal = e.sum(others) if others else e
        columns.append((marginal * h * torch.arange(n, device=e.device)).sum(-1))
    return _divided(torch.stack(columns, dim=-1), total)


def centroid_of_field(f: Field, rtol: float) -> tuple[Tensor, Tensor]:
    """∫x e / ∫e by quadrature, and the confidence (*batch, d)."""
    one = torch.ones(1, 1, dtype=f.dtype, device=f.device)
    powers = torch.eye(f.dim, dtype=torch.long).tolist()

    def moments(g: Field) -> Tensor:
        e = energy(g)
        first = [(e * Polynomial([power], one)).integrate(rtol)[..., 0] for power in powers]
        return torch.stack([e.integrate(rtol)[..., 0], *first], dim=-1)

    found = of_square(moments, f)[0].double()
    return _divided(found[..., 1:], found[..., 0])


def _divided(moments: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    """First moments (*batch, d) over the total (*batch,), and the confidence: 1 unless the map vanishes."""
    known = (total > 0)[..., None]
    return moments / torch.where(known, total[..., None], 1.0), known.expand_as(moments).double()
