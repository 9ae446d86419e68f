"""What nonlinearities do to a band limit, and what over-sampling them buys."""
