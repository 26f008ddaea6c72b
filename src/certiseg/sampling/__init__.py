"""Draws to votes: the first room with torch."""

from certiseg.sampling.engine import Engine
from certiseg.sampling.sampler import Smoothed

__all__ = ["Engine", "Smoothed"]
