"""The law of lengths: in whatever unit they are, 1e-12 to 1e12 of it, answers are the same, in that unit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from discretize import (
    ComovingSubsampling,
    EquivariantSubsampling,
    Grid,
    aliasing,
    required_grid,
    sample,
)
from discretize.origins import Phase
from equivariance import equivariance_error
from fields import (
    Atoms,
    Ball,
    Balls,
    Box,
    Boxes,
    BoxKernel,
    Bumps,
    Field,
    Gabors,
    GaussianKernel,
    Gaussians,
    Interpolated,
    PlaneWaves,
)
from layers import GlobalPool, Pointwise
from tests.compare import assert_close
from tests.laws.registry import PERIOD, points

SHAPE = (8, 10)


def at_length(unit: float, dim: int) -> dict[str, tuple[Field, str]]:
    """Fields all of whose lengths are in a unit, and whether they decay or are periodic."""
    draw = torch.Generator().manual_seed(dim)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    period = [p * unit for p in PERIOD[:dim]]
    centers, heights, widths = (
        normal(3, dim) * unit,
        normal(3, 2),
        (1 + normal(3).tanh() / 4) * unit,
    )
    modes = torch.cartesian_prod(*[torch.arange(-2.0, 3.0).double()] * dim).reshape(-1, dim)
    waves = PlaneWaves(modes / torch.tensor(period), normal(len(modes), 2), period)
    bumps = Gaussians(centers, heights, widths)
    counts = (5, 4)[:dim]
    values, spacing = normal(2, *counts), [p / n for p, n in zip(period, counts, strict=True)]
    cycles, matrix = normal(3, dim) / 4 / unit, normal(2, 2)
    scattered = Atoms(normal(3, dim) * unit, normal(3, 2, 2))
    row = Atoms.from_array(normal(*(3,) * dim, 2, 2), unit / 4)
    layers: dict[str, Callable[[Field], Field]] = {
        "atoms": lambda f: f.convolve(row, exact=False),
        "scattered atoms": lambda f: f.convolve(scattered, exact=False),
        "Gaussian": lambda f: f.convolve(GaussianKernel(0.3 * unit, matrix), 3, exact=False),
        "Gaussian, closed": lambda f: f.convolve(GaussianKernel(0.3 * unit, matrix)),
        "box": lambda f: f.convolve(BoxKernel(1.1 * unit, matrix), 2, exact=False),
        "mean": lambda f: f.pool(Box(0.9 * unit), nodes=2),
        "maximum": lambda f: f.pool(Ball(0.6 * unit), "max", nodes=2),
        "relu": lambda f: f.map(torch.relu),
    }
    return {
        "Gaussians": (bumps, "decays"),
        "Gabors": (Gabors(centers, heights.to(torch.complex128), widths, cycles), "decays"),
        "Bumps": (Bumps(centers, heights, 2 * widths), "decays"),
        "Balls": (Balls(centers, heights, 2 * widths), "decays"),
        "Boxes": (Boxes(centers, heights, widths[:, None].expand(3, dim)), "decays"),
        "periodized": (bumps.periodize(period), "periodic"),
        "waves": (waves, "periodic"),
        "linear": (Interpolated(values, spacing, 0.3 * unit, "linear"), "periodic"),
        "cubic": (Interpolated(values, spacing, 0.3 * unit, "cubic"), "periodic"),
        **{f"{name} of waves": (layer(waves), "periodic") for name, layer in layers.items()},
        **{f"{k} of Gaussians": (layers[k](bumps), "decays") for k in ("atoms", "box", "relu")},
    }


def told(f: Field, unit: float, kind: str) -> dict[str, Tensor]:
    """Answers about a field, each in the unit that it has."""
    dim, periods = f.dim, [p * unit for p in PERIOD[: f.dim]]
    volume, step = unit**dim, [0.3 * unit] * dim
    x = points(dim) * unit
    spacing = [p / n for p, n in zip(periods, SHAPE, strict=False)]
    grid = Grid(SHAPE[:dim], spacing, -unit, "periodic" if kind == "periodic" else "none")
    samples = sample(f, grid, rtol=1e-2, prefilter="none")
    layer = Pointwise(torch.abs)
    answers = {
        "values": f(x),
        "gradient": f.gradient(x) * unit,
        "samples": samples.values,
        "filtered": sample(f, grid, rtol=1e-1, prefilter="gaussian").values,
        "error at points": 1 + equivariance_error(layer, f, step, points=points(dim, 40) * unit),
    }
    if dim == 1 or kind == "periodic":
        power = volume if kind == "decays" else 1.0
        frequencies = [[1 / p for p in periods], [0.0] * dim]
        answers |= {
            "integral": f.integrate(1e-2) / volume,
            "norm": f.norm(1e-2) / volume**0.5,
            "transform": torch.view_as_real(f.transform(frequencies, rtol=1e-2)) / power,
        }
    if kind == "periodic" or f.bandwidth(1e-2) is not None:
        answers["required"] = torch.tensor(required_grid(f, 1e-2).shape).double()
    if kind == "decays":
        return answers
    origin, confidence = Phase("strongest", 1e-2)(f, [p / 2 for p in periods])
    xu, comoving = (
        s(samples)
        for s in (EquivariantSubsampling(2), ComovingSubsampling(2, nyquist="keep", bound=0))
    )
    return answers | {
        "share": aliasing(f, grid, 1e-2).share,
        "resolved": f.resolve(1e-2).values,
        "mean": GlobalPool("mean", 1e-2)(f),
        "error on a grid": equivariance_error(layer, f, step, grid, rtol=1e-2),
        "phase": torch.stack([origin / unit, confidence]),
        "Xu": torch.cat([xu.values.flatten(), xu.grid.origin / unit]),
        "comoving": torch.cat([comoving.values.flatten(), comoving.grid.origin / unit]),
    }


@pytest.mark.parametrize(
    ("name", "dim"), [(name, dim) for dim in (1, 2) for name in at_length(1.0, dim)]
)
def test_lengths(name: str, dim: int) -> None:
    """1e-12 to 1e12: bit by bit but for a few roundings."""
    field, kind = at_length(1.0, dim)[name]
    expected = told(field, 1.0, kind)
    for unit in (2.0**-40, 2.0**40):
        found = told(at_length(unit, dim)[name][0], unit, kind)
        for question, value in expected.items():
            assert_close(found[question], value, 64, max(1e-30, float(value.abs().max())))
