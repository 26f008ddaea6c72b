"""certiseg: segmentation with certificates.

Names are loaded when first used, so that ``import certiseg`` is quick and does not load PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from certiseg._version import __version__

if TYPE_CHECKING:
    from certiseg.attacks.attack import attack
    from certiseg.certificates.certificate import Certificate
    from certiseg.certifiers.adaptive import adaptive
    from certiseg.certifiers.baselines import classify, individual, joint, predict
    from certiseg.certifiers.hierarchical import hierarchical
    from certiseg.certifiers.percentile import percentile
    from certiseg.certifiers.radius_map import radius_map
    from certiseg.certifiers.regions import regions
    from certiseg.certifiers.segcertify import certify
    from certiseg.certifiers.sequential import sequential
    from certiseg.certifiers.verify import verify
    from certiseg.datasets.images import read_image
    from certiseg.errors import ClaimError, InputError
    from certiseg.hierarchies.files import load_hierarchy
    from certiseg.hierarchies.hierarchy import Hierarchy
    from certiseg.metrics.confusion import Confusion
    from certiseg.metrics.curve import RadiusCurve
    from certiseg.metrics.information_gain import InformationGain
    from certiseg.metrics.part_iou import PartIou
    from certiseg.models import Binary, NumpyModel, Output, Preprocess, Windows
    from certiseg.noise import Gaussian, Rotation
    from certiseg.runs.from_python import certify_all, evaluate
    from certiseg.runs.model import open_model as load_model
    from certiseg.sampling.engine import Engine
    from certiseg.sampling.sampler import Smoothed
    from certiseg.votes import ABSTAIN, VoteCounts, VoteSource

_HOME = {
    "ABSTAIN": "certiseg.votes",
    "Binary": "certiseg.models",
    "Certificate": "certiseg.certificates.certificate",
    "ClaimError": "certiseg.errors",
    "Confusion": "certiseg.metrics.confusion",
    "Engine": "certiseg.sampling.engine",
    "Gaussian": "certiseg.noise",
    "Hierarchy": "certiseg.hierarchies.hierarchy",
    "InformationGain": "certiseg.metrics.information_gain",
    "InputError": "certiseg.errors",
    "NumpyModel": "certiseg.models",
    "Output": "certiseg.models",
    "PartIou": "certiseg.metrics.part_iou",
    "Preprocess": "certiseg.models",
    "RadiusCurve": "certiseg.metrics.curve",
    "Rotation": "certiseg.noise",
    "Smoothed": "certiseg.sampling.sampler",
    "VoteCounts": "certiseg.votes",
    "VoteSource": "certiseg.votes",
    "Windows": "certiseg.models",
    "adaptive": "certiseg.certifiers.adaptive",
    "attack": "certiseg.attacks.attack",
    "certify": "certiseg.certifiers.segcertify",
    "certify_all": "certiseg.runs.from_python",
    "classify": "certiseg.certifiers.baselines",
    "evaluate": "certiseg.runs.from_python",
    "hierarchical": "certiseg.certifiers.hierarchical",
    "individual": "certiseg.certifiers.baselines",
    "joint": "certiseg.certifiers.baselines",
    "load_hierarchy": "certiseg.hierarchies.files",
    "load_model": "certiseg.runs.model:open_model",
    "percentile": "certiseg.certifiers.percentile",
    "predict": "certiseg.certifiers.baselines",
    "radius_map": "certiseg.certifiers.radius_map",
    "read_image": "certiseg.datasets.images",
    "regions": "certiseg.certifiers.regions",
    "sequential": "certiseg.certifiers.sequential",
    "verify": "certiseg.certifiers.verify",
}

__all__ = [
    "ABSTAIN",
    "Binary",
    "Certificate",
    "ClaimError",
    "Confusion",
    "Engine",
    "Gaussian",
    "Hierarchy",
    "InformationGain",
    "InputError",
    "NumpyModel",
    "Output",
    "PartIou",
    "Preprocess",
    "RadiusCurve",
    "Rotation",
    "Smoothed",
    "VoteCounts",
    "VoteSource",
    "Windows",
    "__version__",
    "adaptive",
    "attack",
    "certify",
    "certify_all",
    "classify",
    "evaluate",
    "hierarchical",
    "individual",
    "joint",
    "load_hierarchy",
    "load_model",
    "percentile",
    "predict",
    "radius_map",
    "read_image",
    "regions",
    "sequential",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'certiseg' has no attribute {name!r}")
    module, _, its_name = _HOME[name].partition(":")
    value = getattr(import_module(module), its_name or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
