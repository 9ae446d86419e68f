"""How numbers are compared: |actual − expected| ≤ constant · unit · scale, the unit eps of the dtype unless given.

`pytest --tolerances` prints, for every line that compares, what it reached beside what it allows.
"""

from __future__ import annotations

import math
import sys
from types import FrameType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from discretize import Samples


class Reached(NamedTuple):
    """What a comparison found, and what it allows."""

    where: str
    error: float
    bound: float

    @property
    def share(self) -> float:
        return self.error / self.bound if self.bound else float(self.error > 0)


#: All comparisons of the test that runs.
REACHED: list[Reached] = []


def eps(dtype: torch.dtype) -> float:
    return torch.finfo(dtype).eps


def error(actual: Tensor, expected: Tensor) -> float:
    """Largest absolute difference; shapes have to be equal, since broadcasting would hide mistakes."""
    assert actual.shape == expected.shape, f"shapes {actual.shape} and {expected.shape}"
    return float((actual.detach() - expected.detach()).abs().max())


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Largest difference relative to the largest expected value."""
    return error(actual, expected) / float(expected.detach().abs().max())


def assert_close(
    actual: Tensor | Samples,
    expected: Tensor | np.ndarray | Samples,
    constant: float,
    scale: float | None = None,
    unit: float | None = None,
) -> None:
    """Assert |actual − expected| ≤ constant · unit · scale, and that shape, dtype and device are the same.

    `scale` is the largest expected value unless given, `unit` eps of the dtype unless given: for methods whose accuracy
    isn't that of rounding. Samples are compared with Samples, which live on the same grid with the same boundary and
    claim the same accuracy.
    """
    if isinstance(actual, Samples):
        assert isinstance(expected, Samples), f"Samples and {type(expected).__name__}"
        assert_same_lattice(actual, expected)
        actual, expected = actual.values, expected.values
    expected = torch.as_tensor(expected)
    assert actual.dtype == expected.dtype, f"dtypes {actual.dtype} and {expected.dtype}"
    assert actual.device == expected.device, f"devices {actual.device} and {expected.device}"
    size = float(expected.detach().abs().max()) if scale is None else scale
    bound = constant * (eps(actual.dtype) if unit is None else unit) * size
    assert math.isfinite(bound), f"a bound of {bound} allows everything"
    reached = Reached(_caller(sys._getframe(1)), error(actual, expected), bound)
    REACHED.append(reached)
    assert reached.error <= bound, f"{reached.error:.2e} > {bound:.2e}"


def assert_same_lattice(actual: Samples, expected: Samples) -> None:
    """Grids (shape, spacing, boundary and origin) and accuracies are the same, digit by digit."""
    for name in ("shape", "spacing", "boundary"):
        here, there = getattr(actual.grid, name), getattr(expected.grid, name)
        assert here == there, f"grids of {name} {here} and {there}"
    origins = actual.grid.origin, expected.grid.origin
    assert torch.equal(*origins), f"origins {origins[0]} and {origins[1]}"
    assert actual.accuracy == expected.accuracy, f"{actual.accuracy} and {expected.accuracy}"


def order(errors: list[float], refinements: list[int]) -> float:
    """Order of convergence between the first and the last refinement."""
    return float(np.log(errors[0] / errors[-1]) / np.log(refinements[-1] / refinements[0]))


def _caller(frame: FrameType) -> str:
    """The line of a test that compares."""
    return f"{frame.f_code.co_filename.rpartition('/tests/')[2]}:{frame.f_lineno}"
