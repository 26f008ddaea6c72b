"""Recompute a certificate from its stored counts alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.adaptive import adaptive
from certiseg.certifiers.classify import classify
from certiseg.certifiers.hierarchical import hierarchical
from certiseg.certifiers.individual import individual
from certiseg.certifiers.joint import joint
from certiseg.certifiers.radius_map import radius_map
from certiseg.certifiers.replay import verify_looks
from certiseg.certifiers.segcertify import certify
from certiseg.errors import ClaimError, InputError

T = TypeVar("T")


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
    _compare_radius(again.radius, certificate.radius)
    for name in ("cutoff", "tau", "correction", "selection", "budget"):
        expected, stored = getattr(again, name), getattr(certificate, name)
        if expected != stored:
            raise ClaimError(f"expected {name} {expected!r} from the stored counts, got {stored!r}")
    for name in ("selection_votes", "candidates", "looks", "hierarchy", "levels"):
        if (getattr(again, name) is None) != (getattr(certificate, name) is None):
            raise ClaimError(f"expected {name} with the methods that use them, and only there")


def _compare_radius(
    expected: float | NDArray[np.float64], stored: float | NDArray[np.float64]
) -> None:
    if np.shape(expected) != np.shape(stored):
        raise ClaimError(
            f"expected radii of shape {np.shape(expected)} from the stored counts, "
            f"got {np.shape(stored)}"
        )
    # Another SciPy may differ in the last bit of a quantile; the margin below it is wider.
    wrong = ~np.isclose(stored, expected, rtol=1e-15, atol=0.0)
    if np.any(wrong):
        first = float(np.asarray(expected)[wrong][0]), float(np.asarray(stored)[wrong][0])
        raise ClaimError(f"expected radius {first[0]!r} from the stored counts, got {first[1]!r}")


def _recompute(stored: Certificate) -> Certificate:
    method = _METHODS.get(stored.method)
    if method is None:
        raise InputError(
            f"expected a known method, got {stored.method!r}; a newer certiseg may know it"
        )
    return method(stored)


def _certify(stored: Certificate) -> Certificate:
    return certify(
        stored.votes,
        noise=stored.noise,
        tau=_given(stored.tau),
        alpha=stored.alpha,
        correction=_given(stored.correction),
        budget=stored.budget,
        selection=stored.selection,
        selection_votes=stored.selection_votes,
    )


def _joint(stored: Certificate) -> Certificate:
    return joint(
        stored.votes, candidates=_given(stored.candidates), noise=stored.noise, alpha=stored.alpha
    )


def _classify(stored: Certificate) -> Certificate:
    method = classify if stored.method == "classify" else individual
    return method(
        stored.votes,
        noise=stored.noise,
        alpha=stored.alpha,
        selection_votes=stored.selection_votes,
    )


def _radius_map(stored: Certificate) -> Certificate:
    return radius_map(stored.votes, noise=stored.noise, alpha=stored.alpha)


def _hierarchical(stored: Certificate) -> Certificate:
    return hierarchical(
        stored.votes,
        noise=stored.noise,
        tau=_given(stored.tau),
        alpha=stored.alpha,
        hierarchy=_given(stored.hierarchy),
        correction=_given(stored.correction),
        budget=stored.budget,
    )


def _adaptive(stored: Certificate) -> Certificate:
    return adaptive(
        stored.votes,
        noise=stored.noise,
        tau=_given(stored.tau),
        alpha=stored.alpha,
        hierarchy=_given(stored.hierarchy),
        selection_votes=_given(stored.selection_votes),
        levels=_given(stored.levels),
        correction=_given(stored.correction),
    )


_METHODS: dict[str, Callable[[Certificate], Certificate]] = {
    "segcertify": _certify,
    "joint": _joint,
    "classify": _classify,
    "individual": _classify,
    "radius_map": _radius_map,
    "sequential": verify_looks,
    "hierarchical": _hierarchical,
    "adaptive": _adaptive,
}


def _given(value: T | None) -> T:
    """A parameter that the method cannot do without."""
    if value is None:
        raise InputError("expected all parameters of the method, got one missing")
    return value
