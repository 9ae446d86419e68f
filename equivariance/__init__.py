"""Measuring translation equivariance: errors, sweeps, verdicts, experiments.

Names are imported when they are first used, so that the command line answers at once where it needs none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from equivariance.comoving import Comoving as Comoving
    from equivariance.comoving import LowConfidence as LowConfidence
    from equivariance.error import equivariance_error as equivariance_error
    from equivariance.error_table import sweep as sweep
    from equivariance.experiments import EXPERIMENTS as EXPERIMENTS
    from equivariance.measuring.asserting import assert_equivariant as assert_equivariant
    from equivariance.measuring.layer_errors import measure as measure
    from equivariance.published import lie_derivative as lie_derivative
    from equivariance.records import provenance as provenance
    from equivariance.theorems.circulant import convolution_kernel as convolution_kernel
    from equivariance.theorems.circulant import convolution_matrix as convolution_matrix
    from equivariance.theorems.circulant import coset_kernels as coset_kernels
    from equivariance.theorems.circulant import coset_matrix as coset_matrix
    from equivariance.theorems.circulant import is_convolution as is_convolution
    from equivariance.theorems.intertwining import Intertwiners as Intertwiners
    from equivariance.theorems.intertwining import biases as biases
    from equivariance.theorems.intertwining import intertwiner_space as intertwiner_space
    from equivariance.theorems.intertwining import intertwiners as intertwiners
    from equivariance.theorems.intertwining import translation_matrix as translation_matrix
    from equivariance.theorems.matrices import impulse_responses as impulse_responses
    from equivariance.theorems.sharing import Shared as Shared
    from equivariance.theorems.sharing import parameter_counts as parameter_counts
    from equivariance.theorems.sharing import shared_nonlinearity as shared_nonlinearity
    from equivariance.theorems.sharing import shared_window as shared_window
    from equivariance.theorems.strides import commutation as commutation
    from equivariance.theorems.strides import polyphase as polyphase
    from equivariance.theorems.strides import polyphase_action as polyphase_action
    from equivariance.verdicts import judge as judge

#: Public names, by the modules that they live in.
_HOMES = {
    name: home
    for home, names in {
        "comoving": "Comoving LowConfidence",
        "error": "equivariance_error",
        "experiments": "EXPERIMENTS",
        "published": "lie_derivative",
        "measuring.asserting": "assert_equivariant",
        "measuring.layer_errors": "measure",
        "records": "provenance",
        "error_table": "sweep",
        "theorems": "Intertwiners Shared biases commutation convolution_kernel convolution_matrix coset_kernels "
        "coset_matrix impulse_responses intertwiner_space intertwiners is_convolution parameter_counts polyphase "
        "polyphase_action shared_nonlinearity shared_window translation_matrix",
        "verdicts": "judge",
    }.items()
    for name in names.split()
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
