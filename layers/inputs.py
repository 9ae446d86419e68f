"""What layers say of an input that is no feature map."""

from __future__ import annotations

from typing import Any

from fields import FeatureMap


def check_feature_map(f: Any) -> None:
    """Raise TypeError where a layer is given something else, such as a bare tensor."""
    if not isinstance(f, FeatureMap):
        raise TypeError(
            f"expected a Field or Samples, got {type(f).__name__}: "
            "a tensor (*batch, c, X1, …, Xd) becomes one by Samples(tensor, Grid(shape, spacing))"
        )
