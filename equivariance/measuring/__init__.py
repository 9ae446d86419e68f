"""Measuring a torch model, layer by layer.

target → sources → watching (rewriting) → frames (strides) → comparison → labelling → findings → telling → report.
"""
