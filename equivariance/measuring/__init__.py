"""Measuring a torch model, layer by layer.

target → sources (images) → watched (rewriting) → layouts (strides) → comparison → layer_errors → findings → report.
"""
