"""Subsamplings: which samples are kept, and where they lie."""
