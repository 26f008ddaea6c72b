"""Models: the shipped network, adapters for foreign ones, and the one place that resolves names."""

from certiseg.models.binary import Binary
from certiseg.models.grid import OnGrid
from certiseg.models.loaded import LoadedModel
from certiseg.models.numpy_model import NumpyModel
from certiseg.models.output import Output
from certiseg.models.preprocess import Preprocess
from certiseg.models.resolve import load_model
from certiseg.models.scales import Scales
from certiseg.models.windows import Windows

__all__ = [
    "Binary",
    "LoadedModel",
    "NumpyModel",
    "OnGrid",
    "Output",
    "Preprocess",
    "Scales",
    "Windows",
    "load_model",
]
