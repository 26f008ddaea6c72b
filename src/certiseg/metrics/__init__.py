"""Metrics, pooled over a data set by addition of counts. No torch."""

from certiseg.metrics.confusion import Confusion

__all__ = ["Confusion"]
