"""Draws to votes: the first room with torch."""

from certiseg.sampling.sampler import Smoothed

__all__ = ["Smoothed"]
