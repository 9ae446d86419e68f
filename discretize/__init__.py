"""From fields to arrays on grids and back, and what strides do there."""

from discretize.alias_free import AliasFreeActivation as AliasFreeActivation
from discretize.alias_free import PolynomialActivation as PolynomialActivation
from discretize.blur import BlurPool as BlurPool
from discretize.comoving import ComovingSubsampling as ComovingSubsampling
from discretize.comoving import comoving_grid as comoving_grid
from discretize.filtered_relu import CNOActivation as CNOActivation
from discretize.filtered_relu import FilteredLeakyReLU as FilteredLeakyReLU
from discretize.grid import Grid as Grid
from discretize.learnable import LearnablePolyphase as LearnablePolyphase
from discretize.lowpass import IdealLowpass as IdealLowpass
from discretize.polyphase import AdaptivePolyphase as AdaptivePolyphase
from discretize.polyphase import PolyphaseSubsampling as PolyphaseSubsampling
from discretize.prefilter import Prefilter as Prefilter
from discretize.promises import LowConfidence as LowConfidence
from discretize.samples import Samples as Samples
from discretize.sampling import sample as sample
from discretize.spectrum import Aliasing as Aliasing
from discretize.spectrum import AliasingWarning as AliasingWarning
from discretize.spectrum import aliasing as aliasing
from discretize.spectrum import required_grid as required_grid
from discretize.subsampling import AveragePooling as AveragePooling
from discretize.subsampling import MaxPooling as MaxPooling
from discretize.subsampling import Stride as Stride
from discretize.subsampling import Subsampling as Subsampling
from discretize.upsampling import Upsampling as Upsampling
from discretize.xu import EquivariantChain as EquivariantChain
from discretize.xu import EquivariantSubsampling as EquivariantSubsampling
from discretize.xu import Peak as Peak
from fields.settling import NotResolved as NotResolved


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
