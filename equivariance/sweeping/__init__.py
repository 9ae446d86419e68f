"""Sweeps of many cells: a TOML file, a store of one chunk per task, and workers that may be killed.

configuration → parts → cells → distributed → store.
"""
