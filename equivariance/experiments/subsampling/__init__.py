"""Every kind of subsampling beside the others: which translations each commutes with, and how nearly.

settings → fields and methods → sweep → table, picture and files.
"""
