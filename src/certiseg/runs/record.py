"""A certificate as one flat record for result files and programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.method import method_named
from certiseg.certificates.windows import draws_by_window
from certiseg.noise import noise_record
from certiseg.votes import ABSTAIN


def certificate_record(
    name: str,
    certificate: Certificate,
    classes: Sequence[str],
    seconds: float,
    model: str,
    maps: Sequence[str] | None = None,
) -> dict[str, Any]:
    """A certificate as a flat record of plain JSON values.

    classes: names of all labels that it can have. maps: names of overlapping maps. In the record,
    labels has the number of certified components by class name (one such histogram per map with
    maps); size is (H, W) of the components or (N,) of a cloud (of one map with maps); abstention is
    their share; radius is in the stated norm, l2 in units of the input, rotations in radians, for a
    radius map [smallest, median, largest] over certified components; model is the name given by the
    user.
    """
    source = certificate.votes.source
    stages = certificate.selection_votes
    by_window = draws_by_window(certificate.votes)
    labels: dict[str, Any]
    if maps is None:
        size, labels = certificate.labels.shape, _histogram(certificate.labels, classes)
    else:
        size = certificate.labels.shape[1:]
        each = zip(maps, certificate.labels, strict=True)
        labels = {name: _histogram(own, classes) for name, own in each}
    return {
        "name": name,
        "size": list(size),
        "labels": labels,
        "abstention": certificate.abstention,
        "method": certificate.method,
        "radius": radius_record(certificate),
        "norm": certificate.noise.norm,
        "noise": noise_record(certificate.noise),
        "sigma": certificate.noise.sigma,
        "tau": certificate.tau,
        "alpha": certificate.alpha,
        "n": certificate.votes.trials,
        "n0": None if stages is None else stages.trials,
        "correction": certificate.correction,
        "budget": certificate.budget,
        "may_be_wrong": certificate.allowed_errors,
        "at_least": _at_least(certificate, classes),
        "stopped": None if certificate.looks is None else certificate.looks.stopped,
        "selection": certificate.selection,
        "windows": None if source is None or source.windows is None else list(source.windows),
        "draws_by_window": None if by_window is None else by_window.tolist(),
        "seed": None if source is None else source.seed,
        "seed_origin": None if source is None else source.seed_origin,
        "model": model,
        "seconds": round(seconds, 3),
        "statement": certificate.statement(),
    }


def _at_least(certificate: Certificate, classes: Sequence[str]) -> dict[str, int] | None:
    """Number of labels of each class that hold, for methods with bounds on regions."""
    if not method_named(certificate.method).counts_regions:
        return None
    return {
        name: certificate.at_least(certificate.labels == label)
        for label, name in enumerate(classes)
    }


def _histogram(labels: NDArray[np.signedinteger], classes: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(labels[labels != ABSTAIN].ravel(), minlength=len(classes))
    return dict(zip(classes, counts.tolist(), strict=True))


def radius_record(certificate: Certificate) -> float | list[float]:
    """The radius; for a radius map [smallest, median, largest] over certified components."""
    radius = certificate.radius
    if not isinstance(radius, np.ndarray):
        return radius
    held = radius[certificate.certified]
    return (
        [float(v) for v in np.quantile(held, (0.0, 0.5, 1.0), method="lower")] if held.size else []
    )
