"""Measuring translation equivariance: errors, sweeps, verdicts, experiments.

Names are imported when they are first used, so that the command line answers at once where it needs none of them.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from equivariance.asserting import assert_equivariant as assert_equivariant
    from equivariance.circulant import convolution_kernel as convolution_kernel
    from equivariance.circulant import convolution_matrix as convolution_matrix
    from equivariance.circulant import coset_kernels as coset_kernels
    from equivariance.circulant import coset_matrix as coset_matrix
    from equivariance.circulant import is_convolution as is_convolution
    from equivariance.commutation import commutation as commutation
    from equivariance.comoving import Comoving as Comoving
    from equivariance.comoving import LowConfidence as LowConfidence
    from equivariance.counts import parameter_counts as parameter_counts
    from equivariance.error import equivariance_error as equivariance_error
    from equivariance.experiments import EXPERIMENTS as EXPERIMENTS
    from equivariance.intertwiners import Intertwiners as Intertwiners
    from equivariance.intertwiners import biases as biases
    from equivariance.intertwiners import intertwiner_space as intertwiner_space
    from equivariance.intertwiners import intertwiners as intertwiners
    from equivariance.intertwiners import translation_matrix as translation_matrix
    from equivariance.lie import lie_derivative as lie_derivative
    from equivariance.measure import measure as measure
    from equivariance.polyphase import polyphase as polyphase
    from equivariance.polyphase import polyphase_action as polyphase_action
    from equivariance.provenance import provenance as provenance
    from equivariance.responses import impulse_responses as impulse_responses
    from equivariance.sharing import Shared as Shared
    from equivariance.sharing import shared_nonlinearity as shared_nonlinearity
    from equivariance.sharing import shared_window as shared_window
    from equivariance.sweep import sweep as sweep
    from equivariance.verdict import judge as judge

#: Public names, and the modules that they live in.
_HOMES = {
    "Comoving": "comoving",
    "EXPERIMENTS": "experiments",
    "Intertwiners": "intertwiners",
    "LowConfidence": "comoving",
    "Shared": "sharing",
    "assert_equivariant": "asserting",
    "biases": "intertwiners",
    "commutation": "commutation",
    "convolution_kernel": "circulant",
    "convolution_matrix": "circulant",
    "coset_kernels": "circulant",
    "coset_matrix": "circulant",
    "equivariance_error": "error",
    "impulse_responses": "responses",
    "intertwiner_space": "intertwiners",
    "intertwiners": "intertwiners",
    "is_convolution": "circulant",
    "judge": "verdict",
    "lie_derivative": "lie",
    "measure": "measure",
    "parameter_counts": "counts",
    "polyphase": "polyphase",
    "polyphase_action": "polyphase",
    "provenance": "provenance",
    "shared_nonlinearity": "sharing",
    "shared_window": "sharing",
    "sweep": "sweep",
    "translation_matrix": "intertwiners",
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
