"""Recompute a certificate from its stored counts alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.method import method_named
from certiseg.errors import ClaimError

_EQUAL = (
    *("method", "noise", "alpha", "cutoff", "tau", "correction", "selection", "budget"),
    "parameters",
)
_PRESENT = ("selection_votes", "candidates", "looks", "hierarchy", "levels")


def verify(certificate: Certificate) -> None:
    """Recompute labels and radius from the stored vote counts and parameters, and compare.

    Needs neither the model nor the input. Checks the statistics and the consistency of the record;
    cannot check that the counts are those of the named model or, for JointClass, of the label map.

    Args:
        certificate: the certificate, as returned by a method or loaded.

    Raises:
        ClaimError: if the labels, the radius or a parameter do not follow from the counts.

    Example:
        >>> import certiseg as cs
        >>> votes = cs.VoteCounts([[98, 2], [60, 40]], 100)
        >>> cs.verify(cs.certify(votes, noise=cs.Gaussian(0.25)))
    """
    try:
        again = method_named(certificate.method).of(certificate).recompute(certificate)
    # A file can hold anything, so that methods may fail in various ways.
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
    for name in _EQUAL:
        expected, stored = getattr(again, name), getattr(certificate, name)
        if expected != stored:
            raise ClaimError(f"expected {name} {expected!r} from the stored counts, got {stored!r}")
    for name in _PRESENT:
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
    # Quantiles may differ in the last bit between versions of SciPy, less than their margin.
    wrong = ~np.isclose(stored, expected, rtol=1e-15, atol=0.0)
    if np.any(wrong):
        first = float(np.asarray(expected)[wrong][0]), float(np.asarray(stored)[wrong][0])
        raise ClaimError(f"expected radius {first[0]!r} from the stored counts, got {first[1]!r}")
