"""The report of any result, a store or a NetCDF file: one page that holds all of itself.

table, pictures, slider → `equivariance report`.
"""
