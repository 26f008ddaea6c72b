"""Binomial tails and bounds rounded outward, and multiple testing. NumPy and SciPy only."""
