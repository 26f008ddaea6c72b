"""Models: the shipped network, adapters for foreign ones, and the one place that resolves names."""

from certiseg.models.preprocess import Preprocess
from certiseg.models.resolve import LoadedModel, resolve_model

__all__ = ["LoadedModel", "Preprocess", "resolve_model"]
