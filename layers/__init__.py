"""Translation-equivariant maps between feature maps, continuous or sampled: shared weights."""

from layers.convolution import Conv as Conv
from layers.global_pool import GlobalPool as GlobalPool
from layers.on_grid import OnGrid as OnGrid
from layers.pointwise import Bias as Bias
from layers.pointwise import Pointwise as Pointwise
from layers.pooling import AvgPool as AvgPool
from layers.pooling import LpPool as LpPool
from layers.pooling import MaxPool as MaxPool
from layers.pooling import SoftMaxPool as SoftMaxPool
from layers.sharing import shared as shared
from layers.torch_model import TorchModel as TorchModel
from layers.unshared import BiasField as BiasField
from layers.unshared import IntegralOperator as IntegralOperator
from layers.unshared import PointwiseField as PointwiseField
from layers.windowed import PoolField as PoolField
