"""How numbers are compared: |actual − expected| ≤ constant · eps(dtype) · scale."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


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
    actual: Tensor, expected: Tensor | np.ndarray, constant: float, scale: float | None = None
) -> None:
    """Assert |actual − expected| ≤ constant · eps · scale, eps that of `actual`.

    `scale` is the largest expected value, unless given.
    """
    expected = torch.as_tensor(expected)
    size = float(expected.detach().abs().max()) if scale is None else scale
    bound = constant * eps(actual.dtype) * size
    assert error(actual, expected) <= bound, f"{error(actual, expected):.2e} > {bound:.2e}"


def order(errors: list[float], refinements: list[int]) -> float:
    """Order of convergence between the first and the last refinement."""
    return float(np.log(errors[0] / errors[-1]) / np.log(refinements[-1] / refinements[0]))
