"""Measuring a torch model, layer by layer.

target → sources → watching (rewriting) → layouts (strides) → comparison → findings → telling → report.
"""
