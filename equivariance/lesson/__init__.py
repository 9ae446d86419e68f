"""The lesson: one page without a server, for a class, over frames that are computed beforehand.

frames.py   what is shown at half-pixel steps, as bytes      command.py   `equivariance lesson`
page/       the page, its style and its script, put together into one file
"""
