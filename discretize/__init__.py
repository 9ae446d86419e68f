"""From fields to arrays on grids and back, and what strides do there."""

from discretize.grid import Grid as Grid
from discretize.prefilter import Prefilter as Prefilter
from discretize.refinement import NotResolved as NotResolved
from discretize.samples import Samples as Samples
from discretize.sampling import sample as sample
from discretize.spectrum import Aliasing as Aliasing
from discretize.spectrum import AliasingWarning as AliasingWarning
from discretize.spectrum import aliasing as aliasing
from discretize.spectrum import required_grid as required_grid
from discretize.subsampling import BlurPool as BlurPool
from discretize.subsampling import EquivariantSubsampling as EquivariantSubsampling
from discretize.subsampling import Stride as Stride
