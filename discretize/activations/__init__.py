"""Pointwise non-linearities between filters, which alias less."""
