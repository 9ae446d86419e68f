"""From fields to arrays on grids and back, and what strides do there."""

from discretize.grid import Grid as Grid
from discretize.refinement import NotResolved as NotResolved
from discretize.samples import Samples as Samples
from discretize.sampling import sample as sample
from discretize.subsampling import BlurPool as BlurPool
from discretize.subsampling import EquivariantSubsampling as EquivariantSubsampling
from discretize.subsampling import Stride as Stride
