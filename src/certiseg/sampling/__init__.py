"""Sampling: from draws of noise to vote counts. Uses torch."""

from certiseg.sampling.engine import Engine
from certiseg.sampling.sampler import Smoothed

__all__ = ["Engine", "Smoothed"]
