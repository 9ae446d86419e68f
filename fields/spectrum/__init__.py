"""Fourier coefficients of periodic fields, and the coarsest band-limited field within a tolerance."""

import fields.spectrum.resolving  # noqa: F401  (enters `resolve` for `Field` to find)
