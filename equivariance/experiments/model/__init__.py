"""What `equivariance measure` does, on a residual network: where it breaks, why, and what would mend it."""
