"""What a stride does to translation equivariance.

settings → fields and networks → sweep → verdicts → pictures, page and files.
"""
