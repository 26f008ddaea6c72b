"""certiseg: segmentation with certificates.

Names are loaded when first used, so that ``import certiseg`` is quick and does not load PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from certiseg._version import __version__

if TYPE_CHECKING:
    from certiseg.certificates.certificate import Certificate
    from certiseg.certifiers.adaptive import adaptive
    from certiseg.certifiers.classify import classify
    from certiseg.certifiers.hierarchical import hierarchical
    from certiseg.certifiers.individual import individual
    from certiseg.certifiers.joint import joint
    from certiseg.certifiers.percentile import percentile
    from certiseg.certifiers.predict import predict
    from certiseg.certifiers.radius_map import radius_map
    from certiseg.certifiers.segcertify import certify
    from certiseg.certifiers.sequential import VoteSource, sequential
    from certiseg.certifiers.verify import verify
    from certiseg.errors import ClaimError, InputError
    from certiseg.hierarchies.files import load_hierarchy
    from certiseg.hierarchies.hierarchy import Hierarchy
    from certiseg.metrics.confusion import Confusion
    from certiseg.metrics.curve import RadiusCurve
    from certiseg.metrics.information_gain import InformationGain
    from certiseg.metrics.part_iou import PartIou
    from certiseg.models.preprocess import Preprocess
    from certiseg.models.resolve import load_model
    from certiseg.noise import Gaussian, Rotation
    from certiseg.sampling.engine import Engine
    from certiseg.sampling.sampler import Smoothed
    from certiseg.votes import ABSTAIN, VoteCounts

_HOME = {
    "ABSTAIN": "certiseg.votes",
    "Certificate": "certiseg.certificates.certificate",
    "ClaimError": "certiseg.errors",
    "Confusion": "certiseg.metrics.confusion",
    "Engine": "certiseg.sampling.engine",
    "Gaussian": "certiseg.noise",
    "Hierarchy": "certiseg.hierarchies.hierarchy",
    "InformationGain": "certiseg.metrics.information_gain",
    "InputError": "certiseg.errors",
    "PartIou": "certiseg.metrics.part_iou",
    "Preprocess": "certiseg.models.preprocess",
    "RadiusCurve": "certiseg.metrics.curve",
    "Rotation": "certiseg.noise",
    "Smoothed": "certiseg.sampling.sampler",
    "VoteCounts": "certiseg.votes",
    "VoteSource": "certiseg.certifiers.sequential",
    "adaptive": "certiseg.certifiers.adaptive",
    "certify": "certiseg.certifiers.segcertify",
    "classify": "certiseg.certifiers.classify",
    "hierarchical": "certiseg.certifiers.hierarchical",
    "individual": "certiseg.certifiers.individual",
    "joint": "certiseg.certifiers.joint",
    "load_hierarchy": "certiseg.hierarchies.files",
    "load_model": "certiseg.models.resolve",
    "percentile": "certiseg.certifiers.percentile",
    "predict": "certiseg.certifiers.predict",
    "radius_map": "certiseg.certifiers.radius_map",
    "sequential": "certiseg.certifiers.sequential",
    "verify": "certiseg.certifiers.verify",
}

__all__ = [
    "ABSTAIN",
    "Certificate",
    "ClaimError",
    "Confusion",
    "Engine",
    "Gaussian",
    "Hierarchy",
    "InformationGain",
    "InputError",
    "PartIou",
    "Preprocess",
    "RadiusCurve",
    "Rotation",
    "Smoothed",
    "VoteCounts",
    "VoteSource",
    "__version__",
    "adaptive",
    "certify",
    "classify",
    "hierarchical",
    "individual",
    "joint",
    "load_hierarchy",
    "load_model",
    "percentile",
    "predict",
    "radius_map",
    "sequential",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'certiseg' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
