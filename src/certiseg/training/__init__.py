"""Training of base models under the noise they will be smoothed with."""
