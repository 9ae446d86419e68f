"""From fields to arrays on grids and back, and what strides do there."""

from discretize.activations.alias_free import AliasFreeActivation as AliasFreeActivation
from discretize.activations.alias_free import PolynomialActivation as PolynomialActivation
from discretize.activations.filtered_relu import CNOActivation as CNOActivation
from discretize.activations.filtered_relu import FilteredLeakyReLU as FilteredLeakyReLU
from discretize.grid import Grid as Grid
from discretize.prefilter import Prefilter as Prefilter
from discretize.promises import LowConfidence as LowConfidence
from discretize.samples import Samples as Samples
from discretize.sampling import sample as sample
from discretize.spectrum import Aliasing as Aliasing
from discretize.spectrum import AliasingWarning as AliasingWarning
from discretize.spectrum import aliasing as aliasing
from discretize.spectrum import required_grid as required_grid
from discretize.subsampling.comoving import ComovingSubsampling as ComovingSubsampling
from discretize.subsampling.comoving import comoving_grid as comoving_grid
from discretize.subsampling.learnable import LearnablePolyphase as LearnablePolyphase
from discretize.subsampling.lowpass import BlurPool as BlurPool
from discretize.subsampling.lowpass import IdealLowpass as IdealLowpass
from discretize.subsampling.polyphase import AdaptivePolyphase as AdaptivePolyphase
from discretize.subsampling.polyphase import PolyphaseSubsampling as PolyphaseSubsampling
from discretize.subsampling.subsampling import AveragePooling as AveragePooling
from discretize.subsampling.subsampling import MaxPooling as MaxPooling
from discretize.subsampling.subsampling import Stride as Stride
from discretize.subsampling.subsampling import Subsampling as Subsampling
from discretize.subsampling.upsampling import Upsampling as Upsampling
from discretize.subsampling.xu import EquivariantChain as EquivariantChain
from discretize.subsampling.xu import EquivariantSubsampling as EquivariantSubsampling
from discretize.subsampling.xu import Peak as Peak
from fields.evaluation.settling import NotResolved as NotResolved


def __getattr__(name: str) -> type[PolynomialActivation]:
    if name == "Polynomial":
        from warnings import warn

        warn(
            "discretize.Polynomial is called PolynomialActivation now; fields.Polynomial is a field",
            DeprecationWarning,
            stacklevel=2,
        )
        return PolynomialActivation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
