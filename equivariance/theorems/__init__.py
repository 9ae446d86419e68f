"""Translation equivariance means shared weights: the statements, by computation on a periodic grid.

linear maps         `intertwiners`, `is_convolution`            commuting ⟺ convolution
biases              `biases`                                    commuting ⟺ constant
nonlinearities      `shared_nonlinearity`                       commuting ⟺ one function σ for all points
pooling windows     `shared_window`                             commuting ⟺ one window for all points
strides             `commutation`, `polyphase`,                 commuting exactly with multiples of s;
                    `polyphase_action`, `coset_kernels`         cosets are permuted, a kernel for each
what it saves       `parameter_counts`
"""

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
