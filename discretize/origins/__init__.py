"""Where a grid shall lie: origins predicted from a feature map, so that they move along with it."""

from discretize.origins.peaks import Argmax as Argmax
from discretize.origins.peaks import RefinedArgmax as RefinedArgmax
from discretize.origins.predictors import Centroid as Centroid
from discretize.origins.predictors import Phase as Phase
from discretize.origins.predictors import Predictor as Predictor
from discretize.origins.predictors import Strongest as Strongest
