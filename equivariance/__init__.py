"""Measuring translation equivariance: errors, sweeps, verdicts, experiments.

Names are imported when they are first used, so that the command line answers at once where it needs none of them.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from equivariance.error import equivariance_error as equivariance_error
    from equivariance.experiments import EXPERIMENTS as EXPERIMENTS
    from equivariance.provenance import provenance as provenance
    from equivariance.sweep import sweep as sweep
    from equivariance.verdict import judge as judge

#: Public names, and the modules that they live in.
_HOMES = {
    "EXPERIMENTS": "experiments",
    "equivariance_error": "error",
    "judge": "verdict",
    "provenance": "provenance",
    "sweep": "sweep",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


class _Package(ModuleType):
    """Keeps a submodule from taking the public name that it shares: `sweep` is the function."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
