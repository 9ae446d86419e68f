"""Side by side with the alternatives: `python -m benchmarks` lists them, `python -m benchmarks NAME` runs one."""
