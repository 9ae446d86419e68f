"""Translation-equivariant maps between feature maps, continuous or sampled: shared weights."""

from layers.convolution import Conv as Conv
from layers.pointwise import Bias as Bias
from layers.pointwise import Pointwise as Pointwise
from layers.pooling import AvgPool as AvgPool
from layers.pooling import GlobalPool as GlobalPool
from layers.pooling import MaxPool as MaxPool
