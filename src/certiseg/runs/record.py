"""A certificate as one flat record for result files and programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from certiseg.certify.certificate import Certificate


def certificate_record(
    name: str, certificate: Certificate, classes: Sequence[str], seconds: float, model: str
) -> dict[str, Any]:
    """Plain JSON values. labels: certified pixels by class name; size: (H, W);
    abstention: share of all pixels; radius: l2, in units of the input; model: as the
    user named it."""
    source = certificate.votes.source
    stages = certificate.selection_votes
    histogram = np.bincount(
        certificate.labels[certificate.certified].ravel(), minlength=len(classes)
    )
    return {
        "name": name,
        "size": list(certificate.labels.shape),
        "labels": dict(zip(classes, histogram.tolist(), strict=True)),
        "abstention": certificate.abstention,
        "radius": certificate.radius,
        "norm": certificate.noise.norm,
        "sigma": certificate.noise.sigma,
        "tau": certificate.tau,
        "alpha": certificate.alpha,
        "n": certificate.votes.trials,
        "n0": None if stages is None else stages.trials,
        "correction": certificate.correction,
        "selection": certificate.selection,
        "seed": None if source is None else source.seed,
        "seed_origin": None if source is None else source.seed_origin,
        "model": model,
        "seconds": round(seconds, 3),
        "statement": certificate.statement(),
    }
