"""The four-arrow diagram of translation equivariance, for every layer: continuous, discrete, and mixed."""
