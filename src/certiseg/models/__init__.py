"""Models: the shipped network, adapters for foreign ones, and the one place that resolves names."""

from certiseg.models.grid import OnGrid
from certiseg.models.loaded import LoadedModel
from certiseg.models.preprocess import Preprocess
from certiseg.models.resolve import resolve_model

__all__ = ["LoadedModel", "OnGrid", "Preprocess", "resolve_model"]
