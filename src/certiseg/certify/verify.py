"""Recompute a certificate from its stored counts alone."""

from __future__ import annotations

import math

import numpy as np

from certiseg.certify.certificate import Certificate
from certiseg.certify.classify import classify
from certiseg.certify.individual import individual
from certiseg.certify.joint import joint
from certiseg.certify.segcertify import certify
from certiseg.errors import ClaimError, InputError


def verify(certificate: Certificate) -> None:
    """Raise ClaimError unless labels and radius follow from the stored counts and parameters.

    Needs neither the model nor the input: it checks the statistics, and that the parts of the
    record agree with each other; it cannot know that the counts are those of the model named, nor,
    for JointClass, that they are those of the label map given.
    """
    try:
        again = _recompute(certificate)
    # Files can hold anything; whatever the methods cannot digest is no claim.
    except (LookupError, TypeError, ValueError, ArithmeticError, MemoryError) as error:
        raise ClaimError(f"the stored counts give no certificate: {error}") from None
    if again.labels.shape != certificate.labels.shape:
        raise ClaimError(
            f"expected labels of shape {again.labels.shape} from the stored counts, "
            f"got {certificate.labels.shape}"
        )
    wrong = int(np.count_nonzero(again.labels != certificate.labels))
    if wrong:
        raise ClaimError(
            f"labels of {wrong} of {again.labels.size} components do not follow "
            "from the stored counts"
        )
    # Another SciPy may differ in the last bit of a quantile; the margin below it is wider.
    if not math.isclose(again.radius, certificate.radius, rel_tol=1e-15):
        raise ClaimError(
            f"expected radius {again.radius!r} from the stored counts, got {certificate.radius!r}"
        )
    for name in ("cutoff", "tau", "correction", "selection"):
        expected, stored = getattr(again, name), getattr(certificate, name)
        if expected != stored:
            raise ClaimError(f"expected {name} {expected!r} from the stored counts, got {stored!r}")
    for name in ("selection_votes", "candidates"):
        if (getattr(again, name) is None) != (getattr(certificate, name) is None):
            raise ClaimError(f"expected {name} with the methods that use them, and only there")


def _recompute(stored: Certificate) -> Certificate:
    noise, alpha = stored.noise, stored.alpha
    if stored.method == "segcertify" and stored.tau is not None and stored.correction is not None:
        return certify(
            stored.votes,
            noise=noise,
            tau=stored.tau,
            alpha=alpha,
            correction=stored.correction,
            selection=stored.selection,
            selection_votes=stored.selection_votes,
        )
    if stored.method == "joint" and stored.candidates is not None:
        return joint(stored.votes, candidates=stored.candidates, noise=noise, alpha=alpha)
    if stored.method in ("classify", "individual"):
        method = classify if stored.method == "classify" else individual
        return method(
            stored.votes, noise=noise, alpha=alpha, selection_votes=stored.selection_votes
        )
    raise InputError(
        f"expected a known method with all its parameters, got {stored.method!r}; "
        "a newer certiseg may know it"
    )
