"""Gradient attacks on base models, on smoothed models, and on the claim of a certificate."""
