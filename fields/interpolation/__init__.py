"""Functions through samples: piecewise polynomials, splines, trigonometric polynomials."""
