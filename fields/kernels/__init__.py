"""Kernels, atoms and windows: what acts on feature maps of both kinds."""
