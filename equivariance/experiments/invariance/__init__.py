"""Global pooling behind every way to discretize: which invariants survive."""
