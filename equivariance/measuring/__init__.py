"""Measuring a torch model, layer by layer.

target → sources → watching (rewriting) → frames → comparison → labelling → findings → report.
"""
