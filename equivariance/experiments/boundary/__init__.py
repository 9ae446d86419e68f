"""Torus against windows: what enters and leaves at a border, and how far into the window a padding is felt."""
