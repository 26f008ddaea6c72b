"""Table by which the page counts the labels of a region as ``Certificate.at_least`` does."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.method import method_named
from certiseg.certifiers.regions import Evidence
from certiseg.report.summary import SampleSummary
from certiseg.votes import ABSTAIN


def evidence_table(sample: SampleSummary) -> tuple[dict[str, Any], NDArray[np.integer]]:
    """Evidence for the labels of a sample, for ``mostFalse`` of regions.js, and their levels.

    weights, bound: of ``Evidence``, times one factor that makes all of them whole numbers, as
    hexadecimal text. labels: [label, labels at level 1, 2, ...] for each certified label. all:
    number of components, which are cells with a grid.
    """
    evidence = _evidence(sample)
    factor = math.lcm(*(value.denominator for value in (*evidence.values, evidence.bound)))
    given = sample.labels
    return {
        "weights": [hex(int(value * factor)) for value in evidence.values],
        "bound": hex(int(evidence.bound * factor)),
        "labels": [
            [label, *evidence.counts(given == label).tolist()]
            for label in np.unique(given).tolist()
            if label != ABSTAIN
        ],
        "all": given.size,
    }, evidence.levels


def _evidence(sample: SampleSummary) -> Evidence:
    """The certificate's evidence. Where each label is certified it is 1 for each label, and the
    bound leaves out as many as an error budget allows, in any region."""
    certificate = sample.certificate
    errors = method_named(certificate.method).errors(certificate)
    if isinstance(errors, Evidence):
        return errors
    levels = (sample.labels != ABSTAIN).astype(np.int64)
    return Evidence(levels, (Fraction(1),), Fraction(1 + errors(None)))
