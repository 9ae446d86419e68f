"""Whether a field and a grid fit together."""

from __future__ import annotations

import torch

from discretize.grid import Grid
from fields.field import Field


def check_pair(field: Field, grid: Grid) -> None:
    """Raise where a field can't be sampled on a grid."""
    if not isinstance(field, Field):
        raise TypeError(f"only a Field can be sampled, got {type(field).__name__}")
    if not isinstance(grid, Grid):
        raise TypeError(f"grid must be a Grid, got {type(grid).__name__}")
    if field.dim != grid.dim:
        raise ValueError(
            f"a field on R^{field.dim} can't be sampled on a grid with {grid.dim} axes"
        )
    if torch.compiler.is_compiling():  # whose frequencies, say, can't be read
        return
    if grid.boundary == "periodic" and not field.is_periodic(grid.extent):
        raise ValueError(
            f"the grid is periodic with period {grid.extent}, the field isn't, as far as is known: sum its images by "
            f"field.periodize({grid.extent}), or take a grid with boundary 'none' (or 'zero', 'reflect', 'nearest')"
        )
