"""Continuous feature maps F: R^d → R^c, evaluated anywhere, and the kernels and windows that act on them."""

from fields.analytic import Constant as Constant
from fields.analytic import Formula as Formula
from fields.analytic import Gaussians as Gaussians
from fields.analytic import PlaneWaves as PlaneWaves
from fields.analytic import random_bandlimited as random_bandlimited
from fields.feature_map import FeatureMap as FeatureMap
from fields.field import Field as Field
from fields.interpolated import Interpolated as Interpolated
from fields.kernel import Atoms as Atoms
from fields.kernel import BoxKernel as BoxKernel
from fields.kernel import GaussianKernel as GaussianKernel
from fields.kernel import Kernel as Kernel
from fields.kernel import MatrixKernel as MatrixKernel
from fields.lattice import LatticeTooLarge as LatticeTooLarge
from fields.window import Ball as Ball
from fields.window import Box as Box
from fields.window import Mask as Mask
from fields.window import Window as Window
