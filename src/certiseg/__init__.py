"""certiseg: segmentation with certificates.

Names are loaded when first used, so that ``import certiseg`` is quick and does not load PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import certiseg.certify as _room
from certiseg._version import __version__

# The room certify/ and the function certify share a name. Python binds a package to its parent
# once, when it is first imported: done here, then unbound, so that the name means the function.
del certify  # noqa: F821
del _room

if TYPE_CHECKING:
    from certiseg.certificates.certificate import Certificate
    from certiseg.certify.adaptive import adaptive
    from certiseg.certify.classify import classify
    from certiseg.certify.hierarchical import hierarchical
    from certiseg.certify.individual import individual
    from certiseg.certify.joint import joint
    from certiseg.certify.percentile import percentile
    from certiseg.certify.predict import predict
    from certiseg.certify.radius_map import radius_map
    from certiseg.certify.segcertify import certify
    from certiseg.certify.sequential import VoteSource, sequential
    from certiseg.certify.verify import verify
    from certiseg.errors import ClaimError, InputError
    from certiseg.hierarchies.files import load_hierarchy
    from certiseg.hierarchies.hierarchy import Hierarchy
    from certiseg.metrics.confusion import Confusion
    from certiseg.metrics.curve import RadiusCurve
    from certiseg.metrics.information_gain import InformationGain
    from certiseg.metrics.part_iou import PartIou
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
    "RadiusCurve": "certiseg.metrics.curve",
    "Rotation": "certiseg.noise",
    "Smoothed": "certiseg.sampling.sampler",
    "VoteCounts": "certiseg.votes",
    "VoteSource": "certiseg.certify.sequential",
    "adaptive": "certiseg.certify.adaptive",
    "certify": "certiseg.certify.segcertify",
    "classify": "certiseg.certify.classify",
    "hierarchical": "certiseg.certify.hierarchical",
    "individual": "certiseg.certify.individual",
    "joint": "certiseg.certify.joint",
    "load_hierarchy": "certiseg.hierarchies.files",
    "percentile": "certiseg.certify.percentile",
    "predict": "certiseg.certify.predict",
    "radius_map": "certiseg.certify.radius_map",
    "sequential": "certiseg.certify.sequential",
    "verify": "certiseg.certify.verify",
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
