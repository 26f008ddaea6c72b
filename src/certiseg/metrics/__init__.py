"""Figures pooled over a data set. No torch."""

from certiseg.metrics.confusion import Confusion

__all__ = ["Confusion"]
